//! Planned stops, sessions that are lost, plugins that are gone.

use croupier_client::blocking::Session;
use croupier_client::{ClientId, Code, Durability, OpenOptions, Player};
use croupier_tests::{Plugin, Setup};
use serde_json::json;

use super::{COUNT, daemon, reply, setup};

#[test]
fn a_planned_stop_leaves_durable_sessions_as_they_are() {
    let daemon = daemon(&[Plugin::Faulty]);
    let session = daemon.open(Plugin::Faulty, "{}");
    for _ in 0..3 {
        session.act(Player(1), COUNT).expect("a turn");
    }
    let id = session.id();
    let stopped = daemon.stop();
    assert!(stopped.status.success(), "{:?}", stopped.status);
    let state = stopped.daemon.state_dir();
    let offline = |verb| {
        let state = state.to_str().expect("UTF-8");
        croupier_tests::Ran::croupier(None, ["journal", verb, "--state-dir", state, "--json"])
    };
    assert_eq!(offline("verify").json(), json!({ "ok": true, "sessions": 1, "entries": 5 }));
    let stats = offline("stats").json();
    assert_eq!(stats["sessions"][0]["state"], json!("live"), "{stats:#}");
    let exported = offline("export");
    assert_eq!((exported.code, exported.stdout.lines().count()), (0, 5), "{exported}");
    assert!(!exported.stdout.contains("\"seed\":"), "the seed of a live session is a secret: {exported}");
    let daemon = stopped.start_again();
    let refused = daemon.refused(["journal", "verify", "--state-dir", state.to_str().expect("UTF-8")]);
    assert_eq!(refused.0, "in-use");
    let again = daemon.player().session(id);
    assert_eq!(reply(&again.act(Player(1), COUNT).expect("a turn"))["count"], json!(4));
}

#[test]
fn whoever_had_a_session_in_memory_alone_is_told_that_it_is_lost() {
    let setup = Setup::new().plugin(Plugin::Faulty);
    let mut daemon = setup.config("[defaults]\nchoose_durability = true").start();
    let client = daemon.patient_player(ClientId(5));
    let on_disk = OpenOptions { durability: Some(Durability::Disk), ..OpenOptions::default() };
    let kept = client.open("faulty", "{}", on_disk).expect("a session");
    let lost = client.open("faulty", "{}", OpenOptions::default()).expect("a session");
    for session in [&kept, &lost] {
        session.act(Player(1), COUNT).expect("a turn");
    }
    // Transcripts are gathered for a second.
    let part = daemon.state_dir().join("transcripts").join(format!("{}.jsonl.part", lost.id()));
    croupier_tests::wait_for("its transcript", || {
        std::fs::read_to_string(&part).is_ok_and(|text| text.lines().count() == 3).then_some(())
    });
    daemon.die_and_rise();
    assert_eq!(reply(&kept.act(Player(1), COUNT).expect("a turn"))["count"], json!(2));
    let error = lost.act(Player(1), COUNT).expect_err("it is lost");
    assert_eq!(error.code(), Some(Code::SessionLost), "{error}");
    let croupier_client::ClientError::Refused(refusal) = error else { panic!("{error}") };
    assert_eq!(refusal.seq, 2, "{refusal}");
    let never = client.session(croupier_client::SessionId(1 << 40));
    assert_eq!(never.act(Player(1), COUNT).expect_err("none").code(), Some(Code::UnknownSession));
}

