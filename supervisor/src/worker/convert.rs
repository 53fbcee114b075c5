//! Between the wire's messages, which borrow from frames, and the core's, which own what they keep.
//!
//! What comes from a worker is checked against the limits that it was told: the worker checks them too, but it is hostile.

use std::sync::Arc;

use croupier_core::action::{Run, ToWorker as CoreToWorker, TurnMessage, Wanted};
use croupier_core::event::{Answer, TurnAnswer};
use croupier_core::ids::{Payload, kind};
use croupier_fair::entry::Effect as CoreEffect;
use croupier_wire::link::{
    CallAnswer, Done, Effect, FLAG_REPLAY, FLAG_SNAPSHOT, Limits, Tick, ToWorker, Turn,
};
use croupier_wire::outcome::outcome_hash;
use thiserror::Error;

/// Longest text of a failed turn or a refusal that a worker may send, in bytes; `croupier_plugin.h` cuts it there.
pub const ERROR_TEXT_BYTES_MAX: usize = 4096;
/// Longest topic of an emit, in bytes.
pub const TOPIC_BYTES_MAX: usize = 64;

/// The wire's form of a message, and the frame's flags.
pub fn to_wire(message: &CoreToWorker) -> (ToWorker<'_>, u8) {
    match message {
        CoreToWorker::Init { settings } => (ToWorker::Init { settings }, 0),
        CoreToWorker::Turn(turn) => (ToWorker::Turn(turn_to_wire(turn)), turn_flags(turn)),
        CoreToWorker::Restore { session, state_version, snapshot } => {
            (ToWorker::Restore { session: session.0, state_version: *state_version, snapshot }, 0)
        }
        CoreToWorker::Drop { session } => (ToWorker::Drop { session: session.0 }, 0),
        CoreToWorker::Suspend => (ToWorker::Suspend, 0),
        CoreToWorker::Resume => (ToWorker::Resume, 0),
        CoreToWorker::Ping => (ToWorker::Ping, 0),
        CoreToWorker::CallAnswer(call) => (
            ToWorker::CallAnswer(CallAnswer { asked: call.asked, status: call.status, answer: &call.answer }),
            0,
        ),
        CoreToWorker::Shutdown => (ToWorker::Shutdown, 0),
    }
}

fn turn_to_wire(turn: &TurnMessage) -> Turn<'_> {
    Turn {
        session: turn.session.0,
        seq: turn.seq,
        now_ns: turn.now_ns,
        seed: turn.seed,
        kind: turn.kind,
        player: turn.player.0,
        payload: &turn.payload,
        calls: turn
            .calls
            .iter()
            .map(|call| CallAnswer { asked: call.asked, status: call.status, answer: &call.answer })
            .collect(),
    }
}

/// A message that is a tick and nothing else, which can go out together with others.
pub fn tick_of(message: &CoreToWorker) -> Option<Tick> {
    let CoreToWorker::Turn(turn) = message else { return None };
    let is_plain = turn.kind == kind::TICK
        && turn.run == Run::First
        && turn.snapshot == Wanted::No
        && turn.calls.is_empty()
        && turn.payload.is_empty();
    is_plain.then_some(Tick { session: turn.session.0, seq: turn.seq, now_ns: turn.now_ns, seed: turn.seed })
}

fn turn_flags(turn: &TurnMessage) -> u8 {
    let replay = if turn.run == Run::Replay { FLAG_REPLAY } else { 0 };
    let snapshot = if turn.snapshot == Wanted::Yes { FLAG_SNAPSHOT } else { 0 };
    replay | snapshot
}

/// A worker went over a limit that it was told.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{what} of {found} is over the limit of {max}")]
pub struct OverLimit {
    what: &'static str,
    found: usize,
    max: usize,
}

fn within(what: &'static str, found: usize, max: usize) -> Result<(), OverLimit> {
    if found > max { Err(OverLimit { what, found, max }) } else { Ok(()) }
}

/// Checks a turn's answer against the limits.
///
/// # Errors
/// The first limit that it is over.
pub fn check_done(done: &Done<'_>, limits: &Limits) -> Result<(), OverLimit> {
    within("a reply in bytes", done.reply.len(), limits.reply_bytes as usize)?;
    within("an error text in bytes", done.error.len(), ERROR_TEXT_BYTES_MAX)?;
    within("a number of effects", done.effects.len(), limits.effects_per_turn as usize)?;
    for effect in &done.effects {
        let bytes = match effect {
            Effect::Send { message, .. } => message.len(),
            Effect::Emit { topic, event } => {
                within("a topic in bytes", topic.len(), TOPIC_BYTES_MAX)?;
                event.len()
            }
        };
        within("an effect in bytes", bytes, limits.effect_bytes as usize)?;
    }
    done.snapshot.map_or(Ok(()), |snapshot| check_snapshot(snapshot, limits))
}

