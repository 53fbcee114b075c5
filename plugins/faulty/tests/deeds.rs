//! The crashes, each in a child process: this very test program, told by the environment what to do.
#![allow(clippy::disallowed_methods)] // a test, not a game: it starts processes and reads the environment

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};

use croupier_sdk::serde_json::{self, json};
use croupier_sdk::testing::{Checks, Table};
use faulty::Faulty;

/// The commands that the child plays, a JSON array; its last member may be `"restore"`.
const SCRIPT: &str = "FAULTY_TEST_SCRIPT";

/// Plays a script in a child and tells how that ended.
fn play(script: serde_json::Value) -> ExitStatus {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(SCRIPT, script.to_string())
        .output()
        .unwrap();
    // Marked as the child's: a reader of this run's results must not count them.
    for said in [output.stdout, output.stderr] {
        String::from_utf8_lossy(&said).lines().for_each(|line| println!("| {line}"));
    }
    output.status
}

/// The child of the other tests; as a test of its own it has nothing to do.
#[test]
fn child() {
    let Ok(script) = std::env::var(SCRIPT) else { return };
    let script: Vec<serde_json::Value> = serde_json::from_str(&script).unwrap();
    let mut table = Table::<Faulty>::open(json!({}), 1).unwrap();
    table.set_checks(Checks::Off);
    for command in script {
        if command == "restore" {
            let snapshot = table.snapshot();
            table.restore(&snapshot).unwrap();
        } else {
            table.act(1, command).unwrap();
        }
    }
}

#[test]
fn every_crash_ends_the_process_in_its_own_way() {
    for (script, signal) in [
        (json!([{"do":"count"}]), None),
        (json!([{"do":"segv"}]), Some(libc::SIGSEGV)),
        (json!([{"do":"abort"}]), Some(libc::SIGABRT)),
        (json!([{"do":"div0"}]), Some(libc::SIGFPE)),
        (json!([{"do":"sigkill"}]), Some(libc::SIGKILL)),
        (json!([{"do":"crash_if","player":1}]), Some(libc::SIGSEGV)),
        (json!([{"do":"crash_if","player":2}]), None),
        (json!([{"do":"crash_on_restore"}]), None),
        (json!([{"do":"crash_on_restore"}, "restore"]), Some(libc::SIGSEGV)),
        // The test table's time is long past, so it looks like a replay.
        (json!([{"do":"crash_on_replay"}]), Some(libc::SIGSEGV)),
    ] {
        let status = play(script.clone());
        assert_eq!(status.signal(), signal, "{script}: {status:?}");
    }
}

#[test]
fn a_stack_overflow_is_a_fault_signal() {
    let signal = play(json!([{"do":"overflow"}])).signal();
    // Rust's runtime, which a test has and a worker's game thread may have, turns the one into the other.
    assert!(signal == Some(libc::SIGSEGV) || signal == Some(libc::SIGABRT), "{signal:?}");
}

#[test]
fn an_exit_and_a_panic_are_no_signals() {
    assert_eq!(play(json!([{"do":"exit","code":3}])).code(), Some(3));
    // Here the test harness catches it; in a worker the SDK's glue ends the process.
    assert_eq!(play(json!([{"do":"panic","text":"boo"}])).code(), Some(101));
}
