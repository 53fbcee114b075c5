//! A real worker with a real plugin (C) serves everything that a supervisor can ask.

mod common;

use common::{Played, Said, Worker, hello, probe, turn};
use croupier_wire::link::*;
use croupier_wire::outcome::{call_hash, outcome_hash};

const OPEN: u16 = 0;
const JOIN: u16 = 1;
const LEAVE: u16 = 2;
const ACTION: u16 = 3;
const TICK: u16 = 4;
const CLOSE: u16 = 5;
const MESSAGE: u16 = 9;

/// A worker with session 1 open, at number 0 after one turn.
fn table() -> Option<Worker> {
    let mut worker = Worker::ready(&probe(&[])?);
    let opened = worker.play(turn(1, 1, OPEN, b"{}"), 0);
    assert_eq!((opened.status, opened.reply.as_str()), (0, "open"));
    Some(worker)
}

fn act(worker: &mut Worker, seq: u64, payload: &[u8]) -> Played {
    worker.play(turn(1, seq, ACTION, payload), 0)
}

#[test]
fn a_whole_life() {
    let Some(plugin) = probe(&["-DWITH_INPUT"]) else { return };
    let (mut worker, said) = Worker::load(&plugin, hello());
    assert_eq!(said, Said::Welcome { abi_minor: 0, has_extensions: true, layout_checked: false });
    assert_eq!(worker.ask(&ToWorker::Ping), Said::Ok);
    assert_eq!(worker.ask(&ToWorker::Init { settings: b"{}" }), Said::Ok);
    let opened = worker.play(turn(1, 1, OPEN, b"{}"), 0);
    assert_eq!(opened.outcome, outcome_hash(0, b"open", "", &[]));
    assert_eq!(act(&mut worker, 2, b"n").reply, "2");
    assert_eq!(act(&mut worker, 3, b"n").reply, "5");
    // No player_join, player_leave: accepted with an empty reply. No tick: refused.
    for kind in [JOIN, LEAVE] {
        let played = worker.play(turn(1, 4, kind, b"{}"), 0);
        assert_eq!((played.status, played.reply.as_str(), played.error.as_str()), (0, "", ""));
    }
    let ticked = worker.play(turn(1, 6, TICK, b""), 0);
    assert_eq!((ticked.status, ticked.error.as_str()), (-3, "the plugin does not take turns of kind 4"));
    assert_eq!(worker.play(turn(1, 7, MESSAGE, b"kind "), 0).reply, "kind 9");
    assert_eq!(worker.ask(&ToWorker::Suspend), Said::Ok);
    assert_eq!(worker.ask(&ToWorker::Resume), Said::Ok);
    assert_eq!(worker.play(turn(1, 8, CLOSE, b""), 0).reply, "5");
    assert_eq!(worker.play(turn(1, 1, OPEN, b"{}"), 0).reply, "open", "the id is free again");
    assert_eq!(worker.ask(&ToWorker::Shutdown), Said::Ok);
    assert_eq!(worker.hear(), (0, Said::Eof));
    let (status, out, err) = worker.end();
    assert_eq!((status.code(), out.as_str(), err.as_str()), (Some(0), "over", ""));
}

#[test]
fn open_kinds_need_the_extension() {
    let Some(mut worker) = table() else { return };
    for kind in [6, MESSAGE, 10, 11, u16::MAX] {
        assert_eq!(worker.play(turn(1, 2, kind, b"x"), 0).status, -3);
    }
}

#[test]
fn failures_are_the_plugins_own() {
    let Some(mut worker) = table() else { return };
    let refused = act(&mut worker, 2, b"r");
    let expected = Played {
        status: -1,
        reply: String::new(),
        error: "no luck".into(),
        effects: vec![],
        outcome: outcome_hash(-1, b"", "no luck", &[]),
        snapshot: None,
        diverged: false,
    };
    assert_eq!(refused, expected);
    let foreign = act(&mut worker, 3, b"k");
    assert_eq!(foreign.status, -4);
    assert!(foreign.error.contains("status -6"), "{}", foreign.error);
    assert_eq!(act(&mut worker, 4, b"n").reply, "9", "failed turns count");
    let bad = worker.play(turn(2, 1, OPEN, b"!"), 0);
    assert_eq!((bad.status, bad.error.as_str()), (-2, "no such table"));
    let nothing = worker.play(turn(2, 1, OPEN, b"0"), 0);
    assert_eq!(
        (nothing.status, nothing.error.as_str()),
        (-4, "session_open succeeded without storing a session")
    );
    assert_eq!(worker.play(turn(2, 1, OPEN, b""), 0).status, 0);
}

