//! What was read from the disk, and what could not be: nothing is skipped in silence.

use std::collections::BTreeMap;
use std::fmt;

use croupier_core::durable::Change;
use croupier_core::ids::SessionId;

use super::format::{OpenRecord, ValueFlaw};

/// Everything that is on the disk.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Contents {
    /// By name.
    pub games: BTreeMap<String, GameOnDisk>,
    /// The requests that opened sessions, by session.
    pub opens: BTreeMap<SessionId, OpenRecord>,
    /// What could not be read.
    pub flaws: Vec<Flaw>,
    /// Entries that are there.
    pub found: u64,
    /// Entries that should be there: each transaction counts them.
    pub counted: u64,
}

/// One game's sessions.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GameOnDisk {
    /// The newest entry that was ever written.
    pub at: u64,
    /// The binary that played last.
    pub digest: [u8; 32],
    /// Its version.
    pub version: String,
    /// Its sessions, live, held and lately ended.
    pub sessions: BTreeMap<SessionId, SessionOnDisk>,
}

/// One session's entries.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SessionOnDisk {
    /// In order, with their numbers. Where one cannot be read, those before and behind it are here all the same.
    pub changes: Vec<(u64, Change)>,
    /// Bytes of all of them on the disk.
    pub bytes: u64,
    /// How many could not be read.
    pub unreadable: u64,
}

impl SessionOnDisk {
    /// Whether it has ended: what is left are its answers.
    pub fn has_ended(&self) -> bool {
        self.unreadable == 0 && matches!(self.changes.last(), Some((_, Change::Ended(_))))
    }
}

/// Whether a session was in memory alone until its supervisor ended as planned. It is again, once it is adopted.
pub fn was_parked(changes: &[(u64, Change)]) -> bool {
    changes.iter().any(|(_, change)| matches!(change, Change::Parked(_)))
}

/// Something that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// Where.
    pub place: Place,
    /// What is wrong with it.
    pub why: ValueFlaw,
}

/// A place in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// What is known of a game.
    Game {
        /// Its name.
        name: String,
    },
    /// An entry.
    Entry {
        /// The game's name; its number when the name is not known.
        game: String,
        /// The session.
        session: SessionId,
        /// The entry.
        at: u64,
    },
    /// The request that opened a session.
    Open {
        /// Which.
        session: SessionId,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Game { name } => write!(f, "the record of game {name}"),
            Place::Entry { game, session, at } => write!(f, "game {game}, session {session}, entry {at}"),
            Place::Open { session } => write!(f, "the request that opened session {session}"),
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.why)
    }
}
