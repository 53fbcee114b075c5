//! One `croupier serve` of the test's own: its directory, its sockets, its log.
//!
//! ```text
//!  Setup ─start─▶ Daemon ─stop─▶ Stopped
//!                   └─ drop ─▶ killed; waits until no child is left; prints the log when the test has failed
//! ```

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use croupier_client::blocking::{Client, Session};
use croupier_client::{ClientId, ConnectOptions, OpenOptions, Reconnect, StatusInfo, WorkerInfo};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::artifacts::{Plugin, artifacts};
use crate::procs::{self, Proc};
use crate::ran::Ran;
use crate::small_disk::SmallDisk;
use crate::{PATIENCE, wait_for};

/// Lines of the log that are shown when a test fails.
const LOG_LINES_SHOWN: usize = 60;

/// A daemon to be.
#[derive(Debug)]
pub struct Setup {
    small_disk: Option<SmallDisk>,
    directory: TempDir,
    config: String,
    environment: Vec<(String, String)>,
    arguments: Vec<String>,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup::new()
    }
}

impl Setup {
    /// Without plugins.
    ///
    /// # Panics
    /// When there is no room for a directory. So for all here.
    pub fn new() -> Setup {
        let directory = tempfile::Builder::new().prefix("croupier-e2e-").tempdir().expect("a directory");
        std::fs::create_dir(directory.path().join("plugins")).expect("a directory of plugins");
        Setup {
            small_disk: None,
            directory,
            config: String::new(),
            environment: Vec::new(),
            arguments: Vec::new(),
        }
    }

    /// With this plugin in its plugin directory.
    #[must_use]
    pub fn plugin(self, plugin: Plugin) -> Setup {
        self.file(&plugin.file())
    }

    /// Where everything of it will be.
    pub fn dir(&self) -> &Path {
        self.directory.path()
    }

    /// With this file in its plugin directory.
    #[must_use]
    pub fn file(self, file: &Path) -> Setup {
        let to = self.directory.path().join("plugins").join(file.file_name().expect("a file"));
        std::fs::copy(file, to).expect("room for a plugin");
        self
    }

    /// With its journal on a file system of `mib` MiB. Only in [`in_namespace`](crate::small_disk::in_namespace).
    #[must_use]
    pub fn journal_on_small_disk(mut self, mib: u64) -> Setup {
        self.small_disk = Some(SmallDisk::mount(&self.dir().join("state/journal"), mib));
        self
    }

    /// With these lines of TOML at the end of its config.
    #[must_use]
    pub fn config(mut self, lines: &str) -> Setup {
        self.config.push_str(lines);
        self.config.push('\n');
        self
    }

    /// With this in its environment.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Setup {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With these arguments of `serve`.
    #[must_use]
    pub fn serve_with(mut self, arguments: &[&str]) -> Setup {
        self.arguments.extend(arguments.iter().map(|&argument| argument.to_owned()));
        self
    }

    /// Starts it and waits until `croupier status` answers.
    #[must_use]
    pub fn start(self) -> Daemon {
        let dir = self.directory.path();
        let config = dir.join("croupier.toml");
        let text = format!(
            "plugin_dirs = [{plugins:?}]\nstate_dir = {state:?}\nsocket = {socket:?}\ntraffic_socket = {traffic:?}\nworker = {worker:?}\n{more}",
            plugins = dir.join("plugins"),
            state = dir.join("state"),
            socket = dir.join("control.sock"),
            traffic = dir.join("traffic.sock"),
            worker = artifacts().worker(),
            more = self.config,
        );
        std::fs::write(&config, text).expect("room for a config");
        let log = dir.join("log");
        let how = How { config, log, environment: self.environment, arguments: self.arguments };
        let child = Some(how.serve());
        let mut daemon = Daemon { child, small_disk: self.small_disk, directory: self.directory, how };
        daemon.wait_until_up();
        daemon
    }
}

/// How it is started.
#[derive(Debug)]
struct How {
    config: PathBuf,
    log: PathBuf,
    environment: Vec<(String, String)>,
    arguments: Vec<String>,
}

impl How {
    /// Starts `croupier serve`; its output is appended to the log.
    fn serve(&self) -> Child {
        let out = File::options().create(true).append(true).open(&self.log).expect("a log file");
        let err = out.try_clone().expect("a descriptor");
        Command::new(artifacts().croupier())
            .args(["serve", "--config"])
            .arg(&self.config)
            .args(&self.arguments)
            .env_remove("CROUPIER_LOG")
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .expect("croupier starts")
    }
}

