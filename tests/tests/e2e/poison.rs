//! Turns that kill their worker: named, skipped, and nobody else's trouble.

use croupier_client::{
    ClientError, Code, OpenOptions, Pending, Player, Reply, What, blocking::Session, done,
};
use croupier_tests::{Daemon, Plugin, Setup, Watch};
use serde_json::{Value, json};

use super::{refusal, reply};

const IN_FLIGHT: usize = 64;
const COUNT: &str = r#"{"do":"count"}"#;
const SEGV: &str = r#"{"do":"segv"}"#;
/// Holds the worker's one thread while the others are sent.
const SLEEP: &str = r#"{"do":"sleep","ms":400}"#;

fn action(payload: &str) -> croupier_client::Input {
    croupier_client::Input::Action { player: 1, payload: payload.into() }
}

fn answer(pending: Pending) -> Result<croupier_client::Done, ClientError> {
    pending.wait_for(croupier_tests::PATIENCE).and_then(|reply: Reply| done(reply))
}

#[test]
fn a_crashing_turn_among_64_in_flight_is_named_and_the_63_others_succeed() {
    let daemon = Daemon::with(&[Plugin::Faulty]);
    let watch = Watch::start(&daemon);
    let client = daemon.player();
    let open = |_| client.open("faulty", "{}", OpenOptions::default()).expect("a session");
    let sessions: Vec<Session> = (0..IN_FLIGHT).map(open).collect();
    let culprit = 40;
    let payload = |index| match index {
        0 => SLEEP,
        index if index == culprit => SEGV,
        _ => COUNT,
    };
    let pending: Vec<Pending> =
        sessions.iter().enumerate().map(|(index, session)| session.begin(action(payload(index)))).collect();
    for (index, pending) in pending.into_iter().enumerate() {
        if index == culprit {
            let poison = refusal(answer(pending));
            assert_eq!(
                (poison.code, poison.seq, poison.plugin.as_str()),
                (Code::Poison, 2, "faulty"),
                "{poison:?}"
            );
            assert_eq!(poison.session, sessions[culprit].id().0);
        } else {
            let done = answer(pending).unwrap_or_else(|error| panic!("session {index}: {error}"));
            assert_eq!(done.seq, 2);
        }
    }
    let event = watch.wait("the event of the poison", |what| matches!(what, What::Poison { .. }));
    let (session, seq, player) = (sessions[culprit].id().0, 2, 1);
    assert_eq!(event.what, What::Poison { session, seq, player });
    // All go on, the culprit's session too; its skipped turn left no trace.
    for (index, session) in sessions.iter().enumerate() {
        let count = reply(&session.act(Player(1), COUNT).expect("the session goes on"))["count"].clone();
        let expected = if index == 0 || index == culprit { 1 } else { 2 };
        assert_eq!(count, json!(expected), "session {index}");
    }
    let status = daemon.status();
    assert_eq!((status.poison, status.held, status.sessions), (1, 0, IN_FLIGHT as u64));
    assert!(status.workers_lost_mid_turn >= 2, "it died with them all, and alone: {status:?}");
    assert_eq!(watch.count(|what| matches!(what, What::Poison { .. })), 1);
}

#[test]
fn a_crashing_turn_among_64_of_one_session_is_skipped_and_the_rest_keep_their_order() {
    let daemon = Daemon::with(&[Plugin::Faulty]);
    let session = daemon.open(Plugin::Faulty, "{}");
    let culprit = 20;
    let payload = |index| match index {
        0 => SLEEP,
        index if index == culprit => SEGV,
        _ => COUNT,
    };
    let pending: Vec<Pending> = (0..IN_FLIGHT).map(|index| session.begin(action(payload(index)))).collect();
    let mut expected = 0;
    for (index, pending) in pending.into_iter().enumerate() {
        // The open was turn 1.
        let seq = index as u64 + 2;
        if index == culprit {
            let poison = refusal(answer(pending));
            assert_eq!((poison.code, poison.seq), (Code::Poison, seq), "{poison:?}");
            continue;
        }
        let done = answer(pending).unwrap_or_else(|error| panic!("turn {seq}: {error}"));
        assert_eq!(done.seq, seq);
        if index > 0 {
            expected += 1;
            assert_eq!(reply(&done)["count"], json!(expected), "turn {seq}");
        }
    }
    let detail = daemon.json(["session", &session.id().to_string()]);
    assert_eq!(detail["poison"], json!(1));
}

