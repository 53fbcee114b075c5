//! Turns with more and more work in them, in this process: one end of the curves whose other end is a native worker.
//!
//! A turn is a payload of 16 bytes (kernel, units, seed) and a reply of 8. **Work points** say how many units make how much native work; they are
//! found once and written out, so that whoever measures the other end takes the same ones (`--work FILE` takes those of an earlier run).

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::kernels::KERNELS;
use crate::machine;
use crate::out::Out;
use crate::stats::{Spread, percentile, round};
use crate::ways::native::Native;
use crate::ways::wasm::{Compiled, Instance, Interrupt};
use crate::{Fault, Plan, say};

/// Native work that the points aim at, in nanoseconds.
const WORK_NS: [f64; 12] = [0.0, 50.0, 100.0, 200.0, 500.0, 1e3, 2e3, 5e3, 10e3, 20e3, 50e3, 100e3];
/// Turns shorter than that are timed several at a time: a look at the clock takes some 25 ns.
const TIMED_NS_MIN: f64 = 2_000.0;
const BATCH_MAX: f64 = 64.0;
const UNITS_MAX: f64 = 1e6;
const SEED_STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// So many units of a kernel take about so long natively.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Point {
    kernel: usize,
    units: u32,
    native_ns: f64,
}

impl Point {
    fn line(&self) -> Value {
        let kernel = &KERNELS[self.kernel];
        json!({
            "bench": "work", "kernel": kernel.name, "id": kernel.id,
            "units": self.units, "native_ns": round(self.native_ns),
        })
    }

    /// A line that `line` wrote; `None` for lines of other benches.
    fn parse(text: &str) -> Result<Option<Self>, Fault> {
        let value: Value =
            serde_json::from_str(text).map_err(|error| Fault::new("a line is no JSON", error))?;
        if value["bench"] != "work" {
            return Ok(None);
        }
        let kernel = KERNELS.iter().position(|kernel| value["kernel"] == kernel.name);
        let units = value["units"].as_u64().and_then(|units| u32::try_from(units).ok());
        match (kernel, units, value["native_ns"].as_f64()) {
            (Some(kernel), Some(units), Some(native_ns)) => Ok(Some(Self { kernel, units, native_ns })),
            _ => Err(Fault::plain(format!("not a work point: {text}"))),
        }
    }

    fn batch(&self) -> usize {
        (TIMED_NS_MIN / self.native_ns.max(1.0)).clamp(1.0, BATCH_MAX) as usize
    }
}

/// Turns, made one after the other.
struct Turns {
    bytes: [u8; 16],
    seed: u64,
}

impl Turns {
    fn new(point: &Point) -> Self {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&KERNELS[point.kernel].id.to_le_bytes());
        bytes[4..8].copy_from_slice(&point.units.to_le_bytes());
        Self { bytes, seed: 0 }
    }

    /// A seed of its own for each, or processors learn a turn's branches by heart.
    fn next(&mut self) -> &[u8] {
        self.seed = self.seed.wrapping_add(SEED_STEP);
        self.bytes[8..].copy_from_slice(&self.seed.to_le_bytes());
        &self.bytes
    }
}

