//! What the store keeps count of beside the database, because it would cost a scan to know.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use croupier_core::ids::SessionId;

use super::format::GameRecord;

/// How much stays on the disk of one game's sessions that have ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keep {
    sessions: usize,
    bytes: u64,
}

impl Keep {
    /// Ordinarily.
    pub(super) const USUAL: Keep = Keep { sessions: 4096, bytes: 8 << 20 };
    /// When there is hardly any room.
    pub(super) const LITTLE: Keep = Keep { sessions: 64, bytes: 256 << 10 };
}

/// What the journal holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Entries.
    pub entries: u64,
    /// Their bytes, keys not counted.
    pub bytes: u64,
}

/// What would cost a scan to know.
#[derive(Debug, Clone, Default)]
pub(super) struct Books {
    pub(super) games: BTreeMap<String, GameRecord>,
    pub(super) totals: Totals,
    /// Shared, because the books are copied for each batch and this is long.
    pub(super) ended: BTreeMap<u32, Arc<Ended>>,
}

/// The sessions of one game that have ended.
#[derive(Debug, Clone, Default)]
pub(super) struct Ended {
    /// The oldest first.
    order: VecDeque<One>,
    bytes: u64,
}

#[derive(Debug, Clone, Copy)]
struct One {
    session: SessionId,
    /// Of its last entry.
    bytes: u64,
    /// All before its last entry is gone, because whoever else lives on it has it: transcripts.
    buried: bool,
}

impl Ended {
    /// One more.
    pub(super) fn add(&mut self, session: SessionId, bytes: u64) {
        // A batch that is tried again although the disk had it.
        if !self.order.iter().rev().any(|known| known.session == session) {
            self.order.push_back(One { session, bytes, buried: false });
            self.bytes += bytes;
        }
    }

    /// Nobody needs its turns any more.
    pub(super) fn bury(&mut self, session: SessionId) {
        // It has ended lately.
        if let Some(one) = self.order.iter_mut().rev().find(|known| known.session == session) {
            one.buried = true;
        }
    }

    /// The oldest one that nobody needs, if there are too many.
    pub(super) fn pop(&mut self, keep: Keep) -> Option<SessionId> {
        let full = self.order.len() > keep.sessions || (self.bytes > keep.bytes && self.order.len() > 1);
        if !full {
            return None;
        }
        // Few are not buried: those whose transcripts are on their way to the disk.
        let at = self.order.iter().position(|one| one.buried)?;
        let gone = self.order.remove(at)?;
        self.bytes -= gone.bytes;
        Some(gone.session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ended_sessions_stay_up_to_a_count_and_up_to_bytes_and_count_once() {
        let mut ended = Ended::default();
        for id in 0..Keep::USUAL.sessions as u64 {
            ended.add(SessionId(id), 10);
            ended.add(SessionId(id), 10);
            ended.bury(SessionId(id));
            assert_eq!(ended.pop(Keep::USUAL), None);
        }
        ended.add(SessionId(9000), 10);
        assert_eq!((ended.pop(Keep::USUAL), ended.pop(Keep::USUAL)), (Some(SessionId(0)), None));
        let fewer = std::iter::from_fn(|| ended.pop(Keep::LITTLE)).count();
        assert_eq!((fewer, ended.order.len()), (4096 - 64, 64));
        ended.bury(SessionId(9000));
        ended.add(SessionId(9001), Keep::USUAL.bytes + 1);
        let gone = std::iter::from_fn(|| ended.pop(Keep::USUAL)).count();
        // The newest stays however big it is.
        assert_eq!((gone, ended.order.len(), ended.bytes), (64, 1, Keep::USUAL.bytes + 1));
    }
    #[test]
    fn an_ended_session_whose_turns_are_still_needed_stays_however_many_there_are() {
        let mut ended = Ended::default();
        for id in 0..100 {
            ended.add(SessionId(id), 10);
        }
        assert_eq!(ended.pop(Keep::LITTLE), None);
        (50..90).for_each(|id| ended.bury(SessionId(id)));
        let gone: Vec<u64> =
            std::iter::from_fn(|| ended.pop(Keep::LITTLE)).map(|session| session.0).collect();
        assert_eq!(gone, (50..86).collect::<Vec<_>>(), "the oldest that nobody needs, down to what is kept");
    }
}
