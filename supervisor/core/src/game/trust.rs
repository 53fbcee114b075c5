//! What the plugin's snapshots are worth: when they are taken, when they are tried, and when they are relied on no more.
//!
//! ```text
//!  trusted ──doubt, doubt, …──▶ distrusted (asked for seldom, each one tried, journals kept whole)
//!      ▲──────────one could be restored──────────┘
//! ```
//!
//! Nothing is pruned on the strength of a snapshot that is in doubt.

use std::collections::VecDeque;

use super::workers::{Call, CallKind};
use super::{Cx, Game};
use crate::action::{Notice, ToWorker, Wanted};
use crate::event::Cause;
use crate::ids::{Payload, SessionId, WorkerId, kind};
use crate::session::Session;
use crate::session::journal::Snapshot;

/// Of the snapshots, one in this many is restored once for a try; the first one always, and all while there is doubt.
const VERIFY_EVERY: u64 = 256;
/// Doubt from which on snapshots are distrusted.
const DOUBT_MAX: u32 = 16;
/// The doubt when it must have been the snapshot: refused, not given, or a worker died of it.
const DOUBT_SURE: u32 = 8;
/// The doubt when a worker died of something, and it may have been the snapshot.
const DOUBT_VAGUE: u32 = 1;
/// Distrusted snapshots are asked for after this many times as much as trusted ones.
const SELDOM: u64 = 16;
/// Sets the id under which a snapshot is tried apart from all session ids.
const SCRATCH: u64 = 1 << 63;

/// Whether the plugin's snapshots can be relied on.
#[derive(Debug, Default)]
pub(super) struct Trust {
    taken: u64,
    pub(super) verified: u64,
    doubt: u32,
    distrusted: bool,
}

impl Trust {
    /// Whether the next snapshot is to be tried.
    fn is_due(&self) -> bool {
        self.verified == 0 || self.doubt > 0 || self.taken.is_multiple_of(VERIFY_EVERY)
    }

    /// Says whether this was too much.
    fn doubt(&mut self, how_much: u32) -> bool {
        self.doubt = self.doubt.saturating_add(how_much).min(DOUBT_MAX);
        self.doubt == DOUBT_MAX && !std::mem::replace(&mut self.distrusted, true)
    }

    /// Whether snapshots are not relied on.
    pub(super) fn is_distrusted(&self) -> bool {
        self.distrusted
    }

    fn restored(&mut self) {
        self.verified += 1;
        self.doubt = 0;
        self.distrusted = false;
    }
}

impl Game {
    /// Whether the next turn's reply shall carry a snapshot. Sessions are spread, so that they are not all written at once.
    pub(super) fn wants_snapshot(&self, cx: &Cx<'_>, id: SessionId) -> Wanted {
        let Some(session) = self.sessions.get(&id) else { return Wanted::No };
        let closing = session.flights.iter().any(|flight| flight.kind == kind::CLOSE);
        // A turn that is sent again must not die of its snapshot again, and be called poison for it.
        let again =
            session.flights.iter().find(|flight| !flight.sent).is_some_and(|flight| flight.retries > 0);
        if session.snapshot_asked.is_some() || closing || again || session.journal.is_of_opening() {
            return Wanted::No;
        }
        let policy = self.spec.snapshots;
        let patience = if self.snapshots.distrusted { SELDOM } else { 1 };
        let unanswered = session.flights.len() as u64;
        let (missed_turns, missed_bytes) = session.snapshot_missed;
        let turns = session.journal.turns_since().saturating_sub(missed_turns) + unanswered;
        let bytes = session.journal.bytes_since().saturating_sub(missed_bytes);
        let spread = if session.journal.newest().is_none() { id.0 % (policy.turns / 2).max(1) } else { 0 };
        let age = cx.now.mono_ns.saturating_sub(session.snapshot_mono_ns);
        let old = age >= policy.age_ns.saturating_mul(patience) && turns > 1;
        let early = turns >= policy.turns_min.max(1).saturating_mul(patience);
        let due = (self.diverges && !self.snapshots.distrusted)
            || turns >= policy.turns.saturating_sub(spread).max(1).saturating_mul(patience)
            || (early && session.snapshot_pays(bytes))
            || bytes >= policy.bytes.saturating_mul(patience as usize)
            || old;
        if due { Wanted::Yes } else { Wanted::No }
    }

