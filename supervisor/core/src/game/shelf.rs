//! What durable sessions write down, and when. What is let out because of it waits in the gate.
//!
//! ```text
//!  open answered ─▶ Opened, Played        turn answered, skipped, poison ─▶ Played        asks the platform ─▶ Asking
//!  snapshot given ─▶ Snapshot ─▶ Pruned (when trusted) │ SnapshotDropped        held ─▶ Held        over ─▶ Ended
//! ```

use croupier_fair::entry::Effect;

use super::{Cx, Game};
use crate::action::{Action, EndReason};
use crate::durable::{
    Change, Durability, Ended, Entry, Kept, KeyOnRecord, Opened, Played, Side, Turn, Verdict,
};
use crate::event::TurnAnswer;
use crate::ids::{SessionId, kind};
use crate::planted::{self, Bug};
use crate::session::adopt::answer;
use crate::session::keys::Key;
use crate::session::{Flight, Session, Shelf};

impl Game {
    /// Where a new session is written down, if anywhere.
    pub(super) fn shelf(&self, asked: Option<Durability>) -> Option<Shelf> {
        match asked.unwrap_or(self.spec.durability) {
            Durability::Process => None,
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

    /// A turn is poison, or stands for ticks that are left out.
    pub(super) fn write_verdict(
        &mut self,
        cx: &mut Cx<'_>,
        id: SessionId,
        flight: &Flight,
        verdict: Verdict,
        outputs: Vec<crate::durable::Effect>,
    ) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if session.shelf.is_none() {
            return;
        }
        let turn = turn(flight);
        session.recorded.apply(&turn, &verdict);
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

    /// Forgets the newest snapshot. Says whether there is anything to restore from.
    pub(super) fn drop_snapshot(&mut self, cx: &mut Cx<'_>, id: SessionId) -> bool {
        let Some(session) = self.sessions.get_mut(&id) else { return false };
        let has_another = session.journal.drop_newest();
        if self.is_on_disk(id) {
            self.write(cx, id, Change::SnapshotDropped);
        }
        has_another
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
