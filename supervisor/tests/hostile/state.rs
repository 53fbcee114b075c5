//! The state directory: shared, damaged, full, taken away. Errors say what, and secrets stay where they are.

use std::path::PathBuf;
use std::process::Command;

use croupier_client::{Player, SessionId, TurnEvents};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::daemon::{Daemon, Setup, wait_for};

/// A start that fails: what it says, and what is left.
fn refused(setup: Setup) -> (String, Daemon) {
    let mut daemon = setup.launch();
    let status = daemon.wait();
    let log = daemon.log();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(!daemon.control().exists() && !daemon.traffic().exists(), "{log}");
    (log, daemon)
}

#[test]
fn two_supervisors_never_share_a_state_directory() {
    let daemon = Daemon::start();
    let second = Setup::new().config("[log]\nformat = 'json'\n");
    let state = daemon.path("state");
    std::os::unix::fs::symlink(&state, second.dir.path().join("state")).expect("a link");
    let (said, _) = refused(second);
    assert!(said.contains("another supervisor uses the state directory"), "{said}");
    daemon.player().ping().expect("the first one serves on");
    daemon.end();
}

#[test]
fn a_damaged_state_is_named_and_left_alone() {
    for (file, words) in [
        ("next_session", "does not hold a session id"),
        ("keys/server.key", "is no key"),
        ("keys/auditor.key", "is no key"),
    ] {
        let setup = Setup::new();
        let path = setup.dir.path().join("state").join(file);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("made");
        std::fs::write(&path, "what?").expect("written");
        let (said, _) = refused(setup);
        assert!(said.contains(words) && said.contains(file), "{file}: {said}");
    }
    for file in ["state", "state/objects", "state/transcripts", "state/keys"] {
        let setup = Setup::new();
        let path = setup.dir.path().join(file);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("made");
        std::fs::write(&path, "no directory").expect("written");
        let (said, _daemon) = refused(setup);
        assert!(said.contains(&format!("/{file}")), "{file}: {said}");
        assert_eq!(std::fs::read(&path).unwrap_or_default(), b"no directory", "{file}");
    }
}

