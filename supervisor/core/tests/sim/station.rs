//! One simulated worker and its link: what was sent and has not arrived, what it is at, what it answered and has not arrived.
//!
//! ```text
//!  supervisor ──to──▶ (inbox) plugin ──out──▶ supervisor        each way in order, each message with its own delay
//! ```
//!
//! The plugin in it, and how strict it is about its orders, is `fake`.

use std::collections::VecDeque;

use croupier_core::action::ToWorker;
use croupier_core::event::{Answer, Cause};
use croupier_core::ids::{CallId, Payload, SessionId};
use croupier_fair::entry::Effect;

use crate::clock::{Dice, MS};
use crate::fake::FakeWorker;

/// A topic that no plugin may use.
pub(crate) const SECRET: &str = "secret";

/// Something that reaches the supervisor from a worker.
#[derive(Debug, Clone)]
pub(crate) enum Word {
    Loaded,
    Answer(CallId, Answer),
    Ask { call: CallId, index: u32, name: &'static str, args: Payload, asked: u64 },
    Refused { call: CallId, count: u32 },
    Died(Cause),
}

/// What the supervisor waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Awaited {
    Init,
    Turn(SessionId, u64),
    Replay(SessionId),
    Restore(SessionId),
    /// A snapshot is tried, beside the session.
    Try,
    Suspend,
    Resume,
    Drop,
    Ping,
    Shutdown,
}

impl Awaited {
    pub(crate) fn session(self) -> Option<SessionId> {
        match self {
            Awaited::Turn(session, _) | Awaited::Replay(session) | Awaited::Restore(session) => Some(session),
            _ => None,
        }
    }
}

/// A worker.
pub(crate) struct Station {
    pub(crate) fake: FakeWorker,
    to: VecDeque<(u64, CallId, ToWorker)>,
    last_to_ns: u64,
    pub(crate) out: VecDeque<Word>,
    last_out_ns: u64,
    /// It is at something until then.
    pub(crate) free_at_ns: u64,
    /// It is going to look at its inbox.
    pub(crate) is_scheduled: bool,
    /// It does nothing any more; its death may still have to be heard of.
    pub(crate) is_dead: bool,
    /// It hangs until it is killed.
    pub(crate) is_hung: bool,
    /// The supervisor sent the signal.
    pub(crate) is_killed: bool,
    /// It keeps its answers back, and gives them all at once every so often; 0 for at once.
    burst_ns: u64,
    /// So many times slower than others.
    pub(crate) slowness: u64,
    /// Calls that are sent and whose answers were not heard.
    pub(crate) awaited: VecDeque<(CallId, Awaited)>,
}

impl Station {
    pub(crate) fn new(dice: &mut Dice) -> Station {
        Station {
            fake: FakeWorker::default(),
            to: VecDeque::new(),
            last_to_ns: 0,
            out: VecDeque::new(),
            last_out_ns: 0,
            free_at_ns: 0,
            is_scheduled: false,
            is_dead: false,
            is_hung: false,
            is_killed: false,
            burst_ns: dice.weighted(&[(4, 0), (1, MS), (1, 10 * MS)]),
            slowness: dice.weighted(&[(6, 1), (1, 10), (1, 100)]),
            awaited: VecDeque::new(),
        }
    }

    /// How many honest answers to turns are the next words.
    pub(crate) fn answers_at_front(&self) -> usize {
        let is_next = |(word, (head, _)): &(&Word, &(CallId, Awaited))| {
            matches!(word, Word::Answer(call, Answer::Done(done)) if call == head
                && done.status <= 0
                && !done.effects.iter().any(|effect| matches!(effect, Effect::Emit { topic, .. } if topic == SECRET)))
        };
        self.out.iter().zip(&self.awaited).take_while(is_next).count()
    }

    /// A message sets out; says when it arrives.
    pub(crate) fn send(&mut self, now_ns: u64, delay_ns: u64, call: CallId, message: ToWorker) -> u64 {
        let at = self.last_to_ns.max(now_ns + delay_ns);
        self.last_to_ns = at;
        self.to.push_back((at, call, message));
        at
    }

    /// What has arrived by now is in the inbox.
    pub(crate) fn receive(&mut self, now_ns: u64) {
        while let Some((_, call, message)) = self.to.pop_front_if(|(at, ..)| *at <= now_ns) {
            self.fake.inbox.push_back((call, message));
        }
    }

    /// When the next message arrives.
    pub(crate) fn next_arrival(&self) -> Option<u64> {
        self.to.front().map(|(at, ..)| *at)
    }

    /// A word sets out; says when the supervisor hears it.
    pub(crate) fn say(&mut self, at_ns: u64, delay_ns: u64, word: Word) -> u64 {
        let mut at = at_ns + delay_ns;
        if self.burst_ns > 0 {
            at = at.next_multiple_of(self.burst_ns);
        }
        let at = self.last_out_ns.max(at);
        self.last_out_ns = at;
        self.out.push_back(word);
        at
    }

    /// It is dead from now on; what it said before is heard. Says when its death is.
    pub(crate) fn die(&mut self, now_ns: u64, delay_ns: u64, cause: Cause) -> u64 {
        self.is_dead = true;
        self.to.clear();
        self.fake.inbox.clear();
        self.say(now_ns, delay_ns, Word::Died(cause))
    }

    /// It is as quick as any, from now on.
    pub(crate) fn hurry(&mut self) {
        (self.burst_ns, self.slowness) = (0, 1);
    }

    /// What it hears about is stuck for a while.
    pub(crate) fn stall(&mut self, until_ns: u64) {
        self.last_out_ns = self.last_out_ns.max(until_ns);
    }
}
