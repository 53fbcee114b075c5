//! The kernels in a worker: beside the same file in-process (native.c), and turns with more and more work in them, whose other end the peers measure.
//!
//! ```text
//!  kernels     native.c (dlopen, no turns around it)  │  worker over the ring      the same units and seeds, about 160 ms each, on the same processor
//!  crossover   work points from the peers' lines  ─▶  │  worker over the ring and over the socket, latency and processor time of a turn
//! ```
//!
//! `--kernels DIR` is what `tests/bench/kernels/build` has made, `--work FILE` are lines with work points (`croupier-peers --only crossover`); without it only the
//! kernels are measured. Run by `scripts/bench --only peers`.
#![allow(clippy::print_stdout, reason = "the figures are what it is for")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use common::figures::{Figure, Goal, Lines, spread};
use common::house::House;
use common::play::HOUSE;
use common::{cpu_time, pinned};
use croupier::jail::plan::Transport;
use croupier_client::blocking::Session;
use serde_json::{Value, json};

const ROUNDS: usize = 9;
const ROUNDS_QUICK: usize = 3;
/// Rounds of kernels beside native code for one of everything else: a goal of one percent wants more of them on a machine that others use as well.
const ROUNDS_FOR_ONE: usize = 3;
/// From a restart until nothing of it goes on any more.
const SETTLED: Duration = Duration::from_millis(100);
/// Time for one work point in one round.
const BUDGET: Duration = Duration::from_millis(60);
const BUDGET_QUICK: Duration = Duration::from_millis(20);
const TURNS_MIN: usize = 20;
const SEED_STEP: u64 = 0x9e37_79b9_7f4a_7c15;
const COMMAND: &str = "scripts/bench --only peers";

/// A kernel beside native code.
#[derive(Clone, Copy)]
struct Kernel {
    name: &'static str,
    /// Its number in kernels.h.
    id: u32,
    /// So many that they take some 160 ms: beside that a turn is nothing, even one whose worker and caller have to be woken. (Two processors that have slept for 40 ms take some 0.4 ms, which is
    /// one percent.)
    units: u32,
    /// Of one round.
    turns: u64,
}

const KERNELS: [Kernel; 5] = [
    Kernel { name: "craps", id: 0, units: 9_600_000, turns: 1 },
    Kernel { name: "poker", id: 1, units: 6_400_000, turns: 1 },
    Kernel { name: "n-body", id: 2, units: 3_200_000, turns: 1 },
    // Of more its particles come to rest, in numbers so small that processors take many times as long for them.
    Kernel { name: "particles", id: 3, units: 1_000_000, turns: 4 },
    Kernel { name: "grid", id: 4, units: 4_800_000, turns: 1 },
];

const WAYS: [(&str, Transport); 2] =
    [("croupier, ring", Transport::Ring), ("croupier, socket", Transport::Socket)];

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let after = |name: &str| words.iter().position(|word| word == name).and_then(|at| words.get(at + 1));
    let quick = words.iter().any(|word| word == "--quick");
    let Some(kernels) = after("--kernels").map(PathBuf::from) else {
        // `cargo bench` without words runs every bench.
        println!("kernels: needs --kernels DIR, see scripts/bench --only peers");
        return;
    };
    let rounds = if quick { ROUNDS_QUICK } else { ROUNDS };
    let mut lines = Lines::of(&words);
    let so = kernels.join("libkernels.so");
    beside_native(&kernels, &so, rounds, &mut lines);
    if let Some(file) = after("--work") {
        let points = points(Path::new(file));
        crossover(&so, &points, rounds, if quick { BUDGET_QUICK } else { BUDGET }, &mut lines);
    }
}

fn beside_native(kernels: &Path, so: &Path, rounds: usize, lines: &mut Lines) {
    println!("\n## Kernels in a worker, beside the same file in-process\n");
    println!("| kernel | native ms | worker ms | ratio | quartiles | goal |\n|---|---|---|---|---|---|");
    let house = House::laid_out_anew(so);
    pinned::here(0);
    for kernel in KERNELS {
        let Kernel { name, id, units, turns } = kernel;
        let (mut natives, mut workers) = (Figure::default(), Figure::default());
        let mut seed = 1;
        for round in 0..=rounds * ROUNDS_FOR_ONE {
            // A fresh process for either: where things happen to lie in memory makes some percent in some kernels.
            house.fresh_worker();
            pinned::descendants(1);
            let session = house.session();
            // The old worker's end is the kernel's work, and takes its time.
            std::thread::sleep(SETTLED);
            let native = || natively(kernels, so, [id.into(), units.into(), turns, seed]);
            let worker = || in_worker(&session, kernel, seed);
            // Now one first and now the other.
            let ((native_ns, native_sums), (worker_ns, worker_sums)) = if round % 2 == 0 {
                let native = native();
                (native, worker())
            } else {
                let worker = worker();
                (native(), worker)
            };
            assert_eq!(native_sums, worker_sums, "{name} computes the same, wherever");
            seed += turns;
            // Nothing is left that the next worker would have to play again.
            session.close().expect("it ends");
            // The first one warms up.
            if round > 0 {
                natives.round(vec![native_ns / turns]);
                workers.round(vec![worker_ns / turns]);
            }
        }
        let ratio = workers.over(&natives);
        let row = format!("kernel {name} in a worker, beside in-process native code");
        let verdict = lines.row(&row, Goal::AtMost(1.01), ratio, "×", COMMAND);
        println!(
            "| {name} | {:.2} | {:.2} | {:.4} | {:.4}–{:.4} | {verdict} |",
            natives.p50().median / 1e6,
            workers.p50().median / 1e6,
            ratio.median,
            ratio.quartiles[0],
            ratio.quartiles[1]
        );
    }
    house.close();
}

