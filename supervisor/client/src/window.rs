//! The window of outstanding keys of one session (or of a client's opens).
//!
//! ```text
//!            lowest unanswered           next
//!   … done ──────┼───────────────────────┼──── not yet given
//!                └── at most WINDOW long ─┘
//! ```
//!
//! The supervisor remembers the answers to the last [`WINDOW`] keys of a client, so a key may be given only while the oldest unanswered one
//! would still be remembered. It counts keys; it sends nothing.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use crate::Wait;
use crate::watched::Watched;

/// Most keys of one session that are outstanding at a time.
pub const WINDOW: u64 = 64;

pub(crate) struct Window {
    keys: Watched<Keys>,
}

#[derive(Debug, PartialEq, Eq)]
struct Keys {
    /// The next key to give.
    next: u64,
    /// The lowest key that is not answered.
    lowest: u64,
    /// Bit i: key `lowest + i` is answered.
    answered: u64,
}

impl Keys {
    fn has_room(&self) -> bool {
        self.next - self.lowest < WINDOW
    }

    fn take(&mut self) -> Option<u64> {
        let key = self.has_room().then_some(self.next)?;
        self.next += 1;
        Some(key)
    }

    fn answer(&mut self, key: u64) {
        if key < self.lowest || key >= self.next {
            return;
        }
        self.answered |= 1 << (key - self.lowest);
        let run = self.answered.trailing_ones();
        self.answered = self.answered.checked_shr(run).unwrap_or(0);
        self.lowest += u64::from(run);
    }
}

impl Window {
    /// A window whose first key is `first`, from 1.
    pub(crate) fn starting_at(first: u64) -> Arc<Window> {
        let first = first.max(1);
        Arc::new(Window { keys: Watched::new(Keys { next: first, lowest: first, answered: 0 }) })
    }

    pub(crate) fn try_take(&self) -> Option<u64> {
        self.keys.with(Keys::take)
    }

    pub(crate) fn poll_take(&self, cx: &mut Context<'_>) -> Poll<u64> {
        self.keys.poll(cx, Keys::take)
    }

    /// The key is answered, or was given up before anything was sent.
    pub(crate) fn answered(&self, key: u64) {
        self.keys.change(|keys| keys.answer(key));
    }
}

impl Wait for Window {
    fn ready(&self) -> bool {
        self.keys.with(|keys| keys.has_room())
    }

    fn park(&self, deadline: Option<Instant>) {
        self.keys.park(Keys::has_room, deadline);
    }

    fn poke(&self) {
        self.keys.poke();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_window_is_as_long_as_it_says_and_slides_behind_the_oldest() {
        let window = Window::starting_at(1);
        let keys: Vec<u64> = std::iter::from_fn(|| window.try_take()).collect();
        assert_eq!(keys, (1..=WINDOW).collect::<Vec<_>>());
        for key in 2..=WINDOW {
            window.answered(key);
        }
        assert_eq!(window.try_take(), None, "key 1 is still unanswered");
        window.answered(1);
        assert_eq!(window.try_take(), Some(WINDOW + 1));
    }

    proptest! {
        /// Against the obvious model: a set of unanswered keys.
        #[test]
        fn as_the_model(steps in proptest::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 1..400)) {
            let window = Window::starting_at(1);
            let (mut open, mut next) = (BTreeSet::new(), 1);
            for (take, which) in steps {
                if take {
                    let lowest = open.first().copied().unwrap_or(next);
                    let expected = (next - lowest < WINDOW).then_some(next);
                    prop_assert_eq!(window.try_take(), expected);
                    if expected.is_some() {
                        open.insert(next);
                        next += 1;
                    }
                } else if !open.is_empty() {
                    let key = *open.iter().nth(which.index(open.len())).expect("an index within");
                    open.remove(&key);
                    window.answered(key);
                }
            }
        }
    }
}
