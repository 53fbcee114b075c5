//! Warm standbys with real processes: who serves after which death, and that nobody notices the others.

use croupier_client::blocking::Session;
use croupier_client::{Player, What, WorkerInfo};
use croupier_tests::{Daemon, Killer, Plugin, Setup, Watch, wait_for};
use serde_json::json;
use std::time::Duration;

use super::reply;

const COUNT: &str = r#"{"do":"count"}"#;

fn daemon(standbys: u32) -> Daemon {
    let config = format!("[plugins.faulty]\nstandbys = {standbys}");
    let daemon = Setup::new().plugin(Plugin::Faulty).config(&config).start();
    settled(&daemon, standbys as usize);
    daemon
}

fn in_state(daemon: &Daemon, state: &str) -> Vec<WorkerInfo> {
    let mut workers = daemon.workers(Some(Plugin::Faulty));
    workers.retain(|worker| worker.state == state && worker.pid != 0);
    workers
}

/// Waits until one worker serves and so many others are warm: the one that serves, and the others.
fn settled(daemon: &Daemon, standbys: usize) -> (WorkerInfo, Vec<WorkerInfo>) {
    wait_for("a worker that serves, and its standbys", || {
        let warm = in_state(daemon, "standby");
        let serving = in_state(daemon, "serving").pop()?;
        (warm.len() == standbys).then_some((serving, warm))
    })
}

fn counts(table: &Session, count: u64) {
    assert_eq!(reply(&table.act(Player(1), COUNT).expect("it plays"))["count"], json!(count));
}

#[test]
fn the_standby_serves_when_the_worker_is_killed_and_is_itself_replaced() {
    let daemon = daemon(1);
    let watch = Watch::start(&daemon);
    let table = daemon.open(Plugin::Faulty, "{}");
    counts(&table, 1);
    for round in 1..=5 {
        let (serving, warm) = settled(&daemon, 1);
        assert_eq!((warm[0].sessions, serving.sessions), (0, 1));
        assert_eq!(warm[0].isolation, serving.isolation, "jailed like any other");
        assert!(daemon.kill_worker(serving.pid));
        counts(&table, round + 1);
        let serves = in_state(&daemon, "serving");
        assert_eq!(serves.iter().map(|worker| worker.pid).collect::<Vec<_>>(), [warm[0].pid]);
    }
    settled(&daemon, 1);
    let plugin = &daemon.json(["plugins", "faulty"])["plugins"][0];
    assert_eq!((&plugin["standbys"], &plugin["standbys_wanted"]), (&json!(1), &json!(1)));
    let shown = daemon.cli(["workers"]).exits(0);
    assert!(shown.stdout.contains("standby"), "{shown}");
    assert!(watch.count(|what| matches!(what, What::StandbyReady { .. })) >= 5);
    assert_eq!(daemon.status().poison, 0);
}

#[test]
fn the_death_of_a_standby_is_no_death_of_the_game() {
    let daemon = daemon(1);
    let table = daemon.open(Plugin::Faulty, "{}");
    counts(&table, 1);
    let (serving, mut warm) = settled(&daemon, 1);
    for round in 2..=5 {
        assert!(daemon.kill_worker(warm[0].pid));
        counts(&table, round);
        let before = warm[0].pid;
        warm = wait_for("another standby", || {
            let (_, warm) = settled(&daemon, 1);
            (warm[0].pid != before).then_some(warm)
        });
        assert_eq!(settled(&daemon, 1).0.pid, serving.pid);
    }
    let session = daemon.client().session_detail(table.id()).expect("it lives");
    assert_eq!(session.epoch, 1, "it was never restored");
    let plugins = daemon.client().plugins(Some("faulty")).expect("it is loaded");
    assert_eq!(plugins[0].health, "healthy", "{:?}", plugins[0]);
}

#[test]
fn both_killed_at_once_cost_no_turn() {
    let daemon = daemon(1);
    let table = daemon.open(Plugin::Faulty, "{}");
    for round in 1..=5 {
        counts(&table, round);
        let (serving, warm) = settled(&daemon, 1);
        assert!(daemon.kill_worker(serving.pid) && daemon.kill_worker(warm[0].pid));
    }
    counts(&table, 6);
    let (serving, warm) = settled(&daemon, 1);
    assert_ne!(serving.pid, warm[0].pid);
    assert_eq!(daemon.status().held, 0);
}

#[test]
fn workers_and_standbys_are_killed_at_random_and_nothing_is_lost() {
    let daemon = daemon(2);
    let killer = Killer::start(&daemon, Duration::from_millis(30));
    let client = daemon.player();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            let (client, daemon) = (client.clone(), &daemon);
            scope.spawn(move || {
                let table = client.open("faulty", "{}", Default::default()).expect("a session");
                let mut turns = 0;
                while turns < 200 || daemon.status().workers_lost < 40 {
                    turns += 1;
                    counts(&table, turns);
                }
            });
        }
        while daemon.status().workers_lost < 40 {
            for standby in in_state(&daemon, "standby").into_iter().take(1) {
                daemon.kill_worker(standby.pid);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    killer.stop();
    settled(&daemon, 2);
    let status = daemon.status();
    assert_eq!((status.poison, status.held, status.plugins_down), (0, 0, 0));
}
