//! What clients may rely on: each turn once, room, deadlines, time, seats and output.

use std::time::{Duration, Instant};

use croupier_client::{
    Code, Input, OpenOptions, Output, OutputTo, Player, Push, Pushes, SessionId, TurnOptions, What, WhenFull,
};
use croupier_tests::{Daemon, PATIENCE, Plugin, Raw, Setup, Watch, wait_for};
use croupier_wire::door::{self, FromServer, Reply, Request};
use serde_json::{Value, json};

use super::{code, refusal, reply};

const COUNT: &str = r#"{"do":"count"}"#;

fn count() -> Input {
    Input::Action { player: 1, payload: COUNT.into() }
}

fn turn(session: SessionId, client_seq: u64, payload: &str) -> Request {
    let input = Input::Action { player: 1, payload: payload.into() };
    Request::Turn(door::Turn {
        session: session.0,
        client_seq,
        input,
        when_full: WhenFull::Wait,
        deadline_ms: 0,
    })
}

fn answer(raw: &mut Raw) -> Reply {
    match raw.receive() {
        Some((_, FromServer::Reply(reply))) => reply,
        other => panic!("an answer was expected, not {other:?}"),
    }
}

fn refused(reply: Reply) -> Code {
    match reply {
        Reply::Refused(refusal) => refusal.code,
        other => panic!("a refusal was expected, not {other:?}"),
    }
}

