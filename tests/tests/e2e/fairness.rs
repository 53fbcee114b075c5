//! Provably fair chance, as the transcripts of real play have it.

use std::path::{Path, PathBuf};
use std::process::Command;

use croupier_client::{OpenOptions, Player};
use croupier_tests::{Daemon, Plugin, Ran, artifacts, skipped, wait_for};
use serde_json::{Value, json};

use super::reply;

fn verify(file: &Path, more: &[&str]) -> Ran {
    let path = file.to_str().expect("UTF-8");
    Ran::croupier(None, ["verify-fairness", path, "--json"].into_iter().chain(more.iter().copied()))
}

/// The finished transcript.
fn transcript(daemon: &Daemon, session: u64) -> PathBuf {
    let file = daemon.state_dir().join(format!("transcripts/{session}.jsonl"));
    wait_for("the finished transcript", || file.is_file().then_some(()));
    file
}

fn lines(file: &Path) -> Vec<String> {
    std::fs::read_to_string(file).expect("a transcript").lines().map(str::to_owned).collect()
}

fn reveal(file: &Path) -> Value {
    let last: Value = serde_json::from_str(lines(file).last().expect("a last line")).expect("JSON");
    last["close"]["reveal"].clone()
}

/// Plays some dice, with a player's seed, a refusal, and a dead worker in between.
fn play_dice(daemon: &Daemon) -> (u64, [u8; 32]) {
    let table = daemon.open(Plugin::Dice, r#"{"stack":1000}"#);
    let commit = table.opened().expect("just opened").commit;
    table.join_seeded(Player(1), "{}", b"my own luck".to_vec()).expect("a seat");
    for round in 0..6 {
        table.act(Player(1), r#"{"bet":"over","amount":10}"#).expect("a bet");
        table.act(Player(1), r#"{"bet":"over","amount":100000}"#).expect_err("more than there is");
        table.act(Player(1), r#"{"roll":true}"#).expect("a throw");
        if round == 2 {
            daemon.kill_worker_of(Plugin::Dice);
        }
    }
    table.close().expect("it closes");
    (table.id().0, commit)
}

#[test]
fn a_transcript_verifies_replays_and_does_not_survive_an_edit() {
    let daemon = Daemon::with(&[Plugin::Dice]);
    let (session, commit) = play_dice(&daemon);
    let file = transcript(&daemon, session);
    let plain = verify(&file, &[]).exits(0);
    println!("{}", plain.stdout.trim());
    // The dice game hides nothing: its seed is public at its close, and it was committed to before anybody gave a seed of his own.
    assert_eq!(reveal(&file)["public"].as_str().map(str::len), Some(64));
    let header: Value = serde_json::from_str(&lines(&file)[0]).expect("JSON");
    let hex: String = commit.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(header.to_string().contains(&hex), "the commitment that the client got is the transcript's");
    let replayed = verify(&file, &["--replay", "--commit", &hex]).exits(0);
    println!("{}", replayed.stdout.trim());
    independent_check(&file, &hex);

    let dir = tempfile::tempdir().expect("a directory");
    let forged = dir.path().join("forged.jsonl");
    let original = lines(&file);
    type Edit = fn(&mut Vec<String>);
    let edits: [(&str, Edit); 4] = [
        ("a changed time", |lines| lines[5] = lines[5].replacen("\"now_ns\":1", "\"now_ns\":2", 1)),
        ("a turn left out", |lines| drop(lines.remove(5))),
        ("two turns swapped", |lines| lines.swap(5, 6)),
        ("the last line cut off", |lines| drop(lines.pop())),
    ];
    for (what, edit) in edits {
        let mut lines = original.clone();
        edit(&mut lines);
        assert_ne!(lines, original, "{what} is an edit");
        std::fs::write(&forged, lines.join("\n") + "\n").expect("room on the disk");
        let ran = verify(&forged, &[]);
        assert_eq!(ran.code, 1, "{what}: {ran}");
    }
}

/// The same by the repository's second implementation, which shares no code with the first.
fn independent_check(file: &Path, commit: &str) {
    let script = artifacts::repository().join("scripts/verify-fairness.py");
    if !script.is_file() {
        return skipped("the independent verifier", "scripts/verify-fairness.py is not there");
    }
    let output =
        Command::new("python3").arg(script).args(["--commit", commit]).arg(file).output().expect("python3");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn ticks_failures_and_poison_are_in_the_transcript_and_verify() {
    let daemon = Daemon::with(&[Plugin::Faulty]);
    let options = OpenOptions { tick_ms: Some(10), ..OpenOptions::default() };
    let session = daemon.player().open("faulty", "{}", options).expect("a session");
    session.act(Player(1), r#"{"do":"draw"}"#).expect("a throw");
    session.act(Player(1), r#"{"do":"error"}"#).expect_err("a refusal");
    session.act(Player(1), r#"{"do":"segv"}"#).expect_err("poison");
    wait_for("some ticks", || {
        let ticks = reply(&session.act(Player(1), r#"{"do":"count"}"#).expect("a turn"))["ticks"].as_u64();
        (ticks > Some(20)).then_some(())
    });
    daemon.kill_worker_of(Plugin::Faulty);
    session.act(Player(1), r#"{"do":"draw"}"#).expect("a throw after the worker's end");
    session.close().expect("it closes");
    let file = transcript(&daemon, session.id().0);
    let text = lines(&file).join("\n");
    for part in ["\"ticks\"", "\"failed\"", "\"poison\""] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
    let _ = verify(&file, &["--replay"]).exits(0);
}

#[test]
fn a_game_that_hides_cards_seals_its_seed_unless_the_session_says_public() {
    let daemon = Daemon::with(&[Plugin::Holdem]);
    let config = json!({
        "variant": "NT", "antes": [0, 0], "blinds_or_straddles": [1, 2], "min_bet": 2, "starting_stacks": [200, 200],
    });
    let play = |reveal_public| {
        let options = OpenOptions { reveal_public, ..OpenOptions::default() };
        let session = daemon.player().open("holdem", config.to_string(), options).expect("a table");
        let _ = session.act(Player(1), r#""p1 f""#);
        let _ = session.act(Player(2), r#""p2 f""#);
        session.close().expect("it closes");
        transcript(&daemon, session.id().0)
    };
    let sealed = play(false);
    assert!(reveal(&sealed)["sealed"].is_object(), "{}", reveal(&sealed));
    let _ = verify(&sealed, &[]).exits(0);
    let auditor = daemon.state_dir().join("keys/auditor.key");
    let audited = verify(&sealed, &["--replay", "--auditor-key", auditor.to_str().expect("UTF-8")]).exits(0);
    println!("{}", audited.stdout.trim());
    let public = play(true);
    let seed = reveal(&public)["public"].as_str().expect("a public seed").to_owned();
    let _ = verify(&public, &[]).exits(0);
    assert!(!daemon.log().contains(&seed));
}

#[test]
fn before_the_close_the_seed_is_nowhere() {
    let daemon = Daemon::with(&[Plugin::Dice]);
    let table = daemon.open(Plugin::Dice, "{}");
    table.join(Player(1), "{}").expect("a seat");
    table.act(Player(1), r#"{"roll":true}"#).expect("a throw");
    daemon.kill_worker_of(Plugin::Dice);
    table.act(Player(1), r#"{"roll":true}"#).expect("a throw");
    let id = table.id().to_string();
    let export = daemon.cli(["session", &id, "--export", "-"]).exits(0).stdout;
    let detail = daemon.json(["session", &id]).to_string();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let mut before: Vec<(String, Vec<u8>)> = files_below(&daemon.state_dir());
    before.push(("the log".into(), daemon.log().into_bytes()));
    before.push(("the export".into(), export.into_bytes()));
    before.push(("the detail".into(), detail.into_bytes()));
    table.close().expect("it closes");
    let file = transcript(&daemon, table.id().0);
    let seed = reveal(&file)["public"].as_str().expect("a public seed").to_owned();
    let raw: Vec<u8> =
        (0..32).map(|i| u8::from_str_radix(&seed[2 * i..2 * i + 2], 16).expect("hexadecimal")).collect();
    for (name, bytes) in before {
        let has = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
        assert!(!has(seed.as_bytes()) && !has(&raw), "{name} holds the server seed before the close");
    }
}

fn files_below(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else if let Ok(bytes) = std::fs::read(&path) {
            files.push((path.display().to_string(), bytes));
        }
    }
    assert!(!files.is_empty() || !dir.ends_with("state"), "there is state");
    files
}
