//! Sessions that are in memory alone, over a planned stop.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use croupier_client::blocking::Client;
use croupier_client::{ClientId, Code, Durability, OpenOptions, Player};
use croupier_tests::{Daemon, Plugin, Ran, Setup, artifacts, wait_for};
use rustix::process::Signal;
use serde_json::json;

use super::{COUNT, reply};

fn in_memory(plugins: &[Plugin]) -> Daemon {
    plugins.iter().fold(Setup::new(), |setup, plugin| setup.plugin(*plugin)).start()
}

#[test]
fn a_planned_stop_parks_what_is_in_memory_and_the_next_start_goes_on() {
    let mut daemon = in_memory(&[Plugin::Craps, Plugin::Faulty]);
    let table = daemon.open(Plugin::Craps, "{}");
    table.join(Player(1), r#"{"bankroll":1000}"#).expect("a seat");
    table.act(Player(1), r#"{"bet":{"kind":"field","amount":10}}"#).expect("a bet");
    let counter = daemon.patient_player(ClientId(7)).open("faulty", "{}", OpenOptions::default());
    let counter = counter.expect("a session");
    let held = daemon.open(Plugin::Faulty, "{}");
    held.act(Player(1), r#"{"do":"crash_on_replay"}"#).expect("live it is harmless");
    daemon.kill_worker_of(Plugin::Faulty);
    assert_eq!(held.act(Player(1), COUNT).expect_err("held").code(), Some(Code::SessionHeld));
    let (mut counts, mut rolls) = (0, 0);
    let mut last = counter.act(Player(1), COUNT).expect("a turn");
    for stop in 1..=3 {
        for _ in 0..100 {
            last = counter.act(Player(1), COUNT).expect("a turn");
            counts += 1;
        }
        assert_eq!(reply(&last)["count"], json!(counts + 1), "stop {stop}");
        let stopped = daemon.stop();
        assert!(stopped.status.success() && stopped.left.is_empty(), "{:?}", stopped.status);
        let state = stopped.daemon.state_dir();
        let state = state.to_str().expect("UTF-8");
        let verified = Ran::croupier(None, ["journal", "verify", "--state-dir", state, "--json"]);
        assert_eq!(verified.json()["sessions"], json!(3), "{verified}");
        daemon = stopped.start_again();
        let table = daemon.player().session_from(table.id(), 100 * stop);
        rolls += 1;
        let after = reply(&table.act(Player::HOUSE, r#"{"roll":true}"#).expect("a roll"));
        assert_eq!(after["rolls"], json!(rolls), "{after}");
        assert_eq!(reply(&counter.act(Player(1), COUNT).expect("a turn"))["count"], json!(counts + 2));
        counts += 1;
        let held = daemon.player().session(held.id());
        assert_eq!(held.act(Player(1), COUNT).expect_err("held").code(), Some(Code::SessionHeld));
    }
    // In the transcript it is one game without a seam.
    let id = table.id();
    daemon.player().session_from(id, 1000).close().expect("it closes");
    let file = daemon.state_dir().join(format!("transcripts/{id}.jsonl"));
    wait_for("the transcript's end", || file.exists().then_some(()));
    let path = file.to_str().expect("UTF-8");
    assert_eq!(daemon.cli(["verify-fairness", path, "--replay", "--json"]).code, 0);
}

#[test]
fn what_was_parked_and_played_on_does_not_come_back_as_it_was() {
    let daemon = in_memory(&[Plugin::Faulty]);
    let session = daemon.open(Plugin::Faulty, "{}");
    session.act(Player(1), COUNT).expect("a turn");
    let id = session.id();
    let mut daemon = daemon.stop().start_again();
    let again = daemon.patient_player(ClientId(3)).session(id);
    assert_eq!(reply(&again.act(Player(1), COUNT).expect("a turn"))["count"], json!(2));
    daemon.die_and_rise();
    let lost = again.act(Player(1), COUNT).expect_err("it was in memory alone");
    assert_eq!(lost.code(), Some(Code::SessionLost), "{lost}");
    let state = daemon.json(["status"])["journal"].clone();
    assert_eq!((&state["entries"], &state["aside"]), (&json!(0), &json!([])), "{state}");
}

#[test]
fn what_is_parked_waits_for_its_plugin() {
    let daemon = in_memory(&[Plugin::Faulty]);
    let session = daemon.open(Plugin::Faulty, "{}");
    session.act(Player(1), COUNT).expect("a turn");
    let digest = daemon.json(["plugins"])["plugins"][0]["digest"].as_str().expect("a digest").to_owned();
    let id = session.id();
    let stopped = daemon.stop();
    let object = stopped.daemon.state_dir().join("objects").join(&digest);
    let file = stopped.daemon.dir().join("plugins").join(Plugin::Faulty.file().file_name().expect("a name"));
    let kept = std::fs::read(&object).expect("the copy");
    std::fs::remove_file(&object).expect("the copy");
    std::fs::remove_file(&file).expect("the plugin");
    // Twice: what waits is still there after a stop of a supervisor that could not play it.
    let daemon = stopped.start_again().stop().start_again();
    let error = daemon.player().session(id).act(Player(1), COUNT).expect_err("no binary");
    assert_eq!(error.code(), Some(Code::SessionHeld), "{error}");
    let stopped = daemon.stop();
    std::fs::write(&file, kept).expect("room");
    let daemon = stopped.start_again();
    let again = daemon.player().session_from(id, 2);
    assert_eq!(reply(&again.act(Player(1), COUNT).expect("a turn"))["count"], json!(2));
}

#[test]
fn what_a_plugin_that_is_being_loaded_has_taken_back_is_parked_once() {
    let daemon = in_memory(&[Plugin::Faulty]);
    let session = daemon.open(Plugin::Faulty, "{}");
    session.act(Player(1), COUNT).expect("a turn");
    let id = session.id();
    let mut stopped = daemon.stop();
    // From now on no worker comes up before it is let.
    let config = std::fs::read_to_string(stopped.daemon.config_file()).expect("the config");
    let gate = Gate::new(stopped.daemon.dir());
    let worker = format!("worker = {:?}", artifacts().worker());
    let gated = config.replace(&worker, &format!("worker = {:?}", gate.script));
    assert_ne!(gated, config);
    std::fs::write(stopped.daemon.config_file(), gated).expect("room for a config");
    for stop in 0..3 {
        gate.shut();
        let daemon = stopped.begin_again();
        gate.wait_for_somebody();
        daemon.signal(Signal::TERM);
        wait_for("the load to give them back", || {
            (daemon.log().matches("wait there again").count() > stop).then_some(())
        });
        gate.open();
        stopped = daemon.wait();
        assert!(stopped.status.success() && stopped.left.is_empty(), "{:?}", stopped.status);
        let state = stopped.daemon.state_dir();
        let state = state.to_str().expect("UTF-8");
        let verified = Ran::croupier(None, ["journal", "verify", "--state-dir", state, "--json"]).exits(0);
        assert_eq!(
            (&verified.json()["sessions"], &verified.json()["entries"]),
            (&json!(1), &json!(2)),
            "{verified}"
        );
    }
    let daemon = stopped.start_again();
    let again = daemon.player().session_from(id, 2);
    assert_eq!(reply(&again.act(Player(1), COUNT).expect("a turn"))["count"], json!(2));
}

#[test]
fn a_planned_stop_closes_what_nothing_is_kept_of_and_parks_the_rest() {
    let daemon = Setup::new().plugin(Plugin::Faulty).config("[defaults]\nchoose_durability = true").start();
    let stateless = OpenOptions { durability: Some(Durability::None), ..OpenOptions::default() };
    let passing = daemon.player().open("faulty", "{}", stateless).expect("a session");
    let kept = daemon.open(Plugin::Faulty, "{}");
    for session in [&passing, &kept] {
        session.act(Player(1), COUNT).expect("a turn");
    }
    let (passing, kept) = (passing.id(), kept.id());
    let stopped = daemon.stop();
    let transcripts = stopped.daemon.state_dir().join("transcripts");
    let file = transcripts.join(format!("{passing}.jsonl"));
    let verified = Ran::croupier(None, ["verify-fairness", file.to_str().expect("UTF-8"), "--json"]);
    assert_eq!(verified.code, 0, "its end is there, and its seed: {verified}");
    assert!(transcripts.join(format!("{kept}.jsonl.part")).exists(), "this one goes on");
    let daemon = stopped.start_again();
    let again = daemon.player().session_from(kept, 2);
    assert_eq!(reply(&again.act(Player(1), COUNT).expect("a turn"))["count"], json!(2));
}

/// Before the worker binary.
struct Gate {
    script: PathBuf,
    bar: PathBuf,
    bell: PathBuf,
}

impl Gate {
    fn new(dir: &Path) -> Gate {
        let gate = Gate { script: dir.join("gate"), bar: dir.join("bar"), bell: dir.join("bell") };
        let (bar, bell, worker) = (gate.bar.display(), gate.bell.display(), artifacts().worker());
        let script = format!(
            "#!/bin/sh\nPATH=/usr/bin:/bin\n: > {bell}\nwhile [ -e {bar} ]; do sleep 0.02; done\nexec env -i {} \"$@\"\n",
            worker.display()
        );
        std::fs::write(&gate.script, script).expect("room for a script");
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&gate.script, mode).expect("our file");
        gate
    }

    fn shut(&self) {
        let _ = std::fs::remove_file(&self.bell);
        std::fs::write(&self.bar, "").expect("room for nothing");
    }

    fn wait_for_somebody(&self) {
        wait_for("a worker", || self.bell.exists().then_some(()));
    }

    fn open(&self) {
        std::fs::remove_file(&self.bar).expect("it is shut");
    }
}

/// Who opens sessions while the supervisor is stopped, and how often it is.
const OPENERS: u64 = 6;
const STOPS: u32 = 30;

#[test]
fn whoever_opens_a_session_just_when_the_supervisor_stops_gets_it_from_the_next_one() {
    let mut daemon = in_memory(&[Plugin::Faulty]);
    // With a session there, a stop suspends its game.
    let _there = daemon.open(Plugin::Faulty, "{}");
    let clients: Vec<_> = (1..=OPENERS).map(|id| daemon.patient_player(ClientId(id))).collect();
    let enough = AtomicBool::new(false);
    let open = |client: &Client| {
        let mut opened = 0;
        while !enough.load(Ordering::Relaxed) {
            let session = client.open("faulty", "{}", OpenOptions::default()).expect("here or there");
            session.act(Player(1), COUNT).expect("a turn");
            session.close().expect("it closes");
            opened += 1;
        }
        opened
    };
    let opened: u64 = std::thread::scope(|scope| {
        let openers: Vec<_> = clients.iter().map(|client| scope.spawn(|| open(client))).collect();
        for _ in 0..STOPS {
            daemon.stop_and_rise();
        }
        enough.store(true, Ordering::Relaxed);
        openers.into_iter().map(|opener| opener.join().expect("it opens")).sum()
    });
    assert!(opened > OPENERS, "{opened}");
    // Whoever asked again got the session that was there already.
    assert_eq!(daemon.status().sessions, 1, "sessions that nobody knows of");
}
