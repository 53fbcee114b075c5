//! Idempotency inside a session: the same key is played once, and gets the same answer each time.
//!
//! ```text
//!  (client, number) ─begin─▶ Running ─finish─▶ Finished … forgotten when a number WINDOW higher is finished
//!                              └──forget──▶ (as if it had never been)
//! ```
//!
//! Per client the last [`WINDOW`] answers are kept; what is still running, or was refused, pushes none of them out. Clients are
//! bounded; one that has been quiet for [`CLIENT_QUIET_NS`] and waits for nothing makes room for a new one.

use std::collections::VecDeque;

use super::waiters::Waiters;
use crate::action::Done;
use crate::few::Few;
use crate::ids::{ClientId, RequestId};
use crate::refusal::Refusal;

/// Answers kept per client, and numbers that a client may have outstanding.
pub const WINDOW: u64 = 64;

/// A client that has been quiet this long may be forgotten when another one needs its place: ten minutes.
pub const CLIENT_QUIET_NS: u64 = 600 * 1_000_000_000;

/// Bytes that an answer is counted for, beside its reply.
const ANSWER_BYTES: usize = 192;

/// A client and its number for one turn.
pub type Key = (ClientId, u64);

/// What a turn with a key came to.
pub type Outcome = Result<Done, Refusal>;

/// The keys of one session.
#[derive(Debug, Default)]
pub struct Keys {
    clients: Few<ClientId, Client>,
    /// What each caller waits for.
    waiting: Few<RequestId, Key>,
}

#[derive(Debug, Default)]
struct Client {
    /// The highest number that is finished.
    newest: u64,
    running: Few<u64, Running>,
    /// By number.
    finished: VecDeque<Finished>,
    used_mono_ns: u64,
}

#[derive(Debug)]
struct Running {
    body: u64,
    waiters: Waiters,
}

