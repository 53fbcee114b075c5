//! A session's journal: what is needed to build it again in another process.
//!
//! ```text
//!   previous snapshot │ records … │ newest snapshot │ records …
//!   └─ pruned up to here, once the newest one is trusted
//! ```
//!
//! A session is a snapshot and the turns since. Two snapshots are kept: when the plugin refuses the newest one, the one before
//! still works. Runs of ticks are one record.

use std::collections::VecDeque;
use std::sync::Arc;

use croupier_fair::seed::Mix;

use crate::action::CallRecord;
use crate::ids::{Payload, PlayerId};

/// The version of the records' format.
pub const RECORD_VERSION: u16 = 1;

/// Bytes that a record is counted for, beside its payloads.
const RECORD_BYTES: usize = 160;

/// One entry of the journal.
#[derive(Debug, Clone)]
pub struct Record {
    /// [`RECORD_VERSION`] when it was written.
    pub version: u16,
    /// The binary that played it.
    pub digest: Arc<[u8; 32]>,
    /// The session's ownership epoch then.
    pub epoch: u64,
    /// What happened.
    pub body: Body,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Body {
    /// A turn.
    Turn(TurnRecord),
    /// A run of ticks without host calls.
    Ticks(TickRun),
    /// A turn that was skipped as poison.
    Poison(TurnRecord),
    /// Late ticks that were left out.
    Skipped {
        /// The number that this takes.
        seq: u64,
        /// When.
        now_ns: u64,
        /// How many.
        ticks: u64,
    },
}

/// A turn on record.
#[derive(Debug, Clone)]
pub struct TurnRecord {
    /// Its number.
    pub seq: u64,
    /// `CROUPIER_TURN_*`.
    pub kind: u16,
    /// Who acted.
    pub player: PlayerId,
    /// Its time.
    pub now_ns: u64,
    /// Its seed.
    pub seed: [u8; 32],
    /// What it was given.
    pub payload: Payload,
    /// Host calls in order.
    pub calls: Vec<CallRecord>,
    /// Its outcome hash; 0 for poison.
    pub outcome: u64,
}

/// A run of ticks on record.
#[derive(Debug, Clone)]
pub struct TickRun {
    /// The number of the first one.
    pub first_seq: u64,
    /// How many.
    pub count: u64,
    /// The time of the first one.
    pub first_now_ns: u64,
    /// The time between two.
    pub period_ns: u64,
    /// What the players had contributed to chance.
    pub mix: Mix,
    /// The chained outcome hashes.
    pub outcome: u64,
}

/// A plugin's own bytes for the whole state after turn `seq`.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The last turn in it.
    pub seq: u64,
    /// The bytes.
    pub bytes: Payload,
    /// Their version.
    pub state_version: u32,
    /// The binary that wrote them.
    pub digest: Arc<[u8; 32]>,
}

/// Snapshots, and the turns since.
#[derive(Debug, Default)]
pub struct Journal {
    previous: Option<Snapshot>,
    newest: Option<Snapshot>,
    records: VecDeque<Record>,
    /// Turns and bytes since the newest snapshot.
    turns: u64,
    bytes: usize,
    /// A tick must not join the run before it: a snapshot lies between.
    sealed: bool,
    /// Nothing but the opening is kept: the plugin has no state.
    of_opening: bool,
}

impl Record {
    /// The first number that it covers.
    pub fn first_seq(&self) -> u64 {
        match &self.body {
            Body::Turn(turn) | Body::Poison(turn) => turn.seq,
            Body::Ticks(run) => run.first_seq,
            Body::Skipped { seq, .. } => *seq,
        }
    }

    /// The last number that it covers.
    pub fn last_seq(&self) -> u64 {
        match &self.body {
            Body::Ticks(run) => run.first_seq + run.count - 1,
            _ => self.first_seq(),
        }
    }

    fn turns(&self) -> u64 {
        self.last_seq() - self.first_seq() + 1
    }

    fn bytes(&self) -> usize {
        match &self.body {
            Body::Turn(turn) | Body::Poison(turn) => {
                let calls: usize = turn.calls.iter().map(|call| call.answer.len() + 32).sum();
                RECORD_BYTES + turn.payload.len() + calls
            }
            Body::Ticks(_) | Body::Skipped { .. } => RECORD_BYTES,
        }
    }
}

/// What the newest snapshot is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Newest {
    /// As much as any.
    Counts,
    /// Nothing.
    Worthless,
}

