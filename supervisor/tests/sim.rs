//! The core's simulator on a disk that holds entries as the journal writes them: whatever a loss of power leaves of the last one, nothing is made of it.
//!
//! The simulator itself is the core's: `supervisor/core/tests/sim`. The database under the entries has tests of its own: `supervisor/src/journal/tests`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "what was found, and how soon")]
#![allow(dead_code, unused_imports, reason = "of the simulator only a part is used here")]

#[path = "../core/tests/sim/book.rs"]
mod book;
#[path = "../core/tests/sim/client.rs"]
mod client;
#[path = "../core/tests/sim/clock.rs"]
mod clock;
#[path = "../core/tests/sim/coverage.rs"]
mod coverage;
#[path = "../core/tests/sim/disk.rs"]
mod disk;
#[path = "../core/tests/core/fake.rs"]
mod fake;
#[path = "../core/tests/sim/labour.rs"]
mod labour;
#[path = "../core/tests/sim/lies.rs"]
mod lies;
#[path = "../core/tests/core/on_disk.rs"]
mod on_disk;
#[path = "../core/tests/sim/people.rs"]
mod people;
#[path = "../core/tests/sim/perform.rs"]
mod perform;
#[path = "../core/tests/sim/quiet.rs"]
mod quiet;
#[path = "../core/tests/sim/run.rs"]
mod run;
#[path = "../core/tests/sim/sim.rs"]
mod sim;
#[path = "../core/tests/sim/station.rs"]
mod station;
#[path = "../core/tests/sim/story.rs"]
mod story;
#[path = "../core/tests/sim/supervisor.rs"]
mod supervisor;
#[path = "../core/tests/sim/unreachable.rs"]
mod unreachable;
#[path = "../core/tests/sim/weather.rs"]
mod weather;

use croupier::journal::format::{seal_entry, unseal_entry};
use disk::Codec;

/// As shipped.
const CODEC: Codec = Codec {
    seal: |place, change| seal_entry(place, change).expect("it can be encoded"),
    unseal: |place, bytes| unseal_entry(place, bytes).ok(),
};
/// Events of each seed.
const EVENTS_EACH: u64 = 100_000;
/// Seeds in which nothing must be found.
const SEEDS: u64 = 2;
/// Entries that must have been torn in them, at least.
const TORN_MIN: u64 = 5;
/// Events within which the planted bug must be found.
const EVENTS_MAX: u64 = 10_000_000;

#[cfg(not(feature = "planted"))]
#[test]
fn nothing_is_made_of_a_torn_entry() {
    let mut torn = 0;
    for seed in 1..=SEEDS {
        match run::one(seed, EVENTS_EACH, Some(CODEC)) {
            Ok(sim) => torn += sim.disk.torn,
            Err(found) => panic!("seed {seed} found this with event {}: {}", found.events, found.what),
        }
    }
    println!("{torn} entries were torn");
    assert!(torn >= TORN_MIN, "only {torn} entries were torn");
}

#[cfg(feature = "planted")]
#[test]
fn a_torn_entry_that_is_believed_is_found_out() {
    use croupier_core::planted::{Bug, plant};
    std::panic::set_hook(Box::new(|_| {}));
    plant(Some(Bug::TornTailAccepted));
    let mut before = 0;
    let found =
        (1..=EVENTS_MAX / EVENTS_EACH).find_map(|seed| match run::one(seed, EVENTS_EACH, Some(CODEC)) {
            Ok(sim) => {
                before += sim.events;
                None
            }
            Err(found) => Some(found),
        });
    plant(None);
    let found = found.expect("the bug is found");
    let events = before + found.events;
    println!("TornTailAccepted: seed {}, found after {events} events: {}", found.seed, found.what);
    for seed in 1..=found.seed {
        let other = run::one(seed, EVENTS_EACH, Some(CODEC)).err().map(|other| other.what);
        assert_eq!(other, None, "seed {seed} finds something without it");
    }
    drop(std::panic::take_hook());
}
