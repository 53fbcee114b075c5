//! Watching workers apart from their turns: pings, what they use, and what they may not do.
//!
//! ```text
//!  nothing to do for `ping_every` ─▶ ping ──answered──▶ …
//!                                      └──not in time──▶ killed: late, as over a turn
//!  a look from outside ─▶ `policy::usage` ─▶ told         a violation ─▶ `policy::conduct` ─▶ told; too many: suspended, until an operator resumes it
//! ```
//!
//! A worker that has something to do is not pinged: the deadline of its oldest call watches it.

use std::collections::VecDeque;

use super::timers::Alarm;
use super::workers::{Call, CallKind, Expect};
use super::{Cx, Game};
use crate::action::{Notice, ToWorker};
use crate::event::Cause;
use crate::ids::WorkerId;
use crate::lifecycle::State;
use crate::policy::conduct::{By, Telling};
use crate::policy::usage::{Change, Look};

/// The signal of a system call for which the kernel ends the process, as Linux numbers it.
const SIGSYS: i32 = 31;

impl Game {
    /// The next time to look whether a worker should be pinged.
    pub(super) fn arm_ping(&mut self, worker: WorkerId, from_mono_ns: u64) {
        let every = self.spec.watch.ping_every_ns;
        if every > 0 {
            self.timers.set(from_mono_ns.saturating_add(every), Alarm::Ping(worker));
        }
    }

    /// Pings a worker that has had nothing to do for a while; looks again later at any other.
    pub(super) fn ping(&mut self, cx: &mut Cx<'_>, worker: WorkerId) {
        let Some(slot) = self.workers.get(&worker).filter(|slot| slot.is_serving()) else { return };
        let heard = slot.head_since_mono_ns;
        if !slot.calls.is_empty() {
            return self.arm_ping(worker, cx.now.mono_ns);
        }
        if cx.now.mono_ns < heard.saturating_add(self.spec.watch.ping_every_ns) {
            return self.arm_ping(worker, heard);
        }
        self.send(cx, worker, CallKind::Ping, ToWorker::Ping);
        self.arm_ping(worker, cx.now.mono_ns);
    }

    /// A look from outside at what a worker uses.
    pub(super) fn looked_at(&mut self, cx: &mut Cx<'_>, worker: WorkerId, look: Look) {
        let limit_bytes = self.spec.watch.memory_bytes;
        let Some(slot) = self.workers.get_mut(&worker) else { return };
        for change in slot.usage.look(cx.now.mono_ns, limit_bytes, slot.sessions.len(), look) {
            cx.notice(match change {
                Change::MemoryHigh { percent } => {
                    Notice::MemoryHigh { worker, percent, rss_bytes: look.rss_bytes, limit_bytes }
                }
                Change::Grows { bytes } => Notice::MemoryGrows { worker, bytes, rss_bytes: look.rss_bytes },
                Change::Throttled { percent } => Notice::Throttled { worker, percent },
            });
        }
    }

    /// A worker was refused a system call, or the like.
    pub(super) fn violated(&mut self, cx: &mut Cx<'_>, worker: WorkerId, what: &str) {
        let Some(slot) = self.workers.get(&worker) else { return };
        let by = whose(&slot.calls);
        self.hold_against(cx, worker, by, what);
    }

    /// A worker died: did it break its bounds?
    pub(super) fn violated_by_dying(
        &mut self,
        cx: &mut Cx<'_>,
        worker: WorkerId,
        calls: &VecDeque<Call>,
        cause: &Cause,
    ) {
        if matches!(cause, Cause::Memory | Cause::Protocol(_) | Cause::Fault { signal: SIGSYS }) {
            self.hold_against(cx, worker, whose(calls), &cause.to_string());
        }
    }

    fn hold_against(&mut self, cx: &mut Cx<'_>, worker: WorkerId, by: By, what: &str) {
        let policy = self.spec.watch.conduct;
        let (telling, reason) = self.conduct.violated(cx.now.mono_ns, &policy, by, what);
        if telling == Telling::Tell {
            cx.notice(Notice::Violation { worker, what: what.to_owned() });
        }
        if let Some(reason) = reason
            && self.state == State::Running
        {
            // As if an operator had said so; only he resumes it.
            self.state = State::Suspended;
            self.suspended_for = Some(reason.clone());
            cx.notice(Notice::Suspended);
            cx.notice(Notice::SuspendedFor { reason });
        }
    }

    /// An operator resumes it, or wants it gone: what it did is forgiven.
    pub(super) fn forgive_conduct(&mut self) {
        self.suspended_for = None;
        self.conduct.forgive();
    }

    /// What an operator should know of what its workers use.
    pub(super) fn usage_warnings(&self) -> String {
        let told = self.workers.values().flat_map(|slot| {
            slot.usage.warnings().into_iter().map(|warning| format!("worker {} {warning}", slot.id))
        });
        told.collect::<Vec<_>>().join("; ")
    }
}

/// Whose call a worker is at, as far as there is no doubt.
fn whose(calls: &VecDeque<Call>) -> By {
    let mut calls = calls.iter();
    match (calls.next(), calls.next()) {
        (None, _) => By::Nobody,
        (Some(only), None) => match (only.what, only.what.session()) {
            (CallKind::Turn(session, seq), _) => By::Turn(session, seq),
            (CallKind::Replay(session, Expect::Outcome { seq, .. } | Expect::Tick { seq, .. }), _) => {
                By::Turn(session, seq)
            }
            (_, Some(session)) => By::Turn(session, 0),
            (_, None) => By::Nobody,
        },
        (Some(_), Some(_)) => By::Unclear,
    }
}
