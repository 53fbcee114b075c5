//! Everything that can be wrong with a transcript, each with what it means.

use thiserror::Error;

use crate::chain::{FORMAT_VERSION, TICK_RUN_MAX};
use crate::keys::ServerPublic;
use crate::reader::ReadError;
use crate::report::Part;
use crate::seal::{AuditorPublic, SealError};
use crate::seed::CLIENT_SEED_BYTES_MAX;

/// What is wrong with a line, or with the whole.
#[derive(Debug, Error)]
pub enum Problem {
    /// The line cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// There is no line at all.
    #[error("the file is empty: a transcript begins with a header")]
    Empty,
    /// The first line is another one.
    #[error("the first line is not a header: lines before this one were removed")]
    NoHeader,
    /// A header within.
    #[error("a second header: two transcripts were joined, or a line was copied")]
    SecondHeader,
    /// Written by another version.
    #[error(
        "the transcript has format {found}, this program reads format {FORMAT_VERSION}: use the program of the server's version"
    )]
    Format {
        /// As in the header.
        found: u32,
    },
    /// `h_0` is wrong.
    #[error("the header's hash is not that of the header: the header was changed after it was written")]
    HeaderHash,
    /// Another server.
    #[error(
        "the header names the server key {found}, but {expected} was expected: this is another server's transcript, or a forged one"
    )]
    UnexpectedServerKey {
        /// As in the header.
        found: ServerPublic,
        /// As the caller said.
        expected: ServerPublic,
    },
    /// Another commitment than the published one.
    #[error(
        "the header's commitment is {found}, but {expected} was published when the session opened: the server exchanged its seed, or this is another session"
    )]
    UnexpectedCommit {
        /// As in the header, hexadecimal.
        found: String,
        /// As the caller said, hexadecimal.
        expected: String,
    },
    /// `h_i` is wrong.
    #[error(
        "the running hash does not follow from the line before: this line was changed, or a line before it was added, removed or moved"
    )]
    Chain,
    /// A number is missing or double.
    #[error("turn {found} stands where turn {expected} is due: a line was removed, copied or moved")]
    OutOfOrder {
        /// The number due.
        expected: u64,
        /// The number found.
        found: u64,
    },
    /// Something precedes the open turn.
    #[error("turn 1 is not the session's open turn")]
    FirstNotOpen,
    /// A second open turn.
    #[error("a second open turn: a session opens once")]
    SecondOpen,
    /// Something follows the last turn.
    #[error("a turn after the session's end (a refused open, or a close)")]
    AfterEnd,
    /// A run's bounds.
    #[error("a run of {count} ticks: a run has 1 to {TICK_RUN_MAX}")]
    RunLength {
        /// As found.
        count: u64,
    },
    /// A run of another rate.
    #[error("a run of ticks every {found} ns in a session that ticks every {expected} ns (0: never)")]
    RunPeriod {
        /// As found.
        found: u64,
        /// As in the header.
        expected: u64,
    },
    /// Numbers past 64 bits.
    #[error("a number or time of this line does not fit into 64 bits")]
    Overflow,
    /// Time runs backwards.
    #[error(
        "the turn's time {found} is before {previous}, that of the turn before (or the session's opening)"
    )]
    TimeBackwards {
        /// Of this turn, nanoseconds.
        found: u64,
        /// Of the turn before, nanoseconds.
        previous: u64,
    },
    /// A contribution in another turn.
    #[error("a contribution to chance in a turn that is no join: only a join may carry one")]
    ClientSeedOutsideJoin,
    /// A contribution too long.
    #[error("a contribution to chance of {bytes} bytes: the longest is {CLIENT_SEED_BYTES_MAX}")]
    ClientSeedTooLong {
        /// As found.
        bytes: usize,
    },
    /// The end is missing.
    #[error(
        "the transcript ends here without its closing line: the session still runs, or lines were removed at the end"
    )]
    NoClose,
    /// Lines after the end.
    #[error("a line after the closing line: something was appended")]
    AfterClose,
    /// The closing line counts otherwise.
    #[error(
        "the closing line counts {stated} {what}, the transcript has {found}: lines were added or removed"
    )]
    Count {
        /// Turns or records.
        what: &'static str,
        /// As the closing line says.
        stated: u64,
        /// As counted.
        found: u64,
    },
    /// The closing line ends another chain.
    #[error(
        "the closing line's final hash is not the chain's: it belongs to another transcript, or was changed"
    )]
    FinalHash,
    /// Signed by somebody else.
    #[error(
        "the closing line is signed with {found}, the header names {header}: somebody else closed this transcript"
    )]
    OtherKey {
        /// As in the closing line.
        found: ServerPublic,
        /// As in the header.
        header: ServerPublic,
    },
    /// The signature is wrong.
    #[error(
        "the signature is not the server's over this closing line: the line was changed, or the server did not sign it"
    )]
    Signature,
    /// The seed is another one than committed to.
    #[error(
        "the revealed seed is not the one committed to: SHA-256 of it gives {found}, the commitment is {commit}; the server cheated or made up the reveal"
    )]
    Commit {
        /// Hexadecimal.
        found: String,
        /// Hexadecimal.
        commit: String,
    },
    /// Sealed to another auditor than the one asking.
    #[error(
        "the seed is sealed to the auditor {sealed_to}, the secret given is that of {given}: use that auditor's secret"
    )]
    OtherAuditor {
        /// As in the closing line.
        sealed_to: AuditorPublic,
        /// Of the secret given.
        given: AuditorPublic,
    },
    /// The seal does not open.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The second reading found something else than the first.
    #[error("the file changed while it was being verified: verify a copy that nobody writes to")]
    Changed,
}

impl Problem {
    /// The check that this fails.
    pub fn part(&self) -> Part {
        match self {
            Problem::Read(_)
            | Problem::Empty
            | Problem::NoHeader
            | Problem::SecondHeader
            | Problem::Format { .. } => Part::Form,
            Problem::HeaderHash | Problem::Chain | Problem::Changed => Part::Chain,
            Problem::UnexpectedServerKey { .. } => Part::ServerKey,
            Problem::UnexpectedCommit { .. } => Part::PublishedCommit,
            Problem::OutOfOrder { .. }
            | Problem::FirstNotOpen
            | Problem::SecondOpen
            | Problem::AfterEnd
            | Problem::RunLength { .. }
            | Problem::RunPeriod { .. }
            | Problem::Overflow => Part::Order,
            Problem::TimeBackwards { .. } => Part::Time,
            Problem::ClientSeedOutsideJoin | Problem::ClientSeedTooLong { .. } => Part::ClientSeeds,
            Problem::NoClose | Problem::AfterClose | Problem::Count { .. } | Problem::FinalHash => {
                Part::Close
            }
            Problem::OtherKey { .. } | Problem::Signature => Part::Signature,
            Problem::Commit { .. } | Problem::OtherAuditor { .. } | Problem::Seal(_) => Part::RevealedSeed,
        }
    }
}
