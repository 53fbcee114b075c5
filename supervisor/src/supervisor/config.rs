//! What a supervisor is started with. Built in code; the `croupier` binary builds it from its TOML file.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::audit::Audit;
use crate::crash::Crashes;
use crate::game::host_calls::{HostCall, HostCalls};
use crate::game::transcripts::TranscriptSink;
use crate::jail::cgroup::Choice;
use crate::jail::{Denials, TraceDenials};
use crate::journal::JournalOptions;
use crate::registry::PluginOptions;
use crate::registry::trust::Gate;
use crate::worker::ahead::{WORKERS_AHEAD_DEFAULT, WORKERS_AHEAD_MAX};
use crate::worker::users::UidRange;

/// Longest payload of one turn unless configured otherwise, in bytes.
pub const PAYLOAD_BYTES_MAX: usize = 1 << 20;
/// Time for a graceful shutdown unless configured otherwise.
pub const GRACE: Duration = Duration::from_secs(10);

/// Everything has a default.
#[derive(Clone)]
pub struct SupervisorConfig {
    pub(super) worker_binary: Option<PathBuf>,
    pub(super) state_dir: Option<PathBuf>,
    pub(super) traffic_socket: Option<String>,
    pub(super) payload_bytes_max: usize,
    pub(super) grace: Duration,
    pub(super) defaults: PluginOptions,
    pub(super) plugins: BTreeMap<String, PluginOptions>,
    pub(super) host_calls: HostCalls,
    pub(super) transcripts: Vec<Arc<dyn TranscriptSink>>,
    pub(super) audit: Audit,
    pub(super) gate: Option<Arc<Gate>>,
    pub(super) crashes: Crashes,
    pub(super) denials: Arc<dyn Denials>,
    pub(super) isolation_off: IsolationOff,
    pub(super) cgroup: Choice,
    pub(super) worker_uids: UidRange,
    pub(super) workers_ahead: usize,
    pub(super) journal: JournalOptions,
}

/// Whether plugins may run without any isolation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IsolationOff {
    /// They may: for debugging.
    Allowed,
    /// A plugin for which `isolation = "off"` is configured is not loaded.
    Refused,
}

impl Default for SupervisorConfig {
    fn default() -> SupervisorConfig {
        SupervisorConfig {
            worker_binary: None,
            state_dir: None,
            traffic_socket: None,
            payload_bytes_max: PAYLOAD_BYTES_MAX,
            grace: GRACE,
            defaults: PluginOptions::default(),
            plugins: BTreeMap::new(),
            host_calls: HostCalls::default(),
            transcripts: Vec::new(),
            audit: Audit::default(),
            gate: None,
            crashes: Crashes::default(),
            denials: Arc::new(TraceDenials),
            isolation_off: IsolationOff::Refused,
            cgroup: Choice::Off,
            worker_uids: UidRange::default(),
            workers_ahead: WORKERS_AHEAD_DEFAULT,
            journal: JournalOptions::default(),
        }
    }
}

impl SupervisorConfig {
    /// The defaults.
    #[must_use]
    pub fn new() -> SupervisorConfig {
        SupervisorConfig::default()
    }

    /// The `croupier-worker` binary; otherwise it is looked for beside the current executable.
    #[must_use]
    pub fn worker_binary(mut self, path: impl Into<PathBuf>) -> SupervisorConfig {
        self.worker_binary = Some(path.into());
        self
    }

    /// Where copies of plugins and the counter of session ids are kept; without it nothing is kept.
    #[must_use]
    pub fn state_dir(mut self, path: impl Into<PathBuf>) -> SupervisorConfig {
        self.state_dir = Some(path.into());
        self
    }

    /// The traffic socket's path, told to clients; opening it is the doors' business.
    #[must_use]
    pub fn traffic_socket(mut self, path: impl Into<String>) -> SupervisorConfig {
        self.traffic_socket = Some(path.into());
        self
    }