#[test]
fn every_way_to_die_is_named_and_survived() {
    every_way_to_die(
        Setup::new().plugin(Plugin::Faulty),
        &["segv", "abort", "panic", "exit", "div0", "overflow"],
    );
}

/// The filter keeps the link open: it cannot be closed in one turn, and be missed in another.
#[test]
fn nobody_hangs_up() {
    for transport in ["ring", "socket"] {
        let config = format!("[plugins.faulty]\ntransport = \"{transport}\"");
        let daemon = Setup::new().plugin(Plugin::Faulty).config(&config).start();
        let session = daemon.open(Plugin::Faulty, "{}");
        session.act(Player(1), COUNT).expect("a turn before");
        session.act(Player(1), r#"{"do":"hangup"}"#).expect("is played, and closes nothing of ours");
        let after = reply(&session.act(Player(1), COUNT).expect("goes on"));
        assert_eq!(after["count"], json!(2));
        let status = daemon.status();
        assert_eq!((status.poison, status.held, status.workers_lost), (0, 0, 0), "{status:?}");
        let state = daemon.state_dir();
        let state = state.to_str().expect("UTF-8");
        croupier_tests::wait_for("the audit log names the call", || {
            let audit = daemon.cli(["audit", "--denied", "--state-dir", state]);
            audit.stdout.contains("close").then_some(())
        });
    }
}

/// Over the ring what is written to the socket means nothing.
#[test]
fn over_the_socket_garbage_on_it_is_one_more() {
    let setup = Setup::new().plugin(Plugin::Faulty).config("[plugins.faulty]\ntransport = \"socket\"");
    every_way_to_die(setup, &["segv", "exit", "garbage"]);
}

fn every_way_to_die(setup: Setup, deaths: &[&str]) {
    let daemon = setup.start();
    let watch = Watch::start(&daemon);
    for deed in deaths {
        let session = daemon.open(Plugin::Faulty, "{}");
        session.act(Player(1), COUNT).expect("a turn before");
        let poison = refusal(session.act(Player(1), json!({ "do": deed }).to_string()));
        assert_eq!((poison.code, poison.seq), (Code::Poison, 3), "{deed}: {poison:?}");
        let after =
            reply(&session.act(Player(1), COUNT).unwrap_or_else(|error| panic!("after {deed}: {error}")));
        assert_eq!(after["count"], json!(2), "{deed}");
        session.close().expect("it closes");
    }
    let causes: Vec<String> = watch
        .events()
        .into_iter()
        .filter_map(|event| match event.what {
            What::WorkerDied { cause, .. } => Some(cause),
            _ => None,
        })
        .collect();
    println!("causes: {causes:?}");
    assert!(causes.len() >= 2 * deaths.len(), "each died twice: {causes:?}");
    let status = daemon.status();
    assert_eq!((status.poison, status.held), (deaths.len() as u64, 0));
}

#[test]
fn a_turn_that_burns_the_cpu_past_its_deadline_is_poison_and_one_that_sleeps_is_not_blamed() {
    let setup = Setup::new().plugin(Plugin::Faulty).config("[plugins.faulty]\nturn_wall_ms = 300");
    let daemon = setup.start();
    let session = daemon.open(Plugin::Faulty, "{}");
    let poison = refusal(session.act(Player(1), r#"{"do":"spin"}"#));
    assert_eq!((poison.code, poison.seq), (Code::Poison, 2), "{poison:?}");
    assert_eq!(reply(&session.act(Player(1), COUNT).expect("it goes on"))["count"], json!(1));
    // One that waits for something is tried again a few times; then a person must look at it. It is not called poison: it may be innocent.
    let stuck = daemon.open(Plugin::Faulty, "{}");
    let held = refusal(stuck.act(Player(1), r#"{"do":"sleep","ms":60000}"#));
    assert_eq!(held.code, Code::SessionHeld, "{held:?}");
    assert!(held.text.contains("wall deadline"), "{held:?}");
    // Short of its deadline a slow turn is just slow.
    session.act(Player(1), r#"{"do":"sleep","ms":50}"#).expect("slow, not late");
    assert_eq!(daemon.status().poison, 1);
}

#[test]
fn a_poison_open_is_refused_and_a_poison_close_holds_the_session() {
    let daemon = Daemon::with(&[Plugin::Faulty]);
    let client = daemon.player();
    let poison = refusal(client.open("faulty", r#"{"on_open":"crash"}"#, OpenOptions::default()));
    assert_eq!(poison.code, Code::Poison, "{poison:?}");
    assert_eq!(daemon.status().sessions, 0);

    let session = daemon.open(Plugin::Faulty, r#"{"on_close":"crash"}"#);
    session.act(Player(1), COUNT).expect("a turn before");
    let poison = refusal(session.close());
    assert_eq!((poison.code, poison.seq), (Code::Poison, 3), "{poison:?}");
    let held = refusal(session.act(Player(1), COUNT));
    assert_eq!(held.code, Code::SessionHeld, "{held:?}");
    assert_eq!(daemon.status().held, 1);
    // The plugin itself is as well as ever.
    reply(&daemon.open(Plugin::Faulty, "{}").act(Player(1), COUNT).expect("others play"));
}

#[test]
fn a_turn_that_returns_an_error_replays_to_the_same_error_and_the_same_state() {
    let daemon = Daemon::with(&[Plugin::Faulty]);
    let watch = Watch::start(&daemon);
    let session = daemon.open(Plugin::Faulty, "{}");
    let error = json!({ "do": "error", "text": "a rule says no" }).to_string();
    session.act(Player(1), COUNT).expect("a turn");
    let pending = session.begin(action(&error));
    let key = pending.key();
    let before = refusal(answer(pending));
    assert_eq!((before.code, before.status, before.seq), (Code::PluginRefused, -1, 3), "{before:?}");
    assert_eq!(before.text, "a rule says no");
    let live = daemon.open(Plugin::Faulty, "{}");
    live.act(Player(1), COUNT).expect("a turn");
    refusal(live.act(Player(1), error.as_str()));

    daemon.kill_worker_of(Plugin::Faulty);
    let count = reply(&session.act(Player(1), COUNT).expect("restored"))["count"].clone();
    // The failed turn had counted 1000 before it failed, and has done so again.
    assert_eq!(count, json!(1002));
    assert_eq!(refusal(session.repeat(key, action(&error))), before, "the same key, the same answer");
    let restored = watch.wait(
        "the restored session",
        |what| matches!(what, What::SessionRestored { session: id, .. } if *id == session.id().0),
    );
    assert!(matches!(restored.what, What::SessionRestored { replayed: 3, .. }), "{restored:?}");
    assert_eq!(watch.count(|what| matches!(what, What::Diverged { .. })), 0);
    let detail: Value = daemon.json(["session", &session.id().to_string()]);
    assert_eq!(detail["info"]["seq"], json!(4));
}

#[test]
fn a_replay_that_answers_differently_is_noticed() {
    let daemon = Daemon::with(&[Plugin::Faulty]);
    let watch = Watch::start(&daemon);
    let session = daemon.open(Plugin::Faulty, "{}");
    session.act(Player(1), r#"{"do":"diverge"}"#).expect("it answers, if dishonestly");
    daemon.kill_worker_of(Plugin::Faulty);
    session.act(Player(1), COUNT).expect("the session goes on");
    let event = watch.wait("the divergence", |what| matches!(what, What::Diverged { .. }));
    assert_eq!(event.what, What::Diverged { session: session.id().0, seq: 2 });
}
