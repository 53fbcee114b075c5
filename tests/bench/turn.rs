//! What a turn costs beside the bare transport under it: round trips of one in flight, turns a second with many, and processor time, on the same payloads.
//!
//! ```text
//!  bare ring     two processes, croupier-ring and nothing else: bytes there, the same bytes back
//!  bare socket   two processes, a Unix socket with bincode-2 frames there and back, blocking
//!  embedded      Client ─▶ supervisor in this process ─▶ jailed worker ─▶ echo.c ─▶ back, over the ring or the socket
//! ```
//!
//! Rounds go round over all of them, so that a slow minute of the machine hits them alike; a figure is the median over rounds of the round's own, quartiles beside it. Caller
//! and peer are pinned to two processors unless "same core" is said. Run by `scripts/bench --only turn`.
#![allow(clippy::print_stdout, reason = "the figures are what it is for")]

mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use common::figures::{Figure, Goal, Lines, Spread, spread};
use common::house::House;
use common::play::HOUSE;
use common::{bare, cpu_time, house, pinned, play};
use croupier::jail::plan::Transport;
use croupier::registry::Durability;
use croupier_client::blocking::Session;
use serde_json::json;

/// Bytes of a payload, and round trips of one round.
const SIZES: [(usize, usize); 3] = [(64, 20_000), (1 << 10, 10_000), (64 << 10, 2_000)];
const ROUNDS: usize = 9;
const ROUNDS_QUICK: usize = 3;
/// Round trips before the first that count.
const WARM_UP: usize = 2_000;
/// Sessions over which pipelined turns go round.
const TABLES: usize = 32;

/// Many turns at a time.
#[derive(Clone, Copy)]
struct Pipeline {
    bytes: usize,
    /// In flight in each session. All of them fit into a ring, and into a socket.
    in_flight: usize,
    turns: usize,
    /// So many times the bare ring, at least.
    ring_goal: f64,
    /// So many times the bare socket, at least, over the socket.
    socket_goal: Option<f64>,
}

const PIPELINES: [Pipeline; 2] = [
    Pipeline { bytes: 64, in_flight: 32, turns: 200_000, ring_goal: 0.65, socket_goal: Some(0.6) },
    Pipeline { bytes: 1 << 10, in_flight: 2, turns: 100_000, ring_goal: 0.4, socket_goal: None },
];
const COMMAND: &str = "scripts/bench --only turn";

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(role) = bare::role(&words) {
        return role.serve();
    }
    let dir = tempfile::tempdir().expect("a directory");
    let so = house::echo(dir.path());
    let rounds = if words.iter().any(|word| word == "--quick") { ROUNDS_QUICK } else { ROUNDS };
    let mut lines = Lines::of(&words);
    round_trips(&so, rounds, &mut lines, Cores::Other);
    round_trips(&so, rounds, &mut lines, Cores::Same);
    for pipeline in PIPELINES {
        pipelined(&so, rounds, &mut lines, pipeline);
    }
    asynchronous(&so, rounds, &mut lines);
}

fn open(so: &Path, way: Way) -> House {
    House::with(so, way.transport, way.durability)
}

/// What is measured beside the bare transports.
#[derive(Clone, Copy)]
struct Way {
    name: &'static str,
    transport: Transport,
    durability: Durability,
    /// At most so many times the bare ring, for each size.
    goals: [Option<f64>; 3],
}

/// Where caller and worker run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cores {
    Other,
    Same,
}

impl Cores {
    fn word(self) -> &'static str {
        match self {
            Cores::Other => "other",
            Cores::Same => "same",
        }
    }
}

/// At most so many times the bare ring, and the bare socket, when all run on one core.
const SAME_CORE_GOALS: [f64; 2] = [1.5, 0.7];
/// At most so many times its own median; and, of the rarest, so many times the bare ring's.
const TAIL_GOALS: [f64; 2] = [3.0, 2.0];
/// Microseconds of all processes for a turn when there are always many: of a caller who begins them, and of tasks that await one each.
const CPU_US_GOAL: f64 = 0.5;
const ASYNC_CPU_US_GOAL: f64 = 1.0;

const WAYS: [Way; 3] = [
    Way {
        name: "croupier, ring, no journal",
        transport: Transport::Ring,
        durability: Durability::None,
        goals: [Some(1.6), None, None],
    },
    Way {
        name: "croupier, ring",
        transport: Transport::Ring,
        durability: Durability::Process,
        goals: [Some(2.2), Some(2.5), Some(3.0)],
    },
    Way {
        name: "croupier, socket",
        transport: Transport::Socket,
        durability: Durability::Process,
        goals: [None, None, None],
    },
];
/// What is told to users: the defaults.
const OURS: &str = WAYS[1].name;
const BARE: [&str; 2] = ["bare croupier-ring", "bare socket"];

