//! Which game plays which session. Shards keep callers of different sessions out of each other's way.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError, RwLock, Weak};

use croupier_core::ids::IdHash;

use crate::game::GameDriver;

/// Shards; a power of two.
const SHARDS: usize = 64;
/// Ended sessions that are still routed, so that a repeated last turn gets its answer from the game.
pub const ENDED_REMEMBERED: usize = 65_536;

/// Where a session is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// In the supervisor's memory.
    Memory,
    /// On the disk as well: its turns need room there.
    Disk,
}

type Shard<G> = RwLock<HashMap<u64, (Weak<G>, Kept), IdHash>>;

/// From session ids to games.
#[derive(Debug)]
pub struct Routes<G = GameDriver> {
    shards: Vec<Shard<G>>,
    ended: Mutex<VecDeque<u64>>,
}

impl<G> Default for Routes<G> {
    fn default() -> Routes<G> {
        Routes { shards: (0..SHARDS).map(|_| RwLock::default()).collect(), ended: Mutex::default() }
    }
}

impl<G> Routes<G> {
    fn shard(&self, session: u64) -> &Shard<G> {
        &self.shards[session as usize % SHARDS]
    }

    /// This game plays this session.
    pub fn insert(&self, session: u64, game: Weak<G>, kept: Kept) {
        self.shard(session).write().unwrap_or_else(PoisonError::into_inner).insert(session, (game, kept));
    }

    /// Nobody plays this session.
    pub fn remove(&self, session: u64) {
        self.shard(session).write().unwrap_or_else(PoisonError::into_inner).remove(&session);
    }

    /// The game that plays, or lately played, this session.
    pub fn get(&self, session: u64) -> Option<std::sync::Arc<G>> {
        self.get_kept(session).map(|(game, _)| game)
    }

    /// As [`Routes::get`], and where the session is kept.
    pub fn get_kept(&self, session: u64) -> Option<(std::sync::Arc<G>, Kept)> {
        let shard = self.shard(session).read().unwrap_or_else(PoisonError::into_inner);
        let (game, kept) = shard.get(&session)?;
        Some((game.upgrade()?, *kept))
    }

    /// This game is unloaded: none of its sessions has anywhere to go. A route left behind would keep the game's memory, though not the game.
    pub fn forget(&self, game: &Weak<G>) {
        for shard in &self.shards {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            // Routes to games that are gone: an open that ended while its game was being unloaded may have left one.
            shard.retain(|_, (routed, _)| routed.strong_count() > 0 && !routed.ptr_eq(game));
        }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn an_unloaded_game_leaves_no_route_and_no_memory() {
        let routes = Routes::<u8>::default();
        let (game, other) = (Arc::new(1), Arc::new(2));
        for session in 0..1000 {
            routes.insert(
                session,
                Arc::downgrade(if session % 2 == 0 { &game } else { &other }),
                Kept::Memory,
            );
        }
        (0..500).for_each(|session| routes.ended(session));
        routes.forget(&Arc::downgrade(&game));
        assert_eq!((Arc::weak_count(&game), Arc::weak_count(&other)), (0, 500));
        assert!(routes.get(0).is_none() && routes.get(1).is_some());
        // One that was left behind goes with the next.
        routes.insert(2000, Arc::downgrade(&game), Kept::Memory);
        drop(game);
        routes.forget(&Weak::new());
        assert!(!routes.shard(2000).read().unwrap().contains_key(&2000));
    }

    #[test]
    fn the_oldest_ended_session_is_forgotten() {
        let routes = Routes::<u8>::default();
        let game = Arc::new(1);
        for session in 0..=ENDED_REMEMBERED as u64 {
            routes.insert(session, Arc::downgrade(&game), Kept::Disk);
            routes.ended(session);
        }
        assert!(routes.get(0).is_none() && routes.get(1).is_some());
    }
}
