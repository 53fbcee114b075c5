//! The outcome hash: what a turn answered, in eight bytes.
//!
//! A replayed turn must reach the same outcome as its first run. The hash is xxh3-64: fast, and good against accidents.
//! It is no evidence against an adversary; transcripts use SHA-256 for that.

use xxhash_rust::xxh3::Xxh3;

use crate::link::Effect;

/// Hashes a turn's status, reply (or error text, when `status` is negative) and effects, with lengths, so that no two different
/// outcomes share their input bytes.
pub fn outcome_hash(status: i32, reply: &[u8], error: &str, effects: &[Effect<'_>]) -> u64 {
    let mut hash = Pieces::new();
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
    let mut hash = Pieces::new();
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

fn part(hash: &mut Pieces, bytes: &[u8]) {
    hash.update(&(bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}

/// Longest input that xxh3 hashes without setting up its state for streams, in bytes.
const SHORT_BYTES: usize = 240;

/// Bytes that come in pieces. A short input is gathered and hashed at once: the hash is the same, without half a kilobyte of state that is set up first.
struct Pieces {
    short: [u8; SHORT_BYTES],
    len: usize,
    long: Option<Xxh3>,
}

impl Pieces {
    fn new() -> Pieces {
        Pieces { short: [0; SHORT_BYTES], len: 0, long: None }
    }

    fn update(&mut self, bytes: &[u8]) {
        if let Some(long) = &mut self.long {
            return long.update(bytes);
        }
        let end = self.len + bytes.len();
        if let Some(room) = self.short.get_mut(self.len..end) {
            room.copy_from_slice(bytes);
            self.len = end;
            return;
        }
        let mut long = Xxh3::new();
        long.update(&self.short[..self.len]);
        long.update(bytes);
        self.long = Some(long);
    }

    fn digest(&self) -> u64 {
        match &self.long {
            Some(long) => long.digest(),
            None => xxhash_rust::xxh3::xxh3_64(&self.short[..self.len]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_inputs_hash_as_a_stream_does() {
        let bytes: Vec<u8> = (0..1000_u32).map(|n| (n * 7 % 251) as u8).collect();
        for len in [0, 1, 3, 8, 9, 16, 17, 64, 128, 129, 200, 239, 240, 241, 512, 1000] {
            for piece in [1, 7, 64, 240, 241, 1000] {
                let (mut pieces, mut stream) = (Pieces::new(), Xxh3::new());
                for part in bytes[..len].chunks(piece) {
                    pieces.update(part);
                    stream.update(part);
                }
                assert_eq!(pieces.digest(), stream.digest(), "{len} bytes in pieces of {piece}");
            }
        }
    }
}
