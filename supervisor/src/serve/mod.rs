//! `croupier serve`: a supervisor with its doors, from a config to the last worker's end.
//!
//! ```text
//!  config ─▶ logs ─▶ lock, keys, transcripts ─▶ supervisor ─▶ plugins of plugin_dirs ─▶ doors ─▶ ready ─▶ (TERM, INT, QUIT, verb) ─▶ stop
//! ```
//!
//! A plugin that cannot be loaded is reported and left out; everything else that is wrong ends the start, before a socket is opened.

mod descriptors;
mod logging;
mod signals;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use signals::Haste;
use thiserror::Error;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::config::{Config, ConfigError, Write};
use crate::doors::path::PathError;
use crate::doors::{self, Door, Side};
use crate::record::Recorder;
use crate::supervisor::config::IsolationOff;
use crate::supervisor::{Supervisor, SupervisorConfig};
use crate::transcript::files::{FileTranscripts, Keep};
use crate::transcript::keys::{self, KeysError};
use crate::worker::logs::one_line;

/// How `serve` was called.
#[derive(Debug, Clone)]
pub struct Options {
    /// The config file; without one the defaults count.
    pub config: Option<PathBuf>,
    /// The control socket, over the config's.
    pub socket: Option<PathBuf>,
    /// Live traffic is written to this file as a play script.
    pub record: Option<PathBuf>,
    /// Whether `isolation = "off"` in the config is obeyed.
    pub isolation_off: IsolationOff,
}

/// Why a supervisor did not start.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The config.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The log.
    #[error("the log filter {filter:?} is wrong: {why}; write it as in \"info,croupier=debug\"")]
    LogFilter {
        /// The filter.
        filter: String,
        /// What is wrong.
        why: String,
    },
    /// The directory of state.
    #[error("cannot use the state directory {}: {source}; make it writable, or set state_dir in the config", path.display())]
    StateDir {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The keys.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The recording.
    #[error("cannot record to {}: {source}", path.display())]
    Record {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A socket.
    #[error(transparent)]
    Socket(#[from] PathError),
    /// The supervisor itself.
    #[error("the supervisor cannot start: {0}")]
    Supervisor(String),
}

/// Serves until somebody asks it to stop.
///
/// # Errors
/// When it cannot start. Whatever goes wrong later is logged.
pub async fn run(options: Options) -> Result<(), ServeError> {
    let mut config = match &options.config {
        Some(path) => Config::read(path)?,
        None => Config::default(),
    };
    if let Some(socket) = options.socket {
        config.traffic_socket = match config.traffic_socket == config.socket.with_file_name("traffic.sock") {
            true => socket.with_file_name("traffic.sock"),
            false => config.traffic_socket,
        };
        config.socket = socket;
    }
    logging::start(&config.log)?;
    // Before anything is started, so that a signal that comes early is not lost.
    let mut stop = signals::Stop::listen().map_err(|error| ServeError::Supervisor(error.to_string()))?;
    let supervisor = start(&config, options.record.as_deref(), options.isolation_off)?;
    let loading = load_all(&supervisor, &config.plugin_dirs);
    let (doors, haste) = tokio::select! {
        // A plugin that takes its time must not hold up the end.
        haste = stop.wait(&supervisor) => (None, haste),
        () = loading => {
            let doors = open_doors(&config, &supervisor)?;
            tracing::info!(
                socket = %config.socket.display(),
                traffic_socket = %config.traffic_socket.display(),
                state_dir = %config.state_dir.display(),
                "ready"
            );
            (Some(doors), stop.wait(&supervisor).await)
        }
    };
    if let Some(doors) = doors {
        doors.iter().for_each(JoinHandle::abort);
        for path in [&config.socket, &config.traffic_socket] {
            let _ = std::fs::remove_file(path);
        }
    }
    let given_up = shut_down(&supervisor, haste, &mut stop).await;
    tracing::info!(given_up, "stopped");
    Ok(())
}

/// Ends the supervisor; a second signal makes it quick.
async fn shut_down(supervisor: &Supervisor, haste: Haste, stop: &mut signals::Stop) -> usize {
    let ending = async {
        match haste {
            Haste::Grace => supervisor.shutdown().await,
            Haste::None => supervisor.shutdown_within(Duration::MAX).await,
            Haste::Fast => supervisor.shutdown_within(signals::FAST).await,
        }
    };
    tokio::select! {
        given_up = ending => given_up,
        () = stop.again() => supervisor.shutdown_within(Duration::ZERO).await,
    }
}

fn start(
    config: &Config,
    record: Option<&Path>,
    isolation_off: IsolationOff,
) -> Result<Supervisor, ServeError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        |source| ServeError::StateDir { path, source }
    };
    std::fs::create_dir_all(&config.state_dir).map_err(failed(&config.state_dir))?;
    let mut parts = SupervisorConfig::new()
        .isolation_off(isolation_off)
        .state_dir(&config.state_dir)
        .traffic_socket(config.traffic_socket.display().to_string())
        .plugin_defaults(config.defaults.clone());
    for (name, options) in &config.plugins {
        parts = parts.plugin(name, options.clone());
    }
    if let Some(worker) = &config.worker {
        parts = parts.worker_binary(worker);
    }
    if config.transcripts.write == Write::All {
        let keys = keys::load(&config.state_dir.join("keys"), config.transcripts.auditor)?;
        let keep = Keep { bytes_max: config.transcripts.keep_bytes };
        let dir = config.state_dir.join("transcripts");
        let files = FileTranscripts::start(&dir, keys, keep).map_err(failed(&dir))?;
        parts = parts.transcripts(Arc::new(files));
    }
    if let Some(path) = record {
        let recorder =
            Recorder::start(path).map_err(|source| ServeError::Record { path: path.to_owned(), source })?;
        parts = parts.transcripts(Arc::new(recorder));
    }
    Supervisor::start(parts, tokio::runtime::Handle::current())
        .map_err(|error| ServeError::Supervisor(error.to_string()))
}

/// Loads every `*.so` of the directories. One that cannot be loaded is reported, and the rest goes on.
async fn load_all(supervisor: &Supervisor, dirs: &[PathBuf]) {
    for (path, loaded) in supervisor.load_dirs(dirs).await {
        if let Err(refusal) = loaded {
            // A manifest's words may be part of it.
            let refusal = refusal.to_string();
            let refusal = one_line(&refusal);
            tracing::error!(path = %path.display(), %refusal, "cannot load the plugin; going on without it");
        }
    }
}

fn open_doors(config: &Config, supervisor: &Supervisor) -> Result<[JoinHandle<()>; 2], ServeError> {
    let connections_max = descriptors::connections_max();
    let door = |side| Door {
        reception: Arc::new(supervisor.clone()),
        side,
        traffic_socket: Some(config.traffic_socket.clone()),
        frame_bytes_max: config.frame_bytes_max,
        connections_max,
        room: Arc::new(Semaphore::new(connections_max)),
    };
    let traffic = doors::traffic::listen(&config.traffic_socket, config.traffic_mode, door(Side::Traffic))?;
    match doors::control::listen(&config.socket, door(Side::Control)) {
        Ok(control) => Ok([traffic, control]),
        Err(error) => {
            traffic.abort();
            let _ = std::fs::remove_file(&config.traffic_socket);
            Err(error.into())
        }
    }
}
