//! The owner of all state of one plugin: takes events, gives actions.
//!
//! * [`mod@self`]: the state, the dispatch of events, sending to workers.
//! * `admin`: load, restart, unload. `fleet`: spawning, retiring and replacing workers. `pause`: suspend, resume.
//! * `accept`: requests from outside, up to a session's queue.
//! * `patience`: what deaths and failures of the plugin's own come to: pauses, quarantine, the breaker.
//! * `dispatch`: which session goes on, in which worker. `number`: from the queue to a numbered turn. `restore`: into a fresh worker. `moves`: from
//!   one worker to another.
//! * `answer`: what workers answer. `host_calls`: what they ask. `trust`: what their snapshots are worth.
//! * `death`: what a worker's death means for its sessions: suspects, probing, poison, held. `ending`: how a session goes.
//! * `scene`: what a worker was at when it died. `standby`: spare workers that take the place of dead ones at once.
//! * `shelf`: what durable sessions write down. `gate`: nothing is let out before the disk has it. `adopt`: back from the disk.
//! * `watch`: pings, what workers use, and what they may not do.
//! * `timers`, `workers`: small parts of the state.
//! * `view`: what can be seen from outside. `holds`: how much there is of everything.

mod accept;
mod admin;
mod adopt;
mod answer;
mod death;
mod dispatch;
mod ending;
mod fleet;
mod gate;
mod holds;
mod host_calls;
mod moves;
mod number;
mod patience;
mod pause;
mod restore;
mod scene;
mod shelf;
mod standby;
mod timers;
mod trust;
mod view;
mod watch;
mod workers;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::action::{Action, Answered, KillReason, Notice, ToWorker};
use crate::event::{Event, Room};
use crate::ids::{CallId, Now, RequestId, SessionId, WorkerId};
use crate::lifecycle::State;
use crate::policy::breaker::Breaker;
use crate::policy::conduct::Conduct;
use crate::policy::restart::Restarts;
use crate::refusal::Refusal;
use crate::session::Listed;
use crate::session::all::Sessions;
use crate::spec::{Grants, Spec};
use crate::views::Counts;
use ending::Ended;
use gate::Gate;
pub(crate) use moves::Move;
pub use standby::STANDBYS_MAX;
use standby::Standbys;
use timers::{Alarm, Timers};
use trust::Trust;
pub use view::OutputsError;
use workers::{Call, CallKind, Expect, Worker, WorkerPhase};

/// One plugin's sessions and workers.
#[derive(Debug)]
pub struct Game {
    spec: Spec,
    /// What is allowed now: the spec's grants, less what was taken away since.
    allowed: Grants,
    digest: Arc<[u8; 32]>,
    state: State,
    down: Option<String>,
    workers: BTreeMap<WorkerId, Worker>,
    last_worker: u64,
    sessions: Sessions,
    ended: Ended,
    /// Sessions that are in no worker, and that somebody waits for.
    placing: VecDeque<SessionId>,
    /// Sessions that are in no worker, and that nobody waits for.
    waiting: VecDeque<SessionId>,
    /// Sessions that are tried one at a time in a serving worker, the first one now.
    suspects: VecDeque<SessionId>,
    /// Sessions that are tried one at a time in a spare worker, the first one now.
    outcasts: VecDeque<SessionId>,
    /// The serving worker in which the suspects are tried.
    trial: Option<WorkerId>,
    /// Sessions that are being moved from one worker to another.
    moving: Vec<SessionId>,
    /// Workers that are to serve, and why the last one of several did not come up.
    replicas: u32,
    replica_trouble: Option<String>,
    timers: Timers,
    gate: Gate,
    /// For ticks of sessions that are written down.
    room: Room,
    counts: Counts,
    restarts: Restarts,
    standbys: Standbys,
    breaker: Breaker,
    conduct: Conduct,
    /// Why it suspended the plugin by itself, if it did.
    suspended_for: Option<String>,
    /// Workers in a row that never came to serve, and spare ones; those that were started together are one.
    start_failures: u32,
    probe_failures: u32,
    /// Workers in a row that were killed from outside before they came to serve.
    start_kills: u32,
    /// No worker, and no spare one, is spawned before these times: the last one did not come to serve.
    respawn_at: Option<u64>,
    probe_at: Option<u64>,
    snapshots: Trust,
    /// A replay diverged: a snapshot is taken with every turn.
    diverges: bool,
    starting: Option<RequestId>,
    /// Everyone who waits until the plugin knows that it is suspended; and that it goes on.
    suspending: Vec<RequestId>,
    resuming: Vec<RequestId>,
    restarting: Option<Restart>,
    unloading: Option<RequestId>,
}

