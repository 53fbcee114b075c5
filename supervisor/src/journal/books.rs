//! What the store keeps count of beside the database, because it would cost a scan to know.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use croupier_core::ids::SessionId;

use super::format::GameRecord;

/// Ended sessions of one game whose answers stay on the disk.
pub const ENDED_KEPT: usize = 4096;

/// And bytes of them.
pub const ENDED_BYTES_KEPT: u64 = 16 << 20;

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
    /// With the bytes of their last entry, the oldest first.
    order: VecDeque<(SessionId, u64)>,
    bytes: u64,
}

impl Ended {
    /// One more.
    pub(super) fn add(&mut self, session: SessionId, bytes: u64) {
        // A batch that is tried again although the disk had it.
        if !self.order.iter().rev().any(|(known, _)| *known == session) {
            self.order.push_back((session, bytes));
            self.bytes += bytes;
        }
    }

    /// The oldest one, if there is no more room for it.
    pub(super) fn pop(&mut self) -> Option<SessionId> {
        let full = self.order.len() > ENDED_KEPT || (self.bytes > ENDED_BYTES_KEPT && self.order.len() > 1);
        let (oldest, bytes) = if full { self.order.pop_front()? } else { return None };
        self.bytes -= bytes;
        Some(oldest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ended_sessions_stay_up_to_a_count_and_up_to_bytes_and_count_once() {
        let mut ended = Ended::default();
        for id in 0..ENDED_KEPT as u64 {
            ended.add(SessionId(id), 10);
            ended.add(SessionId(id), 10);
            assert_eq!(ended.pop(), None);
        }
        ended.add(SessionId(9000), 10);
        assert_eq!((ended.pop(), ended.pop()), (Some(SessionId(0)), None));
        ended.add(SessionId(9001), ENDED_BYTES_KEPT + 1);
        let gone = std::iter::from_fn(|| ended.pop()).count();
        // The newest stays however big it is.
        assert_eq!((gone, ended.order.len(), ended.bytes), (ENDED_KEPT, 1, ENDED_BYTES_KEPT + 1));
    }
}
