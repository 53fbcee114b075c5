//! Is a plugin deterministic? Plays a script in several workers and compares everything.
//!
//! ```text
//!  pass 1  one worker                             every reply, effect and snapshot is kept
//!  pass 2  a worker with another address layout   … must be the same
//!  pass 3  a fresh worker after every few turns   … must be the same, though every session went through a snapshot
//! ```
//!
//! Seeds and times are made from the script's bytes: two runs of the check see the same. Host calls are answered `UNSUPPORTED`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use croupier_core::ids::kind;
use croupier_fair::entry::{Effect, Verdict};
use croupier_fair::seed::{Mix, ServerSeed, turn_seed};
use serde::Serialize;
use thiserror::Error;

use super::script::{self, Does, ScriptError, Step};
use super::worker::Snapshot;
use super::{Played, Solo, SoloError, SoloWorker, TurnInput};
use crate::game::host_calls::UNSUPPORTED;

/// Pages that the second pass's worker wastes first: odd, so that no alignment hides it.
const LAYOUT_SHIFT_PAGES: u32 = 4099;
/// Turns between two moves to a fresh worker, unless the script is long.
const TURNS_PER_MOVE_MIN: usize = 5;
/// Most moves: each costs a process.
const MOVES_MAX: usize = 200;
/// The first turn's time: 2024-01-01 00:00:00 UTC.
const START_NS: u64 = 1_704_067_200_000_000_000;
/// Time between two turns.
const STEP_NS: u64 = 1_000_000_000;
/// Longest part of a reply or snapshot that a difference shows, in characters.
const SHOWN_CHARS_MAX: usize = 200;

/// Why the check could not be made.
#[derive(Debug, Error)]
pub enum DeterminismError {
    /// The script.
    #[error("the script cannot be played: {0}")]
    Script(#[from] ScriptError),
    /// A worker.
    #[error("{pass}, line {line}: {error}")]
    Worker {
        /// In which pass.
        pass: &'static str,
        /// At which line of the script; 0 before the first.
        line: u64,
        /// What happened.
        error: SoloError,
    },
    /// Before anything was played.
    #[error(transparent)]
    Start(#[from] SoloError),
}

/// What the check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeterminismReport {
    /// Turns of the script.
    pub turns: u64,
    /// Sessions of the script.
    pub sessions: u64,
    /// Times that all sessions were moved to a fresh worker.
    pub moves: u64,
    /// The first difference; none when the plugin was deterministic.
    pub difference: Option<Difference>,
}

/// Where two passes differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The line of the script.
    pub line: u64,
    /// The session's name.
    pub session: String,
    /// `reply`, `effects`, `error`, `outcome` or `snapshot`.
    pub what: &'static str,
    /// Which pass differs from the first.
    pub pass: &'static str,
    /// What the first pass gave.
    pub first: String,
    /// What this pass gave.
    pub other: String,
}

/// Checks a plugin file with a script (JSON lines, as for `croupier play`; expectations are left out).
///
/// # Errors
/// When the check could not be made, a dying worker included. A difference is a result.
pub fn determinism(
    plugin: &Path,
    script: &[u8],
    worker_binary: Option<PathBuf>,
) -> Result<DeterminismReport, DeterminismError> {
    let solo = Solo::open(plugin, worker_binary)?;
    let steps = script::read(script, &solo.plugin().name)?;
    let seed = *blake3::hash(script).as_bytes();
    let per_move = TURNS_PER_MOVE_MIN.max(steps.len().div_ceil(MOVES_MAX));
    let mut report = DeterminismReport { turns: 0, sessions: 0, moves: 0, difference: None };
    let mut first = Vec::with_capacity(steps.len());
    let mut table = Tables::new(seed);
    let mut worker = solo.worker(0)?;
    for step in &steps {
        first.push(table.play(&mut worker, step, Snapshot::Wanted).map_err(at("first pass", step.line))?);
    }
    (report.turns, report.sessions) = (steps.len() as u64, table.opened);
    drop(worker);
    let against = Against { steps: &steps, first: &first, seed };
    report.difference = against.other_layout(&solo)?;
    if report.difference.is_none() {
        (report.moves, report.difference) = against.moved(&solo, per_move)?;
    }
    Ok(report)
}

fn at(pass: &'static str, line: u64) -> impl FnOnce(SoloError) -> DeterminismError {
    move |error| DeterminismError::Worker { pass, line, error }
}

/// The first pass, to be compared with.
struct Against<'a> {
    steps: &'a [Step],
    first: &'a [Played],
    seed: [u8; 32],
}

