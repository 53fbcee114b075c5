//! `croupier crash ID --gdb`.
#![allow(clippy::print_stdout, reason = "tests say why they skip")]

use std::process::{Command, Stdio};

use crate::real::{croupier_binary, text};
use crate::table::{USUAL, crash, crasher, with_plugin, with_state};

#[test]
fn gdb_stops_at_the_same_function() {
    if Command::new("gdb").arg("--version").output().is_err() {
        println!("skipped: croupier crash --gdb: there is no gdb on the PATH");
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let mut real = with_plugin("", &crasher(dir.path(), USUAL));
    let report = crash(&real, "null");
    let id = report["id"].as_str().expect("text");
    // Without the supervisor too.
    real.stop();
    let run = with_state(&real, &["crash", id, "--gdb", "--batch"]);
    let said = text(&run.stdout);
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    assert!(said.contains("without its jail"), "{said}");
    let line = |wanted: &str| {
        let found = said.lines().position(|line| line.starts_with('#') && line.contains(wanted));
        found.unwrap_or_else(|| panic!("{wanted}: {said}"))
    };
    let lines = [line("inner_null"), line("middle_null"), line(" action"), line("croupier_worker::serve")];
    assert!(
        lines.is_sorted() && said.lines().nth(lines[0]).is_some_and(|line| line.starts_with("#0 ")),
        "{said}"
    );
    assert!(said.contains("rip "), "registers: {said}");
}

#[test]
fn without_gdb_it_is_said_what_to_do() {
    let dir = tempfile::tempdir().expect("a directory");
    let real = with_plugin("", &crasher(dir.path(), USUAL));
    let report = crash(&real, "null");
    let run = Command::new(croupier_binary())
        .args(["crash", report["id"].as_str().expect("text"), "--gdb", "--batch", "--state-dir"])
        .arg(real.path("state"))
        .env("PATH", dir.path())
        .stdin(Stdio::null())
        .output()
        .expect("croupier runs");
    let said = text(&run.stderr);
    assert_eq!(run.status.code(), Some(1), "{run:?}");
    assert!(said.contains("no gdb") && said.contains("--replay"), "{said}");
}
