//! Opening sessions, playing their turns, and what comes out of them.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// What to do when a queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub enum WhenFull {
    /// Wait for room.
    #[default]
    Wait,
    /// Answer [`Code::Busy`](super::Code::Busy) at once.
    Refuse,
}

/// Opens a session.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Open {
    /// The client's number for this open, from 1; a repeated one gets the first one's answer.
    pub client_seq: u64,
    /// The plugin's name.
    pub plugin: String,
    /// The session's config, JSON; checked against the plugin's schema.
    pub config: Vec<u8>,
    /// How the session is run.
    pub options: OpenOptions,
}

/// How a session is run. `None` means: as the plugin's manifest or the supervisor's config says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OpenOptions {
    /// Period of ticks in milliseconds; 0 for none.
    pub tick_ms: Option<u32>,
    /// The session is closed after this many milliseconds without a turn from outside; 0 for never.
    pub idle_timeout_ms: Option<u64>,
    /// Most turns that wait for the worker at a time, from 1.
    pub queue_max: Option<u32>,
    /// Reveal the server seed publicly at close even if the game hides information.
    pub reveal_public: bool,
    /// What the session survives. Not in the bytes of an [`Open`]: it travels beside it, in [`super::Request::OpenDurable`].
    pub durability: Option<Durability>,
}

/// What a session survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Any death of a worker.
    Process,
    /// The supervisor's death and the loss of power as well.
    Disk,
    /// Nothing: the plugin keeps no state, and the session begins again from its opening when its worker dies.
    None,
}

/// One turn of a session.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Turn {
    /// The session's id.
    pub session: u64,
    /// The client's number for this turn in this session, from 1, at most 64 outstanding; a repeated one gets the first one's answer.
    pub client_seq: u64,
    /// What to do.
    pub input: Input,
    /// What to do when the session's queue is full.
    pub when_full: WhenFull,
    /// Give up waiting after this many milliseconds; 0 for never. A turn that has begun is finished all the same, and a repetition with the same
    /// key gets its answer.
    pub deadline_ms: u32,
}

/// What a turn does.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Input {
    /// A player takes a seat.
    Join {
        /// The player, from 1.
        player: u64,
        /// What the platform says of the player.
        profile: Vec<u8>,
        /// The player's contribution to the session's chance; up to 64 bytes, may be empty.
        client_seed: Vec<u8>,
    },
    /// A player leaves.
    Leave {
        /// The player.
        player: u64,
        /// Why, a short text.
        reason: Vec<u8>,
    },
    /// A player (0: the house) does something.
    Action {
        /// The player.
        player: u64,
        /// What, JSON or raw.
        payload: Vec<u8>,
    },
    /// An input of an open kind (6 and up), for plugins with the extension `croupier.input/1`.
    Other {
        /// `CROUPIER_TURN_*`, 6 or more.
        kind: u16,
        /// The player; 0 is the house.
        player: u64,
        /// What, JSON or raw.
        payload: Vec<u8>,
    },
    /// The session ends.
    Close,
}

/// A turn that succeeded.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Done {
    /// The turn's number.
    pub seq: u64,
    /// The turn's time, nanoseconds since the Unix epoch.
    pub now_ns: u64,
    /// The plugin's reply.
    pub reply: Vec<u8>,
    /// How often the turn was sent again because its worker died; 0 almost always.
    pub retries: u32,
}

/// One message or event that a session gave out.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Output {
    /// The session's id.
    pub session: u64,
    /// 1, 2, 3 … within the session.
    pub number: u64,
    /// The turn that gave it out.
    pub seq: u64,
    /// To whom.
    pub to: OutputTo,
    /// What.
    pub bytes: Vec<u8>,
}

/// To whom output goes.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum OutputTo {
    /// One player.
    Player(u64),
    /// Every player.
    All,
    /// Whoever follows the topic.
    Topic(String),
}