    /// Longest payload of one turn, in bytes.
    #[must_use]
    pub fn payload_bytes_max(mut self, bytes: usize) -> SupervisorConfig {
        self.payload_bytes_max = bytes;
        self
    }

    /// How much the durable journal may take. It is kept in the state directory; where there is none, no session survives the supervisor.
    #[must_use]
    pub fn journal(mut self, options: JournalOptions) -> SupervisorConfig {
        self.journal = options;
        self
    }

    /// How long a graceful shutdown may take before workers are killed.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> SupervisorConfig {
        self.grace = grace;
        self
    }

    /// Options for all plugins.
    #[must_use]
    pub fn plugin_defaults(mut self, options: PluginOptions) -> SupervisorConfig {
        self.defaults = options;
        self
    }

    /// Options for one plugin; where they say nothing, the defaults count.
    #[must_use]
    pub fn plugin(mut self, name: &str, options: PluginOptions) -> SupervisorConfig {
        self.plugins.insert(name.to_owned(), options);
        self
    }

    /// Answers plugins that call `name`. `provider` runs on a thread that may block; `Err` is a negative status for the plugin.
    #[must_use]
    pub fn host_call(
        mut self,
        name: &str,
        provider: Arc<dyn Fn(HostCall) -> Result<Vec<u8>, i32> + Send + Sync>,
    ) -> SupervisorConfig {
        self.host_calls.set(name, provider);
        self
    }

    /// Records turns; may be given several times.
    #[must_use]
    pub fn transcripts(mut self, sink: Arc<dyn TranscriptSink>) -> SupervisorConfig {
        self.transcripts.push(sink);
        self
    }

    /// Writes down what happens; without it nothing is written down. Closing it at the end is the caller's business.
    #[must_use]
    pub fn audit(mut self, audit: Audit) -> SupervisorConfig {
        self.audit = audit;
        self
    }

    /// Looks at the signatures of plugins; without it nobody does.
    #[must_use]
    pub fn gate(mut self, gate: Gate) -> SupervisorConfig {
        self.gate = Some(Arc::new(gate));
        self
    }

    /// Writes reports of workers' deaths; without it none are written. Closing it at the end is the caller's business.
    #[must_use]
    pub fn crashes(mut self, crashes: Crashes) -> SupervisorConfig {
        self.crashes = crashes;
        self
    }

    /// Takes refused system calls; the log does otherwise.
    #[must_use]
    pub fn denials(mut self, denials: Arc<dyn Denials>) -> SupervisorConfig {
        self.denials = denials;
        self
    }

    /// Whether `isolation = "off"` is obeyed; it is refused otherwise.
    #[must_use]
    pub fn isolation_off(mut self, off: IsolationOff) -> SupervisorConfig {
        self.isolation_off = off;
        self
    }

    /// Where workers' cgroups are made; nowhere otherwise. Where this process is in the very cgroup that is divided, it is moved into one below it.
    #[must_use]
    pub fn cgroup(mut self, choice: Choice) -> SupervisorConfig {
        self.cgroup = choice;
        self
    }

    /// User ids for workers, where this process may give them their own.
    #[must_use]
    pub fn worker_uids(mut self, range: UidRange) -> SupervisorConfig {
        self.worker_uids = range;
        self
    }

    /// Blank workers that are kept for whoever needs one next, at most [`WORKERS_AHEAD_MAX`]; 0 for none. One unless said otherwise: a process of some 0.3 MiB of its own, with
    /// which most loads and restarts need not wait for the kernel to make namespaces.
    #[must_use]
    pub fn workers_ahead(mut self, workers: usize) -> SupervisorConfig {
        self.workers_ahead = workers.min(WORKERS_AHEAD_MAX);
        self
    }

    /// The options for the plugin of this name.
    #[must_use]
    pub fn options_for(&self, name: &str) -> PluginOptions {
        self.plugins.get(name).map_or_else(|| self.defaults.clone(), |own| own.or(&self.defaults))
    }
}
