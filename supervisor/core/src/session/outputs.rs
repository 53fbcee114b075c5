//! What a session gave out: numbered, and kept for a while, so that a follower who reconnects misses nothing.

use std::collections::VecDeque;

use croupier_fair::entry::Effect;

use crate::action::Output;
use crate::ids::SessionId;

/// A bounded window of numbered outputs.
#[derive(Debug, Default)]
pub struct Outputs {
    kept: VecDeque<Output>,
    last: u64,
}

impl Outputs {
    /// Numbers one more output, and forgets the oldest beyond `max`.
    pub fn push(&mut self, session: SessionId, seq: u64, effect: Effect, max: usize) -> Output {
        self.last += 1;
        let output = Output { session, number: self.last, seq, effect };
        self.kept.push_back(output.clone());
        while self.kept.len() > max {
            self.kept.pop_front();
        }
        output
    }

    /// The outputs of a session that comes back from the disk: the newest number, and those that are kept, with the turns that gave them.
    pub(crate) fn resume(
        session: SessionId,
        last: u64,
        kept: impl Iterator<Item = (u64, Effect)>,
    ) -> Outputs {
        let mut kept: VecDeque<Output> =
            kept.map(|(seq, effect)| Output { session, number: 0, seq, effect }).collect();
        let first = (last + 1).saturating_sub(kept.len() as u64);
        for (output, number) in kept.iter_mut().zip(first..) {
            output.number = number;
        }
        Outputs { kept, last }
    }

    /// Those that are kept.
    pub(crate) fn kept(&self) -> impl Iterator<Item = &Output> {
        self.kept.iter()
    }

    /// Bytes of those that are kept.
    pub(crate) fn bytes(&self) -> usize {
        let bytes = |output: &Output| match &output.effect {
            Effect::Send { message, .. } => message.len(),
            Effect::Emit { topic, event } => topic.len() + event.len(),
        };
        self.kept.iter().map(|output| size_of::<Output>() + bytes(output)).sum()
    }

    /// The newest number; 0 before the first.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// All outputs from number `from` on; 0 means from the next one on.
    ///
    /// # Errors
    /// The oldest number that is still there, when `from` is older.
    pub fn since(&self, from: u64) -> Result<Vec<Output>, u64> {
        if from == 0 || from > self.last {
            return Ok(Vec::new());
        }
        let oldest = self.last + 1 - self.kept.len() as u64;
        if from < oldest {
            return Err(oldest);
        }
        Ok(self.kept.iter().skip((from - oldest) as usize).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Payload;

    #[test]
    fn a_window_of_outputs_can_be_resumed() {
        let mut outputs = Outputs::default();
        for seq in 1..=5 {
            let effect = Effect::Send { to: 1, message: Payload::from([seq as u8]) };
            assert_eq!(outputs.push(SessionId(1), seq, effect, 3).number, seq);
        }
        let numbers = |from| outputs.since(from).map(|all| all.iter().map(|o| o.number).collect::<Vec<_>>());
        assert_eq!(numbers(3), Ok(vec![3, 4, 5]));
        assert_eq!(numbers(5), Ok(vec![5]));
        assert_eq!(numbers(6), Ok(vec![]));
        assert_eq!(numbers(0), Ok(vec![]));
        assert_eq!(numbers(2), Err(3));
    }
}
