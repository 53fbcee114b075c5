//! Keeping the right workers: as many that serve as there shall be replicas, a spare one while there are outcasts, standbys (`standby`); and what it means
//! when none comes up.
//!
//! A worker that is not needed any more leaves: its sessions are moved (`moves`), then it is drained (it answers what it has, and gets nothing more) and
//! sent home. Which session is played where is decided in `dispatch`.

use super::timers::Alarm;
use super::workers::{CallKind, Role, Worker, WorkerPhase};
use super::{Cx, Game, REPLICAS_MAX};
use crate::action::{Action, Answered, EndReason, KillReason, Notice, ToWorker};
use crate::event::Cause;
use crate::ids::{RequestId, SessionId, WorkerId};
use crate::lifecycle::{State, Step};
use crate::planted::{self, Bug};
use crate::policy::restart::Finding;
use crate::refusal::Refusal;
use crate::session::{Home, Phase, Standing};

/// Workers in a row that may fail to start before the game is down.
pub(super) const START_FAILURES_MAX: u32 = 5;
/// Workers in a row that may be killed from outside before they serve, while somebody waits for a load or a restart.
const START_KILLS_MAX: u32 = 50;
/// The first pause before a worker is spawned again; it doubles each time.
const RESPAWN_NS_MIN: u64 = 10_000_000;

impl Game {
    pub(super) fn spawn(&mut self, cx: &mut Cx<'_>, role: Role) -> WorkerId {
        self.last_worker += 1;
        let id = WorkerId(self.last_worker);
        self.workers.insert(id, Worker::new(id, role, cx.now.mono_ns));
        cx.act(Action::Spawn { worker: id });
        id
    }

    pub(super) fn serving(&self) -> Vec<WorkerId> {
        self.workers.values().filter(|slot| slot.is_serving()).map(|slot| slot.id).collect()
    }

