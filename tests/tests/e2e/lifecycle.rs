//! Plugins' lives over the command line: every verb, its exit code and its JSON.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use croupier_client::{Input, OpenOptions, Player};
use croupier_tests::ran::contains;
use croupier_tests::{Daemon, PATIENCE, Plugin, Ran, Setup, artifacts, wait_for};
use serde_json::{Value, json};

use super::reply;

const COUNT: &str = r#"{"do":"count"}"#;

fn file(plugin: Plugin) -> String {
    plugin.file().to_str().expect("UTF-8").to_owned()
}

#[test]
fn a_plugin_is_loaded_suspended_resumed_restarted_and_unloaded_and_illegal_steps_are_named() {
    let daemon = Daemon::with(&[]);
    let refused = |arguments: [&str; 2], code: &str, words: &[&str]| {
        let (found, text) = daemon.refused(arguments);
        assert_eq!(found, code, "{arguments:?}: {text}");
        assert!(words.iter().all(|word| text.contains(word)), "{arguments:?}: {text} does not say {words:?}");
    };
    let state = || daemon.json(["plugins", "faulty"])["plugins"][0]["state"].clone();

    for verb in ["suspend", "resume", "restart", "unload"] {
        refused([verb, "faulty"], "unknown-plugin", &["faulty"]);
    }
    let loaded = daemon.json(["load", &file(Plugin::Faulty)]);
    let expected = json!({ "name": "faulty", "version": "1.0.0", "state": "running", "game": "custom", "sessions": 0, "held": 0 });
    assert!(contains(&loaded["plugins"][0], &expected), "{loaded:#}");
    assert_eq!(loaded["plugins"][0]["digest"].as_str().map(str::len), Some(64));
    refused(["load", &file(Plugin::Faulty)], "already-loaded", &["faulty"]);
    refused(["resume", "faulty"], "wrong-state", &["resume", "running"]);

    let session = daemon.open(Plugin::Faulty, "{}");
    daemon.json(["suspend", "faulty"]);
    assert_eq!(state(), json!("suspended"));
    refused(["suspend", "faulty"], "wrong-state", &["suspend", "suspended"]);
    let pending = session.begin(Input::Action { player: 1, payload: COUNT.into() });
    let open = refused_open(&daemon);
    assert_eq!(open, "wrong-state");
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(daemon.json(["session", &session.id().to_string()])["info"]["seq"], json!(1), "turns wait");
    daemon.json(["resume", "faulty"]);
    pending.wait_for(PATIENCE).expect("the turn that waited");

    let before = daemon.workers(Some(Plugin::Faulty))[0].pid;
    daemon.json(["restart", "faulty"]);
    wait_for("another worker", || {
        daemon.workers(Some(Plugin::Faulty)).iter().all(|w| w.pid != before).then_some(())
    });
    assert_eq!(reply(&session.act(Player(1), COUNT).expect("the session goes on"))["count"], json!(2));

    refused(["unload", "faulty"], "wrong-state", &["1 live"]);
    daemon.json(["unload", "faulty", "--close-sessions"]);
    assert_eq!(daemon.json(["plugins"])["plugins"], json!([]));
    wait_for("no worker", || daemon.workers(None).is_empty().then_some(()));
    let status = daemon.json(["status"]);
    assert!(
        contains(&status, &json!({ "plugins": 0, "sessions": 0, "workers": 0, "held": 0 })),
        "{status:#}"
    );
    // And again, as if nothing had been.
    daemon.json(["load", &file(Plugin::Faulty)]);
    daemon.open(Plugin::Faulty, "{}").close().expect("a session");
}

fn refused_open(daemon: &Daemon) -> String {
    let (code, _) = daemon.refused(["call", "--open", "faulty"]);
    code
}

#[test]
fn exit_codes_are_0_1_and_2_and_failures_are_sentences() {
    let daemon = Daemon::with(&[Plugin::Craps]);
    for verb in ["status", "plugins", "sessions", "workers"] {
        let ran = daemon.cli([verb]).exits(0);
        assert!(!ran.stdout.trim().is_empty() || verb == "sessions", "{ran}");
    }
    assert!(daemon.cli(["plugins"]).stdout.contains("craps"));
    let ran = daemon.cli(["unload", "poker"]).exits(1);
    assert!(
        ran.stdout.is_empty() && ran.stderr.contains("poker") && ran.stderr.contains("unknown-plugin"),
        "{ran}"
    );
    for wrong in [
        &["frobnicate"][..],
        &["load"],
        &["load", "a", "b"],
        &["status", "--colour"],
        &["call", "x", "--close"],
        &[],
    ] {
        let ran = Ran::croupier(None, wrong).exits(2);
        assert!(!ran.stderr.is_empty() || !ran.stdout.is_empty(), "{ran}");
    }
    for right in [
        &["--help"][..],
        &["--version"],
        &["completions", "bash"],
        &["completions", "fish"],
        &["completions", "zsh"],
    ] {
        assert!(!Ran::croupier(None, right).exits(0).stdout.is_empty());
    }
    let doctor = Ran::croupier(None, ["doctor", "--json"]);
    assert!(doctor.code == 0 || doctor.code == 1, "{doctor}");
    assert!(doctor.json().is_object(), "{doctor}");
}