impl Against<'_> {
    fn other_layout(&self, solo: &Solo) -> Result<Option<Difference>, DeterminismError> {
        const PASS: &str = "pass with another address layout";
        let mut table = Tables::new(self.seed);
        let mut worker = solo.worker(LAYOUT_SHIFT_PAGES).map_err(at(PASS, 0))?;
        for (step, first) in self.steps.iter().zip(self.first) {
            let other = table.play(&mut worker, step, Snapshot::Wanted).map_err(at(PASS, step.line))?;
            if let Some(difference) = compare(PASS, step, first, &other) {
                return Ok(Some(difference));
            }
        }
        Ok(None)
    }

    /// Here no snapshot is taken with a turn, so that a snapshot that changes the state shows too.
    fn moved(&self, solo: &Solo, per_move: usize) -> Result<(u64, Option<Difference>), DeterminismError> {
        const PASS: &str = "pass with restored snapshots";
        let mut moves = 0;
        let mut table = Tables::new(self.seed);
        let mut worker = solo.worker(0).map_err(at(PASS, 0))?;
        let mut newest: HashMap<String, (u64, Vec<u8>)> = HashMap::new();
        for (index, (step, first)) in self.steps.iter().zip(self.first).enumerate() {
            let other = table.play(&mut worker, step, Snapshot::Unwanted).map_err(at(PASS, step.line))?;
            let other = Played { snapshot: first.snapshot.clone(), ..other };
            if let Some(difference) = compare(PASS, step, first, &other) {
                return Ok((moves, Some(difference)));
            }
            match &first.snapshot {
                Some(snapshot) => drop(newest.insert(step.session.clone(), (step.line, snapshot.clone()))),
                None => drop(newest.remove(&step.session)),
            }
            if (index + 1) % per_move == 0 {
                moves += 1;
                let fresh = solo.worker(0).map_err(at(PASS, step.line))?;
                let (moved, difference) =
                    table.move_all(worker, fresh, &newest, PASS).map_err(at(PASS, step.line))?;
                if difference.is_some() {
                    return Ok((moves, difference));
                }
                worker = moved;
            }
        }
        Ok((moves, None))
    }
}

/// The sessions of one pass.
struct Tables {
    seed: ServerSeed,
    opened: u64,
    turns: u64,
    open: HashMap<String, Table>,
}

struct Table {
    id: u64,
    seq: u64,
    mix: Mix,
}

impl Tables {
    fn new(seed: [u8; 32]) -> Tables {
        Tables { seed: ServerSeed::from_bytes(seed), opened: 0, turns: 0, open: HashMap::new() }
    }

    fn play(
        &mut self,
        worker: &mut SoloWorker,
        step: &Step,
        snapshot: Snapshot,
    ) -> Result<Played, SoloError> {
        self.turns += 1;
        if matches!(step.does, Does::Open(_)) {
            self.opened += 1;
            let mix = Mix::start(&self.seed.commit(self.opened));
            self.open.insert(step.session.clone(), Table { id: self.opened, seq: 0, mix });
        }
        let Some(table) = self.open.get_mut(&step.session) else { return Ok(not_open()) };
        table.seq += 1;
        let (kind, player, payload) = match &step.does {
            Does::Open(config) => (kind::OPEN, 0, config.as_bytes()),
            Does::Join { player, profile, seed } => {
                table.mix = table.mix.add(table.seq, *player, seed);
                (kind::JOIN, *player, profile.as_bytes())
            }
            Does::Act { player, action } => (kind::ACTION, *player, action.as_bytes()),
            Does::Leave { player, reason } => (kind::LEAVE, *player, reason.as_bytes()),
            Does::Close => (kind::CLOSE, 0, [].as_slice()),
        };
        let input = TurnInput {
            session: table.id,
            seq: table.seq,
            now_ns: START_NS + self.turns * STEP_NS,
            seed: turn_seed(&self.seed, table.id, &table.mix, table.seq),
            kind,
            player,
            payload,
        };
        let ends = matches!(step.does, Does::Close);
        let snapshot = if ends { Snapshot::Unwanted } else { snapshot };
        let played = worker.turn(&input, snapshot, &mut |_, _| (UNSUPPORTED, Vec::new()))?;
        let refused_open =
            matches!(step.does, Does::Open(_)) && matches!(played.verdict, Verdict::Failed { .. });
        if ends || refused_open {
            self.open.remove(&step.session);
        }
        Ok(played)
    }

