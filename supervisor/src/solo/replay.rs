//! Plays a verified transcript again, with the binary that its digest names: given the same turns and seeds, does it answer the same?
//!
//! ```text
//!  croupier_fair::replay::verify_with(file, options, |step| replay.play(step))
//! ```
//!
//! Host calls are answered as the transcript says they were; none is performed.

use croupier_core::ids::kind;
use croupier_fair::chain::Record;
use croupier_fair::replay::{Mismatch, Step};
use thiserror::Error;

use super::worker::Snapshot;
use super::{Solo, SoloError, SoloWorker, TurnInput};
use crate::game::host_calls::INTERNAL;

/// Why a replay stopped.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// It answered otherwise.
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    /// It asked the platform something that it did not ask then, or not everything that it asked then.
    #[error("turn {seq}: the plugin made {made} host calls in the replay, the transcript has {recorded}")]
    Calls {
        /// The turn.
        seq: u64,
        /// In the replay.
        made: usize,
        /// In the transcript.
        recorded: usize,
    },
    /// The worker.
    #[error(transparent)]
    Worker(#[from] SoloError),
}

/// One session, played again in a worker of its own.
#[derive(Debug)]
pub struct Replay {
    worker: SoloWorker,
    session: u64,
    turns: u64,
}

impl Replay {
    /// Ready for the first record of this session. That the plugin's digest is the transcript's is the caller's to check ([`Solo::plugin`]).
    ///
    /// # Errors
    /// When no worker comes up.
    pub fn new(solo: &Solo, session: u64) -> Result<Replay, SoloError> {
        Ok(Replay { worker: solo.worker(0)?, session, turns: 0 })
    }

    /// Turns played so far.
    pub fn turns(&self) -> u64 {
        self.turns
    }

    /// Plays one record, all of its turns, and compares.
    ///
    /// # Errors
    /// [`ReplayError`].
    pub fn play(&mut self, step: &Step) -> Result<(), ReplayError> {
        let mut comparison = step.compare();
        for given in step.turns() {
            let (kind, player, payload, calls) = match &step.record {
                Record::Turn(entry) => (entry.kind, entry.player, &*entry.payload, entry.calls.as_slice()),
                Record::Ticks(_) => (kind::TICK, 0, [].as_slice(), [].as_slice()),
            };
            let input = TurnInput {
                session: self.session,
                seq: given.seq,
                now_ns: given.now_ns,
                seed: given.seed,
                kind,
                player,
                payload,
            };
            let mut made = 0;
            let mut host = |_: &str, _: &[u8]| {
                let answer = calls
                    .get(made)
                    .map_or((INTERNAL, Vec::new()), |(status, bytes)| (*status, bytes.to_vec()));
                made += 1;
                answer
            };
            let played = self.worker.turn(&input, Snapshot::Unwanted, &mut host)?;
            if made != calls.len() {
                return Err(ReplayError::Calls { seq: given.seq, made, recorded: calls.len() });
            }
            comparison.add(&played.verdict);
            self.turns += 1;
        }
        Ok(comparison.finish()?)
    }
}
