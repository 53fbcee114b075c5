//! What can be seen of a game from outside. Reads only.

use thiserror::Error;

use super::Game;
use super::workers::{Role, Worker};
use crate::action::Output;
use crate::ids::{PlayerId, SessionId, WorkerId, kind};
use crate::lifecycle::State;
use crate::policy::health::{Health, Signs, health};
use crate::session::journal::{Body, Record, TurnRecord};
use crate::session::{Flight, Home, Phase, Session};
use crate::views::{Export, ExportRecord, GameView, SessionView, WorkerView};

/// Why a session's outputs cannot be had from some number on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OutputsError {
    /// No such session.
    #[error("no session {0}")]
    UnknownSession(SessionId),
    /// Older than the window.
    #[error("output older than number {oldest} is gone")]
    Gone {
        /// The oldest number that is still there.
        oldest: u64,
    },
}

impl Game {
    /// The game at a glance.
    pub fn view(&self) -> GameView {
        let held = self.sessions.values().filter(|session| session.is_held()).count();
        GameView {
            state: self.state,
            down: self.down.clone(),
            health: self.health(held),
            breaker: self.breaker.word(),
            live: self.sessions.len() - held,
            held,
            counts: self.counts,
            replicas: (self.workers.values().filter(|slot| slot.serves()).count(), self.replicas as usize),
            standbys: (self.warm().count(), self.standbys.wanted as usize),
            workers: self.workers.values().map(worker_view).collect(),
        }
    }

    fn health(&self, held: usize) -> (Health, String) {
        health(&Signs {
            down: self.down.as_deref(),
            suspended_for: self.suspended_for.as_deref(),
            replicas: (self.workers.values().filter(|slot| slot.serves()).count(), self.replicas as usize),
            replica_trouble: self.replica_trouble.as_deref(),
            serves: self.workers.values().any(|slot| slot.role == Role::Serve && slot.is_serving()),
            should_serve: matches!(self.state, State::Running | State::Suspended),
            breaker: self.breaker.word(),
            deaths: self.restarts.recent(),
            held,
            snapshots_distrusted: self.snapshots.is_distrusted(),
            diverges: self.diverges,
            standby_trouble: self.standbys.trouble.as_deref(),
            usage: &self.usage_warnings(),
        })
    }

    /// Where it is in its life-cycle.
    pub fn state(&self) -> State {
        self.state
    }

    /// Why it does not run, if so.
    pub fn down(&self) -> Option<&str> {
        self.down.as_deref()
    }

    /// As in [`WorkerView::state`].
    pub fn worker_state(&self, id: WorkerId) -> Option<&'static str> {
        self.workers.get(&id).map(Worker::word)
    }

    /// As in [`SessionView::state`].
    pub fn session_state(&self, id: SessionId) -> Option<&'static str> {
        self.sessions.get(&id).map(session_state)
    }

    /// Whether the session has ended lately enough for its answers to be remembered.
    pub fn remembers(&self, id: SessionId) -> bool {
        self.ended.get(id).is_some()
    }

    /// One session at a glance.
    pub fn session_view(&self, id: SessionId) -> Option<SessionView> {
        self.sessions.get(&id).map(session_view)
    }

    /// The first `limit` sessions by id.
    pub fn session_views(&self, limit: usize) -> Vec<SessionView> {
        self.sessions.values().take(limit).map(session_view).collect()
    }

    /// A session whole, without its secret.
    pub fn export(&self, id: SessionId) -> Option<Export> {
        let session = self.sessions.get(&id)?;
        let newest = session.journal.newest();
        let records = session.journal.records().iter().skip(session.journal.replay_from());
        Some(Export {
            view: session_view(session),
            digest: *self.digest,
            state_version: self.spec.state_version,
            snapshot: newest.map(|snapshot| (snapshot.seq, snapshot.bytes.clone())),
            records: records.map(export_record).collect(),
            unanswered: session.flights.iter().map(export_flight).collect(),
            clients: session.keys.clients().collect(),
        })
    }

    /// A session's outputs from number `from` on; 0 means from the next one on.
    ///
    /// # Errors
    /// When there is no such session, or outputs that old are forgotten.
    pub fn outputs(&self, id: SessionId, from: u64) -> Result<Vec<Output>, OutputsError> {
        let session = self.sessions.get(&id).ok_or(OutputsError::UnknownSession(id))?;
        let mut outputs = session.outputs.since(from).map_err(|oldest| OutputsError::Gone { oldest })?;
        // What waits for the disk is not out yet.
        let released = self.released(session);
        outputs.truncate(outputs.partition_point(|output| output.number <= released));
        Ok(outputs)
    }

    /// The number that the session's next output will have.
    pub fn next_output(&self, id: SessionId) -> Option<u64> {
        self.sessions.get(&id).map(|session| self.released(session) + 1)
    }

    /// The number of the last output that was let out.
    fn released(&self, session: &Session) -> u64 {
        self.gate.first_output(session.id).map_or(session.outputs.last(), |first| first - 1)
    }
}

