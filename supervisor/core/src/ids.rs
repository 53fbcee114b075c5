//! Ids as types, and time as an argument.

use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// One table, match or room; unique for the life of the supervisor's state. Given out by the driver, from 1.
    SessionId
);
id!(
    /// One worker process; never given out twice by one game.
    WorkerId
);
id!(
    /// One caller waiting for one answer. Given out by the driver.
    RequestId
);
id!(
    /// A client's identity for idempotency, over reconnects.
    ClientId
);
id!(
    /// A call on a worker's link; 1, 2, 3 … per worker.
    CallId
);
id!(
    /// A player as numbered by the platform, from 1. See [`PlayerId::HOUSE`].
    PlayerId
);

impl PlayerId {
    /// The table itself: the dealer, the platform.
    pub const HOUSE: PlayerId = PlayerId(0);
    /// Every player; only as an address.
    pub const ALL: PlayerId = PlayerId(u64::MAX);
}

/// For maps by an id that we give out ourselves: nobody can choose such ids so that they collide, so one multiplication spreads them well enough.
pub type IdHash = BuildHasherDefault<IdHasher>;

/// See [`IdHash`].
#[derive(Debug, Default, Clone, Copy)]
pub struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64((*byte).into());
        }
    }

    fn write_u64(&mut self, id: u64) {
        // The golden ratio; maps take their buckets from the low bits and their tags from the high ones, so both are to change with every id.
        let spread = (self.0 ^ id).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = spread ^ (spread >> 32);
    }
}

/// Bytes that are shared between queue, journal, transcript and frames without a copy.
pub type Payload = Arc<[u8]>;

/// What time it is: given to every step, never asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Nanoseconds of a clock that only runs forward. Timers go by it.
    pub mono_ns: u64,
    /// Nanoseconds since the Unix epoch. Turns are stamped with it, clamped so that a session's time never runs backwards.
    pub wall_ns: u64,
}

/// Kinds of turns, as in `croupier_plugin.h`.
pub mod kind {
    /// `session_open`.
    pub const OPEN: u16 = 0;
    /// `player_join`.
    pub const JOIN: u16 = 1;
    /// `player_leave`.
    pub const LEAVE: u16 = 2;
    /// `action`.
    pub const ACTION: u16 = 3;
    /// `tick`.
    pub const TICK: u16 = 4;
    /// `session_close`.
    pub const CLOSE: u16 = 5;
    /// The first of the open kinds, which enter through `croupier.input/1`.
    pub const FIRST_OPEN: u16 = 6;
}
