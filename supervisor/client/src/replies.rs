//! Answers to many requests that come in at one place, in the order in which they are given: for one task that has many requests under way, such as a
//! connection of the daemon's.
//!
//! ```text
//!   requests ──slot(call)──▶ backend ──answer──▶ Inbox ──▶ Replies::take
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use croupier_wire::door::Reply;

use crate::slot::ReplySlot;
use crate::watched::Watched;
use crate::{ClientError, Wait};

/// Answers for which there is room without asking for memory.
const KEPT: usize = 1024;

/// One answer that has come in.
#[derive(Debug)]
pub struct Replied {
    /// The request's call id.
    pub call: u64,
    /// What its [slot](Replies::slot) was made with.
    pub bytes: u32,
    /// The answer.
    pub answer: Result<Reply, ClientError>,
}

/// Where the answers come in. Dropping it gives up the answers, not what was asked.
#[derive(Default)]
pub struct Replies {
    inbox: Arc<Inbox>,
}

/// The side that slots fill.
pub(crate) struct Inbox {
    replied: Watched<Vec<Replied>>,
    abandoned: AtomicBool,
}

impl Default for Inbox {
    fn default() -> Inbox {
        Inbox { replied: Watched::new(Vec::new()), abandoned: AtomicBool::new(false) }
    }
}

impl Inbox {
    pub(crate) fn put(&self, call: u64, bytes: u32, answer: Result<Reply, ClientError>) {
        if !self.is_abandoned() {
            self.replied.change(|replied| replied.push(Replied { call, bytes, answer }));
        }
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed)
    }
}

impl Replies {
    /// A slot for the answer to this call, whose request takes so many bytes.
    pub fn slot(&self, call: u64, bytes: u32) -> ReplySlot {
        ReplySlot::into_inbox(self.inbox.clone(), call, bytes)
    }

    /// Appends what has come in.
    pub fn take(&self, into: &mut impl Extend<Replied>) {
        self.inbox.replied.with(|replied| {
            into.extend(replied.drain(..));
            replied.shrink_to(KEPT);
        });
    }

    /// Ready when something has come in; else the task is woken then.
    pub fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.inbox.replied.poll(cx, |replied| (!replied.is_empty()).then_some(()))
    }
}

impl Wait for Replies {
    fn ready(&self) -> bool {
        self.inbox.replied.with(|replied| !replied.is_empty())
    }

    fn park(&self, deadline: Option<Instant>) {
        self.inbox.replied.park(|replied| !replied.is_empty(), deadline);
    }

    fn poke(&self) {
        self.inbox.replied.poke();
    }
}

impl Drop for Replies {
    fn drop(&mut self) {
        self.inbox.abandoned.store(true, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Replies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replies").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_in_as_they_are_given_and_a_dropped_slot_is_one_too() {
        let replies = Replies::default();
        let (first, second, third) = (replies.slot(1, 10), replies.slot(2, 20), replies.slot(3, 30));
        assert!(!replies.ready());
        second.answer(Reply::Pong);
        drop(first);
        assert!(replies.ready());
        let mut all = Vec::new();
        replies.take(&mut all);
        let came: Vec<_> = all.iter().map(|one| (one.call, one.bytes, one.answer.is_ok())).collect();
        assert_eq!(came, [(2, 20, true), (1, 10, false)]);
        assert!(!replies.ready(), "they are taken");
        assert!(!third.is_abandoned());
        drop(replies);
        assert!(third.is_abandoned());
        third.answer(Reply::Pong);
    }

    #[test]
    fn a_task_is_woken_by_the_first_answer() {
        let replies = Arc::new(Replies::default());
        let slot = replies.slot(7, 0);
        let waits = replies.clone();
        let waiter = std::thread::spawn(move || waits.park(None));
        slot.answer(Reply::Pong);
        waiter.join().expect("it was woken");
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(replies.poll_ready(&mut cx).is_ready());
    }
}
