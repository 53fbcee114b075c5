//! Lets out what depends on an entry of the durable journal only when the disk has that entry.
//!
//! ```text
//!  Journal(at 7), Answer, Output ──▶ held back behind 7 ──Event::Durable { at: 7 }──▶ let out, in order
//!  Send to a worker, Spawn, Kill ──▶ at once: a worker's state is nothing that cannot be built again
//! ```
//!
//! Within one step everything visible behind an entry is taken to depend on it; what depends on an older entry says so itself. What a session did that is
//! in memory alone depends on none: held back with the others' it would come out behind what it does next.

use std::collections::VecDeque;

use crate::action::{Action, Answered, Notice, Output};
use crate::ids::{RequestId, SessionId};
use crate::planted::{self, Bug};
use crate::refusal::Refusal;

/// Entries that may wait for the disk before sessions number nothing new.
const BEHIND_MAX: u64 = 16_384;

/// What waits for the disk.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// The newest entry that was written.
    written: u64,
    /// The newest entry that the disk has.
    durable: u64,
    waiting: VecDeque<(u64, Action)>,
}

impl Gate {
    /// A gate for a game whose journal goes on behind entry `at`.
    pub(super) fn new(at: u64) -> Gate {
        Gate { written: at, durable: at, waiting: VecDeque::new() }
    }

    /// Entries up to `at` are on the disk since before.
    pub(super) fn go_on_after(&mut self, at: u64) {
        self.written = self.written.max(at);
        self.durable = self.durable.max(at);
    }

    /// The number of the next entry.
    pub(super) fn next(&mut self) -> u64 {
        self.written += 1;
        self.written
    }

    /// The newest entry that was written.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Whether the disk is known to have entry `at`.
    pub(super) fn has(&self, at: u64) -> bool {
        at <= self.durable
    }

    /// Whether so much waits for the disk that nothing more should be added: what is accepted is bounded outside, ticks come by themselves.
    pub(super) fn is_behind(&self) -> bool {
        self.written - self.durable > BEHIND_MAX
    }

    /// Actions that are held back.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether everything that was written is on the disk.
    pub(super) fn is_settled(&self) -> bool {
        self.durable == self.written
    }

    /// Holds back what a step did, from `from` on, as far as it depends on entries that the disk does not have.
    /// `behind` is an entry that the whole step depends on; `in_memory` says which sessions depend on none.
    pub(super) fn hold_back(
        &mut self,
        actions: &mut Vec<Action>,
        from: usize,
        behind: Option<u64>,
        in_memory: impl Fn(SessionId) -> bool,
    ) {
        if self.is_settled() || planted::is(Bug::AnswerBeforeJournal) {
            return;
        }
        let mut behind = behind.unwrap_or(0);
        let step: Vec<Action> = actions.drain(from..).collect();
        for action in step {
            if let Action::Journal(entry) = &action {
                behind = entry.at;
            }
            if behind > self.durable && is_visible(&action) && !session_of(&action).is_some_and(&in_memory) {
                self.waiting.push_back((behind, action));
            } else {
                actions.push(action);
            }
        }
    }

    /// The disk has everything up to entry `at`.
    pub(super) fn open(&mut self, at: u64, actions: &mut Vec<Action>) {
        self.durable = self.durable.max(at.min(self.written));
        let durable = self.durable;
        // Not sorted: a repeated request may wait for an older entry than what came before it.
        let (out, waiting) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition::<VecDeque<_>, _>(|(at, _)| *at <= durable);
        self.waiting = waiting;
        actions.extend(out.into_iter().map(|(_, action)| action));
    }

    /// Whoever asked does not wait for the answer any more. Says whether one was held back, and for which turn if it is a turn's.
    pub(super) fn withdraw(&mut self, request: RequestId) -> Option<Option<u64>> {
        let is_theirs = |(_, action): &(u64, Action)| matches!(action, Action::Answer { request: of, .. } if *of == request);
        let at = self.waiting.iter().position(is_theirs)?;
        match self.waiting.remove(at) {
            Some((_, Action::Answer { result: Ok(Answered::Done(done)), .. })) => Some(Some(done.seq)),
            Some((
                _,
                Action::Answer { result: Err(Refusal::Plugin { seq, .. } | Refusal::Poison { seq }), .. },
            )) => Some(Some(seq)),
            _ => Some(None),
        }
    }