enum Player {
    Native(Native),
    Wasm(Instance, #[expect(dead_code, reason = "its clock runs as long as it lives")] Compiled),
}

impl Player {
    fn turn(&mut self, request: &[u8], reply: &mut [u8]) -> Result<usize, Fault> {
        match self {
            Player::Native(native) => native.turn(request, reply),
            Player::Wasm(instance, _) => instance.turn(request, reply),
        }
    }
}

const PLAYERS: [(&str, &str); 4] = [
    ("dlopen", "kernels.so"),
    ("dlopen, wide", "kernels-wide.so"),
    ("wasmtime", "kernels.wasm"),
    ("wasmtime, simd128", "kernels-simd.wasm"),
];

fn players(plan: &Plan) -> Result<Vec<Player>, Fault> {
    let player = |&(_, file): &(&str, &str)| {
        let path = plan.kernels.join(file);
        if file.ends_with(".so") {
            return Ok(Player::Native(Native::open(&path)?));
        }
        let compiled = Compiled::new(&path, plan.cores, Interrupt::Epoch)?;
        Ok(Player::Wasm(compiled.instance()?, compiled))
    };
    PLAYERS.iter().map(player).collect()
}

#[derive(Default)]
struct Figures {
    p50: Vec<f64>,
    p99: Vec<f64>,
    cpu: Vec<f64>,
}

/// All players at all points, in turn.
pub(crate) fn measure(plan: &Plan, out: &mut Out) -> Result<(), Fault> {
    let points = match &plan.work {
        Some(file) => read(file)?,
        None => find(plan)?,
    };
    for point in &points {
        out.line(&point.line())?;
    }
    let mut figures: Vec<[Figures; PLAYERS.len()]> = points.iter().map(|_| Default::default()).collect();
    for n in 0..plan.rounds {
        say(&format!("crossover, round {} of {}", n + 1, plan.rounds));
        let mut players = players(plan)?;
        for (point, figures) in points.iter().zip(&mut figures) {
            agree(&mut players, point)?;
            for (player, figures) in players.iter_mut().zip(figures) {
                let (times, cpu) = play(player, point, plan.budget / 4)?;
                figures.p50.push(percentile(&times, 0.5));
                figures.p99.push(percentile(&times, 0.99));
                figures.cpu.push(cpu);
            }
        }
    }
    for (point, figures) in points.iter().zip(figures) {
        for ((who, _), figures) in PLAYERS.iter().zip(figures) {
            let [p50, p99, cpu] = [figures.p50, figures.p99, figures.cpu].map(Spread::of);
            out.line(&json!({
                "bench": "crossover", "kernel": KERNELS[point.kernel].name, "who": who, "core": "in-process",
                "units": point.units, "work_ns": round(point.native_ns), "batch": point.batch(),
                "p50_ns": round(p50.median), "spread": p50.quartiles(),
                "p99_ns": round(p99.median), "p99_spread": p99.quartiles(),
                "cpu_ns": round(cpu.median), "cpu_spread": cpu.quartiles(), "rounds": plan.rounds,
            }))?;
        }
    }
    Ok(())
}

/// All players must give the same replies.
fn agree(players: &mut [Player], point: &Point) -> Result<(), Fault> {
    let mut turns = Turns::new(point);
    for _ in 0..3 {
        let request = turns.next().to_vec();
        let mut expected = None;
        for (player, (who, _)) in players.iter_mut().zip(PLAYERS) {
            let mut reply = [0; 16];
            let len = player.turn(&request, &mut reply)?;
            if len != 8 || *expected.get_or_insert(reply) != reply {
                let what = format!("{who} plays {} otherwise than native code", KERNELS[point.kernel].name);
                return Err(Fault::plain(what));
            }
        }
    }
    Ok(())
}

/// Times per turn, sorted, and CPU time per turn, in nanoseconds.
fn play(player: &mut Player, point: &Point, budget: Duration) -> Result<(Vec<f64>, f64), Fault> {
    let (mut turns, mut reply, batch) = (Turns::new(point), [0; 16], point.batch());
    for _ in 0..batch {
        player.turn(turns.next(), &mut reply)?;
    }
    let mut times = Vec::new();
    let (cpu, first) = (machine::thread_cpu(), Instant::now());
    let mut last = first;
    while last - first < budget {
        for _ in 0..batch {
            player.turn(turns.next(), &mut reply)?;
            std::hint::black_box(&reply);
        }
        let now = Instant::now();
        times.push((now - last).as_nanos() as f64 / batch as f64);
        last = now;
    }
    let cpu = (machine::thread_cpu() - cpu).as_nanos() as f64 / (times.len() * batch) as f64;
    times.sort_by(f64::total_cmp);
    Ok((times, cpu))
}

/// Finds the points: for each aim, the units that take nearest to it by the native baseline.
fn find(plan: &Plan) -> Result<Vec<Point>, Fault> {
    say("finding work points");
    let mut native = Player::Native(Native::open(&plan.kernels.join("kernels.so"))?);
    let mut points: Vec<Point> = Vec::new();
    for kernel in 0..KERNELS.len() {
        let mut units = 0.0;
        for aim in WORK_NS {
            let mut point = Point { kernel, units: 0, native_ns: 0.0 };
            if aim > 0.0 {
                units = f64::max(units, 1.0);
                // Time grows nearly in proportion: a few steps arrive.
                for _ in 0..6 {
                    point.units = f64::round(units) as u32;
                    point.native_ns = aim;
                    let took = percentile(&play(&mut native, &point, Duration::from_millis(5))?.0, 0.5);
                    units = (f64::from(point.units) * aim / took.max(1.0)).clamp(1.0, UNITS_MAX);
                }
                point.units = f64::round(units) as u32;
            }
            let same = |known: &Point| known.kernel == kernel && known.units == point.units;
            if !points.iter().any(same) {
                point.native_ns = percentile(&play(&mut native, &point, plan.budget)?.0, 0.5);
                points.push(point);
            }
        }
    }
    Ok(points)
}

fn read(file: &Path) -> Result<Vec<Point>, Fault> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Fault::new(format!("{} cannot be read", file.display()), error))?;
    let points: Vec<Point> =
        text.lines().filter_map(|line| Point::parse(line).transpose()).collect::<Result<_, _>>()?;
    if points.is_empty() {
        return Err(Fault::plain(format!("{} holds no work points", file.display())));
    }
    Ok(points)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_read_as_they_are_written() {
        let point = Point { kernel: 3, units: 17, native_ns: 812.5 };
        assert_eq!(Point::parse(&point.line().to_string()).unwrap(), Some(point));
        assert_eq!(Point::parse(r#"{"bench":"rtt"}"#).unwrap(), None);
        assert!(Point::parse(r#"{"bench":"work","kernel":"chess","units":1,"native_ns":1}"#).is_err());
        assert!(Point::parse("{").is_err());
    }

    #[test]
    fn a_turn_is_kernel_units_and_a_new_seed() {
        let mut turns = Turns::new(&Point { kernel: 4, units: 258, native_ns: 0.0 });
        let first = turns.next().to_vec();
        assert_eq!(first[..8], [4, 0, 0, 0, 2, 1, 0, 0]);
        assert_ne!(turns.next(), first);
    }
}
