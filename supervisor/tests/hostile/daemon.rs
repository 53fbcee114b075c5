//! A `croupier serve` of one test's own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use croupier_client::blocking::Client;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::bench::{faulty, worker};

/// Longest wait for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What is started, and how.
pub(crate) struct Setup {
    pub(crate) dir: tempfile::TempDir,
    config: String,
    worker: PathBuf,
    /// A line of shell before `exec croupier serve`.
    before: String,
    arguments: Vec<String>,
}

impl Setup {
    /// With the faulty plugin in its directory.
    pub(crate) fn new() -> Setup {
        let dir = tempfile::Builder::new().prefix("hostile-").tempdir().expect("a directory");
        std::fs::create_dir(dir.path().join("plugins")).expect("a directory");
        std::fs::copy(faulty(), dir.path().join("plugins/libfaulty.so")).expect("room");
        Setup { dir, config: String::new(), worker: worker(), before: String::new(), arguments: vec![] }
    }

    pub(crate) fn config(mut self, lines: &str) -> Setup {
        self.config.push_str(lines);
        self
    }

    pub(crate) fn worker(mut self, make: impl FnOnce(&Path) -> PathBuf) -> Setup {
        self.worker = make(self.dir.path());
        self
    }

    pub(crate) fn before(mut self, shell: &str) -> Setup {
        shell.clone_into(&mut self.before);
        self
    }

    pub(crate) fn arguments(mut self, arguments: &[&str]) -> Setup {
        self.arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        self
    }

    /// Starts it, ready or not.
    pub(crate) fn launch(self) -> Daemon {
        let dir = self.dir.path();
        let config = dir.join("croupier.toml");
        let text = format!(
            "plugin_dirs = ['plugins']\nstate_dir = 'state'\nsocket = 'control.sock'\nworker = {:?}\n{}",
            self.worker, self.config
        );
        std::fs::write(&config, text).expect("room");
        let log = std::fs::File::create(dir.join("log")).expect("room");
        let child = Command::new("sh")
            .args([
                "-c",
                &format!("{}\nexec \"$@\"", self.before),
                "sh",
                env!("CARGO_BIN_EXE_croupier"),
                "serve",
            ])
            .arg("--config")
            .arg(&config)
            .args(&self.arguments)
            .env("CROUPIER_LOG", "trace")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a descriptor"))
            .stderr(log)
            .spawn()
            .expect("starts");
        Daemon { child: Some(child), dir: self.dir }
    }

    /// Starts it and waits until it is ready.
    pub(crate) fn start(self) -> Daemon {
        let mut daemon = self.launch();
        wait_for("the supervisor", || {
            let ended = daemon.child.as_mut().and_then(|child| child.try_wait().expect("our child"));
            assert!(ended.is_none(), "it ended: {}", daemon.log());
            daemon.log().contains(" ready ").then_some(())
        });
        daemon
    }
}

/// A running one.
pub(crate) struct Daemon {
    child: Option<Child>,
    pub(crate) dir: tempfile::TempDir,
}

impl Daemon {
    pub(crate) fn start() -> Daemon {
        Setup::new().start()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn traffic(&self) -> PathBuf {
        self.path("traffic.sock")
    }

    pub(crate) fn control(&self) -> PathBuf {
        self.path("control.sock")
    }

    pub(crate) fn operator(&self) -> Client {
        Client::connect(self.control()).expect("the control socket answers")
    }

    pub(crate) fn player(&self) -> Client {
        Client::connect(self.traffic()).expect("the traffic socket answers")
    }

    /// What it wrote, in readable form: the log without colours.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.path("log")).unwrap_or_default()).into_owned()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid() as i32), signal).expect("our child");
    }

    /// Waits until it has ended by itself.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("it runs");
        wait_for("its end", || child.try_wait().expect("our child"))
    }

    /// Ends it in order, and sees that it leaves no process.
    pub(crate) fn end(mut self) {
        let workers = self.workers();
        self.signal(Signal::SIGTERM);
        let status = self.wait();
        assert!(status.success(), "{status}: {}", self.log());
        gone(&workers);
    }

    /// Process ids of its workers.
    pub(crate) fn workers(&self) -> Vec<u32> {
        // They are the zygote's children, and the zygote is the supervisor's.
        children(self.pid()).into_iter().flat_map(children).collect()
    }

    /// Resident memory, in KiB.
    pub(crate) fn rss_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// Open descriptors.
    pub(crate) fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("it runs").count()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// These processes have ended, or do so soon.
pub(crate) fn gone(pids: &[u32]) {
    wait_for("the workers' end", || {
        pids.iter().all(|pid| !Path::new(&format!("/proc/{pid}")).exists()).then_some(())
    });
}

/// Looks again and again.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let due = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < due, "waited {PATIENCE:?} for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn children(pid: u32) -> Vec<u32> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lines = tasks.flatten().filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    lines
        .flat_map(|line| line.split(' ').filter_map(|pid| pid.trim().parse().ok()).collect::<Vec<_>>())
        .collect()
}