#[derive(Debug)]
struct Finished {
    seq: u64,
    body: u64,
    outcome: Outcome,
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
    /// See `Session::fetch`.
    pub(crate) fn fetch(&self) {
        std::hint::black_box((self.waiting.len(), self.clients.len()));
        for client in self.clients.values().take(1) {
            let ends = [client.finished.front(), client.finished.back()];
            std::hint::black_box((client.used_mono_ns, ends.map(|end| end.map(|finished| finished.body))));
        }
    }

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
        if !self.clients.contains_key(id) && self.clients.len() >= clients_max && !self.make_room(now_mono_ns)
        {
            return Begin::TooManyClients;
        }
        let client = self.clients.get_or_default(id);
        client.used_mono_ns = now_mono_ns;
        if let Some(finished) = client.finished(seq) {
            let same = finished.body == body;
            return if same { Begin::Answered(finished.outcome.clone()) } else { Begin::Reused };
        }
        if let Some(running) = client.running.get_mut(seq) {
            if running.body != body {
                return Begin::Reused;
            }
            running.waiters.push(request);
            self.waiting.insert(request, key);
            return Begin::Waiting;
        }
        if seq == 0 || client.newest.saturating_sub(seq) >= WINDOW {
            return Begin::Expired;
        }
        client.running.insert(seq, Running { body, waiters: Waiters::one(request) });
        self.waiting.insert(request, key);
        Begin::Fresh
    }

    /// The turn's outcome is final: keeps it, and returns everyone who waits for it.
    pub fn finish(&mut self, key: Key, outcome: &Outcome) -> Waiters {
        let Some(client) = self.clients.get_mut(key.0) else { return Waiters::default() };
        let Some(Running { body, waiters }) = client.running.remove(key.1) else { return Waiters::default() };
        client.finish(Finished { seq: key.1, body, outcome: outcome.clone() });
        self.wait_no_more(waiters)
    }

    /// The turn was refused before it had a number: as if it had never been. Returns everyone who waits for it.
    pub fn forget(&mut self, key: Key) -> Waiters {
        let Some(client) = self.clients.get_mut(key.0) else { return Waiters::default() };
        let running = client.running.remove(key.1);
        if client.newest == 0 && client.running.is_empty() {
            self.clients.remove(key.0);
        }
        running.map(|running| self.wait_no_more(running.waiters)).unwrap_or_default()
    }

    /// Everyone who waits for `key`, who then waits no more; the turn goes on.
    pub fn take_waiters(&mut self, key: Key) -> Waiters {
        let running = self.clients.get_mut(key.0).and_then(|client| client.running.get_mut(key.1));
        let waiters = running.map(|running| std::mem::take(&mut running.waiters)).unwrap_or_default();
        self.wait_no_more(waiters)
    }

    fn wait_no_more(&mut self, waiters: Waiters) -> Waiters {
        for request in waiters.iter() {
            self.waiting.remove(request);
        }
        waiters
    }

    /// `request` waits no more. Returns the key that it waited for, and how many still wait for that.
    pub fn leave(&mut self, request: RequestId) -> Option<(Key, usize)> {
        let key = self.waiting.remove(request)?;
        let running = self.clients.get_mut(key.0)?.running.get_mut(key.1)?;
        running.waiters.remove(request);
        Some((key, running.waiters.len()))
    }

    /// Whether `request` waits for anything.
    pub fn waits(&self, request: RequestId) -> bool {
        self.waiting.contains_key(request)
    }

    /// Callers that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Each client and the newest number that it used.
    pub fn clients(&self) -> impl Iterator<Item = (ClientId, u64)> + '_ {
        self.clients.iter().map(|(id, client)| (id, client.newest_used()))
    }

    /// What a finished key came to, for a session that takes no turns any more.
    pub fn finished(&self, key: Key, body: u64) -> Option<Outcome> {
        let finished = self.clients.get(key.0)?.finished(key.1)?;
        (finished.body == body).then(|| finished.outcome.clone())
    }

    /// What a key that runs was used for.
    pub fn body(&self, key: Key) -> Option<u64> {
        Some(self.clients.get(key.0)?.running.get(key.1)?.body)
    }

    /// Every answer that is remembered: its key, what that stands for, and the answer.
    pub fn answers(&self) -> impl Iterator<Item = (Key, u64, &Outcome)> + '_ {
        self.clients.iter().flat_map(|(id, client)| {
            client.finished.iter().map(move |finished| ((id, finished.seq), finished.body, &finished.outcome))
        })
    }

    /// An answer that was given before the supervisor's death.
    pub(crate) fn remember(&mut self, key: Key, body: u64, outcome: Outcome, now_mono_ns: u64) {
        let client = self.clients.get_or_default(key.0);
        client.used_mono_ns = now_mono_ns;
        client.running.remove(key.1);
        client.finish(Finished { seq: key.1, body, outcome });
    }

    /// A turn that had a number before the supervisor's death. Nobody waits for it yet.
    pub(crate) fn resume(&mut self, key: Key, body: u64, now_mono_ns: u64) {
        let client = self.clients.get_or_default(key.0);
        client.used_mono_ns = now_mono_ns;
        client.running.insert(key.1, Running { body, waiters: Waiters::default() });
    }

    /// Bytes that it takes to remember all answers, roughly.
    pub fn bytes(&self) -> usize {
        let finished = self.clients.values().flat_map(|client| &client.finished);
        finished.map(Finished::bytes).sum()
    }

    fn make_room(&mut self, now_mono_ns: u64) -> bool {
        let quiet = self
            .clients
            .iter()
            .filter(|(_, client)| client.is_quiet(now_mono_ns))
            .min_by_key(|(_, client)| client.used_mono_ns)
            .map(|(id, _)| id);
        quiet.is_some_and(|id| self.clients.remove(id).is_some())
    }
}