#[test]
fn a_failed_init_is_told_and_final() {
    let Some(plugin) = probe(&[]) else { return };
    let (mut worker, _) = Worker::load(&plugin, hello());
    let refused = Said::Failed { status: -2, text: "these settings are not for me".into() };
    assert_eq!(worker.ask(&ToWorker::Init { settings: b"{\"a\":1}" }), refused);
    assert_eq!(worker.ask(&ToWorker::Shutdown), Said::Ok);
    let (status, out, _) = worker.end();
    assert_eq!((status.code(), out.as_str()), (Some(0), ""), "not even shutdown is called");
}

#[test]
fn effects_permissions_and_limits() {
    let Some(mut worker) = table() else { return };
    let played = act(&mut worker, 2, b"shi");
    assert_eq!(played.effects, ["3: hi", "18446744073709551615: hi", "table: hi"]);
    assert_eq!(played.reply, "-6", "the topic that was not granted");
    let effects = [
        Effect::Send { to: 3, message: b"hi" },
        Effect::Send { to: u64::MAX, message: b"hi" },
        Effect::Emit { topic: "table", event: b"hi" },
    ];
    assert_eq!(played.outcome, outcome_hash(0, b"-6", "", &effects));
    assert_eq!(act(&mut worker, 3, b"b").reply, "-5", "over the reply limit: nothing written");
    assert_eq!(act(&mut worker, 4, b"d").reply, "-6", "a call that was not granted");
    assert_eq!(act(&mut worker, 5, &[&b"s"[..], &[b'x'; 1025]].concat()).effects, Vec::<String>::new());
}

#[test]
fn what_the_worker_refuses_is_told_before_the_answer_and_not_in_a_replay() {
    let Some(mut worker) = table() else { return };
    let refusals = |worker: &mut Worker, flags| {
        let asked = worker.say(&ToWorker::Turn(turn(1, 2, ACTION, b"shi")), flags);
        let mut told = Vec::new();
        loop {
            match worker.hear() {
                (id, Said::Refused { permission, count }) if id == asked => told.push((permission, count)),
                (id, Said::Done(_)) if id == asked => return told,
                said => panic!("{said:?}"),
            }
        }
    };
    assert_eq!(refusals(&mut worker, 0), [("emit:elsewhere".to_owned(), 1)]);
    assert_eq!(refusals(&mut worker, FLAG_REPLAY), []);
}

#[test]
fn functions_for_the_game_thread_refuse_others() {
    let Some(mut worker) = table() else { return };
    let asked = worker.say(&ToWorker::Turn(turn(1, 2, ACTION, b"t")), 0);
    assert_eq!(worker.hear(), (0, Said::Log { level: 2, text: "from a thread".into() }));
    let (id, said) = worker.hear();
    let Said::Done(played) = said else { panic!("{said:?}") };
    assert_eq!((id, played.status, played.reply.as_str(), played.effects.len()), (asked, 0, "-7", 0));
}

#[test]
fn snapshot_and_restore_are_one_state() {
    let Some(mut worker) = table() else { return };
    let played = worker.play(turn(1, 40, ACTION, b"n"), FLAG_SNAPSHOT);
    let bytes = played.snapshot.expect("asked for");
    assert_eq!(worker.ask(&ToWorker::Snapshot { session: 1 }), Said::Snapshot(bytes.clone()));
    assert_eq!(worker.ask(&ToWorker::Restore { session: 2, state_version: 4, snapshot: &bytes }), Said::Ok);
    assert_eq!(worker.play(turn(2, 2, ACTION, b"n"), 0).reply, "42");
    let refused = Said::Failed { status: -2, text: "not a snapshot of mine".into() };
    assert_eq!(worker.ask(&ToWorker::Restore { session: 3, state_version: 3, snapshot: &bytes }), refused);
    assert_eq!(worker.ask(&ToWorker::Drop { session: 2 }), Said::Ok);
    assert_eq!(worker.ask(&ToWorker::Drop { session: 2 }), Said::Ok, "known or not");
    assert_eq!(worker.play(turn(1, 8, CLOSE, b""), FLAG_SNAPSHOT).snapshot, None);
}