#[test]
fn the_same_key_gets_the_same_answer_over_a_reconnect_and_over_a_dead_worker() {
    let daemon = Daemon::with(&[Plugin::Faulty]);
    let session = daemon.open(Plugin::Faulty, "{}").id();
    let traffic = daemon.traffic();
    let mut raw = Raw::greeted_as(&traffic, 99);
    raw.request(1, &turn(session, 1, COUNT));
    let first = answer(&mut raw);
    assert!(matches!(&first, Reply::Done(done) if done.seq == 2), "{first:?}");
    drop(raw);

    let mut raw = Raw::greeted_as(&traffic, 99);
    raw.request(1, &turn(session, 1, COUNT));
    assert_eq!(answer(&mut raw), first, "over a reconnect");
    daemon.kill_worker_of(Plugin::Faulty);
    raw.request(2, &turn(session, 1, COUNT));
    assert_eq!(answer(&mut raw), first, "over a dead worker");
    raw.request(3, &turn(session, 1, r#"{"do":"draw"}"#));
    assert_eq!(refused(answer(&mut raw)), Code::KeyReused);
    // Another client's keys are its own.
    let mut other = Raw::greeted_as(&traffic, 100);
    other.request(1, &turn(session, 1, COUNT));
    assert!(matches!(answer(&mut other), Reply::Done(done) if done.seq == 3));
    for key in 2..=70 {
        raw.request(key, &turn(session, key, COUNT));
        assert!(matches!(answer(&mut raw), Reply::Done(_)));
    }
    raw.request(100, &turn(session, 1, COUNT));
    assert_eq!(refused(answer(&mut raw)), Code::KeyExpired, "64 are remembered");
    assert_eq!(daemon.json(["session", &session.to_string()])["info"]["seq"], json!(72), "each once");
}

#[test]
fn a_repeated_turn_that_still_runs_joins_the_waiter() {
    let daemon = Daemon::with(&[Plugin::Faulty]);
    let session = daemon.open(Plugin::Faulty, "{}").id();
    let slow = r#"{"do":"sleep","ms":500}"#;
    let mut one = Raw::greeted_as(&daemon.traffic(), 5);
    one.request(1, &turn(session, 1, slow));
    let mut two = Raw::greeted_as(&daemon.traffic(), 5);
    two.request(1, &turn(session, 1, slow));
    let (first, second) = (answer(&mut one), answer(&mut two));
    assert!(matches!(first, Reply::Done(_)), "{first:?}");
    assert_eq!(first, second);
    assert_eq!(daemon.json(["session", &session.to_string()])["info"]["seq"], json!(2));
}

#[test]
fn turns_that_come_at_once_are_played_in_order_and_so_is_what_comes_before_nonsense() {
    let daemon = Daemon::with(&[Plugin::Faulty, Plugin::Dice]);
    let sessions: Vec<SessionId> = (0..3).map(|_| daemon.open(Plugin::Faulty, "{}").id()).collect();
    let other = daemon.open(Plugin::Dice, "{}").id();
    let mut raw = Raw::greeted_as(&daemon.traffic(), 50);
    // Of several sessions, of another plugin, of none, and a ping: more than are taken in one go.
    let mut requests = Vec::new();
    for key in 1..=100 {
        requests.extend(sessions.iter().map(|session| turn(*session, key, COUNT)));
        requests.push(turn(other, key, "{}"));
    }
    requests.push(turn(SessionId(77_777), 1, COUNT));
    requests.push(Request::Ping);
    let calls = (1..).zip(&requests);
    raw.requests(calls, &[]);
    let mut counts = vec![Vec::new(); 4];
    for _ in 0..requests.len() {
        let Some((call, FromServer::Reply(reply))) = raw.receive() else { panic!("an answer was expected") };
        match reply {
            Reply::Done(done) => counts[(call as usize - 1) % 4].push((call, done.seq)),
            Reply::Refused(refusal) if call == 401 => assert_eq!(refusal.code, Code::UnknownSession),
            Reply::Pong => assert_eq!(call, 402),
            // Player 1 does not sit at the dice.
            Reply::Refused(refusal) => assert_eq!((refusal.code, call % 4), (Code::UnknownPlayer, 0)),
            other => panic!("{other:?}"),
        }
    }
    for counted in &counts[..3] {
        let seqs: Vec<u64> = counted.iter().map(|(_, seq)| *seq).collect();
        assert_eq!(seqs, (2..=101).collect::<Vec<u64>>(), "in the order in which they were sent");
        assert!(counted.is_sorted(), "{counted:?}");
    }

    let more: Vec<Request> = (101..=110).map(|key| turn(sessions[0], key, COUNT)).collect();
    raw.requests((1..).zip(&more), &[0xff; 64]);
    while raw.receive().is_some() {}
    let mut raw = Raw::greeted_as(&daemon.traffic(), 50);
    raw.request(1, &turn(sessions[0], 110, COUNT));
    let last = answer(&mut raw);
    assert!(matches!(&last, Reply::Done(done) if done.seq == 111), "{last:?}");
}

#[test]
fn a_repeated_open_gives_the_same_session() {
    let daemon = Daemon::with(&[Plugin::Faulty]);
    let open = |config: &str| {
        Request::Open(door::Open {
            client_seq: 1,
            plugin: "faulty".into(),
            config: config.into(),
            options: OpenOptions::default(),
        })
    };
    let mut raw = Raw::greeted_as(&daemon.traffic(), 41);
    raw.request(1, &open("{}"));
    let first = answer(&mut raw);
    assert!(matches!(first, Reply::Opened { .. }), "{first:?}");
    drop(raw);
    let mut raw = Raw::greeted_as(&daemon.traffic(), 41);
    raw.request(1, &open("{}"));
    assert_eq!(answer(&mut raw), first);
    raw.request(2, &open(r#"{"tick_no":3}"#));
    assert_eq!(refused(answer(&mut raw)), Code::KeyReused);
    assert_eq!(daemon.status().sessions, 1);
}

#[test]
fn a_full_queue_makes_callers_wait_or_says_busy_as_they_wish() {
    // What is in flight waits for nothing any more: with one at a time, one more waits at most.
    let options = "[plugins.faulty]\nflights_max = 1";
    let daemon = Setup::new().plugin(Plugin::Faulty).config(options).start();
    let client = daemon.player();
    let options = OpenOptions { queue_max: Some(1), ..OpenOptions::default() };
    let session = client.open("faulty", "{}", options).expect("a session");
    let slow = session.begin(Input::Action { player: 1, payload: r#"{"do":"sleep","ms":700}"#.into() });
    wait_for("the slow turn in flight", || {
        (daemon.json(["session", &session.id().to_string()])["info"]["pending"].as_u64() >= Some(1))
            .then_some(())
    });
    let impatient = session.with(TurnOptions { when_full: WhenFull::Refuse, deadline_ms: 0 });
    let attempts: Vec<_> = (0..3).map(|_| impatient.begin(count())).collect();
    let patient: Vec<_> = (0..5).map(|_| session.begin(count())).collect();
    let busy = attempts
        .into_iter()
        .map(|pending| pending.wait_for(PATIENCE))
        .filter(|answer| matches!(answer, Err(error) if error.code() == Some(Code::Busy)))
        .count();
    assert!(busy >= 2, "{busy} of 3 were refused");
    assert!(slow.wait_for(PATIENCE).is_ok());
    for pending in patient {
        pending.wait_for(PATIENCE).expect("who waits gets his turn");
    }
    assert_eq!(reply(&session.act(Player(1), COUNT).expect("a turn"))["count"], json!(5 + 3 - busy + 1));
}

#[test]
fn a_deadline_that_passes_before_the_turn_begins_means_that_it_is_not_played() {
    let options = "[plugins.faulty]\nflights_max = 1";
    let daemon = Setup::new().plugin(Plugin::Faulty).config(options).start();
    let session = daemon.open(Plugin::Faulty, "{}");
    let slow = session.begin(Input::Action { player: 1, payload: r#"{"do":"sleep","ms":1000}"#.into() });
    let hasty = session.with(TurnOptions { when_full: WhenFull::Wait, deadline_ms: 50 });
    let late = refusal(hasty.act(Player(1), COUNT));
    assert_eq!((late.code, late.seq), (Code::Deadline, 0), "{late:?}");
    assert!(late.text.contains("not played"), "{late:?}");
    slow.wait_for(PATIENCE).expect("the slow turn itself");
    assert_eq!(reply(&session.act(Player(1), COUNT).expect("a turn"))["count"], json!(1));
}

#[test]
fn a_turn_whose_deadline_passes_in_flight_is_played_and_its_key_gets_the_answer() {
    let daemon = Daemon::with(&[Plugin::Faulty]);
    let session = daemon.open(Plugin::Faulty, "{}");
    let slow = Input::Action { player: 1, payload: r#"{"do":"sleep","ms":600}"#.into() };
    let hasty = session.with(TurnOptions { when_full: WhenFull::Wait, deadline_ms: 60 });
    let pending = hasty.begin(slow.clone());
    let key = pending.key();
    let late = refusal(pending.wait_for(PATIENCE));
    assert_eq!((late.code, late.seq), (Code::Deadline, 2), "{late:?}");
    let done = session.repeat(key, slow).expect("its answer");
    assert_eq!(done.seq, 2);
}

#[test]
fn a_session_without_turns_is_closed_after_its_idle_time() {
    let daemon = Daemon::with(&[Plugin::Faulty]);
    let watch = Watch::start(&daemon);
    let options = OpenOptions { idle_timeout_ms: Some(400), ..OpenOptions::default() };
    let start = Instant::now();
    let session = daemon.player().open("faulty", "{}", options).expect("a session");
    let ended = watch.wait("the end of the session", |what| matches!(what, What::SessionEnded { .. }));
    assert!(start.elapsed() >= Duration::from_millis(400), "not before its time");
    assert!(
        matches!(&ended.what, What::SessionEnded { session: id, reason, .. } if *id == session.id().0 && reason == "idle"),
        "{ended:?}"
    );
    assert_eq!(code(session.act(Player(1), COUNT)), Code::SessionClosed);
}

#[test]
fn ticks_come_at_their_period_and_none_twice_even_over_a_dead_worker() {
    let daemon = Daemon::with(&[Plugin::Faulty]);
    let period = Duration::from_millis(20);
    let options = OpenOptions { tick_ms: Some(20), ..OpenOptions::default() };
    let start = Instant::now();
    let session = daemon.player().open("faulty", "{}", options).expect("a session");
    let ticks = || {
        let counted =
            reply(&session.act(Player(1), COUNT).expect("a turn"))["ticks"].as_u64().expect("ticks");
        (counted, start.elapsed().as_millis() / period.as_millis())
    };
    let mut last = 0;
    for _ in 0..3 {
        wait_for("twenty ticks more", || {
            let (counted, due) = ticks();
            assert!(u128::from(counted) <= due, "{counted} ticks, but only {due} are due");
            (counted >= last + 20).then_some(())
        });
        last = ticks().0;
        daemon.kill_worker_of(Plugin::Faulty);
    }
    assert!(ticks().0 >= last, "no tick is lost with a worker");
}

#[test]
fn many_sessions_tick_and_each_has_its_own_ticks() {
    let daemon = Daemon::with(&[Plugin::Faulty]);
    let options = OpenOptions { tick_ms: Some(25), ..OpenOptions::default() };
    let client = daemon.player();
    let open = |_| client.open("faulty", "{}", options.clone()).expect("a session");
    let sessions: Vec<_> = (0..300).map(open).collect();
    daemon.kill_worker_of(Plugin::Faulty);
    wait_for("ten ticks of each", || {
        let ticked = |session: &croupier_client::blocking::Session| {
            let done = session.act(Player(1), COUNT).expect("a turn");
            let told = reply(&done);
            let [ticks, count] = ["ticks", "count"].map(|name| told[name].as_u64().expect("a number"));
            // Numbers of the open, of the ticks and of the counts: one that was played twice would have none.
            assert!(1 + ticks + count <= done.seq, "{told} after turn {}", done.seq);
            ticks >= 10
        };
        sessions.iter().step_by(50).all(ticked).then_some(())
    });
    let state = daemon.client().status().expect("a status");
    assert_eq!((state.sessions, state.held), (300, 0), "{state:?}");
}

#[test]
fn a_table_seats_no_more_than_its_maximum() {
    let daemon = Daemon::with(&[Plugin::Dice]);
    let table = daemon.open(Plugin::Dice, "{}");
    for player in 1..=8 {
        table.join(Player(player), "{}").expect("a seat");
    }
    let full = refusal(table.join(Player(9), "{}"));
    assert_eq!(full.code, Code::TableFull, "{full:?}");
    table.leave(Player(3), "bored").expect("a player leaves");
    table.join(Player(9), "{}").expect("the free seat");
    let detail = daemon.json(["session", &table.id().to_string()]);
    assert_eq!(detail["players"], json!([1, 2, 4, 5, 6, 7, 8, 9]));
}

fn next(pushes: &mut Pushes) -> Output {
    match pushes.wait_next_until(Instant::now() + PATIENCE) {
        Ok(Some(Ok(Push::Output(output)))) => output,
        other => panic!("an output was expected, not {other:?}"),
    }
}

fn send(times: u64) -> Value {
    json!({ "do": "send", "to": 3, "text": "card", "times": times })
}

#[test]
fn output_is_numbered_and_can_be_had_again_within_a_window_and_gone_beyond() {
    let options = "[plugins.faulty]\noutputs_kept = 4";
    let daemon = Setup::new().plugin(Plugin::Faulty).config(options).start();
    let session = daemon.open(Plugin::Faulty, "{}");
    let mut live = session.follow(0).expect("from now on");
    session.act(Player(1), send(10).to_string()).expect("ten messages");
    for number in 1..=10 {
        let output = next(&mut live);
        assert_eq!((output.number, output.seq, output.to), (number, 2, OutputTo::Player(3)));
        assert_eq!(output.bytes, json!({ "text": "card", "number": number - 1 }).to_string().into_bytes());
    }
    let gone = refusal(session.follow(1).map(|_| ()));
    assert_eq!((gone.code, gone.seq), (Code::Gone, 7), "{gone:?}");
    let mut again = session.follow(7).expect("within the window");
    let numbers: Vec<u64> = (0..4).map(|_| next(&mut again).number).collect();
    assert_eq!(numbers, [7, 8, 9, 10]);
    // A replay says nothing again.
    daemon.kill_worker_of(Plugin::Faulty);
    session
        .act(Player(1), json!({ "do": "emit", "name": "table", "text": "hello" }).to_string())
        .expect("an event");
    for follower in [&mut live, &mut again] {
        let output = next(follower);
        assert_eq!((output.number, output.seq, &output.to), (11, 3, &OutputTo::Topic("table".into())));
    }
    session.close().expect("it closes");
    for mut follower in [live, again] {
        assert!(matches!(follower.wait_next_until(Instant::now() + PATIENCE), Ok(Some(Ok(Push::End)))));
    }
}

#[test]
fn what_a_failed_turn_sent_is_never_seen_and_what_is_not_allowed_is_refused() {
    let daemon = Daemon::with(&[Plugin::Faulty]);
    let session = daemon.open(Plugin::Faulty, "{}");
    let mut follower = session.follow(0).expect("from now on");
    let denied = refusal(session.act(Player(1), r#"{"do":"emit","name":"secrets","text":"x"}"#));
    assert_eq!(denied.code, Code::PluginRefused, "{denied:?}");
    // More effects than the manifest's limit: the turn fails whole, and the first 256 are not seen either.
    refusal(session.act(Player(1), send(10_000).to_string()));
    session.act(Player(1), send(1).to_string()).expect("one message");
    let output = next(&mut follower);
    assert_eq!((output.number, output.seq), (1, 4));
}
