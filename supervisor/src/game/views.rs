//! What can be seen of a game from outside: reads only, each under the game's lock.

use std::collections::BTreeMap;
use std::sync::Arc;

use croupier_core::action::Output;
use croupier_core::game::OutputsError;
use croupier_core::ids::{SessionId, WorkerId};
use croupier_core::views::{Export, GameView, SessionView};

use super::driver::GameDriver;
use super::slot::Slot;

impl GameDriver {
    /// The game at a glance, with the process ids of its workers.
    pub fn view(&self) -> (GameView, BTreeMap<WorkerId, u32>) {
        let inner = crate::lock(&self.inner);
        let pids = inner.slots.values().map(|slot| (slot.id, slot.pid())).filter(|(_, pid)| *pid != 0);
        (inner.game.view(), pids.collect())
    }

    /// Session and turn that a worker plays, when there is no doubt.
    pub fn playing(&self, worker: WorkerId) -> Option<(u64, u64)> {
        crate::lock(&self.inner).game.playing(worker).map(|(session, turn)| (session.0, turn))
    }

    /// What confines each of its workers, in one line each.
    pub fn isolations(&self) -> BTreeMap<WorkerId, String> {
        let inner = crate::lock(&self.inner);
        let told =
            |slot: &Arc<Slot>| (slot.id, slot.isolation.get().map(ToString::to_string).unwrap_or_default());
        inner.slots.values().map(told).collect()
    }

    /// One session at a glance.
    pub fn session_view(&self, session: SessionId) -> Option<SessionView> {
        crate::lock(&self.inner).game.session_view(session)
    }

    /// The first `limit` sessions by id.
    pub fn session_views(&self, limit: usize) -> Vec<SessionView> {
        crate::lock(&self.inner).game.session_views(limit)
    }

    /// A session whole, without its secret.
    pub fn export(&self, session: SessionId) -> Option<Export> {
        crate::lock(&self.inner).game.export(session)
    }

    /// A session's outputs from number `from` on.
    ///
    /// # Errors
    /// When there is no such session, or they are gone.
    pub fn outputs(&self, session: SessionId, from: u64) -> Result<Vec<Output>, OutputsError> {
        crate::lock(&self.inner).game.outputs(session, from)
    }
}