impl Journal {
    /// Whether nothing was ever recorded.
    pub fn is_empty(&self) -> bool {
        self.newest.is_none() && self.records.is_empty()
    }

    /// One that keeps nothing but its first record, the opening: of a session whose plugin keeps no state.
    pub fn of_opening() -> Journal {
        Journal { of_opening: true, ..Journal::default() }
    }

    /// Whether it is such a one.
    pub fn is_of_opening(&self) -> bool {
        self.of_opening
    }

    /// Whether it keeps no more than it has.
    fn is_complete(&self) -> bool {
        self.of_opening && !self.records.is_empty()
    }

    /// See `Session::fetch`.
    pub(crate) fn fetch(&self) {
        std::hint::black_box((
            self.records.back().map(|record| record.epoch),
            self.newest.is_some(),
            self.bytes,
        ));
    }

    /// Appends a record.
    pub fn push(&mut self, record: Record) {
        if self.is_complete() {
            return;
        }
        self.turns += 1;
        self.bytes += record.bytes();
        self.records.push_back(record);
        self.sealed = false;
    }

    /// Appends one tick, joining the run before it where it fits.
    pub fn push_tick(&mut self, digest: &Arc<[u8; 32]>, epoch: u64, tick: TickRun) {
        if self.is_complete() {
            return;
        }
        self.turns += 1;
        if !self.sealed
            && let Some(Record { digest: known, body: Body::Ticks(run), .. }) = self.records.back_mut()
            && known == digest
            && run.mix == tick.mix
            && run.period_ns == tick.period_ns
            && run.first_seq + run.count == tick.first_seq
            && run.first_now_ns + run.count * run.period_ns == tick.first_now_ns
        {
            run.count += 1;
            run.outcome = chain(run.outcome, tick.outcome);
            return;
        }
        let run = TickRun { outcome: chain(0, tick.outcome), ..tick };
        let record =
            Record { version: RECORD_VERSION, digest: Arc::clone(digest), epoch, body: Body::Ticks(run) };
        self.bytes += record.bytes();
        self.records.push_back(record);
        self.sealed = false;
    }

    /// Takes in a newer snapshot; the one before becomes the previous one.
    pub fn push_snapshot(&mut self, snapshot: Snapshot) {
        self.previous = self.newest.replace(snapshot);
        self.turns = 0;
        self.bytes = 0;
        self.sealed = true;
    }

    /// Forgets what lies behind the previous snapshot. Only call it when the newest one is trusted.
    pub fn prune(&mut self) {
        let Some(previous) = &self.previous else { return };
        while self.records.front().is_some_and(|record| record.last_seq() <= previous.seq) {
            self.records.pop_front();
        }
    }

    /// Forgets the newest snapshot, and goes back to the one before.
    pub fn drop_newest(&mut self) {
        self.newest = self.previous.take();
        self.count();
    }

    /// Whether there is anything to restore from.
    pub fn has_base(&self, newest: Newest) -> bool {
        let snapshot = match newest {
            Newest::Counts => &self.newest,
            Newest::Worthless => &self.previous,
        };
        snapshot.is_some() || self.records.front().is_some_and(|record| record.first_seq() == 1)
    }

    /// One that was taken apart before.
    pub fn restore(
        previous: Option<Snapshot>,
        newest: Option<Snapshot>,
        records: VecDeque<Record>,
    ) -> Journal {
        // A tick that comes now must not join a run whose neighbour it may not be.
        let mut journal = Journal { previous, newest, records, sealed: true, ..Journal::default() };
        journal.count();
        journal
    }

    fn count(&mut self) {
        let from = self.newest.as_ref().map_or(0, |snapshot| snapshot.seq);
        let since = || self.records.iter().filter(|record| record.last_seq() > from);
        (self.turns, self.bytes) = (since().map(Record::turns).sum(), since().map(Record::bytes).sum());
    }

    /// The snapshot before the newest one.
    pub fn previous(&self) -> Option<&Snapshot> {
        self.previous.as_ref()
    }

    /// The newest snapshot.
    pub fn newest(&self) -> Option<&Snapshot> {
        self.newest.as_ref()
    }

    /// Turns since the newest snapshot.
    pub fn turns_since(&self) -> u64 {
        self.turns
    }

    /// Bytes since the newest snapshot.
    pub fn bytes_since(&self) -> usize {
        self.bytes
    }

    /// All records that are kept.
    pub fn records(&self) -> &VecDeque<Record> {
        &self.records
    }

