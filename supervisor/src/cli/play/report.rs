//! What `croupier play` says in the end.

use std::time::Duration;

use croupier_client::StatusInfo;
use hdrhistogram::Histogram;
use serde::Serialize;

use super::tally::{Fault, Latency, Mismatch, Tally, summary};

/// The result of a play: the object that `--json` writes.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    turns: u64,
    turns_per_s: f64,
    latency_us: Latency,
    sessions: u64,
    mismatches: u64,
    failures: u64,
    retries: u64,
    workers_lost: u64,
    workers_lost_mid_turn: u64,
    skipped: u64,
    refusals_expected: u64,
    elapsed_s: f64,
    concurrency: u64,
    repeat: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pauses: Option<Pauses>,
    mismatch_details: Vec<Mismatch>,
    failure_details: Vec<Fault>,
}

/// How long sessions stood still because their worker was lost.
#[derive(Debug, Serialize)]
pub(super) struct Pauses {
    count: u64,
    us: Latency,
    /// Events that came too fast to be read: that many may be missing.
    missed: u64,
}

/// How it was played.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    pub(super) concurrency: u64,
    pub(super) repeat: u64,
}

impl Pauses {
    /// Of a histogram of nanoseconds.
    pub(super) fn new(ns: &Histogram<u64>, missed: u64) -> Pauses {
        Pauses { count: ns.len(), us: summary(ns), missed }
    }
}

impl Report {
    pub(super) fn new(
        tally: &Tally,
        elapsed: Duration,
        manner: Manner,
        before: &StatusInfo,
        after: &StatusInfo,
        pauses: Option<Pauses>,
    ) -> Report {
        let lost = |of: fn(&StatusInfo) -> u64| of(after).saturating_sub(of(before));
        #[allow(clippy::cast_precision_loss, reason = "below 2^53")]
        let turns = tally.turns as f64;
        Report {
            turns: tally.turns,
            turns_per_s: rounded(turns / elapsed.as_secs_f64().max(1e-9), 10.0),
            latency_us: tally.latency(),
            sessions: tally.sessions,
            mismatches: tally.mismatches.count,
            failures: tally.failures.count,
            retries: tally.retries,
            workers_lost: lost(|status| status.workers_lost),
            workers_lost_mid_turn: lost(|status| status.workers_lost_mid_turn),
            skipped: tally.skipped,
            refusals_expected: tally.refusals_expected,
            elapsed_s: rounded(elapsed.as_secs_f64(), 1000.0),
            concurrency: manner.concurrency,
            repeat: manner.repeat,
            pauses,
            mismatch_details: tally.mismatches.first.clone(),
            failure_details: tally.failures.first.clone(),
        }
    }

    /// For a person.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = vec![
            format!(
                "{} sessions, {} turns in {} s: {} turns/s, {} sessions at a time",
                self.sessions, self.turns, self.elapsed_s, self.turns_per_s, self.concurrency
            ),
            format!(
                "latency       p50 {}   p99 {}   max {}",
                us(self.latency_us.p50),
                us(self.latency_us.p99),
                us(self.latency_us.max)
            ),
            format!("mismatches    {}", self.mismatches),
            format!("failures      {}", self.failures),
            format!("retries       {}", self.retries),
            format!(
                "workers lost  {}, {} of them in mid-turn",
                self.workers_lost, self.workers_lost_mid_turn
            ),
        ];
        if let Some(pauses) = &self.pauses {
            let Latency { p50, p99, max } = pauses.us;
            lines.push(format!(
                "pauses        {}   p50 {}   p99 {}   max {}",
                pauses.count,
                us(p50),
                us(p99),
                us(max)
            ));
        }
        if self.refusals_expected > 0 {
            lines.push(format!("refusals      {} as expected", self.refusals_expected));
        }
        if self.skipped > 0 {
            lines.push(format!("not played    {} lines", self.skipped));
        }
        lines.extend(self.mismatch_details.iter().map(|mismatch| {
            let Mismatch { line, session, repeat, member, expected, got } = mismatch;
            let member = if member.is_empty() { "reply" } else { member };
            format!(
                "line {line}, session {session}{}: {member}: expected {expected}, got {got}",
                round(*repeat, self.repeat)
            )
        }));
        lines.extend(self.failure_details.iter().map(|fault| {
            let Fault { line, session, repeat, code, text } = fault;
            format!("line {line}, session {session}{}: {code}: {text}", round(*repeat, self.repeat))
        }));
        let told = (self.mismatch_details.len() + self.failure_details.len()) as u64;
        if told < self.mismatches + self.failures {
            lines.push(format!("… and {} more", self.mismatches + self.failures - told));
        }
        lines
    }
}

/// Which repetition, when there are several.
fn round(repeat: u64, of: u64) -> String {
    if of > 1 { format!(", repetition {repeat}") } else { String::new() }
}

fn us(us: f64) -> String {
    match us {
        us if us < 1_000.0 => format!("{us:.1} µs"),
        us if us < 1_000_000.0 => format!("{:.2} ms", us / 1_000.0),
        us => format!("{:.2} s", us / 1_000_000.0),
    }
}

fn rounded(value: f64, places: f64) -> f64 {
    (value * places).round() / places
}
