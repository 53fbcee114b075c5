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
//! * `signatures`: keys that change while plugins run.
//! * [`ids`], [`routes`]: which session is where.

pub mod backend;
pub mod config;
mod control;
mod end;
mod grants;
pub mod ids;
mod load;
mod open;
mod past;
pub mod routes;
mod signatures;
pub(crate) mod state_lock;
mod turn;
mod views;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use croupier_core::event::LiveSessions;

use croupier_core::views::Counts;
use croupier_wire::door::{DOOR_VERSION, Event, PluginInfo, Refusal, ServerHello, What};
use croupier_wire::frame::FRAME_BYTES_DEFAULT;
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::sync::watch;

pub use backend::{Access, Caller, Embedded, Replier, Ticket};
pub use config::SupervisorConfig;
pub use load::LoadError;
pub use state_lock::StateLockError;

use crate::audit::{Audit, Happened};
use crate::events::{Events, PushTo, TooManyFollowers, Turns};
use crate::game::GameDriver;
use crate::game::context::{Alive, Context, Parts};
use crate::jail::cgroup::{self, Choice, NotFound, Tree, TreeError};
use crate::journal::{Journal, StoreError, Told};
use crate::registry::{Objects, ObjectsError, Revocations, RevocationsError};
use crate::worker::launcher::{LaunchError, Launcher};
use crate::worker::usage::Sampler;
use ids::{IdsError, SessionIds};
use open::Opens;
use past::Past;
use routes::Routes;
use state_lock::StateLock;

