//! One line of a transcript: what a turn was given and what it answered.

use std::sync::Arc;

/// One recorded turn. The core makes it when the turn's outcome is known; the transcript chains it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The turn's number.
    pub seq: u64,
    /// `CROUPIER_TURN_*`.
    pub kind: u16,
    /// Who acted; 0 is the house.
    pub player: u64,
    /// The turn's time, nanoseconds since the Unix epoch.
    pub now_ns: u64,
    /// Config, profile, reason or action.
    pub payload: Arc<[u8]>,
    /// A join's contribution to chance; otherwise empty.
    pub client_seed: Arc<[u8]>,
    /// Host-call answers in order: status and bytes.
    pub calls: Vec<(i32, Arc<[u8]>)>,
    /// What came of it.
    pub verdict: Verdict,
}

/// What came of a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The plugin accepted it.
    Done {
        /// Its reply.
        reply: Arc<[u8]>,
        /// Sends and emits in order.
        effects: Vec<Effect>,
    },
    /// The plugin returned an error.
    Failed {
        /// The negative status.
        status: i32,
        /// The text.
        text: String,
    },
    /// The turn killed its worker twice while alone in flight, and was skipped.
    Poison,
    /// Not a turn of the plugin: late ticks were skipped; `ticks` of them.
    Skipped {
        /// How many ticks were left out.
        ticks: u64,
    },
}

/// Something that a turn gave out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// To a player; `u64::MAX` is everybody.
    Send {
        /// The player.
        to: u64,
        /// The message.
        message: Arc<[u8]>,
    },
    /// To whoever follows the topic.
    Emit {
        /// The topic.
        topic: String,
        /// The event.
        event: Arc<[u8]>,
    },
}
