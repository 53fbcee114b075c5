//! Which game plays which session. Shards keep callers of different sessions out of each other's way.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError, RwLock, Weak};

use crate::game::GameDriver;

/// Shards; a power of two.
const SHARDS: usize = 64;
/// Ended sessions that are still routed, so that a repeated last turn gets its answer from the game.
pub const ENDED_REMEMBERED: usize = 65_536;

/// From session ids to games.
#[derive(Debug)]
pub struct Routes {
    shards: Vec<RwLock<HashMap<u64, Weak<GameDriver>>>>,
    ended: Mutex<VecDeque<u64>>,
}

impl Default for Routes {
    fn default() -> Routes {
        Routes { shards: (0..SHARDS).map(|_| RwLock::default()).collect(), ended: Mutex::default() }
    }
}

impl Routes {
    fn shard(&self, session: u64) -> &RwLock<HashMap<u64, Weak<GameDriver>>> {
        &self.shards[session as usize % SHARDS]
    }

    /// This game plays this session.
    pub fn insert(&self, session: u64, game: Weak<GameDriver>) {
        self.shard(session).write().unwrap_or_else(PoisonError::into_inner).insert(session, game);
    }

    /// The game that plays, or lately played, this session.
    pub fn get(&self, session: u64) -> Option<std::sync::Arc<GameDriver>> {
        let shard = self.shard(session).read().unwrap_or_else(PoisonError::into_inner);
        shard.get(&session)?.upgrade()
    }

    /// The session has ended; it is forgotten when [`ENDED_REMEMBERED`] others have ended since.
    pub fn ended(&self, session: u64) {
        let old = {
            let mut ended = crate::lock(&self.ended);
            ended.push_back(session);
            if ended.len() > ENDED_REMEMBERED { ended.pop_front() } else { None }
        };
        if let Some(old) = old {
            self.shard(old).write().unwrap_or_else(PoisonError::into_inner).remove(&old);
        }
    }
}
