//! What can go wrong for a caller: the supervisor says no, or it cannot be spoken with.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use croupier_wire::door::{Code, Refusal};
use thiserror::Error;

/// Why a call did not give what was asked for.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The supervisor says no, and why.
    #[error("{0}")]
    Refused(Refusal),

    /// There is nobody at the socket.
    #[error("cannot connect to {path}: {source}; {}", connect_advice(.source))]
    Connect {
        /// The socket's path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// The connection broke and could not be made again in time. What was asked may have been done.
    #[error(
        "the connection to {path} was lost ({why}) and {attempts} attempts to make it again failed; \
         what was asked may have been done: repeat it with the same key once the supervisor is back"
    )]
    Lost {
        /// The socket's path.
        path: PathBuf,
        /// How often it was tried.
        attempts: u32,
        /// What happened first.
        why: String,
    },

    /// The connection broke while an operator's verb was under way that may not be sent twice.
    #[error(
        "the connection to {path} was lost before `{verb}` was answered; \
         it may have been carried out: look with `croupier plugins` or `croupier sessions` before repeating it"
    )]
    Uncertain {
        /// The socket's path.
        path: PathBuf,
        /// The verb.
        verb: &'static str,
    },

    /// The other side does not speak the door's language.
    #[error("{what}; is this a Croupier socket, and are both sides of the same version?")]
    Protocol {
        /// What was wrong.
        what: String,
    },

    /// The request does not fit a frame. Nothing was sent.
    #[error(
        "the request does not fit a frame of {max} bytes, the supervisor's limit; send less. Nothing was sent"
    )]
    TooBig {
        /// The limit, in bytes.
        max: u32,
    },

    /// The caller's own patience ended. The turn goes on.
    #[error(
        "no answer within {after:?}; the turn may still be played: repeat it with the same key to get its answer"
    )]
    Timeout {
        /// How long was waited.
        after: Duration,
    },

    /// The embedded supervisor, or the task that served the connection, is gone.
    #[error("the supervisor went away without an answer; start it again and repeat the request")]
    Gone,

    /// The answer is of a kind that does not belong to the question.
    #[error("the supervisor answered {found} to {asked}; are both sides of the same version?")]
    WrongReply {
        /// What was asked.
        asked: &'static str,
        /// What came.
        found: &'static str,
    },
}

impl ClientError {
    /// The refusal, when the supervisor said no.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            ClientError::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// The refusal's code, when the supervisor said no.
    pub fn code(&self) -> Option<Code> {
        self.refusal().map(|refusal| refusal.code)
    }
}

fn connect_advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::NotFound => "no socket is there: start the supervisor, or name its socket",
        io::ErrorKind::ConnectionRefused => "nobody listens there any more: start the supervisor",
        io::ErrorKind::PermissionDenied => {
            "you may not use this socket: ask for access, or run as the supervisor's user"
        }
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
            "somebody listens but does not answer: look at the supervisor's log"
        }
        _ => "check the path and that the supervisor runs",
    }
}
