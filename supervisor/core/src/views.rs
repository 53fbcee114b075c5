//! What can be seen of a game from outside, as plain values.

use crate::action::CallRecord;
use crate::ids::{ClientId, Payload, PlayerId, SessionId, WorkerId};
use crate::lifecycle::State;
use crate::policy::health::Health;

/// A game at a glance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GameView {
    /// Where it is in its life-cycle.
    pub state: State,
    /// Why it does not run, if so.
    pub down: Option<String>,
    /// How it fares, and why.
    pub health: (Health, String),
    /// The breaker: `closed`, `open`, `half-open`.
    pub breaker: &'static str,
    /// Live sessions.
    pub live: usize,
    /// Held sessions.
    pub held: usize,
    /// Counts since load.
    pub counts: Counts,
    /// Workers that serve, and how many are wanted.
    pub replicas: (usize, usize),
    /// Standbys that are warm, and how many are wanted.
    pub standbys: (usize, usize),
    /// Its workers.
    pub workers: Vec<WorkerView>,
}

/// Counts since load.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Turns whose outcome is final.
    pub turns: u64,
    /// Workers lost, not counting those that we ended.
    pub workers_lost: u64,
    /// Of these, with a turn unanswered.
    pub workers_lost_mid_turn: u64,
    /// Turns sent again.
    pub retries: u64,
    /// Poison turns.
    pub poison: u64,
    /// Sessions that went from one worker to another while both lived.
    pub moved: u64,
}

/// How much a game holds in memory: counts, and about how many bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Holds {
    /// Sessions, live and held.
    pub sessions: usize,
    /// Turns without a number.
    pub queued: usize,
    /// Turns with a number and no outcome.
    pub flights: usize,
    /// Turns, and runs of ticks, that would be replayed.
    pub records: usize,
    /// Outputs for followers that come back.
    pub outputs: usize,
    /// Answers for callers that ask again.
    pub answers: usize,
    /// Clients that those are remembered of.
    pub clients: usize,
    /// Callers that wait.
    pub waiting: usize,
    /// Players at tables.
    pub seats: usize,
    /// Sessions that have ended, of which the answers are remembered.
    pub ended: usize,
    /// Workers.
    pub workers: usize,
    /// Calls that they have not answered.
    pub calls: usize,
    /// Alarms.
    pub alarms: usize,
    /// Actions that wait for the disk.
    pub kept_back: usize,
    /// Sessions on lists of what is to be moved on next.
    pub listed: usize,
    /// About how many bytes sessions, and what is remembered of those that have ended, take.
    pub bytes: usize,
}

/// A worker at a glance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerView {
    /// Its id.
    pub worker: WorkerId,
    /// `starting`, `serving`, `standby`, `probing`, `retiring`.
    pub state: &'static str,
    /// Sessions that it holds.
    pub sessions: usize,
    /// Turns that it has answered.
    pub turns: u64,
    /// Calls in flight.
    pub in_flight: usize,
    /// When it was asked for, monotonic.
    pub spawned_mono_ns: u64,
}

/// A session at a glance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionView {
    /// Its id.
    pub session: SessionId,
    /// `opening`, `live`, `restoring`, `closing`, `held`.
    pub state: &'static str,
    /// Why it is held, if so.
    pub held: Option<String>,
    /// How often it was placed in a worker.
    pub epoch: u64,
    /// The commitment to its seed.
    pub commit: [u8; 32],
    /// Who sits at the table.
    pub players: Vec<PlayerId>,
    /// Its last numbered turn.
    pub seq: u64,
    /// Turns waiting or in flight.
    pub pending: usize,
    /// When it was opened, nanoseconds since the Unix epoch.
    pub opened_ns: u64,
    /// The turn of the newest snapshot; 0 without one.
    pub snapshot_seq: u64,
    /// Bytes of the newest snapshot.
    pub snapshot_bytes: usize,
    /// Records in the journal.
    pub records: usize,
    /// It is in memory alone, and a planned stop parks it: it has been opened, and its plugin keeps a state.
    pub is_parkable: bool,
    /// Nothing is kept of it: a planned stop closes it.
    pub is_stateless: bool,
    /// Number of the newest output.
    pub outputs: u64,
    /// Period of ticks; 0 for none.
    pub tick_ns: u64,
    /// Poison turns.
    pub poison: u32,
}

/// A whole session for a file: enough to restore it elsewhere. Never holds the server seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// What it looks like.
    pub view: SessionView,
    /// The binary that plays it.
    pub digest: [u8; 32],
    /// The version of the snapshot.
    pub state_version: u32,
    /// The turn of the snapshot, and the snapshot; none when it is replayed from its open turn.
    pub snapshot: Option<(u64, Payload)>,
    /// Turns since, in order, runs of ticks spelled out in count.
    pub records: Vec<ExportRecord>,
    /// Turns with a number but without an outcome yet.
    pub unanswered: Vec<ExportRecord>,
    /// Clients and the newest number that each used.
    pub clients: Vec<(ClientId, u64)>,
}

/// One turn (or run of ticks) of an [`Export`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportRecord {
    /// Its number, or the first one's.
    pub seq: u64,
    /// 1, or the number of ticks.
    pub count: u64,
    /// `turn`, `ticks`, `poison`, `skipped`, `unanswered`.
    pub what: &'static str,
    /// `CROUPIER_TURN_*`.
    pub kind: u16,
    /// Who acted.
    pub player: PlayerId,
    /// Its time, or the first one's.
    pub now_ns: u64,
    /// What it was given.
    pub payload: Payload,
    /// Host-call answers on record.
    pub calls: Vec<CallRecord>,
    /// The outcome hash, or the chained one; 0 without one.
    pub outcome: u64,
}

/// What a worker was at: for a report of its death.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scene {
    /// Calls that it has not answered, the oldest first: it answers in order, so that is the one that it was at.
    pub calls: Vec<CallView>,
    /// What it takes to run into the oldest call again; none when that is about no session.
    pub case: Option<Case>,
}

/// A call that a worker has not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallView {
    /// `turn`, `replay`, `restore`, `try-snapshot`, `init`, `suspend`, `resume`, `shutdown`, `drop`.
    pub what: &'static str,
    /// The session; none when it is about none.
    pub session: Option<SessionId>,
    /// The turn, or the one after which a snapshot was taken.
    pub seq: Option<u64>,
}

/// A session up to the call that its worker died over. **Holds turn seeds**, which are secrets as long as the session lives; never the server seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// The session.
    pub session: SessionId,
    /// The turn of the snapshot, and the snapshot; none when it begins with its open turn.
    pub snapshot: Option<(u64, Payload)>,
    /// Turns since, in order, each tick by itself, without those that were skipped; the last one is the one it died over, unless that was the restore.
    pub turns: Vec<CaseTurn>,
}

/// One turn of a [`Case`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseTurn {
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
    /// Host-call answers on record.
    pub calls: Vec<CallRecord>,
    /// Its outcome hash; none for ticks, which are chained, and for a turn without an outcome.
    pub outcome: Option<u64>,
}
