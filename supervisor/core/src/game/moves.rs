//! Sessions from one worker to another while both live: where there are several replicas, and off a worker that leaves.
//!
//! ```text
//!  at home in A ──marked──▶ gets nothing new ──all answered──▶ dropped in A ──restored in B (`restore`)──▶ at home in B
//! ```
//!
//! A move is what happens after a death, only that the session is asked to leave before: it never plays in two workers, and what dies on the way
//! is dealt with as ever. Who gives to whom is decided in [`crate::policy::balance`].

use super::dispatch::Progress;
use super::workers::{CallKind, Role, Worker};
use super::{Cx, Game};
use crate::action::ToWorker;
use crate::ids::{SessionId, WorkerId};
use crate::lifecycle::State;
use crate::planted::{self, Bug};
use crate::policy::balance::{Even, Load, is_uneven, next_move};
use crate::session::{Home, Phase, Session, Standing};

/// Most sessions that are being moved at a time: each of them waits a little.
const MOVES_MAX: usize = 16;
/// How long a session waits for its turns in flight before it is left where it is, for now. A tenth of a second.
const MARK_NS: u64 = 100_000_000;
/// Sessions of a worker that are looked at to find one that can be moved now.
const LOOK_MAX: usize = 64;

/// A session on its way from one worker to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Move {
    pub(crate) from: WorkerId,
    pub(crate) to: WorkerId,
    /// Since when it got nothing new.
    pub(crate) since_mono_ns: u64,
    /// It has left.
    pub(crate) left: bool,
}

impl Game {
    /// Moves sessions until all workers that serve have about as many, and those that leave have none; then they go. Called at the end of every step.
    pub(super) fn balance(&mut self, cx: &mut Cx<'_>) {
        if self.state != State::Running || self.down.is_some() || self.is_even() {
            return;
        }
        self.call_off(cx);
        let comes = |slot: &Worker| slot.role == Role::Serve && slot.is_coming() && !slot.is_serving();
        let lists = [&self.placing, &self.waiting, &self.suspects];
        let unsettled = lists.iter().any(|list| !list.is_empty()) || self.workers.values().any(comes);
        let even = if unsettled { Even::Later } else { Even::Now };
        let mut loads = self.loads();
        while self.moving.len() < MOVES_MAX {
            let Some((from, to)) = next_move(&loads, even) else { break };
            let Some(id) = self.movable(from) else {
                // None of its sessions can be moved now; perhaps another worker's can.
                loads.retain(|load| load.worker != from);
                continue;
            };
            if let Some(session) = self.sessions.get_mut(&id) {
                session.moving = Some(Move { from, to, since_mono_ns: cx.now.mono_ns, left: false });
            }
            for load in &mut loads {
                load.sessions += usize::from(load.worker == to);
                load.sessions -= usize::from(load.worker == from);
            }
            self.moving.push(id);
            self.make_ready(id);
        }
        let empty = |slot: &&Worker| slot.leaves && slot.is_serving() && slot.sessions.is_empty();
        let empty: Vec<WorkerId> = self.workers.values().filter(empty).map(|slot| slot.id).collect();
        for worker in empty {
            self.drain(cx, worker);
        }
    }

    /// Marks that are out of date go; so do those of sessions that are still where they were after a while: they have waited long enough.
    fn call_off(&mut self, cx: &Cx<'_>) {
        let too_old = |on: Move| !on.left && cx.now.mono_ns.saturating_sub(on.since_mono_ns) > MARK_NS;
        let mut late = Vec::new();
        self.moving.retain(|id| {
            let Some(session) = self.sessions.get_mut(id) else { return false };
            if session.moving.is_some_and(too_old) {
                session.moving = None;
                late.push(*id);
            }
            session.moving.is_some()
        });
        late.into_iter().for_each(|id| self.make_ready(id));
    }

