//! The outcome hash: what a turn answered, in eight bytes.
//!
//! A replayed turn must reach the same outcome as its first run. The hash is xxh3-64: fast, and good against accidents.
//! It is no evidence against an adversary; transcripts use SHA-256 for that.

use xxhash_rust::xxh3::Xxh3;

use crate::link::Effect;

/// Hashes a turn's status, reply (or error text, when `status` is negative) and effects, with lengths, so that no two different
/// outcomes share their input bytes.
pub fn outcome_hash(status: i32, reply: &[u8], error: &str, effects: &[Effect<'_>]) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(&status.to_le_bytes());
    part(&mut hash, reply);
    part(&mut hash, error.as_bytes());
    for effect in effects {
        match effect {
            Effect::Send { to, message } => {
                hash.update(&[0]);
                hash.update(&to.to_le_bytes());
                part(&mut hash, message);
            }
            Effect::Emit { topic, event } => {
                hash.update(&[1]);
                part(&mut hash, topic.as_bytes());
                part(&mut hash, event);
            }
        }
    }
    hash.digest()
}

/// Hashes a host call's name and arguments.
pub fn call_hash(name: &str, args: &[u8]) -> u64 {
    let mut hash = Xxh3::new();
    part(&mut hash, name.as_bytes());
    part(&mut hash, args);
    hash.digest()
}

/// Chains the outcomes of a run of ticks into one hash.
pub fn chain(previous: u64, outcome: u64) -> u64 {
    let mut bytes = [0u8; 16];
    bytes[..8].copy_from_slice(&previous.to_le_bytes());
    bytes[8..].copy_from_slice(&outcome.to_le_bytes());
    xxhash_rust::xxh3::xxh3_64(&bytes)
}

fn part(hash: &mut Xxh3, bytes: &[u8]) {
    hash.update(&(bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}