#[test]
fn a_snapshot_that_fails_says_so() {
    let Some(mut worker) = table() else { return };
    let asked = worker.say(&ToWorker::Turn(turn(1, 666, ACTION, b"n")), FLAG_SNAPSHOT);
    let text = "session 1: no snapshot: status -4: no snapshot today".to_owned();
    assert_eq!(worker.hear(), (0, Said::Log { level: 2, text }));
    let (id, said) = worker.hear();
    let Said::Done(played) = said else { panic!("{said:?}") };
    assert_eq!((id, played.status, played.reply.as_str(), played.snapshot), (asked, 0, "666", None));
    let refused = Said::Failed { status: -4, text: "no snapshot today".into() };
    assert_eq!(worker.ask(&ToWorker::Snapshot { session: 1 }), refused);
}

#[test]
fn a_replay_is_silent_and_reaches_the_same_outcome() {
    let Some(mut worker) = table() else { return };
    let mut replayed = table().expect("there is a compiler");
    for (seq, payload) in [(2, &b"n"[..]), (3, b"shi"), (4, b"r"), (5, b"lalpha"), (6, b"k")] {
        let live = act(&mut worker, seq, payload);
        // Heard at once: no log line comes before it.
        let asked = replayed.say(&ToWorker::Turn(turn(1, seq, ACTION, payload)), FLAG_REPLAY);
        let expected = Played { reply: String::new(), error: String::new(), effects: vec![], ..live };
        assert_eq!(replayed.hear(), (asked, Said::Done(expected)));
    }
    assert_eq!(act(&mut replayed, 7, b"n"), act(&mut worker, 7, b"n"));
    let asked = replayed.say(&ToWorker::Turn(turn(1, 8, ACTION, b"lbeta")), 0);
    assert_eq!(replayed.hear(), (0, Said::Log { level: 3, text: "beta".into() }));
    assert_eq!(replayed.hear().0, asked);
    let snapshot = replayed.play(turn(1, 9, ACTION, b"n"), FLAG_REPLAY | FLAG_SNAPSHOT).snapshot;
    assert_eq!(snapshot.map(|bytes| bytes[0]), Some(2 + 3 + 4 + 5 + 6 + 7 + 8 + 9));
    assert_eq!(worker.end().1, "printed alpha\n");
    assert_eq!(replayed.end().1, "printed beta\n", "what was printed live before and after the replay");
}

#[test]
fn host_calls_are_asked_and_others_wait() {
    let Some(mut worker) = table() else { return };
    let first = worker.say(&ToWorker::Turn(turn(1, 2, ACTION, b"c10")), 0);
    // Sent before the answer, played after the turn.
    let second = worker.say(&ToWorker::Turn(turn(1, 3, ACTION, b"n")), 0);
    let third = worker.say(&ToWorker::Ping, 0);
    for (index, answer) in [(0, &b"left "[..]), (1, b"right")] {
        let asks = Said::HostCall { index, name: "bank".into(), args: b"10".to_vec() };
        assert_eq!(worker.hear(), (first, asks));
        let asked = call_hash("bank", b"10");
        worker.say_as(first, &ToWorker::CallAnswer(CallAnswer { asked, status: 0, answer }), 0);
    }
    let (id, Said::Done(played)) = worker.hear() else { panic!("no Done") };
    assert_eq!((id, played.reply.as_str(), played.diverged), (first, "left right", false));
    let (id, Said::Done(played)) = worker.hear() else { panic!("no Done") };
    assert_eq!((id, played.reply.as_str()), (second, "5"));
    assert_eq!(worker.hear(), (third, Said::Ok));
}

