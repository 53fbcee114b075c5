//! What was accepted and has no number yet, in order.
//!
//! ```text
//!  push ─▶ ……… ─▶ pop
//!            └─ withdraw: marked, and left out when its turn comes (or when too much of the queue is marked)
//! ```
//!
//! A session's lobby can be long, and its callers can lose their patience all at once; so that costs next to nothing each.

use std::collections::BTreeMap;

use super::keys::Key;
use crate::action::EndReason;
use crate::event::Input;
use crate::line::Line;

/// Withdrawn turns that stay in place before it is worth a look.
const WITHDRAWN_MIN: usize = 64;

/// An accepted turn without a number yet.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) input: Input,
    pub(crate) key: Option<Key>,
    /// For a close that the supervisor asked for itself.
    pub(crate) end: Option<EndReason>,
}

/// A session's queue.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    pending: Line<Pending>,
    /// How many of the oldest turns with this key are withdrawn: a key may come back after that.
    withdrawn: BTreeMap<Key, u32>,
    /// All of them.
    withdrawn_count: usize,
}

impl Queue {
    pub(crate) fn push(&mut self, pending: Pending) {
        self.pending.push_back(pending);
    }

    pub(crate) fn pop(&mut self) -> Option<Pending> {
        loop {
            let pending = self.pending.pop_front()?;
            if !self.is_withdrawn(&pending) {
                self.forget_if_empty();
                return Some(pending);
            }
        }
    }

    /// When only withdrawn turns are left they go at once: nobody comes for them.
    fn forget_if_empty(&mut self) {
        if self.withdrawn_count > 0 && self.is_empty() {
            *self = Queue::default();
        }
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.pending.len() - self.withdrawn_count
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes back the turn with this key. Call it only when there is one.
    pub(crate) fn withdraw(&mut self, key: Key) {
        *self.withdrawn.entry(key).or_default() += 1;
        self.withdrawn_count += 1;
        if self.withdrawn_count >= WITHDRAWN_MIN && self.withdrawn_count * 2 > self.pending.len() {
            for pending in std::mem::take(&mut self.pending) {
                if !self.is_withdrawn(&pending) {
                    self.pending.push_back(pending);
                }
            }
        }
        self.forget_if_empty();
    }

    /// Takes back what the supervisor itself asked for, for this reason.
    pub(crate) fn take_back(&mut self, reason: EndReason) {
        self.pending.retain(|pending| pending.end != Some(reason));
        self.forget_if_empty();
    }

    /// Takes out everything that came from outside, and says with which keys.
    pub(crate) fn take_theirs(&mut self) -> Vec<Key> {
        let mut keys = Vec::new();
        for pending in std::mem::take(&mut self.pending) {
            match pending.key {
                None => self.pending.push_back(pending),
                Some(_) if self.is_withdrawn(&pending) => {}
                Some(key) => keys.push(key),
            }
        }
        keys
    }

    /// Whether something waits that came from outside.
    pub(crate) fn has_theirs(&self) -> bool {
        let theirs = self.pending.iter().filter(|pending| pending.key.is_some());
        theirs.take(self.withdrawn_count + 1).count() > self.withdrawn_count
    }

    /// Whether this one, the oldest with its key, is withdrawn; then it counts as gone.
    fn is_withdrawn(&mut self, pending: &Pending) -> bool {
        let Some(key) = pending.key else { return false };
        let Some(count) = self.withdrawn.get_mut(&key) else { return false };
        *count -= 1;
        if *count == 0 {
            self.withdrawn.remove(&key);
        }
        self.withdrawn_count -= 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::ids::{ClientId, Payload, PlayerId};

    fn key(seq: u64) -> Key {
        (ClientId(1), seq)
    }

    fn push(queue: &mut Queue, seq: u64, payload: u8) {
        let (payload, client_seed) = (Payload::from([payload]), Payload::from([]));
        let input = Input { kind: 3, player: PlayerId(1), payload, client_seed };
        queue.push(Pending { input, key: Some(key(seq)), end: None });
    }

    #[test]
    fn what_is_withdrawn_does_not_come_out_and_its_key_may_come_back() {
        let mut queue = Queue::default();
        for seq in 1..=4 {
            push(&mut queue, seq, 0);
        }
        queue.withdraw(key(2));
        queue.withdraw(key(4));
        push(&mut queue, 2, 1);
        assert_eq!(queue.len(), 3);
        let order: Vec<_> = std::iter::from_fn(|| queue.pop())
            .map(|pending| (pending.key.map_or(0, |key| key.1), pending.input.payload[0]))
            .collect();
        assert_eq!(order, [(1, 0), (3, 0), (2, 1)]);
        assert!(queue.is_empty() && !queue.has_theirs());
    }

    #[test]
    fn withdrawn_turns_behind_the_last_one_do_not_stay() {
        let mut queue = Queue::default();
        let payload = Payload::from([7; 100]);
        let kept = || Arc::strong_count(&payload) - 1;
        let late = |queue: &mut Queue, seq| {
            let input = Input {
                kind: 3,
                player: PlayerId(1),
                payload: payload.clone(),
                client_seed: Payload::default(),
            };
            queue.push(Pending { input, key: Some(key(seq)), end: None });
        };
        push(&mut queue, 1, 0);
        push(&mut queue, 2, 0);
        late(&mut queue, 3);
        late(&mut queue, 4);
        queue.withdraw(key(3));
        queue.withdraw(key(4));
        assert_eq!((queue.len(), kept()), (2, 2));
        assert!(queue.pop().is_some() && queue.pop().is_some());
        assert_eq!((queue.len(), kept()), (0, 0));
        late(&mut queue, 3);
        assert_eq!(queue.len(), 1, "its key may come back");
        queue.withdraw(key(3));
        assert_eq!((queue.len(), kept()), (0, 0));
        assert!(queue.pop().is_none());
    }

    #[test]
    fn a_queue_of_withdrawn_turns_takes_no_room() {
        let mut queue = Queue::default();
        for seq in 1..=100_000 {
            push(&mut queue, seq, 0);
            if seq > 1 {
                queue.withdraw(key(seq));
            }
        }
        assert_eq!(queue.len(), 1);
        assert!(queue.has_theirs());
        assert!(queue.pending.len() < 2 * WITHDRAWN_MIN, "{}", queue.pending.len());
    }

    #[test]
    fn ours_stay_when_theirs_are_taken_out() {
        let mut queue = Queue::default();
        push(&mut queue, 1, 0);
        let (payload, client_seed) = (Payload::from([]), Payload::from([]));
        let input = Input { kind: 5, player: PlayerId::HOUSE, payload, client_seed };
        queue.push(Pending { input, key: None, end: Some(EndReason::Unloaded) });
        push(&mut queue, 2, 0);
        push(&mut queue, 3, 0);
        queue.withdraw(key(2));
        assert_eq!(queue.take_theirs(), [key(1), key(3)]);
        assert_eq!((queue.len(), queue.has_theirs()), (1, false));
        queue.take_back(EndReason::Idle);
        assert_eq!(queue.len(), 1);
        queue.take_back(EndReason::Unloaded);
        assert!(queue.is_empty());
    }
}