#[test]
fn a_lost_directory_of_transcripts_costs_the_transcript_and_says_so() {
    let daemon = Daemon::start();
    let client = daemon.player();
    let table = client.open("faulty", "{}", Default::default()).expect("opens");
    std::fs::remove_dir_all(daemon.path("state/transcripts")).expect("removed");
    table.act(Player(1), r#"{"do":"count"}"#).expect("is played");
    table.close().expect("closes");
    wait_for("the complaint", || daemon.log().contains("cannot write the transcript").then_some(()));
    client.open("faulty", "{}", Default::default()).expect("opens");
    daemon.end();
}

/// Mounts a small disk on `state`. Works only in a mount namespace of its own.
const MOUNT: &str = "mkdir -p state && mount -t tmpfs -o size=64m tmpfs state";

/// A session is played over a disk that becomes full and has room again: turns go on, the loss is said, and the rest of the transcript is not
/// written behind a gap. Where the system gives no mount namespace, nothing is tested.
#[test]
fn a_full_disk_breaks_a_transcript_for_good_and_nothing_else() {
    let scratch = tempfile::tempdir().expect("a directory");
    let can = Command::new("unshare").args(["-rm", "sh", "-c", MOUNT]).current_dir(scratch.path()).status();
    if !can.is_ok_and(|status| status.success()) {
        println!("no mount namespace to be had here: not tested");
        return;
    }
    let setup = Setup::new();
    let dir = setup.dir.path().display().to_string();
    // The process stays the same through all of this.
    let inside = format!("cd {dir} && {MOUNT} && exec \"$@\"");
    let daemon = setup.before(&format!("set -- unshare -rm sh -c '{inside}' sh \"$@\"")).start();
    let state = PathBuf::from(format!("/proc/{}/root{dir}/state", daemon.pid()));
    let client = daemon.player();
    let open = || client.open("faulty", "{}", Default::default()).expect("opens");
    let table = open();
    let part = state.join(format!("transcripts/{}.jsonl.part", table.id()));
    wait_for("the transcript", || std::fs::read(&part).is_ok_and(|bytes| !bytes.is_empty()).then_some(()));
    let filler = state.join("filler");
    let full = std::io::copy(&mut std::io::repeat(7), &mut std::fs::File::create(&filler).expect("a file"));
    assert!(full.is_err());
    // The last page may have room for a short line; not for this.
    table.act(Player(1), r#"{"do":"big_reply","bytes":200000}"#).expect("is played");
    wait_for("the complaint", || daemon.log().contains("cannot write the transcript").then_some(()));
    let other = open();
    std::fs::remove_file(&filler).expect("removed");
    // There is room again.
    for table in [&table, &other] {
        table.act(Player(1), r#"{"do":"count"}"#).expect("is played");
    }
    let third = open();
    for table in [table, other, third] {
        table.close().expect("closes");
    }
    wait_for("the last transcript", || state.join("transcripts/3.jsonl").exists().then_some(()));
    let broken = std::fs::read_to_string(&part).expect("is there still");
    assert!(broken.ends_with('\n'), "half a line is left: {broken}");
    assert!(broken.lines().count() <= 2, "it went on behind a gap: {broken}");
    assert!(!state.join("transcripts/1.jsonl").exists());
    daemon.end();
}

#[test]
fn the_server_seed_is_nowhere_before_it_is_revealed() {
    let setup = Setup::new();
    let record = setup.dir.path().join("record.jsonl");
    let daemon = setup.arguments(&["--record", record.to_str().expect("UTF-8")]).start();
    let operator = daemon.operator();
    let mut events = operator.events_with(TurnEvents::Included).expect("events");
    let table = daemon.player().open("faulty", "{}", Default::default()).expect("opens");
    let id = table.id();
    for action in
        [r#"{"do":"draw"}"#, r#"{"do":"panic","text":"oh"}"#, r#"{"do":"segv"}"#, r#"{"do":"error"}"#]
    {
        let _ = table.act(Player(1), action);
    }
    kill(Pid::from_raw(operator.workers().expect("workers")[0].pid as i32), Signal::SIGKILL)
        .expect("a worker");
    table.act(Player(1), r#"{"do":"draw"}"#).expect("is played");
    // Everything that anybody can see by now.
    let part = daemon.path(&format!("state/transcripts/{id}.jsonl.part"));
    wait_for("the transcript", || std::fs::read(&part).is_ok_and(|bytes| !bytes.is_empty()).then_some(()));
    let mut seen = vec![
        daemon.log(),
        std::fs::read_to_string(&record).expect("a recording"),
        std::fs::read_to_string(&part).expect("a transcript"),
        operator.export(id).expect("an export"),
        format!("{:?}", operator.session_detail(SessionId(id.0))),
        format!("{:?} {:?}", operator.plugins(None), operator.status()),
    ];
    table.close().expect("closes");
    while let Some(Ok(push)) = events.wait_next() {
        seen.push(format!("{push:?}"));
        if seen.last().is_some_and(|push| push.contains("SessionEnded")) {
            break;
        }
    }
    let whole = daemon.path(&format!("state/transcripts/{id}.jsonl"));
    let text = wait_for("the finished transcript", || std::fs::read_to_string(&whole).ok());
    let last: serde_json::Value = serde_json::from_str(text.lines().last().expect("a line")).expect("JSON");
    let seed = find_seed(&last).unwrap_or_else(|| panic!("revealed at close: {last}"));
    let bytes = hex::decode(&seed).expect("hexadecimal");
    let shapes = [seed.clone(), seed.to_uppercase(), format!("{bytes:?}"), base64(&bytes)];
    let late = std::fs::read_to_string(daemon.path("log")).expect("a log");
    seen.push(late);
    for shape in &shapes {
        for text in &seen {
            assert!(!text.contains(shape.trim_matches(['[', ']', '='])), "the seed is in: {text:.300}");
        }
    }
    daemon.end();
}

/// The revealed seed in a transcript's last line, wherever it stands: 64 hexadecimal digits under a key that says so.
fn find_seed(value: &serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::Object(members) => members.iter().find_map(|(key, value)| match value.as_str() {
            Some(text) if key.contains("seed") || key == "public" => Some(text.to_owned()),
            _ => find_seed(value),
        }),
        _ => None,
    }
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
