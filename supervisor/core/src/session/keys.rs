//! Idempotency inside a session: the same key is played once, and gets the same answer each time.
//!
//! ```text
//!  (client, number) ─begin─▶ Running ─finish─▶ Finished … forgotten when WINDOW newer numbers exist
//!                              └──forget──▶ (as if it had never been)
//! ```
//!
//! Per client the last [`WINDOW`] answers are kept. Clients are bounded; one that has been quiet for [`CLIENT_QUIET_NS`] and waits for nothing
//! makes room for a new one.

use std::collections::BTreeMap;

use crate::action::Done;
use crate::ids::{ClientId, RequestId};
use crate::refusal::Refusal;

/// Answers kept per client, and numbers that a client may have outstanding.
pub const WINDOW: u64 = 64;

/// A client that has been quiet this long may be forgotten when another one needs its place: ten minutes.
pub const CLIENT_QUIET_NS: u64 = 600 * 1_000_000_000;

/// A client and its number for one turn.
pub type Key = (ClientId, u64);

/// What a turn with a key came to.
pub type Outcome = Result<Done, Refusal>;

/// The keys of one session.
#[derive(Debug, Default)]
pub struct Keys {
    clients: BTreeMap<ClientId, Client>,
}

#[derive(Debug, Default)]
struct Client {
    newest: u64,
    entries: BTreeMap<u64, Entry>,
    used_mono_ns: u64,
}

#[derive(Debug)]
enum Entry {
    Running { body: u64, waiters: Vec<RequestId> },
    Finished { body: u64, outcome: Outcome },
}

/// What to do with a turn that came with a key.
#[derive(Debug, PartialEq, Eq)]
pub enum Begin {
    /// It is new: play it, then [`Keys::finish`] (or [`Keys::forget`]) it.
    Fresh,
    /// The same one runs already; the request gets its answer.
    Waiting,
    /// The same one was played already.
    Answered(Outcome),
    /// The key was used for something else.
    Reused,
    /// The key is older than what is remembered.
    Expired,
    /// No room for another client.
    TooManyClients,
}

impl Keys {
    /// A request came with `key`. `body` is a hash of what it asks.
    pub fn begin(
        &mut self,
        key: Key,
        body: u64,
        request: RequestId,
        now_mono_ns: u64,
        clients_max: usize,
    ) -> Begin {
        let (id, seq) = key;
        if !self.clients.contains_key(&id)
            && self.clients.len() >= clients_max
            && !self.make_room(now_mono_ns)
        {
            return Begin::TooManyClients;
        }
        let client = self.clients.entry(id).or_default();
        client.used_mono_ns = now_mono_ns;
        match client.entries.get_mut(&seq) {
            Some(Entry::Running { body: known, waiters }) if *known == body => {
                waiters.push(request);
                Begin::Waiting
            }
            Some(Entry::Finished { body: known, outcome }) if *known == body => {
                Begin::Answered(outcome.clone())
            }
            Some(_) => Begin::Reused,
            None if seq == 0 || seq.saturating_add(WINDOW) <= client.newest => Begin::Expired,
            None => {
                client.newest = client.newest.max(seq);
                client.entries.insert(seq, Entry::Running { body, waiters: vec![request] });
                client.trim();
                Begin::Fresh
            }
        }
    }

    /// The turn's outcome is final: keeps it, and returns everyone who waits for it.
    pub fn finish(&mut self, key: Key, outcome: &Outcome) -> Vec<RequestId> {
        let Some(client) = self.clients.get_mut(&key.0) else { return Vec::new() };
        let Some(Entry::Running { body, waiters }) = client.entries.remove(&key.1) else {
            return Vec::new();
        };
        client.entries.insert(key.1, Entry::Finished { body, outcome: outcome.clone() });
        client.trim();
        waiters
    }

