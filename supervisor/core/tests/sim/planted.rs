//! The simulator finds bugs that were planted on purpose: that it finds nothing otherwise has proved nothing unless it would have.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use croupier_core::planted::{BUGS, Bug, plant};

use crate::run::{Found, one};

/// Events within which each bug must be found.
const EVENTS_MAX: u64 = 10_000_000;
/// Events of each seed.
const EVENTS_EACH: u64 = 500_000;

/// Runs seeds until one finds something. Says how many events all of them took.
fn hunt(first: u64) -> Option<(Found, u64)> {
    let mut before = 0;
    for seed in first..first + EVENTS_MAX / EVENTS_EACH {
        match one(seed, EVENTS_EACH, None) {
            Ok(sim) => before += sim.events,
            Err(found) => {
                let events = before + found.events;
                return Some((found, events));
            }
        }
    }
    None
}

/// Whether it is found, and the same seeds find nothing without it.
fn check(bug: Bug, first: u64) -> Result<String, String> {
    plant(Some(bug));
    let hunted = hunt(first);
    plant(None);
    let Some((found, events)) = hunted else {
        return Err(format!("{bug:?}: not found in {EVENTS_MAX} events"));
    };
    for seed in first..=found.seed {
        if let Err(other) = one(seed, EVENTS_EACH, None) {
            return Err(format!("{bug:?}: seed {seed} finds something without it: {}", other.what));
        }
    }
    let what: String = found.what.lines().next().unwrap_or_default().chars().take(110).collect();
    Ok(format!("{bug:?}: seed {}, found after {events} events: {what}", found.seed))
}

#[test]
fn every_planted_bug_is_found() {
    // A run that finds something panics; that is not news here.
    std::panic::set_hook(Box::new(|_| {}));
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(bug) = BUGS.get(next.fetch_add(1, Ordering::Relaxed)) {
            match check(*bug, 1) {
                Ok(line) => println!("{line}"),
                Err(line) => wrong.lock().expect("nobody panics here").push(line),
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    drop(std::panic::take_hook());
    let wrong = wrong.into_inner().expect("nobody panics here");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
