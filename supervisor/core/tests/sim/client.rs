//! One client of one session: what it sent, under which keys, and what it was told.

use std::collections::{BTreeMap, BTreeSet};

use croupier_core::Refusal;
use croupier_core::action::Answered;
use croupier_core::event::Input;
use croupier_core::ids::{RequestId, SessionId};
use croupier_fair::entry::Entry;

/// Turns whose answers a client remembers: fewer than a session does, so that a repeated one is not too old.
const REMEMBERED: u64 = 48;

/// A turn that was sent, perhaps several times.
pub(crate) struct Sent {
    pub(crate) input: Input,
    /// How often.
    pub(crate) times: u32,
    /// Requests without an answer.
    pub(crate) waiting: BTreeSet<RequestId>,
    /// Its place on record.
    pub(crate) seq: Option<u64>,
    /// What it was told, when that was final.
    pub(crate) answer: Option<Result<Answered, Refusal>>,
    /// It is to be sent again: the connection was lost.
    pub(crate) unheard: bool,
    /// What it was refused with last.
    pub(crate) refused: Option<Refusal>,
}

/// A client.
pub(crate) struct Client {
    pub(crate) id: u64,
    /// Its last number.
    pub(crate) last: u64,
    pub(crate) sent: BTreeMap<u64, Sent>,
    /// Numbers of turns on record, as far as they are not remembered any more: all below, except these.
    on_record: BTreeSet<u64>,
    /// The newest turn on record among those that were sent once.
    newest_once: u64,
}

impl Client {
    pub(crate) fn new(id: u64) -> Client {
        Client { id, last: 0, sent: BTreeMap::new(), on_record: BTreeSet::new(), newest_once: 0 }
    }

    /// The next turn, and its number.
    pub(crate) fn next(&mut self, input: impl FnOnce(u64) -> Input) -> u64 {
        self.last += 1;
        let sent = Sent {
            input: input(self.last),
            times: 0,
            waiting: BTreeSet::new(),
            seq: None,
            answer: None,
            unheard: false,
            refused: None,
        };
        self.sent.insert(self.last, sent);
        while let Some(oldest) = self.sent.first_entry()
            && oldest.key() + REMEMBERED < self.last
            && oldest.get().waiting.is_empty()
            && !oldest.get().unheard
        {
            oldest.remove();
        }
        self.last
    }

    /// The supervisor is gone: what was not answered never will be.
    pub(crate) fn connection_lost(&mut self) {
        for sent in self.sent.values_mut().filter(|sent| !sent.waiting.is_empty()) {
            sent.waiting.clear();
            sent.unheard = true;
        }
    }

    /// One of its turns is on record.
    pub(crate) fn recorded(&mut self, session: SessionId, seq: u64, entry: &Entry) {
        assert!(
            self.on_record.insert(seq),
            "turn {seq} of client {} of session {session} is on record twice, now as {}",
            self.id,
            entry.seq
        );
        let Some(sent) = self.sent.get_mut(&seq) else { return };
        assert_eq!(sent.input.payload, entry.payload, "it is another turn");
        sent.seq = Some(entry.seq);
        if sent.times == 1 {
            assert!(seq > self.newest_once, "turns of client {} of {session} changed their order", self.id);
            self.newest_once = seq;
        }
    }

    /// It is answered; with something final, or not.
    pub(crate) fn answered(
        &mut self,
        session: SessionId,
        seq: u64,
        answer: Option<&Result<Answered, Refusal>>,
    ) {
        let Some(sent) = self.sent.get_mut(&seq) else { return };
        let Some(answer) = answer else { return };
        assert!(
            sent.answer.as_ref().is_none_or(|known| known == answer),
            "turn {seq} of client {} of {session} has two answers: {:?} and {answer:?}",
            self.id,
            sent.answer
        );
        if let Ok(Answered::Done(done)) = answer {
            assert!(sent.seq.is_none_or(|on_record| on_record == done.seq), "the answer of another turn");
        }
        sent.answer = Some(answer.clone());
    }
}
