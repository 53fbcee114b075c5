//! Plays turns and measures nothing: something for `perf` and `callgrind` to look at. What came of looking is told in `docs/PERFORMANCE.md`.
//!
//! ```text
//!  cargo bench -p croupier-tests --bench profile -- one 1000000                     one in flight, one session
//!                                                -- one 1000000 sessions=10000      … over so many sessions in turn
//!                                                -- shared 1000000                  one in flight, all on one processor
//!                                                -- pipelined 1000000               one caller with 1,024 in flight, over 32 sessions
//!                                                -- daemon 1000000                  the same through the socket of `croupier serve`
//!                                                -- tasks 1000000                   1,024 tasks that await one turn each, over 32 sessions
//!                                                -- callers 1000000 sessions=1000   so many threads, each with a session
//!                                                -- restored 100 sessions=1000      its worker killed so often, and so many tables of craps restored, with some rolls each
//!                                                -- loads 200                       a plugin loaded so often, a session of it opened, its first turn played; where the time goes
//! ```
//!
//! `bytes=1024` makes payloads longer than 64 bytes, `transport=socket` does without the ring, `snapshot_turns=1` takes a snapshot after each roll. Its caller is pinned to one processor and the worker to another, except where it says otherwise, and with tasks, callers and deaths.
#![allow(clippy::print_stdout, reason = "the figure is what it is for")]

mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use common::house::House;
use common::{cpu_time, house, pinned, play};
use croupier::jail::plan::Transport;
use croupier::registry::{Durability, PluginOptions};
use croupier::supervisor::SupervisorConfig;
use croupier_client::blocking::Session;
use croupier_client::{LiveSessions, OpenOptions, Player, Push, What};
use croupier_tests::Setup;
use croupier_tests::artifacts::{Plugin, dice_copy};
use rustix::process::{Pid, Signal, kill_process};

/// What can be played.
const WHATS: [&str; 8] = ["one", "shared", "pipelined", "daemon", "tasks", "callers", "restored", "loads"];
const TURNS: usize = 1_000_000;
const KILLS: usize = 100;
const LOADS: usize = 200;
/// So that a worker is made ahead again, as when somebody loads one plugin after the other.
const LOADS_APART: Duration = Duration::from_millis(20);
/// Rolls at each table before the first death; by default snapshots lie behind most of them.
const ROLLS: usize = 136;
/// Sessions, and turns in flight in each, when there are many.
const TABLES: usize = 32;
const IN_FLIGHT: usize = 32;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let turns = words.get(1).and_then(|word| word.parse().ok());
    let option = |name: &str| words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    let number = |name: &str| option(name).map(|value| value.parse().expect("a number"));
    let count = |default| number("sessions").unwrap_or(default);
    let payload: &'static [u8] = vec![7; number("bytes").unwrap_or(64)].leak();
    let Some(what) = words.first().map(String::as_str).filter(|what| WHATS.contains(what)) else {
        // `cargo bench` without words runs every bench.
        println!("profile: what? {} [TURNS] [sessions=N] [bytes=N] …", WHATS.join("|"));
        return;
    };
    let kills = turns.unwrap_or(KILLS).max(1);
    let times = turns.unwrap_or(LOADS).max(1);
    let turns = turns.unwrap_or(TURNS);
    if what == "shared" {
        // And so do all threads and processes from now on.
        pinned::here(0);
    }
    let dir = tempfile::tempdir().expect("a directory");
    if what == "daemon" {
        return through_a_daemon(&house::echo(dir.path()), turns, payload);
    }
    let so = if what == "restored" { Plugin::Craps.file() } else { house::echo(dir.path()) };
    let options = PluginOptions {
        transport: Some(match option("transport") {
            Some("socket") => Transport::Socket,
            _ => Transport::Ring,
        }),
        durability: Some(Durability::Process),
        snapshot_turns: number("snapshot_turns").map(|turns| turns as u64),
        ..PluginOptions::default()
    };
    let house = House::build_with(&so, options, SupervisorConfig::new());
    let open = |count| -> Vec<Session> { (0..count).map(|_| house.session()).collect() };
    match what {
        "one" | "shared" => {
            let sessions = open(count(1));
            pinned::descendants(usize::from(what == "one"));
            pinned::here(0);
            timed(turns, || play::one_by_one(&sessions, 0, turns, payload));
        }
        "pipelined" => {
            let sessions = open(TABLES);
            pinned::descendants(1);
            pinned::here(0);
            timed(turns, || play::many_in_flight(&sessions, TABLES * IN_FLIGHT, turns, payload));
        }
        "tasks" => {
            let sessions: Vec<_> = (0..TABLES).map(|_| house.async_session()).collect();
            let each = (turns / (TABLES * IN_FLIGHT)).max(1);
            timed(each * TABLES * IN_FLIGHT, || {
                house.block_on(play::tasks(&sessions, IN_FLIGHT, each, payload))
            });
        }
        "loads" => loads(&house, &dice_copy(0, dir.path()), times),
        "restored" => {
            let sessions = open(count(1_000));
            sessions.iter().for_each(sit_down);
            restored(&house, sessions.len(), kills);
        }
        _ => {
            let sessions = open(count(1_000));
            let each = (turns / sessions.len()).max(1);
            timed(each * sessions.len(), || play::callers(&sessions, each, payload));
        }
    }
    house.close();
}

