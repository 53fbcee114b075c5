//! Whether a session's entries make a session: they begin with its opening, no turn is missing, and what was pruned stands in a snapshot. Pure.

use croupier_core::durable::{Change, Kept, Played};
use thiserror::Error;

use super::contents::SessionOnDisk;

/// A session as its entries tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folded {
    /// Where it is.
    pub state: State,
    /// The last turn on record.
    pub last_seq: u64,
    /// Turns on record.
    pub turns: u64,
    /// Snapshots.
    pub snapshots: u64,
}

/// Where a session is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Its open turn has no outcome: nobody was ever told of it.
    Opening,
    /// It goes on.
    Live,
    /// It is set aside.
    Held(String),
    /// What is left are its answers.
    Ended,
}

impl State {
    /// One word.
    pub fn word(&self) -> &'static str {
        match self {
            State::Opening => "opening",
            State::Live => "live",
            State::Held(_) => "held",
            State::Ended => "ended",
        }
    }
}

/// Why they make no session.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FoldError {
    /// Nothing can be read.
    #[error("none of its entries can be read")]
    Nothing,
    /// Some cannot be read.
    #[error("{count} of its entries cannot be read")]
    Unreadable {
        /// How many.
        count: u64,
    },
    /// The beginning is missing.
    #[error("it does not begin with its opening but with entry {at}")]
    NoOpening {
        /// The first entry that is there.
        at: u64,
    },
    /// It begins twice.
    #[error("entry {at} opens it again")]
    OpenedTwice {
        /// Which.
        at: u64,
    },
    /// A turn is missing.
    #[error("entry {at} is turn {found}, and turn {wanted} should follow")]
    Gap {
        /// The entry.
        at: u64,
        /// The turn that should be there.
        wanted: u64,
        /// The turn that is.
        found: u64,
    },
    /// A snapshot of turns that are not there.
    #[error("the snapshot of entry {at} is of turn {seq}, and the last turn before it is {last}")]
    Snapshot {
        /// The entry.
        at: u64,
        /// Its turn.
        seq: u64,
        /// The last turn.
        last: u64,
    },
    /// Something comes behind the end.
    #[error("entry {at} comes behind its end")]
    BehindEnd {
        /// Which.
        at: u64,
    },
}

/// Folds a session's entries.
///
/// # Errors
/// [`FoldError`].
pub fn fold(session: &SessionOnDisk) -> Result<Folded, FoldError> {
    if session.unreadable > 0 {
        return Err(match session.changes.is_empty() {
            true => FoldError::Nothing,
            false => FoldError::Unreadable { count: session.unreadable },
        });
    }
    let (first, rest) = session.changes.split_first().ok_or(FoldError::Nothing)?;
    let mut folding = Folding {
        folded: Folded { state: State::Opening, last_seq: 0, turns: 0, snapshots: 0 },
        known: false,
    };
    match first {
        (_, Change::Opened(_)) => {}
        (at, Change::Ended(_)) => folding.take(*at, &first.1)?,
        (at, _) => return Err(FoldError::NoOpening { at: *at }),
    }
    for (at, change) in rest {
        folding.take(*at, change)?;
    }
    Ok(folding.folded)
}

struct Folding {
    folded: Folded,
    /// The last turn is known; before that, a snapshot may stand for all that was pruned.
    known: bool,
}

impl Folding {
    fn take(&mut self, at: u64, change: &Change) -> Result<(), FoldError> {
        if self.folded.state == State::Ended {
            return Err(FoldError::BehindEnd { at });
        }
        match change {
            Change::Opened(_) => return Err(FoldError::OpenedTwice { at }),
            Change::Played(played) => self.played(at, played)?,
            Change::Snapshot(kept) => self.snapshot(at, kept)?,
            Change::Parked(parked) if self.known => {
                let (seq, last) = (parked.side.last_seq, self.folded.last_seq);
                return Err(FoldError::Snapshot { at, seq, last });
            }
            Change::Parked(parked) => {
                (self.folded.last_seq, self.known) = (parked.side.last_seq, true);
                self.folded.state = State::Live;
                self.folded.turns += parked.records.len() as u64;
                self.folded.snapshots += parked.snapshots.iter().flatten().count() as u64;
            }
            Change::Held { reason } => self.folded.state = State::Held(reason.clone()),
            Change::Ended(_) => self.folded.state = State::Ended,
            Change::Asking(_) | Change::SnapshotDropped | Change::Pruned { .. } => {}
        }
        Ok(())
    }

    fn played(&mut self, at: u64, played: &Played) -> Result<(), FoldError> {
        let (found, wanted) = (played.turn.seq, self.folded.last_seq + 1);
        if found != wanted {
            return Err(FoldError::Gap { at, wanted, found });
        }
        (self.folded.last_seq, self.known) = (found, true);
        self.folded.turns += 1;
        if self.folded.state == State::Opening {
            self.folded.state = State::Live;
        }
        Ok(())
    }

    fn snapshot(&mut self, at: u64, kept: &Kept) -> Result<(), FoldError> {
        let last = self.folded.last_seq;
        if !self.known {
            // All before it was pruned.
            (self.folded.last_seq, self.known) = (kept.side.last_seq, true);
            if self.folded.state == State::Opening {
                self.folded.state = State::Live;
            }
        } else if kept.seq > last || kept.side.last_seq != last {
            return Err(FoldError::Snapshot { at, seq: kept.seq, last });
        }
        self.folded.snapshots += 1;
        Ok(())
    }
}