    /// The reply that was to bring a snapshot is there.
    pub(super) fn snapshot_answered(
        &mut self,
        cx: &mut Cx<'_>,
        worker: WorkerId,
        (id, seq): (SessionId, u64),
        bytes: Option<Payload>,
    ) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let Some(bytes) = bytes else {
            session.miss_snapshot(cx.now.mono_ns);
            return self.doubt(cx, DOUBT_SURE, "the plugin gave none when asked");
        };
        session.snapshot_mono_ns = cx.now.mono_ns;
        session.snapshot_missed = (0, 0);
        let state_version = self.spec.state_version;
        let digest = self.digest.clone();
        session.journal.push_snapshot(Snapshot { seq, bytes: bytes.clone(), state_version, digest });
        self.snapshots.taken += 1;
        self.write_snapshot(cx, id);
        if !self.snapshots.is_due() {
            self.prune(cx, id);
        } else if !self.is_trying(worker) {
            let message =
                ToWorker::Restore { session: SessionId(id.0 | SCRATCH), state_version, snapshot: bytes };
            self.send(cx, worker, CallKind::Verify(id, seq), message);
        }
    }

    pub(super) fn verified(&mut self, cx: &mut Cx<'_>, worker: WorkerId, id: SessionId, seq: u64) {
        self.snapshots.restored();
        let scratch = SessionId(id.0 | SCRATCH);
        self.send(cx, worker, CallKind::Drop, ToWorker::Drop { session: scratch });
        let session = self.sessions.get(&id);
        if session.and_then(|session| session.journal.newest()).is_some_and(|newest| newest.seq == seq) {
            self.prune(cx, id);
        }
    }

    /// A snapshot could not be restored: it is forgotten.
    pub(super) fn verify_failed(&mut self, cx: &mut Cx<'_>, id: SessionId, seq: u64, reason: &str) {
        let session = self.sessions.get(&id);
        if session.and_then(|session| session.journal.newest()).is_some_and(|newest| newest.seq == seq) {
            self.drop_snapshot(cx, id);
            if let Some(session) = self.sessions.get_mut(&id) {
                session.miss_snapshot(cx.now.mono_ns);
            }
        }
        self.doubt(cx, DOUBT_SURE, reason);
    }

    /// The plugin refused to restore a session from its snapshot.
    pub(super) fn restore_failed(&mut self, cx: &mut Cx<'_>, reason: &str) {
        self.doubt(cx, DOUBT_SURE, reason);
    }

    /// A worker died by its own doing: was it over a snapshot, in making or in trying one? Call it before the sessions lose their home.
    pub(super) fn doubt_snapshots(&mut self, cx: &mut Cx<'_>, calls: &VecDeque<Call>, cause: &Cause) {
        if !cause.counts() {
            return;
        }
        if let Some(Call { what: CallKind::Verify(id, seq), .. }) = calls.front() {
            return self.verify_failed(cx, *id, *seq, &cause.to_string());
        }
        let mut vague = false;
        for call in calls {
            match call.what {
                CallKind::Verify(..) => vague = true,
                CallKind::Turn(id, seq) => {
                    let Some(session) = self.sessions.get_mut(&id) else { continue };
                    if session.snapshot_asked != Some(seq) {
                        continue;
                    }
                    session.miss_snapshot(cx.now.mono_ns);
                    let flight = session.flights.iter_mut().find(|flight| flight.seq == seq);
                    match flight {
                        Some(flight) if calls.len() == 1 => flight.snapshot_suspected = true,
                        _ => vague = true,
                    }
                }
                _ => {}
            }
        }
        if vague {
            self.doubt(cx, DOUBT_VAGUE, &cause.to_string());
        }
    }

    /// A turn that had died with a snapshot went well without one.
    pub(super) fn snapshot_convicted(&mut self, cx: &mut Cx<'_>) {
        self.doubt(cx, DOUBT_SURE, "making one killed the worker");
    }

    /// One more thing is wrong with the plugin's snapshots.
    fn doubt(&mut self, cx: &mut Cx<'_>, how_much: u32, reason: &str) {
        if self.snapshots.doubt(how_much) {
            cx.notice(Notice::SnapshotsDistrusted { reason: reason.to_owned() });
        }
    }
}

impl Session {
    /// What is replayed after a death is what somebody waits for, so snapshots are taken often that are no larger than the turns that they make
    /// superfluous: with all that is written down beside them, where they are written down.
    fn snapshot_pays(&self, turns_bytes: usize) -> bool {
        let Some(newest) = self.journal.newest().map(|newest| newest.bytes.len()) else { return false };
        // Counting what is beside it takes a while.
        turns_bytes >= newest
            && (self.shelf.is_none() || turns_bytes >= newest + self.keys.bytes() + self.outputs.bytes())
    }

    /// A snapshot was asked for in vain: the next one is asked for as much later as after one that came.
    fn miss_snapshot(&mut self, now_mono_ns: u64) {
        self.snapshot_mono_ns = now_mono_ns;
        self.snapshot_missed = (self.journal.turns_since(), self.journal.bytes_since());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubt_adds_up_is_told_once_and_goes_when_a_snapshot_is_restored() {
        let mut trust = Trust::default();
        assert!(trust.is_due(), "the first one is always tried");
        trust.restored();
        trust.taken = 1;
        assert!(!trust.is_due());
        assert!(!trust.doubt(DOUBT_VAGUE));
        assert!(trust.is_due());
        assert!(!trust.doubt(DOUBT_SURE));
        assert!(trust.doubt(DOUBT_SURE));
        assert!(trust.distrusted && !trust.doubt(DOUBT_SURE));
        trust.restored();
        assert!(!trust.distrusted && !trust.is_due());
        for _ in 1..DOUBT_MAX {
            assert!(!trust.doubt(DOUBT_VAGUE));
        }
        assert!(trust.doubt(DOUBT_VAGUE));
    }
}
