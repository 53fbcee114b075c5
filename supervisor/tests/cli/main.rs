//! The command line against a fake supervisor: exit codes, JSON, errors, and the traffic player.

mod fake;

use std::io::Write;
use std::process::{Command, Output, Stdio};

use fake::Fake;
use serde_json::Value;

/// Runs `croupier` with these words.
fn croupier(fake: &Fake, words: &[&str]) -> Output {
    command(fake, words).output().expect("croupier runs")
}

fn command(fake: &Fake, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_croupier"));
    command.arg("--socket").arg(fake.path()).args(words).stdin(Stdio::null());
    command
}

/// Plays a script from standard input.
fn play(fake: &Fake, script: &str, words: &[&str]) -> Output {
    let mut child = command(fake, &["play", "-"])
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("croupier runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(script.as_bytes()).expect("the script is read");
    drop(stdin);
    child.wait_with_output().expect("croupier ends")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[test]
fn exit_codes_are_0_done_1_refused_2_wrong_usage() {
    let fake = Fake::start();
    assert_eq!(croupier(&fake, &["status"]).status.code(), Some(0));
    assert_eq!(croupier(&fake, &["suspend", "nope"]).status.code(), Some(1));
    assert_eq!(croupier(&fake, &["suspend"]).status.code(), Some(2));
    assert_eq!(croupier(&fake, &["frobnicate"]).status.code(), Some(2));
    assert_eq!(croupier(&fake, &["play", "-", "--concurrency", "0"]).status.code(), Some(2));
    let nobody = Command::new(env!("CARGO_BIN_EXE_croupier"))
        .args(["status", "--socket", "/nonexistent/x.sock"])
        .output()
        .expect("croupier runs");
    assert_eq!(nobody.status.code(), Some(1));
    let said = text(&nobody.stderr);
    assert!(said.contains("/nonexistent/x.sock") && said.contains("next: start the supervisor"), "{said}");
}

#[test]
fn a_refusal_tells_a_person_and_a_program_the_same() {
    let fake = Fake::start();
    let human = croupier(&fake, &["suspend", "nope"]);
    assert_eq!(
        text(&human.stderr),
        "error: no plugin `nope` is loaded\n  (plugin nope, code unknown-plugin)\n  next: load it with `croupier load`\n"
    );
    assert_eq!(human.stdout, b"");
    let program = croupier(&fake, &["--json", "suspend", "nope"]);
    assert_eq!(program.status.code(), Some(1));
    let error = &json(&program)["error"];
    assert_eq!(error["code"], "unknown-plugin");
    assert_eq!(error["plugin"], "nope");
    assert_eq!(error["text"], "no plugin `nope` is loaded");
}

#[test]
fn a_session_by_hand() {
    let fake = Fake::start();
    let opened = json(&croupier(&fake, &["--json", "call", "--open", "craps", "--config", r#"{"x":1.50}"#]));
    let session = opened["session"].to_string();
    assert_eq!(opened["reply"].to_string(), r#"{"opened":{"x":1.50}}"#);
    assert_eq!(opened["commit"], "07".repeat(32));
    let acted = croupier(&fake, &["call", &session, "--player", "3", r#"{"roll":2}"#]);
    assert_eq!(text(&acted.stdout), "{\"player\":3,\"echo\":{\"roll\":2}}\n");
    let refused = croupier(&fake, &["call", &session, "--player", "3", r#""refuse""#]);
    assert!(text(&refused.stderr).contains("plugin-refused"), "{refused:?}");
    assert_eq!(croupier(&fake, &["call", &session, "--close"]).status.code(), Some(0));
}

#[test]
fn an_export_is_written_once_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let fake = Fake::start();
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("held.json");
    let name = file.to_str().expect("UTF-8");
    assert_eq!(croupier(&fake, &["session", "4", "--export", name]).status.code(), Some(0));
    assert_eq!(std::fs::read_to_string(&file).expect("written"), r#"{"session":4}"#);
    assert_eq!(std::fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
    let again = croupier(&fake, &["session", "4", "--export", name, "--drop"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("nothing was dropped"), "{again:?}");
}

#[test]
fn a_closed_pipe_is_no_panic() {
    let fake = Fake::start();
    let mut child = command(&fake, &["events", "--follow"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("croupier runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("croupier ends");
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
}

const SCRIPT: &str = r#"
{"open":"a","plugin":"craps","config":{"x":9775.0}}
{"expect":"a","reply":{"opened":{"x":9775}}}
{"open":"b","plugin":"craps"}
{"join":"a","player":1,"seed":"00ff"}
{"act":"b","player":2,"action":{"bet":1e2}}
{"expect":"b","reply":{"player":2.0,"echo":{"bet":100}}}
{"act":"b","player":2,"action":"refuse","error":"plugin-refused"}
{"expect":"b","reply":{"player":2}}
{"leave":"a","player":1}
{"close":"a"}
{"expect":"a","reply":{"closed":true}}
{"close":"b"}
{"open":"c","plugin":"nope","error":"no plugin"}
"#;

#[test]
fn a_good_script_plays() {
    let fake = Fake::start();
    let output = play(&fake, SCRIPT, &["--json", "--repeat", "50", "--concurrency", "7"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let report = json(&output);
    for (member, count) in [
        ("turns", 8 * 50),
        ("sessions", 2 * 50),
        ("mismatches", 0),
        ("failures", 0),
        ("skipped", 0),
        ("retries", 50),
        ("workers_lost", 3),
        ("refusals_expected", 2 * 50),
    ] {
        assert_eq!(report[member].to_string(), count.to_string(), "{member}");
    }
    for member in ["p50", "p99", "max"] {
        assert!(report["latency_us"][member].as_f64().is_some_and(|us| us > 0.0), "{report}");
    }
    assert!(report["turns_per_s"].as_f64().is_some_and(|rate| rate > 0.0));
}

#[test]
fn mismatches_and_failures_have_their_lines_and_the_rest_is_played() {
    let fake = Fake::start();
    let script = r#"{"open":"a","plugin":"craps"}
{"act":"a","player":1,"action":"refuse"}
{"act":"a","player":1,"action":{"n":1.25}}
{"expect":"a","reply":{"echo":{"n":1.250000000000000000001}}}
{"act":"a","player":1,"action":1,"error":"denied"}
{"close":"a"}
{"open":"b","plugin":"nope"}
{"act":"b","player":1,"action":1}
{"expect":"b","reply":{}}
{"close":"b"}
"#;
    let output = play(&fake, script, &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report = json(&output);
    let lines = |member: &str| -> Vec<String> {
        report[member].as_array().expect("an array").iter().map(|detail| detail["line"].to_string()).collect()
    };
    assert_eq!(report["mismatches"].to_string(), "2");
    assert_eq!(lines("mismatch_details"), ["4", "5"]);
    assert_eq!(report["mismatch_details"][0]["member"], "echo.n");
    assert_eq!(report["failures"].to_string(), "2");
    assert_eq!(report["skipped"].to_string(), "3");
    let mut failed = lines("failure_details");
    failed.sort();
    assert_eq!(failed, ["2", "7"]);
    let human = text(&play(&fake, script, &[]).stdout);
    assert!(
        human.contains("line 4, session a: echo.n: expected 1.250000000000000000001, got 1.25"),
        "{human}"
    );
    assert!(human.contains("line 7, session b: unknown-plugin: no plugin `nope` is loaded"), "{human}");
}

#[test]
fn a_bad_script_is_refused_before_anything_is_played() {
    let fake = Fake::start();
    let script = "{\"open\":\"a\",\"plugin\":\"craps\"}\n{\"act\":\"z\",\"player\":1,\"action\":1}\n";
    let output = play(&fake, script, &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let error = &json(&output)["error"];
    assert_eq!(error["code"], "bad-script");
    assert_eq!(error["problems"][0], "line 2: session `z` is unknown: open it first");
    assert_eq!(fake.requests(), 0);
}

#[test]
fn a_supervisor_that_ends_in_the_middle_is_a_failure_and_not_a_hang() {
    let fake = Fake::start();
    let script = r#"{"open":"a","plugin":"craps"}
{"act":"a","player":1,"action":"die"}
{"act":"a","player":1,"action":1}
{"close":"a"}
"#;
    let output = play(&fake, script, &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report = json(&output);
    assert_eq!(report["failure_details"][0]["code"], "lost");
    assert_eq!(report["failure_details"][0]["line"].to_string(), "2");
    assert_eq!(report["skipped"].to_string(), "2");
}
