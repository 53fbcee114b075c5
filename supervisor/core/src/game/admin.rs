//! Load, restart, unload; and forgetting held sessions. Suspend and resume are in `pause`, workers' comings and goings in `fleet`.

use std::cmp::Reverse;

use super::workers::{CallKind, Role, Worker, WorkerPhase};
use super::{Cx, Game, Restart};
use crate::action::{Action, Answered, EndReason, KillReason, Notice, ToWorker};
use crate::event::LiveSessions;
use crate::ids::{RequestId, SessionId, WorkerId};
use crate::lifecycle::{State, Step};
use crate::refusal::Refusal;

impl Game {
    pub(super) fn start(&mut self, cx: &mut Cx<'_>, request: RequestId) {
        if let Err(refusal) = self.state.check(Step::Load) {
            return cx.answer(request, Err(refusal));
        }
        self.state = State::Starting;
        self.down = None;
        self.starting = Some(request);
        self.spawn(cx, Role::Serve);
    }

    pub(super) fn restart(&mut self, cx: &mut Cx<'_>, request: RequestId) {
        if let Err(refusal) = self.state.check(Step::Restart) {
            return cx.answer(request, Err(refusal));
        }
        if self.restarting.is_some() {
            let refusal = Refusal::WrongState { step: Step::Restart, state: State::Starting };
            return cx.answer(request, Err(refusal));
        }
        self.down = None;
        self.restarts.forgive();
        self.standbys.forgive();
        (self.start_failures, self.probe_failures) = (0, 0);
        (self.respawn_at, self.probe_at) = (None, None);
        let old: Vec<WorkerId> =
            self.workers.values().filter(|slot| slot.role != Role::Probe).map(|slot| slot.id).collect();
        let fresh = (0..self.replicas).map(|_| self.spawn(cx, Role::Serve)).collect();
        self.restarting = Some(Restart { request, fresh, old });
    }

    /// Whether a worker belongs to a restart that is under way.
    pub(super) fn is_fresh(&self, worker: WorkerId) -> bool {
        self.restarting.as_ref().is_some_and(|restart| restart.fresh.contains(&worker))
    }

    /// Another one comes in the place of a worker of a restart that is gone.
    pub(super) fn refresh(&mut self, cx: &mut Cx<'_>, gone: WorkerId) {
        let another = self.spawn(cx, Role::Serve);
        if let Some(restart) = &mut self.restarting {
            restart.fresh.iter_mut().filter(|fresh| **fresh == gone).for_each(|fresh| *fresh = another);
        }
    }

    /// When all fresh workers of a restart serve, the old ones leave.
    fn settle_restart(&mut self, cx: &mut Cx<'_>) {
        let serves = |worker: &WorkerId| self.workers.get(worker).is_some_and(Worker::is_serving);
        if !self.restarting.as_ref().is_some_and(|restart| restart.fresh.iter().all(serves)) {
            return;
        }
        let Some(restart) = self.restarting.take() else { return };
        for old in restart.old {
            self.leave(cx, old);
        }
        cx.answer(restart.request, Ok(Answered::Ok));
    }

    pub(super) fn unload(&mut self, cx: &mut Cx<'_>, request: RequestId, sessions: LiveSessions) {
        if let Err(refusal) = self.state.check(Step::Unload) {
            return cx.answer(request, Err(refusal));
        }
        let (live, held) = self.count_sessions();
        if held > 0 || (live > 0 && sessions == LiveSessions::Refuse) {
            return cx.answer(request, Err(Refusal::HasSessions { live, held }));
        }
        self.state = State::Unloading;
        // Should it stay after all, it runs: what it was suspended for is over.
        self.forgive_conduct();
        self.unloading = Some(request);
        if let Some(restart) = self.restarting.take() {
            // It has been overtaken. The fresh worker is as good as any to close the sessions in.
            let refusal = Refusal::WrongState { step: Step::Restart, state: State::Unloading };
            cx.answer(restart.request, Err(refusal));
        }
        self.resume_workers(cx);
        let ids: Vec<SessionId> = self.sessions.keys().copied().collect();
        for id in ids {
            if self.down.is_some() {
                self.end(cx, id, EndReason::Unloaded);
            } else {
                self.enqueue_close(id, EndReason::Unloaded);
            }
        }
        self.settle_unload(cx);
    }

    /// A session was held while the game was on its way out: nothing may be lost, so the game stays, and so do the sessions that are
    /// not closed yet.
    pub(super) fn unload_is_off(&mut self, cx: &mut Cx<'_>) {
        if self.state != State::Unloading {
            return;
        }
        self.state = State::Running;
        self.sessions.for_each_mut(|session| session.queue.take_back(EndReason::Unloaded));
        if let Some(request) = self.unloading.take() {
            let (live, held) = self.count_sessions();
            cx.answer(request, Err(Refusal::HasSessions { live, held }));
        }
    }