    /// Moves every session to a fresh worker, and looks whether its snapshot is the first pass's before and after.
    fn move_all(
        &self,
        mut old: SoloWorker,
        mut fresh: SoloWorker,
        expected: &HashMap<String, (u64, Vec<u8>)>,
        pass: &'static str,
    ) -> Result<(SoloWorker, Option<Difference>), SoloError> {
        let mut names: Vec<&String> = self.open.keys().collect();
        names.sort();
        for name in names {
            let id = self.open[name].id;
            let before = old.snapshot(id)?;
            fresh.restore(id, &before)?;
            let after = fresh.snapshot(id)?;
            let Some((line, expected)) = expected.get(name) else { continue };
            for found in [before, after] {
                if found != *expected {
                    let difference = Difference {
                        line: *line,
                        session: name.clone(),
                        what: "snapshot",
                        pass,
                        first: shown(expected),
                        other: shown(&found),
                    };
                    return Ok((fresh, Some(difference)));
                }
            }
        }
        Ok((fresh, None))
    }
}

/// What a line in a session that is not open answers, in every pass: nothing was played.
fn not_open() -> Played {
    let text = "the session is not open".to_owned();
    Played { verdict: Verdict::Failed { status: UNSUPPORTED, text }, snapshot: None }
}

fn compare(pass: &'static str, step: &Step, first: &Played, other: &Played) -> Option<Difference> {
    let (what, first, other) = match (&first.verdict, &other.verdict) {
        (Verdict::Done { reply: a, .. }, Verdict::Done { reply: b, .. }) if a != b => {
            ("reply", shown(a), shown(b))
        }
        (Verdict::Done { effects: a, .. }, Verdict::Done { effects: b, .. }) if a != b => {
            ("effects", effects(a), effects(b))
        }
        (Verdict::Failed { status: a, text: at }, Verdict::Failed { status: b, text: bt })
            if (a, at) != (b, bt) =>
        {
            ("error", format!("{a}: {at}"), format!("{b}: {bt}"))
        }
        (a, b) if a != b => ("outcome", verdict(a), verdict(b)),
        _ if first.snapshot != other.snapshot => {
            let text = |snapshot: &Option<Vec<u8>>| snapshot.as_deref().map_or("none".into(), shown);
            ("snapshot", text(&first.snapshot), text(&other.snapshot))
        }
        _ => return None,
    };
    Some(Difference { line: step.line, session: step.session.clone(), what, pass, first, other })
}

fn verdict(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Done { reply, .. } => format!("done: {}", shown(reply)),
        Verdict::Failed { status, text } => format!("failed with {status}: {text}"),
        Verdict::Poison => "poison".into(),
        Verdict::Skipped { .. } => "skipped".into(),
    }
}

fn effects(effects: &[Effect]) -> String {
    let text = |effect: &Effect| match effect {
        Effect::Send { to, message } => format!("send to {to}: {}", shown(message)),
        Effect::Emit { topic, event } => format!("emit on {topic}: {}", shown(event)),
    };
    shown(effects.iter().map(text).collect::<Vec<_>>().join("; ").as_bytes())
}

/// Bytes for a person: text as text, the rest in hexadecimal, cut.
fn shown(bytes: &[u8]) -> String {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains(|c: char| c.is_control() && !c.is_whitespace()) => text.to_owned(),
        _ => hex::encode(&bytes[..bytes.len().min(SHOWN_CHARS_MAX)]),
    };
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((at, _)) => format!("{}… ({} bytes)", &text[..at], bytes.len()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn played(reply: &str, snapshot: &str) -> Played {
        let verdict = Verdict::Done { reply: reply.as_bytes().into(), effects: vec![] };
        Played { verdict, snapshot: Some(snapshot.into()) }
    }

    #[test]
    fn the_first_thing_that_differs_is_named() {
        let step = Step { line: 7, session: "t".into(), does: Does::Close };
        let what = |a: &Played, b: &Played| compare("p", &step, a, b).map(|difference| difference.what);
        assert_eq!(what(&played("a", "s"), &played("a", "s")), None);
        assert_eq!(what(&played("a", "s"), &played("b", "s")), Some("reply"));
        assert_eq!(what(&played("a", "s"), &played("a", "t")), Some("snapshot"));
        assert_eq!(what(&played("a", "s"), &not_open()), Some("outcome"));
        let sends = Verdict::Done {
            reply: b"a".as_slice().into(),
            effects: vec![Effect::Send { to: 1, message: b"m".as_slice().into() }],
        };
        assert_eq!(
            what(&played("a", "s"), &Played { verdict: sends, snapshot: Some(b"s".to_vec()) }),
            Some("effects")
        );
    }
}
