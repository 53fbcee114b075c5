//! Ends at the worst moment: of workers, of plugins, of the supervisor itself. Nothing hangs, and no process is left.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use croupier_client::blocking::Client;
use croupier_client::{Code, ConnectOptions, LiveSessions, Player};
use croupier_wire::door::Input;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::daemon::{Daemon, Setup, gone, wait_for};

fn action(text: &str) -> Input {
    Input::Action { player: 1, payload: text.into() }
}

/// A worker that never says anything, and is hard to end.
fn silent(dir: &Path) -> PathBuf {
    let path = dir.join("silent");
    std::fs::write(&path, "#!/bin/sh\ntrap '' TERM INT HUP\nwhile :; do sleep 1; done\n").expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("executable");
    path
}

/// Waits until a turn is in flight.
fn in_flight(operator: &Client) {
    wait_for("a turn in flight", || {
        operator.workers().expect("workers").iter().any(|worker| worker.in_flight > 0).then_some(())
    });
}

#[test]
fn a_signal_while_a_plugin_loads_does_not_wait_for_the_plugin() {
    let mut daemon = Setup::new().worker(silent).launch();
    let workers = wait_for("a worker", || Some(daemon.workers()).filter(|workers| !workers.is_empty()));
    daemon.signal(Signal::SIGTERM);
    assert!(daemon.wait().success(), "{}", daemon.log());
    gone(&workers);
    assert!(!daemon.log().contains(" ready "), "{}", daemon.log());
}

