//! A plugin that makes the fault handler's call itself, with whatever it likes: it gains nothing, and nobody believes it.

use serde_json::Value;

use crate::real::{Real, number, of_kind};
use crate::table::{USUAL, crash, crasher, report, reports, with_plugin};

/// Longest report of a plugin that shows whatever it likes, in bytes.
const REPORT_BYTES_MAX: u64 = 64 << 10;

fn world() -> (Real, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    let plugin = crasher(dir.path(), USUAL);
    (with_plugin("", &plugin), dir)
}

/// No backtrace, why not, and a report of modest size.
fn check_left_out(real: &Real, report: &Value) {
    assert!(report["untrusted"]["crash"].is_null(), "{report:#}");
    let why = report["no_backtrace"].as_str().expect("a reason");
    assert!(why.contains("did not die of that") && why.contains("SIGSEGV"), "{why}");
    let file = real.path("state/crashes").join(report["id"].as_str().expect("text")).join("report.json");
    assert!(std::fs::metadata(file).expect("there").len() < REPORT_BYTES_MAX);
}

#[test]
fn who_says_that_it_faulted_and_lives_on_is_ended() {
    let (real, _dir) = world();
    let report = crash(&real, "forge_and_live");
    let cause = report["cause"]["text"].as_str().expect("text");
    assert!(cause.contains("made the call of a fault, and lived on"), "{cause}");
    check_left_out(&real, &report);
}

#[test]
fn a_turn_that_says_that_it_faulted_and_then_answers_is_no_turn() {
    let (real, _dir) = world();
    let table = real.json(&["call", "--open", "crasher"])["session"].to_string();
    let refused = real.fails(&["call", &table, "--player", "0", r#""forge_and_answer""#]);
    assert!(refused.contains("killed its worker") && refused.contains("poison"), "{refused}");
    let says = |report: &Value| {
        let cause = report["cause"]["text"].as_str().expect("text");
        cause.contains("made the call of a fault, and went on as if nothing were")
    };
    check_left_out(&real, &report(&real, says));
    // Nothing of it is on record, to be run into again: its session plays on in fresh workers.
    real.ok(&["restart", "crasher"]);
    assert_eq!(real.ok(&["call", &table, "--player", "0", r#""many_threads""#]).trim(), "42");
    let all = reports(&real);
    assert!(all.len() >= 2 && all.iter().all(says), "{all:#?}");
}

#[test]
fn how_it_died_is_what_was_seen_from_outside() {
    let (real, _dir) = world();
    let report = crash(&real, "forge_and_abort");
    assert_eq!(number(&report["cause"]["signal"]), 6);
    check_left_out(&real, &report);
}

#[test]
fn the_call_is_answered_once_and_refused_from_then_on() {
    let (real, _dir) = world();
    let report = crash(&real, "forge_often");
    let cause = report["cause"]["text"].as_str().expect("text");
    assert!(cause.contains("64 system calls that its jail refuses, the last one crash"), "{cause}");
    check_left_out(&real, &report);
    let records = real.audit(|records| of_kind(records, "denied-syscall").len() >= 64);
    let denied = of_kind(&records, "denied-syscall");
    assert!(denied.iter().all(|denied| denied["syscall"] == "crash"), "{:?}", denied[0]);
}

#[test]
fn a_call_that_shows_nothing_is_no_record_and_others_play_on() {
    let (real, _dir) = world();
    let report = crash(&real, "forge_nonsense");
    assert_eq!(number(&report["cause"]["signal"]), 11);
    assert!(report["untrusted"]["crash"].is_null(), "{report:#}");
    let table = real.json(&["call", "--open", "crasher"])["session"].to_string();
    let before = reports(&real).len();
    // A signal that is only sent does nothing to the first process of a namespace, with a handler as without.
    assert_eq!(real.ok(&["call", &table, "--player", "0", r#""send_segv""#]).trim(), "0");
    assert_eq!(reports(&real).len(), before);
}
