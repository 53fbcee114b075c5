//! Where turns are recorded for verification: the seam between a game's driver and whoever writes transcripts.

use std::sync::Arc;

use croupier_core::action::EndReason;
use croupier_core::durable::{self, Change};
use croupier_core::ids::SessionId;
use croupier_fair::entry::{Effect, Entry, Verdict};
use croupier_fair::seed::ServerSeed;

/// Which plugin played, for a transcript's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Player {
    /// Name.
    pub plugin: String,
    /// Version.
    pub version: String,
    /// blake3 of the file.
    pub digest: [u8; 32],
    /// The version of its snapshots.
    pub state_version: u32,
    /// The game hides information from its players.
    pub hidden_information: bool,
}

/// What the revealing of a session's seed at close is subject to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reveal {
    /// To everybody: the game hides nothing, or the session's options say so.
    Public,
    /// To the auditor only.
    Auditor,
}

/// A session's transcript begins.
#[derive(Debug, Clone, Copy)]
pub struct Opening<'a> {
    /// The session.
    pub session: SessionId,
    /// Which plugin plays it.
    pub player: &'a Player,
    /// The commitment to its seed.
    pub commit: [u8; 32],
    /// When it was opened, nanoseconds since the Unix epoch.
    pub opened_ns: u64,
    /// Period of its ticks in nanoseconds; 0 for none.
    pub tick_ns: u64,
    /// What becomes of the seed at close.
    pub reveal: Reveal,
}

/// What the journal has of a session that goes on.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The last turn that was played.
    pub last_seq: u64,
    /// Turns, the newest last; those before a snapshot may be gone, and of a session that was in memory there are none.
    pub entries: Vec<Entry>,
}

impl Known {
    pub(super) fn of(changes: &[(u64, Change)]) -> Known {
        let mut known = Known::default();
        for (_, change) in changes {
            let seq = match change {
                Change::Played(played) => {
                    known.entries.push(recorded(played));
                    played.turn.seq
                }
                Change::Snapshot(kept) => kept.side.last_seq,
                Change::Parked(parked) => parked.side.last_seq,
                _ => 0,
            };
            known.last_seq = known.last_seq.max(seq);
        }
        known
    }

    /// The first turn that is known: whatever is before it must be in the transcript already.
    pub(crate) fn first_seq(&self) -> u64 {
        self.entries.first().map_or(self.last_seq + 1, |entry| entry.seq)
    }
}

/// A turn from the durable journal, as transcripts have it.
fn recorded(played: &durable::Played) -> Entry {
    let turn = &played.turn;
    let effect = |effect: &durable::Effect| match effect {
        durable::Effect::Send { to, message } => Effect::Send { to: *to, message: message.clone() },
        durable::Effect::Emit { topic, event } => Effect::Emit { topic: topic.clone(), event: event.clone() },
    };
    let verdict = match &played.verdict {
        durable::Verdict::Done { reply, .. } => {
            Verdict::Done { reply: reply.clone(), effects: played.outputs.iter().map(effect).collect() }
        }
        durable::Verdict::Failed { status, text, .. } => {
            Verdict::Failed { status: *status, text: text.clone() }
        }
        durable::Verdict::Poison => Verdict::Poison,
        durable::Verdict::Skipped { ticks } => Verdict::Skipped { ticks: *ticks },
    };
    Entry {
        seq: turn.seq,
        kind: turn.kind,
        player: turn.player,
        now_ns: turn.now_ns,
        payload: turn.payload.clone(),
        client_seed: turn.client_seed.clone(),
        calls: turn.calls.iter().map(|(_, status, answer)| (*status, answer.clone())).collect(),
        verdict,
    }
}

/// Does something when the last of its handles is dropped.
pub struct WhenDropped(Option<Box<dyn FnOnce() + Send + Sync>>);

impl WhenDropped {
    /// Does this.
    pub fn new(deed: impl FnOnce() + Send + Sync + 'static) -> Arc<WhenDropped> {
        Arc::new(WhenDropped(Some(Box::new(deed))))
    }
}

impl Drop for WhenDropped {
    fn drop(&mut self) {
        if let Some(deed) = self.0.take() {
            deed();
        }
    }
}

/// Takes what a transcript consists of. Within one session the calls come in order; they come while a game's lock is held, so they must
/// be quick: hand over to a thread of your own, and bound what waits there.
pub trait TranscriptSink: Send + Sync {
    /// A session begins. Every other call about it comes later.
    fn open(&self, opening: &Opening<'_>);

    /// A session goes on that an earlier supervisor had begun: what is known of it. Comes instead of [`TranscriptSink::open`].
    fn resume(&self, opening: &Opening<'_>, known: Known) {
        let _ = (opening, known);
    }

    /// Drop `written` when all that came about the session so far would survive the supervisor: then the journal forgets it.
    fn checkpoint(&self, session: SessionId, written: Arc<WhenDropped>) {
        let _ = (session, written);
    }

    /// A turn's outcome is final.
    fn record(&self, session: SessionId, entry: &Entry);

    /// The session has ended at this time (nanoseconds since the Unix epoch), and its seed may be revealed, as [`Opening::reveal`] says. Nothing more comes about it.
    fn close(&self, session: SessionId, seed: &ServerSeed, reason: EndReason, closed_ns: u64);
}

/// Records nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoTranscripts;

impl TranscriptSink for NoTranscripts {
    fn open(&self, _: &Opening<'_>) {}
    fn record(&self, _: SessionId, _: &Entry) {}
    fn close(&self, _: SessionId, _: &ServerSeed, _: EndReason, _: u64) {}
}
