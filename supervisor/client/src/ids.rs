//! Ids as types, and where a client's id comes from.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{SystemTime, UNIX_EPOCH};

/// A session's id, given by the supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A player's id, given by the platform; 0 is the house.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Player(pub u64);

impl Player {
    /// The house: the dealer, the table itself.
    pub const HOUSE: Player = Player(0);
}

impl fmt::Display for Player {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Who a client is, for idempotency. Two clients with one id would answer for each other's keys, so it is random.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientId(pub u64);

impl ClientId {
    /// A new one, at random, never 0.
    ///
    /// The randomness is the standard library's hash keys (from the operating system, new for each thread) over the time and the process id:
    /// good against accidents. It is no secret; access to the socket is what is guarded.
    pub fn random() -> ClientId {
        let mut hasher = RandomState::new().build_hasher();
        hasher.write_u32(std::process::id());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        hasher.write_u128(now.as_nanos());
        ClientId(hasher.finish().max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_ids_differ() {
        let ids: std::collections::HashSet<ClientId> = (0..1000).map(|_| ClientId::random()).collect();
        assert_eq!(ids.len(), 1000);
        assert!(!ids.contains(&ClientId(0)));
    }
}
