//! How long each way takes from its file to its first answer, and what it takes of memory when it does nothing.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::json;

use crate::machine::{self, Place};
use crate::out::Out;
use crate::stats::{Spread, round};
use crate::ways::CANDIDATES;
use crate::{Fault, Plan, say};

const GROUP: &str = "start-up and memory, other ways";
/// Of the first call.
const SIZE: usize = 64;
/// One instance in this process, and many: their difference is what a session more takes.
const ONE: &str = "wasmtime";
const MANY: &str = "wasmtime, 1,000 sessions in turn";
const SESSIONS: usize = 1000;

/// Each way is set up anew in each round, called once and taken down. Whatever it is made of is in the page cache.
pub(crate) fn measure(plan: &Plan, out: &mut Out) -> Result<(), Fault> {
    let mut times: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    let mut memory: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    let ways = || {
        let all = CANDIDATES.iter().enumerate();
        all.filter(|(_, way)| plan.wants_way(way.who) && way.place != Place::Same && way.who != MANY)
    };
    let per_session = plan.wants_way(ONE).then(|| session_kib(plan)).transpose()?;
    for n in 0..plan.rounds {
        say(&format!("first answers, round {} of {}", n + 1, plan.rounds));
        for (at, candidate) in ways() {
            let from = Instant::now();
            let mut way = candidate.start(plan, SIZE)?;
            way.first(SIZE).map_err(|error| error.of(candidate.who))?;
            times.entry(at).or_default().push(from.elapsed().as_secs_f64() * 1e3);
            let server = way.peers().last().copied();
            memory.entry(at).or_default().extend(server.and_then(machine::pss_kib));
        }
    }
    let mut tell = |name: String, figure: Spread, unit: &str| {
        out.line(&json!({
            "bench": "figure", "group": GROUP, "name": name, "figure": round(figure.median),
            "unit": unit, "spread": figure.quartiles(),
        }))
    };
    for (at, times) in times {
        tell(format!("{}: from its file to its first answer", CANDIDATES[at].who), Spread::of(times), "ms")?;
    }
    for (at, memory) in memory.into_iter().filter(|(_, memory)| !memory.is_empty()) {
        tell(format!("{}: the idle process that serves", CANDIDATES[at].who), Spread::of(memory), "KiB")?;
    }
    if let Some(kib) = per_session {
        tell("wasmtime: one session more".to_owned(), Spread::of([kib]), "KiB")?;
    }
    Ok(())
}

/// What a session more takes in this very process, before anything else has left memory behind.
fn session_kib(plan: &Plan) -> Result<f64, Fault> {
    let with = |who: &str, sessions: usize| -> Result<f64, Fault> {
        let candidate = CANDIDATES.iter().find(|way| way.who == who);
        let candidate = candidate.ok_or_else(|| Fault::plain(format!("there is no way called {who}")))?;
        let mut way = candidate.start(plan, SIZE)?;
        // Each is called once.
        for _ in 0..sessions {
            way.first(SIZE).map_err(|error| error.of(who))?;
        }
        machine::pss_kib(std::process::id()).ok_or_else(|| Fault::plain("this process has no smaps_rollup"))
    };
    let one = with(ONE, 1)?;
    Ok((with(MANY, SESSIONS)? - one) / (SESSIONS - 1) as f64)
}