    /// Gives a worker nothing more, and retires it when it has answered what it has.
    pub(super) fn drain(&mut self, cx: &mut Cx<'_>, worker: WorkerId) {
        let Some(slot) = self.workers.get_mut(&worker) else { return };
        match slot.phase {
            WorkerPhase::Serving => {
                slot.phase = WorkerPhase::Draining;
                if planted::is(Bug::TwoOwners) {
                    for id in std::mem::take(&mut slot.sessions) {
                        if let Some(session) = self.sessions.get_mut(&id) {
                            session.home = Home::None;
                        }
                        self.make_ready(id);
                    }
                }
                self.retire_if_drained(cx, worker);
            }
            WorkerPhase::Spawning | WorkerPhase::Initializing => {
                slot.retired = true;
                self.kill(cx, worker, KillReason::Retired);
            }
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

    /// How many of a role there are, or will be.
    pub(super) fn coming(&self, role: Role) -> usize {
        self.workers.values().filter(|slot| slot.role == role && slot.is_coming()).count()
    }

    /// How many shall serve.
    pub(super) fn wanted(&self) -> usize {
        if self.state == State::Unloading { 1 } else { self.replicas as usize }
    }

    /// A worker gives its sessions away, and goes then.
    pub(super) fn leave(&mut self, cx: &mut Cx<'_>, worker: WorkerId) {
        let Some(slot) = self.workers.get_mut(&worker) else { return };
        // Between suspend and resume nothing is moved.
        if slot.role == Role::Serve && slot.is_serving() && self.state == State::Running {
            slot.leaves = true;
        } else {
            self.drain(cx, worker);
        }
    }

    /// Changes how many shall serve.
    pub(super) fn scale(&mut self, cx: &mut Cx<'_>, request: RequestId, replicas: u32) {
        if let Err(refusal) = self.state.check(Step::Scale) {
            return cx.answer(request, Err(refusal));
        }
        self.replicas = replicas.clamp(1, REPLICAS_MAX);
        cx.notice(Notice::Scaled { replicas: self.replicas });
        cx.answer(request, Ok(Answered::Ok));
    }

    /// Those that are too many leave, the newest first. A restart has as many too many as it needs.
    fn dismiss_surplus(&mut self, cx: &mut Cx<'_>) {
        // One that tries suspects may be too many; it is not for long.
        if self.restarting.is_some() || self.state == State::Unloading || !self.suspects.is_empty() {
            return;
        }
        let serves = |slot: &&Worker| slot.role == Role::Serve && slot.is_coming();
        let surplus = self.coming(Role::Serve).saturating_sub(self.wanted());
        let newest: Vec<WorkerId> =
            self.workers.values().rev().filter(serves).take(surplus).map(|slot| slot.id).collect();
        for worker in newest {
            self.leave(cx, worker);
        }
    }

    /// Whether all workers are there that shall be, and no others, and nobody is tried alone: nothing is to be done, as after almost every turn.
    fn has_all_workers(&self) -> bool {
        if !self.suspects.is_empty() || !self.outcasts.is_empty() || self.restarting.is_some() {
            return false;
        }
        let (mut serving, mut warm) = (0, 0);
        for slot in self.workers.values() {
            match slot.role {
                Role::Serve if slot.serves() => serving += 1,
                Role::Standby if slot.is_serving() => warm += 1,
                _ => return false,
            }
        }
        serving == self.wanted() && warm == self.standbys.wanted as usize
    }

    /// Spawns what is missing: workers that serve, and a spare one while there are outcasts.
    pub(super) fn keep_workers(&mut self, cx: &mut Cx<'_>) {
        let wanted = match self.state {
            State::Running | State::Suspended => true,
            State::Unloading => !self.sessions.is_empty(),
            State::Unloaded | State::Starting | State::Loaded | State::Initialized => false,
        };
        if !wanted || self.down.is_some() || self.has_all_workers() {
            return;
        }
        self.promote(cx);
        self.keep_standbys(cx);
        self.dismiss_surplus(cx);
        let comes = |slot: &Worker| slot.role == Role::Serve && slot.is_coming() && !slot.is_serving();
        let for_trial = self.lacks_trial() && !self.workers.values().any(comes);
        let missing = self.wanted().saturating_sub(self.coming(Role::Serve)).max(usize::from(for_trial));
        let probe = !self.outcasts.is_empty() && self.coming(Role::Probe) == 0;
        let now_ns = cx.now.mono_ns;
        let is_due = |at: Option<u64>| at.is_none_or(|at| now_ns >= at);
        if is_due(self.respawn_at) {
            for _ in 0..missing {
                self.spawn(cx, Role::Serve);
            }
        }
        if probe && is_due(self.probe_at) {
            self.spawn(cx, Role::Probe);
        }
    }

    /// A worker died before it served. The first one's failure is the load's; later ones are tried again with growing pauses.
    pub(super) fn start_failed(&mut self, cx: &mut Cx<'_>, (worker, role): (WorkerId, Role), cause: &Cause) {
        if matches!(cause, Cause::External { .. } | Cause::Asked) {
            // Somebody else's doing says nothing about the plugin.
            self.start_kills += 1;
            if self.start_kills < START_KILLS_MAX || (self.starting.is_none() && self.restarting.is_none()) {
                return self.start_again(cx, (worker, role));
            }
        }
        let reason = match cause {
            Cause::Start(reason) => reason.clone(),
            other => other.to_string(),
        };
        if let Some(request) = self.starting.take() {
            self.state = State::Unloaded;
            // Sessions from the disk may have turns that wait for it; whoever comes from now on is told as well.
            self.refuse_waiters(cx, &Refusal::Down { reason: reason.clone() });
            self.down = Some(reason.clone());
            cx.answer(request, Err(Refusal::Start(reason)));
            return cx.act(Action::Stopped);
        }
        if self.restarting.as_ref().is_some_and(|restart| restart.fresh.contains(&worker))
            && let Some(restart) = self.restarting.take()
        {
            // The old ones stay; what came up beside is too many.
            return cx.answer(restart.request, Err(Refusal::Start(reason)));
        }
        if role == Role::Probe {
            return self.probe_failed(cx, &reason);
        }
        self.replica_trouble = Some(reason.clone());
        // Those that were started together fail together, and that is once.
        if self.respawn_at.is_none_or(|at| cx.now.mono_ns >= at) {
            self.start_failures = self.start_failures.saturating_add(1);
            self.respawn_after(cx, RESPAWN_NS_MIN << self.start_failures.min(8));
        }
        let serves = |slot: &Worker| slot.role == Role::Serve && slot.is_serving();
        let hopeless = self.start_failures >= START_FAILURES_MAX && self.coming(Role::Serve) == 0;
        if hopeless && self.down.is_none() && !self.workers.values().any(serves) {
            cx.notice(Notice::Down { reason: reason.clone() });
            self.go_down(cx, reason);
        }
    }

    /// A spare worker did not come up.
    fn probe_failed(&mut self, cx: &mut Cx<'_>, reason: &str) {
        self.probe_failures = self.probe_failures.saturating_add(1);
        self.probe_after(cx, RESPAWN_NS_MIN << self.probe_failures.min(8));
        let serves = |slot: &Worker| slot.role == Role::Serve && slot.is_serving();
        if self.probe_failures >= START_FAILURES_MAX && self.workers.values().any(serves) {
            self.give_up_outcasts(cx, reason);
        }
    }

    fn start_again(&mut self, cx: &mut Cx<'_>, (worker, role): (WorkerId, Role)) {
        if role == Role::Probe {
            self.probe_after(cx, RESPAWN_NS_MIN);
        } else if self.starting.is_some() {
            self.state = State::Starting;
            self.spawn(cx, Role::Serve);
        } else if self.is_fresh(worker) {
            self.refresh(cx, worker);
        } else {
            self.respawn_after(cx, RESPAWN_NS_MIN);
        }
    }

    fn probe_after(&mut self, cx: &Cx<'_>, pause_ns: u64) {
        let at = cx.now.mono_ns.saturating_add(pause_ns);
        self.probe_at = Some(at);
        self.timers.set(at, Alarm::Respawn);
    }

    pub(super) fn respawn_after(&mut self, cx: &Cx<'_>, pause_ns: u64) {
        let at = cx.now.mono_ns.saturating_add(pause_ns);
        self.respawn_at = Some(at);
        self.timers.set(at, Alarm::Respawn);
    }

    /// The game goes on, but no spare worker comes up: sessions that may only be tried there are set aside, so that nobody else suffers.
    fn give_up_outcasts(&mut self, cx: &mut Cx<'_>, reason: &str) {
        self.probe_failures = 0;
        for id in Vec::from(std::mem::take(&mut self.outcasts)) {
            self.hold(cx, id, format!("it must be tried in a spare worker, and none comes up: {reason}"));
        }
    }

    /// No worker comes up: callers are told instead of left waiting. Numbered turns keep their keys and wait for a restart.
    pub(super) fn go_down(&mut self, cx: &mut Cx<'_>, reason: String) {
        let refusal = Refusal::Down { reason: reason.clone() };
        self.down = Some(reason);
        self.refuse_waiters(cx, &refusal);
        let opening = self.sessions.values().filter(|session| matches!(session.phase, Phase::Opening));
        for id in opening.map(|session| session.id).collect::<Vec<_>>() {
            self.refuse_open(cx, id, refusal.clone());
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

    /// Whoever waits for a turn is told that none is played. Those that have a number keep their keys, the others are taken back.
    fn refuse_waiters(&mut self, cx: &mut Cx<'_>, refusal: &Refusal) {
        self.sessions.for_each_mut(|session| {
            let mut waiters = Vec::new();
            for flight in session.flights.iter() {
                waiters.extend(flight.key.map(|key| session.keys.take_waiters(key)).unwrap_or_default());
            }
            for key in session.queue.take_theirs() {
                waiters.extend(session.keys.forget(key));
            }
            cx.answer_all(waiters, &Err(refusal.clone()));
        });
    }

    /// The spare worker has nobody left to try.
    fn retire_probe(&mut self, cx: &mut Cx<'_>) {
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
        self.found(cx, id, Finding::Innocent);
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let standing = std::mem::take(&mut session.trouble.standing);
        session.trouble.not_before_mono_ns = 0;
        session.trouble.hangs = 0;
        match standing {
            Standing::Clear => return,
            Standing::Suspect => self.suspects.retain(|suspect| *suspect != id),
            Standing::Outcast => self.leave_probe(cx, id),
        }
        self.make_ready(id);
    }

    /// An outcast proved itself: it leaves the spare worker, and is restored in a serving one when needed.
    fn leave_probe(&mut self, cx: &mut Cx<'_>, id: SessionId) {
        self.outcasts.retain(|outcast| *outcast != id);
        let at = self.sessions.get(&id).and_then(|session| session.worker());
        if let Some(worker) = at
            && let Some(slot) = self.workers.get_mut(&worker)
            && slot.role == Role::Probe
        {
            slot.sessions.remove(&id);
            if slot.is_serving() {
                self.send(cx, worker, CallKind::Drop, ToWorker::Drop { session: id });
            }
            if let Some(session) = self.sessions.get_mut(&id) {
                session.home = Home::None;
                session.lost_mono_ns = Some(cx.now.mono_ns);
            }
        }
        self.retire_probe(cx);
    }
}
