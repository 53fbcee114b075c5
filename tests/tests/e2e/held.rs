//! Sessions that cannot be restored: set aside whole, for a person to look at.

use croupier_client::{Code, Player};
use croupier_tests::{Daemon, Plugin, Ran, wait_for};
use serde_json::{Value, json};

use super::{refusal, reply};

const COUNT: &str = r#"{"do":"count"}"#;

#[test]
fn a_session_whose_replay_crashes_is_held_exported_without_its_seed_and_dropped() {
    let daemon = Daemon::with(&[Plugin::Faulty]);
    let bystander = daemon.open(Plugin::Faulty, "{}");
    bystander.act(Player(1), COUNT).expect("a turn");
    let session = daemon.open(Plugin::Faulty, "{}");
    session.join(Player(1), "{}").expect("a seat");
    session.act(Player(1), r#"{"do":"crash_on_replay"}"#).expect("live it is harmless");
    session.act(Player(1), COUNT).expect("a turn");
    daemon.kill_worker_of(Plugin::Faulty);

    let held = refusal(session.act(Player(1), COUNT));
    assert_eq!(held.code, Code::SessionHeld, "{held:?}");
    assert!(held.text.contains("replay"), "{held:?}");
    // Nobody else notices.
    assert_eq!(reply(&bystander.act(Player(1), COUNT).expect("others go on"))["count"], json!(2));

    let id = session.id().to_string();
    let detail = daemon.json(["session", &id]);
    assert_eq!(detail["info"]["state"], json!("held"), "{detail:#}");
    assert!(detail["held_reason"].as_str().is_some_and(|why| why.contains("replay")), "{detail:#}");

    let document = exported(&daemon, &id);
    assert_eq!(document["digest"], detail["digest"]);
    assert_eq!(document["session"]["id"], json!(session.id().0));
    assert_eq!(document["session"]["commit"], detail["commit"]);
    assert_eq!(document["session"]["players"], json!([1]));
    assert!(document.as_object().is_some_and(|members| members.contains_key("snapshot")), "{document:#}");
    let records = document["records"].as_array().expect("records");
    let seqs: Vec<u64> = records.iter().filter_map(|record| record["seq"].as_u64()).collect();
    assert_eq!(seqs, [1, 2, 3, 4], "everything acknowledged is there");
    assert_eq!(records[2]["payload"]["text"], json!(r#"{"do":"crash_on_replay"}"#));

    daemon.json(["session", &id, "--drop"]);
    let (code, _) = daemon.refused(["session", &id, "--drop"]);
    assert!(["unknown-session", "session-closed", "wrong-state"].contains(&code.as_str()), "{code}");
    assert_eq!(daemon.status().held, 0);
    no_seed_before_the_end(&daemon, &id, &document.to_string());
}

/// Exports twice: to a file, which must not be there yet, and to standard output.
fn exported(daemon: &Daemon, id: &str) -> Value {
    let file = daemon.dir().join("held.json");
    let path = file.to_str().expect("UTF-8");
    daemon.json(["session", id, "--export", path]);
    let (code, _) = daemon.refused(["session", id, "--export", path]);
    assert_eq!(code, "output", "an export is never written over another");
    let shown: Value = daemon.cli(["session", id, "--export", "-"]).exits(0).json();
    let written: Value = serde_json::from_slice(&std::fs::read(&file).expect("the export")).expect("JSON");
    assert_eq!(shown, written);
    written
}

/// The seed is public once the session has ended: now it is known what must not have been anywhere before.
fn no_seed_before_the_end(daemon: &Daemon, id: &str, export: &str) {
    let transcript = daemon.state_dir().join(format!("transcripts/{id}.jsonl"));
    let text = wait_for("the finished transcript", || std::fs::read_to_string(&transcript).ok());
    let last: Value = serde_json::from_str(text.lines().last().expect("a last line")).expect("JSON");
    let seed = last["close"]["reveal"]["public"].as_str().expect("a public seed").to_owned();
    assert_eq!(seed.len(), 64);
    assert!(!export.contains(&seed), "the export holds the server seed");
    assert!(!daemon.log().contains(&seed), "the log holds the server seed");
}

#[test]
fn a_live_session_can_be_exported_too_but_not_dropped() {
    let daemon = Daemon::with(&[Plugin::Faulty]);
    let session = daemon.open(Plugin::Faulty, "{}");
    session.act(Player(1), COUNT).expect("a turn");
    let id = session.id().to_string();
    let document = daemon.cli(["session", &id, "--export", "-"]).exits(0).json();
    assert_eq!(document["records"].as_array().map(Vec::len), Some(2), "{document:#}");
    let (code, text) = daemon.refused(["session", &id, "--drop"]);
    assert_eq!(code, "wrong-state", "{text}");
    session.act(Player(1), COUNT).expect("it plays on");
    let nobody =
        Ran::croupier(Some(&daemon.control()), ["session", "999999", "--export", "-", "--json"]).error();
    assert_eq!(nobody.0, "unknown-session");
}

#[test]
fn a_session_whose_snapshot_cannot_be_restored_any_more_does_not_take_others_with_it() {
    let setup =
        croupier_tests::Setup::new().plugin(Plugin::Faulty).config("[plugins.faulty]\nsnapshot_turns = 2");
    let daemon = setup.start();
    let bystander = daemon.open(Plugin::Faulty, "{}");
    bystander.act(Player(1), COUNT).expect("a turn");
    let session = daemon.open(Plugin::Faulty, "{}");
    session.act(Player(1), r#"{"do":"crash_on_restore"}"#).expect("armed");
    for _ in 0..6 {
        session.act(Player(1), COUNT).expect("a turn");
    }
    daemon.kill_worker_of(Plugin::Faulty);
    // Held, or played from an older snapshot or the whole journal: both lose nothing. It must not be wrong, and not hang.
    match session.act(Player(1), COUNT) {
        Ok(done) => assert_eq!(reply(&done)["count"], json!(7)),
        Err(error) => assert_eq!(error.code(), Some(Code::SessionHeld), "{error}"),
    }
    assert_eq!(reply(&bystander.act(Player(1), COUNT).expect("others go on"))["count"], json!(2));
    assert_eq!(daemon.status().poison, 0);
}
