//! Who hears of what a worker says: whoever waits for its bell, a thread that has borrowed the link and looks itself, or nobody for a moment, since nothing is expected.
//!
//! ```text
//!              lend                    rest
//!  [`BELL`] ─────────▶ [`LENT`] ─────────────────▶ [`RESTS`]
//!     ▲     give_back     │       ▲        lend       │
//!     ├───────────────────┘       └───────────────────┤
//!     └────────────────────── rouse ──────────────────┘
//! ```

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering, fence};
use std::time::Instant;

use super::link::{Looked, Lookout};
use super::port::{Input, Port};

/// Whoever waits for the bell.
const BELL: u8 = 0;
/// A thread that looks itself.
const LENT: u8 = 1;
/// Nobody, since nothing is expected: a thread has just looked, and has what it waited for. So between two turns of one caller neither the bell is set nor the line
/// that says so goes back and forth between two processors. Whoever watches the link comes by every few milliseconds.
const RESTS: u8 = 2;

/// Who would notice that something has come.
#[derive(Default)]
pub(super) struct Lending {
    /// [`BELL`], [`LENT`] or [`RESTS`].
    by: AtomicU8,
    /// The bell is to be set by whoever arms the link next.
    ring_wanted: AtomicBool,
}

impl Port {
    /// Lends the link to a thread that looks itself whether something has come. None when it cannot be looked at without a system call, or another thread does that already.
    pub fn lend(&self) -> Option<Lent<'_>> {
        if self.lending.by.swap(LENT, Ordering::AcqRel) == LENT {
            return None;
        }
        let looks = crate::lock(&self.input).way.lookout().map(Lookout::begin);
        if looks.is_none() {
            self.lending.by.store(BELL, Ordering::Release);
        }
        looks.map(|looks| Lent { port: self, looks })
    }

    /// To be called behind a flush by whoever does not look for the answer, and now and then: a link that [rests](Lent::rest) has its bell again. True when there is something to
    /// receive that nobody will be told of.
    pub fn rouse(&self) -> bool {
        // What was sent before this is seen by whoever lets the link rest, unless we see here that it rests: the other fence is in `Lent::rest`.
        fence(Ordering::SeqCst);
        let rests = self.lending.by.load(Ordering::Relaxed) == RESTS;
        if !rests
            || self.lending.by.compare_exchange(RESTS, BELL, Ordering::AcqRel, Ordering::Relaxed).is_err()
        {
            return false;
        }
        // A thread that begins to look just now looks all the same, and is rung for in vain.
        match self.input.try_lock() {
            Ok(mut input) => self.ring_again(&mut input),
            // Somebody receives, perhaps this very thread: what it received made it send. Whoever arms the link next sets the bell.
            Err(_) => {
                self.lending.ring_wanted.store(true, Ordering::Release);
                true
            }
        }
    }

    /// For whoever arms the link: sets the bell if [`Port::rouse`] could not. True when there is something to receive.
    pub(super) fn take_up_ring(&self, input: &mut Input) -> bool {
        self.lending.ring_wanted.swap(false, Ordering::AcqRel) && self.ring_again(input)
    }

    /// Nonsense is for whoever receives.
    fn ring_again(&self, input: &mut Input) -> bool {
        input.way.lookout().is_some_and(|lookout| !lookout.end().unwrap_or(false))
    }
}

/// A link whose worker need not ring: a thread looks itself. See [`Port::lend`].
#[must_use = "who borrows it looks"]
pub struct Lent<'a> {
    port: &'a Port,
    looks: u32,
}

impl Lent<'_> {
    /// How often to look before it is in vain.
    pub fn looks(&self) -> u32 {
        self.looks
    }

    /// Whether there is something to receive (or to be told of).
    pub fn has_bytes(&self) -> bool {
        // Who holds the lock receives; then it will be seen by the next look.
        let Ok(mut input) = self.port.input.try_lock() else { return false };
        input.way.lookout().is_some_and(|lookout| lookout.has_bytes().unwrap_or(true))
    }

    /// What came of looking.
    pub fn learn(&self, looked: Looked) {
        let mut input = crate::lock(&self.port.input);
        input.in_vain_since = (looked == Looked::InVain).then(Instant::now);
        if let Some(lookout) = input.way.lookout() {
            lookout.learn(looked);
        }
    }

    /// Gives it back: the worker rings again. True when there is something to receive that nobody will be told of.
    pub fn give_back(self) -> bool {
        let mut input = crate::lock(&self.port.input);
        // Under the lock, so that nobody begins to look between the two.
        self.port.lending.by.store(BELL, Ordering::Release);
        self.port.ring_again(&mut input)
    }

    /// Gives it back when nothing is expected of the worker, without asking it to ring: see [`RESTS`]. The caller then looks once more whether something is expected, and if so
    /// [rouses](Port::rouse) it.
    pub fn rest(self) {
        self.port.lending.by.store(RESTS, Ordering::Release);
        // See `Port::rouse`.
        fence(Ordering::SeqCst);
    }
}
