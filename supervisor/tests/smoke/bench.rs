//! What the tests share: plugins and worker built, a supervisor in this process, and a look at what it leaves behind.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use croupier::{Supervisor, SupervisorConfig};
use croupier_client::blocking::Client;
use tokio::runtime::Runtime;

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace").to_owned()
}

/// Where cargo puts binaries: this test runs from its `deps`.
fn target_dir() -> PathBuf {
    let exe = std::env::current_exe().expect("a path");
    exe.parent().and_then(Path::parent).expect("two directories up").to_owned()
}

/// The worker.
pub(crate) fn worker() -> PathBuf {
    built("croupier-worker", "croupier-worker")
}

/// The plugin that misbehaves on command.
pub(crate) fn faulty() -> PathBuf {
    built("croupier-plugin-faulty", "libfaulty.so")
}

/// What cargo makes of another package, made now if this test was built without it.
fn built(package: &str, file: &str) -> PathBuf {
    let path = target_dir().join(file);
    if !path.is_file() {
        let built = Command::new(env!("CARGO"))
            .current_dir(root())
            .args(["build", "-p", package, "--target-dir"])
            .arg(target_dir().parent().expect("a target directory"))
            .status()
            .expect("cargo runs");
        assert!(built.success(), "cargo builds {package}");
    }
    path
}

/// Builds the C plugin into a directory.
pub(crate) fn dice(into: &Path) -> PathBuf {
    let so = into.join("libdice.so");
    let built = Command::new("cc")
        .current_dir(root().join("plugins/dice"))
        .args([
            "-std=c99",
            "-O2",
            "-fPIC",
            "-shared",
            "-fvisibility=hidden",
            "-I",
            "../../plugin-abi/include",
            "-I",
            ".",
        ])
        .arg("-o")
        .arg(&so)
        .arg("dice.c")
        .status()
        .expect("a C compiler is there");
    assert!(built.success(), "cc builds the plugin");
    so
}

/// A supervisor with a client and a directory of its own.
pub(crate) struct Bench {
    runtime: Runtime,
    supervisor: Supervisor,
    pub(crate) client: Client,
    pub(crate) dir: tempfile::TempDir,
    _alone: MutexGuard<'static, ()>,
}

/// Starts one. Tests look at this process's children, so within one process they run one after the other.
pub(crate) fn start(config: SupervisorConfig) -> Bench {
    let alone = alone();
    let dir = tempfile::tempdir().expect("a directory");
    let runtime = Runtime::new().expect("a runtime");
    let config = config.worker_binary(worker()).state_dir(dir.path().join("state"));
    let supervisor = Supervisor::start(config, runtime.handle().clone()).expect("a supervisor");
    let client = Client::embedded(supervisor.backend());
    Bench { runtime, supervisor, client, dir, _alone: alone }
}

impl Bench {
    /// Loads the plugin in C.
    pub(crate) fn load_dice(&self) {
        let so = dice(self.dir.path());
        let info = self.client.load(so.to_str().expect("UTF-8")).expect("loads");
        assert_eq!((info.name.as_str(), info.state.as_str()), ("dice", "running"));
        assert_eq!(info.workers.len(), 1);
    }

    /// The process of the only worker; 0 when there is none right now.
    pub(crate) fn pid(&self) -> u32 {
        self.client.workers().expect("workers").first().map_or(0, |worker| worker.pid)
    }

    /// Ends everything, and sees that no child is left.
    pub(crate) fn end(self) {
        let given_up = self.shut_down();
        assert_eq!(given_up, 0, "every game ended properly");
    }

    /// Ends everything, properly or not, and sees that no child is left. Says how many games had to be given up.
    pub(crate) fn shut_down(self) -> usize {
        let given_up = self.runtime.block_on(self.supervisor.shutdown());
        assert_eq!(children(), Vec::<String>::new());
        given_up
    }
}

/// Processes with one of these parents, dead ones too.
fn children_of(parents: &[String]) -> Vec<String> {
    let status = |entry: std::fs::DirEntry| std::fs::read_to_string(entry.path().join("stat")).ok();
    let all = std::fs::read_dir("/proc").expect("/proc").flatten().filter_map(status);
    // pid (comm) state ppid …
    let parent =
        |stat: &str| stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1).map(str::to_owned));
    let pid = |stat: String| stat.split(' ').next().expect("a pid").to_owned();
    all.filter(|stat| parent(stat).is_some_and(|parent| parents.contains(&parent))).map(pid).collect()
}

/// Children of this process, dead ones too: the zygote, if there is one.
pub(crate) fn children() -> Vec<String> {
    children_of(&[std::process::id().to_string()])
}

/// Children of the zygote, dead ones too.
pub(crate) fn workers() -> Vec<String> {
    children_of(&children())
}

static ALONE: Mutex<()> = Mutex::new(());

/// Holds the other tests of this process off.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}
