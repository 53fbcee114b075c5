//! The kernels, without any turn around them: time per unit of work of every build, beside native code of the machine's baseline.

use serde_json::json;

use crate::machine::Cores;
use crate::out::Out;
use crate::stats::{Spread, round};
use crate::ways::native::Native;
use crate::ways::wasm::{Compiled, Instance, Interrupt};
use crate::{Fault, Plan, say};

/// A kernel, and so many units of it that they take about a millisecond natively: long beside any call, short beside a time slice.
pub(crate) struct Kernel {
    pub(crate) name: &'static str,
    /// Its number in kernels.h.
    pub(crate) id: u32,
    units: u32,
}

pub(crate) const KERNELS: [Kernel; 5] = [
    Kernel { name: "craps", id: 0, units: 60_000 },
    Kernel { name: "poker", id: 1, units: 40_000 },
    Kernel { name: "n-body", id: 2, units: 20_000 },
    Kernel { name: "particles", id: 3, units: 25_000 },
    Kernel { name: "grid", id: 4, units: 30_000 },
];

/// What runs them: the file, and how a call of WASM can be ended.
struct Build {
    who: &'static str,
    file: &'static str,
    vectors: &'static str,
    /// None: native.
    interrupt: Option<Interrupt>,
}

const BUILDS: [Build; 8] = [
    Build { who: "native", file: "kernels.so", vectors: "baseline", interrupt: None },
    Build { who: "native", file: "kernels-wide.so", vectors: "wide", interrupt: None },
    wasm("kernels.wasm", "none", Interrupt::Never),
    wasm("kernels.wasm", "none", Interrupt::Epoch),
    wasm("kernels.wasm", "none", Interrupt::Fuel),
    wasm("kernels-simd.wasm", "simd128", Interrupt::Never),
    wasm("kernels-simd.wasm", "simd128", Interrupt::Epoch),
    wasm("kernels-simd.wasm", "simd128", Interrupt::Fuel),
];

const fn wasm(file: &'static str, vectors: &'static str, interrupt: Interrupt) -> Build {
    Build { who: "wasmtime", file, vectors, interrupt: Some(interrupt) }
}

enum Runner {
    Native(Native),
    /// The module must outlive its instance's clock.
    Wasm(Instance, #[expect(dead_code, reason = "its clock runs as long as it lives")] Compiled),
}

impl Runner {
    fn of(build: &Build, plan: &Plan, cores: Cores) -> Result<Self, Fault> {
        let file = plan.kernels.join(build.file);
        Ok(match build.interrupt {
            None => Runner::Native(Native::open(&file)?),
            Some(interrupt) => {
                let compiled = Compiled::new(&file, cores, interrupt)?;
                Runner::Wasm(compiled.instance()?, compiled)
            }
        })
    }

    fn run(&mut self, kernel: u32, seed: u64, units: u32) -> Result<u64, Fault> {
        match self {
            Runner::Native(native) => Ok(native.run(kernel, seed, units)),
            Runner::Wasm(instance, _) => instance.run(kernel, seed, units),
        }
    }
}

/// All builds of all kernels, in turn; every build's sums are compared with the first's.
pub(crate) fn measure(plan: &Plan, out: &mut Out) -> Result<(), Fault> {
    // Nanoseconds per unit: kernels × builds × rounds.
    let mut times = KERNELS.map(|_| BUILDS.map(|_| Vec::new()));
    let mut seed = 1u64;
    for n in 0..plan.rounds {
        say(&format!("kernels, round {} of {}", n + 1, plan.rounds));
        let mut runners =
            BUILDS.iter().map(|build| Runner::of(build, plan, plan.cores)).collect::<Result<Vec<_>, _>>()?;
        for (kernel, times) in KERNELS.iter().zip(&mut times) {
            let first_seed = seed;
            let mut expected = None;
            for ((build, runner), times) in BUILDS.iter().zip(&mut runners).zip(times) {
                seed = first_seed;
                runner.run(kernel.id, seed, kernel.units)?;
                let (mut runs, mut sum) = (0u32, 0u64);
                let from = std::time::Instant::now();
                // The same seeds for every build, so that the same work is done.
                while runs < plan.kernel_runs {
                    sum = sum.rotate_left(1) ^ runner.run(kernel.id, seed, kernel.units)?;
                    seed += 1;
                    runs += 1;
                }
                times.push(from.elapsed().as_nanos() as f64 / f64::from(runs) / f64::from(kernel.units));
                if *expected.get_or_insert(sum) != sum {
                    let what =
                        format!("{} of {} computes something else than native code", kernel.name, build.file);
                    return Err(Fault::plain(what));
                }
            }
        }
    }
    for (kernel, times) in KERNELS.iter().zip(&times) {
        for (build, rounds) in BUILDS.iter().zip(times) {
            let ns = Spread::of(rounds.iter().copied());
            // Each round against the native figure of the same round.
            let ratio = Spread::of(rounds.iter().zip(&times[0]).map(|(ns, native)| ns / native));
            out.line(&json!({
                "bench": "kernel", "kernel": kernel.name, "who": build.who, "vectors": build.vectors,
                "interrupt": build.interrupt.map_or("none", Interrupt::name),
                "ns_per_unit": round(ns.median), "spread": ns.quartiles(),
                "ratio": round(ratio.median), "ratio_spread": ratio.quartiles(),
                "units": kernel.units, "rounds": plan.rounds,
            }))?;
        }
    }
    Ok(())
}
