//! What all games of one supervisor share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use croupier_core::ids::RequestId;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::host_calls::HostCalls;
use super::transcripts::TranscriptSink;
use crate::audit::Audit;
use crate::clock::Clock;
use crate::crash::Crashes;
use crate::events::Events;
use crate::jail::Denials;
use crate::journal::Journal;
use crate::worker::launcher::Launcher;

/// Called with a session, its plugin, and why nobody plays it.
pub type TellAside = Box<dyn Fn(u64, &str, &str) + Send + Sync>;

/// Shared by all games. Holds no game.
pub struct Context {
    /// Where tasks run.
    pub runtime: Handle,
    /// What time it is.
    pub clock: Clock,
    /// Makes worker processes.
    pub launcher: Launcher,
    /// Where it is written down for good.
    pub audit: Audit,
    /// Where reports of deaths go.
    pub crashes: Crashes,
    /// Who wants to know what happens.
    pub events: Arc<Events>,
    /// Where turns are recorded, in this order.
    pub transcripts: Vec<Arc<dyn TranscriptSink>>,
    /// Who answers plugins.
    pub host_calls: HostCalls,
    /// Where refused system calls are told.
    pub denials: Arc<dyn Denials>,
    /// Called with each session that has ended.
    pub session_ended: Box<dyn Fn(u64) + Send + Sync>,
    /// Called with each session that stays on the disk, its plugin, and why.
    pub session_aside: TellAside,
    /// Where durable sessions are written down, if anywhere.
    pub journal: Option<Journal>,
    /// Workers whose tasks have not ended.
    pub alive: Alive,
    requests: AtomicU64,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").finish_non_exhaustive()
    }
}

/// What a [`Context`] is made of, beside what it makes itself.
pub struct Parts {
    /// Where tasks run.
    pub runtime: Handle,
    /// Makes worker processes.
    pub launcher: Launcher,
    /// Where what happens is written down for good.
    pub audit: Audit,
    /// Where reports of deaths go.
    pub crashes: Crashes,
    /// Where turns are recorded.
    pub transcripts: Vec<Arc<dyn TranscriptSink>>,
    /// Who answers plugins.
    pub host_calls: HostCalls,
    /// Where refused system calls are told.
    pub denials: Arc<dyn Denials>,
    /// What happens, told to whoever listens.
    pub events: Arc<Events>,
    /// Where durable sessions are written down, if anywhere.
    pub journal: Option<Journal>,
    /// Called with each session that has ended.
    pub session_ended: Box<dyn Fn(u64) + Send + Sync>,
    /// Called with each session that stays on the disk, its plugin, and why.
    pub session_aside: TellAside,
}

impl Context {
    /// A context with a clock that starts now.
    pub fn new(parts: Parts) -> Context {
        let Parts {
            runtime,
            launcher,
            audit,
            crashes,
            transcripts,
            host_calls,
            denials,
            events,
            journal,
            session_ended,
            session_aside,
        } = parts;
        Context {
            runtime,
            clock: Clock::start(),
            launcher,
            audit,
            crashes,
            events,
            transcripts,
            host_calls,
            denials,
            session_ended,
            session_aside,
            journal,
            alive: Alive::default(),
            requests: AtomicU64::new(0),
        }
    }

    /// A number for a request, never given out twice.
    pub fn request(&self) -> RequestId {
        RequestId(self.requests.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// Counts what is under way, for whoever has to wait until nothing is: worker processes that are not reaped yet, plugins that are being loaded.
#[derive(Debug, Clone)]
pub struct Alive(Arc<watch::Sender<usize>>);

impl Default for Alive {
    fn default() -> Alive {
        Alive(Arc::new(watch::Sender::new(0)))
    }
}

impl Alive {
    /// One more, until the guard is dropped.
    pub(crate) fn enter(&self) -> AliveGuard {
        self.0.send_modify(|count| *count += 1);
        AliveGuard(self.clone())
    }

    /// Completes when none is left.
    pub async fn none(&self) {
        // The sender lives in `self`.
        let _ = self.0.subscribe().wait_for(|count| *count == 0).await;
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        *self.0.borrow()
    }
}

/// Keeps one counted.
pub(crate) struct AliveGuard(Alive);

impl Drop for AliveGuard {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}