    /// The turn was refused before it had a number: as if it had never been. Returns everyone who waits for it.
    pub fn forget(&mut self, key: Key) -> Vec<RequestId> {
        let Some(client) = self.clients.get_mut(&key.0) else { return Vec::new() };
        match client.entries.remove(&key.1) {
            Some(Entry::Running { waiters, .. }) => waiters,
            Some(finished @ Entry::Finished { .. }) => {
                client.entries.insert(key.1, finished);
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    /// Everyone who waits for `key`, who then waits no more; the turn goes on.
    pub fn take_waiters(&mut self, key: Key) -> Vec<RequestId> {
        match self.clients.get_mut(&key.0).and_then(|client| client.entries.get_mut(&key.1)) {
            Some(Entry::Running { waiters, .. }) => std::mem::take(waiters),
            _ => Vec::new(),
        }
    }

    /// `request` waits no more. Returns the key that it waited for, and how many still wait for that.
    pub fn leave(&mut self, request: RequestId) -> Option<(Key, usize)> {
        for (id, client) in &mut self.clients {
            for (seq, entry) in &mut client.entries {
                if let Entry::Running { waiters, .. } = entry
                    && let Some(at) = waiters.iter().position(|waiter| *waiter == request)
                {
                    waiters.remove(at);
                    return Some(((*id, *seq), waiters.len()));
                }
            }
        }
        None
    }

    /// Everyone who waits for anything.
    pub fn waiters(&self) -> impl Iterator<Item = RequestId> + '_ {
        self.clients.values().flat_map(|client| client.entries.values()).flat_map(|entry| {
            match entry {
                Entry::Running { waiters, .. } => waiters.as_slice(),
                Entry::Finished { .. } => &[],
            }
            .iter()
            .copied()
        })
    }

    /// Each client and the newest number that it used.
    pub fn clients(&self) -> impl Iterator<Item = (ClientId, u64)> + '_ {
        self.clients.iter().map(|(id, client)| (*id, client.newest))
    }

    /// What a finished key came to, for a session that has ended.
    pub fn finished(&self, key: Key, body: u64) -> Option<Outcome> {
        match self.clients.get(&key.0)?.entries.get(&key.1)? {
            Entry::Finished { body: known, outcome } if *known == body => Some(outcome.clone()),
            _ => None,
        }
    }

    fn make_room(&mut self, now_mono_ns: u64) -> bool {
        let quiet = self
            .clients
            .iter()
            .filter(|(_, client)| client.is_quiet(now_mono_ns))
            .min_by_key(|(_, client)| client.used_mono_ns)
            .map(|(id, _)| *id);
        quiet.is_some_and(|id| self.clients.remove(&id).is_some())
    }
}

impl Client {
    fn is_quiet(&self, now_mono_ns: u64) -> bool {
        now_mono_ns.saturating_sub(self.used_mono_ns) >= CLIENT_QUIET_NS
            && !self.entries.values().any(|entry| matches!(entry, Entry::Running { .. }))
    }

    fn trim(&mut self) {
        let newest = self.newest;
        self.entries.retain(|seq, entry| {
            matches!(entry, Entry::Running { .. }) || seq.saturating_add(WINDOW) > newest
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Payload;

    fn begin(keys: &mut Keys, seq: u64, body: u64, request: u64) -> Begin {
        keys.begin((ClientId(1), seq), body, RequestId(request), 0, 2)
    }

    fn done(seq: u64) -> Outcome {
        Ok(Done { seq, now_ns: 0, reply: Payload::from([]), retries: 0 })
    }

    #[test]
    fn a_key_is_played_once_and_answers_the_same() {
        let mut keys = Keys::default();
        assert_eq!(begin(&mut keys, 1, 5, 1), Begin::Fresh);
        assert_eq!(begin(&mut keys, 1, 5, 2), Begin::Waiting);
        assert_eq!(begin(&mut keys, 1, 6, 3), Begin::Reused);
        assert_eq!(keys.finish((ClientId(1), 1), &done(9)), vec![RequestId(1), RequestId(2)]);
        assert_eq!(begin(&mut keys, 1, 5, 4), Begin::Answered(done(9)));
        assert_eq!(begin(&mut keys, 1, 6, 5), Begin::Reused);
    }

    #[test]
    fn old_keys_expire_but_running_ones_stay() {
        let mut keys = Keys::default();
        assert_eq!(begin(&mut keys, 1, 0, 1), Begin::Fresh);
        assert_eq!(begin(&mut keys, 2, 0, 2), Begin::Fresh);
        keys.finish((ClientId(1), 2), &done(1));
        assert_eq!(begin(&mut keys, 2 + WINDOW, 0, 3), Begin::Fresh);
        assert_eq!(begin(&mut keys, 2, 0, 4), Begin::Expired);
        assert_eq!(begin(&mut keys, 1, 0, 5), Begin::Waiting, "a running turn is never forgotten");
        assert_eq!(begin(&mut keys, 0, 0, 6), Begin::Expired);
    }

    #[test]
    fn a_refused_turn_leaves_no_trace() {
        let mut keys = Keys::default();
        assert_eq!(begin(&mut keys, 1, 0, 1), Begin::Fresh);
        assert_eq!(keys.forget((ClientId(1), 1)), vec![RequestId(1)]);
        assert_eq!(begin(&mut keys, 1, 7, 2), Begin::Fresh);
    }

    #[test]
    fn clients_are_bounded_and_only_quiet_ones_make_room() {
        let mut keys = Keys::default();
        for client in 1..=2 {
            assert_eq!(keys.begin((ClientId(client), 1), 0, RequestId(client), 0, 2), Begin::Fresh);
        }
        keys.finish((ClientId(1), 1), &done(1));
        let third = (ClientId(3), 1);
        assert_eq!(keys.begin(third, 0, RequestId(3), 1, 2), Begin::TooManyClients);
        assert_eq!(keys.begin(third, 0, RequestId(3), CLIENT_QUIET_NS, 2), Begin::Fresh);
        assert_eq!(keys.clients().map(|(id, _)| id.0).collect::<Vec<_>>(), vec![2, 3]);
    }

    #[test]
    fn a_caller_who_leaves_is_not_answered() {
        let mut keys = Keys::default();
        begin(&mut keys, 1, 0, 1);
        begin(&mut keys, 1, 0, 2);
        assert_eq!(keys.leave(RequestId(1)), Some(((ClientId(1), 1), 1)));
        assert_eq!(keys.leave(RequestId(1)), None);
        assert_eq!(keys.finish((ClientId(1), 1), &done(1)), vec![RequestId(2)]);
    }
}