/// Nanoseconds of all turns, and their replies' sum, in a worker.
fn in_worker(session: &Session, kernel: Kernel, seed: u64) -> (u64, u64) {
    let (mut ns, mut sums) = (0, 0);
    for turn in 0..kernel.turns {
        let payload = payload(kernel.id, kernel.units, seed + turn);
        let from = Instant::now();
        let done = session.act(HOUSE, payload).expect("a turn");
        ns += from.elapsed().as_nanos() as u64;
        sums ^= u64::from_le_bytes(done.reply[..].try_into().expect("8 bytes"));
    }
    (ns, sums)
}

/// Nanoseconds of all turns, and their replies' sum, in a process of its own on the worker's processor.
fn natively(kernels: &Path, so: &Path, numbers: [u64; 4]) -> (u64, u64) {
    let out = Command::new("taskset")
        .args(["-c", "1"])
        .arg(kernels.join("native"))
        .arg(so)
        .args(numbers.map(|number| number.to_string()))
        .output()
        .expect("taskset, of util-linux, and what tests/bench/kernels/build made");
    let said = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "native: {}", String::from_utf8_lossy(&out.stderr));
    let mut numbers = said.split_whitespace().map(|number| number.parse::<u64>().expect("a number"));
    let mut next = || numbers.next().expect("two numbers");
    (next(), next())
}

fn payload(kernel: u32, units: u32, seed: u64) -> Vec<u8> {
    [&kernel.to_le_bytes()[..], &units.to_le_bytes(), &seed.to_le_bytes()].concat()
}

/// So many units of a kernel take about so long natively.
struct Point {
    kernel: String,
    id: u32,
    units: u32,
    native_ns: f64,
}

fn points(file: &Path) -> Vec<Point> {
    let text = std::fs::read_to_string(file).expect("--work can be read");
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("lines of JSON"));
    let number = |line: &Value, field: &str| -> u32 {
        line[field].as_u64().and_then(|n| n.try_into().ok()).unwrap_or_else(|| panic!("no {field} in {line}"))
    };
    let points: Vec<Point> = lines
        .filter(|line| line["bench"] == "work")
        .map(|line| Point {
            kernel: line["kernel"].as_str().expect("a name").to_owned(),
            id: number(&line, "id"),
            units: number(&line, "units"),
            native_ns: line["native_ns"].as_f64().expect("a number"),
        })
        .collect();
    assert!(!points.is_empty(), "{} holds no work points", file.display());
    points
}

#[derive(Default)]
struct Curve {
    times: Figure,
    cpu: Vec<f64>,
}

fn crossover(so: &Path, points: &[Point], rounds: usize, budget: Duration, lines: &mut Lines) {
    println!("\n## Turns with work in them\n");
    println!("| kernel | units | native ns | ring ns | socket ns |\n|---|---|---|---|---|");
    let houses = WAYS.map(|(_, transport)| House::open(so, transport));
    pinned::descendants(1);
    pinned::here(0);
    let sessions = houses.each_ref().map(House::session);
    let mut curves: Vec<[Curve; WAYS.len()]> = points.iter().map(|_| Default::default()).collect();
    let mut seed = 1_u64;
    for round in 0..=rounds {
        for (point, curves) in points.iter().zip(&mut curves) {
            for (session, curve) in sessions.iter().zip(curves) {
                let (times, cpu_ns) = play(session, point, budget, &mut seed);
                if round > 0 {
                    curve.times.round(times);
                    curve.cpu.push(cpu_ns);
                }
            }
        }
    }
    for (point, curves) in points.iter().zip(curves) {
        for ((who, _), curve) in WAYS.iter().zip(&curves) {
            let (p50, p99) = (curve.times.p50(), curve.times.p99());
            let cpu = spread(curve.cpu.iter().copied());
            lines.say(&json!({
                "bench": "crossover", "kernel": point.kernel, "who": who, "core": "other", "units": point.units,
                "work_ns": point.native_ns, "batch": 1, "p50_ns": p50.median, "spread": p50.quartiles,
                "p99_ns": p99.median, "p99_spread": p99.quartiles,
                "cpu_ns": cpu.median, "cpu_spread": cpu.quartiles, "rounds": rounds,
            }));
        }
        let [ring, socket] = curves.each_ref().map(|curve| curve.times.p50().median);
        println!("| {} | {} | {:.0} | {ring:.0} | {socket:.0} |", point.kernel, point.units, point.native_ns);
    }
    drop(sessions);
    houses.into_iter().for_each(House::close);
}

/// Times of turns, and the processor time of one, in nanoseconds.
fn play(session: &Session, point: &Point, budget: Duration, seed: &mut u64) -> (Vec<u64>, f64) {
    let mut times = Vec::new();
    let cpu = cpu_time::family();
    let from = Instant::now();
    while from.elapsed() < budget || times.len() < TURNS_MIN {
        *seed = seed.wrapping_add(SEED_STEP);
        let payload = payload(point.id, point.units, *seed);
        let begin = Instant::now();
        drop(session.act(HOUSE, payload).expect("a turn"));
        times.push(begin.elapsed().as_nanos() as u64);
    }
    let cpu_ns = (cpu_time::family() - cpu).as_nanos() as f64 / times.len() as f64;
    (times, cpu_ns)
}
