//! A game's alarm clock: what is due when, by the monotonic clock.
//!
//! Entries are seldom removed early; whoever is woken looks whether there still is something to do.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::ids::{RequestId, SessionId, WorkerId};

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Alarm {
    /// A worker's oldest call may be over its deadline.
    Worker(WorkerId),
    /// A worker may have had nothing to do for a while.
    Ping(WorkerId),
    /// A session's next tick.
    Tick(SessionId),
    /// A session may have been idle for too long.
    Idle(SessionId),
    /// A caller's patience.
    Deadline(SessionId, RequestId),
    /// A session may be tried again.
    Retry(SessionId),
    /// A worker may be spawned again.
    Respawn,
    /// A standby may be.
    Standby,
}

/// All alarms, soonest first.
#[derive(Debug)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(u64, Alarm)>>,
    crowded_at: usize,
}

/// Alarms that are kept before it is worth a look which of them are still wanted.
const CROWDED_MIN: usize = 16_384;

impl Default for Timers {
    fn default() -> Timers {
        Timers { heap: BinaryHeap::new(), crowded_at: CROWDED_MIN }
    }
}

impl Timers {
    pub(crate) fn set(&mut self, at_mono_ns: u64, alarm: Alarm) {
        self.heap.push(Reverse((at_mono_ns, alarm)));
    }

    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }

    pub(crate) fn next(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Whether many were set since the last look.
    pub(crate) fn is_crowded(&self) -> bool {
        self.heap.len() >= self.crowded_at
    }

    /// Forgets alarms that nobody wants any more.
    pub(crate) fn retain(&mut self, wanted: impl Fn(&Alarm) -> bool) {
        self.heap.retain(|Reverse((_, alarm))| wanted(alarm));
        self.crowded_at = CROWDED_MIN.max(self.heap.len() * 2);
    }

    /// The next alarm that is due.
    pub(crate) fn pop(&mut self, now_mono_ns: u64) -> Option<Alarm> {
        if self.next()? > now_mono_ns {
            return None;
        }
        self.heap.pop().map(|Reverse((_, alarm))| alarm)
    }
}
