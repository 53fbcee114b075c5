//! Whole runs: one seed, or many of them on all processors; and what is told of them.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::clock::S;
use crate::coverage::Coverage;
use crate::disk::Codec;
use crate::sim::{Sim, Tally};

/// From so many events on, whatever can be reached must have been.
const EVENTS_WHOLE: u64 = 10_000_000;
/// Events that are told of when something was found, unless the environment says otherwise.
const STORY: u64 = 50;

/// A run that found something.
pub(crate) struct Found {
    pub(crate) seed: u64,
    /// Events until then.
    pub(crate) events: u64,
    pub(crate) what: String,
    now_ns: u64,
    codec: Option<Codec>,
    each: u64,
}

/// Runs one seed.
pub(crate) fn one(seed: u64, events: u64, codec: Option<Codec>) -> Result<Sim, Found> {
    let mut sim = Sim::storm(seed, codec);
    match catch_unwind(AssertUnwindSafe(|| sim.run(events))) {
        Ok(()) => Ok(sim),
        Err(panic) => {
            let what = text(&*panic);
            Err(Found { seed, events: sim.events, what, now_ns: sim.now_ns, codec, each: events })
        }
    }
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

impl Found {
    /// What happened before: the same run once more, this time written down.
    fn story(&self) -> String {
        let mut sim = Sim::storm(self.seed, self.codec);
        let told = number("CROUPIER_SIM_STORY").unwrap_or(STORY);
        sim.story_from = self.events.saturating_sub(told);
        drop(catch_unwind(AssertUnwindSafe(|| sim.run(self.each))));
        sim.story()
    }

    /// For people: what was found, what happened before, and how to see it again.
    pub(crate) fn tell(&self) -> String {
        let each = self.each;
        format!(
            "{}\nseed {} found this with event {}, at {:.6} simulated seconds: {}\nThe same once more:\n  \
             CROUPIER_SIM_SEED={} CROUPIER_SIM_EVENTS={each} cargo test -p croupier-core --profile sim --test sim nothing_is_lost -- --nocapture\n",
            self.story(),
            self.seed,
            self.events,
            self.now_ns as f64 / S as f64,
            self.what,
            self.seed
        )
    }
}

struct Sum {
    coverage: Coverage,
    tally: Tally,
    events: u64,
    simulated_ns: u64,
    found: Vec<Found>,
}

/// A number from the environment.
pub(crate) fn number(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name} must be a number, not {text:?}")))
}

/// Runs seeds from `first` on, `each` events of each, until there were `events`; on all processors.
pub(crate) fn many(first: u64, events: u64, each: u64) {
    let began = Instant::now();
    let seeds = events.div_ceil(each);
    let next = AtomicU64::new(first);
    let sum = Mutex::new(Sum {
        coverage: Coverage::new(),
        tally: Tally::default(),
        events: 0,
        simulated_ns: 0,
        found: Vec::new(),
    });
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + seeds {
                return;
            }
            let run = one(seed, each.min(events), None);
            if let Err(found) = &run {
                eprintln!("{}", found.tell());
            }
            let mut sum = sum.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            match run {
                Ok(sim) => {
                    sum.coverage.add(&sim.coverage);
                    sum.tally.add(&sim.tally);
                    sum.events += sim.events;
                    sum.simulated_ns += sim.now_ns;
                }
                Err(found) => sum.found.push(found),
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(seeds as usize);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let sum = sum.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    assert!(sum.found.is_empty(), "{} of {seeds} seeds found something", sum.found.len());
    tell(&sum, (first, seeds), began.elapsed().as_secs_f64());
    let surprises = sum.coverage.surprises();
    if sum.events >= EVENTS_WHOLE {
        assert!(surprises.is_empty(), "coverage is not what it should be:\n{}", surprises.join("\n"));
        assert!(sum.tally.batches > 0, "no answers came at once");
    }
}

fn tell(sum: &Sum, (first, seeds): (u64, u64), seconds: f64) {
    println!("hardly reached: {}", sum.coverage.rare().join(", "));
    let (reached, can, must) = sum.coverage.reached();
    println!("{}", sum.coverage.show());
    for (reason, cells) in sum.coverage.why_not() {
        println!("not reached: {reason}: {} cells", cells.len());
    }
    println!(
        "{reached} cells reached of {can} that can be; {must} must be, and {} are not as they should be",
        sum.coverage.surprises().len()
    );
    println!("{:?}", sum.tally);
    println!(
        "simulated: {} events of seeds {first} to {}, {:.0} simulated seconds, in {seconds:.1} s ({:.0} events/s)",
        sum.events,
        first + seeds - 1,
        sum.simulated_ns as f64 / S as f64,
        sum.events as f64 / seconds
    );
}
