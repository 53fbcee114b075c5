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

use sha2::{Digest as _, Sha256};
use signals::Haste;
use thiserror::Error;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::audit::denials::AuditDenials;
use crate::audit::{Audit, Happened, record};
use crate::config::{Config, ConfigError, Write};
use crate::crash::{self, Crashes};
use crate::doors::path::PathError;
use crate::doors::{self, Door, Side};
use crate::record::Recorder;
use crate::registry::trust::Gate;
use crate::registry::trust::store::Store;
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
    /// The audit log.
    #[error(transparent)]
    Audit(#[from] crate::audit::StartError),
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
    if let Some(socket) = options.socket.clone() {
        config.traffic_socket = match config.traffic_socket == config.socket.with_file_name("traffic.sock") {
            true => socket.with_file_name("traffic.sock"),
            false => config.traffic_socket,
        };
        config.socket = socket;
    }
    logging::start(&config.log)?;
    // Before anything is started, so that a signal that comes early is not lost.
    let mut stop = signals::Stop::listen().map_err(|error| ServeError::Supervisor(error.to_string()))?;
    let audit = start_audit(&config, options.config.as_deref())?;
    let crashes = start_crashes(&config, &audit)?;
    let supervisor = start(&config, &options, (&audit, &crashes))?;
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
    let end = audit.clone();
    // Waits for the disk.
    let _ = tokio::task::spawn_blocking(move || {
        crashes.close();
        end.tell(Happened::Stopped { given_up: given_up as u64 });
        end.close();
    })
    .await;
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

/// Before anything that is to be written down.
fn start_audit(config: &Config, file: Option<&Path>) -> Result<Audit, ServeError> {
    let state = |source| ServeError::StateDir { path: config.state_dir.clone(), source };
    std::fs::create_dir_all(&config.state_dir).map_err(state)?;
    let Some(options) = &config.audit else {
        tracing::warn!("no audit log is kept, as the config says");
        return Ok(Audit::default());
    };
    let audit = Audit::start(&config.state_dir, options)?;
    // Read once more: what is written down is which text there was, not that it is the one that was parsed a moment ago to the byte.
    let text = file.map(std::fs::read).transpose().ok().flatten().unwrap_or_default();
    audit.tell(Happened::ConfigRead {
        path: file.map(|path| record::text(path.display())).unwrap_or_default(),
        sha256: hex::encode(Sha256::digest(&text)),
    });
    Ok(audit)
}

fn start_crashes(config: &Config, audit: &Audit) -> Result<Crashes, ServeError> {
    let Some(options) = &config.crashes else { return Ok(Crashes::default()) };
    let dir = crash::folder::directory_in(&config.state_dir);
    Crashes::start(dir, options.clone(), audit.clone())
        .map_err(|error| ServeError::Supervisor(format!("no thread for crash reports: {error}")))
}

fn start(
    config: &Config,
    options: &Options,
    (audit, crashes): (&Audit, &Crashes),
) -> Result<Supervisor, ServeError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        |source| ServeError::StateDir { path, source }
    };
    std::fs::create_dir_all(&config.state_dir).map_err(failed(&config.state_dir))?;
    let mut parts = SupervisorConfig::new()
        .isolation_off(options.isolation_off)
        .cgroup(config.cgroup.clone())
        .worker_uids(config.worker_uids)
        .workers_ahead(config.workers_ahead)
        .state_dir(&config.state_dir)
        .traffic_socket(config.traffic_socket.display().to_string())
        .plugin_defaults(config.defaults.clone())
        .audit(audit.clone())
        .denials(Arc::new(AuditDenials(audit.clone())))
        .crashes(crashes.clone())
        .journal(config.journal)
        .gate(Gate::new(config.signatures, Store::new(&config.trust_dir), audit.clone()));
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
    if let Some(path) = options.record.as_deref() {
        let recorder =
            Recorder::start(path).map_err(|source| ServeError::Record { path: path.to_owned(), source })?;
        parts = parts.transcripts(Arc::new(recorder));
    }
    let supervisor = Supervisor::start(parts, tokio::runtime::Handle::current())
        .map_err(|error| ServeError::Supervisor(error.to_string()))?;
    // The state directory is ours alone now, and no worker can have died yet.
    let dir = crash::folder::directory_in(&config.state_dir);
    if crashes.is_on()
        && let Err(error) = crash::folder::sweep(&dir)
    {
        tracing::warn!(dir = %dir.display(), %error, "cannot delete what is left of half-written crash reports");
    }
    Ok(supervisor)
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
    supervisor.load_played().await;
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
