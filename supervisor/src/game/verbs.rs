//! What operators ask of a game: each verb is an event, answered when it is done.

use std::sync::Arc;

use croupier_core::event::{Event, LiveSessions};
use croupier_core::ids::SessionId;

use super::driver::{Answerer, GameDriver, Started};

impl GameDriver {
    /// Brings the game up.
    pub fn start(&self, answerer: Answerer) {
        self.look_for_room();
        let request = self.context.request();
        let me = self.me.clone();
        let told: Answerer = Box::new(move |answer| {
            if let Some(driver) = me.upgrade() {
                let started = if answer.is_ok() { Started::Up } else { Started::Failed };
                driver.started.send_replace(Some(started));
            }
            answerer(answer);
        });
        self.ask(request, Event::Start { request }, told);
    }

    /// Calls back when it is known what came of starting it: at once, but while it is being loaded.
    pub fn when_started(self: &Arc<Self>, done: impl FnOnce(Started) + Send + 'static) {
        let driver = self.clone();
        self.context.runtime.spawn(async move {
            let mut told = driver.started.subscribe();
            let started = tokio::select! {
                // The sender lives in the driver.
                started = told.wait_for(Option::is_some) => started.ok().and_then(|started| *started),
                () = driver.stopped() => None,
            };
            done(started.unwrap_or(Started::Failed));
        });
    }

    /// Lets turns wait.
    pub fn suspend(&self, answerer: Answerer) {
        let request = self.context.request();
        self.ask(request, Event::Suspend { request }, answerer);
    }

    /// Goes on.
    pub fn resume(&self, answerer: Answerer) {
        let request = self.context.request();
        self.ask(request, Event::Resume { request }, answerer);
    }

    /// Replaces the workers.
    pub fn restart(&self, answerer: Answerer) {
        let request = self.context.request();
        self.ask(request, Event::Restart { request }, answerer);
    }

    /// Changes how many workers serve.
    pub fn scale(&self, replicas: u32, answerer: Answerer) {
        let request = self.context.request();
        self.ask(request, Event::Scale { request, replicas }, answerer);
    }

    /// Lifts what keeps the game down.
    pub fn release(&self, answerer: Answerer) {
        let request = self.context.request();
        self.ask(request, Event::Release { request }, answerer);
    }

    /// Takes the game down.
    pub fn unload(&self, sessions: LiveSessions, answerer: Answerer) {
        let request = self.context.request();
        self.ask(request, Event::Unload { request, sessions }, answerer);
    }

    /// Forgets a held session.
    pub fn drop_held(&self, session: SessionId, answerer: Answerer) {
        let request = self.context.request();
        self.ask(request, Event::DropHeld { request, session }, answerer);
    }
}
