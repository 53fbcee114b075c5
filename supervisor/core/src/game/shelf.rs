//! What durable sessions write down, and when. What is let out because of it waits in the gate.
//!
//! ```text
//!  open answered ─▶ Opened, Played        turn answered, skipped, poison ─▶ Played        asks the platform ─▶ Asking
//!  snapshot given ─▶ Snapshot ─▶ Pruned (when trusted) │ SnapshotDropped        held ─▶ Held        over ─▶ Ended
//!  in memory alone, and the supervisor ends ─▶ Opened, Asking (for each that asked), Parked
//! ```

use croupier_fair::entry::Effect;

use super::{Cx, Game};
use crate::action::{Action, Answered, EndReason};
use crate::durable::{
    Change, Durability, Ended, Entry, Kept, KeyOnRecord, Opened, Parked, Played, Side, Turn, Verdict,
};
use crate::event::TurnAnswer;
use crate::ids::{RequestId, SessionId, kind};
use crate::planted::{self, Bug};
use crate::session::adopt::answer;
use crate::session::keys::Key;
use crate::session::recorded::Came;
use crate::session::{Flight, Phase, Session, Shelf, parked};

impl Game {
    /// Where a new session is written down, if anywhere.
    pub(super) fn shelf(&self, asked: Option<Durability>) -> Option<Shelf> {
        match asked.unwrap_or(self.spec.durability) {
            Durability::None | Durability::Process => None,
            Durability::Disk => Some(Shelf::default()),
        }
    }

    fn write(&mut self, cx: &mut Cx<'_>, id: SessionId, change: Change) {
        let at = self.gate.next();
        if let Some(shelf) = self.sessions.get_mut(&id).and_then(|session| session.shelf.as_mut()) {
            shelf.newest_at = at;
            match change {
                Change::Opened(_) => shelf.opened_at = at,
                Change::Snapshot(_) => *shelf = shelf.snapshot(at),
                Change::SnapshotDropped => *shelf = shelf.drop_newest(),
                _ => {}
            }
        }
        cx.act(Action::Journal(Box::new(Entry { at, session: id, change })));
    }

    /// Whether the session has anything on the disk.
    pub(super) fn is_on_disk(&self, id: SessionId) -> bool {
        self.sessions.get(&id).and_then(|session| session.shelf).is_some_and(|shelf| shelf.opened_at > 0)
    }

    /// The session's first entry, unless it is there.
    fn write_opened(&mut self, cx: &mut Cx<'_>, id: SessionId) {
        let Some(session) = self.sessions.get(&id) else { return };
        if session.shelf.is_none_or(|shelf| shelf.opened_at > 0) {
            return;
        }
        let opened = Opened {
            opened_ns: session.opened_ns,
            seed: *session.seed.expose(),
            tick_ns: session.ticker.map_or(0, |ticker| ticker.period_ns()),
            idle_ns: session.idle_ns,
            queue_max: session.queue_max,
        };
        self.write(cx, id, Change::Opened(Box::new(opened)));
    }

    /// A turn has its outcome. Call it before the answer is kept under its key.
    pub(super) fn write_turn(&mut self, cx: &mut Cx<'_>, id: SessionId, flight: &Flight, done: &TurnAnswer) {
        let refused = flight.kind == kind::OPEN && done.status < 0;
        if !self.is_on_disk(id) && refused {
            return;
        }
        let came = if done.status < 0 { Came::Failed } else { Came::Done };
        if self.is_in_memory(id, flight, came) {
            return;
        }
        let verdict = if done.status < 0 {
            Verdict::Failed { status: done.status, text: done.error.clone(), outcome: done.seen }
        } else {
            Verdict::Done { reply: done.reply.clone(), retries: flight.retries, outcome: done.seen }
        };
        let allowed = &self.allowed;
        let outputs: Vec<&Effect> = done.effects.iter().filter(|effect| allowed.allows(effect)).collect();
        let outputs = outputs.into_iter().map(Into::into).collect();
        self.write_verdict(cx, id, flight, verdict, outputs);
    }

    /// Whether nothing of the session goes to the disk; if so, what it may be parked with is noted.
    fn is_in_memory(&mut self, id: SessionId, flight: &Flight, came: Came) -> bool {
        let Some(session) = self.sessions.get_mut(&id) else { return true };
        let in_memory = session.shelf.is_none();
        if in_memory {
            session.recorded.apply(flight, came);
        }
        in_memory
    }

    /// A turn is poison, or stands for ticks that are left out.
    pub(super) fn write_verdict(
        &mut self,
        cx: &mut Cx<'_>,
        id: SessionId,
        flight: &Flight,
        verdict: Verdict,
        outputs: Vec<crate::durable::Effect>,
    ) {
        if self.is_in_memory(id, flight, (&verdict).into()) {
            return;
        }
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let turn = turn(flight);
        session.recorded.apply(&turn, (&verdict).into());
        let (digest, epoch) = (*self.digest, session.epoch);
        let key = flight.key.and_then(|key| key_on_record(session, key));
        self.write_opened(cx, id);
        let played = Played { digest, epoch, turn, key, verdict, outputs };
        self.write(cx, id, Change::Played(Box::new(played)));
    }

    /// A turn is about to ask the platform.
    pub(super) fn write_asking(&mut self, cx: &mut Cx<'_>, id: SessionId, seq: u64) {
        let Some(session) = self.sessions.get(&id) else { return };
        if session.shelf.is_none() {
            return;
        }
        let Some(flight) = session.flights.iter().find(|flight| flight.seq == seq) else { return };
        let key = flight.key.and_then(|key| key_on_record(session, key));
        let asking = crate::durable::Asking { turn: turn(flight), key };
        self.write_opened(cx, id);
        self.write(cx, id, Change::Asking(Box::new(asking)));
    }

