//! Which session moves on next, and in which worker.
//!
//! ```text
//!  nowhere ──place──▶ restoring (`restore`) ──▶ at a worker ──▶ its next turn: one that has a number already, or a new one (`number`)
//! ```
//!
//! While there are suspects, one serving worker tries them: it plays the first of them alone, one turn at a time, and everybody else in it waits; in the
//! other replicas nobody does. An outcast is played the same way in the spare worker, and nobody waits.

use std::collections::VecDeque;
use std::ops::Bound;

use super::fleet::START_FAILURES_MAX;
use super::number::Numbered;
use super::workers::{CallKind, Role, Worker};
use super::{Cx, Game};
use crate::action::{Run, ToWorker, TurnMessage, Wanted};
use crate::ids::{SessionId, WorkerId};
use crate::lifecycle::State;
use crate::planted::{self, Bug};
use crate::session::{Home, Listed, Session, Standing};

/// Most calls that one session sends before the next session has its turn.
const BURST_MAX: usize = 16;
/// Calls in flight on a worker for sessions on their way into it, at which no further one is begun.
const RESTORES_MAX: usize = 64;

/// What came of trying to move a session on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// Something was sent or decided; there may be more.
    Moved,
    /// Nothing to do until something happens to this session, which puts it on a list again.
    Idle,
    /// The worker takes nothing more now.
    Blocked,
}

/// How alone a session that is tried alone must be for its next call.
#[derive(Clone, Copy)]
pub(super) enum Alone {
    /// Nothing at all may be in flight.
    Turn,
    /// Nothing of anybody else's may be in flight.
    Session,
}

impl Game {
    /// Moves every session on that may have something to send, in the order in which they came, until none can be moved any further:
    /// nothing else may ever happen that would bring us here again.
    pub(super) fn run_ready(&mut self, cx: &mut Cx<'_>) {
        while self.run_round(cx) == Progress::Moved {}
    }

    fn run_round(&mut self, cx: &mut Cx<'_>) -> Progress {
        let mut progress = Progress::Idle;
        self.choose_trial();
        for first in [self.suspects.front().copied(), self.outcasts.front().copied()].into_iter().flatten() {
            if self.run_session(cx, first) == Progress::Moved {
                progress = Progress::Moved;
            }
        }
        progress = self.run_placing(cx, progress);
        let mut next = self.workers.keys().next().copied();
        while let Some(worker) = next {
            progress = self.run_worker(cx, worker, progress);
            next = self.workers.range((Bound::Excluded(worker), Bound::Unbounded)).next().map(|(id, _)| *id);
        }
        self.run_waiting(cx, progress)
    }

    /// Those that are nowhere and somebody waits for: a few at a time, so that the first ones are there soon instead of all of them late.
    fn run_placing(&mut self, cx: &mut Cx<'_>, mut progress: Progress) -> Progress {
        for _ in 0..self.placing.len() {
            let Some(id) = self.placing.pop_front() else { break };
            let Some(session) =
                self.sessions.get_mut(&id).filter(|session| session.listed == Listed::Placing)
            else {
                continue;
            };
            session.listed = Listed::No;
            // Whom nothing is held against may go anywhere: when there is no room for one of them there is none for any.
            let may_go_anywhere = session.trouble.standing == Standing::Clear && session.worker().is_none();
            let moved = self.run_listed(cx, id, Progress::Idle) == Progress::Moved;
            progress = if moved { Progress::Moved } else { progress };
            if may_go_anywhere && !moved && self.is_nowhere(id) {
                if self.placing.back() == Some(&id) {
                    self.placing.rotate_right(1);
                }
                break;
            }
        }
        progress
    }

    /// Those that are in this worker, or on their way to it, as long as it takes calls.
    fn run_worker(&mut self, cx: &mut Cx<'_>, worker: WorkerId, mut progress: Progress) -> Progress {
        let listed = self.workers.get(&worker).map_or(0, |slot| slot.ready.len());
        for _ in 0..listed {
            let Some(slot) = self.workers.get_mut(&worker) else { break };
            if slot.takes_turns() && slot.calls.len() >= self.spec.window_calls {
                break;
            }
            let Some(id) = slot.ready.pop_front() else { break };
            if let Some(session) = self.sessions.get_mut(&id)
                && session.listed == Listed::At(worker)
            {
                session.listed = Listed::No;
                progress = self.run_listed(cx, id, progress);
            }
        }
        progress
    }