/// A restart that is under way.
#[derive(Debug)]
struct Restart {
    request: RequestId,
    /// All of these have to serve before the old ones leave.
    fresh: Vec<WorkerId>,
    old: Vec<WorkerId>,
}

/// Most replicas of one game.
pub const REPLICAS_MAX: u32 = 16;

/// One step's time and actions.
struct Cx<'a> {
    now: Now,
    actions: &'a mut Vec<Action>,
    /// An entry of the durable journal without which nothing of this event may be let out.
    behind: Option<u64>,
}

impl Cx<'_> {
    fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    fn notice(&mut self, notice: Notice) {
        self.actions.push(Action::Notice(notice));
    }

    fn answer(&mut self, request: RequestId, result: Result<Answered, Refusal>) {
        self.actions.push(Action::Answer { request, result });
    }

    fn answer_all(
        &mut self,
        requests: impl IntoIterator<Item = RequestId>,
        result: &Result<Answered, Refusal>,
    ) {
        for request in requests {
            self.answer(request, result.clone());
        }
    }
}

impl Game {
    /// A game that is unloaded; send it [`Event::Start`].
    pub fn new(mut spec: Spec) -> Game {
        // With none in flight nothing would ever be played.
        spec.window_calls = spec.window_calls.max(1);
        spec.background_calls = spec.background_calls.max(1);
        spec.flights_max = spec.flights_max.max(1);
        Game {
            gate: Gate::new(spec.journal_at),
            standbys: Standbys::new(spec.standbys),
            replicas: spec.replicas.clamp(1, REPLICAS_MAX),
            digest: Arc::new(spec.digest),
            allowed: spec.grants.clone(),
            spec,
            state: State::Unloaded,
            down: None,
            workers: BTreeMap::new(),
            last_worker: 0,
            sessions: Sessions::default(),
            ended: Ended::default(),
            placing: VecDeque::new(),
            waiting: VecDeque::new(),
            suspects: VecDeque::new(),
            outcasts: VecDeque::new(),
            trial: None,
            moving: Vec::new(),
            replica_trouble: None,
            timers: Timers::default(),
            room: Room::default(),
            counts: Counts::default(),
            restarts: Restarts::default(),
            breaker: Breaker::default(),
            conduct: Conduct::default(),
            suspended_for: None,
            start_failures: 0,
            probe_failures: 0,
            start_kills: 0,
            respawn_at: None,
            probe_at: None,
            snapshots: Trust::default(),
            diverges: false,
            starting: None,
            suspending: Vec::new(),
            resuming: Vec::new(),
            restarting: None,
            unloading: None,
        }
    }

    /// Takes one event and appends what is to be done, in order.
    pub fn step(&mut self, now: Now, event: Event, actions: &mut Vec<Action>) {
        self.step_all(now, [event], actions);
    }

    /// Takes events that came at once, in order, and appends what is to be done. What follows from all of them together, such as which session goes on where, is looked for once.
    pub fn step_all(&mut self, now: Now, events: impl IntoIterator<Item = Event>, actions: &mut Vec<Action>) {
        let cx = &mut Cx { now, actions, behind: None };
        let written = self.gate.written();
        let mut all_behind = None;
        for event in events {
            // What one of them lets out waits for what that one depends on, and for nothing of the others'.
            let from = cx.actions.len();
            cx.behind = None;
            self.take(cx, event);
            all_behind = all_behind.max(cx.behind);
            self.hold_back(cx.actions, from, cx.behind);
        }
        if self.gate.written() > written {
            all_behind = all_behind.max(Some(self.gate.written()));
        }
        let from = cx.actions.len();
        self.wake(cx);
        self.choose_trial();
        self.keep_workers(cx);
        self.balance(cx);
        self.run_ready(cx);
        self.settle_pause(cx);
        self.forget_alarms();
        self.hold_back(cx.actions, from, all_behind);
    }

    fn hold_back(&mut self, actions: &mut Vec<Action>, from: usize, behind: Option<u64>) {
        let sessions = &self.sessions;
        let in_memory = |id| sessions.get(&id).is_some_and(|session| session.shelf.is_none());
        self.gate.hold_back(actions, from, behind, in_memory);
    }