/// Checks a snapshot against the limits.
///
/// # Errors
/// When it is over its limit.
pub fn check_snapshot(snapshot: &[u8], limits: &Limits) -> Result<(), OverLimit> {
    within("a snapshot in bytes", snapshot.len(), limits.snapshot_bytes as usize)
}

/// Checks a host call against the limits: the worker's own count of a turn's calls and their bytes. `index` counts from 0.
///
/// # Errors
/// When it is over a limit.
pub fn check_call(index: u32, name: &str, args: &[u8], limits: &Limits) -> Result<(), OverLimit> {
    within("a number of host calls", index as usize + 1, limits.effects_per_turn as usize)?;
    within("a host call's name in bytes", name.len(), TOPIC_BYTES_MAX)?;
    within("a host call's arguments in bytes", args.len(), limits.effect_bytes as usize)
}

/// Checks a refusal's text.
///
/// # Errors
/// When it is over its limit.
pub fn check_text(text: &str) -> Result<(), OverLimit> {
    within("an error text in bytes", text.len(), ERROR_TEXT_BYTES_MAX)
}

/// The core's form of a turn's answer; hashes what is in it.
pub fn done_to_core(done: &Done<'_>) -> Answer {
    Answer::Done(TurnAnswer {
        status: done.status,
        reply: Payload::from(done.reply),
        error: done.error.to_owned(),
        effects: done.effects.iter().map(effect_to_core).collect(),
        claimed: done.outcome,
        seen: outcome_hash(done.status, done.reply, done.error, &done.effects),
        snapshot: done.snapshot.map(Payload::from),
        diverged: done.diverged,
    })
}

/// The core's form of an effect.
pub fn effect_to_core(effect: &Effect<'_>) -> CoreEffect {
    match effect {
        Effect::Send { to, message } => CoreEffect::Send { to: *to, message: Arc::from(*message) },
        Effect::Emit { topic, event } => {
            CoreEffect::Emit { topic: (*topic).to_owned(), event: Arc::from(*event) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits =
        Limits { frame_bytes: 1000, reply_bytes: 4, snapshot_bytes: 3, effects_per_turn: 1, effect_bytes: 2 };

    fn done<'a>(reply: &'a [u8], effects: Vec<Effect<'a>>) -> Done<'a> {
        Done { status: 0, reply, error: "", effects, outcome: 5, snapshot: None, diverged: false }
    }

    #[test]
    fn answers_are_held_to_the_limits() {
        let send = |message| Effect::Send { to: 1, message };
        assert!(check_done(&done(b"four", vec![send(b"ab")]), &LIMITS).is_ok());
        assert!(check_done(&done(b"fiver", vec![]), &LIMITS).is_err());
        assert!(check_done(&done(b"", vec![send(b"a"), send(b"b")]), &LIMITS).is_err());
        assert!(check_done(&done(b"", vec![send(b"abc")]), &LIMITS).is_err());
        let fat = Done { snapshot: Some(b"four"), ..done(b"", vec![]) };
        assert!(check_done(&fat, &LIMITS).unwrap_err().to_string().contains("snapshot"));
        let wordy = "x".repeat(ERROR_TEXT_BYTES_MAX + 1);
        assert!(check_done(&Done { error: &wordy, ..done(b"", vec![]) }, &LIMITS).is_err());
    }

    #[test]
    fn a_turn_has_only_so_many_host_calls() {
        assert!(check_call(0, "wallet", b"ab", &LIMITS).is_ok());
        assert!(check_call(1, "wallet", b"ab", &LIMITS).unwrap_err().to_string().contains("host calls of 2"));
        assert!(check_call(0, "wallet", b"abc", &LIMITS).is_err());
    }

    #[test]
    fn what_was_seen_is_hashed_here_and_what_was_claimed_is_kept_apart() {
        let Answer::Done(answer) = done_to_core(&done(b"hi", vec![])) else { panic!("a turn's answer") };
        assert_eq!(answer.claimed, 5);
        assert_eq!(answer.seen, outcome_hash(0, b"hi", "", &[]));
    }
}
