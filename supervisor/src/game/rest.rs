//! How a game comes to rest when the supervisor ends as planned, or when it does not come up: what is in memory alone is parked by the game, or given back by
//! whoever loaded it. One of the two, never both: the game's lock decides.

use std::collections::HashSet;

use croupier_core::Refusal;
use croupier_core::action::Answered;
use croupier_core::event::Event;
use croupier_core::ids::SessionId;

use super::driver::{Answerer, GameDriver};
use super::perform::After;

impl GameDriver {
    /// Sessions that go with the supervisor, and those that stay on the disk.
    pub fn by_durability(&self) -> (usize, usize) {
        let inner = crate::lock(&self.inner);
        if inner.retired.is_some() {
            return (0, 0);
        }
        let live = inner.game.session_views(usize::MAX);
        let on_disk = live.iter().filter(|view| inner.durable.contains(&view.session)).count();
        (live.len() - on_disk, on_disk)
    }

    /// Sessions of which nothing is kept are closed.
    pub fn close_stateless(&self) {
        self.step(Event::CloseStateless);
    }

    /// Whether there are such sessions that are not held.
    pub fn has_stateless(&self) -> bool {
        let live = crate::lock(&self.inner).game.session_views(usize::MAX);
        live.iter().any(|view| view.is_stateless && view.held.is_none())
    }

    /// Whether a worker has anything to do for a session. One that is on its way out has not.
    pub fn is_playing(&self) -> bool {
        self.view().0.workers.iter().any(|worker| worker.in_flight > 0 && worker.sessions > 0)
    }

    /// Writes down the sessions that are in memory alone. Answered when the disk has them. Needs a journal.
    pub fn park(&self, answerer: Answerer) {
        let request = self.context.request();
        let mut after = After::default();
        {
            let mut inner = crate::lock(&self.inner);
            if inner.retired.is_some() {
                // They are on their way back to the disk, or there.
                drop(inner);
                return answerer(Ok(Answered::Ok));
            }
            let live = inner.game.session_views(usize::MAX);
            // Those alone: the record of who opened a session that is being written down itself must stay. Under the lock that parks them: a session that
            // is just being opened can be parked a moment later.
            for view in live.iter().filter(|view| view.is_parkable) {
                let Some(journal) = &self.journal else { break };
                journal.parking(view.session, inner.reveal_public.contains(&view.session));
            }
            self.ask_locked(&mut inner, request, Event::Park { request }, answerer, &mut after);
        }
        self.afterwards(after);
    }

    /// The game does not come up: it answers nobody but with the refusal, and has no sessions any more. Those that it has put on the disk itself.
    /// Who takes them back must be the only one who does: whatever is parked is parked before this, or not by the game.
    pub fn retire(&self, why: &str) -> HashSet<SessionId> {
        let refusal = Refusal::Down { reason: why.to_owned() };
        let (waiters, on_disk) = {
            let mut inner = crate::lock(&self.inner);
            inner.retired = Some(refusal.clone());
            (std::mem::take(&mut inner.waiters), inner.durable.clone())
        };
        for answerer in waiters.into_values() {
            answerer(Err(refusal.clone()));
        }
        self.set_stopped();
        on_disk
    }
}