/// A running supervisor.
#[derive(Debug)]
pub struct Daemon {
    child: Option<Child>,
    // Before the directory in which it is mounted: dropped in this order.
    small_disk: Option<SmallDisk>,
    directory: TempDir,
    how: How,
}

impl Daemon {
    /// One with these plugins and nothing special.
    #[must_use]
    pub fn with(plugins: &[Plugin]) -> Daemon {
        plugins.iter().fold(Setup::new(), |setup, plugin| setup.plugin(*plugin)).start()
    }

    fn wait_until_up(&mut self) {
        let start = Instant::now();
        loop {
            let child = self.child.as_mut().expect("it was started");
            if let Some(status) = child.try_wait().expect("our child") {
                panic!("the supervisor ended at once ({status}):\n{}", self.log());
            }
            if self.control().exists() && self.cli(["status", "--json"]).code == 0 {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "the supervisor does not answer:\n{}", self.log());
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    /// Its process id.
    ///
    /// # Panics
    /// When it was stopped.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// Its directory; everything of it is there.
    pub fn dir(&self) -> &Path {
        self.directory.path()
    }

    /// The small file system of its journal.
    ///
    /// # Panics
    /// When it has none.
    pub fn small_disk(&self) -> &SmallDisk {
        self.small_disk.as_ref().expect("the setup had one")
    }

    /// Its directory of state.
    pub fn state_dir(&self) -> PathBuf {
        self.dir().join("state")
    }

    /// Its config file.
    pub fn config_file(&self) -> &Path {
        &self.how.config
    }

    /// Its control socket.
    pub fn control(&self) -> PathBuf {
        self.dir().join("control.sock")
    }

    /// Its traffic socket.
    pub fn traffic(&self) -> PathBuf {
        self.dir().join("traffic.sock")
    }

    /// All that it has logged.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.how.log).unwrap_or_default()).into_owned()
    }

    /// A client on the control socket.
    ///
    /// # Panics
    /// When it does not answer. So for all here.
    pub fn client(&self) -> Client {
        Client::connect_with(
            self.control(),
            ConnectOptions { program: "e2e".into(), ..ConnectOptions::default() },
        )
        .expect("the control socket answers")
    }

    /// A client on the traffic socket.
    pub fn player(&self) -> Client {
        Client::connect(self.traffic()).expect("the traffic socket answers")
    }

    /// Opens a session over the traffic socket.
    #[track_caller]
    pub fn open(&self, plugin: Plugin, config: &str) -> Session {
        self.player().open(plugin.name(), config, OpenOptions::default()).expect("a session")
    }

    /// Runs a verb.
    pub fn cli<const N: usize>(&self, arguments: [&str; N]) -> Ran {
        Ran::croupier(Some(&self.control()), arguments)
    }

    /// Runs a verb with `--json` that must succeed.
    #[track_caller]
    pub fn json<const N: usize>(&self, arguments: [&str; N]) -> Value {
        let ran = Ran::croupier(Some(&self.control()), arguments.into_iter().chain(["--json"]));
        assert_eq!(ran.code, 0, "{ran}");
        ran.json()
    }

    /// Runs a verb with `--json` that must be refused: its code and text.
    #[track_caller]
    pub fn refused<const N: usize>(&self, arguments: [&str; N]) -> (String, String) {
        Ran::croupier(Some(&self.control()), arguments.into_iter().chain(["--json"])).error()
    }

    /// Plays a script with these further arguments: the result, and the exit code.
    pub fn play(&self, script: &Path, arguments: &[&str]) -> (Value, i32) {
        let script = script.to_str().expect("a path in UTF-8");
        let ran = Ran::croupier(
            Some(&self.control()),
            ["play", script, "--json"].into_iter().chain(arguments.iter().copied()),
        );
        (ran.json(), ran.code)
    }

    /// The supervisor at a glance.
    #[track_caller]
    pub fn status(&self) -> StatusInfo {
        self.client().status().expect("status")
    }

    /// Its workers, of one plugin if it is named.
    #[track_caller]
    pub fn workers(&self, plugin: Option<Plugin>) -> Vec<WorkerInfo> {
        let mut workers = self.client().workers().expect("workers");
        workers.retain(|worker| plugin.is_none_or(|plugin| worker.plugin == plugin.name()));
        workers
    }

    /// Kills a worker by its process id, if it is ours. Whether the signal was sent.
    pub fn kill_worker(&self, pid: u32) -> bool {
        procs::signal_child(self.pid(), pid, Signal::KILL)
    }

    /// Kills the plugin's serving worker, and waits until it is gone.
    #[track_caller]
    pub fn kill_worker_of(&self, plugin: Plugin) {
        let worker = wait_for("a serving worker", || {
            self.workers(Some(plugin)).into_iter().find(|worker| worker.state == "serving" && worker.pid != 0)
        });
        let process = Proc::of(worker.pid);
        assert!(self.kill_worker(worker.pid), "{worker:?} is our child");
        wait_for("the worker's end", || process.is_none_or(|process| !process.lives()).then_some(()));
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(self.child.as_ref().expect("it runs"));
        kill_process(pid, signal).expect("our child");
    }

    /// Waits until it ends by itself: how it ended, and which of its children are left after a while.
    pub fn wait(mut self) -> Stopped {
        let children = procs::descendants(self.pid());
        let mut child = self.child.take().expect("it runs");
        let status = wait_for("the supervisor's end", || child.try_wait().expect("our child"));
        Stopped { status, left: outlived(&children), daemon: self }
    }

    /// Asks it to end, and waits.
    pub fn stop(self) -> Stopped {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Kills it, without asking, and starts it again on the same directory.
    ///
    /// # Panics
    /// When a worker outlives it, or it does not come up again.
    pub fn die_and_rise(&mut self) {
        let children = procs::descendants(self.pid());
        self.signal(Signal::KILL);
        self.child.take().expect("it runs").wait().expect("our child");
        assert_eq!(outlived(&children), [], "workers outlived their supervisor");
        self.child = Some(self.how.serve());
        self.wait_until_up();
    }

    /// Stops it as planned, and starts it again on the same directory.
    ///
    /// # Panics
    /// When it does not stop in order, a worker outlives it, or it does not come up again.
    pub fn stop_and_rise(&mut self) {
        let children = procs::descendants(self.pid());
        self.signal(Signal::TERM);
        let child = self.child.as_mut().expect("it runs");
        let status = wait_for("the supervisor's end", || child.try_wait().expect("our child"));
        assert!(status.success(), "{status}");
        assert_eq!(outlived(&children), [], "workers outlived their supervisor");
        self.child = Some(self.how.serve());
        self.wait_until_up();
    }

    /// A client on the traffic socket that waits for the supervisor to come back for as long as any test waits.
    ///
    /// # Panics
    /// When it does not answer now.
    pub fn patient_player(&self, client: ClientId) -> Client {
        let delay = Duration::from_millis(50);
        let attempts = u32::try_from(PATIENCE.as_millis() / delay.as_millis()).unwrap_or(u32::MAX);
        let reconnect = Reconnect { attempts, delay, delay_max: delay };
        let options = ConnectOptions { client_id: client, reconnect, ..ConnectOptions::default() };
        Client::connect_with(self.traffic(), options).expect("the traffic socket answers")
    }

    /// Kills it, without asking.
    pub fn crash(self) -> Stopped {
        self.signal(Signal::KILL);
        self.wait()
    }
}

/// Children that still run after a while.
fn outlived(children: &[Proc]) -> Vec<Proc> {
    let start = Instant::now();
    while children.iter().any(|child| child.lives()) && start.elapsed() < PATIENCE {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    children.iter().copied().filter(|child| child.lives()).collect()
}

/// A supervisor that has ended; its directory is still there.
#[derive(Debug)]
pub struct Stopped {
    /// How.
    pub status: ExitStatus,
    /// Children that outlived it.
    pub left: Vec<Proc>,
    /// Its files. It can be started again.
    pub daemon: Daemon,
}

impl Stopped {
    /// Starts it again on the same directory, and does not wait until it is up.
    #[must_use]
    pub fn begin_again(self) -> Daemon {
        let mut daemon = self.daemon;
        daemon.child = Some(daemon.how.serve());
        daemon
    }

    /// Starts it again on the same directory.
    ///
    /// # Panics
    /// When it does not come up.
    #[must_use]
    pub fn start_again(self) -> Daemon {
        let mut daemon = self.daemon;
        daemon.child = Some(daemon.how.serve());
        daemon.wait_until_up();
        daemon
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let from = lines.len().saturating_sub(LOG_LINES_SHOWN);
            println!("--- the supervisor's log, last lines\n{}\n---", lines[from..].join("\n"));
        }
        let Some(mut child) = self.child.take() else { return };
        let children = procs::descendants(child.id());
        let _ = child.kill();
        let _ = child.wait();
        let left = outlived(&children);
        for proc in &left {
            // They were its children a moment ago, and nobody has had their numbers since: their start times are the same.
            if let Some(pid) = i32::try_from(proc.pid).ok().and_then(Pid::from_raw) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        if !std::thread::panicking() {
            assert!(left.is_empty(), "workers outlived their supervisor: {left:?}");
        }
    }
}
