//! What a turn costs through the daemon: over its traffic socket, beside a bare echo of the same bytes over the same kind of socket; what being watched costs: the audit log, a follower of events, and an operator who
//! asks ten times a second for all that is counted; and what transcripts cost.
//!
//! ```text
//!  bare socket   two processes: bytes there, the same bytes back
//!  daemon        client ─▶ traffic socket ─▶ croupier serve ─▶ ring ─▶ jailed worker ─▶ back
//! ```
//!
//! Run by `scripts/bench --only daemon`.
#![allow(clippy::print_stdout, reason = "the figures are what it is for")]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::figures::{Figure, Goal, Lines, Spread};
use common::play::HOUSE;
use common::{bare, house, pinned, play};
use croupier_client::OpenOptions;
use croupier_client::blocking::Session;
use croupier_tests::{Daemon, Setup};
use serde_json::json;

const COMMAND: &str = "scripts/bench --only daemon";
const ROUNDS: usize = 9;
const ROUNDS_QUICK: usize = 3;
/// Round trips of one round.
const CALLS: usize = 4_000;
/// Turns of one round, sessions that they go round over, and how many are in flight in each.
const PIPELINED: usize = 60_000;
const TABLES: usize = 32;
const IN_FLIGHT: usize = 32;
/// At most so many times the bare echo, one in flight; at least so many times its rate, with many.
const ONE_GOAL: f64 = 1.3;
const MANY_GOAL: f64 = 0.6;
/// By then a daemon has written what it had still to write.
const WRITTEN: Duration = Duration::from_millis(1_500);
/// What being watched may cost of the rate.
const WATCHED_GOAL: f64 = 0.98;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(role) = bare::role(&words) {
        return role.serve();
    }
    let rounds = if words.iter().any(|word| word == "--quick") { ROUNDS_QUICK } else { ROUNDS };
    let mut lines = Lines::of(&words);
    let dir = tempfile::tempdir().expect("a directory");
    let so = house::echo(dir.path());
    println!("| what | figure | quartiles | goal |\n|---|---|---|---|");
    let without = "[transcripts]\nwrite = false\n";
    let plain = daemon(&so, &format!("[audit]\nwrite = false\n{without}"));
    let watched = daemon(&so, without);
    let recorded = daemon(&so, "");
    // The client on one processor, who answers on another, whoever it is: on one they would take turns without a wake-up.
    pinned::here(0);
    pinned::descendants(1);
    one_in_flight(&plain, rounds, &mut lines);
    many_in_flight([&plain, &watched, &recorded], rounds, &mut lines);
}

fn daemon(so: &Path, config: &str) -> Daemon {
    Setup::new().file(so).config(config).start()
}

