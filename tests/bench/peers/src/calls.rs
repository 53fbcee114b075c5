//! Round trips and throughput of all ways, interleaved: each round sets every way up anew, measures it and takes it down.

use std::collections::BTreeMap;

use serde_json::json;

use crate::call::{self, SIZES};
use crate::out::Out;
use crate::stats::{CURVE, Spread, TAILS, percentile, round};
use crate::ways::CANDIDATES;
use crate::{Fault, Plan, say};

/// A way at a size, by their places in the lists; they are reported in that order.
type Key = (usize, usize);

#[derive(Default)]
struct Trips {
    /// p50, p99, p99.9 of each round, nanoseconds.
    tails: Vec<[f64; TAILS.len()]>,
    cpu_ns: Vec<f64>,
    /// Of all rounds.
    times: Vec<f64>,
}

/// One call in flight.
pub(crate) fn round_trips(plan: &Plan, out: &mut Out) -> Result<(), Fault> {
    let mut all: BTreeMap<Key, Trips> = BTreeMap::new();
    for n in 0..plan.rounds {
        say(&format!("round trips, round {} of {}", n + 1, plan.rounds));
        for (at, candidate) in CANDIDATES.iter().enumerate().filter(|(_, way)| plan.wants_way(way.who)) {
            for (size_at, size) in SIZES.into_iter().enumerate() {
                let mut way = candidate.start(plan, size)?;
                let round = call::one_in_flight(way.as_mut(), size, candidate.batch, plan.budget)
                    .map_err(|error| error.of(candidate.who))?;
                let trips = all.entry((at, size_at)).or_default();
                trips.tails.push(TAILS.map(|share| percentile(&round.times, share)));
                trips.cpu_ns.push(round.cpu_ns);
                trips.times.extend(round.times);
            }
        }
    }
    for ((at, size_at), mut trips) in all {
        let candidate = &CANDIDATES[at];
        let [p50, p99, p999] = [0, 1, 2].map(|tail| Spread::of(trips.tails.iter().map(|tails| tails[tail])));
        let cpu = Spread::of(trips.cpu_ns);
        trips.times.sort_by(f64::total_cmp);
        let curve: Vec<[f64; 2]> =
            CURVE.iter().map(|&share| [share, round(percentile(&trips.times, share))]).collect();
        out.line(&json!({
            "bench": "rtt", "who": candidate.who, "core": candidate.place.name(), "size": SIZES[size_at],
            "mode": "one in flight", "batch": candidate.batch,
            "p50_ns": round(p50.median), "p99_ns": round(p99.median), "p999_ns": round(p999.median),
            "spread": p50.quartiles(), "p99_spread": p99.quartiles(), "p999_spread": p999.quartiles(),
            "cpu_ns": round(cpu.median), "cpu_spread": cpu.quartiles(),
            "curve": curve, "samples": trips.times.len(), "rounds": plan.rounds,
        }))?;
    }
    Ok(())
}

/// Many calls in flight, where a way has that; else one after the other, without looking at the clock.
pub(crate) fn throughput(plan: &Plan, out: &mut Out) -> Result<(), Fault> {
    let mut all: BTreeMap<(Key, usize), Vec<(f64, f64)>> = BTreeMap::new();
    for n in 0..plan.rounds {
        say(&format!("throughput, round {} of {}", n + 1, plan.rounds));
        for (at, candidate) in CANDIDATES.iter().enumerate().filter(|(_, way)| plan.wants_way(way.who)) {
            for (size_at, size) in SIZES.into_iter().enumerate() {
                let windows =
                    candidate.windows.iter().filter(|&&window| window * size <= call::FLIGHT_BYTES_MAX);
                for &window in windows {
                    let mut way = candidate.start(plan, size)?;
                    let figures = call::throughput(way.as_mut(), size, window, plan.budget)
                        .map_err(|error| error.of(candidate.who))?;
                    all.entry(((at, size_at), window)).or_default().push(figures);
                }
            }
        }
    }
    for (((at, size_at), window), figures) in all {
        let rate = Spread::of(figures.iter().map(|(rate, _)| *rate));
        let cpu = Spread::of(figures.iter().map(|(_, cpu)| *cpu));
        out.line(&json!({
            "bench": "throughput", "who": CANDIDATES[at].who, "core": CANDIDATES[at].place.name(),
            "size": SIZES[size_at], "window": window,
            "calls_per_s": round(rate.median), "spread": rate.quartiles(),
            "cpu_ns": round(cpu.median), "cpu_spread": cpu.quartiles(), "rounds": plan.rounds,
        }))?;
    }
    Ok(())
}
