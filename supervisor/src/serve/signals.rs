//! What makes `serve` stop: TERM, INT and QUIT, or the operators' verb.
//!
//! All three end it in order: nothing new is taken, turns in flight are finished, workers are ended. INT and a second signal do not wait for
//! turns. (Parking sessions over a planned stop belongs to the durable journal.)

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::supervisor::Supervisor;

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

    /// Waits until somebody wants it to stop. The supervisor ends its sessions' turns itself, in its shutdown.
    pub(super) async fn wait(mut self, supervisor: &Supervisor) {
        let why = tokio::select! {
            _ = self.term.recv() => "TERM",
            _ = self.int.recv() => "INT",
            _ = self.quit.recv() => "QUIT",
            () = supervisor.shutdown_requested() => "the operators' verb",
        };
        tracing::info!(why, "stopping: finishing turns in flight, taking nothing new");
    }
}
