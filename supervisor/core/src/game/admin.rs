//! Load, suspend, resume, restart, unload: and keeping the right number of workers.

use super::timers::Alarm;
use super::workers::{CallKind, Role, Worker, WorkerPhase};
use super::{Cx, Game, Restart};
use crate::action::{Action, Answered, EndReason, KillReason, Notice, ToWorker};
use crate::event::{Cause, LiveSessions};
use crate::ids::{RequestId, SessionId, WorkerId};
use crate::lifecycle::{State, Step};
use crate::refusal::Refusal;
use crate::session::{Home, Phase, Standing};

/// Workers in a row that may fail to start before the game is down.
const START_FAILURES_MAX: u32 = 5;
/// The first pause before a worker is spawned again; it doubles each time.
const RESPAWN_NS_MIN: u64 = 10_000_000;

impl Game {
    pub(super) fn start(&mut self, cx: &mut Cx<'_>, request: RequestId) {
        if let Err(refusal) = self.state.check(Step::Load) {
            return cx.answer(request, Err(refusal));
        }
        self.state = State::Starting;
        self.starting = Some(request);
        self.spawn(cx, Role::Serve);
    }

    pub(super) fn suspend(&mut self, cx: &mut Cx<'_>, request: RequestId) {
        if let Err(refusal) = self.state.check(Step::Suspend) {
            return cx.answer(request, Err(refusal));
        }
        self.state = State::Suspended;
        self.suspending = Some(request);
        for worker in self.serving() {
            if let Some(slot) = self.workers.get_mut(&worker) {
                slot.told_suspended = true;
            }
            self.send(cx, worker, CallKind::Suspend, ToWorker::Suspend);
        }
        cx.notice(Notice::Suspended);
        self.settle_suspend(cx, Ok(()));
    }

    pub(super) fn resume(&mut self, cx: &mut Cx<'_>, request: RequestId) {
        if let Err(refusal) = self.state.check(Step::Resume) {
            return cx.answer(request, Err(refusal));
        }
        self.state = State::Running;
        self.resuming = Some(request);
        self.resume_workers(cx);
        cx.notice(Notice::Resumed);
        self.settle_resume(cx, Ok(()));
        self.all_ready();
    }

    /// Tells every plugin that was told it is suspended that it goes on.
    fn resume_workers(&mut self, cx: &mut Cx<'_>) {
        for worker in self.serving() {
            if self.workers.get_mut(&worker).is_some_and(|slot| std::mem::take(&mut slot.told_suspended)) {
                self.send(cx, worker, CallKind::Resume, ToWorker::Resume);
            }
        }
    }

    /// Answers a suspend when no worker has it in flight any more, or one refused.
    pub(super) fn settle_suspend(&mut self, cx: &mut Cx<'_>, result: Result<(), Refusal>) {
        if result.is_ok() && self.has_call(CallKind::Suspend) {
            return;
        }
        if let Some(request) = self.suspending.take() {
            cx.answer(request, result.map(|()| Answered::Ok));
        }
    }

    /// The same for a resume.
    pub(super) fn settle_resume(&mut self, cx: &mut Cx<'_>, result: Result<(), Refusal>) {
        if result.is_ok() && self.has_call(CallKind::Resume) {
            return;
        }
        if let Some(request) = self.resuming.take() {
            cx.answer(request, result.map(|()| Answered::Ok));
        }
    }

    fn has_call(&self, what: CallKind) -> bool {
        self.workers.values().any(|slot| slot.calls.iter().any(|call| call.what == what))
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
        self.start_failures = 0;
        self.respawn_at = None;
        let old: Vec<WorkerId> =
            self.workers.values().filter(|slot| slot.role == Role::Serve).map(|slot| slot.id).collect();
        let fresh = self.spawn(cx, Role::Serve);
        self.restarting = Some(Restart { request, fresh, old });
    }

    /// The fresh worker of a restart serves: the old ones drain.
    fn restart_switches(&mut self, cx: &mut Cx<'_>, worker: WorkerId) {
        if self.restarting.as_ref().is_none_or(|restart| restart.fresh != worker) {
            return;
        }
        let Some(restart) = self.restarting.take() else { return };
        for old in restart.old {
            self.drain(cx, old);
        }
        cx.answer(restart.request, Ok(Answered::Ok));
    }

    /// Gives a worker nothing more, and retires it when it has answered what it has.
    pub(super) fn drain(&mut self, cx: &mut Cx<'_>, worker: WorkerId) {
        let Some(slot) = self.workers.get_mut(&worker) else { return };
        match slot.phase {
            WorkerPhase::Serving => {
                slot.phase = WorkerPhase::Draining;
                self.retire_if_drained(cx, worker);
            }
            WorkerPhase::Spawning | WorkerPhase::Initializing => self.kill(cx, worker, KillReason::Retired),
            WorkerPhase::Draining | WorkerPhase::Leaving | WorkerPhase::Dying => {}
        }
    }