fn round_trips(so: &Path, rounds: usize, lines: &mut Lines, cores: Cores) {
    println!(
        "\n## Round trips, one in flight, caller and worker on {} core\n",
        match cores {
            Cores::Other => "another",
            Cores::Same => "the same",
        }
    );
    println!(
        "| what | p50 ns | quartiles | p99 | p99.9 | over 20 µs, a second | × bare ring | goal |\n|---|---|---|---|---|---|---|---|"
    );
    let mut ring = bare::Echo::start(bare::Role::Ring, 1);
    let mut socket = bare::Echo::start(bare::Role::Socket, 1);
    let houses = WAYS.map(|way| open(so, way));
    pinned::descendants(if cores == Cores::Other { 1 } else { 0 });
    pinned::here(0);
    let sessions: Vec<Session> = houses.iter().map(House::session).collect();
    let sizes = if cores == Cores::Other { &SIZES[..] } else { &SIZES[..1] };
    for (index, (bytes, count)) in sizes.iter().copied().enumerate() {
        let payload = vec![7; bytes];
        let mut figures: Vec<Figure> = (0..BARE.len() + WAYS.len()).map(|_| Figure::default()).collect();
        for round in 0..=rounds {
            // The first one warms up.
            let count = if round == 0 { WARM_UP } else { count };
            let mut measured =
                vec![times(count, || ring.call(&payload)), times(count, || socket.call(&payload))];
            measured.extend(
                sessions.iter().map(|session| {
                    times(count, || drop(session.act(HOUSE, payload.clone()).expect("a turn")))
                }),
            );
            if round > 0 {
                figures.iter_mut().zip(measured).for_each(|(figure, times)| figure.round(times));
            }
        }
        let names = BARE.into_iter().chain(WAYS.iter().map(|way| way.name));
        let goals = [None, None].into_iter().chain(WAYS.iter().map(|way| match cores {
            Cores::Other => way.goals[index],
            Cores::Same => (way.name == OURS).then_some(SAME_CORE_GOALS[0]),
        }));
        for ((name, goal), figure) in names.zip(goals).zip(&figures) {
            tell(lines, name, bytes, cores, figure, figure.over(&figures[0]), goal);
        }
        let ours = &figures[BARE.len() + 1];
        if cores == Cores::Same {
            let row = format!("round trip of {bytes} B on one core, {OURS}, beside the socket");
            say(lines, &row, Goal::AtMost(SAME_CORE_GOALS[1]), ours.over(&figures[1]), "× the bare socket");
        } else if index == 0 {
            let row = format!("p99 of a round trip of {bytes} B, {OURS}");
            say(lines, &row, Goal::AtMost(TAIL_GOALS[0]), ours.p99_over_p50(), "× its own median");
            let row = format!("p99.9 of a round trip of {bytes} B, {OURS}");
            let ratio = ours.p999_over(&figures[0]);
            say(lines, &row, Goal::AtMost(TAIL_GOALS[1]), ratio, "× that of the bare ring");
        }
    }
    drop(sessions);
    houses.into_iter().for_each(House::close);
}

/// A figure that is no line of the table.
fn say(lines: &mut Lines, row: &str, goal: Goal, figure: Spread, unit: &str) {
    let verdict = lines.row(row, goal, figure, unit, COMMAND);
    println!("{row}: {:.2} {unit}, {verdict}", figure.median);
}

fn tell(
    lines: &mut Lines,
    name: &str,
    bytes: usize,
    cores: Cores,
    figure: &Figure,
    ratio: Spread,
    goal: Option<f64>,
) {
    let (p50, p99, p999) = (figure.p50(), figure.p99(), figure.p999());
    let on = if cores == Cores::Same { " on one core" } else { "" };
    let row = format!("round trip of {bytes} B{on}, {name}");
    let verdict = goal
        .map(|goal| lines.row(&row, Goal::AtMost(goal), ratio, "× the bare ring", COMMAND))
        .unwrap_or_default();
    println!(
        "| {bytes} B, {name} | {:.0} | {:.0}–{:.0} | {:.0} | {:.0} | {:.0} | {:.2} | {verdict} |",
        p50.median,
        p50.quartiles[0],
        p50.quartiles[1],
        p99.median,
        p999.median,
        figure.stalls_per_s(),
        ratio.median
    );
    lines.say(
        &json!({ "bench": "rtt", "who": name, "core": cores.word(), "size": bytes, "mode": "one in flight",
        "p50_ns": p50.median, "p99_ns": p99.median, "p999_ns": p999.median, "stalls_per_s": figure.stalls_per_s(), "spread": p50.quartiles,
        "curve": figure.curve() }),
    );
}

fn times(count: usize, mut call: impl FnMut()) -> Vec<u64> {
    (0..count)
        .map(|_| {
            let from = Instant::now();
            call();
            from.elapsed().as_nanos() as u64
        })
        .collect()
}

