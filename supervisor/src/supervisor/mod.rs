//! A supervisor: plugins by name, sessions by id, and requests to both.
//!
//! ```text
//!  Embedded (a client's Backend) ─┐
//!  doors (sockets)               ─┴─ submit / follow ─▶ Supervisor ─┬─ open, turn ─▶ the game that plays the session
//!                                                                  └─ control ─▶ load, unload, views …
//! ```
//!
//! A [`Supervisor`] is a handle; clones are one supervisor. When the last one is dropped, every worker is killed: call
//! [`Supervisor::shutdown`] first to let sessions end properly.
//!
//! * [`config`]: what it is started with.
//! * [`backend`]: who asks, and how they are answered.
//! * `open`, `turn`, `control`, `grants`, `load`, `views`: what is done about each request.
//! * [`ids`], [`routes`]: which session is where.

pub mod backend;
pub mod config;
mod control;
mod grants;
pub mod ids;
mod load;
mod open;
pub mod routes;
pub(crate) mod state_lock;
mod turn;
mod views;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use croupier_core::event::LiveSessions;
use croupier_core::views::Counts;
use croupier_wire::door::{DOOR_VERSION, PluginInfo, Refusal, ServerHello};
use croupier_wire::frame::FRAME_BYTES_DEFAULT;
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};

pub use backend::{Access, Caller, Embedded, Replier, Ticket};
pub use config::SupervisorConfig;
pub use load::LoadError;
pub use state_lock::StateLockError;

use crate::events::{PushTo, TooManyFollowers, Turns};
use crate::game::GameDriver;
use crate::game::context::{Context, Parts};
use crate::registry::{Objects, ObjectsError};
use crate::worker::launcher::{LaunchError, Launcher};
use crate::worker::usage::Sampler;
use ids::{IdsError, SessionIds};
use open::Opens;
use routes::Routes;
use state_lock::StateLock;

/// How long killed workers may take to be reaped at the end; the kernel needs microseconds.
const REAP_MAX: Duration = Duration::from_secs(10);