    /// Whether there is nothing to be done, as mostly.
    fn is_even(&self) -> bool {
        let (mut fewest, mut most) = (usize::MAX, 0);
        for slot in self.workers.values().filter(|slot| slot.role == Role::Serve && slot.is_serving()) {
            if slot.leaves {
                return false;
            }
            (fewest, most) = (fewest.min(slot.sessions.len()), most.max(slot.sessions.len()));
        }
        self.moving.is_empty() && (fewest > most || !is_uneven(most, fewest))
    }

    fn loads(&self) -> Vec<Load> {
        let marked = |worker: WorkerId, is_target: bool| {
            let moves = self.moving.iter().filter_map(|id| self.sessions.get(id)?.moving);
            moves.filter(|on| !on.left && (if is_target { on.to } else { on.from }) == worker).count()
        };
        let serving = self.workers.values().filter(|slot| slot.role == Role::Serve && slot.is_serving());
        let load = |slot: &Worker| Load {
            worker: slot.id,
            sessions: (slot.sessions.len() + marked(slot.id, true)).saturating_sub(marked(slot.id, false)),
            takes: slot.takes_turns() && !self.is_trying(slot.id),
            leaves: slot.leaves,
        };
        serving.map(load).collect()
    }

    /// A session that can be moved off a worker: rather one that plays nothing at the moment.
    fn movable(&self, from: WorkerId) -> Option<SessionId> {
        let slot = self.workers.get(&from).filter(|slot| slot.takes_turns() && !self.is_trying(from))?;
        let can = |session: &&Session| session.moving.is_none() && may_move(session);
        let some = || slot.sessions.iter().filter_map(|id| self.sessions.get(id)).filter(can).take(LOOK_MAX);
        some().find(|session| session.flights.is_empty()).or_else(|| some().next()).map(|session| session.id)
    }

    /// One step of a session that is to be moved and is still where it was.
    pub(super) fn go_on_moving(&mut self, cx: &mut Cx<'_>, id: SessionId, on: Move) -> Progress {
        let Some(session) = self.sessions.get_mut(&id) else { return Progress::Idle };
        let is_trying = |worker| self.trial == Some(worker);
        let has_room = |slot: &Worker| slot.takes_turns() && slot.calls.len() < self.spec.window_calls;
        let target = self.workers.get(&on.to).filter(|slot| !slot.leaves && has_room(slot));
        let gives = self.workers.get(&on.from).is_some_and(Worker::takes_turns);
        if !gives || target.is_none() || is_trying(on.to) || is_trying(on.from) || !may_move(session) {
            // Called off: it plays on where it is.
            session.moving = None;
            return Progress::Moved;
        }
        if session.is_at_work() && !planted::is(Bug::TwoOwners) {
            return Progress::Idle;
        }
        // What a try of its snapshot finds out changes what it would be restored from.
        let is_asked = |slot: &Worker| slot.calls.iter().any(|call| call.what.session() == Some(id));
        if self.workers.get(&on.from).is_some_and(is_asked) {
            return Progress::Blocked;
        }
        session.home = Home::None;
        session.snapshot_asked = None;
        session.lost_mono_ns = Some(on.since_mono_ns);
        session.moving = Some(Move { left: true, ..on });
        if let Some(slot) = self.workers.get_mut(&on.from) {
            slot.sessions.remove(&id);
        }
        self.send(cx, on.from, CallKind::Drop, ToWorker::Drop { session: id });
        self.begin_restore(cx, id, on.to);
        Progress::Moved
    }
}

/// Whether a session may be moved now: it is at home, nothing is held against it, it is neither coming nor going, and waits for nobody but its worker.
fn may_move(session: &Session) -> bool {
    matches!(session.home, Home::At(_))
        && session.phase == Phase::Live
        && session.trouble.standing == Standing::Clear
        // The platform takes as long as it likes.
        && session.flights.iter().all(|flight| flight.asking.is_none())
}
