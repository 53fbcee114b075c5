//! What a turn costs beside the bare transport under it: round trips of one in flight, turns a second with many, and processor time, on the same payloads.
//!
//! ```text
//!  bare ring     two processes, croupier-ring and nothing else: bytes there, the same bytes back
//!  bare socket   two processes, a Unix socket with bincode-2 frames there and back, blocking
//!  embedded      Client ─▶ supervisor in this process ─▶ jailed worker ─▶ echo.c ─▶ back, over the ring or the socket
//! ```
//!
//! Rounds go round over all of them, so that a slow minute of the machine hits them alike; a figure is the median over rounds of the round's own, quartiles beside it. Caller
//! and peer are pinned to two processors unless "same core" is said. `--profile N` plays N turns over the ring and measures nothing: for perf(1) and
//! callgrind. Run by `scripts/bench turn`.
#![allow(clippy::print_stdout, reason = "the figures are what it is for")]

mod common;

use std::collections::VecDeque;
use std::path::Path;
use std::time::{Duration, Instant};

use common::figures::{Figure, Goal, Lines};
use common::{bare, pinned};
use croupier::jail::plan::Transport;
use croupier::registry::{Durability, PluginOptions};
use croupier::supervisor::{Supervisor, SupervisorConfig};
use croupier_client::blocking::{Client, Session};
use croupier_client::{Input, OpenOptions, Pending, Player};
use croupier_tests::artifacts::{artifacts, compile, repository};
use serde_json::json;
use tokio::runtime::Runtime;

/// Bytes of a payload, and round trips of one round.
const SIZES: [(usize, usize); 3] = [(64, 20_000), (1 << 10, 10_000), (64 << 10, 2_000)];
const ROUNDS: usize = 9;
const ROUNDS_QUICK: usize = 3;
/// Round trips before the first that count.
const WARM_UP: usize = 2_000;
/// Sessions over which pipelined turns go round, and turns in flight in each.
const TABLES: usize = 32;
const IN_FLIGHT: usize = 32;
const PIPELINED: usize = 200_000;
const COMMAND: &str = "scripts/bench --only turn";
/// The table itself: it needs no seat.
const HOUSE: Player = Player(0);

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(role) = bare::role(&words) {
        return role.serve();
    }
    let dir = tempfile::tempdir().expect("a directory");
    let so = dir.path().join("libecho.so");
    let home = repository().join("tests/bench/echo");
    compile(&home.join("echo.c"), &so, &["-I".to_owned(), home.display().to_string()]);
    if let Some(at) = words.iter().position(|word| word == "--profile") {
        let turns = words.get(at + 1).and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
        return profile(&so, turns);
    }
    let rounds = if words.iter().any(|word| word == "--quick") { ROUNDS_QUICK } else { ROUNDS };
    let mut lines = Lines::of(&words);
    round_trips(&so, rounds, &mut lines);
    pipelined(&so, rounds, &mut lines);
}

/// One supervisor in this process with one worker of the echo.
struct House {
    supervisor: Supervisor,
    client: Client,
    runtime: Runtime,
    _state: tempfile::TempDir,
}

impl House {
    fn open(so: &Path, way: Way) -> House {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let state = tempfile::tempdir().expect("a directory");
        let options = PluginOptions {
            transport: Some(way.transport),
            durability: Some(way.durability),
            ..PluginOptions::default()
        };
        let config = SupervisorConfig::new()
            .worker_binary(artifacts().worker())
            .state_dir(state.path())
            .plugin("echo", options);
        let supervisor = Supervisor::start(config, runtime.handle().clone()).expect("a supervisor");
        runtime.block_on(supervisor.load(so)).expect("the echo loads");
        let client = Client::embedded(supervisor.backend());
        House { supervisor, client, runtime, _state: state }
    }

    fn session(&self) -> Session {
        self.client.open("echo", "{}", OpenOptions::default()).expect("a session")
    }

    fn close(self) {
        self.runtime.block_on(self.supervisor.shutdown());
    }
}

