//! What a session writes down that must survive the supervisor, and what it comes back from.
//!
//! ```text
//!  Action::Journal(entry) ──▶ store ──fsync──▶ Event::Durable { at } ──▶ answers, outputs and records up to it are let out
//!                               └─after a death─▶ Event::Adopt { session, changes } ──▶ the session as of its last entry
//! ```
//!
//! The entries of one game are numbered without a gap; the store keeps them in that order, and may write many at once. A session is the changes
//! since it was opened: [`Change::Opened`], then everything from the entry on that the newest [`Change::Pruned`] names. These types are what
//! lies on the disk: a new field needs a new version of the store's format.

use serde::{Deserialize, Serialize};

use crate::action::EndReason;
use crate::ids::{Payload, SessionId};

/// How much of the machine a session survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Durability {
    /// Nothing: its plugin keeps no state. After a worker's death it begins again from its opening, with what was not answered; no turn is on record.
    None,
    /// Any death of a worker.
    #[default]
    Process,
    /// The supervisor's death and the loss of power as well: nothing is let out before the disk has it.
    Disk,
}

/// One change of one session, on its way to the disk.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// 1, 2, 3 … within the game.
    pub at: u64,
    /// Whose.
    pub session: SessionId,
    /// What.
    pub change: Change,
}

/// What changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Change {
    /// The session was opened; its open turn follows as [`Change::Played`].
    Opened(Box<Opened>),
    /// A turn has its outcome, is skipped, or is poison.
    Played(Box<Played>),
    /// A turn asks the platform, or its session is about to be held: from now on it keeps its number, time and seed, and so the names of its host
    /// calls, whatever dies.
    Asking(Box<Asking>),
    /// The plugin gave a snapshot.
    Snapshot(Box<Kept>),
    /// The newest snapshot is worth nothing: the one before counts again.
    SnapshotDropped,
    /// What was written before entry `from` is not needed any more, [`Change::Opened`] apart.
    Pruned {
        /// The oldest entry that is still needed.
        from: u64,
    },
    /// The session is set aside.
    Held {
        /// Why.
        reason: String,
    },
    /// The session is gone. What is left are its answers, so that a repeated last turn gets the same one after the supervisor's death too, and
    /// its secret, so that its transcript can be closed.
    Ended(Box<Ended>),
    /// A session that was in memory alone, whole: the supervisor is about to end as planned. Follows [`Change::Opened`] and what
    /// the session asks the platform.
    Parked(Box<Parked>),
}

/// How a session began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Opened {
    /// Nanoseconds since the Unix epoch.
    pub opened_ns: u64,
    /// Its secret: whoever can read this can foretell the game.
    pub seed: [u8; 32],
    /// Period of its ticks; 0 for none.
    pub tick_ns: u64,
    /// Idle time-out; 0 for never.
    pub idle_ns: u64,
    /// Most accepted turns that wait.
    pub queue_max: u32,
}

/// The client, its number, and the hash of what it asked.
pub type KeyOnRecord = (u64, u64, u64);

/// A turn and all that came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Played {
    /// The binary that played it.
    pub digest: [u8; 32],
    /// The session's ownership epoch then.
    pub epoch: u64,
    /// The turn.
    pub turn: Turn,
    /// The key that it came with.
    pub key: Option<KeyOnRecord>,
    /// What its caller is told.
    pub verdict: Verdict,
    /// What was let out, in order.
    pub outputs: Vec<Effect>,
}

/// What a turn was given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// Its number.
    pub seq: u64,
    /// `CROUPIER_TURN_*`.
    pub kind: u16,
    /// Who acted.
    pub player: u64,
    /// Its time.
    pub now_ns: u64,
    /// Its seed.
    pub seed: [u8; 32],
    /// Config, profile, reason or action.
    pub payload: Payload,
    /// A join's contribution to chance.
    pub client_seed: Payload,
    /// What the players had contributed when it was numbered.
    pub mix: [u8; 32],
    /// Host calls in order: the question's hash, the status, the answer.
    pub calls: Vec<(u64, i32, Payload)>,
}

