//! What lies on the disk: tables, keys, and the bytes of each value.
//!
//! ```text
//!  value:  version u8 │ postcard │ xxh3-64 of (key, version, postcard), little-endian
//! ```
//!
//! The version stands outside the codec. The checksum covers the key: an entry that turns up under another's key is found out. A change of
//! [`croupier_core::durable`]'s types is a new version here, and the old one still reads.

use croupier_core::durable::{Change, Recorded};
use croupier_core::planted::{self, Bug};
use redb::TableDefinition;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use xxhash_rust::xxh3::Xxh3;

/// The version of the file's layout, in the table `meta` under `format`.
pub const FORMAT: u64 = 1;
/// The version of values.
pub const VALUE_VERSION: u8 = 1;
/// Version and checksum of a value, in bytes.
const FRAME_BYTES: usize = 1 + 8;

/// `format` → [`FORMAT`].
pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// A game's name → [`GameRecord`].
pub(super) const GAMES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("games");
/// Game, session, number of the entry → [`Change`].
pub(super) const ENTRIES: TableDefinition<'_, EntryKey, &[u8]> = TableDefinition::new("entries");
/// Session → [`OpenRecord`].
pub(super) const OPENS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("opens");

/// Game, session, `at`.
pub type EntryKey = (u32, u64, u64);

/// What is kept of a game beside its sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GameRecord {
    /// Its number in keys.
    pub id: u32,
    /// The newest entry that was ever written for it.
    pub at: u64,
    /// The binary that played last.
    pub digest: [u8; 32],
    /// Its version.
    pub version: String,
}

/// The request that opened a session, so that the same request finds it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenRecord {
    /// The plugin.
    pub plugin: String,
    /// Who asked.
    pub client: u64,
    /// Under which number.
    pub client_seq: u64,
    /// The hash of what was asked.
    pub body: u64,
    /// The seed goes to everybody at close although the game hides information.
    pub reveal_public: bool,
    /// What came of the open turn; none before it is on the disk.
    pub done: Option<OpenDone>,
}

/// What the caller of an open was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenDone {
    /// The open turn's number.
    pub seq: u64,
    /// Its time.
    pub now_ns: u64,
    /// Its reply.
    pub reply: Vec<u8>,
    /// How often it was sent again.
    pub retries: u32,
}

/// What is wrong with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ValueFlaw {
    /// Shorter than its frame.
    #[error("it is cut short")]
    Short,
    /// Of a later Croupier, or damaged.
    #[error("it is of version {0}, which this version of Croupier does not know")]
    Version(u8),
    /// Damaged.
    #[error("its checksum does not match its bytes")]
    Checksum,
    /// The checksum holds, the bytes make no sense.
    #[error("its bytes cannot be decoded")]
    Codec,
}

/// A key's bytes for the checksum.
pub(super) trait KeyBytes {
    fn hash_into(&self, hash: &mut Xxh3);
}

impl KeyBytes for EntryKey {
    fn hash_into(&self, hash: &mut Xxh3) {
        hash.update(b"entry");
        hash.update(&self.0.to_le_bytes());
        hash.update(&self.1.to_le_bytes());
        hash.update(&self.2.to_le_bytes());
    }
}

impl KeyBytes for &str {
    fn hash_into(&self, hash: &mut Xxh3) {
        hash.update(b"game");
        hash.update(self.as_bytes());
    }
}

impl KeyBytes for u64 {
    fn hash_into(&self, hash: &mut Xxh3) {
        hash.update(b"open");
        hash.update(&self.to_le_bytes());
    }
}

/// A value's bytes.
pub(super) fn seal<K: KeyBytes, T: Serialize>(key: &K, value: &T) -> Result<Vec<u8>, ValueFlaw> {
    let mut bytes =
        postcard::to_extend(value, vec![VALUE_VERSION]).map_err(|_: postcard::Error| ValueFlaw::Codec)?;
    let hash = checksum(key, &bytes);
    bytes.extend_from_slice(&hash.to_le_bytes());
    Ok(bytes)
}

/// An entry's bytes.
///
/// # Errors
/// [`ValueFlaw::Codec`], when it cannot be encoded.
pub fn seal_entry(key: EntryKey, change: &Change) -> Result<Vec<u8>, ValueFlaw> {
    seal(&key, change)
}

/// An entry from its bytes.
///
/// # Errors
/// What is wrong with them.
pub fn unseal_entry(key: EntryKey, bytes: &[u8]) -> Result<Change, ValueFlaw> {
    unseal(&key, bytes)
}