#[test]
fn a_host_call_may_be_refused_or_answered_into_any_sink() {
    let Some(mut worker) = table() else { return };
    let asked = call_hash("bank", b"1");
    let id = worker.say(&ToWorker::Turn(turn(1, 2, ACTION, b"c1")), 0);
    worker.hear();
    worker.say_as(id, &ToWorker::CallAnswer(CallAnswer { asked, status: -20, answer: b"" }), 0);
    let (_, Said::Done(played)) = worker.hear() else { panic!("no Done") };
    assert_eq!((played.status, played.error.as_str()), (-1, "the bank refuses"));

    let id = worker.say(&ToWorker::Turn(turn(1, 3, ACTION, b"C1")), 0);
    worker.hear();
    worker.say_as(id, &ToWorker::CallAnswer(CallAnswer { asked, status: 0, answer: b"yes" }), 0);
    let (_, Said::Done(played)) = worker.hear() else { panic!("no Done") };
    assert_eq!(played.effects, ["9: yes"]);
}

#[test]
fn recorded_host_calls_are_not_asked_again() {
    let Some(mut worker) = table() else { return };
    let record = |args: &[u8], answer| CallAnswer { asked: call_hash("bank", args), status: 0, answer };
    let both = vec![record(b"1", b"a"), record(b"1", b"b")];
    for flags in [0, FLAG_REPLAY] {
        let played = worker.play(Turn { calls: both.clone(), ..turn(1, 2, ACTION, b"c1") }, flags);
        assert_eq!((played.status, played.outcome), (0, outcome_hash(0, b"ab", "", &[])));
        assert!(!played.diverged);
    }
    let other = vec![record(b"1", b"a"), record(b"2", b"b")];
    assert!(worker.play(Turn { calls: other, ..turn(1, 3, ACTION, b"c1") }, FLAG_REPLAY).diverged);
    let fewer = vec![record(b"1", b"a")];
    let played = worker.play(Turn { calls: fewer, ..turn(1, 4, ACTION, b"c1") }, FLAG_REPLAY);
    assert_eq!((played.status, played.diverged), (-3, true), "nothing is asked in a replay");
    let more = vec![record(b"1", b"a")];
    assert!(worker.play(Turn { calls: more, ..turn(1, 5, ACTION, b"n") }, FLAG_REPLAY).diverged);
}

#[test]
fn many_turns_in_one_write() {
    let Some(mut worker) = table() else { return };
    let mut frames = Vec::new();
    for id in 0..5000 {
        let turn = turn(1, 1, ACTION, b"n");
        ToWorker::Turn(turn).put(&mut frames, 0, 1000 + id, common::FRAME_BYTES_MAX).expect("fits");
    }
    let mut link = worker.link.try_clone().expect("a descriptor");
    let writer = std::thread::spawn(move || std::io::Write::write_all(&mut link, &frames).expect("taken"));
    for id in 0..5000u64 {
        let (heard, Said::Done(played)) = worker.hear() else { panic!("no Done") };
        assert_eq!((heard, played.reply), (1000 + id, (id + 1).to_string()));
    }
    writer.join().expect("written");
}

#[test]
fn shutdown_drops_every_session() {
    let Some(mut worker) = table() else { return };
    worker.play(turn(2, 1, OPEN, b""), 0);
    let asked = worker.say(&ToWorker::Shutdown, 0);
    for _ in 0..2 {
        assert_eq!(worker.hear(), (0, Said::Log { level: 3, text: "dropped".into() }));
    }
    assert_eq!(worker.hear(), (asked, Said::Ok));
    assert_eq!(worker.end().0.code(), Some(0));
}

#[test]
fn the_end_of_the_link_is_the_end() {
    let Some(worker) = table() else { return };
    let (status, out, err) = worker.end();
    assert_eq!((status.code(), out.as_str(), err.as_str()), (Some(0), "", ""), "no destructor, no shutdown");
    let (status, _, err) = Worker::start().end();
    assert_eq!((status.code(), err.as_str()), (Some(0), ""), "before Hello too");
}

