//! Turns on their way in: one, one whose caller looks for the answer itself, or many that came at once.

use std::sync::Arc;

use croupier_client::{Help, Wait};
use croupier_core::event::{Event, Turn};
use croupier_core::ids::SessionId;

use super::driver::{Answerer, GameDriver};
use super::perform::After;
use super::slot::Slot;

/// Turns that came at once which are taken under one lock: others want it, too.
const TURNS_PER_STEP: usize = 32;

/// A turn, and who waits for its answer.
pub type Asked = (Turn, Answerer);

impl GameDriver {
    /// Plays a turn. `turn.request` is fresh from [`Context::request`](super::context::Context::request). Says whom the caller can help to get its answer.
    pub fn turn(&self, turn: Turn, answerer: Answerer) -> Option<Arc<dyn Help>> {
        Some(self.ask(turn.request, Event::Turn(turn), answerer)?)
    }

    /// Plays turns that came at once, in order. Says whom their callers can help to get one of the answers.
    pub fn turns(&self, turns: Vec<Asked>) -> Option<Arc<dyn Help>> {
        let mut help: Option<Arc<dyn Help>> = None;
        let mut turns = turns.into_iter().peekable();
        while turns.peek().is_some() {
            let some: Vec<Asked> = turns.by_ref().take(TURNS_PER_STEP).collect();
            let Some(after) = self.asked_all(some) else { continue };
            if let Some(sent) = after.flush.first() {
                help = Some(sent.clone());
            }
            self.afterwards(after);
        }
        help
    }

    /// Takes turns, and gives what is to be done without the lock; nothing when there is nobody who would play them.
    fn asked_all(&self, turns: Vec<Asked>) -> Option<After> {
        let mut after = After::default();
        let mut inner = crate::lock(&self.inner);
        if inner.abandoned || inner.retired.is_some() {
            let refusal = inner.retired.clone();
            drop(inner);
            for (_, answerer) in turns {
                if let Some(refusal) = &refusal {
                    answerer(Err(refusal.clone()));
                }
            }
            return None;
        }
        let mut events = Vec::with_capacity(turns.len());
        for (turn, answerer) in turns {
            inner.waiters.insert(turn.request, answerer);
            events.push(Event::Turn(turn));
        }
        self.step_locked(&mut inner, events, &mut after);
        Some(after)
    }

    /// As [`GameDriver::turn`], for a thread that waits for `on` and nothing else: it looks for the answer itself.
    pub fn turn_awaited(&self, turn: Turn, answerer: Answerer, on: &dyn Wait) {
        let session = turn.session;
        let Some(after) = self.asked(turn.request, Event::Turn(turn), answerer) else { return };
        let sent = after.flush.first().cloned();
        // Before it is sent: an answer that comes at once must not wake anybody else.
        let lent = sent.as_deref().and_then(Slot::lend);
        self.afterwards(after);
        if let (Some(slot), Some(lent)) = (&sent, lent) {
            self.prepare(session);
            slot.help_with(self, lent, on);
        }
    }

    /// While the worker plays, and nobody else does anything with the game, there is time for what the session's next turn needs. Where there are many, it is made when it is needed: the
    /// lock is worth more then.
    fn prepare(&self, session: SessionId) {
        if let Ok(mut inner) = self.inner.try_lock() {
            inner.game.prepare(session);
        }
    }
}