    fn take(&mut self, cx: &mut Cx<'_>, event: Event) {
        match event {
            Event::Start { request } => self.start(cx, request),
            Event::Suspend { request } => self.suspend(cx, request),
            Event::Resume { request } => self.resume(cx, request),
            Event::Restart { request } => self.restart(cx, request),
            Event::Scale { request, replicas } => self.scale(cx, request, replicas),
            Event::Release { request } => self.release(cx, request),
            Event::Park { request } => self.park(cx, request),
            Event::Unload { request, sessions } => self.unload(cx, request, sessions),
            Event::DropHeld { request, session } => self.drop_held(cx, request, session),
            Event::Permit { grants } => self.allowed = self.spec.grants.and(&grants),
            Event::Open(open) => self.open(cx, open),
            Event::Turn(turn) => {
                if let Some(session) = self.sessions.get(&turn.session) {
                    session.fetch();
                }
                self.accept(cx, turn);
            }
            Event::Cancel { request, session } => self.cancel(request, session),
            Event::WorkerLoaded { worker } => self.worker_loaded(cx, worker),
            Event::Answer { worker, call, answer } => self.answered(cx, worker, call, answer),
            Event::HostCall { worker, call, index, name, args, asked } => {
                self.host_called(cx, worker, (call, index), (name, args, asked));
            }
            Event::RefusedInside { worker, call, permission, count } => {
                self.refused_inside(cx, worker, call, (permission, count));
            }
            Event::HostAnswer { key, status, answer } => self.host_answered(cx, key, status, answer),
            Event::LookedAt { worker, look } => self.looked_at(cx, worker, look),
            Event::Violated { worker, what } => self.violated(cx, worker, &what),
            Event::WorkerDied { worker, cause } => self.worker_died(cx, worker, cause),
            Event::Durable { at } => {
                let was_behind = self.gate.is_behind();
                self.gate.open(at, cx.actions);
                if was_behind && !self.gate.is_behind() {
                    self.all_ready();
                }
            }
            Event::CloseStateless => self.close_stateless(cx),
            Event::Room { room } => {
                if std::mem::replace(&mut self.room, room) != room && room == Room::Enough {
                    self.all_ready();
                }
            }
            Event::Adopt { session, changes } => self.adopt(cx, session, changes),
            Event::Wake => {}
        }
    }

    /// Alarms that nobody wants any more are forgotten from time to time, so that they do not pile up until they are due.
    fn forget_alarms(&mut self) {
        if !self.timers.is_crowded() {
            return;
        }
        let (sessions, workers, settled) = (&self.sessions, &self.workers, self.gate.is_settled());
        self.timers.retain(|alarm| match alarm {
            Alarm::Deadline(id, request) => {
                // While something waits for the disk, their answer may be among it.
                !settled || sessions.get(id).is_some_and(|session| session.keys.waits(*request))
            }
            Alarm::Tick(id) | Alarm::Idle(id) | Alarm::Retry(id) => {
                sessions.get(id).is_some_and(|session| !session.is_held())
            }
            Alarm::Worker(worker) | Alarm::Ping(worker) => workers.contains_key(worker),
            Alarm::Respawn | Alarm::Standby => true,
        });
    }

    /// Session and number of the turn that a worker plays, when there is no doubt: it has one call to answer, and that is a turn.
    pub fn playing(&self, worker: WorkerId) -> Option<(SessionId, u64)> {
        let calls = &self.workers.get(&worker)?.calls;
        match calls.front().filter(|_| calls.len() == 1)?.what {
            CallKind::Turn(session, seq) => Some((session, seq)),
            CallKind::Replay(session, Expect::Outcome { seq, .. } | Expect::Tick { seq, .. }) => {
                Some((session, seq))
            }
            _ => None,
        }
    }

    /// When the next [`Event::Wake`] is due, by the monotonic clock. May be early, never late.
    pub fn next_wake(&self) -> Option<u64> {
        self.timers.next()
    }

