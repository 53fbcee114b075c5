//! Supervisors that meet, end and come back.

use croupier_client::{Input, Player};
use croupier_tests::{Daemon, Plugin, Ran, Setup, procs, wait_for};
use rustix::process::Signal;

#[test]
fn a_second_supervisor_on_the_same_socket_refuses_to_start_and_harms_nothing() {
    let daemon = Daemon::with(&[Plugin::Craps]);
    let table = daemon.open(Plugin::Craps, "{}");
    let config = std::fs::read_to_string(daemon.config_file()).expect("its config");
    let start = |name: &str, text: String| {
        let file = daemon.dir().join(name);
        std::fs::write(&file, text).expect("room for a config");
        let second = Ran::croupier(None, ["serve", "--config", file.to_str().expect("UTF-8")]).exits(1);
        format!("{}{}", second.stdout, second.stderr)
    };
    let all = start("same.toml", config.clone());
    assert!(all.contains("state directory") || all.contains(".sock"), "{all}");
    let other_state = config.replace("/state\"", "/state2\"");
    let both = start("sockets.toml", other_state.clone());
    assert!(both.contains("traffic.sock") || both.contains("control.sock"), "{both}");
    let control = start("control.toml", other_state.replace("traffic.sock", "traffic2.sock"));
    assert!(control.contains("control.sock"), "{control}");
    assert!(!daemon.dir().join("traffic2.sock").exists(), "what it opened before is gone");
    table.join(Player(1), r#"{"bankroll":5}"#).expect("the first one serves on");
    assert_eq!(daemon.status().pid, daemon.pid());
}

#[test]
fn a_crashed_supervisor_leaves_no_process_and_its_sockets_are_taken_over() {
    let daemon = Daemon::with(&[Plugin::Craps, Plugin::Faulty]);
    let session = daemon.open(Plugin::Faulty, "{}");
    // Even a worker that is busy and hears nothing goes with its supervisor.
    let busy = session.begin(Input::Action { player: 1, payload: r#"{"do":"sleep","ms":4000}"#.into() });
    wait_for("the turn in flight", || {
        daemon.workers(Some(Plugin::Faulty)).iter().any(|w| w.in_flight > 0).then_some(())
    });
    let stopped = daemon.crash();
    drop(busy);
    assert_eq!(stopped.left, [], "workers outlived their supervisor");
    assert!(stopped.daemon.control().exists(), "nobody was there to remove it");
    let again = stopped.start_again();
    assert_eq!(again.status().plugins, 2);
    again.open(Plugin::Craps, "{}").close().expect("it plays");
}

#[test]
fn term_ends_it_in_order_without_a_process_or_a_socket_left() {
    let daemon = Daemon::with(&[Plugin::Craps, Plugin::Faulty]);
    let table = daemon.open(Plugin::Craps, "{}");
    table.join(Player(1), r#"{"bankroll":5}"#).expect("a seat");
    let session = daemon.open(Plugin::Faulty, "{}");
    let slow = session.begin(Input::Action { player: 1, payload: r#"{"do":"sleep","ms":500}"#.into() });
    wait_for("the turn in flight", || {
        daemon.workers(Some(Plugin::Faulty)).iter().any(|w| w.in_flight > 0).then_some(())
    });
    let stopped = daemon.stop();
    let finished = slow.wait_for(croupier_tests::PATIENCE).and_then(croupier_client::done);
    assert_eq!(finished.expect("what was in flight is finished").seq, 2);
    assert_eq!(stopped.status.code(), Some(0), "{}", stopped.daemon.log());
    assert_eq!(stopped.left, []);
    assert!(!stopped.daemon.control().exists() && !stopped.daemon.traffic().exists());
    // What the sessions played is on record, and goes on.
    let transcripts = stopped.daemon.state_dir().join("transcripts");
    let turns = |id: croupier_client::SessionId| {
        let part =
            std::fs::read_to_string(transcripts.join(format!("{id}.jsonl.part"))).expect("a transcript");
        part.matches("\"turn\":").count()
    };
    assert_eq!((turns(table.id()), turns(session.id())), (2, 2));
    let daemon = stopped.start_again();
    table.close().expect("it closes");
    session.close().expect("it closes");
    assert_eq!(daemon.status().sessions, 0);
}

#[test]
fn a_worker_that_never_answers_does_not_keep_a_supervisor_from_ending() {
    let daemon = Setup::new().plugin(Plugin::Faulty).config("[plugins.faulty]\nturn_wall_ms = 5000").start();
    let session = daemon.open(Plugin::Faulty, "{}");
    let stuck = session.begin(Input::Action { player: 1, payload: r#"{"do":"spin"}"#.into() });
    wait_for("the turn in flight", || {
        daemon.workers(Some(Plugin::Faulty)).iter().any(|w| w.in_flight > 0).then_some(())
    });
    let stopped = daemon.stop();
    drop(stuck);
    assert!(stopped.status.success(), "{}", stopped.daemon.log());
    assert_eq!(stopped.left, []);
}

#[test]
fn int_and_the_next_start_go_on_with_fresh_session_ids() {
    let daemon = Daemon::with(&[Plugin::Craps]);
    let table = daemon.open(Plugin::Craps, "{}");
    let first = table.id();
    daemon.signal(Signal::INT);
    let stopped = daemon.wait();
    assert!(stopped.status.success(), "{}", stopped.daemon.log());
    let again = stopped.start_again();
    let second = again.open(Plugin::Craps, "{}").id();
    assert!(second > first, "{second} after {first}");
    // The client comes back by itself, and its table is there.
    assert_eq!(table.join(Player(1), r#"{"bankroll":5}"#).expect("a seat").seq, 2);
    assert!(procs::zombies(again.pid()).is_empty());
}

#[test]
fn a_wrong_config_is_refused_by_its_keys_path() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = dir.path().join("croupier.toml");
    let path = config.to_str().expect("UTF-8");
    for (text, word) in [
        ("sokcet = \"x\"", "sokcet"),
        ("[plugins.craps]\nqueue_max = \"many\"", "plugins.craps.queue_max"),
        ("traffic_mode = \"rw\"", "traffic_mode"),
    ] {
        std::fs::write(&config, text).expect("room for a config");
        let ran = Ran::croupier(None, ["serve", "--config", path]).exits(1);
        assert!(format!("{}{}", ran.stdout, ran.stderr).contains(word), "{ran}");
    }
    let ran = Ran::croupier(None, ["serve", "--config", "/nowhere/croupier.toml"]).exits(1);
    assert!(
        ran.stderr.contains("/nowhere/croupier.toml") || ran.stdout.contains("/nowhere/croupier.toml"),
        "{ran}"
    );
}