#[test]
fn a_second_signal_ends_the_patience_with_a_turn_that_never_ends() {
    for second in [Signal::SIGTERM, Signal::SIGINT] {
        let mut daemon = Daemon::start();
        let table = daemon.player().open("faulty", "{}", Default::default()).expect("opens");
        let stuck = table.begin(action(r#"{"do":"spin"}"#));
        in_flight(&daemon.operator());
        let workers = daemon.workers();
        daemon.signal(Signal::SIGTERM);
        wait_for("the first signal", || daemon.log().contains("finishing turns in flight").then_some(()));
        daemon.signal(second);
        assert!(daemon.wait().success(), "{}", daemon.log());
        // Given up means: not waited for.
        assert!(daemon.log().contains("stopped given_up=1"), "{}", daemon.log());
        gone(&workers);
        drop(stuck);
    }
}

#[test]
fn int_does_not_wait_for_a_turn_that_never_ends() {
    let mut daemon = Daemon::start();
    let player = daemon.player();
    let (table, idle) = (
        player.open("faulty", "{}", Default::default()).expect("opens"),
        player.open("faulty", "{}", Default::default()).expect("opens"),
    );
    idle.act(Player(1), r#"{"do":"count"}"#).expect("is played");
    let stuck = table.begin(action(r#"{"do":"spin"}"#));
    in_flight(&daemon.operator());
    daemon.signal(Signal::SIGINT);
    assert!(daemon.wait().success(), "{}", daemon.log());
    assert!(daemon.log().contains("stopped given_up=1"), "{}", daemon.log());
    drop(stuck);
}

#[test]
fn a_held_session_does_not_keep_the_supervisor_from_ending() {
    let daemon = Daemon::start();
    let table = daemon.player().open("faulty", "{}", Default::default()).expect("opens");
    table.act(Player(1), r#"{"do":"crash_on_replay"}"#).expect("is played");
    let worker = daemon.operator().workers().expect("workers")[0].pid;
    kill(Pid::from_raw(worker as i32), Signal::SIGKILL).expect("a worker");
    let held = table.act(Player(1), r#"{"do":"count"}"#).expect_err("its replay kills");
    assert_eq!(held.code(), Some(Code::SessionHeld), "{held}");
    daemon.end();
}

#[test]
fn the_supervisors_own_death_takes_its_workers_with_it() {
    let mut daemon = Daemon::start();
    let player = daemon.player();
    let tables: Vec<_> =
        (0..4).map(|_| player.open("faulty", "{}", Default::default()).expect("opens")).collect();
    let stuck = tables[0].begin(action(r#"{"do":"spin"}"#));
    in_flight(&daemon.operator());
    let workers = daemon.workers();
    assert!(!workers.is_empty());
    daemon.signal(Signal::SIGKILL);
    assert!(!daemon.wait().success());
    gone(&workers);
    drop(stuck);
}

#[test]
fn one_of_many_who_load_the_same_file_gets_it() {
    let daemon = Setup::new().config("workers_ahead = 0\n").start();
    let file = daemon.path("plugins/libfaulty.so");
    let file = file.to_str().expect("UTF-8");
    daemon.operator().unload("faulty", LiveSessions::Refuse).expect("unloads");
    for _ in 0..3 {
        let loads: Vec<_> = std::thread::scope(|scope| {
            let load = || daemon.operator().load(file).map(|_| ()).map_err(|error| error.code());
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(load)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        assert_eq!(loads.iter().filter(|load| load.is_ok()).count(), 1, "{loads:?}");
        assert_eq!(
            loads.iter().filter(|load| **load == Err(Some(Code::AlreadyLoaded))).count(),
            7,
            "{loads:?}"
        );
        assert_eq!(daemon.workers().len(), 1);
        daemon.operator().unload("faulty", LiveSessions::Refuse).expect("unloads");
        assert_eq!(daemon.workers().len(), 0);
    }
    daemon.end();
}

#[test]
fn loading_and_unloading_at_once_ends_in_one_state_or_the_other() {
    let daemon = Setup::new().config("workers_ahead = 0\n").start();
    let before = daemon.descriptors();
    let file = daemon.path("plugins/libfaulty.so");
    std::thread::scope(|scope| {
        for number in 0..6 {
            let (daemon, file) = (&daemon, file.to_str().expect("UTF-8"));
            scope.spawn(move || {
                let operator = daemon.operator();
                for _ in 0..15 {
                    let done = match number % 3 {
                        0 => operator.load(file).map(drop),
                        1 => operator.unload("faulty", LiveSessions::Close),
                        _ => operator.open("faulty", "{}", Default::default()).map(drop),
                    };
                    let expected = [
                        Code::AlreadyLoaded,
                        Code::WrongState,
                        Code::UnknownPlugin,
                        Code::SessionClosed,
                        Code::UnknownSession,
                    ];
                    if let Err(error) = done {
                        assert!(error.code().is_some_and(|code| expected.contains(&code)), "{error}");
                    }
                }
            });
        }
    });
    let operator = daemon.operator();
    let _ = operator.unload("faulty", LiveSessions::Close);
    operator.load(file.to_str().expect("UTF-8")).expect("loads");
    let table = daemon.player().open("faulty", "{}", Default::default()).expect("opens");
    table.act(Player(1), r#"{"do":"count"}"#).expect("is played");
    assert_eq!(daemon.workers().len(), 1);
    drop(operator);
    wait_for("the descriptors", || (daemon.descriptors() <= before + 2).then_some(()));
    daemon.end();
}

#[test]
fn a_storm_of_kills_and_restarts_loses_no_turn_of_64_clients() {
    const CLIENTS: u64 = 64;
    const TURNS: usize = 25;
    let daemon = Daemon::start();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let players: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(|| {
                    let options = ConnectOptions::default();
                    let client = Client::connect_with(daemon.traffic(), options).expect("connects");
                    let table = client.open("faulty", "{}", Default::default()).expect("opens");
                    for turn in 1..=TURNS {
                        let done = table.act(Player(1), r#"{"do":"count"}"#).expect("is played");
                        let reply = String::from_utf8_lossy(&done.reply).into_owned();
                        assert!(reply.contains(&format!(r#""count":{turn},"#)), "turn {turn}: {reply}");
                        std::thread::sleep(Duration::from_millis(5));
                    }
                })
            })
            .collect();
        let trouble = scope.spawn(|| {
            let operator = daemon.operator();
            for round in 0_u64.. {
                if over.load(Ordering::Relaxed) {
                    return round;
                }
                if round % 4 == 3 {
                    // Refused while the one before is under way.
                    let _ = operator.restart("faulty");
                }
                for worker in daemon.workers() {
                    let _ = kill(Pid::from_raw(worker as i32), Signal::SIGKILL);
                }
                std::thread::sleep(Duration::from_millis(100));
            }
            0
        });
        let played: Vec<_> = players.into_iter().map(|player| player.join()).collect();
        over.store(true, Ordering::Relaxed);
        let rounds = trouble.join().expect("no panic");
        assert!(played.iter().all(Result::is_ok), "somebody lost a turn");
        assert!(rounds > 0);
    });
    let status = daemon.operator().status().expect("status");
    assert_eq!((status.sessions, status.held, status.poison), (CLIENTS, 0, 0), "{status:?}");
    assert!(status.workers_lost > 0);
    daemon.end();
}
