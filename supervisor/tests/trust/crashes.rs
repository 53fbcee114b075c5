//! Crash reports: written, bounded, shown, and run into again.
#![allow(clippy::print_stdout, reason = "tests say why they skip")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Output;

use serde_json::Value;

use crate::real::{Real, croupier, faulty, number, of_kind, text, worker};

/// `croupier` with the state of this supervisor.
fn with_state(real: &Real, words: &[&str]) -> Output {
    let (state, worker) = (real.path("state"), worker());
    let mut all = words.to_vec();
    all.extend(["--state-dir", state.to_str().expect("UTF-8")]);
    if words.contains(&"--replay") || words.contains(&"--gdb") {
        all.extend(["--worker", worker.to_str().expect("UTF-8")]);
    }
    croupier(&all)
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// All reports, once there are so many.
fn reports(real: &Real, count: usize) -> Vec<Value> {
    real.audit(|records| of_kind(records, "crash-reported").len() >= count);
    json(&with_state(real, &["--json", "crashes"]))["crashes"].as_array().expect("an array").clone()
}

fn session(real: &Real, config: &str) -> String {
    real.json(&["call", "--open", "faulty", "--config", config])["session"].to_string()
}

#[test]
fn a_crash_is_reported_from_outside_and_run_into_again() {
    let mut real = Real::start("[plugins.faulty]\nsnapshot_turns = 3\n[plugins.faulty.settings]\n");
    real.ok(&["load", faulty().to_str().expect("UTF-8")]);
    let pid = real.json(&["workers"])["workers"][0]["pid"].clone();
    let table = session(&real, "{}");
    for _ in 0..4 {
        real.ok(&["call", &table, "--player", "0", r#"{"do":"count"}"#]);
    }
    real.fails(&["call", &table, "--player", "0", r#"{"do":"segv"}"#]);
    let all = reports(&real, 2);
    let report = &all[0];
    assert_eq!((&report["plugin"], &report["pid"]), (&"faulty".into(), &pid));
    assert_eq!((number(&report["cause"]["signal"]), report["cause"]["counts"].as_bool()), (11, Some(true)));
    let call = &report["last_call"];
    assert_eq!((&call["what"], number(&call["seq"]), number(&call["kind"])), (&"turn".into(), 6, 3));
    assert_eq!(number(&report["limits"]["memory_mib"]), 256);
    assert!(report["isolation"].as_str().is_some_and(|text| text.contains("seccomp")), "{report}");

    // Its files are its owner's alone, and hold the session, but never the server's secret.
    let folder = real.path("state/crashes").join(report["id"].as_str().expect("text"));
    let mode = |path: &PathBuf| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&folder.join("replay.json"))), (0o700, 0o600));
    assert!(std::fs::read_to_string(folder.join("maps.txt")).expect("maps").contains("croupier-worker"));
    let case: Value =
        serde_json::from_slice(&std::fs::read(folder.join("replay.json")).expect("reads")).expect("JSON");
    assert!(case["session"]["snapshot"].is_string());
    let seqs: Vec<u64> =
        case["session"]["turns"].as_array().expect("turns").iter().map(|turn| number(&turn["seq"])).collect();
    assert_eq!(seqs.last(), Some(&6), "{seqs:?}");
    assert!(seqs[0] > 1, "it begins behind the snapshot: {seqs:?}");

    // Without a supervisor too.
    real.stop();
    let id = report["id"].as_str().expect("text");
    let shown = text(&with_state(&real, &["crash", id]).stdout);
    assert!(shown.contains("turn 6 of session") && shown.contains("fault signal 11"), "{shown}");
    let again = with_state(&real, &["crash", id, "--replay"]);
    assert_eq!(again.status.code(), Some(0), "{again:?}");
    assert!(text(&again.stdout).contains("it crashed again, at turn 6"), "{again:?}");
    assert!(!text(&again.stdout).contains("deterministic"), "{again:?}");
    assert_eq!(with_state(&real, &["crash", "../x"]).status.code(), Some(1));
}

#[test]
fn a_kill_from_outside_is_reported_and_does_not_happen_again() {
    let real = Real::start("");
    real.ok(&["load", faulty().to_str().expect("UTF-8")]);
    let table = session(&real, "{}");
    let (dir, table_of) = (real.path("control.sock"), table.clone());
    let sleeper = std::thread::spawn(move || {
        let socket = dir.to_str().expect("UTF-8").to_owned();
        croupier(&["--socket", &socket, "call", &table_of, "--player", "0", r#"{"do":"sleep","ms":1500}"#])
    });
    // Until the turn is in the worker.
    while number(&real.json(&["workers"])["workers"][0]["in_flight"]) == 0 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let pid = number(&real.json(&["workers"])["workers"][0]["pid"]) as i32;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL)
        .expect("kills");
    assert!(sleeper.join().expect("no panic").status.success(), "the turn is played all the same");
    let all = reports(&real, 1);
    assert_eq!(all[0]["cause"]["counts"].as_bool(), Some(false), "{}", all[0]);
    let again = with_state(&real, &["crash", "last", "--replay"]);
    assert_eq!(again.status.code(), Some(3), "{again:?}");
    assert!(text(&again.stdout).contains("did not crash"), "{again:?}");
    if std::process::Command::new("gdb").arg("--version").output().is_ok() {
        let debugged = with_state(&real, &["crash", "last", "--gdb", "--batch"]);
        assert_eq!(debugged.status.code(), Some(3), "{debugged:?}");
    } else {
        println!("skipped: croupier crash --gdb of what does not crash: there is no gdb on the PATH");
    }
    assert!(
        all[0]["no_backtrace"].as_str().is_some_and(|why| why.contains("not die of a fault")),
        "{}",
        all[0]
    );
}

#[test]
fn reports_are_bounded_and_hold_no_session_when_the_config_says_so() {
    let mut real = Real::start("[crashes]\nkeep = 2\nreplay = \"never\"\n");
    real.ok(&["load", faulty().to_str().expect("UTF-8")]);
    for _ in 0..3 {
        let table = session(&real, "{}");
        real.fails(&["call", &table, "--player", "0", r#"{"do":"segv"}"#]);
    }
    let all = reports(&real, 6);
    assert_eq!(all.len(), 2);
    let id = all[1]["id"].as_str().expect("text");
    assert!(!real.path("state/crashes").join(id).join("replay.json").exists());
    let refused = with_state(&real, &["crash", id, "--replay"]);
    assert!(text(&refused.stderr).contains("never"), "{refused:?}");
    // What a supervisor left half written is gone when the next one is up.
    let draft = real.path("state/crashes").join(format!(".new-{id}"));
    real.stop();
    std::fs::create_dir(&draft).expect("makes");
    std::fs::write(draft.join("report.json"), "{").expect("writes");
    real.again("");
    assert!(!draft.exists(), "it is swept: {}", real.log());
    let kept = with_state(&real, &["crashes"]);
    assert!(real.path("state/crashes").join(id).exists(), "{id} of {all:?} stays: {}", text(&kept.stdout));
}
