//! Plays turns and measures nothing: something for `perf` and `callgrind` to look at. What came of looking is told in `docs/PERFORMANCE.md`.
//!
//! ```text
//!  cargo bench -p croupier-tests --bench profile -- one 1000000            one in flight, one session
//!                                                -- one 1000000 10000      … over so many sessions in turn
//!                                                -- pipelined 1000000      one caller with 1,024 in flight, over 32 sessions
//!                                                -- tasks 1000000          1,024 tasks that await one turn each, over 32 sessions
//!                                                -- callers 1000000 1000   so many threads, each with a session
//! ```
//!
//! Its caller is pinned to one processor and the worker to another, except with tasks and callers.
#![allow(clippy::print_stdout, reason = "the figure is what it is for")]

mod common;

use std::time::Instant;

use common::house::House;
use common::{cpu_time, house, pinned, play};
use croupier::jail::plan::Transport;
use croupier_client::blocking::Session;

/// What can be played.
const WHATS: [&str; 4] = ["one", "pipelined", "tasks", "callers"];
const TURNS: usize = 1_000_000;
const PAYLOAD: &[u8] = &[7; 64];
/// Sessions, and turns in flight in each, when there are many.
const TABLES: usize = 32;
const IN_FLIGHT: usize = 32;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let number = |at: usize, default| words.get(at).and_then(|word| word.parse().ok()).unwrap_or(default);
    let turns = number(1, TURNS);
    let Some(what) = words.first().map(String::as_str).filter(|what| WHATS.contains(what)) else {
        // `cargo bench` without words runs every bench.
        println!("profile: what? {} [TURNS] [SESSIONS]", WHATS.join("|"));
        return;
    };
    let dir = tempfile::tempdir().expect("a directory");
    let so = house::echo(dir.path());
    let house = House::open(&so, Transport::Ring);
    let open = |count| -> Vec<Session> { (0..count).map(|_| house.session()).collect() };
    match what {
        "one" => {
            let sessions = open(number(2, 1));
            pinned::descendants(1);
            pinned::here(0);
            timed(turns, || play::one_by_one(&sessions, 0, turns, PAYLOAD));
        }
        "pipelined" => {
            let sessions = open(TABLES);
            pinned::descendants(1);
            pinned::here(0);
            timed(turns, || play::many_in_flight(&sessions, TABLES * IN_FLIGHT, turns, PAYLOAD));
        }
        "tasks" => {
            let sessions: Vec<_> = (0..TABLES).map(|_| house.async_session()).collect();
            let each = (turns / (TABLES * IN_FLIGHT)).max(1);
            timed(each * TABLES * IN_FLIGHT, || {
                house.block_on(play::tasks(&sessions, IN_FLIGHT, each, PAYLOAD))
            });
        }
        _ => {
            let sessions = open(number(2, 1_000));
            let each = (turns / sessions.len()).max(1);
            timed(each * sessions.len(), || play::callers(&sessions, each, PAYLOAD));
        }
    }
    house.close();
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
