//! Idempotency of opens, over all games: the same key opens one session, however often it is sent.
//!
//! An answer is kept for the last [`OPENS_REMEMBERED`] opens. An open that was refused is forgotten at once, so that it can be repeated.

use std::collections::{HashMap, VecDeque};

use crate::action::Answered;
use crate::ids::{ClientId, RequestId};

/// Opens whose answers are remembered, over all clients.
pub const OPENS_REMEMBERED: usize = 16_384;
/// Bytes of replies that are remembered of all of them.
const OPENS_BYTES_MAX: usize = 64 << 20;

type Key = (ClientId, u64);

/// Opens that run or ran.
#[derive(Debug, Default)]
pub struct OpenKeys {
    entries: HashMap<Key, Entry>,
    /// The oldest first, with the bytes of their replies.
    finished: VecDeque<(Key, usize)>,
    bytes: usize,
}

#[derive(Debug)]
enum Entry {
    Running { body: u64, waiters: Vec<RequestId> },
    Finished { body: u64, answer: Answered },
}

/// What to do with an open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begin {
    /// It is new: run it, then call [`OpenKeys::finish`].
    Fresh,
    /// The same one runs already; the request gets its answer.
    Waiting,
    /// The same one ran already.
    Answered(Answered),
    /// The key was used for something else.
    Reused,
}

impl OpenKeys {
    /// A request to open. `body` is a hash of plugin, config and options.
    pub fn begin(&mut self, client: ClientId, client_seq: u64, body: u64, request: RequestId) -> Begin {
        match self.entries.get_mut(&(client, client_seq)) {
            None => {
                self.entries.insert((client, client_seq), Entry::Running { body, waiters: vec![request] });
                Begin::Fresh
            }
            Some(Entry::Running { body: known, waiters }) if *known == body => {
                waiters.push(request);
                Begin::Waiting
            }
            Some(Entry::Finished { body: known, answer }) if *known == body => {
                Begin::Answered(answer.clone())
            }
            Some(_) => Begin::Reused,
        }
    }

    /// The open has its answer, or `None` when it was refused. Returns everyone who waits for it, the first one first.
    pub fn finish(&mut self, client: ClientId, client_seq: u64, answer: Option<&Answered>) -> Vec<RequestId> {
        let key = (client, client_seq);
        let Some(Entry::Running { body, waiters }) = self.entries.remove(&key) else { return Vec::new() };
        if let Some(answer) = answer {
            self.entries.insert(key, Entry::Finished { body, answer: answer.clone() });
            let bytes = reply_bytes(answer);
            self.finished.push_back((key, bytes));
            self.bytes += bytes;
            self.forget_oldest();
        }
        waiters
    }

    fn forget_oldest(&mut self) {
        while self.finished.len() > OPENS_REMEMBERED
            || (self.bytes > OPENS_BYTES_MAX && self.finished.len() > 1)
        {
            let Some((old, bytes)) = self.finished.pop_front() else { break };
            self.entries.remove(&old);
            self.bytes -= bytes;
        }
    }
}

fn reply_bytes(answer: &Answered) -> usize {
    match answer {
        Answered::Ok => 0,
        Answered::Opened { done, .. } | Answered::Done(done) => done.reply.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: ClientId = ClientId(7);

    #[test]
    fn the_same_key_opens_once() {
        let mut keys = OpenKeys::default();
        assert_eq!(keys.begin(CLIENT, 1, 10, RequestId(1)), Begin::Fresh);
        assert_eq!(keys.begin(CLIENT, 1, 10, RequestId(2)), Begin::Waiting);
        assert_eq!(keys.begin(CLIENT, 1, 11, RequestId(3)), Begin::Reused);
        assert_eq!(keys.finish(CLIENT, 1, Some(&Answered::Ok)), vec![RequestId(1), RequestId(2)]);
        assert_eq!(keys.begin(CLIENT, 1, 10, RequestId(4)), Begin::Answered(Answered::Ok));
        assert_eq!(keys.begin(CLIENT, 1, 12, RequestId(5)), Begin::Reused);
    }

    #[test]
    fn a_refused_open_can_be_repeated() {
        let mut keys = OpenKeys::default();
        assert_eq!(keys.begin(CLIENT, 1, 10, RequestId(1)), Begin::Fresh);
        assert_eq!(keys.finish(CLIENT, 1, None), vec![RequestId(1)]);
        assert_eq!(keys.begin(CLIENT, 1, 10, RequestId(2)), Begin::Fresh);
    }

    #[test]
    fn memory_is_bounded() {
        let mut keys = OpenKeys::default();
        for seq in 0..OPENS_REMEMBERED as u64 + 10 {
            keys.begin(CLIENT, seq, seq, RequestId(seq));
            keys.finish(CLIENT, seq, Some(&Answered::Ok));
        }
        assert_eq!(keys.entries.len(), OPENS_REMEMBERED);
        let reply = crate::ids::Payload::from(vec![0; 1 << 20]);
        let big = Answered::Done(crate::action::Done { seq: 1, now_ns: 0, reply, retries: 0 });
        for seq in 0..100 {
            keys.begin(ClientId(8), seq, seq, RequestId(seq));
            keys.finish(ClientId(8), seq, Some(&big));
        }
        assert!(keys.entries.len() <= 64 && keys.entries.len() == keys.finished.len());
    }
}