fn pipelined(so: &Path, rounds: usize, lines: &mut Lines, pipeline: Pipeline) {
    let Pipeline { bytes, in_flight, turns, ring_goal, socket_goal } = pipeline;
    println!("\n## Pipelined: {bytes} B, {TABLES} sessions with {in_flight} turns in flight each\n");
    println!("| what | turns/s | quartiles | goal |\n|---|---|---|---|");
    let payload = vec![7; bytes];
    let mut bare = [bare::Role::Ring, bare::Role::Socket].map(|role| bare::Echo::start(role, 1));
    let ways = &WAYS[1..];
    let houses: Vec<House> = ways.iter().map(|way| open(so, *way)).collect();
    pinned::descendants(1);
    pinned::here(0);
    let sessions: Vec<Vec<Session>> =
        houses.iter().map(|house| (0..TABLES).map(|_| house.session()).collect()).collect();
    let mut figures: Vec<Figure> = (0..bare.len() + ways.len()).map(|_| Figure::default()).collect();
    let mut cpu_us = Vec::new();
    for round in 0..=rounds {
        let mut measured: Vec<Duration> = bare
            .iter_mut()
            .map(|bare| {
                let from = Instant::now();
                bare.stream(&payload, turns, TABLES * in_flight);
                from.elapsed()
            })
            .collect();
        for (way, sessions) in ways.iter().zip(&sessions) {
            let cpu = cpu_time::family();
            let from = Instant::now();
            play::many_in_flight(sessions, TABLES * in_flight, turns, &payload);
            measured.push(from.elapsed());
            if round > 0 && way.name == OURS {
                cpu_us.push((cpu_time::family() - cpu).as_nanos() as f64 / 1e3 / turns as f64);
            }
        }
        if round > 0 {
            let each = |time: Duration| vec![time.as_nanos() as u64 / turns as u64];
            figures.iter_mut().zip(measured).for_each(|(figure, time)| figure.round(each(time)));
        }
    }
    let names = BARE.into_iter().chain(ways.iter().map(|way| way.name));
    for (name, figure) in names.zip(&figures) {
        let ns = figure.p50();
        let per_s = |ns: f64| 1e9 / ns;
        let spread = [per_s(ns.quartiles[1]), per_s(ns.quartiles[0])];
        let goal = match name {
            OURS => Some((ring_goal, &figures[0], "× the bare ring")),
            _ if name == WAYS[2].name => socket_goal.map(|goal| (goal, &figures[1], "× the bare socket")),
            _ => None,
        };
        let row = format!("pipelined turns of {bytes} B, {name}");
        let verdict = goal
            .map(|(goal, bare, unit)| lines.row(&row, Goal::AtLeast(goal), bare.over(figure), unit, COMMAND));
        let verdict = verdict.unwrap_or_default();
        println!("| {name} | {:.0} | {:.0}–{:.0} | {verdict} |", per_s(ns.median), spread[0], spread[1]);
        lines.say(&json!({ "bench": "throughput", "who": name, "core": "other", "size": bytes,
            "window": TABLES * in_flight, "calls_per_s": per_s(ns.median), "spread": spread }));
    }
    if bytes == PIPELINES[0].bytes {
        let row = format!("processor time of a turn of {bytes} B, all processes, pipelined, {OURS}");
        say(lines, &row, Goal::AtMost(CPU_US_GOAL), spread(cpu_us.into_iter()), "µs");
    }
    drop(sessions);
    houses.into_iter().for_each(House::close);
}

/// As many tasks as there were turns in flight, each of which awaits one turn after the other.
fn asynchronous(so: &Path, rounds: usize, lines: &mut Lines) {
    pinned::nowhere();
    let Pipeline { bytes, in_flight, turns, .. } = PIPELINES[0];
    let house = open(so, WAYS[1]);
    let sessions: Vec<croupier_client::Session> = (0..TABLES).map(|_| house.async_session()).collect();
    let each = turns / (TABLES * in_flight);
    let (mut cpu_us, mut per_s) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        let (from, cpu) = (Instant::now(), cpu_time::family());
        house.block_on(play::tasks(&sessions, in_flight, each, &[7; PIPELINES[0].bytes]));
        if round > 0 {
            let played = (each * TABLES * in_flight) as f64;
            cpu_us.push((cpu_time::family() - cpu).as_nanos() as f64 / 1e3 / played);
            per_s.push(played / from.elapsed().as_secs_f64());
        }
    }
    println!("\n{} tasks: {:.0} turns/s", TABLES * in_flight, spread(per_s.into_iter()).median);
    let row =
        format!("processor time of a turn of {bytes} B, all processes, {} tasks, {OURS}", TABLES * in_flight);
    say(lines, &row, Goal::AtMost(ASYNC_CPU_US_GOAL), spread(cpu_us.into_iter()), "µs");
    drop(sessions);
    house.close();
}
