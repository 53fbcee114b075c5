//! The outside of a test table: writes down what a game gives out, and plays host calls back.

use std::collections::VecDeque;

use crate::game::{Player, Refusal};
use crate::turn::{Level, Outside, host_refusal};

/// A log line, message or event that a game gave out, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// [`Turn::send`](crate::Turn::send).
    Sent {
        /// To whom.
        to: Player,
        /// The message.
        message: Vec<u8>,
    },
    /// [`Turn::emit`](crate::Turn::emit).
    Emitted {
        /// The topic.
        topic: String,
        /// The event.
        event: Vec<u8>,
    },
    /// [`Turn::log`](crate::Turn::log).
    Logged {
        /// How loud.
        level: Level,
        /// The line.
        text: String,
    },
}

/// Answers host calls.
pub(super) type Answers = dyn FnMut(&str, &[u8]) -> Result<Vec<u8>, Refusal>;

/// A host call and its answer.
pub(super) struct RecordedCall {
    pub(super) name: String,
    pub(super) args: Vec<u8>,
    pub(super) answer: Result<Vec<u8>, Refusal>,
}

/// The outside of a table: writes down what the game does.
#[derive(Default)]
pub(super) struct Recorder<'a> {
    pub(super) output: Vec<Output>,
    pub(super) calls: VecDeque<RecordedCall>,
    pub(super) ask: Option<&'a mut Box<Answers>>,
    pub(super) replay: Option<VecDeque<RecordedCall>>,
}

impl Outside for Recorder<'_> {
    fn log(&mut self, level: Level, text: &str) {
        self.output.push(Output::Logged { level, text: text.to_owned() });
    }

    fn send(&mut self, to: Player, message: &[u8]) -> i32 {
        self.output.push(Output::Sent { to, message: message.to_vec() });
        croupier_abi::OK
    }

    fn emit(&mut self, topic: &str, event: &[u8]) -> i32 {
        self.output.push(Output::Emitted { topic: topic.to_owned(), event: event.to_vec() });
        croupier_abi::OK
    }

    fn call(&mut self, name: &str, args: &[u8]) -> Result<Vec<u8>, Refusal> {
        if let Some(record) = &mut self.replay {
            let recorded = record.pop_front().expect("replayed, the turn makes more host calls");
            assert_eq!(
                (name, args),
                (recorded.name.as_str(), recorded.args.as_slice()),
                "replayed, the turn makes another host call (left)"
            );
            return recorded.answer;
        }
        let answer = match &mut self.ask {
            Some(answers) => answers(name, args),
            None => no_answer(name, args),
        };
        self.calls.push_back(RecordedCall {
            name: name.to_owned(),
            args: args.to_vec(),
            answer: answer.clone(),
        });
        answer
    }
}

pub(super) fn no_answer(name: &str, _args: &[u8]) -> Result<Vec<u8>, Refusal> {
    Err(host_refusal(croupier_abi::E_UNSUPPORTED, &format!("calling {name:?}"), name))
}
