//! Threads where no user namespaces are to be had: RLIMIT_NPROC counts users then, not processes.
//!
//! The daemon runs in a user namespace in which no other can be made, with all users of this system in it or with one alone: root, and an ordinary user.
#![allow(clippy::print_stdout, reason = "tests say why they skip")]

use std::fs;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::bench::{alone, faulty, root, worker};
use crate::cgroups::wait_until;

/// `pthread_create` beyond the limit.
const REFUSED: &str = "-11";

/// A daemon, its directory and its log.
struct Daemon {
    child: Child,
    home: tempfile::TempDir,
}

impl Daemon {
    /// With these user ids in its namespace, as uid_map has them. It loads `libfaulty.so`, and `libthreads.so`, which may have four threads.
    fn start(users: &str) -> Daemon {
        let home = tempfile::tempdir().expect("a directory");
        let path = |name: &str| home.path().join(name);
        fs::create_dir(path("plugins")).expect("room");
        fs::copy(faulty(), path("plugins/libfaulty.so")).expect("copies");
        attacker(&path("plugins/libthreads.so"));
        let config = format!(
            "cgroup = \"off\"\nworker = {:?}\nplugin_dirs = [\"plugins\"]\nstate_dir = \"state\"\nsocket = \"run/control.sock\"\n",
            worker()
        );
        fs::write(path("croupier.toml"), config).expect("room");
        // Once its users are there, whoever executes something is root in it.
        let serve = format!(
            "read go && exec sh -c 'echo 0 > /proc/sys/user/max_user_namespaces && exec {} serve --config croupier.toml 2> log'",
            env!("CARGO_BIN_EXE_croupier")
        );
        let mut child = Command::new("unshare")
            .args(["--user", "sh", "-c", &serve])
            .current_dir(home.path())
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("unshare runs");
        let pid = child.id();
        let ours = fs::read_link("/proc/self/ns/user").expect("a link");
        wait_until("a namespace is awaited", || {
            fs::read_link(format!("/proc/{pid}/ns/user")).is_ok_and(|theirs| theirs != ours)
        });
        for map in ["uid_map", "gid_map"] {
            fs::write(format!("/proc/{pid}/{map}"), users).expect("root may");
        }
        child.stdin.take().expect("a pipe").write_all(b"go\n").expect("it reads");
        let daemon = Daemon { child, home };
        wait_until("a daemon is awaited", || daemon.ask(&["status"]).is_some());
        daemon
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// What a verb answers; none when it fails.
    fn ask(&self, arguments: &[&str]) -> Option<String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_croupier"));
        command.arg(arguments[0]).arg("--socket").arg(self.path("run/control.sock")).args(&arguments[1..]);
        let told = command.output().expect("runs");
        told.status.success().then(|| String::from_utf8(told.stdout).expect("UTF-8"))
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM);
        let _ = self.child.wait();
        if std::thread::panicking() {
            println!("{}", self.log());
        }
    }
}

/// The plugin that attacks on command, with the permission to have four threads.
fn attacker(into: &Path) {
    let built = Command::new("cc")
        .current_dir(root().join("supervisor/tests/jailed"))
        .args(["-std=gnu11", "-O1", "-w", "-fPIC", "-shared", "-pthread", "-I"])
        .arg(root().join("plugin-abi/include"))
        .args([
            "-I",
            "../../../plugins/dice",
            "-DREQUEST=\"\\\"threads\\\"\"",
            "-DISOLATION=\"\"",
            "-DTHREADS=\"4\"",
        ])
        .arg("-o")
        .arg(into)
        .arg("attack.c")
        .status();
    assert!(built.expect("cc runs").success());
}

#[test]
fn without_user_namespaces_threads_are_limited_for_who_has_a_user_of_its_own_and_refused_otherwise() {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: daemons without user namespaces: only root can write their maps");
        return;
    }
    let _alone = alone();
    // Everybody: workers get users of their own, so that RLIMIT_NPROC counts theirs alone.
    let daemon = Daemon::start("0 0 200000");
    let workers = daemon.ask(&["workers"]).expect("workers");
    assert!(workers.contains("own user") && workers.contains("user namespace ("), "{workers}");
    assert!(daemon.ask(&["call", "--open", "hostile", "--config", "{}"]).is_some(), "{}", daemon.log());
    let threads = daemon.ask(&["call", "1", "--player", "1", "\"thread_bomb\""]).expect("plays");
    assert_eq!(threads.trim(), REFUSED);
    drop(daemon);
    // One alone: it would count everything of that user's, so it is not set, and who may make threads is not let in.
    let daemon = Daemon::start("0 0 1");
    let workers = daemon.ask(&["workers"]).expect("workers");
    assert!(workers.contains("faulty") && !workers.contains("hostile"), "{workers}");
    assert!(daemon.log().contains("the number of its threads is not limited"), "{}", daemon.log());
}
