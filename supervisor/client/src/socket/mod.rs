//! Backends over a Unix socket. What both have in common is here: the handshake, the table of unanswered requests, and what a broken
//! connection means for each of them.
//!
//! ```text
//!   submit ──▶ table + frame ──▶ socket ──▶ reply ──▶ taken from the table, slot answered
//!                 │
//!                 └─ connection broken ──▶ made again ──▶ all that is in the table is sent again, in the old order, with the old keys
//! ```

pub(crate) mod blocking;
mod handshake;
mod table;
#[cfg(feature = "tokio")]
pub(crate) mod tokio;

use std::io;
use std::path::{Path, PathBuf};

use croupier_wire::codec::DecodeError;
use croupier_wire::door::{Code, Refusal};
use croupier_wire::frame::FrameError;

use crate::ClientError;

/// Why a connection cannot go on.
#[derive(Debug)]
pub(crate) enum Broken {
    /// It may be better next time: the other side went away, or is restarting.
    Away(String),
    /// It will be no better: one of the two sides does not speak the language.
    Nonsense(String),
    /// The supervisor's last words, and they are meant for us.
    Refused(Refusal),
}

impl Broken {
    fn eof() -> Broken {
        Broken::Away("the supervisor closed it".to_owned())
    }

    fn last_words(refusal: Refusal) -> Broken {
        match refusal.code {
            Code::ShuttingDown | Code::Busy => Broken::Away(refusal.to_string()),
            _ => Broken::Refused(refusal),
        }
    }

    /// The error for a request that is given up because of this.
    fn error(&self, path: &Path, attempts: u32) -> ClientError {
        match self {
            Broken::Away(why) => ClientError::Lost { path: path.to_owned(), attempts, why: why.clone() },
            Broken::Nonsense(what) => {
                ClientError::Protocol { what: format!("{} does not make sense: {what}", path.display()) }
            }
            Broken::Refused(refusal) => ClientError::Refused(refusal.clone()),
        }
    }

    /// The error for a first connection that did not come about.
    fn at_first(self, path: &Path) -> ClientError {
        match self {
            Broken::Away(why) => {
                ClientError::Connect { path: PathBuf::from(path), source: io::Error::other(why) }
            }
            other => other.error(path, 1),
        }
    }
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Broken {
        Broken::Away(error.to_string())
    }
}

impl From<FrameError> for Broken {
    fn from(error: FrameError) -> Broken {
        Broken::Nonsense(error.to_string())
    }
}

impl From<DecodeError> for Broken {
    fn from(error: DecodeError) -> Broken {
        Broken::Nonsense(error.to_string())
    }
}