    /// The newest snapshot in the journal is new.
    pub(super) fn write_snapshot(&mut self, cx: &mut Cx<'_>, id: SessionId) {
        if !self.is_on_disk(id) {
            return;
        }
        let Some(session) = self.sessions.get(&id) else { return };
        let Some(newest) = session.journal.newest() else { return };
        let kept = Kept {
            seq: newest.seq,
            bytes: newest.bytes.clone(),
            state_version: newest.state_version,
            digest: *newest.digest,
            side: side(session),
        };
        self.write(cx, id, Change::Snapshot(Box::new(kept)));
    }

    /// Forgets what lies behind the previous snapshot, because the newest one is trusted.
    pub(super) fn prune(&mut self, cx: &mut Cx<'_>, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.journal.prune();
        let from = session.shelf.map_or(0, |shelf| shelf.previous_snapshot_at);
        // What was not let out yet may be needed to let it out after a death; the next snapshot prunes it.
        if from > 0 && (self.gate.has(from) || planted::is(Bug::PruneBeforeDurable)) {
            self.write(cx, id, Change::Pruned { from });
        }
    }

    /// Forgets the newest snapshot.
    pub(super) fn drop_snapshot(&mut self, cx: &mut Cx<'_>, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.journal.drop_newest();
        if self.is_on_disk(id) {
            self.write(cx, id, Change::SnapshotDropped);
        }
    }

    /// The session is set aside.
    pub(super) fn write_held(&mut self, cx: &mut Cx<'_>, id: SessionId, reason: &str) {
        if !self.is_on_disk(id) {
            return;
        }
        // What has a number and no outcome is part of what a person will look at.
        let session = self.sessions.get(&id);
        let flights: Vec<u64> =
            session.into_iter().flat_map(|session| session.flights.iter().map(|flight| flight.seq)).collect();
        for seq in flights {
            self.write_asking(cx, id, seq);
        }
        self.write(cx, id, Change::Held { reason: reason.to_owned() });
    }

    /// Writes down sessions that are in memory alone: the supervisor is about to end. Answered when the disk has them.
    pub(super) fn park(&mut self, cx: &mut Cx<'_>, request: RequestId) {
        let parkable = self.sessions.values().filter(|session| session.is_parkable());
        let ids: Vec<SessionId> = parkable.map(|session| session.id).collect();
        for id in ids {
            self.park_session(cx, id);
        }
        cx.answer(request, Ok(Answered::Ok));
    }

    fn park_session(&mut self, cx: &mut Cx<'_>, id: SessionId) {
        let digest = *self.digest;
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.shelf = Some(Shelf::default());
        let (snapshots, records) = parked::out(&session.journal);
        let parked = Parked { digest, snapshots, records, side: side(session) };
        let held = match &session.phase {
            Phase::Held(reason) => Some(reason.clone()),
            _ => None,
        };
        // What asked the platform keeps its number; of all else that has no outcome nobody was told.
        let asking = session.flights.iter().filter(|flight| held.is_some() || flight.has_asked);
        let asking: Vec<u64> = asking.map(|flight| flight.seq).collect();
        self.write_opened(cx, id);
        // Before the rest: should the power go in between, it must not come back without knowing what it asked.
        asking.into_iter().for_each(|seq| self.write_asking(cx, id, seq));
        self.write(cx, id, Change::Parked(Box::new(parked)));
        if let Some(reason) = held {
            self.write(cx, id, Change::Held { reason });
        }
    }

    /// The session is over, and was taken out already.
    pub(super) fn write_ended(&mut self, cx: &mut Cx<'_>, session: &Session, reason: EndReason) {
        if session.shelf.is_none_or(|shelf| shelf.opened_at == 0) {
            return;
        }
        let ended = Ended { reason, seed: *session.seed.expose(), answers: answers(session) };
        self.write(cx, session.id, Change::Ended(Box::new(ended)));
    }
}

fn key_on_record(session: &Session, key: Key) -> Option<KeyOnRecord> {
    Some((key.0.0, key.1, session.keys.body(key)?))
}

fn turn(flight: &Flight) -> Turn {
    Turn {
        seq: flight.seq,
        kind: flight.kind,
        player: flight.player.0,
        now_ns: flight.now_ns,
        seed: flight.seed,
        payload: flight.payload.clone(),
        client_seed: flight.client_seed.clone(),
        mix: flight.mix.0,
        calls: flight.calls.iter().map(|call| (call.asked, call.status, call.answer.clone())).collect(),
    }
}

fn answers(session: &Session) -> Vec<crate::durable::Answer> {
    session
        .keys
        .answers()
        .filter_map(|((client, seq), body, outcome)| answer((client.0, seq, body), outcome))
        .collect()
}

fn side(session: &Session) -> Side {
    let recorded = &session.recorded;
    Side {
        last_seq: recorded.last_seq,
        last_now_ns: recorded.last_now_ns,
        epoch: session.epoch,
        mix: recorded.mix.0,
        seats: recorded.seats.iter().map(|(player, seq)| (player.0, *seq)).collect(),
        ticks: recorded.ticks,
        poison: recorded.poison,
        answers: if planted::is(Bug::AnswersDroppedAtSnapshot) { Vec::new() } else { answers(session) },
        last_output: session.outputs.last(),
        outputs: session.outputs.kept().map(|output| (output.seq, (&output.effect).into())).collect(),
    }
}
