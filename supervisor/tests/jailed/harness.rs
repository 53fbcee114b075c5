//! Runs the rest of this program inside namespaces and limits of its own, so that a hole in the jail would not hurt the machine on which it is tested.
//!
//! Processes in there see themselves alone (pid 1 is the test program: its end is everybody's), mounts and names are their own, and there is an end to memory, files and time.
#![allow(clippy::print_stdout, reason = "the numbers are what it is for")]

use std::os::unix::fs::PermissionsExt as _;
use std::panic::catch_unwind;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::TESTS;
use crate::arena::worker;

/// Set for the tests inside.
const INSIDE: &str = "CROUPIER_TEST_INSIDE";
/// What is run again inside.
const THIS: &str = "harness::as_who_runs_the_tests";
/// An ordinary user.
const NOBODY: u32 = 65_534;
/// Namespaces of the suite. Not the network: the attacks want to reach something when nobody stops them.
const NAMESPACES: [&str; 7] =
    ["--pid", "--fork", "--kill-child", "--mount", "--mount-proc", "--ipc", "--uts"];
/// Limits of each of its processes: bytes of address space and of a file, no core files, descriptors, seconds of CPU time.
const LIMITS: [&str; 5] =
    ["--as=12884901888", "--fsize=1073741824", "--core=0", "--nofile=8192", "--cpu=900"];

/// For whoever makes a worker that attacks.
pub(crate) fn check_inside() {
    let inside = std::env::var_os(INSIDE).is_some() && std::process::id() == 1;
    assert!(inside, "attacks run inside namespaces of their own: run this test program's `harness` tests");
}

/// Inside: all of it, two at a time.
fn run_all() {
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((name, test)) = TESTS.get(next.fetch_add(1, Ordering::Relaxed)) {
                    // The panic has said why.
                    if catch_unwind(test).is_err() {
                        failed.lock().expect("no panic").push(*name);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("no panic");
    println!("jailed: {} of {} passed", TESTS.len() - failed.len(), TESTS.len());
    assert!(failed.is_empty(), "{failed:?}");
}

/// Runs the tests inside as this user; ourselves if it is none.
fn run_inside(user: Option<u32>) {
    let home = tempfile::tempdir().expect("a directory");
    // Directories on the way may be root's alone; the test program and the worker are copied out of them.
    let (test, worker_copy) = (home.path().join("deps/jailed"), home.path().join("croupier-worker"));
    std::fs::create_dir(home.path().join("deps")).expect("a directory");
    std::fs::copy(std::env::current_exe().expect("a path"), &test).expect("copies");
    std::fs::copy(worker(), &worker_copy).expect("copies");
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o755)).expect("ours");
    let scratch = home.path().join("scratch");
    std::fs::create_dir(&scratch).expect("a directory");
    let mut command = Command::new("unshare");
    if user.is_none() && !nix::unistd::geteuid().is_root() {
        // Only in a user namespace of one's own may an ordinary user make the others.
        command.args(["--user", "--map-current-user"]);
    }
    command.args(NAMESPACES).arg("prlimit").args(LIMITS);
    if let Some(user) = user {
        std::os::unix::fs::chown(&scratch, Some(user), Some(user)).expect("root may");
        command
            .arg("setpriv")
            .arg(format!("--reuid={user}"))
            .arg(format!("--regid={user}"))
            .arg("--clear-groups");
    }
    command.arg(&test).args(["--exact", THIS, "--nocapture"]);
    command.env(INSIDE, "1").env("TMPDIR", &scratch);
    let output = command.output().expect("unshare, prlimit and setpriv of util-linux can be started");
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "inside, as {user:?}:\n{text}");
    assert!(text.contains(&format!("{} of {} passed", TESTS.len(), TESTS.len())), "{text}");
    let told = |line: &&str| ["jailed:", "skipped:"].iter().any(|word| line.starts_with(word));
    text.lines().filter(told).for_each(|line| println!("{line}"));
    assert!(text.contains("jailed: as "), "the suite said its numbers: {text}");
}

#[test]
fn as_who_runs_the_tests() {
    if std::env::var_os(INSIDE).is_some() {
        return run_all();
    }
    run_inside(None);
}

#[test]
fn as_an_ordinary_user() {
    if nix::unistd::geteuid().is_root() {
        run_inside(Some(NOBODY));
    } else {
        println!(
            "skipped: as_an_ordinary_user: whoever runs the tests is one, and as_who_runs_the_tests is the same"
        );
    }
}
