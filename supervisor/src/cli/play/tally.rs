//! What is counted while a script is played. Counts are whole; details are kept for the first few only.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Details kept of each kind; beyond, problems are only counted.
const DETAILS_MAX: usize = 100;
/// Longest latency that is told apart, in nanoseconds: an hour.
const LATENCY_NS_MAX: u64 = 3_600_000_000_000;
/// Digits of a latency that count.
const LATENCY_DIGITS: u8 = 3;

/// Counts, over all sessions and repetitions.
pub(super) struct Tally {
    pub(super) turns: u64,
    pub(super) sessions: u64,
    pub(super) retries: u64,
    /// Refusals that the script expected.
    pub(super) refusals_expected: u64,
    /// Lines that were not played because their session did not open or the play was ended.
    pub(super) skipped: u64,
    pub(super) mismatches: Problems<Mismatch>,
    pub(super) failures: Problems<Fault>,
    /// Nanoseconds from submit to answer.
    latency: Histogram<u64>,
}

/// Problems of one kind.
#[derive(Debug)]
pub(super) struct Problems<T> {
    pub(super) count: u64,
    pub(super) first: Vec<T>,
}

/// A reply that is not what the script expects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Mismatch {
    /// The line of the script that expects.
    pub(super) line: u32,
    /// The session's name in the script.
    pub(super) session: String,
    /// Which repetition, from 1.
    pub(super) repeat: u64,
    /// Where in the reply; empty for the whole.
    pub(super) member: String,
    pub(super) expected: String,
    pub(super) got: String,
}

/// A line that was refused or got no answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Fault {
    pub(super) line: u32,
    /// The session's name in the script; empty when the fault concerns none.
    pub(super) session: String,
    pub(super) repeat: u64,
    pub(super) code: String,
    pub(super) text: String,
}

/// Latencies in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Latency {
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) max: f64,
}

impl<T> Problems<T> {
    fn none() -> Problems<T> {
        Problems { count: 0, first: Vec::new() }
    }

    pub(super) fn add(&mut self, problem: T) {
        self.count += 1;
        if self.first.len() < DETAILS_MAX {
            self.first.push(problem);
        }
    }
}

impl Tally {
    pub(super) fn new() -> Tally {
        Tally {
            turns: 0,
            sessions: 0,
            retries: 0,
            refusals_expected: 0,
            skipped: 0,
            mismatches: Problems::none(),
            failures: Problems::none(),
            latency: histogram(),
        }
    }

    pub(super) fn answered_after(&mut self, latency: Duration) {
        let ns = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.latency.saturating_record(ns.max(1));
    }

    pub(super) fn latency(&self) -> Latency {
        summary(&self.latency)
    }

    pub(super) fn is_clean(&self) -> bool {
        self.mismatches.count == 0 && self.failures.count == 0 && self.skipped == 0
    }
}

/// Of a histogram of nanoseconds.
pub(super) fn summary(ns: &Histogram<u64>) -> Latency {
    Latency {
        p50: micros(ns.value_at_quantile(0.5)),
        p99: micros(ns.value_at_quantile(0.99)),
        max: micros(ns.max()),
    }
}

/// An empty histogram of nanoseconds.
pub(super) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_NS_MAX, LATENCY_DIGITS)
        .expect("constant bounds that the histogram takes")
}

/// To a tenth of a microsecond.
fn micros(ns: u64) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "below 2^53 for a hundred days")]
    let tenths = (ns / 100) as f64;
    tenths / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_in_microseconds_and_details_bounded() {
        let mut tally = Tally::new();
        for ms in 1..=100 {
            tally.answered_after(Duration::from_millis(ms));
        }
        let Latency { p50, p99, max } = tally.latency();
        assert!((49_900.0..50_100.0).contains(&p50) && (98_900.0..99_200.0).contains(&p99), "{p50} {p99}");
        assert!((99_900.0..100_200.0).contains(&max), "{max}");
        for line in 0..1000 {
            let fault =
                Fault { line, session: String::new(), repeat: 1, code: String::new(), text: String::new() };
            tally.failures.add(fault);
        }
        assert_eq!((tally.failures.count, tally.failures.first.len()), (1000, DETAILS_MAX));
        assert!(!tally.is_clean());
    }
}
