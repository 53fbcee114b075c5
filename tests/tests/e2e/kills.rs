//! Workers killed from outside: nobody is blamed, nothing is lost, nothing is played twice.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use croupier_client::{ClientError, Code, OpenOptions, Player, What};
use croupier_tests::{Daemon, Killer, Plugin, Watch, procs};
use rustix::process::Signal;
use serde_json::json;

use super::reply;

const KILLS: u64 = 200;
const KILL_EVERY: Duration = Duration::from_millis(10);
const SESSIONS: usize = 16;
const COUNT: &str = r#"{"do":"count"}"#;

#[test]
fn two_hundred_kills_with_turns_in_flight_make_no_poison_and_lose_no_turn() {
    let daemon = Daemon::with(&[Plugin::Faulty]);
    let watch = Watch::start(&daemon);
    let client = daemon.player();
    let enough = AtomicBool::new(false);
    let killer = Killer::start(&daemon, KILL_EVERY);
    let played: u64 = std::thread::scope(|scope| {
        let sessions: Vec<_> = (0..SESSIONS)
            .map(|_| {
                let (client, enough) = (client.clone(), &enough);
                scope.spawn(move || {
                    let session = client.open("faulty", "{}", OpenOptions::default()).expect("a session");
                    let mut turns = 0;
                    while !enough.load(Ordering::Relaxed) {
                        let done = session.act(Player(1), COUNT).expect("a turn, whatever happens");
                        turns += 1;
                        assert_eq!(reply(&done)["count"], json!(turns), "none lost, none twice");
                        assert_eq!(done.seq, turns + 1);
                    }
                    session.close().expect("it closes");
                    turns
                })
            })
            .collect();
        croupier_tests::wait_for("200 dead workers", || {
            (daemon.status().workers_lost >= KILLS).then_some(())
        });
        enough.store(true, Ordering::Relaxed);
        sessions.into_iter().map(|session| session.join().expect("a player")).sum()
    });
    let kills = killer.stop();
    let status = daemon.status();
    println!(
        "{} kills in {:.1} s, {} of them with a turn in flight; {played} turns, {} sent again",
        kills.workers,
        kills.during.as_secs_f32(),
        status.workers_lost_mid_turn,
        status.retries
    );
    assert_eq!((status.poison, status.held, status.plugins_down, status.sessions), (0, 0, 0, 0));
    assert!(status.workers_lost_mid_turn > 0, "{status:?}");
    let bad = |what: &What| {
        matches!(
            what,
            What::Poison { .. } | What::SessionHeld { .. } | What::Diverged { .. } | What::PluginDown { .. }
        )
    };
    assert_eq!(watch.count(bad), 0);
}

