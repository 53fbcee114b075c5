//! One worker outside any supervisor: for checking a plugin's determinism, and for playing a transcript again.
//!
//! ```text
//!  Solo (plugin + launcher) ──worker(shift)──▶ SoloWorker: hello, init, then one blocking call after the other
//!                                                 ├─ determinism: a script in several workers, everything compared
//!                                                 └─ replay: a transcript's turns with their seeds
//! ```
//!
//! Blocking, one call at a time, no retries: a worker that dies is the result. Not for serving: see [`crate::game`].

mod answer;
pub mod determinism;
pub mod replay;
pub mod script;
mod worker;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use croupier_core::event::Cause;
use croupier_manifest::manifest::Isolation;
use thiserror::Error;

pub use determinism::{DeterminismReport, Difference};
pub use replay::Replay;
pub use worker::{Ender, HostAnswers, Played, Snapshot, SoloWorker, TurnInput};

use crate::jail::AdmitError;
use crate::registry::{BinaryError, Plugin, PluginError, PluginOptions};
use crate::worker::launcher::{LaunchError, Launcher};
use crate::worker::users::UidRange;

/// Deadlines while somebody debugs, in nanoseconds: a week.
const DEBUGGING_NS: u64 = 7 * 24 * 3600 * 1_000_000_000;

/// Why a solo run ended early.
#[derive(Debug, Error)]
pub enum SoloError {
    /// No worker could be made.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// The worker could not be confined as demanded.
    #[error(transparent)]
    Admit(#[from] AdmitError),
    /// The file is no plugin.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// Its sealed memory is not to be had.
    #[error(transparent)]
    Binary(#[from] BinaryError),
    /// The worker died.
    #[error("the worker died: {0}")]
    Died(Cause),
    /// The worker took too long over one call and was killed.
    #[error("the plugin did not answer within {ms} ms")]
    Late {
        /// The limit.
        ms: u64,
    },
    /// What the worker said makes no sense.
    #[error("the worker broke the protocol: {0}")]
    Protocol(String),
    /// The plugin refused something that must not be refused.
    #[error("{what} failed with status {status}: {text}")]
    Failed {
        /// What was asked.
        what: &'static str,
        /// The negative status.
        status: i32,
        /// What the plugin said.
        text: String,
    },
    /// The link.
    #[error("the link to the worker failed: {0}")]
    Link(#[from] std::io::Error),
}

/// A plugin to be run alone, and what makes its workers.
#[derive(Debug, Clone)]
pub struct Solo {
    plugin: Arc<Plugin>,
    launcher: Arc<Launcher>,
}

impl Solo {
    /// Reads and verifies a plugin file. `worker_binary` as in [`crate::SupervisorConfig::worker_binary`].
    ///
    /// # Errors
    /// [`SoloError::Launch`], [`SoloError::Plugin`].
    pub fn open(plugin: &Path, worker_binary: Option<PathBuf>) -> Result<Solo, SoloError> {
        Solo::open_with(plugin, worker_binary, &PluginOptions::default())
    }

    /// As [`Solo::open`], with the operator's options (settings, denied permissions) that the sessions were played with.
    ///
    /// # Errors
    /// [`SoloError::Launch`], [`SoloError::Plugin`].
    pub fn open_with(
        plugin: &Path,
        worker_binary: Option<PathBuf>,
        options: &PluginOptions,
    ) -> Result<Solo, SoloError> {
        let launcher = Arc::new(Launcher::start(
            worker_binary.as_deref(),
            Err("checks and replays use none".into()),
            UidRange::default(),
            0,
        )?);
        let plugin = Arc::new(Plugin::load(plugin, |_| options.clone())?);
        Ok(Solo { plugin, launcher })
    }

    /// The plugin.
    pub fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    /// A fresh worker with the plugin initialised. Workers with different `layout_shift_pages` have different address layouts.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn worker(&self, layout_shift_pages: u32) -> Result<SoloWorker, SoloError> {
        SoloWorker::start(&self.plugin, &self.launcher, layout_shift_pages)
    }

    /// The same for a debugger: without a jail, whatever the manifest demands, and with all the time in the world.
    #[must_use]
    pub fn for_debugging(mut self) -> Solo {
        if let Some(plugin) = Arc::get_mut(&mut self.plugin) {
            plugin.jail.level = Isolation::Off;
            (plugin.spec.turn_wall_ns, plugin.spec.load_wall_ns) = (DEBUGGING_NS, DEBUGGING_NS);
        }
        self
    }

    /// A fresh worker that has not loaded the plugin yet: [`SoloWorker::load`] does it.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn worker_to_load(&self) -> Result<SoloWorker, SoloError> {
        SoloWorker::launch(&self.plugin, &self.launcher)
    }
}
