//! What a turn costs beside the bare transport under it: round trips of one in flight, turns a second with many, and processor time, on the same payloads.
//!
//! ```text
//!  bare ring     two processes, croupier-ring and nothing else: bytes there, the same bytes back
//!  bare socket   two processes, a Unix socket with bincode-2 frames there and back, blocking
//!  embedded      Client ─▶ supervisor in this process ─▶ jailed worker ─▶ echo.c ─▶ back, over the ring or the socket
//!  daemon        BlockingClient ─▶ traffic socket ─▶ the same supervisor ─▶ …
//! ```
//!
//! Rounds go round over all of them, so that a slow minute of the machine hits them alike; a figure is the median over rounds of the round's own, quartiles beside it. Caller
//! and peer are pinned to two processors unless "same core" is said. `--profile N` plays N turns over the ring and measures nothing: for perf(1) and
//! callgrind. Run by `scripts/bench turn`.
#![allow(clippy::print_stdout, reason = "the figures are what it is for")]

mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use common::figures::{Figure, Row, say};
use common::{bare, pinned};
use croupier::jail::plan::Transport;
use croupier::registry::{Durability, PluginOptions};
use croupier::supervisor::{Supervisor, SupervisorConfig};
use croupier_client::blocking::Client;
use croupier_client::{OpenOptions, Player};
use croupier_tests::artifacts::{artifacts, compile, repository};
use tokio::runtime::Runtime;

/// Bytes of a payload, and round trips of one round.
const SIZES: [(usize, usize); 3] = [(64, 20_000), (1 << 10, 10_000), (64 << 10, 2_000)];
const ROUNDS: usize = 9;
const ROUNDS_QUICK: usize = 3;
/// Turns before a figure counts.
const WARM_UP: usize = 2_000;
/// Sessions over which pipelined turns go round, and turns in flight in each.
const TABLES: usize = 32;
const IN_FLIGHT: usize = 32;
const PIPELINED: usize = 200_000;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(role) = bare::role(&words) {
        return role.serve();
    }
    let quick = words.iter().any(|word| word == "--quick");
    let dir = tempfile::tempdir().expect("a directory");
    let so = dir.path().join("libecho.so");
    let home = repository().join("tests/bench/echo");
    compile(&home.join("echo.c"), &so, &["-I".to_owned(), home.display().to_string()]);
    if let Some(at) = words.iter().position(|word| word == "--profile") {
        let turns = words.get(at + 1).and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
        return profile(&so, turns);
    }
    let rounds = if quick { ROUNDS_QUICK } else { ROUNDS };
    let rows = round_trips(&so, rounds);
    say("Round trips, one in flight, caller and worker on different cores", &rows);
    say("Pipelined", &pipelined(&so, rounds));
}

/// One supervisor in this process with one worker of the echo.
struct House {
    supervisor: Supervisor,
    client: Client,
    runtime: Runtime,
    _state: tempfile::TempDir,
}

impl House {
    fn open(so: &Path, transport: Transport, durability: Durability) -> House {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let state = tempfile::tempdir().expect("a directory");
        let options = PluginOptions {
            transport: Some(transport),
            durability: Some(durability),
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

    fn session(&self) -> croupier_client::blocking::Session {
        self.client.open("echo", "{}", OpenOptions::default()).expect("a session")
    }

    fn close(self) {
        self.runtime.block_on(self.supervisor.shutdown());
    }
}

fn profile(so: &Path, turns: usize) {
    let house = House::open(so, Transport::Ring, Durability::Process);
    let session = house.session();
    let payload = vec![7; 64];
    let from = Instant::now();
    for _ in 0..turns {
        session.act(Player(0), payload.clone()).expect("a turn");
    }
    println!("{turns} turns, {:.0} ns each", from.elapsed().as_nanos() as f64 / turns as f64);
    drop(session);
    house.close();
}

/// What is measured against what.
struct Way {
    name: &'static str,
    transport: Option<Transport>,
    durability: Durability,
    /// At most so many times the bare ring, for each size.
    goals: [Option<f64>; 3],
}

const WAYS: [Way; 3] = [
    Way {
        name: "embedded, ring, no journal",
        transport: Some(Transport::Ring),
        durability: Durability::None,
        goals: [Some(1.6), None, None],
    },
    Way {
        name: "embedded, ring, `process`",
        transport: Some(Transport::Ring),
        durability: Durability::Process,
        goals: [Some(2.2), Some(2.5), Some(3.0)],
    },
    Way {
        name: "embedded, socket, `process`",
        transport: Some(Transport::Socket),
        durability: Durability::Process,
        goals: [None, None, None],
    },
];

fn round_trips(so: &Path, rounds: usize) -> Vec<Row> {
    pinned::here(0);
    let mut ring = bare::Echo::start(bare::Role::Ring, 1);
    let mut socket = bare::Echo::start(bare::Role::Socket, 1);
    let houses: Vec<House> =
        WAYS.iter().map(|way| House::open(so, way.transport.unwrap_or_default(), way.durability)).collect();
    pinned::descendants(1);
    pinned::here(0);
    let sessions: Vec<_> = houses.iter().map(House::session).collect();
    let mut rows = Vec::new();
    for (index, (bytes, count)) in SIZES.into_iter().enumerate() {
        let payload = vec![7; bytes];
        let mut figures: Vec<Figure> = (0..WAYS.len() + 2).map(|_| Figure::default()).collect();
        for round in 0..=rounds {
            // The first round warms up.
            let count = if round == 0 { WARM_UP } else { count };
            let mut measured =
                vec![times(count, || ring.call(&payload)), times(count, || socket.call(&payload))];
            for session in &sessions {
                measured.push(times(count, || {
                    session.act(Player(0), payload.clone()).expect("a turn");
                }));
            }
            if round > 0 {
                figures.iter_mut().zip(measured).for_each(|(figure, times)| figure.round(times));
            }
        }
        let bare = figures[0].p50();
        rows.push(figures[0].row(&format!("{bytes} B, bare ring"), None, bare));
        rows.push(figures[1].row(&format!("{bytes} B, bare socket"), None, bare));
        for (way, figure) in WAYS.iter().zip(&figures[2..]) {
            rows.push(figure.row(&format!("{bytes} B, {}", way.name), way.goals[index], bare));
        }
    }
    drop(sessions);
    houses.into_iter().for_each(House::close);
    rows
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

fn pipelined(so: &Path, rounds: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, transport) in [("ring", Transport::Ring), ("socket", Transport::Socket)] {
        let house = House::open(so, transport, Durability::Process);
        pinned::descendants(1);
        let sessions: Vec<_> = (0..TABLES).map(|_| house.session()).collect();
        let mut figure = Figure::default();
        for _ in 0..rounds {
            let from = Instant::now();
            let mut waiting = std::collections::VecDeque::new();
            for turn in 0..PIPELINED {
                if waiting.len() >= TABLES * IN_FLIGHT {
                    let pending: croupier_client::Pending = waiting.pop_front().expect("some wait");
                    pending.wait().expect("a turn");
                }
                let input = croupier_client::Input::Action { player: 0, payload: vec![7; 64] };
                waiting.push_back(sessions[turn % TABLES].begin(input));
            }
            for pending in waiting {
                pending.wait_for(Duration::from_secs(60)).expect("a turn");
            }
            figure.round(vec![from.elapsed().as_nanos() as u64 / PIPELINED as u64]);
        }
        rows.push(figure.row(&format!("64 B, {name}, `process`, ns a turn"), None, figure.p50()));
        drop(sessions);
        house.close();
    }
    rows
}