/// A value from its bytes.
pub(super) fn unseal<K: KeyBytes, T: DeserializeOwned>(key: &K, bytes: &[u8]) -> Result<T, ValueFlaw> {
    if bytes.len() < FRAME_BYTES {
        return Err(ValueFlaw::Short);
    }
    let (body, hash) = bytes.split_at(bytes.len() - 8);
    // The checksum first: a damaged version is damage, not the future.
    if hash != checksum(key, body).to_le_bytes() && !planted::is(Bug::TornTailAccepted) {
        return Err(ValueFlaw::Checksum);
    }
    match body[0] {
        VALUE_VERSION => {}
        other => return Err(ValueFlaw::Version(other)),
    }
    match postcard::take_from_bytes(&body[1..]) {
        Ok((value, [])) => Ok(value),
        Ok(_) | Err(_) => Err(ValueFlaw::Codec),
    }
}

fn checksum<K: KeyBytes>(key: &K, body: &[u8]) -> u64 {
    let mut hash = Xxh3::new();
    key.hash_into(&mut hash);
    hash.update(body);
    hash.digest()
}

/// Whether a value is [`Change::Opened`], without decoding it: postcard writes a variant's number first, and that one is the first.
pub(super) fn is_opened(value: &[u8]) -> bool {
    value.get(1) == Some(&0)
}

/// About how much memory a change holds while it waits, in bytes.
pub(super) fn weight(change: &Change) -> u64 {
    const BASE: usize = 256;
    let turn = |turn: &croupier_core::durable::Turn| {
        let calls: usize = turn.calls.iter().map(|(_, _, answer)| 64 + answer.len()).sum();
        turn.payload.len() + turn.client_seed.len() + calls
    };
    let extra = match change {
        Change::Played(played) => {
            turn(&played.turn) + verdict(&played.verdict) + played.outputs.iter().map(effect).sum::<usize>()
        }
        Change::Asking(asking) => turn(&asking.turn),
        Change::Snapshot(kept) => kept.bytes.len() + side(&kept.side),
        Change::Parked(parked) => {
            let records = parked.records.iter().map(|on| match &on.what {
                Recorded::Turn(of, _) | Recorded::Poison(of) => 128 + turn(of),
                Recorded::Ticks { .. } | Recorded::Skipped { .. } => 128,
            });
            let shots = parked.snapshots.iter().flatten().map(|shot| shot.bytes.len());
            side(&parked.side) + records.chain(shots).sum::<usize>()
        }
        Change::Held { reason } => reason.len(),
        Change::Ended(ended) => ended.answers.iter().map(|answer| 96 + verdict(&answer.verdict)).sum(),
        Change::Opened(_) | Change::SnapshotDropped | Change::Pruned { .. } => 0,
    };
    (BASE + extra) as u64
}

fn side(side: &croupier_core::durable::Side) -> usize {
    side.seats.len() * 16
        + side.answers.iter().map(|answer| 96 + verdict(&answer.verdict)).sum::<usize>()
        + side.outputs.iter().map(|(_, output)| effect(output)).sum::<usize>()
}

fn verdict(verdict: &croupier_core::durable::Verdict) -> usize {
    use croupier_core::durable::Verdict;
    match verdict {
        Verdict::Done { reply, .. } => reply.len(),
        Verdict::Failed { text, .. } => text.len(),
        Verdict::Poison | Verdict::Skipped { .. } => 0,
    }
}

fn effect(effect: &croupier_core::durable::Effect) -> usize {
    use croupier_core::durable::Effect;
    match effect {
        Effect::Send { message, .. } => 64 + message.len(),
        Effect::Emit { topic, event } => 64 + topic.len() + event.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_believed_only_whole_and_under_its_own_key() {
        let key: EntryKey = (1, 2, 3);
        let change = Change::Held { reason: "why".into() };
        let bytes = seal(&key, &change).unwrap();
        assert_eq!(unseal::<_, Change>(&key, &bytes), Ok(change));
        assert_eq!(unseal::<_, Change>(&(1, 2, 4), &bytes), Err(ValueFlaw::Checksum));
        assert_eq!(unseal::<_, Change>(&key, &bytes[..8]), Err(ValueFlaw::Short));
        for bit in 0..bytes.len() * 8 {
            let mut other = bytes.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(unseal::<_, Change>(&key, &other), Err(ValueFlaw::Checksum), "bit {bit}");
        }
        for end in 0..bytes.len() {
            assert!(unseal::<_, Change>(&key, &bytes[..end]).is_err(), "{end} bytes");
        }
    }

    #[test]
    fn an_opening_is_told_by_its_second_byte() {
        let opened = croupier_core::durable::Opened {
            opened_ns: 1,
            seed: [2; 32],
            tick_ns: 0,
            idle_ns: 0,
            queue_max: 4,
        };
        let key: EntryKey = (1, 2, 3);
        assert!(is_opened(&seal(&key, &Change::Opened(Box::new(opened))).unwrap()));
        for other in [Change::SnapshotDropped, Change::Pruned { from: 0 }] {
            assert!(!is_opened(&seal(&key, &other).unwrap()));
        }
    }
}
