//! The storms find bugs that were planted on purpose: a storm that finds nothing has proved nothing unless it would have.
#![allow(clippy::print_stdout, reason = "what was found, and how soon")]
#![allow(dead_code, unused_imports, reason = "of the made-up world only the storms are used here")]

#[path = "core/checks.rs"]
mod checks;
#[path = "core/disk.rs"]
mod disk;
#[path = "core/fake.rs"]
mod fake;
#[path = "core/hostile.rs"]
mod hostile;
#[path = "core/on_disk.rs"]
mod on_disk;
#[path = "core/storm.rs"]
mod storm;
#[path = "core/weather.rs"]
mod weather;
#[path = "core/world.rs"]
mod world;

use std::sync::atomic::{AtomicU32, Ordering};

use croupier_core::durable::Durability;
use croupier_core::planted::{BUGS, plant};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Storms within which each bug must be found.
const STORMS_MAX: u32 = 3_000;
/// Storms of each seed in which nothing must be found when there is nothing.
const STORMS_WITHOUT: u32 = 50;

/// Lets storms of this seed blow. Says in which one something was found.
fn blow(seed: u8, storms_max: u32) -> Option<u32> {
    let config =
        Config { cases: storms_max, failure_persistence: None, max_shrink_iters: 0, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]));
    let storms = AtomicU32::new(0);
    let strategy = (weather::knobs(), prop::collection::vec(weather::durable_op(), 1..300));
    let result = runner.run(&strategy, |(knobs, ops)| {
        storms.fetch_add(1, Ordering::Relaxed);
        storm::run(knobs, Durability::Disk, ops);
        Ok(())
    });
    result.is_err().then(|| storms.load(Ordering::Relaxed))
}

#[test]
fn every_planted_bug_is_found() {
    // A storm that finds something panics; that is not news here.
    std::panic::set_hook(Box::new(|_| {}));
    let mut missed = Vec::new();
    for (bug, seed) in BUGS.into_iter().zip(1..) {
        plant(Some(bug));
        match blow(seed, STORMS_MAX) {
            Some(storm) => println!("{bug:?}: found in storm {storm} of seed {seed}"),
            None => missed.push(bug),
        }
        plant(None);
        if let Some(storm) = blow(seed, STORMS_WITHOUT) {
            missed.push(bug);
            println!("storm {storm} of seed {seed} finds something where nothing was planted");
        }
    }
    let _ = std::panic::take_hook();
    assert!(
        missed.is_empty(),
        "not found within {STORMS_MAX} storms, or found without being there: {missed:?}"
    );
}
