//! Why a game says no. One variant per reason that a caller can tell apart; the driver adds plugin and session.

use thiserror::Error;

use crate::ids::{PlayerId, SessionId};
use crate::lifecycle::{State, Step};

/// A no, with what to do next in the text where there is something to do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The life-cycle does not allow this step now.
    #[error("cannot {step} a plugin that is {state}")]
    WrongState {
        /// What was asked.
        step: Step,
        /// Where the plugin is.
        state: State,
    },
    /// Still has sessions.
    #[error("{live} live and {held} held sessions are in the way: close, export or drop them first")]
    HasSessions {
        /// Live sessions.
        live: usize,
        /// Held sessions.
        held: usize,
    },
    /// The first worker did not come up.
    #[error("the plugin did not start: {0}")]
    Start(String),
    /// Workers do not come up any more.
    #[error(
        "the plugin is down: {reason}; mend it, then restart or release the plugin and repeat the request with the same key"
    )]
    Down {
        /// Why.
        reason: String,
    },
    /// Too many of the last turns failed.
    #[error("the plugin is given a rest, because too many of its last turns failed; try again in {} ms", rest_ns.div_ceil(1_000_000))]
    Resting {
        /// How long yet, in nanoseconds.
        rest_ns: u64,
    },
    /// Nothing to release.
    #[error("the plugin is neither quarantined nor resting")]
    NotDown,
    /// No such session.
    #[error("no session {0}")]
    UnknownSession(SessionId),
    /// The session has ended.
    #[error("session {0} has ended")]
    SessionClosed(SessionId),
    /// The session is set aside.
    #[error("session {session} is held: {reason}; an operator can export or drop it")]
    Held {
        /// Which.
        session: SessionId,
        /// Why.
        reason: String,
    },
    /// The session is not held.
    #[error("session {0} is not held")]
    NotHeld(SessionId),
    /// Too many sessions.
    #[error("the plugin has its maximum of {max} sessions")]
    TooManySessions {
        /// The maximum.
        max: usize,
    },
    /// The player has not joined.
    #[error("player {player} has not joined session {session}")]
    UnknownPlayer {
        /// Who.
        player: PlayerId,
        /// Where.
        session: SessionId,
    },
    /// This number cannot be a player.
    #[error("{player} cannot join: players are numbered from 1, and {max} is reserved", max = PlayerId::ALL)]
    NotAPlayer {
        /// The number.
        player: PlayerId,
    },
    /// Already there.
    #[error("player {player} has already joined session {session}")]
    AlreadyJoined {
        /// Who.
        player: PlayerId,
        /// Where.
        session: SessionId,
    },
    /// No seat.
    #[error("session {session} has its maximum of {max} players")]
    TableFull {
        /// Where.
        session: SessionId,
        /// The maximum.
        max: u32,
    },
    /// Not a kind that callers can send.
    #[error("turns of kind {kind} cannot be sent from outside")]
    KindNotAllowed {
        /// The kind.
        kind: u16,
    },
    /// A contribution to chance is too long.
    #[error("a client seed of {len} bytes is over the limit of {max} bytes")]
    ClientSeedTooLong {
        /// Its length.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// What it would come to could not be written down.
    #[error("there is no room to write the turn down; it was not played; repeat it with the same key")]
    NoRoom,
    /// Queue full.
    #[error("session {session} has its maximum of {max} turns waiting; try again, or ask to wait")]
    Busy {
        /// Where.
        session: SessionId,
        /// The maximum.
        max: u32,
    },
    /// The caller's deadline passed. With `seq`, the turn goes on, and the same key gets its answer later.
    #[error("the deadline passed{}", if seq.is_some() { " while the turn was in flight; repeat with the same key to get its answer" } else { " before the turn began; it was not played" })]
    Deadline {
        /// The turn, if it had a number.
        seq: Option<u64>,
    },
    /// Same key, other body.
    #[error("key {client_seq} was already used for another request in session {session}")]
    KeyReused {
        /// Where.
        session: SessionId,
        /// The client's number.
        client_seq: u64,
    },
    /// Older than the window.
    #[error("key {client_seq} is older than the {window} that session {session} remembers")]
    KeyExpired {
        /// Where.
        session: SessionId,
        /// The client's number.
        client_seq: u64,
        /// How many are remembered.
        window: u64,
    },
    /// Too many clients.
    #[error("session {session} remembers its maximum of {max} clients")]
    TooManyClients {
        /// Where.
        session: SessionId,
        /// The maximum.
        max: usize,
    },
    /// The plugin answered with an error; the turn is recorded.
    #[error("{text}")]
    Plugin {
        /// The turn.
        seq: u64,
        /// The negative status.
        status: i32,
        /// What it said.
        text: String,
    },
    /// Skipped for killing workers.
    #[error("turn {seq} killed its worker twice while alone in flight; it is skipped as poison")]
    Poison {
        /// The turn.
        seq: u64,
    },
}
