//! The transcript: a session's chain as a file of JSON lines.
//!
//! ```text
//!  {"header":{…},"hash":"h_0"}
//!  {"turn":{…},"hash":"h_1"}
//!  {"ticks":{…},"hash":"h_2"}
//!  …
//!  {"close":{"reason":…,"records":…,"turns":…,"final_hash":…,"reveal":…,"server_key":…},"signature":"…"}
//! ```
//!
//! There is exactly one way to write a line, so a reader can refuse any other: no byte of a transcript can change unnoticed.
//! The writer turns records into bytes to append and keeps nothing of them. Does no I/O; reading is [`crate::reader`].

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::canon::Canon;
use crate::chain::{Chain, Header};
use crate::entry::Entry;
use crate::keys::{ServerKey, ServerPublic};
use crate::line::{Line, render};
use crate::seal::AuditorPublic;
use crate::seed::ServerSeed;
use crate::text::hex_bytes;

/// What becomes of the server seed at close.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reveal {
    /// Everybody may know it.
    Public(ServerSeed),
    /// Only an auditor may.
    Sealed {
        /// By [`AuditorPublic::seal`].
        sealed: Vec<u8>,
        /// To whom.
        auditor: AuditorPublic,
    },
    /// Nobody may: the game hides information and there is no auditor.
    Withheld,
}

/// The last line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    /// Why the session ended: `closed`, `idle`, `unloaded`, `open-refused`, `dropped`.
    pub reason: String,
    /// Records in the transcript.
    pub records: u64,
    /// Turns in the transcript, each tick counted.
    pub turns: u64,
    /// The chain's last hash.
    pub final_hash: [u8; 32],
    /// What became of the seed.
    pub reveal: Reveal,
    /// The key that signed.
    pub server_key: ServerPublic,
}

impl Close {
    /// The bytes that are signed.
    pub fn message(&self) -> Vec<u8> {
        let canon = Canon::message(b"croupier/close/1")
            .bytes(self.reason.as_bytes())
            .u64(self.records)
            .u64(self.turns)
            .bare(&self.final_hash);
        match &self.reveal {
            Reveal::Public(seed) => canon.u8(0).bare(seed.expose()),
            Reveal::Sealed { sealed, auditor } => canon.u8(1).bytes(sealed).bare(&auditor.0),
            Reveal::Withheld => canon.u8(2),
        }
        .bare(&self.server_key.0)
        .into_bytes()
    }
}

/// Why a transcript was not finished.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FinishError {
    /// The key is not the one of the header.
    #[error(
        "the transcript names the server key {header} but was to be signed with {given}: sign with the key that the session opened with"
    )]
    OtherKey {
        /// As in the header.
        header: ServerPublic,
        /// As given.
        given: ServerPublic,
    },
}

/// Writes one session's transcript. Small, whatever the session's length, and serializable, so that a recording survives a hand-over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TranscriptWriter {
    chain: Chain,
    #[serde(with = "hex_bytes")]
    server_key: [u8; 32],
}

impl TranscriptWriter {
    /// Begins a transcript. The bytes are its first line.
    pub fn new(header: Header) -> (TranscriptWriter, Vec<u8>) {
        let chain = Chain::new(&header);
        let writer = TranscriptWriter { server_key: header.server_key, chain };
        let hash = header.hash();
        (writer, render(&Line::Header { header, hash }))
    }

    /// A writer that goes on behind these lines, which were written before: the first is the header.
    pub fn resume(lines: impl IntoIterator<Item = Line>) -> Option<TranscriptWriter> {
        let mut lines = lines.into_iter();
        let Some(Line::Header { header, hash }) = lines.next() else { return None };
        let mut chain = Chain::new(&header);
        if chain.hash() != hash {
            return None;
        }
        for line in lines {
            match line {
                Line::Record(linked) if chain.take(&linked) => {}
                _ => return None,
            }
        }
        Some(TranscriptWriter { chain, server_key: header.server_key })
    }

    /// Takes the next turn. The bytes are to be appended: none while a run of ticks grows.
    pub fn push(&mut self, entry: &Entry) -> Vec<u8> {
        self.chain.push(entry).into_iter().flat_map(|linked| render(&Line::Record(linked))).collect()
    }

    /// Ends a pending run of ticks; the bytes are to be appended. For a pause in which this state could be lost.
    pub fn flush(&mut self) -> Vec<u8> {
        self.chain.flush().map_or_else(Vec::new, |linked| render(&Line::Record(linked)))
    }

    /// The chain so far.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Ends the transcript; the bytes are to be appended. `reason` says why the session ended.
    pub fn finish(mut self, reason: &str, reveal: Reveal, key: &ServerKey) -> Result<Vec<u8>, FinishError> {
        let server_key = key.public();
        if server_key.0 != self.server_key {
            return Err(FinishError::OtherKey { header: ServerPublic(self.server_key), given: server_key });
        }
        let mut bytes = self.flush();
        let close = Close {
            reason: reason.to_owned(),
            records: self.chain.records(),
            turns: self.chain.turns(),
            final_hash: self.chain.hash(),
            reveal,
            server_key,
        };
        let signature = key.sign(&close.message());
        bytes.extend(render(&Line::Close { close, signature }));
        Ok(bytes)
    }
}