fn tell(lines: &mut Lines, name: &str, figure: Spread, unit: &str, goal: Option<Goal>) {
    let verdict = match goal {
        Some(goal) => lines.row(name, goal, figure, unit, COMMAND),
        None => {
            let Spread { median, quartiles } = figure;
            lines.say(&json!({ "bench": "figure", "group": "Through the daemon", "name": name, "figure": median, "unit": unit, "spread": quartiles }));
            String::new()
        }
    };
    let [low, high] = figure.quartiles;
    println!("| {name} | {:.3} {unit} | {low:.3}–{high:.3} | {verdict} |", figure.median);
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

fn one_in_flight(daemon: &Daemon, rounds: usize, lines: &mut Lines) {
    let payload = [7; 64];
    let mut echo = bare::Echo::start(bare::Role::Socket, 1);
    let client = daemon.player();
    let session = client.open("echo", "{}", OpenOptions::default()).expect("a session");
    let (mut bare, mut ours) = (Figure::default(), Figure::default());
    for round in 0..=rounds {
        let there_and_back = times(CALLS, || echo.call(&payload));
        let played = times(CALLS, || drop(session.act(HOUSE, payload).expect("a turn")));
        if round > 0 {
            bare.round(there_and_back);
            ours.round(played);
        }
    }
    for (name, figure) in [("bare socket", &bare), ("daemon", &ours)] {
        let Spread { median, quartiles } = figure.p50();
        tell(
            lines,
            &format!("round trip of 64 B, {name}"),
            Spread { median: median / 1e3, quartiles: quartiles.map(|ns| ns / 1e3) },
            "µs",
            None,
        );
    }
    let name = "round trip of 64 B through the daemon";
    tell(lines, name, ours.over(&bare), "× the bare socket", Some(Goal::AtMost(ONE_GOAL)));
}

fn many_in_flight([plain, watched, recorded]: [&Daemon; 3], rounds: usize, lines: &mut Lines) {
    let payload = [7; 64];
    let mut echo = bare::Echo::start(bare::Role::Socket, 1);
    let clients = [plain, watched, recorded].map(Daemon::player);
    let open = |client: &croupier_client::blocking::Client| -> Vec<Session> {
        (0..TABLES).map(|_| client.open("echo", "{}", OpenOptions::default()).expect("a session")).collect()
    };
    let sessions = clients.each_ref().map(open);
    let follower = watched.client().events().expect("events");
    let reader = std::thread::spawn(move || follower.map_while(Result::ok).count());
    let enough = Arc::new(AtomicBool::new(false));
    let (operator, seen) = (watched.client(), enough.clone());
    let asks = std::thread::spawn(move || {
        while !seen.load(Ordering::Relaxed) {
            let _ = (operator.status(), operator.plugins(None), operator.workers());
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    let mut figures = [const { Vec::new() }; 4].map(|_: Vec<u8>| Figure::default());
    for round in 0..=rounds {
        let from = Instant::now();
        echo.stream(&payload, PIPELINED, TABLES * IN_FLIGHT);
        let bare = from.elapsed();
        // Each first in turn, and none right behind the one that still writes: who comes after another finds what that one left.
        let [mut plain, mut watched, mut recorded] = [Duration::ZERO; 3];
        let times = [&mut plain, &mut watched, &mut recorded];
        let mut each: Vec<_> = sessions.iter().zip(times).collect();
        each.rotate_left(round % sessions.len());
        for (sessions, time) in each {
            *time = pipelined(sessions);
            std::thread::sleep(WRITTEN);
        }
        let measured = [bare, plain, watched, recorded];
        if round > 0 {
            let each = |time: Duration| vec![time.as_nanos() as u64 / PIPELINED as u64];
            figures.iter_mut().zip(measured).for_each(|(figure, time)| figure.round(each(time)));
        }
    }
    enough.store(true, Ordering::Relaxed);
    let _ = asks.join();
    let [bare, ours, watched, recorded] = &figures;
    let named = [
        ("bare socket, many to a write", bare),
        ("daemon", ours),
        ("daemon, watched", watched),
        ("daemon, with transcripts", recorded),
    ];
    for (name, figure) in named {
        let Spread { median, quartiles: [low, high] } = figure.p50();
        tell(
            lines,
            &format!("turns of 64 B a second, {name}"),
            Spread { median: 1e9 / median, quartiles: [1e9 / high, 1e9 / low] },
            "turns/s",
            None,
        );
    }
    tell(
        lines,
        "pipelined turns of 64 B through the daemon",
        bare.over(ours),
        "× the bare socket",
        Some(Goal::AtLeast(MANY_GOAL)),
    );
    let name = "pipelined turns with audit log, events and ten looks a second";
    tell(lines, name, ours.over(watched), "× those without", Some(Goal::AtLeast(WATCHED_GOAL)));
    drop(reader);
}

fn pipelined(sessions: &[Session]) -> Duration {
    let from = Instant::now();
    play::many_in_flight(sessions, TABLES * IN_FLIGHT, PIPELINED, &[7; 64]);
    from.elapsed()
}