    /// What nobody waits for is brought back beside, a few at a time.
    fn run_waiting(&mut self, cx: &mut Cx<'_>, mut progress: Progress) -> Progress {
        for _ in 0..self.waiting.len() {
            let Some(id) = self.waiting.pop_front() else { break };
            let Some(session) = self.sessions.get_mut(&id) else { continue };
            session.is_waiting = false;
            let may_go_anywhere = session.trouble.standing == Standing::Clear && !session.is_urgent();
            let moved = self.run_listed(cx, id, Progress::Idle) == Progress::Moved;
            progress = if moved { Progress::Moved } else { progress };
            if may_go_anywhere && !moved && self.is_nowhere(id) {
                if self.waiting.back() == Some(&id) {
                    self.waiting.rotate_right(1);
                }
                break;
            }
        }
        progress
    }

    /// Whether a session that was to go on is in no worker still, and on a list for it.
    fn is_nowhere(&self, id: SessionId) -> bool {
        let on_a_list = |session: &Session| session.listed == Listed::Placing || session.is_waiting;
        self.sessions.get(&id).is_some_and(|session| session.worker().is_none() && on_a_list(session))
    }

    /// Moves a session on that came from a list, and puts it back when there may be more. Says what came of the round so far.
    fn run_listed(&mut self, cx: &mut Cx<'_>, id: SessionId, so_far: Progress) -> Progress {
        let progress = self.run_session(cx, id);
        if progress != Progress::Idle {
            self.make_ready(id);
        }
        if progress == Progress::Moved { Progress::Moved } else { so_far }
    }

    /// Whether a worker that serves takes one more session in: of those that somebody waits for, or of the others.
    pub(super) fn takes_in(&self, slot: &Worker, is_urgent: bool) -> bool {
        let calls = slot.calls.len();
        let has_room = if is_urgent {
            calls < self.spec.window_calls && slot.restores < RESTORES_MAX
        } else {
            calls < self.spec.background_calls.min(self.spec.window_calls)
        };
        slot.role == Role::Serve && slot.takes_turns() && !self.is_trying(slot.id) && has_room
    }

    /// Whether a worker tries suspects: nobody else is played there.
    pub(super) fn is_trying(&self, worker: WorkerId) -> bool {
        self.trial == Some(worker)
    }

    /// Chooses the worker that tries the suspects; who had to wait for them where the last ones were tried goes on.
    pub(super) fn choose_trial(&mut self) {
        if self.suspects.is_empty() && self.trial.is_none() {
            return;
        }
        let first = self.suspects.front().and_then(|id| self.sessions.get(id));
        let trial = first.and_then(|session| session.worker().or_else(|| self.next_trial()));
        let before = std::mem::replace(&mut self.trial, trial);
        if before == trial {
            return;
        }
        if let Some(slot) = before.and_then(|worker| self.workers.get(&worker)) {
            let ids: Vec<SessionId> = slot.sessions.iter().copied().collect();
            ids.into_iter().for_each(|id| self.make_ready(id));
        }
    }

    /// The same as for the last suspect; else one without sessions, which is waited for; or, when none comes up, the one with the fewest, which wait meanwhile.
    fn next_trial(&self) -> Option<WorkerId> {
        let serves = |slot: &&Worker| slot.role == Role::Serve && slot.takes_turns();
        if let Some(slot) = self.trial.and_then(|worker| self.workers.get(&worker)).filter(serves) {
            return Some(slot.id);
        }
        let fewest = self.workers.values().filter(serves);
        let fewest = fewest.min_by_key(|slot| (slot.leaves, slot.sessions.len()))?;
        let waits = !fewest.sessions.is_empty() && self.start_failures < START_FAILURES_MAX;
        (!waits).then_some(fewest.id)
    }

    /// Whether one more worker is needed, to try the suspects in: whoever serves has sessions.
    pub(super) fn lacks_trial(&self) -> bool {
        let serves = |slot: &Worker| slot.role == Role::Serve && slot.takes_turns();
        !self.suspects.is_empty() && self.trial.is_none() && self.workers.values().any(serves)
    }

    fn run_session(&mut self, cx: &mut Cx<'_>, id: SessionId) -> Progress {
        for _ in 0..BURST_MAX {
            match self.advance(cx, id) {
                Progress::Moved => {}
                other => return other,
            }
        }
        Progress::Moved
    }

