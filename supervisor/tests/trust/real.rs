//! The real binary, a real worker, real plugins, in a directory of their own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// Longest that a supervisor may take to come up on a busy machine.
const UP_MAX: Duration = Duration::from_secs(30);

/// Set where an ordinary user runs copies of the binaries, beside the test's own directory.
pub(crate) const ORDINARY: &str = "CROUPIER_TEST_ORDINARY";

/// Where cargo puts binaries: this test runs from its `deps`.
pub(crate) fn target_dir() -> PathBuf {
    let exe = std::env::current_exe().expect("a path");
    exe.parent().and_then(Path::parent).expect("two directories up").to_owned()
}

/// A file that cargo builds, built if this test was built without it.
fn built(file: &str, package: &str) -> PathBuf {
    static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one = ONE_AT_A_TIME.lock();
    let path = target_dir().join(file);
    if !path.is_file() {
        let done = Command::new(env!("CARGO"))
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace"))
            .args(["build", "-p", package, "--target-dir"])
            .arg(target_dir().parent().expect("a target directory"))
            .status()
            .expect("cargo runs");
        assert!(done.success(), "cargo builds {package}");
    }
    path
}

/// The binary that is tested.
pub(crate) fn croupier_binary() -> PathBuf {
    match std::env::var_os(ORDINARY) {
        Some(_) => target_dir().join("croupier"),
        None => env!("CARGO_BIN_EXE_croupier").into(),
    }
}

/// The plugin that misbehaves on command.
pub(crate) fn faulty() -> PathBuf {
    built("libfaulty.so", "croupier-plugin-faulty")
}

/// What plays them.
pub(crate) fn worker() -> PathBuf {
    built("croupier-worker", "croupier-worker")
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// `croupier` with these words and no supervisor.
pub(crate) fn croupier(words: &[&str]) -> Output {
    let mut command = Command::new(croupier_binary());
    command.args(words).stdin(Stdio::null()).output().expect("croupier runs")
}

/// A supervisor.
pub(crate) struct Real {
    pub(crate) dir: tempfile::TempDir,
    child: Option<Child>,
}

impl Real {
    /// Starts one with this config, beside what every config needs.
    pub(crate) fn start(config: &str) -> Real {
        let mut real = Real { dir: tempfile::tempdir().expect("a directory"), child: None };
        real.again(config);
        real
    }

    /// Starts another one on the same state.
    pub(crate) fn again(&mut self, config: &str) {
        assert!(self.child.is_none(), "one at a time");
        let worker = worker();
        let whole = format!(
            "state_dir = \"state\"\nsocket = \"control.sock\"\nworker = {:?}\n{config}",
            worker.display().to_string()
        );
        std::fs::write(self.path("croupier.toml"), whole).expect("writes");
        let log = std::fs::File::create(self.path("log")).expect("makes");
        let child = Command::new(croupier_binary())
            .args(["serve", "--config"])
            .arg(self.path("croupier.toml"))
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("croupier runs");
        self.child = Some(child);
        let deadline = Instant::now() + UP_MAX;
        while !self.path("control.sock").exists() {
            let ended = self.child.as_mut().expect("started").try_wait().expect("waits");
            assert!(ended.is_none() && Instant::now() < deadline, "it does not come up: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Runs a verb.
    pub(crate) fn run(&self, words: &[&str]) -> Output {
        let socket = self.path("control.sock").display().to_string();
        croupier(&[&["--socket", &socket], words].concat())
    }

    /// Runs a verb that must succeed.
    pub(crate) fn ok(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert!(output.status.success(), "{words:?}: {output:?}; log: {}", self.log());
        text(&output.stdout)
    }

    /// Runs a verb that must succeed, and reads its JSON.
    pub(crate) fn json(&self, words: &[&str]) -> Value {
        serde_json::from_str(&self.ok(&[&["--json"], words].concat())).expect("JSON")
    }

    /// Runs a verb that must fail, and says how.
    pub(crate) fn fails(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert_eq!(output.status.code(), Some(1), "{words:?}: {output:?}");
        text(&output.stderr)
    }

    /// Every record of the audit log; looks until `until` is satisfied, because records are written behind what they are about.
    pub(crate) fn audit(&self, until: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let deadline = Instant::now() + UP_MAX;
        let state = self.path("state").display().to_string();
        loop {
            let output = croupier(&["audit", "--format", "json", "--state-dir", &state]);
            let read = |line: &str| serde_json::from_str(line).expect("JSON");
            let records: Vec<Value> = text(&output.stdout).lines().map(read).collect();
            // A record may be half written at this very moment.
            if output.status.success() && until(&records) {
                return records;
            }
            assert!(Instant::now() < deadline, "the record does not come: {records:#?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        child.kill().expect("is there");
        child.wait().expect("waits");
    }

    /// Ends it in order.
    pub(crate) fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).expect("is there");
        assert!(child.wait().expect("waits").success(), "{}", self.log());
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The records of this kind: what is in them.
pub(crate) fn of_kind<'a>(records: &'a [Value], kind: &str) -> Vec<&'a Value> {
    records.iter().filter_map(|record| record["what"].get(kind)).collect()
}

/// A number in JSON, which here is text of any precision.
pub(crate) fn number(value: &Value) -> u64 {
    value.to_string().parse().unwrap_or_else(|_| panic!("{value} is no number"))
}