    /// Sends a drained worker home: its sessions are restored elsewhere.
    pub(super) fn retire_if_drained(&mut self, cx: &mut Cx<'_>, worker: WorkerId) {
        let Some(slot) = self.workers.get_mut(&worker) else { return };
        if slot.phase != WorkerPhase::Draining || !slot.calls.is_empty() {
            return;
        }
        slot.phase = WorkerPhase::Leaving;
        for id in std::mem::take(&mut slot.sessions) {
            if let Some(session) = self.sessions.get_mut(&id) {
                session.home = Home::None;
                session.lost_mono_ns = Some(cx.now.mono_ns);
            }
            self.make_ready(id);
        }
        self.send(cx, worker, CallKind::Shutdown, ToWorker::Shutdown);
    }

    pub(super) fn unload(&mut self, cx: &mut Cx<'_>, request: RequestId, sessions: LiveSessions) {
        if let Err(refusal) = self.state.check(Step::Unload) {
            return cx.answer(request, Err(refusal));
        }
        let held = self.sessions.values().filter(|session| session.is_held()).count();
        let live = self.sessions.len() - held;
        if held > 0 || (live > 0 && sessions == LiveSessions::Refuse) {
            return cx.answer(request, Err(Refusal::HasSessions { live, held }));
        }
        self.state = State::Unloading;
        self.unloading = Some(request);
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

    /// A session was held while the game was on its way out: nothing may be lost, so the game stays.
    pub(super) fn unload_is_off(&mut self, cx: &mut Cx<'_>) {
        if self.state != State::Unloading {
            return;
        }
        self.state = State::Running;
        if let Some(request) = self.unloading.take() {
            let held = self.sessions.values().filter(|session| session.is_held()).count();
            let live = self.sessions.len() - held;
            cx.answer(request, Err(Refusal::HasSessions { live, held }));
        }
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
            None => cx.answer(request, Err(Refusal::UnknownSession(id))),
            Some(session) if !session.is_held() => cx.answer(request, Err(Refusal::NotHeld(id))),
            Some(_) => {
                self.end(cx, id, EndReason::Dropped);
                cx.answer(request, Ok(Answered::Ok));
            }
        }
    }