#[test]
fn a_session_without_state_begins_again_from_its_opening_and_its_callers_go_on() {
    let setup = Setup::new().plugin(Plugin::Faulty);
    let config = "[plugins.faulty]\ndurability = \"none\"\nchoose_durability = true\nsnapshot_turns = 2";
    let mut daemon = setup.config(config).start();
    let client = daemon.patient_player(ClientId(5));
    let stateless = client.open("faulty", "{}", OpenOptions::default()).expect("a session");
    let in_memory = OpenOptions { durability: Some(Durability::Process), ..OpenOptions::default() };
    let stateful = client.open("faulty", "{}", in_memory).expect("a session");
    let count = |session: &Session, wanted: u64| {
        let done = session.act(Player(1), COUNT).expect("a turn");
        assert_eq!(reply(&done)["count"], json!(wanted));
        done.seq
    };
    for n in 1..=10 {
        assert_eq!(count(&stateless, n), count(&stateful, n));
    }
    daemon.kill_worker_of(Plugin::Faulty);
    // This plugin has a state after all: that it is gone shows that nothing was kept.
    assert_eq!((count(&stateless, 1), count(&stateful, 11)), (12, 12));
    let stopped = daemon.stop();
    assert!(stopped.status.success(), "{:?}", stopped.status);
    daemon = stopped.start_again();
    let client = daemon.patient_player(ClientId(5));
    let (stateless, stateful) =
        (client.session_from(stateless.id(), 20), client.session_from(stateful.id(), 20));
    assert_eq!(count(&stateful, 12), 13);
    let error = stateless.act(Player(1), COUNT).expect_err("nothing of it survives a supervisor");
    assert_eq!(error.code(), Some(Code::SessionClosed), "a planned stop closes it: {error}");
}

#[test]
fn what_a_session_survives_is_the_operators_choice() {
    let daemon = Setup::new().plugin(Plugin::Faulty).start();
    let on_disk = OpenOptions { durability: Some(Durability::Disk), ..OpenOptions::default() };
    let error = daemon.player().open("faulty", "{}", on_disk).err().expect("nobody allows it");
    assert_eq!(error.code(), Some(Code::NotAllowed), "{error}");
}

#[test]
fn sessions_go_on_in_the_binary_that_played_them_or_wait_for_it() {
    let daemon = daemon(&[Plugin::Faulty]);
    let session = daemon.open(Plugin::Faulty, "{}");
    session.act(Player(1), COUNT).expect("a turn");
    let id = session.id();
    let digest = daemon.json(["plugins"])["plugins"][0]["digest"].as_str().expect("a digest").to_owned();
    let stopped = daemon.crash();
    let file = stopped.daemon.dir().join("plugins").join(Plugin::Faulty.file().file_name().expect("a name"));
    std::fs::remove_file(&file).expect("the plugin's file");
    let daemon = stopped.start_again();
    let again = daemon.player().session_from(id, 2);
    assert_eq!(reply(&again.act(Player(1), COUNT).expect("a turn"))["count"], json!(2));
    let stopped = daemon.crash();
    let object = stopped.daemon.state_dir().join("objects").join(&digest);
    let kept = std::fs::read(&object).expect("the copy");
    std::fs::remove_file(&object).expect("the copy");
    let daemon = stopped.start_again();
    let error = daemon.player().session_from(id, 3).act(Player(1), COUNT).expect_err("no binary");
    assert_eq!(error.code(), Some(Code::SessionHeld), "{error}");
    assert!(error.to_string().contains("on the disk"), "{error}");
    let aside = daemon.json(["status"])["journal"]["aside"].to_string();
    assert!(aside.contains(&format!("session {id} of faulty")), "{aside}");
    assert!(daemon.log().contains("sessions stay on the disk"));
    let stopped = daemon.stop();
    std::fs::write(&object, kept).expect("room");
    let daemon = stopped.start_again();
    let again = daemon.player().session_from(id, 4);
    assert_eq!(reply(&again.act(Player(1), COUNT).expect("a turn"))["count"], json!(3), "nothing was lost");
}

#[test]
fn an_answer_is_remembered_over_a_death_though_its_session_has_ended() {
    let mut daemon = setup(&[Plugin::Faulty]).start();
    let client = daemon.patient_player(ClientId(9));
    let session = client.open("faulty", "{}", OpenOptions::default()).expect("a session");
    let counted = session.act(Player(1), COUNT).expect("a turn");
    let closed = session.close().expect("it closes");
    daemon.die_and_rise();
    let again = daemon.patient_player(ClientId(9)).session_from(session.id(), 1);
    assert_eq!(again.act(Player(1), COUNT).expect("the same answer"), counted);
    assert_eq!(again.close().expect("the same answer"), closed);
}