/// Why a supervisor does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// No worker could ever be made.
    #[error(transparent)]
    Launcher(#[from] LaunchError),
    /// The state directory.
    #[error(transparent)]
    State(#[from] StateLockError),
    /// Session ids.
    #[error(transparent)]
    Ids(#[from] IdsError),
    /// Copies of plugins.
    #[error(transparent)]
    Objects(#[from] ObjectsError),
}

/// A running supervisor. Cheap to clone.
#[derive(Clone)]
pub struct Supervisor {
    shared: Arc<Shared>,
    /// The last one of these ends the workers.
    _owner: Arc<Owner>,
}

struct Owner(Arc<Shared>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// Whether new requests are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Serving,
    /// Somebody asked for the end; who owns the supervisor is to call [`Supervisor::shutdown`].
    Asked,
    Stopping,
}

struct Shared {
    config: SupervisorConfig,
    context: Arc<Context>,
    routes: Arc<Routes>,
    games: RwLock<BTreeMap<String, Arc<GameDriver>>>,
    opens: Mutex<Opens>,
    ids: SessionIds,
    objects: Option<Objects>,
    /// Let go of at the end.
    state_lock: Mutex<Option<StateLock>>,
    sampler: Sampler,
    phase: watch::Sender<Phase>,
    started: Instant,
    /// Counts of games that are unloaded.
    past: Mutex<Counts>,
    me: Weak<Shared>,
}

impl std::fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Supervisor").finish_non_exhaustive()
    }
}

impl Supervisor {
    /// Starts a supervisor whose tasks run on `runtime`, which must have its I/O and time drivers enabled.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(config: SupervisorConfig, runtime: Handle) -> Result<Supervisor, StartError> {
        let launcher = Launcher::start(config.worker_binary.as_deref())?;
        let state_dir = config.state_dir.as_deref();
        let state_lock = Mutex::new(state_dir.map(StateLock::take).transpose()?);
        let ids = SessionIds::open(state_dir)?;
        let objects = state_dir.map(Objects::open).transpose()?;
        let routes = Arc::new(Routes::default());
        let ended = routes.clone();
        let context = Context::new(Parts {
            runtime,
            launcher,
            audit: config.audit.clone(),
            crashes: config.crashes.clone(),
            transcripts: config.transcripts.clone(),
            host_calls: config.host_calls.clone(),
            denials: config.denials.clone(),
            session_ended: Box::new(move |session| ended.ended(session)),
        });
        let shared = Arc::new_cyclic(|me| Shared {
            config,
            context: Arc::new(context),
            routes,
            games: RwLock::default(),
            opens: Mutex::default(),
            ids,
            objects,
            state_lock,
            sampler: Sampler::default(),
            phase: watch::Sender::new(Phase::Serving),
            started: Instant::now(),
            past: Mutex::default(),
            me: me.clone(),
        });
        Ok(Supervisor { _owner: Arc::new(Owner(shared.clone())), shared })
    }

    /// Loads a plugin file, as [`Verb::Load`](croupier_wire::door::Verb::Load) does.
    ///
    /// # Errors
    /// The refusal that a client would get.
    pub async fn load(&self, path: &Path) -> Result<PluginInfo, Refusal> {
        self.shared.load(path.to_owned()).await.map_err(|error| error.refusal())
    }

    /// Loads every `*.so` of these directories, those first that others depend on. Says what became of each.
    pub async fn load_dirs(
        &self,
        dirs: &[impl AsRef<Path>],
    ) -> Vec<(std::path::PathBuf, Result<PluginInfo, Refusal>)> {
        self.shared.load_dirs(dirs.iter().map(|dir| dir.as_ref().to_owned()).collect()).await
    }

    /// Unloads a plugin, as [`Verb::Unload`](croupier_wire::door::Verb::Unload) does. Its processes are gone when this completes.
    ///
    /// # Errors
    /// The refusal that a client would get.
    pub async fn unload(&self, plugin: &str, sessions: LiveSessions) -> Result<(), Refusal> {
        self.shared.unload(plugin, sessions).await
    }

    /// A client's backend with an identity of its own: for [`croupier_client::Client::embedded`]. It may do everything.
    pub fn backend(&self) -> Arc<Embedded> {
        self.backend_for(random_u64())
    }

    /// As [`Supervisor::backend`], for a client that was here before.
    pub fn backend_for(&self, client: u64) -> Arc<Embedded> {
        Arc::new(Embedded::new(self.clone(), client, None))
    }

    /// As [`Supervisor::backend_for`], for a client of this user: for doors.
    pub fn backend_of(&self, client: u64, uid: u32) -> Arc<Embedded> {
        Arc::new(Embedded::new(self.clone(), client, Some(uid)))
    }

    /// Follows events from now on.
    ///
    /// # Errors
    /// [`TooManyFollowers`].
    pub fn follow_events(&self, to: Box<dyn PushTo>, turns: Turns) -> Result<(), TooManyFollowers> {
        self.shared.context.events.follow(to, turns)
    }

    /// What a door says first.
    pub fn hello(&self, access: Access) -> ServerHello {
        let control = access == Access::Control;
        ServerHello {
            version: DOOR_VERSION,
            server: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            control,
            traffic_socket: if control { self.shared.config.traffic_socket.clone() } else { None },
            frame_bytes_max: FRAME_BYTES_DEFAULT,
        }
    }

    /// Completes when somebody asked for the supervisor's end ([`Verb::Shutdown`](croupier_wire::door::Verb::Shutdown)).
    pub async fn shutdown_requested(&self) {
        // The sender lives in `self`.
        let _ = self.shared.phase.subscribe().wait_for(|phase| *phase != Phase::Serving).await;
    }

    /// Ends the supervisor: nothing new is taken, sessions are closed with a turn each, workers shut down. What is not done within the configured
    /// grace is killed. When this completes, no worker process is left. Says how many games had to be given up.
    pub async fn shutdown(&self) -> usize {
        self.shutdown_within(self.shared.config.grace).await
    }

    /// As [`Supervisor::shutdown`], with another grace. May be called again, with less, when an earlier call was given up.
    pub async fn shutdown_within(&self, grace: Duration) -> usize {
        self.shared.phase.send_replace(Phase::Stopping);
        let games = self.shared.games();
        let unloads: Vec<oneshot::Receiver<_>> = games
            .iter()
            .map(|game| {
                let (done, result) = oneshot::channel();
                game.unload(LiveSessions::Close, Box::new(move |answer| drop(done.send(answer))));
                result
            })
            .collect();
        let all = async {
            let mut refused = 0;
            for unload in unloads {
                refused += usize::from(!matches!(unload.await, Ok(Ok(_))));
            }
            refused
        };
        let given_up = match tokio::time::timeout(grace, all).await {
            Ok(refused) => refused,
            Err(_) => games.len(),
        };
        self.shared.abandon();
        if tokio::time::timeout(REAP_MAX, self.shared.context.alive.none()).await.is_err() {
            tracing::error!(
                workers = self.shared.context.alive.count(),
                "killed workers were not reaped in time"
            );
        }
        // With the zygote, whatever is left of them ends.
        let shared = self.shared.clone();
        let _ = tokio::task::spawn_blocking(move || shared.context.launcher.stop()).await;
        self.shared.context.events.end();
        given_up
    }
}

impl Shared {
    fn games(&self) -> Vec<Arc<GameDriver>> {
        self.games.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    fn game(&self, plugin: &str) -> Result<Arc<GameDriver>, Refusal> {
        let games = self.games.read().unwrap_or_else(PoisonError::into_inner);
        games.get(plugin).cloned().ok_or_else(|| crate::refusals::unknown_plugin(plugin))
    }

    fn check_serving(&self) -> Result<(), Refusal> {
        match *self.phase.borrow() {
            Phase::Serving | Phase::Asked => Ok(()),
            Phase::Stopping => Err(crate::refusals::shutting_down()),
        }
    }

    /// Kills what still runs and answers whoever still waits.
    fn abandon(&self) {
        self.phase.send_replace(Phase::Stopping);
        let games = std::mem::take(&mut *self.games.write().unwrap_or_else(PoisonError::into_inner));
        for game in games.into_values() {
            game.abandon();
        }
        let waiting = crate::lock(&self.opens).give_up();
        drop(waiting);
        drop(crate::lock(&self.state_lock).take());
    }
}

/// An id that nobody else has.
fn random_u64() -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = crate::entropy::bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}