    pub(super) fn spawn(&mut self, cx: &mut Cx<'_>, role: Role) -> WorkerId {
        self.last_worker += 1;
        let id = WorkerId(self.last_worker);
        self.workers.insert(id, Worker::new(id, role, cx.now.mono_ns));
        cx.act(Action::Spawn { worker: id });
        id
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
        self.start_failures = 0;
        self.respawn_at = None;
        if self.state == State::Loaded {
            self.state = State::Initialized;
        }
        cx.notice(Notice::WorkerReady { worker });
        if let Some(request) = self.starting.take() {
            self.state = State::Running;
            cx.notice(Notice::Loaded);
            cx.answer(request, Ok(Answered::Ok));
        }
        self.restart_switches(cx, worker);
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

    pub(super) fn serving(&self) -> Vec<WorkerId> {
        self.workers.values().filter(|slot| slot.is_serving()).map(|slot| slot.id).collect()
    }

    /// A worker died before it served. The first one's failure is the load's; later ones are tried again with growing pauses.
    pub(super) fn start_failed(&mut self, cx: &mut Cx<'_>, worker: WorkerId, cause: &Cause) {
        if matches!(cause, Cause::External { .. }) && self.restarting.is_none() {
            // Somebody else's doing says nothing about the plugin.
            return self.start_again(cx);
        }
        let reason = match cause {
            Cause::Start(reason) => reason.clone(),
            other => other.to_string(),
        };
        if let Some(request) = self.starting.take() {
            self.state = State::Unloaded;
            cx.answer(request, Err(Refusal::Start(reason)));
            return cx.act(Action::Stopped);
        }
        if self.restarting.as_ref().is_some_and(|restart| restart.fresh == worker)
            && let Some(restart) = self.restarting.take()
        {
            return cx.answer(restart.request, Err(Refusal::Start(reason)));
        }
        self.start_failures += 1;
        let at = cx.now.mono_ns + (RESPAWN_NS_MIN << self.start_failures.min(8));
        self.respawn_at = Some(at);
        self.timers.set(at, Alarm::Respawn);
        if self.start_failures >= START_FAILURES_MAX && self.down.is_none() {
            cx.notice(Notice::Down { reason: reason.clone() });
            self.go_down(cx, reason);
        }
    }

    fn start_again(&mut self, cx: &mut Cx<'_>) {
        if self.starting.is_some() {
            self.state = State::Starting;
            self.spawn(cx, Role::Serve);
        } else {
            let at = cx.now.mono_ns + RESPAWN_NS_MIN;
            self.respawn_at = Some(at);
            self.timers.set(at, Alarm::Respawn);
        }
    }

    /// No worker comes up: callers are told instead of left waiting. Numbered turns keep their keys and wait for a restart.
    fn go_down(&mut self, cx: &mut Cx<'_>, reason: String) {
        let refusal = Refusal::Down { reason: reason.clone() };
        self.down = Some(reason);
        let ids: Vec<SessionId> = self.sessions.keys().copied().collect();
        for id in ids {
            let Some(session) = self.sessions.get_mut(&id) else { continue };
            let mut waiters = Vec::new();
            for flight in &session.flights {
                waiters.extend(flight.key.map(|key| session.keys.take_waiters(key)).unwrap_or_default());
            }
            let (ours, theirs): (Vec<_>, Vec<_>) =
                std::mem::take(&mut session.queue).into_iter().partition(|pending| pending.key.is_none());
            session.queue.extend(ours);
            for pending in theirs {
                waiters.extend(pending.key.map(|key| session.keys.forget(key)).unwrap_or_default());
            }
            let opening = matches!(session.phase, Phase::Opening);
            cx.answer_all(waiters, &Err(refusal.clone()));
            if opening {
                self.refuse_open(cx, id, refusal.clone());
            }
        }
        if let Some(restart) = self.restarting.take() {
            cx.answer(restart.request, Err(refusal));
        }
        if self.state == State::Unloading {
            let ids: Vec<SessionId> = self.sessions.keys().copied().collect();
            for id in ids {
                self.end(cx, id, EndReason::Unloaded);
            }
            self.settle_unload(cx);
        }
    }

    /// Spawns what is missing: one worker that serves, and a spare one while there are outcasts.
    pub(super) fn keep_workers(&mut self, cx: &mut Cx<'_>) {
        let wanted = match self.state {
            State::Running | State::Suspended => true,
            State::Unloading => !self.sessions.is_empty(),
            State::Unloaded | State::Starting | State::Loaded | State::Initialized => false,
        };
        if !wanted || self.down.is_some() {
            return;
        }
        let missing = |role| !self.workers.values().any(|slot| slot.role == role && slot.is_coming());
        let serve = missing(Role::Serve);
        let probe = !self.outcasts.is_empty() && missing(Role::Probe);
        if !serve && !probe {
            return;
        }
        if self.respawn_at.is_some_and(|at| cx.now.mono_ns < at) {
            return;
        }
        if serve {
            self.spawn(cx, Role::Serve);
        }
        if probe {
            self.spawn(cx, Role::Probe);
        }
    }

    /// The spare worker has nobody left to try.
    pub(super) fn retire_probe(&mut self, cx: &mut Cx<'_>) {
        if !self.outcasts.is_empty() {
            return;
        }
        let probes: Vec<WorkerId> =
            self.workers.values().filter(|slot| slot.role == Role::Probe).map(|slot| slot.id).collect();
        for worker in probes {
            self.drain(cx, worker);
        }
    }

    /// Takes a session off the lists of those that are tried alone.
    pub(super) fn clear_suspicion(&mut self, cx: &mut Cx<'_>, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let standing = std::mem::take(&mut session.trouble.standing);
        session.trouble.not_before_mono_ns = 0;
        match standing {
            Standing::Clear => return,
            Standing::Suspect => self.suspects.retain(|suspect| *suspect != id),
            Standing::Outcast => self.leave_probe(cx, id),
        }
        self.make_ready(id);
        for next in [self.suspects.front().copied(), self.outcasts.front().copied()].into_iter().flatten() {
            self.make_ready(next);
        }
    }

    /// An outcast proved itself: it leaves the spare worker, and is restored in a serving one when needed.
    fn leave_probe(&mut self, cx: &mut Cx<'_>, id: SessionId) {
        self.outcasts.retain(|outcast| *outcast != id);
        let at = self.sessions.get(&id).and_then(|session| session.worker());
        if let Some(worker) = at
            && self.workers.get(&worker).is_some_and(|slot| slot.role == Role::Probe)
        {
            self.send(cx, worker, CallKind::Drop, ToWorker::Drop { session: id });
            if let Some(slot) = self.workers.get_mut(&worker) {
                slot.sessions.remove(&id);
            }
            if let Some(session) = self.sessions.get_mut(&id) {
                session.home = Home::None;
                session.lost_mono_ns = Some(cx.now.mono_ns);
            }
        }
        self.retire_probe(cx);
    }
}
