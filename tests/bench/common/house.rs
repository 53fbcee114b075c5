//! A supervisor in this process with one worker of one plugin, to be played with.

use std::path::{Path, PathBuf};
use std::time::Duration;

use croupier::jail::plan::Transport;
use croupier::registry::{Durability, PluginOptions};
use croupier::supervisor::{Supervisor, SupervisorConfig};
use croupier_client::blocking::{Client, Session};
use croupier_client::{OpenOptions, WorkerInfo};
use croupier_tests::artifacts::{artifacts, compile, repository};
use tokio::runtime::Runtime;

/// Builds the plugin that answers what it is asked (`tests/bench/echo`), in this directory.
pub(crate) fn echo(dir: &Path) -> PathBuf {
    let so = dir.join("libecho.so");
    let home = repository().join("tests/bench/echo");
    compile(&home.join("echo.c"), &so, &["-I".to_owned(), home.display().to_string()]);
    so
}

/// See the module.
pub(crate) struct House {
    supervisor: Supervisor,
    client: Client,
    runtime: Runtime,
    plugin: String,
    _state: tempfile::TempDir,
}

impl House {
    /// With sessions that survive their workers.
    pub(crate) fn open(so: &Path, transport: Transport) -> House {
        House::with(so, transport, Durability::Process)
    }

    pub(crate) fn with(so: &Path, transport: Transport, durability: Durability) -> House {
        House::build(so, transport, durability, SupervisorConfig::new())
    }

    /// All as usual, but that no worker is made ahead.
    pub(crate) fn with_none_ahead(so: &Path) -> House {
        House::build(so, Transport::Ring, Durability::Process, SupervisorConfig::new().workers_ahead(0))
    }

    /// Each of its workers is executed afresh and laid out anew, and nothing is made ahead beside it.
    pub(crate) fn laid_out_anew(so: &Path) -> House {
        let options = PluginOptions {
            transport: Some(Transport::Ring),
            durability: Some(Durability::Process),
            fresh_aslr: Some(true),
            ..PluginOptions::default()
        };
        House::build_with(so, options, SupervisorConfig::new().workers_ahead(0))
    }

    fn build(so: &Path, transport: Transport, durability: Durability, config: SupervisorConfig) -> House {
        let options = PluginOptions {
            transport: Some(transport),
            durability: Some(durability),
            ..PluginOptions::default()
        };
        House::build_with(so, options, config)
    }

    pub(crate) fn build_with(so: &Path, options: PluginOptions, config: SupervisorConfig) -> House {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let state = tempfile::tempdir().expect("a directory");
        let plugin = so.file_stem().and_then(|stem| stem.to_str()).expect("a name");
        let plugin = plugin.trim_start_matches("lib").to_owned();
        let config =
            config.worker_binary(artifacts().worker()).state_dir(state.path()).plugin(&plugin, options);
        let supervisor = Supervisor::start(config, runtime.handle().clone()).expect("a supervisor");
        runtime.block_on(supervisor.load(so)).expect("the plugin loads");
        let client = Client::embedded(supervisor.backend());
        House { supervisor, client, runtime, plugin, _state: state }
    }

    pub(crate) fn session(&self) -> Session {
        self.client.open(&self.plugin, "{}", OpenOptions::default()).expect("a session")
    }

    /// Another worker serves from now on.
    pub(crate) fn fresh_worker(&self) {
        self.client.restart(&self.plugin).expect("it restarts");
    }

    /// The process id of the worker that serves, as soon as all of these sessions are there, or on their way.
    pub(crate) fn serving(&self, sessions: usize) -> u32 {
        loop {
            let workers = self.client.workers().expect("workers");
            let all = |worker: &&WorkerInfo| worker.state == "serving" && worker.sessions == sessions as u64;
            if let Some(worker) = workers.iter().find(all) {
                return worker.pid;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// For tasks.
    pub(crate) fn async_session(&self) -> croupier_client::Session {
        let client = croupier_client::Client::embedded(self.supervisor.backend());
        let open = async { client.open(&self.plugin, "{}", OpenOptions::default()).await };
        self.runtime.block_on(open).expect("a session")
    }

    pub(crate) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Another plugin beside.
    pub(crate) fn load(&self, so: &Path) {
        self.runtime.block_on(self.supervisor.load(so)).expect("the plugin loads");
    }

    /// Loads these at once.
    pub(crate) fn load_all(&self, files: &[std::path::PathBuf]) {
        let loads = files.iter().map(|so| {
            let (supervisor, so) = (self.supervisor.clone(), so.clone());
            self.runtime.spawn(async move { supervisor.load(&so).await })
        });
        let loads: Vec<_> = loads.collect();
        for load in loads {
            self.runtime.block_on(load).expect("no panic").expect("the plugin loads");
        }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn close(self) {
        self.runtime.block_on(self.supervisor.shutdown());
    }
}