/// Without transcripts and audit log; whatever serves is on one processor.
fn through_a_daemon(so: &Path, turns: usize, payload: &[u8]) {
    let daemon =
        Setup::new().file(so).config("[transcripts]\nwrite = false\n[audit]\nwrite = false\n").start();
    let client = daemon.player();
    let open = |_| client.open("echo", "{}", OpenOptions::default()).expect("a session");
    let sessions: Vec<Session> = (0..TABLES).map(open).collect();
    pinned::here(0);
    pinned::descendants(1);
    timed(turns, || play::many_in_flight(&sessions, TABLES * IN_FLIGHT, turns, payload));
}

/// Plays a table for a while.
fn sit_down(table: &Session) {
    table.join(Player(1), r#"{"bankroll":1000000000}"#).expect("a seat");
    table.act(Player(1), r#"{"standing":[{"kind":"pass","amount":10}]}"#).expect("a bet");
    for _ in 0..ROLLS {
        table.act(Player(1), r#"{"roll":true}"#).expect("a roll");
    }
}

/// Loads a plugin whose copy is kept already, opens a session, plays a turn, and unloads it; again and again. Prints medians.
fn loads(house: &House, file: &Path, times: usize) {
    const PARTS: [&str; 4] = ["load", "open", "turn", "its file read, checked, hashed and sealed, by itself"];
    let mut all: [Vec<Duration>; PARTS.len()] = Default::default();
    for round in 0..=times {
        std::thread::sleep(LOADS_APART);
        let mut parts = Vec::new();
        let mut from = Instant::now();
        let mut part = || parts.push(std::mem::replace(&mut from, Instant::now()).elapsed());
        house.load(file);
        part();
        let table = house.client().open("copy000", "{}", OpenOptions::default()).expect("a table");
        part();
        table.join(Player(1), "{}").expect("a seat");
        part();
        drop(table);
        house.client().unload("copy000", LiveSessions::Close).expect("it goes");
        // As cold as the load was.
        std::thread::sleep(LOADS_APART);
        let from = Instant::now();
        drop(croupier::registry::Plugin::load(file, |_| PluginOptions::default()).expect("a plugin"));
        parts.push(from.elapsed());
        if round > 0 {
            all.iter_mut().zip(parts).for_each(|(all, part)| all.push(part));
        }
    }
    for (part, mut all) in PARTS.into_iter().zip(all) {
        all.sort();
        println!("{:8.3} ms  {part}", all[all.len() / 2].as_secs_f64() * 1e3);
    }
}

/// Kills the worker, and waits until all sessions are in the next one; again and again.
fn restored(house: &House, sessions: usize, kills: usize) {
    let (mut all, mut own, mut workers, mut replays) = (Duration::ZERO, Duration::ZERO, Duration::ZERO, 0);
    for _ in 0..kills {
        let pid = house.serving(sessions);
        let mut events = house.client().events().expect("events");
        let (from, before) = (Instant::now(), cpu_time::own());
        kill_process(Pid::from_raw(pid as i32).expect("a process id"), Signal::KILL).expect("our worker");
        let mut back = 0;
        while back < sessions {
            let push =
                events.wait_next_until(from + Duration::from_secs(60)).expect("they come back in time");
            let Push::Event(event) = push.expect("more").expect("an event") else { continue };
            if let What::SessionRestored { replayed, .. } = event.what {
                (back, replays) = (back + 1, replays + replayed);
            }
        }
        all += from.elapsed();
        own += cpu_time::own() - before;
        workers += cpu_time::process(house.serving(sessions));
    }
    let each = |time: Duration| time.as_secs_f64() * 1e3 / kills as f64;
    println!(
        "{kills} deaths of {sessions} sessions, {} turns played again after each; {:.1} ms until all were back; processor time: {:.1} ms here, {:.1} ms in the worker since its start",
        replays / kills as u64,
        each(all),
        each(own),
        each(workers)
    );
}

/// For orientation.
fn timed(turns: usize, play: impl FnOnce()) {
    let (from, cpu) = (Instant::now(), cpu_time::family());
    play();
    let each = |time: std::time::Duration| time.as_nanos() as f64 / turns as f64;
    println!(
        "{turns} turns, {:.0} ns each, {:.0} ns of processor time",
        each(from.elapsed()),
        each(cpu_time::family() - cpu)
    );
}