    fn wake(&mut self, cx: &mut Cx<'_>) {
        while let Some(alarm) = self.timers.pop(cx.now.mono_ns) {
            match alarm {
                Alarm::Worker(worker) => self.check_deadline(cx, worker),
                Alarm::Ping(worker) => self.ping(cx, worker),
                Alarm::Tick(session) => {
                    if let Some(session) = self.sessions.get_mut(&session) {
                        session.tick_armed_ns = None;
                    }
                    self.make_ready(session);
                }
                Alarm::Idle(session) => self.check_idle(cx, session),
                Alarm::Deadline(session, request) => self.patience_ended(cx, session, request),
                Alarm::Retry(session) => self.make_ready(session),
                Alarm::Respawn | Alarm::Standby => {}
            }
        }
    }

    /// Puts a session on the list of those that may have something to send.
    fn make_ready(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if session.is_held() {
            return;
        }
        if !session.is_urgent() {
            if !std::mem::replace(&mut session.is_waiting, true) {
                self.waiting.push_back(id);
            }
            return;
        }
        let (list, listed) = match session.worker() {
            None => (&mut self.placing, Listed::Placing),
            Some(worker) => {
                let Some(slot) = self.workers.get_mut(&worker) else { return };
                (&mut slot.ready, Listed::At(worker))
            }
        };
        if std::mem::replace(&mut session.listed, listed) != listed {
            list.push_back(id);
        }
    }

    /// Sends a call to a worker, and watches its deadline.
    fn send(&mut self, cx: &mut Cx<'_>, worker: WorkerId, what: CallKind, message: ToWorker) {
        let Some(slot) = self.workers.get_mut(&worker) else { return };
        slot.last_call += 1;
        let id = CallId(slot.last_call);
        if slot.calls.is_empty() {
            slot.head_since_mono_ns = cx.now.mono_ns;
        }
        slot.calls.push_back(Call { id, what });
        slot.restores += usize::from(what.restores());
        cx.act(Action::Send { worker, call: id, message });
        self.watch(worker);
    }

    /// Sets an alarm for a worker's oldest call, unless one is set that comes no later: loading may take longer than a turn.
    fn watch(&mut self, worker: WorkerId) {
        let Some(slot) = self.workers.get_mut(&worker) else { return };
        let Some(head) = slot.calls.front().map(|call| call.what) else { return };
        let at = slot.head_since_mono_ns.saturating_add(allowance(&self.spec, head));
        if slot.alarmed.is_none_or(|alarmed| at < alarmed) {
            slot.alarmed = Some(at);
            self.timers.set(at, Alarm::Worker(worker));
        }
    }

    fn check_deadline(&mut self, cx: &mut Cx<'_>, worker: WorkerId) {
        let Some(slot) = self.workers.get_mut(&worker) else { return };
        // An alarm that a sooner one has replaced: the one that counts is still to come.
        if slot.alarmed.is_none_or(|alarmed| alarmed > cx.now.mono_ns) {
            return;
        }
        slot.alarmed = None;
        let Some(head) = slot.calls.front().map(|call| call.what) else { return };
        let due = slot.head_since_mono_ns.saturating_add(allowance(&self.spec, head));
        if cx.now.mono_ns >= due {
            self.kill(cx, worker, KillReason::Deadline);
        } else {
            self.watch(worker);
        }
    }

    /// Ends a worker. Its calls stay unanswered until its death is reported.
    fn kill(&mut self, cx: &mut Cx<'_>, worker: WorkerId, why: KillReason) {
        let Some(slot) = self.workers.get_mut(&worker) else { return };
        if slot.phase != WorkerPhase::Dying {
            slot.phase = WorkerPhase::Dying;
            cx.act(Action::Kill { worker, why });
        }
    }
}

/// How long the oldest call may take.
fn allowance(spec: &Spec, what: CallKind) -> u64 {
    match what {
        CallKind::Turn(..) | CallKind::Replay(..) => spec.turn_wall_ns,
        CallKind::Ping => spec.watch.ping_wall_ns,
        _ => spec.load_wall_ns,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alarms_of_sessions_that_are_gone_do_not_pile_up() {
        let mut game = Game::new(Spec::new("test", [0; 32]));
        let far = u64::MAX;
        for id in 0..100_000 {
            let (session, now) = (SessionId(id), Now { mono_ns: 0, wall_ns: 0 });
            for alarm in [Alarm::Idle(session), Alarm::Tick(session), Alarm::Deadline(session, RequestId(id))]
            {
                game.timers.set(far, alarm);
            }
            game.step(now, Event::Wake, &mut Vec::new());
        }
        assert!(game.timers.len() < 20_000, "{} alarms", game.timers.len());
    }
}
