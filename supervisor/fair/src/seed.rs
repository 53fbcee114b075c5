//! The server seed, its commitment, the mix of the players' seeds, and the seed of a turn. All numbers are little-endian.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// Longest contribution of one player, in bytes.
pub const CLIENT_SEED_BYTES_MAX: usize = 64;

/// A session's secret. Never printed: `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerSeed([u8; 32]);

impl std::fmt::Debug for ServerSeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServerSeed(hidden)")
    }
}

impl ServerSeed {
    /// From 32 bytes of the operating system's randomness.
    pub fn from_bytes(bytes: [u8; 32]) -> ServerSeed {
        ServerSeed(bytes)
    }

    /// The secret itself: for the reveal at close, and for nothing else.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// The commitment that is published when the session opens.
    pub fn commit(&self, session: u64) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(b"croupier/commit/1");
        hash.update(session.to_le_bytes());
        hash.update(self.0);
        hash.finalize().into()
    }
}

/// What the players have contributed so far, in the order of their turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mix(pub [u8; 32]);

impl Mix {
    /// Before anybody contributed: the hash of the commitment.
    pub fn start(commit: &[u8; 32]) -> Mix {
        let mut hash = Sha256::new();
        hash.update(b"croupier/mix/0");
        hash.update(commit);
        Mix(hash.finalize().into())
    }

    /// After `player` contributed `client_seed` in turn `seq`. An empty contribution changes nothing.
    #[must_use]
    pub fn add(self, seq: u64, player: u64, client_seed: &[u8]) -> Mix {
        if client_seed.is_empty() {
            return self;
        }
        let mut hash = Sha256::new();
        hash.update(b"croupier/mix/1");
        hash.update(self.0);
        hash.update(seq.to_le_bytes());
        hash.update(player.to_le_bytes());
        hash.update((client_seed.len() as u64).to_le_bytes());
        hash.update(client_seed);
        Mix(hash.finalize().into())
    }
}

/// The seeds of one session's turns. What is the same for all of them is done once: it takes three compressions a turn instead of five.
#[derive(Clone)]
pub struct TurnSeeds(Hmac<Sha256>);

impl std::fmt::Debug for TurnSeeds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TurnSeeds(hidden)")
    }
}

impl ServerSeed {
    /// The seeds of the turns of this session.
    pub fn turns(&self, session: u64) -> TurnSeeds {
        let mut mac =
            <Hmac<Sha256> as KeyInit>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        mac.update(b"croupier/turn/1");
        mac.update(&session.to_le_bytes());
        TurnSeeds(mac)
    }
}

impl TurnSeeds {
    /// The seed of turn `seq`. A join's contribution counts from the join itself on.
    pub fn of(&self, mix: &Mix, seq: u64) -> [u8; 32] {
        let mut mac = self.0.clone();
        mac.update(&mix.0);
        mac.update(&seq.to_le_bytes());
        mac.finalize().into_bytes().into()
    }
}

/// The seed of one turn; see [`TurnSeeds::of`].
pub fn turn_seed(seed: &ServerSeed, session: u64, mix: &Mix, seq: u64) -> [u8; 32] {
    seed.turns(session).of(mix, seq)
}