fn worker_view(slot: &Worker) -> WorkerView {
    WorkerView {
        worker: slot.id,
        state: slot.word(),
        sessions: slot.sessions.len(),
        in_flight: slot.calls.len(),
        turns: slot.turns,
        spawned_mono_ns: slot.spawned_mono_ns,
    }
}

fn session_state(session: &Session) -> &'static str {
    match (&session.phase, &session.home) {
        (Phase::Held(_), _) => "held",
        (Phase::Opening, _) => "opening",
        (_, Home::Restoring(_) | Home::None) => "restoring",
        (Phase::Closing(_), _) => "closing",
        (Phase::Live, Home::At(_)) => "live",
    }
}

fn session_view(session: &Session) -> SessionView {
    let newest = session.journal.newest();
    SessionView {
        session: session.id,
        state: session_state(session),
        held: match &session.phase {
            Phase::Held(reason) => Some(reason.clone()),
            _ => None,
        },
        epoch: session.epoch,
        commit: session.commit,
        players: session.seats.keys().copied().collect(),
        seq: session.last_seq,
        pending: session.queue.len() + session.flights.len(),
        opened_ns: session.opened_ns,
        snapshot_seq: newest.map_or(0, |snapshot| snapshot.seq),
        snapshot_bytes: newest.map_or(0, |snapshot| snapshot.bytes.len()),
        records: session.journal.records().len(),
        is_parkable: session.is_parkable(),
        is_stateless: session.is_stateless(),
        outputs: session.outputs.last(),
        tick_ns: session.ticker.map_or(0, |ticker| ticker.period_ns()),
        poison: session.poison,
    }
}

fn export_turn(turn: &TurnRecord, what: &'static str) -> ExportRecord {
    ExportRecord {
        seq: turn.seq,
        count: 1,
        what,
        kind: turn.kind,
        player: turn.player,
        now_ns: turn.now_ns,
        payload: turn.payload.clone(),
        calls: turn.calls.clone(),
        outcome: turn.outcome,
    }
}

fn export_record(record: &Record) -> ExportRecord {
    let empty = |seq, count, what, now_ns, outcome| ExportRecord {
        seq,
        count,
        what,
        kind: kind::TICK,
        player: PlayerId::HOUSE,
        now_ns,
        payload: [].into(),
        calls: Vec::new(),
        outcome,
    };
    match &record.body {
        Body::Turn(turn) => export_turn(turn, "turn"),
        Body::Poison(turn) => export_turn(turn, "poison"),
        Body::Ticks(run) => empty(run.first_seq, run.count, "ticks", run.first_now_ns, run.outcome),
        Body::Skipped { seq, now_ns, ticks } => empty(*seq, *ticks, "skipped", *now_ns, 0),
    }
}

fn export_flight(flight: &Flight) -> ExportRecord {
    ExportRecord {
        seq: flight.seq,
        count: 1,
        what: "unanswered",
        kind: flight.kind,
        player: flight.player,
        now_ns: flight.now_ns,
        payload: flight.payload.clone(),
        calls: flight.calls.clone(),
        outcome: 0,
    }
}
