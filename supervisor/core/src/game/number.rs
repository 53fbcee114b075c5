//! From the queue to a numbered turn: its number, its time and its seed, which never change from then on.
//!
//! Ticks that are due come before what waits in the queue. Players are checked here, so that a join just before counts.

use croupier_fair::entry::Verdict;

use super::death::entry_with;
use super::timers::Alarm;
use super::{Cx, Game};
use crate::action::EndReason;
use crate::durable;
use crate::event::Room;
use crate::ids::{Payload, PlayerId, SessionId, kind};
use crate::refusal::Refusal;
use crate::session::journal::{Body, RECORD_VERSION, Record};
use crate::session::queue::Pending;
use crate::session::ticker::Due;
use crate::session::{Flight, Phase, Session};
use crate::spec::Join;

impl Game {
    /// Gives the next input a number, a time and a seed: a tick that is due, or the oldest turn in the queue.
    pub(super) fn number_next(&mut self, cx: &mut Cx<'_>, id: SessionId) -> Numbered {
        let Some(session) = self.sessions.get_mut(&id) else { return Numbered::Nothing };
        if matches!(session.phase, Phase::Opening | Phase::Closing(_)) {
            return Numbered::Nothing;
        }
        // A tick that a turn has to wait for is played: those come before it, and there is room for as many as there are turns accepted.
        let no_room = self.room == Room::None && session.queue.is_empty();
        if session.shelf.is_some() && (self.gate.is_behind() || no_room) {
            return Numbered::Nothing;
        }
        if let Some(ticker) = session.ticker {
            // By the session's own time, which never runs backwards: so a tick always comes before what is stamped later.
            let session_ns = cx.now.wall_ns.max(session.last_now_ns);
            match ticker.due(session_ns, self.spec.catch_up_ticks) {
                Due::Tick(at) => {
                    number_tick(session, at);
                    return Numbered::Flight;
                }
                Due::Skip { ticks, last_ns } => {
                    self.skip_ticks(cx, id, ticks, last_ns);
                    return Numbered::Settled;
                }
                Due::NotBefore(at) if session.tick_armed_ns != Some(at) => {
                    session.tick_armed_ns = Some(at);
                    let wait = at.saturating_sub(cx.now.wall_ns);
                    self.timers.set(cx.now.mono_ns.saturating_add(wait), Alarm::Tick(id));
                }
                Due::NotBefore(_) => {}
            }
        }
        let Some(pending) = session.queue.pop() else { return Numbered::Nothing };
        if let Err(refusal) = seat_check(session, &pending, &self.spec) {
            let waiters = pending.key.map(|key| session.keys.forget(key)).unwrap_or_default();
            cx.answer_all(waiters, &Err(refusal));
            return Numbered::Settled;
        }
        number_pending(session, pending, cx.now.wall_ns);
        Numbered::Flight
    }

    /// Makes the seed of a session's next turn ahead: to be called when there is time, while a worker plays.
    pub fn prepare(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.chance.prepare(&session.mix, session.last_seq + 1);
        }
    }

    /// Leaves out late ticks, on record. Its time is that of the last of them, so that the next one follows one period later.
    fn skip_ticks(&mut self, cx: &mut Cx<'_>, id: SessionId, ticks: u64, last_ns: u64) {
        // It takes its place behind the turns in flight, and is recorded when they all have their outcome.
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if let Some(ticker) = &mut session.ticker {
            ticker.advance(ticks);
        }
        session.last_seq += 1;
        session.last_now_ns = session.last_now_ns.max(last_ns);
        let (seq, now_ns) = (session.last_seq, session.last_now_ns);
        let flight = new_flight(session, seq, now_ns, Payload::default());
        session.flights.push_back(Flight { sent: true, kind: kind::TICK, ..flight });
        session.skips.push_back((seq, ticks));
        self.settle_skips(cx, id);
    }

    /// Records skips whose turns before them all have their outcome.
    pub(super) fn settle_skips(&mut self, cx: &mut Cx<'_>, id: SessionId) {
        while let Some(session) = self.sessions.get_mut(&id)
            && let Some((seq, ticks)) = session.skips.front().copied()
            && let Some(flight) = session.flights.pop_front_if(|flight| flight.seq == seq)
        {
            let now_ns = flight.now_ns;
            session.skips.pop_front();
            let body = Body::Skipped { seq, now_ns, ticks };
            let (digest, epoch) = (self.digest.clone(), session.epoch);
            session.journal.push(Record { version: RECORD_VERSION, digest, epoch, body });
            self.write_verdict(cx, id, &flight, durable::Verdict::Skipped { ticks }, Vec::new());
            self.record(cx, id, || entry_with(&flight, Verdict::Skipped { ticks }));
        }
    }
}

/// What came of numbering.
pub(super) enum Numbered {
    /// A turn has its number.
    Flight,
    /// Something was refused, or left out: there may be more.
    Settled,
    /// There is nothing to number now.
    Nothing,
}

fn new_flight(session: &mut Session, seq: u64, now_ns: u64, payload: Payload) -> Flight {
    let seed = session.chance.seed(&session.mix, seq);
    Flight::of_house(kind::ACTION, seq, now_ns, (seed, session.mix), payload)
}

fn number_tick(session: &mut Session, at: u64) {
    if let Some(ticker) = &mut session.ticker {
        ticker.advance(1);
    }
    session.last_seq += 1;
    session.last_now_ns = session.last_now_ns.max(at);
    let (seq, now_ns) = (session.last_seq, session.last_now_ns);
    let flight = Flight { kind: kind::TICK, ..new_flight(session, seq, now_ns, Payload::default()) };
    session.flights.push_back(flight);
}

fn number_pending(session: &mut Session, pending: Pending, wall_ns: u64) {
    let input = pending.input;
    session.last_seq += 1;
    session.last_now_ns = session.last_now_ns.max(wall_ns);
    if input.kind == kind::JOIN {
        session.seats.insert(input.player, session.last_seq);
        session.mix = session.mix.add(session.last_seq, input.player.0, &input.client_seed);
    }
    if input.kind == kind::LEAVE {
        session.seats.remove(&input.player);
    }
    if input.kind == kind::CLOSE {
        session.phase = Phase::Closing(pending.end.unwrap_or(EndReason::Closed));
    }
    let (seq, now_ns) = (session.last_seq, session.last_now_ns);
    let flight = Flight {
        kind: input.kind,
        player: input.player,
        client_seed: input.client_seed,
        key: pending.key,
        ..new_flight(session, seq, now_ns, input.payload)
    };
    session.flights.push_back(flight);
}

/// Whether the player may do this now. Checked when the turn is numbered, so that a join just before counts.
fn seat_check(session: &Session, pending: &Pending, spec: &crate::spec::Spec) -> Result<(), Refusal> {
    let player = pending.input.player;
    let seated = session.seats.contains_key(&player);
    match pending.input.kind {
        kind::JOIN if seated => Err(Refusal::AlreadyJoined { player, session: session.id }),
        kind::JOIN if session.seats.len() >= spec.players_max as usize => {
            Err(Refusal::TableFull { session: session.id, max: spec.players_max })
        }
        kind::JOIN | kind::CLOSE => Ok(()),
        _ if seated => Ok(()),
        kind::LEAVE if player == PlayerId::HOUSE => {
            Err(Refusal::UnknownPlayer { player, session: session.id })
        }
        _ if player == PlayerId::HOUSE => Ok(()),
        _ if spec.join == Join::Optional && player != PlayerId::ALL => Ok(()),
        _ => Err(Refusal::UnknownPlayer { player, session: session.id }),
    }
}