#[test]
fn chance_comes_out_the_same_after_a_kill() {
    let daemon = Daemon::with(&[Plugin::Craps]);
    let table = daemon.open(Plugin::Craps, "{}");
    table.join(Player(1), r#"{"bankroll":1000000}"#).expect("a seat");
    table
        .act(Player(1), r#"{"standing":[{"kind":"pass","amount":10},{"kind":"field","amount":10}]}"#)
        .expect("bets");
    let mut last = reply(&table.act(Player(1), r#"{"roll":true}"#).expect("a roll"));
    for _ in 0..10 {
        daemon.kill_worker_of(Plugin::Craps);
        let shown = reply(&table.act(Player(1), r#""show""#).expect("the table as it was"));
        for member in ["point", "rolls", "bankrolls", "on_table", "house"] {
            assert_eq!(shown[member], last[member], "{member}");
        }
        last = reply(&table.act(Player(1), r#"{"roll":true}"#).expect("a roll"));
    }
    assert!(daemon.status().workers_lost >= 10);
}

/// Its way in is full when it dies: what waits for room there must not keep anybody busy who would notice the death.
#[test]
fn a_worker_that_stands_still_until_its_link_is_full_is_killed_and_nothing_is_lost() {
    let daemon = Daemon::with(&[Plugin::Faulty]);
    let client = daemon.player();
    let filler = "x".repeat(48 << 10);
    let turn = json!({"do": "echo", "value": filler}).to_string();
    for _ in 0..3 {
        let sessions: Vec<_> = (0..SESSIONS)
            .map(|_| client.open("faulty", "{}", OpenOptions::default()).expect("a session"))
            .collect();
        let worker = daemon.workers(Some(Plugin::Faulty)).pop().expect("a worker");
        assert!(procs::signal_child(daemon.pid(), worker.pid, Signal::STOP));
        std::thread::scope(|scope| {
            let players: Vec<_> = sessions
                .iter()
                .map(|session| {
                    scope.spawn(|| session.act(Player(1), turn.as_str()).expect("a turn, whatever happens"))
                })
                .collect();
            croupier_tests::wait_for("turns in flight", || {
                let in_flight = daemon.workers(Some(Plugin::Faulty)).pop()?.in_flight;
                (in_flight as usize >= SESSIONS).then_some(())
            });
            assert!(daemon.kill_worker(worker.pid));
            for player in players {
                assert_eq!(player.join().expect("a player").seq, 2);
            }
        });
        sessions.iter().for_each(|session| drop(session.close().expect("it closes")));
    }
    assert_eq!(daemon.status().poison, 0);
}

/// What has no room at once goes out when there is some, also when nothing else ever happens on that link.
#[test]
fn turns_larger_than_the_link_are_played_one_after_the_other() {
    let daemon = Daemon::with(&[Plugin::Faulty]);
    let table = daemon.open(Plugin::Faulty, "{}");
    let turn = json!({"do": "echo", "value": "x".repeat(900 << 10)}).to_string();
    for seq in 2..42 {
        assert_eq!(table.act(Player(1), turn.as_str()).expect("a turn").seq, seq);
    }
    assert_eq!(daemon.status().workers_lost, 0);
}

#[test]
fn operators_who_suspend_and_restart_while_workers_are_killed_cost_nobody_a_turn() {
    let daemon = Daemon::with(&[Plugin::Faulty]);
    let client = daemon.player();
    let enough = AtomicBool::new(false);
    let killer = Killer::start(&daemon, Duration::from_millis(40));
    let rounds = std::thread::scope(|scope| {
        for _ in 0..8 {
            let (client, enough) = (client.clone(), &enough);
            scope.spawn(move || {
                let session = client.open("faulty", "{}", OpenOptions::default());
                // A plugin that is suspended just now opens no session.
                let Ok(session) = session else { return };
                let mut turns = 0;
                while !enough.load(Ordering::Relaxed) {
                    let done = session.act(Player(1), COUNT).expect("a turn, whatever happens");
                    turns += 1;
                    assert_eq!(reply(&done)["count"], json!(turns), "none lost, none twice");
                }
            });
        }
        let operator = daemon.client();
        let mut rounds = 0;
        while daemon.status().workers_lost < 30 || rounds < 10 {
            for verb in [operator.suspend("faulty"), operator.resume("faulty"), operator.restart("faulty")] {
                allowed(verb);
            }
            rounds += 1;
        }
        let _ = operator.resume("faulty");
        enough.store(true, Ordering::Relaxed);
        rounds
    });
    let kills = killer.stop();
    let status = daemon.status();
    println!(
        "{rounds} rounds of suspend, resume and restart; {} kills; {} turns, {} sent again",
        kills.workers, status.turns, status.retries
    );
    assert_eq!((status.poison, status.held, status.plugins_down), (0, 0, 0));
}

/// Done, or refused because of the state that the plugin is in at the moment.
fn allowed(verb: Result<(), ClientError>) {
    if let Err(error) = verb {
        assert_eq!(error.code(), Some(Code::WrongState), "{error}");
    }
}

#[test]
fn a_worker_killed_while_its_plugin_is_suspended_is_back_when_it_is_resumed() {
    let daemon = Daemon::with(&[Plugin::Faulty]);
    let session = daemon.open(Plugin::Faulty, "{}");
    session.act(Player(1), COUNT).expect("a turn");
    daemon.json(["suspend", "faulty"]);
    for worker in daemon.workers(Some(Plugin::Faulty)) {
        assert!(daemon.kill_worker(worker.pid), "{worker:?}");
    }
    daemon.json(["resume", "faulty"]);
    assert_eq!(reply(&session.act(Player(1), COUNT).expect("it goes on"))["count"], json!(2));
}
