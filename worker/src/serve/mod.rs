//! Serves: takes the supervisor's messages one by one, in order, and answers each.
//!
//! ```text
//!   next_frame ─▶ decode ─▶ Game ─▶ put answer ─▶ another whole frame here? ── yes ─▶ next_frame
//!                                                          └── no ── flush ──────────▲
//! ```
//!
//! It trusts the supervisor, but checks: a message that makes no sense ends the worker with a named fault, since from then on the two sides
//! would not be talking about the same thing.

mod greeting;

use croupier_abi as abi;
use croupier_wire::codec::EncodeError;
use croupier_wire::frame::Header;
use croupier_wire::link::{
    Done, FLAG_REPLAY, FLAG_SNAPSHOT, FromWorker, LINK_VERSION, Tick, ToWorker, Turn, decode_to_worker,
};

use crate::fault::Fault;
use crate::link::Link;
use crate::plugin::{Game, Played, Refused};

pub(crate) use greeting::{Greeting, confine, greeting};

/// Whether there is more to serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    GoOn,
    End,
}

/// Says Welcome and serves until Shutdown. The end of the link ends the process from within.
pub(crate) fn serve(link: &Link, greeting: &Greeting, mut game: Game) -> Result<(), Fault> {
    let welcome = FromWorker::Welcome {
        version: LINK_VERSION,
        abi_minor: game.abi_minor(),
        has_extensions: game.has_extensions(),
        layout_checked: game.layout_checked(),
    };
    link.outbox().put(&welcome, greeting.call_id())?;
    let mut body = Vec::new();
    loop {
        if !link.has_frame() {
            link.outbox().flush();
        }
        let header = link.next_frame(&mut body)?;
        if serve_one(link, &mut game, &header, &body)? == Then::End {
            link.outbox().flush();
            return Ok(());
        }
    }
}

fn serve_one(link: &Link, game: &mut Game, header: &Header, body: &[u8]) -> Result<Then, Fault> {
    let answer = |message: &FromWorker<'_>| link.outbox().put(message, header.call_id);
    match decode_to_worker(header, body)? {
        ToWorker::Turn(turn) => play(link, game, header, &turn)?,
        ToWorker::Ticks { ticks } if ticks.is_empty() => {
            return Err(Fault::Unexpected { message: "Ticks", when: "without a tick" });
        }
        ToWorker::Ticks { ticks } => {
            for (at, tick) in ticks.iter().enumerate() {
                play(link, game, &Header { call_id: header.call_id + at as u64, ..*header }, &turn_of(tick))?;
            }
        }
        ToWorker::Init { settings } => answer(&told(&game.init(settings)?))?,
        ToWorker::Restore { session, state_version, snapshot } => {
            answer(&told(&game.restore(session, state_version, snapshot)?))?;
        }
        ToWorker::Snapshot { session } => match game.snapshot(session)? {
            Ok(snapshot) => answer(&FromWorker::Snapshot { snapshot: &snapshot })?,
            Err(refused) => answer(&failed(&refused))?,
        },
        ToWorker::Drop { session } => {
            game.drop_session(session);
            answer(&FromWorker::Ok)?;
        }
        ToWorker::Suspend => answer(&told(&game.suspend()?))?,
        ToWorker::Resume => answer(&told(&game.resume()?))?,
        ToWorker::Ping => answer(&FromWorker::Ok)?,
        ToWorker::Shutdown => {
            game.shutdown();
            answer(&FromWorker::Ok)?;
            return Ok(Then::End);
        }
        ToWorker::Hello(_) => {
            return Err(Fault::Unexpected { message: "Hello", when: "for the second time" });
        }
        ToWorker::CallAnswer(_) => {
            return Err(Fault::Unexpected { message: "CallAnswer", when: "while no host call waits" });
        }
    }
    Ok(Then::GoOn)
}

fn turn_of(tick: &Tick) -> Turn<'static> {
    let Tick { session, seq, now_ns, seed } = *tick;
    Turn { session, seq, now_ns, seed, kind: abi::TURN_TICK, player: 0, payload: &[], calls: Vec::new() }
}

fn told(result: &Result<(), Refused>) -> FromWorker<'_> {
    match result {
        Ok(()) => FromWorker::Ok,
        Err(refused) => failed(refused),
    }
}

fn failed(refused: &Refused) -> FromWorker<'_> {
    FromWorker::Failed { status: refused.status, text: &refused.text }
}

fn play(link: &Link, game: &mut Game, header: &Header, turn: &Turn<'_>) -> Result<(), Fault> {
    let played = game.turn(header.call_id, header.flags, turn)?;
    for (permission, count) in &played.refused {
        link.outbox().put(&FromWorker::Refused { permission, count: *count }, header.call_id)?;
    }
    let snapshot = if header.flags & FLAG_SNAPSHOT == 0 { None } else { game.snapshot_after(turn.session) };
    let done = done(header, &played, snapshot.as_deref());
    match link.outbox().put(&FromWorker::Done(done.clone()), header.call_id) {
        // Reply and effects fit a frame by the limits that the desk keeps; a snapshot beside them need not. The supervisor
        // can still ask for it alone.
        Err(EncodeError::TooLong { .. }) if snapshot.is_some() => {
            let done = Done { snapshot: None, ..done };
            Ok(link.outbox().put(&FromWorker::Done(done), header.call_id)?)
        }
        other => Ok(other?),
    }
}

/// The answer to a turn; of a replayed one only what tells divergence.
fn done<'a>(header: &Header, played: &'a Played, snapshot: Option<&'a [u8]>) -> Done<'a> {
    let outcome_only = Done {
        status: played.status,
        reply: &[],
        error: "",
        effects: Vec::new(),
        outcome: played.outcome,
        snapshot,
        diverged: played.has_diverged,
    };
    if header.flags & FLAG_REPLAY != 0 {
        return outcome_only;
    }
    Done { reply: &played.reply, error: &played.error, effects: played.effects.list(), ..outcome_only }
}
