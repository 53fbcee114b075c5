//! What makes `serve` stop: TERM, INT and QUIT, or the operators' verb.
//!
//! | | |
//! | --- | --- |
//! | TERM, the verb | nothing new is taken, all sessions are put on the disk for the next start, workers are ended; within the grace |
//! | QUIT | the same, however long it takes |
//! | INT | the same, but nobody is waited for longer than [`FAST`] |
//! | any second signal | nobody is waited for any more: workers are killed |

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::supervisor::Supervisor;

/// How long a fast stop waits for turns in flight.
pub(super) const FAST: Duration = Duration::from_secs(1);

/// How much time there is for stopping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Haste {
    /// The supervisor's own grace.
    Grace,
    /// No deadline.
    None,
    /// [`FAST`].
    Fast,
}

/// Listens for the signals.
pub(super) struct Stop {
    term: Signal,
    int: Signal,
    quit: Signal,
}

impl Stop {
    /// Takes the signals over.
    ///
    /// # Errors
    /// When the runtime cannot.
    pub(super) fn listen() -> std::io::Result<Stop> {
        Ok(Stop {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
        })
    }

    /// Waits until somebody wants it to stop. Safe to cancel: a signal is not lost.
    pub(super) async fn wait(&mut self, supervisor: &Supervisor) -> Haste {
        let (why, haste) = tokio::select! {
            _ = self.term.recv() => ("TERM", Haste::Grace),
            _ = self.int.recv() => ("INT", Haste::Fast),
            _ = self.quit.recv() => ("QUIT", Haste::None),
            () = supervisor.shutdown_requested() => ("the operators' verb", Haste::Grace),
        };
        tracing::info!(why, "stopping: finishing turns in flight, taking nothing new");
        haste
    }

    /// Waits for one more signal: somebody has lost patience.
    pub(super) async fn again(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
            _ = self.quit.recv() => {}
        }
        tracing::info!("a second signal: stopping without waiting for turns");
    }
}
