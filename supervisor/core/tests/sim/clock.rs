//! Simulated time: what happens next, and the one generator by which everything is decided. Nothing here knows the real time.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use croupier_core::event::HostKey;
use croupier_core::ids::WorkerId;

use crate::weather::Reason;

pub(crate) const US: u64 = 1_000;
pub(crate) const MS: u64 = 1_000_000;
pub(crate) const S: u64 = 1_000_000_000;

/// SplitMix64: the whole of a run follows from its seed.
#[derive(Debug, Clone)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// 0 up to `n`, without `n`.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.roll() % n.max(1)
    }

    /// Once in `n` times; never for 0.
    pub(crate) fn once_in(&mut self, n: u64) -> bool {
        n > 0 && self.below(n) == 0
    }

    /// A time around `mean_ns`: mostly less, sometimes several times as much.
    pub(crate) fn around(&mut self, mean_ns: u64) -> u64 {
        let mut ns = self.below(mean_ns + 1);
        while self.once_in(3) && ns < mean_ns * 16 {
            ns += self.below(mean_ns + 1) * 2;
        }
        ns
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        if from.is_empty() {
            return None;
        }
        Some(from[self.below(from.len() as u64) as usize])
    }

    /// One of these, as often as its weight says.
    pub(crate) fn weighted<T: Clone>(&mut self, from: &[(u64, T)]) -> T {
        let mut left = self.below(from.iter().map(|(weight, _)| weight).sum());
        for (weight, what) in from {
            if left < *weight {
                return what.clone();
            }
            left -= weight;
        }
        from[0].1.clone()
    }
}

/// Which game.
pub(crate) type GameAt = usize;

/// Something that is going to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    /// The game asked to be woken.
    Wake(GameAt),
    /// A worker looks at what it was sent.
    Work(GameAt, WorkerId),
    /// A worker's next word reaches the supervisor.
    Hear(GameAt, WorkerId),
    /// A signal that the supervisor sent reaches a worker.
    Kill(GameAt, WorkerId, Reason),
    /// The platform answers a host call.
    Platform(GameAt, HostKey),
    /// The disk is done with what it was writing.
    Committed,
    /// A game hears what the disk has.
    Told(GameAt, u64),
    /// Some client of the game does something.
    Client(GameAt),
    /// Somebody opens a session.
    Open(GameAt),
    /// Clients that lost their connection come back.
    Reconnect(GameAt),
    /// An operator does something.
    Operator(GameAt),
    /// One who does not wait for what was asked for last.
    Impatient(GameAt),
    /// Something breaks in a worker.
    Trouble(GameAt),
    /// The wall clock is set.
    Clock,
    /// The supervisor dies.
    SupervisorDies,
    /// The supervisor is asked to stop.
    SupervisorStops,
    /// The supervisor, on its way out, writes down what is in memory alone.
    Parks,
    /// The supervisor starts.
    SupervisorRises,
    /// The disk's room ends, or is there again.
    DiskRoom,
}

impl What {
    /// Whether it goes with the supervisor when that dies.
    pub(crate) fn is_the_supervisors(&self) -> bool {
        matches!(
            self,
            What::Wake(_)
                | What::Work(..)
                | What::Hear(..)
                | What::Kill(..)
                | What::Platform(..)
                | What::Committed
                | What::Told(..)
                | What::SupervisorDies
                | What::Parks
        )
    }
}

struct Due {
    at_ns: u64,
    order: u64,
    /// Which supervisor it belongs to.
    life: u64,
    what: What,
}

impl PartialEq for Due {
    fn eq(&self, other: &Due) -> bool {
        self.order == other.order
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Due) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Due) -> Ordering {
        (self.at_ns, self.order).cmp(&(other.at_ns, other.order))
    }
}

/// All that is going to happen, the next first; what was said first comes first at one time.
#[derive(Default)]
pub(crate) struct Agenda {
    due: BinaryHeap<Reverse<Due>>,
    order: u64,
    /// Which supervisor lives: what belongs to an earlier one is forgotten.
    pub(crate) life: u64,
}

impl Agenda {
    pub(crate) fn at(&mut self, at_ns: u64, what: What) {
        self.order += 1;
        self.due.push(Reverse(Due { at_ns, order: self.order, life: self.life, what }));
    }

    pub(crate) fn next(&mut self) -> Option<(u64, What)> {
        while let Some(Reverse(due)) = self.due.pop() {
            if due.life == self.life || !due.what.is_the_supervisors() {
                return Some((due.at_ns, due.what));
            }
        }
        None
    }
}
