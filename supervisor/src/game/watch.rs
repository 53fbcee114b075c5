//! Looking at a worker from outside at a slow pace, and telling its game what it was refused. What follows is decided in the core.

use std::sync::{Arc, Weak};
use std::time::Duration;

use croupier_core::event::Event;
use croupier_core::ids::WorkerId;
use croupier_core::policy::usage::Look;
use tokio::time::Instant;

use super::driver::GameDriver;
use super::slot::Slot;
use crate::jail::Denials;
use crate::jail::denial::Denial;
use crate::worker::process::Process;
use crate::worker::usage::resident_bytes;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// When a worker is looked at next.
#[derive(Debug)]
pub(super) struct Looks {
    due: Instant,
}

impl Looks {
    pub(super) fn new() -> Looks {
        Looks { due: Instant::now() + LOOK_EVERY }
    }

    /// Looks, when it is time to.
    pub(super) fn tick(&mut self, driver: &GameDriver, slot: &Slot, process: &Process) {
        if Instant::now() < self.due || !slot.is_welcomed() {
            return;
        }
        self.due = Instant::now() + LOOK_EVERY;
        // Of one that has ended nothing is seen.
        let Some(rss_bytes) = resident_bytes(process.pid()) else { return };
        let look = Look { rss_bytes, throttled_us: process.throttled_us() };
        driver.step(Event::LookedAt { worker: slot.id, look });
    }
}

/// Passes refused system calls on, and tells the worker's game of each.
pub(super) struct ToldDenials {
    pub(super) others: Arc<dyn Denials>,
    pub(super) game: Weak<GameDriver>,
    pub(super) worker: WorkerId,
}

impl Denials for ToldDenials {
    fn denied(&self, denial: &Denial) {
        self.others.denied(denial);
        if let Some(game) = self.game.upgrade() {
            let what = format!("its jail refused it the system call {}", denial.call);
            game.step(Event::Violated { worker: self.worker, what });
        }
    }
}