fn profile(so: &Path, turns: usize) {
    let house = House::open(so, WAYS[1]);
    let session = house.session();
    let payload = vec![7; 64];
    let from = Instant::now();
    for _ in 0..turns {
        session.act(HOUSE, payload.clone()).expect("a turn");
    }
    println!("{turns} turns, {:.0} ns each", from.elapsed().as_nanos() as f64 / turns as f64);
    drop(session);
    house.close();
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
const BARE: [&str; 2] = ["bare croupier-ring", "bare socket"];

fn round_trips(so: &Path, rounds: usize, lines: &mut Lines) {
    println!("\n## Round trips, one in flight, caller and worker on different cores\n");
    println!(
        "| what | p50 ns | quartiles | p99 | p99.9 | × bare ring | goal |\n|---|---|---|---|---|---|---|"
    );
    let mut ring = bare::Echo::start(bare::Role::Ring, 1);
    let mut socket = bare::Echo::start(bare::Role::Socket, 1);
    let houses = WAYS.map(|way| House::open(so, way));
    pinned::descendants(1);
    pinned::here(0);
    let sessions: Vec<Session> = houses.iter().map(House::session).collect();
    for (index, (bytes, count)) in SIZES.into_iter().enumerate() {
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
        let goals = [None, None].into_iter().chain(WAYS.iter().map(|way| way.goals[index]));
        for ((name, goal), figure) in names.zip(goals).zip(&figures) {
            tell(lines, name, bytes, figure, figure.over(&figures[0]), goal);
        }
    }
    drop(sessions);
    houses.into_iter().for_each(House::close);
}

fn tell(
    lines: &mut Lines,
    name: &str,
    bytes: usize,
    figure: &Figure,
    ratio: common::figures::Spread,
    goal: Option<f64>,
) {
    let (p50, p99, p999) = (figure.p50(), figure.p99(), figure.p999());
    let row = format!("round trip of {bytes} B, {name}");
    let verdict = goal
        .map(|goal| lines.row(&row, Goal::AtMost(goal), ratio, "× the bare ring", COMMAND))
        .unwrap_or_default();
    println!(
        "| {bytes} B, {name} | {:.0} | {:.0}–{:.0} | {:.0} | {:.0} | {:.2} | {verdict} |",
        p50.median, p50.quartiles[0], p50.quartiles[1], p99.median, p999.median, ratio.median
    );
    lines.say(&json!({ "bench": "rtt", "who": name, "core": "other", "size": bytes, "mode": "one in flight",
        "p50_ns": p50.median, "p99_ns": p99.median, "p999_ns": p999.median, "spread": p50.quartiles }));
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

fn pipelined(so: &Path, rounds: usize, lines: &mut Lines) {
    println!("\n## Pipelined: 64 B, {TABLES} sessions with {IN_FLIGHT} turns in flight each\n");
    println!("| what | turns/s | quartiles | goal |\n|---|---|---|---|");
    let payload = vec![7; 64];
    let mut bare = bare::Echo::start(bare::Role::Ring, 1);
    let ways = &WAYS[1..];
    let houses: Vec<House> = ways.iter().map(|way| House::open(so, *way)).collect();
    pinned::descendants(1);
    pinned::here(0);
    let sessions: Vec<Vec<Session>> =
        houses.iter().map(|house| (0..TABLES).map(|_| house.session()).collect()).collect();
    let mut figures: Vec<Figure> = (0..=ways.len()).map(|_| Figure::default()).collect();
    for round in 0..=rounds {
        let from = Instant::now();
        bare.stream(&payload, PIPELINED, TABLES * IN_FLIGHT);
        let mut measured = vec![from.elapsed()];
        measured.extend(sessions.iter().map(|sessions| play_pipelined(sessions)));
        if round > 0 {
            let each = |time: Duration| vec![time.as_nanos() as u64 / PIPELINED as u64];
            figures.iter_mut().zip(measured).for_each(|(figure, time)| figure.round(each(time)));
        }
    }
    let names = [BARE[0]].into_iter().chain(ways.iter().map(|way| way.name));
    for (name, figure) in names.zip(&figures) {
        let ns = figure.p50();
        let per_s = |ns: f64| 1e9 / ns;
        let spread = [per_s(ns.quartiles[1]), per_s(ns.quartiles[0])];
        let verdict = if name == WAYS[1].name {
            let row = format!("pipelined turns of 64 B, {name}");
            lines.row(&row, Goal::AtLeast(0.65), figures[0].over(figure), "× the bare ring", COMMAND)
        } else {
            String::new()
        };
        println!("| {name} | {:.0} | {:.0}–{:.0} | {verdict} |", per_s(ns.median), spread[0], spread[1]);
        lines.say(&json!({ "bench": "throughput", "who": name, "core": "other", "size": 64,
            "window": TABLES * IN_FLIGHT, "calls_per_s": per_s(ns.median), "spread": spread }));
    }
    drop(sessions);
    houses.into_iter().for_each(House::close);
}

fn play_pipelined(sessions: &[Session]) -> Duration {
    let from = Instant::now();
    let mut waiting: VecDeque<Pending> = VecDeque::new();
    for turn in 0..PIPELINED {
        if waiting.len() >= TABLES * IN_FLIGHT {
            waiting.pop_front().expect("some wait").wait().expect("a turn");
        }
        let input = Input::Action { player: HOUSE.0, payload: vec![7; 64] };
        waiting.push_back(sessions[turn % TABLES].begin(input));
    }
    for pending in waiting {
        pending.wait_for(Duration::from_secs(60)).expect("a turn");
    }
    from.elapsed()
}