#[test]
fn a_session_is_played_by_hand_with_call() {
    let daemon = Daemon::with(&[Plugin::Craps]);
    let opened = daemon.json(["call", "--open", "craps", "--config", r#"{"dice":"scripted"}"#]);
    let id = opened["session"].to_string();
    assert_eq!(opened["commit"].as_str().map(str::len), Some(64));
    assert_eq!(opened["seq"], json!(1));
    daemon.json(["call", &id, "--join", "1", "--profile", r#"{"bankroll":100}"#, "--seed", "c0ffee"]);
    daemon.json(["call", &id, "--player", "1", r#"{"bet":{"kind":"pass","amount":10}}"#]);
    let rolled = daemon.json(["call", &id, "--player", "0", r#"{"roll":[3,4]}"#]);
    assert_eq!(rolled["reply"]["bankrolls"]["1"], json!(110), "{rolled:#}");
    let (code, text) = daemon.refused(["call", &id, "--player", "1", r#"{"roll":[3,4]}"#]);
    assert_eq!(code, "plugin-refused", "{text}");
    let sessions = daemon.json(["sessions"]);
    assert!(
        contains(&sessions["sessions"][0], &json!({ "plugin": "craps", "state": "live", "players": 1 })),
        "{sessions:#}"
    );
    let workers = daemon.json(["workers"]);
    assert!(
        contains(&workers["workers"][0], &json!({ "plugin": "craps", "state": "serving", "sessions": 1 })),
        "{workers:#}"
    );
    assert!(workers["workers"][0]["pid"].as_u64() > Some(1));
    daemon.json(["call", &id, "--leave", "1", "--reason", "home"]);
    daemon.json(["call", &id, "--close"]);
    let (code, _) = daemon.refused(["call", &id, "--close"]);
    assert_eq!(code, "session-closed");
}

#[test]
fn events_are_followed_as_they_happen() {
    let daemon = Daemon::with(&[]);
    let mut child = Command::new(artifacts().croupier())
        .args(["events", "--follow", "--json", "--socket"])
        .arg(daemon.control())
        .stdout(Stdio::piped())
        .spawn()
        .expect("croupier starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let (sender, seen) = std::sync::mpsc::channel::<Value>();
    let reader = std::thread::spawn(move || {
        while let Some(Ok(line)) = lines.next() {
            let event = serde_json::from_str(&line).expect("one event a line");
            if sender.send(event).is_err() {
                return;
            }
        }
    });
    // It follows when its first event comes: make some until then.
    let first = wait_for("the first event", || {
        daemon.json(["load", &file(Plugin::Craps)]);
        daemon.json(["unload", "craps"]);
        seen.recv_timeout(std::time::Duration::from_millis(200)).ok()
    });
    assert!(first["at_ns"].as_u64().is_some() && first["plugin"] == json!("craps"), "{first}");
    daemon.json(["load", &file(Plugin::Faulty)]);
    let session = daemon.open(Plugin::Faulty, "{}");
    session.join(Player(4), "{}").expect("a seat");
    daemon.kill_worker_of(Plugin::Faulty);
    session.act(Player(4), COUNT).expect("restored");
    session.leave(Player(4), "").expect("a player leaves");
    session.close().expect("it closes");
    daemon.json(["suspend", "faulty"]);
    daemon.json(["resume", "faulty"]);
    daemon.json(["unload", "faulty"]);

    let mut kinds = Vec::new();
    while !(kinds.last().is_some_and(|(plugin, kind)| plugin == "faulty" && kind == "plugin-unloaded")) {
        let event = seen.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no more events after {kinds:?}"));
        let kind = match &event["what"] {
            Value::String(kind) => kind.clone(),
            Value::Object(what) => what.keys().next().cloned().unwrap_or_default(),
            other => panic!("{other}"),
        };
        kinds.push((event["plugin"].as_str().unwrap_or_default().to_owned(), kind));
    }
    child.kill().expect("our child");
    child.wait().expect("our child");
    reader.join().expect("the reader");
    let of_faulty: Vec<&str> =
        kinds.iter().filter(|(plugin, _)| plugin == "faulty").map(|(_, kind)| kind.as_str()).collect();
    for kind in [
        "plugin-loaded",
        "worker-ready",
        "session-opened",
        "player-joined",
        "worker-died",
        "session-restored",
        "player-left",
        "session-ended",
        "plugin-suspended",
        "plugin-resumed",
        "plugin-unloaded",
    ] {
        assert!(of_faulty.contains(&kind), "{kind} is not among {of_faulty:?}");
    }
}

#[test]
fn turns_of_one_plugin_wait_while_another_plays() {
    let daemon = Daemon::with(&[Plugin::Faulty, Plugin::Craps]);
    let faulty = daemon.open(Plugin::Faulty, "{}");
    let craps = daemon.open(Plugin::Craps, "{}");
    craps.join(Player(1), r#"{"bankroll":100}"#).expect("a seat");
    daemon.json(["suspend", "faulty"]);
    let waiting = faulty.begin(Input::Action { player: 1, payload: COUNT.into() });
    for _ in 0..20 {
        craps.act(Player(1), r#"{"roll":true}"#).expect("the other plugin plays");
    }
    daemon.json(["resume", "faulty"]);
    waiting.wait_for(PATIENCE).expect("and then the first");
}

#[test]
fn recorded_traffic_plays_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let record = directory.path().join("traffic.jsonl");
    let daemon =
        Setup::new().plugin(Plugin::Craps).serve_with(&["--record", record.to_str().expect("UTF-8")]).start();
    let (result, code) = daemon.play(&artifacts::repository().join("examples/craps.jsonl"), &[]);
    assert_eq!(code, 0, "{result:#}");
    assert!(daemon.stop().status.success());
    let text = std::fs::read_to_string(&record).expect("the recording");
    assert!(text.lines().count() > 20, "{text}");
    let again = Daemon::with(&[Plugin::Craps]);
    let (result, code) = again.play(&record, &[]);
    assert_eq!(code, 0, "{result:#}");
    assert!(result["turns"].as_u64() > Some(20), "{result:#}");
    assert_eq!(result["sessions"], json!(2));
}

#[test]
fn play_names_the_line_of_every_mismatch_and_failure() {
    let daemon = Daemon::with(&[Plugin::Craps]);
    let script = daemon.dir().join("wrong.jsonl");
    let lines = [
        r#"{"open":"t","plugin":"craps","config":{"dice":"scripted"}}"#,
        r#"{"expect":"t","reply":{"rolls":1}}"#,
        r#"{"act":"t","player":9,"action":"show"}"#,
        r#"{"join":"t","player":1,"profile":{"bankroll":100.0}}"#,
        r#"{"join":"t","player":1,"profile":{"bankroll":100}}"#,
        r#"{"expect":"t","reply":{"bankrolls":{"1":100.0}}}"#,
        r#"{"act":"t","player":9,"action":"show","error":"unknown-player"}"#,
        r#"{"close":"t"}"#,
    ];
    std::fs::write(&script, lines.join("\n")).expect("room for a script");
    let (result, code) = daemon.play(&script, &[]);
    assert_eq!(code, 1, "{result:#}");
    assert_eq!(result["mismatches"], json!(1), "{result:#}");
    assert_eq!(result["mismatch_details"][0]["line"], json!(2));
    let failed: Vec<&Value> =
        result["failure_details"].as_array().expect("details").iter().map(|f| &f["line"]).collect();
    assert!(failed.contains(&&json!(3)), "{result:#}");
    for member in ["turns", "turns_per_s", "latency_us", "sessions", "retries", "workers_lost"] {
        assert!(!result[member].is_null(), "{member} is missing: {result:#}");
    }
    std::fs::write(&script, "{\"open\":\"t\"}\nnonsense\n").expect("room for a script");
    let ran = Ran::croupier(Some(&daemon.control()), ["play", script.to_str().expect("UTF-8"), "--json"]);
    let (_, text) = ran.error();
    assert!(ran.stdout.contains('2'), "{text}");
    assert_eq!(daemon.status().sessions, 0, "nothing of a wrong script is played");
    daemon.player().open("craps", "{}", OpenOptions::default()).expect("a table");
}