    /// Sessions that are not kept come to their end. Where no turn is played any more they end without one.
    pub(super) fn close_stateless(&mut self, cx: &mut Cx<'_>) {
        let stateless = self.sessions.values().filter(|session| session.is_stateless() && !session.is_held());
        let ids: Vec<SessionId> = stateless.map(|session| session.id).collect();
        for id in ids {
            if self.down.is_none() && self.state == State::Running {
                self.enqueue_close(id, EndReason::Unloaded);
            } else {
                self.end(cx, id, EndReason::Unloaded);
            }
        }
    }

    /// Live and held sessions.
    fn count_sessions(&self) -> (usize, usize) {
        let held = self.sessions.values().filter(|session| session.is_held()).count();
        (self.sessions.len() - held, held)
    }

    /// Retires the workers when the last session is gone, and ends when the last worker is.
    pub(super) fn settle_unload(&mut self, cx: &mut Cx<'_>) {
        if self.state != State::Unloading || !self.sessions.is_empty() {
            return;
        }
        let workers: Vec<WorkerId> = self.workers.keys().copied().collect();
        for worker in workers {
            self.drain(cx, worker);
        }
        if self.workers.is_empty() {
            self.state = State::Unloaded;
            if let Some(request) = self.unloading.take() {
                cx.answer(request, Ok(Answered::Ok));
            }
            cx.notice(Notice::Unloaded);
            cx.act(Action::Stopped);
        }
    }

    pub(super) fn drop_held(&mut self, cx: &mut Cx<'_>, request: RequestId, id: SessionId) {
        match self.sessions.get(&id) {
            None => {
                // It may have ended, and the disk not have that yet: after a death it would be there again.
                cx.behind = self.ended.get(id).map(|_| self.gate.written());
                cx.answer(request, Err(Refusal::UnknownSession(id)));
            }
            Some(session) if !session.is_held() => cx.answer(request, Err(Refusal::NotHeld(id))),
            Some(_) => {
                self.end(cx, id, EndReason::Dropped);
                cx.answer(request, Ok(Answered::Ok));
            }
        }
    }

    pub(super) fn worker_loaded(&mut self, cx: &mut Cx<'_>, worker: WorkerId) {
        let Some(slot) = self.workers.get_mut(&worker) else { return };
        if slot.phase != WorkerPhase::Spawning {
            let why = KillReason::Protocol("said hello twice".to_owned());
            return self.kill(cx, worker, why);
        }
        slot.phase = WorkerPhase::Initializing;
        if self.state == State::Starting {
            self.state = State::Loaded;
        }
        let settings = self.spec.settings.clone();
        self.send(cx, worker, CallKind::Init, ToWorker::Init { settings });
    }

    /// The plugin in `worker` is initialised: it serves from now on.
    pub(super) fn worker_serves(&mut self, cx: &mut Cx<'_>, worker: WorkerId) {
        let Some(slot) = self.workers.get_mut(&worker) else { return };
        slot.phase = WorkerPhase::Serving;
        slot.served = true;
        self.arm_ping(worker, cx.now.mono_ns);
        let Some(slot) = self.workers.get_mut(&worker) else { return };
        match slot.role {
            Role::Standby if self.down.is_none() => return self.standby_warm(cx, worker),
            // The others did not come up, and it did.
            Role::Standby => slot.role = Role::Serve,
            Role::Serve | Role::Probe => {}
        }
        if slot.role == Role::Serve {
            self.down = None;
            self.replica_trouble = None;
        }
        let role = slot.role;
        self.start_kills = 0;
        match role {
            Role::Probe => (self.probe_failures, self.probe_at) = (0, None),
            // The pause that another one's death asked for goes on.
            _ if self.coming(Role::Serve) < self.wanted() => {}
            _ => (self.start_failures, self.respawn_at) = (0, None),
        }
        if self.state == State::Loaded {
            self.state = State::Initialized;
        }
        cx.notice(Notice::WorkerReady { worker });
        if let Some(request) = self.starting.take() {
            self.state = State::Running;
            cx.notice(Notice::Loaded);
            cx.answer(request, Ok(Answered::Ok));
        }
        self.settle_restart(cx);
        self.settle_unload(cx);
        self.all_ready();
    }

    /// Every session may have something to send, or wants its place in a worker back.
    pub(super) fn all_ready(&mut self) {
        let ids: Vec<SessionId> = self.sessions.keys().copied().collect();
        for id in ids {
            self.make_ready(id);
        }
    }

    /// These sessions want their place in a worker back: those that were played last come first, because they are played next.
    pub(super) fn hottest_ready(&mut self, ids: impl IntoIterator<Item = SessionId>) {
        let touched = |id| self.sessions.get(&id).map_or(0, |session| session.last_outside_mono_ns);
        let mut all: Vec<_> = ids.into_iter().map(|id| (Reverse(touched(id)), id)).collect();
        all.sort_unstable();
        for (_, id) in all {
            self.make_ready(id);
        }
    }
}
