//! How a record becomes a line, and how a line is checked. Pure.
//!
//! ```text
//!  {"seq":7,"at":"2026-11-21T01:03:49.000000001Z","prev":"<hash of record 6>","what":{…},"hash":"<hash>"}\n
//!  └───────────────────────────── body ───────────────────────────────────────────┘
//!  hash = SHA-256("croupier audit record 1\0" ‖ body)        record 1's prev = SHA-256("croupier audit log 1")
//! ```
//!
//! The hash covers the bytes as they stand, not what they mean: there is one way to write a line, and any other is an edit. It is not a signature:
//! whoever can write the file can recompute it from an edited record to the end. Only a head noted elsewhere tells then.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::record::Happened;

/// Longest line that is read, in bytes. Lines that are written are far shorter.
pub const LINE_BYTES_MAX: usize = 64 << 10;
/// What the first record is chained to is the hash of this.
const GENESIS: &[u8] = b"croupier audit log 1";
const DOMAIN: &[u8] = b"croupier audit record 1\0";
const BEFORE_HASH: &str = ",\"hash\":\"";
const AFTER_HASH: &str = "\"}";
const HASH_CHARS: usize = 64;
/// Bytes behind a line's body.
const SUFFIX_BYTES: usize = BEFORE_HASH.len() + HASH_CHARS + AFTER_HASH.len();

/// A record's SHA-256.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// What the first record is chained to.
    pub fn genesis() -> Hash {
        Hash(Sha256::digest(GENESIS).into())
    }

    /// From 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Hash> {
        hex::decode(text).ok()?.try_into().ok().map(Hash)
    }
}

impl std::fmt::Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

#[derive(Serialize)]
struct Written<'a> {
    seq: u64,
    at: &'a str,
    prev: String,
    what: &'a Happened,
}

/// A line's members. What happened is kept as it stands: a newer Croupier may have written kinds that this one does not know.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// 1, 2, 3 …
    pub seq: u64,
    /// When, UTC, as RFC 3339 with nine digits; later records may be earlier when the clock was set back.
    pub at: String,
    /// The hash of the record before.
    pub prev: String,
    /// One member: the kind, and what belongs to it.
    pub what: serde_json::Map<String, serde_json::Value>,
}

impl Line {
    /// The record, if this Croupier knows its kind.
    pub fn happened(&self) -> Option<Happened> {
        serde_json::from_value(serde_json::Value::Object(self.what.clone())).ok()
    }

    /// The kind's name.
    pub fn kind(&self) -> &str {
        self.what.keys().next().map_or("", String::as_str)
    }
}

/// A record as a line, with its line feed, and its hash.
pub fn write(seq: u64, at: &str, prev: Hash, what: &Happened) -> (Vec<u8>, Hash) {
    let written = Written { seq, at, prev: prev.to_string(), what };
    let mut line = serde_json::to_vec(&written).expect("no map with keys other than strings is in it");
    // The closing brace comes back behind the hash.
    line.pop();
    let hash = hash(&line);
    line.extend_from_slice(BEFORE_HASH.as_bytes());
    line.extend_from_slice(hash.to_string().as_bytes());
    line.extend_from_slice(AFTER_HASH.as_bytes());
    line.push(b'\n');
    (line, hash)
}

fn hash(body: &[u8]) -> Hash {
    Hash(Sha256::new().chain_update(DOMAIN).chain_update(body).finalize().into())
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LineProblem {
    /// It ends in the middle.
    #[error("it does not end with a line feed: the file was cut in the middle of a record")]
    Torn,
    /// It is no record.
    #[error("it is no record: {0}")]
    Malformed(String),
    /// Its bytes are not those that were hashed.
    #[error("it was edited: its bytes do not have the hash at its end")]
    Edited,
    /// Its number does not follow.
    #[error(
        "it is record {found}, and record {expected} should stand here: records were dropped, added or moved"
    )]
    Order {
        /// What should stand here.
        expected: u64,
        /// What stands here.
        found: u64,
    },
    /// It is chained to another record.
    #[error("it is not chained to the record before it: that one, or this one, was replaced")]
    Unchained,
}

/// Checks one line, with its line feed, without its neighbours.
///
/// # Errors
/// [`LineProblem`].
pub fn read(bytes: &[u8]) -> Result<(Line, Hash), LineProblem> {
    let malformed = |why: &str| LineProblem::Malformed(why.to_owned());
    let bytes = bytes.strip_suffix(b"\n").ok_or(LineProblem::Torn)?;
    let end = bytes.len().checked_sub(SUFFIX_BYTES).ok_or_else(|| malformed("it is too short"))?;
    let (body, suffix) = bytes.split_at(end);
    let written = suffix
        .strip_prefix(BEFORE_HASH.as_bytes())
        .and_then(|rest| rest.strip_suffix(AFTER_HASH.as_bytes()))
        .ok_or_else(|| malformed("no hash stands at its end"))?;
    let hash = hash(body);
    if written != hash.to_string().as_bytes() {
        return Err(LineProblem::Edited);
    }
    let whole = [body, b"}"].concat();
    let line: Line =
        serde_json::from_slice(&whole).map_err(|error| LineProblem::Malformed(error.to_string()))?;
    Ok((line, hash))
}

/// Checks that a line follows the record with number `seq - 1` and hash `prev`.
///
/// # Errors
/// [`LineProblem::Order`], [`LineProblem::Unchained`].
pub fn follows(line: &Line, seq: u64, prev: Hash) -> Result<(), LineProblem> {
    if line.seq != seq {
        return Err(LineProblem::Order { expected: seq, found: line.seq });
    }
    if line.prev != prev.to_string() {
        return Err(LineProblem::Unchained);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_a_log_is_these_bytes() {
        let (line, hash) =
            write(1, "2026-01-02T03:04:05.000000006Z", Hash::genesis(), &Happened::Stopped { given_up: 0 });
        let expected = concat!(
            r#"{"seq":1,"at":"2026-01-02T03:04:05.000000006Z","#,
            r#""prev":"PREV","#,
            r#""what":{"stopped":{"given_up":0}},"hash":"HASH"}"#,
            "\n"
        );
        let expected = expected
            .replace("PREV", &hex::encode(Sha256::digest(b"croupier audit log 1")))
            .replace("HASH", &hash.to_string());
        assert_eq!(String::from_utf8(line.clone()).unwrap(), expected);
        let (read, again) = read(&line).unwrap();
        assert_eq!((read.happened(), again), (Some(Happened::Stopped { given_up: 0 }), hash));
        assert!(follows(&read, 1, Hash::genesis()).is_ok());
    }
}