#[test]
fn a_crash_loses_no_printed_line() {
    let Some(mut worker) = table() else { return };
    worker.say(&ToWorker::Turn(turn(1, 2, ACTION, b"x")), 0);
    assert_eq!(worker.hear(), (0, Said::Eof));
    let (status, out, _) = worker.end();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(6));
    assert_eq!(out, "last words\n");
}

#[test]
fn a_plugin_that_exits_shows_as_what_it_is() {
    let Some(mut worker) = table() else { return };
    worker.say(&ToWorker::Turn(turn(1, 2, ACTION, b"q")), 0);
    assert_eq!(worker.hear(), (0, Said::Eof));
    assert_eq!(worker.end().0.code(), Some(3));
}

/// What the jail has so far: no link on descriptor 0, nothing inherited, no core files, death with the parent.
#[test]
fn the_process_is_tidy() {
    let Some(mut worker) = table() else { return };
    assert_eq!(act(&mut worker, 2, b"i").reply, "0", "standard input is empty");
    let proc = |file: &str| format!("/proc/{}/{file}", worker.pid());
    let mut open: Vec<(u32, String)> = std::fs::read_dir(proc("fd"))
        .expect("our own child")
        .map(|entry| {
            let entry = entry.expect("readable");
            let to = std::fs::read_link(entry.path()).expect("open");
            (
                entry.file_name().to_string_lossy().parse().expect("a number"),
                to.to_string_lossy().into_owned(),
            )
        })
        .collect();
    open.sort();
    let (numbers, to): (Vec<u32>, Vec<String>) = open.into_iter().unzip();
    assert_eq!(numbers[..4], [0, 1, 2, 3]);
    assert_eq!(to[0], "/dev/null");
    assert!(
        to[1].starts_with("pipe:") && to[2].starts_with("pipe:") && to[3].starts_with("socket:"),
        "{to:?}"
    );
    // The plugin itself, and the places that its output can lead to.
    for extra in &to[4..] {
        let known =
            extra.starts_with("/memfd:plugin") || extra == "/dev/null" || extra == &to[1] || extra == &to[2];
        assert!(known, "{extra} is open in the worker");
    }
    let limits = std::fs::read_to_string(proc("limits")).expect("our own child");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("there");
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
}

#[test]
fn ticks_of_many_sessions_come_in_one_frame_and_each_has_its_answer() {
    let Some(plugin) = probe(&["-DWITH_TICK"]) else { return };
    let mut worker = Worker::ready(&plugin);
    for session in 1..=4 {
        worker.play(turn(session, 1, OPEN, b"{}"), 0);
    }
    let tick = |session, seq| Tick { session, seq, now_ns: 3, seed: [7; 32] };
    let ticks = vec![tick(1, 2), tick(2, 2), tick(3, 2), tick(1, 3), tick(4, 2)];
    worker.say_as(500, &ToWorker::Ticks { ticks }, 0);
    // What comes behind them while one asks the platform is played behind them.
    worker.say_as(505, &ToWorker::Ping, 0);
    let done = |worker: &mut Worker| match worker.hear() {
        (call, Said::Done(played)) => (call, played.status, played.reply + &played.error),
        other => panic!("{other:?}"),
    };
    assert_eq!(done(&mut worker), (500, 0, "4020307".into()));
    assert!(matches!(worker.hear(), (501, Said::HostCall { .. })), "it asks with its own call id");
    let asked = call_hash("bank", b"?");
    worker.say_as(501, &ToWorker::CallAnswer(CallAnswer { asked, status: 0, answer: b"yes " }), 0);
    assert_eq!(done(&mut worker), (501, 0, "yes 4020307".into()));
    assert_eq!(done(&mut worker), (502, -2, "not now".into()), "one that fails is alone with it");
    assert_eq!(done(&mut worker), (503, 0, "4030307".into()));
    assert_eq!(done(&mut worker), (504, 0, "4020307".into()));
    assert_eq!(worker.hear(), (505, Said::Ok));
    worker.say_as(506, &ToWorker::Ticks { ticks: vec![] }, 0);
    let (_, Said::Fault { text, .. }) = worker.hear() else { panic!("no fault") };
    assert_eq!(text, "Ticks came without a tick");
}
