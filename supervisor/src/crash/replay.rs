//! Runs into a crash again: the plugin in a fresh worker of its own, the session restored, its turns played as they were.

use std::path::{Path, PathBuf};

use croupier_core::event::Cause;
use croupier_fair::entry::{Effect as CoreEffect, Verdict};
use croupier_wire::link::Effect;
use croupier_wire::outcome::{call_hash, outcome_hash};
use thiserror::Error;

use super::case::{BadCase, CaseFile, SessionFile, TurnFile, bytes};
use crate::game::host_calls::INTERNAL;
use crate::registry::PluginOptions;
use crate::solo::{Snapshot, Solo, SoloError, SoloWorker, TurnInput};

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replayed {
    /// It crashed again.
    Crashed {
        /// Why the worker died.
        cause: String,
        /// At which turn; none while loading or restoring.
        seq: Option<u64>,
        /// The first turn that answered otherwise than it had.
        diverged: Option<u64>,
    },
    /// It did not.
    Survived {
        /// Turns played.
        turns: u64,
        /// The first turn that answered otherwise than it had.
        diverged: Option<u64>,
    },
}

/// Why it could not be tried.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// The document.
    #[error(transparent)]
    Case(#[from] BadCase),
    /// Another binary.
    #[error("the report names the binary {wanted}, and {} is {found}", path.display())]
    OtherBinary {
        /// The digest in the report.
        wanted: String,
        /// The file.
        path: PathBuf,
        /// Its digest.
        found: String,
    },
    /// No worker.
    #[error("{0}")]
    Solo(SoloError),
}

/// Plays a case with this plugin file, which must have the digest that the case names.
///
/// # Errors
/// [`ReplayError`]: it could not be tried.
pub fn replay(case: &CaseFile, plugin: &Path, worker: Option<PathBuf>) -> Result<Replayed, ReplayError> {
    let solo = open(case, plugin, worker)?;
    match solo.worker(0) {
        Ok(mut worker) => play(&mut worker, case),
        Err(error) => ended(error, None, None),
    }
}

/// The case's plugin, with the options that it had.
pub(super) fn open(case: &CaseFile, plugin: &Path, worker: Option<PathBuf>) -> Result<Solo, ReplayError> {
    let options = PluginOptions {
        settings: Some(case.settings.clone()),
        grant: Some(case.permissions.clone()),
        ..PluginOptions::default()
    };
    let solo = Solo::open_with(plugin, worker, &options).map_err(ReplayError::Solo)?;
    let found = solo.plugin().digest_hex();
    if found != case.digest {
        return Err(ReplayError::OtherBinary { wanted: case.digest.clone(), path: plugin.to_owned(), found });
    }
    Ok(solo)
}

/// Plays a case in a worker that has loaded the plugin.
pub(super) fn play(worker: &mut SoloWorker, case: &CaseFile) -> Result<Replayed, ReplayError> {
    match &case.session {
        None => Ok(Replayed::Survived { turns: 0, diverged: None }),
        Some(session) => play_session(worker, session),
    }
}

fn play_session(worker: &mut SoloWorker, session: &SessionFile) -> Result<Replayed, ReplayError> {
    if let Some(snapshot) = &session.snapshot {
        let snapshot = bytes("the snapshot", snapshot)?;
        if let Err(error) = worker.restore(session.id, &snapshot) {
            return ended(error, None, None);
        }
    }
    let mut diverged = None;
    for turn in &session.turns {
        match play_turn(worker, session.id, turn)? {
            Ok(outcome) => {
                let other =
                    turn.outcome.as_ref().is_some_and(|recorded| *recorded != format!("{outcome:016x}"));
                diverged = diverged.or(other.then_some(turn.seq));
            }
            Err(error) => return ended(error, Some(turn.seq), diverged),
        }
    }
    Ok(Replayed::Survived { turns: session.turns.len() as u64, diverged })
}

/// Its outcome hash, or how the worker ended over it.
fn play_turn(
    worker: &mut SoloWorker,
    session: u64,
    turn: &TurnFile,
) -> Result<Result<u64, SoloError>, BadCase> {
    let payload = bytes("a payload", &turn.payload)?;
    let seed = hex::decode(&turn.seed).ok().and_then(|seed| seed.try_into().ok()).ok_or(BadCase("a seed"))?;
    let mut calls = turn.calls.iter();
    let mut host = |name: &str, args: &[u8]| {
        let recorded = calls.next().filter(|(asked, ..)| *asked == format!("{:016x}", call_hash(name, args)));
        let answer =
            recorded.and_then(|(_, status, answer)| Some((*status, bytes("an answer", answer).ok()?)));
        answer.unwrap_or((INTERNAL, Vec::new()))
    };
    let input = TurnInput {
        session,
        seq: turn.seq,
        now_ns: turn.now_ns,
        seed,
        kind: turn.kind,
        player: turn.player,
        payload: &payload,
    };
    Ok(worker.turn(&input, Snapshot::Unwanted, &mut host).map(|played| outcome(&played.verdict)))
}

fn outcome(verdict: &Verdict) -> u64 {
    match verdict {
        Verdict::Done { reply, effects } => {
            let effects: Vec<Effect<'_>> = effects
                .iter()
                .map(|effect| match effect {
                    CoreEffect::Send { to, message } => Effect::Send { to: *to, message },
                    CoreEffect::Emit { topic, event } => Effect::Emit { topic, event },
                })
                .collect();
            outcome_hash(0, reply, "", &effects)
        }
        Verdict::Failed { status, text } => outcome_hash(*status, &[], text, &[]),
        Verdict::Poison | Verdict::Skipped { .. } => 0,
    }
}

/// A worker that died, hung or babbled is what was looked for; one that was never there is not.
fn ended(error: SoloError, seq: Option<u64>, diverged: Option<u64>) -> Result<Replayed, ReplayError> {
    match error {
        SoloError::Died(Cause::External { signal }) => {
            Err(ReplayError::Solo(SoloError::Died(Cause::External { signal })))
        }
        error @ (SoloError::Died(_)
        | SoloError::Late { .. }
        | SoloError::Protocol(_)
        | SoloError::Failed { .. }) => Ok(Replayed::Crashed { cause: error.to_string(), seq, diverged }),
        error @ (SoloError::Launch(_)
        | SoloError::Plugin(_)
        | SoloError::Binary(_)
        | SoloError::Link(_)
        | SoloError::Admit(_)) => Err(ReplayError::Solo(error)),
    }
}