    /// The index of the first record behind the newest snapshot.
    pub fn replay_from(&self) -> usize {
        let from = self.newest.as_ref().map_or(0, |snapshot| snapshot.seq);
        self.records.partition_point(|record| record.last_seq() <= from)
    }
}

/// Chains the outcomes of a run of ticks into one hash.
pub fn chain(previous: u64, outcome: u64) -> u64 {
    let mut bytes = [0u8; 16];
    bytes[..8].copy_from_slice(&previous.to_le_bytes());
    bytes[8..].copy_from_slice(&outcome.to_le_bytes());
    xxhash_rust::xxh3::xxh3_64(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest() -> Arc<[u8; 32]> {
        Arc::new([7; 32])
    }

    fn turn(seq: u64) -> Record {
        let turn = TurnRecord {
            seq,
            kind: 3,
            player: PlayerId(1),
            now_ns: seq,
            seed: [0; 32],
            payload: Payload::from([]),
            calls: Vec::new(),
            outcome: seq,
        };
        Record { version: RECORD_VERSION, digest: digest(), epoch: 1, body: Body::Turn(turn) }
    }

    fn tick(seq: u64, now_ns: u64) -> TickRun {
        TickRun {
            first_seq: seq,
            count: 1,
            first_now_ns: now_ns,
            period_ns: 10,
            mix: Mix([0; 32]),
            outcome: seq,
        }
    }

    fn snapshot(seq: u64) -> Snapshot {
        Snapshot { seq, bytes: Payload::from([1, 2]), state_version: 1, digest: digest() }
    }

    #[test]
    fn ticks_in_a_row_are_one_record() {
        let mut journal = Journal::default();
        journal.push(turn(1));
        for k in 0..100 {
            journal.push_tick(&digest(), 1, tick(2 + k, 10 * k));
        }
        assert_eq!(journal.records().len(), 2);
        let last = journal.records().back().unwrap();
        assert_eq!((last.first_seq(), last.last_seq()), (2, 101));
        journal.push_tick(&digest(), 1, tick(102, 5_000));
        assert_eq!(journal.records().len(), 3, "a gap in time ends the run");
    }

    #[test]
    fn without_state_the_opening_is_all_that_is_kept() {
        let mut journal = Journal::of_opening();
        assert!(journal.is_empty());
        (1..=4).for_each(|seq| journal.push(turn(seq)));
        journal.push_tick(&digest(), 1, tick(5, 0));
        assert_eq!(journal.records().iter().map(Record::first_seq).collect::<Vec<_>>(), [1]);
        assert_eq!((journal.turns_since(), journal.replay_from()), (1, 0));
    }

    #[test]
    fn a_run_does_not_reach_over_a_snapshot() {
        let mut journal = Journal::default();
        journal.push_tick(&digest(), 1, tick(1, 0));
        journal.push_snapshot(snapshot(1));
        journal.push_tick(&digest(), 1, tick(2, 10));
        assert_eq!(journal.records().len(), 2);
        assert_eq!(journal.replay_from(), 1);
    }

    #[test]
    fn pruning_keeps_what_the_previous_snapshot_needs() {
        let mut journal = Journal::default();
        for seq in 1..=4 {
            journal.push(turn(seq));
        }
        journal.push_snapshot(snapshot(4));
        journal.prune();
        assert_eq!(journal.records().len(), 4, "nothing lies behind a previous snapshot yet");
        for seq in 5..=8 {
            journal.push(turn(seq));
        }
        journal.push_snapshot(snapshot(8));
        journal.prune();
        assert_eq!(journal.records().front().unwrap().first_seq(), 5);
        assert!(journal.has_base(Newest::Worthless));
        journal.drop_newest();
        assert_eq!((journal.replay_from(), journal.turns_since()), (0, 4));
        assert!(journal.has_base(Newest::Counts));
        assert!(!journal.has_base(Newest::Worthless), "turn 1 is gone, so nothing is left to restore from");
    }

    #[test]
    fn a_run_of_ticks_counts_for_its_ticks_when_a_snapshot_is_dropped() {
        let mut journal = Journal::default();
        journal.push(turn(1));
        for k in 0..50 {
            journal.push_tick(&digest(), 1, tick(2 + k, 10 * k));
        }
        let before = (journal.turns_since(), journal.bytes_since());
        journal.push_snapshot(snapshot(51));
        assert!(journal.has_base(Newest::Worthless));
        journal.drop_newest();
        assert_eq!((journal.turns_since(), journal.bytes_since()), before);
    }
}