impl Client {
    fn is_quiet(&self, now_mono_ns: u64) -> bool {
        now_mono_ns.saturating_sub(self.used_mono_ns) >= CLIENT_QUIET_NS && self.running.is_empty()
    }

    fn newest_used(&self) -> u64 {
        self.running.last_key().map_or(self.newest, |seq| self.newest.max(seq))
    }

    fn finished(&self, seq: u64) -> Option<&Finished> {
        // One that is new: looking for it would fetch half of what is kept from far away.
        if seq > self.newest {
            return None;
        }
        let at = self.finished.binary_search_by_key(&seq, |finished| finished.seq).ok()?;
        self.finished.get(at)
    }

    /// Keeps an answer, and forgets those that are too old.
    fn finish(&mut self, finished: Finished) {
        let seq = finished.seq;
        let is_newest = seq > self.newest;
        self.newest = self.newest.max(seq);
        // First: so there are never more than a window of them.
        while self.finished.front().is_some_and(|oldest| self.newest - oldest.seq >= WINDOW) {
            self.finished.pop_front();
        }
        if is_newest {
            self.finished.push_back(finished);
        } else if self.newest - seq < WINDOW {
            self.finish_late(finished);
        }
    }

    /// A higher number was finished before it.
    fn finish_late(&mut self, finished: Finished) {
        match self.finished.binary_search_by_key(&finished.seq, |known| known.seq) {
            Ok(at) => self.finished[at] = finished,
            Err(at) => self.finished.insert(at, finished),
        }
    }
}

impl Finished {
    fn bytes(&self) -> usize {
        let text = match &self.outcome {
            Ok(done) => done.reply.len(),
            Err(Refusal::Plugin { text, .. }) => text.len(),
            Err(_) => 0,
        };
        ANSWER_BYTES + text
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
        assert_eq!(keys.finish((ClientId(1), 1), &done(9)), [RequestId(1), RequestId(2)]);
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
        assert_eq!(begin(&mut keys, 2, 0, 4), Begin::Answered(done(1)), "nothing newer has an answer yet");
        keys.finish((ClientId(1), 2 + WINDOW), &done(2));
        assert_eq!(begin(&mut keys, 2, 0, 4), Begin::Expired);
        assert_eq!(begin(&mut keys, 1, 0, 5), Begin::Waiting, "a running turn is never forgotten");
        assert_eq!(begin(&mut keys, 0, 0, 6), Begin::Expired);
    }

    #[test]
    fn refused_turns_push_no_answers_out_however_high_their_numbers() {
        let mut keys = Keys::default();
        assert_eq!(begin(&mut keys, 1, 0, 1), Begin::Fresh);
        keys.finish((ClientId(1), 1), &done(1));
        for seq in [500, u64::MAX] {
            assert_eq!(begin(&mut keys, seq, 0, 2), Begin::Fresh);
            keys.forget((ClientId(1), seq));
        }
        assert_eq!(begin(&mut keys, 1, 0, 3), Begin::Answered(done(1)));
        assert_eq!(begin(&mut keys, 2, 0, 4), Begin::Fresh);
        assert_eq!(begin(&mut keys, u64::MAX, 0, 5), Begin::Fresh);
        keys.finish((ClientId(1), u64::MAX), &done(2));
        assert_eq!(begin(&mut keys, u64::MAX, 0, 6), Begin::Answered(done(2)));
        assert_eq!(begin(&mut keys, 2, 0, 7), Begin::Waiting);
        assert_eq!(begin(&mut keys, 1, 0, 8), Begin::Expired);
    }

    #[test]
    fn a_refused_turn_leaves_no_trace() {
        let mut keys = Keys::default();
        assert_eq!(begin(&mut keys, 1, 0, 1), Begin::Fresh);
        assert_eq!(keys.forget((ClientId(1), 1)), [RequestId(1)]);
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
        assert_eq!(keys.finish((ClientId(1), 1), &done(1)), [RequestId(2)]);
    }
}
