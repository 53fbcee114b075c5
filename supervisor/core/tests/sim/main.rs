//! The simulator: the core for millions of events among made-up workers, links, disks, clients and operators, all from one seed.
//!
//! ```text
//!  CROUPIER_SIM_SEED=7 CROUPIER_SIM_EVENTS=500000 cargo test -p croupier-core --profile sim --test sim -- --nocapture
//! ```
//!
//! The same seed and number of events give the same run, event for event. See ARCHITECTURE.md, "The simulator".
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "coverage and figures are what it is for")]
#![allow(dead_code, reason = "of the made-up worker and disk only a part is used here")]

mod book;
mod client;
mod clock;
mod coverage;
mod disk;
#[path = "../core/fake.rs"]
mod fake;
mod labour;
mod lies;
#[path = "../core/on_disk.rs"]
mod on_disk;
mod people;
mod perform;
#[cfg(feature = "planted")]
mod planted;
mod quiet;
mod run;
mod sim;
mod station;
mod story;
mod supervisor;
mod unreachable;
mod weather;

/// Events of each seed, unless the environment says otherwise.
const EVENTS_EACH: u64 = 500_000;
/// Events of a short run, which every plain `cargo test` makes.
const EVENTS_SHORT: u64 = 60_000;

#[cfg(not(feature = "planted"))]
#[test]
fn nothing_is_lost_whatever_dies() {
    use run::number;
    let events = number("CROUPIER_SIM_EVENTS").unwrap_or(EVENTS_SHORT);
    let each = if number("CROUPIER_SIM_SEED").is_some() { events } else { EVENTS_EACH };
    let first = number("CROUPIER_SIM_SEED").or(number("CROUPIER_SIM_FIRST")).unwrap_or(1);
    run::many(first, events, each);
}
