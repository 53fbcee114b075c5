//! Plays a verified transcript again: hands out every record with its turns' seeds, and compares what a replay answers.
//!
//! ```text
//!  verify (first reading: finds the seed) ─▶ Steps (second reading: record + seeds, one at a time) ─▶ Comparison
//! ```
//!
//! Runs no plugin: whoever does asks [`Steps`] for the next record at its own pace. The second reading checks the chain again, so
//! that a file exchanged in between is noticed.

use std::io::{BufRead, Seek, SeekFrom};

use thiserror::Error;

use crate::chain::{OutcomeChain, Record, outcome_sha256};
use crate::entry::Verdict;
use crate::problem::Problem;
use crate::report::Report;
use crate::seed::{Mix, ServerSeed, turn_seed};
use crate::verify::{Verified, VerifyError, VerifyOptions, verify};
use crate::walk::{At, Item, Walk};

/// One record to be played again.
#[derive(Debug, Clone)]
pub struct Step {
    /// Its line in the transcript.
    pub line: u64,
    /// What it is.
    pub record: Record,
    session: u64,
    mix: Mix,
    seed: ServerSeed,
}

/// What a turn was given by the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Given {
    /// Its number.
    pub seq: u64,
    /// Its time, nanoseconds since the Unix epoch.
    pub now_ns: u64,
    /// Its seed.
    pub seed: [u8; 32],
}

impl Step {
    /// The turns of this record: one, or each tick of a run. None when the plugin did not keep the turn (poison, skipped time): then
    /// there is nothing to play.
    pub fn turns(&self) -> impl Iterator<Item = Given> + '_ {
        let (first_seq, first_now_ns, period_ns, count) = match &self.record {
            Record::Turn(entry) => match entry.verdict {
                Verdict::Done { .. } | Verdict::Failed { .. } => (entry.seq, entry.now_ns, 0, 1),
                Verdict::Poison | Verdict::Skipped { .. } => (entry.seq, entry.now_ns, 0, 0),
            },
            Record::Ticks(run) => (run.first_seq, run.first_now_ns, run.period_ns, run.count),
        };
        (0..count).map(move |step| Given {
            seq: first_seq + step,
            now_ns: first_now_ns + step * period_ns,
            seed: turn_seed(&self.seed, self.session, &self.mix, first_seq + step),
        })
    }

    /// Begins to compare what a replay of this record's turns answers.
    pub fn compare(&self) -> Comparison {
        let expected = match &self.record {
            Record::Ticks(run) => run.outcomes,
            Record::Turn(entry) => {
                let mut chain = OutcomeChain::new();
                if self.turns().next().is_some() {
                    chain.add(&outcome_sha256(&entry.verdict));
                }
                chain.value()
            }
        };
        Comparison { line: self.line, expected, found: OutcomeChain::new() }
    }
}

/// Compares the outcomes of a record's turns, one after another, with the transcript.
#[derive(Debug, Clone)]
pub struct Comparison {
    line: u64,
    expected: [u8; 32],
    found: OutcomeChain,
}

/// A replay answered otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "line {line}: the replay answers otherwise than the transcript says: another binary or another seed was used, or the plugin is not deterministic"
)]
pub struct Mismatch {
    /// The line in the transcript.
    pub line: u64,
}

impl Comparison {
    /// What the next of the record's turns answered.
    pub fn add(&mut self, verdict: &Verdict) {
        self.found.add(&outcome_sha256(verdict));
    }

    /// Whether all of them together are what the transcript says.
    pub fn finish(self) -> Result<(), Mismatch> {
        if self.found.value() == self.expected { Ok(()) } else { Err(Mismatch { line: self.line }) }
    }
}

/// The second reading. An iterator over the records; it ends after the last, or with one error.
pub struct Steps<R> {
    walk: Walk<R>,
    seed: ServerSeed,
    final_hash: [u8; 32],
    report: Report,
    ended: bool,
}

impl<R: BufRead> Steps<R> {
    /// Reads the same transcript from its beginning. `None` when the seed is not known: sealed without the auditor's secret, or withheld.
    pub fn new(
        input: R,
        verified: &Verified,
        options: &VerifyOptions,
    ) -> Option<Result<Steps<R>, VerifyError>> {
        let seed = verified.seed.clone()?;
        let report = verified.report.clone();
        let (final_hash, header) = (verified.final_hash, &verified.header);
        Some(match Walk::begin(input, options.line_bytes_max) {
            Ok(walk) if walk.header() == header => Ok(Steps { walk, seed, final_hash, report, ended: false }),
            Ok(_) => Err(VerifyError::new(At { line: 1, problem: Problem::Changed }, report)),
            Err(at) => Err(VerifyError::new(at, report)),
        })
    }

    fn advance(&mut self) -> Result<Option<Step>, At> {
        match self.walk.next()? {
            Item::Record(record) => Ok(Some(Step {
                line: self.walk.line(),
                record,
                session: self.walk.header().session,
                mix: self.walk.mix(),
                seed: self.seed.clone(),
            })),
            Item::Close { .. } if self.walk.hash() == self.final_hash => Ok(None),
            Item::Close { .. } => Err(At { line: self.walk.line(), problem: Problem::Changed }),
        }
    }
}

impl<R: BufRead> Iterator for Steps<R> {
    type Item = Result<Step, VerifyError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let step = self.advance().map_err(|at| VerifyError::new(at, self.report.clone())).transpose();
        self.ended = !matches!(step, Some(Ok(_)));
        step
    }
}

/// Why [`verify_with`] stopped.
#[derive(Debug, Error)]
pub enum VerifyWithError<E> {
    /// The transcript is wrong.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The caller's own function refused a record.
    #[error("line {line}: {error}")]
    Step {
        /// The record's line.
        line: u64,
        /// What the function said.
        error: E,
    },
}

/// Verifies, then reads again from the beginning and hands every record to `step`, in order. `step` is never called when the seed is
/// not known; the report says so.
pub fn verify_with<R, E, F>(
    mut input: R,
    options: &VerifyOptions,
    mut step: F,
) -> Result<Verified, VerifyWithError<E>>
where
    R: BufRead + Seek,
    F: FnMut(&Step) -> Result<(), E>,
{
    let verified = verify(&mut input, options)?;
    if let Err(error) = input.seek(SeekFrom::Start(0)) {
        let at = At { line: 1, problem: Problem::Read(error.into()) };
        return Err(VerifyError::new(at, verified.report).into());
    }
    if let Some(steps) = Steps::new(input, &verified, options) {
        for next in steps? {
            let next = next?;
            step(&next).map_err(|error| VerifyWithError::Step { line: next.line, error })?;
        }
    }
    Ok(verified)
}