/// What came of a turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Verdict {
    /// The plugin accepted it.
    Done {
        /// Its reply.
        reply: Payload,
        /// How often it was sent again.
        retries: u32,
        /// The outcome's hash.
        outcome: u64,
    },
    /// The plugin returned an error.
    Failed {
        /// The negative status.
        status: i32,
        /// The text.
        text: String,
        /// The outcome's hash.
        outcome: u64,
    },
    /// It killed two workers while alone, and is skipped for good.
    Poison,
    /// No turn: so many late ticks were left out.
    Skipped {
        /// How many.
        ticks: u64,
    },
}

/// A message or event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// To a player.
    Send {
        /// Whom.
        to: u64,
        /// What.
        message: Payload,
    },
    /// To whoever follows the topic.
    Emit {
        /// The topic.
        topic: String,
        /// What.
        event: Payload,
    },
}

/// A turn without an outcome that asks the platform. Nobody can say whether the question behind the answers that it has was performed: it is asked
/// again, under the same name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asking {
    /// The turn, with the answers that it has.
    pub turn: Turn,
    /// The key that it came with.
    pub key: Option<KeyOnRecord>,
}

/// A snapshot, and what the supervisor itself knew of the session then.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// The last turn in it.
    pub seq: u64,
    /// The plugin's bytes.
    pub bytes: Payload,
    /// Their version.
    pub state_version: u32,
    /// The binary that wrote them.
    pub digest: [u8; 32],
    /// The rest of the session.
    pub side: Side,
}

/// Everything about a session that is neither in the plugin's state nor in turns to come.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Side {
    /// The last turn on record, and its time.
    pub last_seq: u64,
    /// Its time.
    pub last_now_ns: u64,
    /// The ownership epoch.
    pub epoch: u64,
    /// What the players contributed to chance.
    pub mix: [u8; 32],
    /// Players, and the number of the join that brought them.
    pub seats: Vec<(u64, u64)>,
    /// Ticks played or left out.
    pub ticks: u64,
    /// Poison turns.
    pub poison: u32,
    /// Per client its answers: the key, its number, its time and what it was told.
    pub answers: Vec<Answer>,
    /// The number of the last output.
    pub last_output: u64,
    /// The outputs that are kept for followers: number of the turn, and what.
    pub outputs: Vec<(u64, Effect)>,
}

/// All that was in memory of a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parked {
    /// The binary that played it.
    pub digest: [u8; 32],
    /// The previous snapshot, and the newest one.
    pub snapshots: [Option<Shot>; 2],
    /// The turns since the previous one, or since the opening.
    pub records: Vec<OnRecord>,
    /// The rest of the session.
    pub side: Side,
}

/// A plugin's own bytes for the whole state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shot {
    /// The last turn in it.
    pub seq: u64,
    /// The bytes.
    pub bytes: Payload,
    /// Their version.
    pub state_version: u32,
    /// The binary that wrote them.
    pub digest: [u8; 32],
}

/// What is needed to play something again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OnRecord {
    /// The binary that played it.
    pub digest: [u8; 32],
    /// The session's ownership epoch then.
    pub epoch: u64,
    /// What it is.
    pub what: Recorded,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Recorded {
    /// A turn, and its outcome's hash.
    Turn(Turn, u64),
    /// A turn that was skipped as poison.
    Poison(Turn),
    /// A run of ticks without host calls.
    Ticks {
        /// The number of the first one.
        first_seq: u64,
        /// How many.
        count: u64,
        /// The time of the first one.
        first_now_ns: u64,
        /// The time between two.
        period_ns: u64,
        /// What the players had contributed to chance.
        mix: [u8; 32],
        /// The chained outcome hashes.
        outcome: u64,
    },
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

/// What is left of a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    /// Why it ended.
    pub reason: EndReason,
    /// Its secret.
    pub seed: [u8; 32],
    /// What its callers were told.
    pub answers: Vec<Answer>,
}

/// An answer that is remembered under its key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The key.
    pub key: KeyOnRecord,
    /// The turn.
    pub seq: u64,
    /// Its time.
    pub now_ns: u64,
    /// What its caller was told.
    pub verdict: Verdict,
}