    /// The number of the oldest output of a session that is held back.
    pub(super) fn first_output(&self, id: SessionId) -> Option<u64> {
        self.waiting.iter().find_map(|(_, action)| match action {
            Action::Output(Output { session, number, .. }) if *session == id => Some(*number),
            _ => None,
        })
    }
}

/// Whether somebody outside could act on it.
fn is_visible(action: &Action) -> bool {
    match action {
        Action::Answer { .. }
        | Action::Output(_)
        | Action::Record { .. }
        | Action::TranscriptClose { .. }
        | Action::HostCall { .. }
        | Action::Stopped => true,
        Action::Notice(notice) => matches!(
            notice,
            Notice::SessionOpened { .. }
                | Notice::SessionEnded { .. }
                | Notice::TurnDone { .. }
                | Notice::PlayerJoined { .. }
                | Notice::PlayerLeft { .. }
                | Notice::Poison { .. }
        ),
        Action::Spawn { .. }
        | Action::Kill { .. }
        | Action::Send { .. }
        | Action::TranscriptOpen { .. }
        | Action::Journal(_) => false,
    }
}

/// Whose doing it is, where one can tell.
fn session_of(action: &Action) -> Option<SessionId> {
    match action {
        Action::Record { session, .. } | Action::TranscriptClose { session, .. } => Some(*session),
        Action::Output(output) => Some(output.session),
        Action::HostCall { key, .. } => Some(key.session),
        Action::Notice(
            Notice::SessionOpened { session, .. }
            | Notice::SessionEnded { session, .. }
            | Notice::TurnDone { session, .. }
            | Notice::PlayerJoined { session, .. }
            | Notice::PlayerLeft { session, .. }
            | Notice::Poison { session, .. },
        ) => Some(*session),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::durable::{Change, Entry};

    fn answer(request: u64) -> Action {
        Action::Answer { request: RequestId(request), result: Ok(Answered::Ok) }
    }

    fn entry(gate: &mut Gate) -> Action {
        let change = Change::SnapshotDropped;
        Action::Journal(Box::new(Entry { at: gate.next(), session: SessionId(1), change }))
    }

    fn requests(actions: &[Action]) -> Vec<u64> {
        let request = |action: &Action| match action {
            Action::Answer { request, .. } => Some(request.0),
            _ => None,
        };
        actions.iter().filter_map(request).collect()
    }

    #[test]
    fn nothing_is_let_out_before_the_disk_has_what_it_depends_on() {
        let mut gate = Gate::new(10);
        let mut actions = vec![answer(0)];
        gate.hold_back(&mut actions, 0, None, |_| false);
        assert_eq!(requests(&actions), [0], "there is nothing to wait for");
        let mut actions = vec![answer(1), entry(&mut gate), answer(2)];
        gate.hold_back(&mut actions, 0, None, |_| false);
        assert_eq!(requests(&actions), [1], "what came before the entry does not wait");
        let mut actions = vec![entry(&mut gate), answer(3)];
        gate.hold_back(&mut actions, 0, None, |_| false);
        let mut actions = vec![answer(4)];
        gate.hold_back(&mut actions, 0, None, |_| false);
        assert_eq!(requests(&actions), [4], "it has nothing to do with the entries");
        let mut actions = vec![answer(5)];
        gate.hold_back(&mut actions, 0, Some(11), |_| false);
        let mut out = Vec::new();
        gate.open(11, &mut out);
        assert_eq!(requests(&out), [2, 5]);
        assert!(!gate.is_settled());
        gate.open(99, &mut out);
        assert_eq!((requests(&out), gate.is_settled()), (vec![2, 5, 3], true));
    }
}