/// How long plugins that were being loaded may take to give up once they know that nobody waits any more.
const SETTLE_MAX: Duration = Duration::from_secs(10);

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
    /// Permissions that were taken away.
    #[error(transparent)]
    Revocations(#[from] RevocationsError),
    /// The cgroup that the config names.
    #[error(transparent)]
    NoCgroup(#[from] NotFound),
    /// That cgroup cannot be used.
    #[error(transparent)]
    Cgroup(#[from] TreeError),
    /// The durable journal.
    #[error(
        "the journal of durable sessions cannot be opened: {0}; `croupier journal verify` looks at it; nothing was changed"
    )]
    Journal(#[from] StoreError),
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
        self.0.abandon_games();
        self.0.let_go();
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
    revocations: Revocations,
    /// Sessions on the disk that no game has taken back.
    journal_past: Mutex<Past>,
    /// Games that are being given their sessions from the disk. The end waits for them before it looks at what is in memory.
    adopting: Alive,
    /// Loads that may give such sessions back. The end waits for them before it closes the journal.
    settling: Alive,
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
        let state_dir = config.state_dir.as_deref();
        let state_lock = Mutex::new(state_dir.map(StateLock::take).transpose()?);
        let launcher = Launcher::start(
            config.worker_binary.as_deref(),
            tree(&config.cgroup)?,
            config.worker_uids,
            config.workers_ahead,
        )?;
        let ids = SessionIds::open(state_dir)?;
        let objects = state_dir.map(Objects::open).transpose()?;
        let revocations = Revocations::open(state_dir)?;
        let routes = Arc::new(Routes::default());
        let ended = routes.clone();
        let events = Arc::new(Events::default());
        let told = Operator { audit: config.audit.clone(), events: events.clone() };
        // Known once it is made.
        let known: Arc<OnceLock<Weak<Shared>>> = Arc::default();
        let (journal, past) = match state_dir {
            Some(dir) => {
                let (known, at) = (known.clone(), runtime.clone());
                let operator = Box::new(move |what| {
                    told.tell(what);
                    let shared = known.get().cloned().unwrap_or_default();
                    // Games may be busy, and the journal's thread waits for nobody.
                    at.spawn(async move {
                        let games = shared.upgrade().map(|shared| shared.games()).unwrap_or_default();
                        games.iter().for_each(|game| game.look_for_room());
                    });
                });
                let (journal, contents) = Journal::start(dir, config.journal, operator)?;
                let past = Past::new(contents, &journal);
                (Some(journal), past)
            }
            None => (None, Past::default()),
        };
        let set_aside = known.clone();
        let context = Context::new(Parts {
            runtime,
            launcher,
            audit: config.audit.clone(),
            crashes: config.crashes.clone(),
            transcripts: config.transcripts.clone(),
            host_calls: config.host_calls.clone(),
            denials: config.denials.clone(),
            events,
            journal,
            session_ended: Box::new(move |session| ended.ended(session)),
            session_aside: Box::new(move |session, plugin, why| {
                if let Some(shared) = set_aside.get().and_then(Weak::upgrade) {
                    shared.set_aside(session, plugin, why);
                }
            }),
        });
        let shared = Arc::new_cyclic(|me| Shared {
            config,
            context: Arc::new(context),
            routes,
            games: RwLock::default(),
            opens: Mutex::default(),
            ids,
            objects,
            revocations,
            journal_past: Mutex::new(past),
            adopting: Alive::default(),
            settling: Alive::default(),
            state_lock,
            sampler: Sampler::default(),
            phase: watch::Sender::new(Phase::Serving),
            started: Instant::now(),
            past: Mutex::default(),
            me: me.clone(),
        });
        shared.context.runtime.spawn(signatures::watch(Arc::downgrade(&shared), shared.phase.subscribe()));
        // Set here and nowhere else.
        let _ = known.set(Arc::downgrade(&shared));
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

    /// Loads the plugins whose sessions are on the disk and that are not loaded yet. Call it before clients are let in.
    pub async fn load_played(&self) {
        self.shared.load_played().await;
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

    /// Ends the supervisor: nothing new is taken, turns in flight are finished, and all sessions are put on the disk, where the next supervisor finds them;
    /// with no state directory each is closed with a turn. What is not finished within the configured grace is killed. When this completes, no worker
    /// process is left. Says how many games had to be given up.
    pub async fn shutdown(&self) -> usize {
        self.shutdown_within(self.shared.config.grace).await
    }

    /// As [`Supervisor::shutdown`], with another grace. May be called again, with less, when an earlier call was given up.
    pub async fn shutdown_within(&self, grace: Duration) -> usize {
        self.shared.phase.send_replace(Phase::Stopping);
        // From here on no game takes sessions back; those of a load that was at it just now are in its game when it is done.
        self.shared.adopting.none().await;
        let games = self.shared.games();
        let mut given_up = self.shared.let_finish(&games, grace).await;
        given_up += self.shared.park(&games).await;
        self.shared.abandon_games();
        // Loads hear of it, and put back what nobody has parked.
        if tokio::time::timeout(SETTLE_MAX, self.shared.settling.none()).await.is_err() {
            tracing::error!(
                loads = self.shared.settling.count(),
                "plugins that were being loaded did not give up in time"
            );
        }
        self.shared.let_go();
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
        let unknown = || crate::refusals::unknown_plugin(plugin);
        games.get(plugin).cloned().ok_or_else(|| self.check_serving().err().unwrap_or_else(unknown))
    }

    fn check_serving(&self) -> Result<(), Refusal> {
        match *self.phase.borrow() {
            Phase::Serving | Phase::Asked => Ok(()),
            Phase::Stopping => Err(crate::refusals::shutting_down()),
        }
    }

    /// Kills what still runs and answers whoever still waits.
    fn abandon_games(&self) {
        self.phase.send_replace(Phase::Stopping);
        let games = std::mem::take(&mut *self.games.write().unwrap_or_else(PoisonError::into_inner));
        for game in games.into_values() {
            game.abandon();
        }
        let waiting = crate::lock(&self.opens).give_up();
        drop(waiting);
    }

    /// Closes the journal and gives the state directory to whoever wants it next.
    fn let_go(&self) {
        if let Some(journal) = &self.context.journal {
            // Before the directory is let go: whoever has it next opens the same file.
            journal.close();
        }
        drop(crate::lock(&self.state_lock).take());
    }
}

/// Where workers' cgroups are made, or why nowhere. A directory that somebody named must do; what was merely found need not.
fn tree(choice: &Choice) -> Result<Result<Tree, String>, StartError> {
    let found = match cgroup::find::find(choice) {
        Ok(found) => found,
        Err(why @ NotFound::Off) => return Ok(Err(why.to_string())),
        Err(why) if matches!(choice, Choice::At(_)) => return Err(why.into()),
        Err(why) => {
            tracing::info!(%why, "workers get no cgroups");
            return Ok(Err(why.to_string()));
        }
    };
    match Tree::plant(&found) {
        Ok(tree) => Ok(Ok(tree)),
        Err(why) if matches!(choice, Choice::At(_)) => Err(why.into()),
        Err(why) => {
            tracing::warn!(%why, "workers get no cgroups");
            Ok(Err(why.to_string()))
        }
    }
}

/// Who is told of the journal's troubles.
struct Operator {
    audit: Audit,
    events: Arc<Events>,
}

impl Operator {
    fn tell(&self, told: Told) {
        let (happened, what) = match told {
            Told::Trouble { error } => {
                tracing::error!(
                    error,
                    "the journal cannot be written: new turns of durable sessions are refused"
                );
                let reason = crate::audit::record::text(&error);
                (Happened::JournalTrouble { reason }, What::JournalTrouble { reason: error })
            }
            Told::Full { bytes, max } => {
                tracing::error!(bytes, max, "the journal is full: new turns of durable sessions are refused");
                let reason = format!("{bytes} bytes are used, {max} are allowed");
                (Happened::JournalTrouble { reason: reason.clone() }, What::JournalTrouble { reason })
            }
            Told::Low { left } => {
                tracing::error!(
                    left,
                    "the journal's disk is almost full: new turns of durable sessions are refused"
                );
                let reason = format!("the disk is almost full: there is room for {left} bytes");
                (Happened::JournalTrouble { reason: reason.clone() }, What::JournalTrouble { reason })
            }
            Told::Recovered { error, lasted } => {
                let ms = u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX);
                tracing::warn!(error, ms, "the journal can be written again; nothing was lost");
                (Happened::JournalRecovered { ms }, What::JournalRecovered { ms })
            }
            Told::Room => {
                tracing::warn!("the journal has room again");
                (Happened::JournalRecovered { ms: 0 }, What::JournalRecovered { ms: 0 })
            }
        };
        self.audit.tell(happened);
        self.events.tell(Event { at_ns: crate::clock::wall_ns(), plugin: String::new(), what });
    }
}

/// An id that nobody else has.
fn random_u64() -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = crate::entropy::bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}