    /// One step of one session: place it, replay one record, or send one turn.
    fn advance(&mut self, cx: &mut Cx<'_>, id: SessionId) -> Progress {
        let Some(session) = self.sessions.get(&id) else { return Progress::Idle };
        if session.is_held() || !self.has_turn(id, session.trouble.standing) {
            return Progress::Idle;
        }
        let (worker, alone) = match &session.home {
            Home::None => return self.place(cx, id),
            Home::Restoring(restoring) => (restoring.worker, Alone::Session),
            Home::At(worker) => match session.moving {
                Some(on) => return self.go_on_moving(cx, id, on),
                None => (*worker, Alone::Turn),
            },
        };
        if !self.workers.get(&worker).is_some_and(|slot| slot.takes_turns()) {
            // It is on its way out, or suspended. When it has gone or goes on, its sessions are put on the list again.
            return Progress::Idle;
        }
        if !self.may_send(worker, id, alone) {
            // Who waits for suspects is put on the list again when those are done.
            let waits = self.is_trying(worker) && self.suspects.front() != Some(&id);
            return if waits { Progress::Idle } else { Progress::Blocked };
        }
        match alone {
            Alone::Session => self.replay_next(cx, id),
            Alone::Turn => self.send_next(cx, id, worker),
        }
    }

    /// Whether it is the turn of a session of this standing: those that are tried alone are tried in order.
    fn has_turn(&self, id: SessionId, standing: Standing) -> bool {
        let is_first = |list: &VecDeque<SessionId>| list.front() == Some(&id);
        match standing {
            Standing::Clear => true,
            Standing::Suspect => is_first(&self.suspects),
            Standing::Outcast => is_first(&self.outcasts),
        }
    }

    /// Whether `worker` takes another call of session `id` now.
    pub(super) fn may_send(&self, worker: WorkerId, id: SessionId, alone: Alone) -> bool {
        let Some(slot) = self.workers.get(&worker) else { return false };
        if !slot.takes_turns() || slot.calls.len() >= self.spec.window_calls {
            return false;
        }
        let first = match slot.role {
            Role::Serve if !self.is_trying(worker) => return true,
            Role::Serve => self.suspects.front(),
            Role::Probe => self.outcasts.front(),
            Role::Standby => return false,
        };
        first == Some(&id)
            && match alone {
                Alone::Turn => slot.calls.is_empty(),
                Alone::Session => slot.calls.iter().all(|call| call.what.session() == Some(id)),
            }
    }

    /// Sends the oldest turn that is not in the worker, or numbers the next one.
    fn send_next(&mut self, cx: &mut Cx<'_>, id: SessionId, worker: WorkerId) -> Progress {
        let Some(session) = self.sessions.get_mut(&id) else { return Progress::Idle };
        if session.sent() >= self.spec.flights_max {
            return Progress::Idle;
        }
        if session.unsent().is_none() {
            // A plugin that is suspended finishes what has a number, and gets nothing new. What is suspected is settled first.
            let plays = matches!(self.state, State::Running | State::Unloading);
            if !plays || session.trouble.standing != Standing::Clear {
                return Progress::Idle;
            }
            match self.number_next(cx, id) {
                Numbered::Flight => {}
                Numbered::Settled => return Progress::Moved,
                Numbered::Nothing => return Progress::Idle,
            }
        }
        self.send_flight(cx, id, worker)
    }

    fn send_flight(&mut self, cx: &mut Cx<'_>, id: SessionId, worker: WorkerId) -> Progress {
        let snapshot = self.wants_snapshot(cx, id);
        let Some(session) = self.sessions.get_mut(&id) else { return Progress::Idle };
        let Some(flight) = session.unsent() else { return Progress::Idle };
        flight.sent = true;
        if flight.retries > 0 && planted::is(Bug::FreshNowOnRetry) {
            flight.now_ns = cx.now.wall_ns;
        }
        flight.told = flight.calls.len();
        let message = TurnMessage {
            session: id,
            seq: flight.seq,
            now_ns: flight.now_ns,
            seed: flight.seed,
            kind: flight.kind,
            player: flight.player,
            payload: flight.payload.clone(),
            calls: flight.calls.clone(),
            run: Run::First,
            snapshot,
        };
        let seq = flight.seq;
        if snapshot == Wanted::Yes {
            session.snapshot_asked = Some(seq);
        }
        let has_more = session.has_more();
        self.send(cx, worker, CallKind::Turn(id, seq), ToWorker::Turn(Box::new(message)));
        if has_more { Progress::Moved } else { Progress::Idle }
    }
}
