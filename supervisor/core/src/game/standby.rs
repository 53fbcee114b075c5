//! Warm standbys: spare workers with the plugin initialised in them and no sessions, so that a death costs no start.
//!
//! ```text
//!  Spawning ─▶ Initializing ─▶ warm ──too few serve──▶ promoted: it serves, like any other
//!      └────────────┴───────────┴── dies: replaced after a pause of its own; nothing else happens
//! ```
//!
//! What happens to a standby says nothing about the game: no session, no turn and no intensity of restarts is charged with it. Which
//! sessions go where after a promotion is decided in `dispatch`, as ever.

use super::timers::Alarm;
use super::workers::{Role, Worker};
use super::{Cx, Game};
use crate::action::Notice;
use crate::event::Cause;
use crate::ids::WorkerId;
use crate::lifecycle::State;
use crate::policy::restart::{Class, Restarts, Verdict};

/// Most standbys of one game.
pub const STANDBYS_MAX: u32 = 8;
/// After a promotion its successor is started so much later: a start costs CPU time that restores have a better use for.
const SUCCESSOR_NS: u64 = 10_000_000;
/// The first pause after a standby that did not come up; it doubles each time.
const FAILED_NS_MIN: u64 = 10_000_000;
/// Doublings of that pause: up to about ten seconds.
const DOUBLINGS_MAX: u32 = 10;

/// How the standbys of one game fare.
#[derive(Debug, Default)]
pub(super) struct Standbys {
    /// How many are kept. The spec's to begin with; whoever changes it has the surplus sent home by the next step.
    pub(super) wanted: u32,
    /// Deaths of warm ones: their pauses are the restart policy's, and nothing else of it.
    deaths: Restarts,
    /// Those in a row that did not come up.
    failures: u32,
    /// None is spawned before this time.
    not_before_mono_ns: u64,
    /// Why the last one did not come up.
    pub(super) trouble: Option<String>,
}

impl Standbys {
    pub(super) fn new(wanted: u32) -> Standbys {
        Standbys { wanted: wanted.min(STANDBYS_MAX), ..Standbys::default() }
    }

    /// An operator forgives everything.
    pub(super) fn forgive(&mut self) {
        *self = Standbys::new(self.wanted);
    }
}

impl Game {
    /// Standbys that would serve at once, the oldest first.
    pub(super) fn warm(&self) -> impl Iterator<Item = WorkerId> {
        self.workers
            .values()
            .filter(|slot| slot.role == Role::Standby && slot.is_serving())
            .map(|slot| slot.id)
    }

    /// When too few workers serve, a standby does from now on: the pauses of the restart policy are for starts, and this is none. A worker that was on its
    /// way to serve becomes a standby in its place; where none is, or comes, a standby that is on its way becomes that.
    pub(super) fn promote(&mut self, cx: &mut Cx<'_>) {
        while self.workers.values().filter(|slot| slot.serves()).count() < self.wanted() || self.lacks_trial()
        {
            let Some(worker) = self.warm().next() else {
                let next = |slot: &&mut Worker| slot.role == Role::Standby && slot.is_coming();
                if self.coming(Role::Serve) == 0
                    && let Some(next) = self.workers.values_mut().find(next)
                {
                    next.role = Role::Serve;
                }
                return;
            };
            self.promote_one(cx, worker);
            self.choose_trial();
        }
    }

    fn promote_one(&mut self, cx: &mut Cx<'_>, worker: WorkerId) {
        let restarting = self.restarting.as_ref();
        let is_fresh = |worker| restarting.is_some_and(|restart| restart.fresh.contains(&worker));
        let comes = |slot: &&mut Worker| {
            slot.role == Role::Serve && slot.is_coming() && !slot.is_serving() && !is_fresh(slot.id)
        };
        if let Some(slot) = self.workers.values_mut().find(comes) {
            slot.role = Role::Standby;
        }
        if let Some(slot) = self.workers.get_mut(&worker) {
            slot.role = Role::Serve;
        }
        self.pause_standbys(cx, SUCCESSOR_NS);
        cx.notice(Notice::WorkerReady { worker });
        self.all_ready();
    }

    /// Spawns the standbys that are missing, and sends home those that are too many. While no worker serves nothing is spared.
    pub(super) fn keep_standbys(&mut self, cx: &mut Cx<'_>) {
        let serves = self.workers.values().any(|slot| slot.role == Role::Serve && slot.is_serving());
        if !serves || !matches!(self.state, State::Running | State::Suspended) {
            return;
        }
        // The newest go first: they may not be warm yet.
        let standby = |slot: &&Worker| slot.role == Role::Standby && slot.is_coming();
        let coming: Vec<WorkerId> = self.workers.values().rev().filter(standby).map(|slot| slot.id).collect();
        let wanted = self.standbys.wanted as usize;
        for worker in coming.iter().take(coming.len().saturating_sub(wanted)) {
            self.drain(cx, *worker);
        }
        if cx.now.mono_ns >= self.standbys.not_before_mono_ns {
            for _ in coming.len()..wanted {
                self.spawn(cx, Role::Standby);
            }
        }
    }

    /// The plugin in a standby is initialised.
    pub(super) fn standby_warm(&mut self, cx: &mut Cx<'_>, worker: WorkerId) {
        (self.standbys.failures, self.standbys.trouble) = (0, None);
        cx.notice(Notice::StandbyReady { worker });
        self.settle_unload(cx);
    }

    /// A standby died. It is replaced after a pause, and that is all.
    pub(super) fn standby_died(&mut self, cx: &mut Cx<'_>, slot: &Worker, cause: &Cause) {
        if *cause != Cause::Asked {
            self.count_death(cx, slot.id, &slot.calls, cause);
        }
        if !slot.retired {
            let pause_ns =
                if slot.served { self.standby_lost(cx, slot.id, cause) } else { self.standby_failed(cause) };
            self.pause_standbys(cx, pause_ns);
        }
        self.settle_unload(cx);
    }

    /// A warm one: the pause is the restart policy's.
    fn standby_lost(&mut self, cx: &Cx<'_>, worker: WorkerId, cause: &Cause) -> u64 {
        if let Some(class) = Class::of(cause) {
            self.standbys.deaths.died(cx.now.mono_ns, class, 0);
        }
        let policy = self.spec.restart;
        match self.standbys.deaths.judge(cx.now.mono_ns, &policy, self.luck(worker)) {
            Verdict::Replace { pause_ns } => pause_ns,
            // What would be too much for a worker that serves is a reason to take the time.
            Verdict::Quarantine { .. } => policy.pause_max_ns,
        }
    }

    /// One that never was: load or init failed, or somebody was faster.
    fn standby_failed(&mut self, cause: &Cause) -> u64 {
        if matches!(cause, Cause::External { .. } | Cause::Asked) {
            return FAILED_NS_MIN;
        }
        self.standbys.trouble = Some(cause.to_string());
        self.standbys.failures = self.standbys.failures.saturating_add(1);
        FAILED_NS_MIN << self.standbys.failures.min(DOUBLINGS_MAX)
    }

    fn pause_standbys(&mut self, cx: &Cx<'_>, pause_ns: u64) {
        if self.standbys.wanted == 0 {
            return;
        }
        let at = cx.now.mono_ns.saturating_add(pause_ns).max(self.standbys.not_before_mono_ns);
        self.standbys.not_before_mono_ns = at;
        self.timers.set(at, Alarm::Standby);
    }
}
