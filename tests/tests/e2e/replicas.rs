//! Several workers of one plugin with real processes: sessions are spread over them and moved while they are played, and a death touches its own alone.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use croupier_client::blocking::Session;
use croupier_client::{Code, OpenOptions, Player, What, WorkerInfo};
use croupier_tests::{Daemon, Killer, Plugin, Setup, Watch, wait_for};
use serde_json::json;

use super::{code, refusal, reply};

const COUNT: &str = r#"{"do":"count"}"#;

fn daemon(replicas: u32, more: &str) -> Daemon {
    let config = format!("[plugins.faulty]\nreplicas = {replicas}\n{more}");
    let daemon = Setup::new().plugin(Plugin::Faulty).config(&config).start();
    serving(&daemon, replicas as usize);
    daemon
}

/// Waits until so many workers serve, and none is on its way out.
fn serving(daemon: &Daemon, count: usize) -> Vec<WorkerInfo> {
    wait_for("as many workers as there shall be", || {
        let mut workers = daemon.workers(Some(Plugin::Faulty));
        workers.retain(|worker| worker.state != "standby");
        let serve = workers.iter().all(|worker| worker.state == "serving" && worker.pid != 0);
        (serve && workers.len() == count).then_some(workers)
    })
}

fn open(daemon: &Daemon, count: usize) -> Vec<Session> {
    (0..count).map(|_| daemon.open(Plugin::Faulty, "{}")).collect()
}

fn count(table: &Session, turns: u64) {
    assert_eq!(reply(&table.act(Player(1), COUNT).expect("it plays"))["count"], json!(turns));
}

#[test]
fn sessions_are_spread_and_a_death_touches_only_its_own() {
    let daemon = daemon(3, "");
    let watch = Watch::start(&daemon);
    let tables = open(&daemon, 12);
    tables.iter().for_each(|table| count(table, 1));
    let workers = serving(&daemon, 3);
    let spread: Vec<(u64, u64)> = workers.iter().map(|worker| (worker.sessions, worker.turns)).collect();
    assert_eq!(spread, [(4, 8); 3], "each has its share, and plays it");
    assert!(daemon.kill_worker(workers[0].pid));
    tables.iter().for_each(|table| count(table, 2));
    let after = serving(&daemon, 3);
    let old = |pid| workers.iter().any(|worker| worker.pid == pid);
    assert_eq!(after.iter().filter(|worker| old(worker.pid)).count(), 2, "the others live on");
    wait_for("the sessions of the dead one", || {
        (watch.count(|what| matches!(what, What::SessionRestored { .. })) == 4).then_some(())
    });
    let plugin = &daemon.json(["plugins", "faulty"])["plugins"][0];
    assert_eq!((&plugin["replicas"], &plugin["replicas_wanted"]), (&json!(3), &json!(3)));
    assert_eq!((&plugin["health"], &plugin["workers_lost"]), (&json!("healthy"), &json!(1)));
}

#[test]
fn a_plugin_is_scaled_up_and_down_while_every_table_is_played() {
    let daemon = daemon(1, "");
    let watch = Watch::start(&daemon);
    let tables = open(&daemon, 24);
    let enough = AtomicBool::new(false);
    let played: u64 = std::thread::scope(|scope| {
        let players: Vec<_> = tables
            .iter()
            .map(|table| {
                let enough = &enough;
                scope.spawn(move || {
                    let mut turns = 0;
                    while !enough.load(Ordering::Relaxed) {
                        turns += 1;
                        count(table, turns);
                    }
                    turns
                })
            })
            .collect();
        for replicas in [4_u64, 2, 3, 1, 4] {
            let _ = daemon.cli(["scale", "faulty", &replicas.to_string()]).exits(0);
            let workers = serving(&daemon, replicas as usize);
            wait_for("sessions everywhere", || {
                let workers = daemon.workers(Some(Plugin::Faulty));
                let (most, fewest) =
                    (workers.iter().map(|w| w.sessions).max()?, workers.iter().map(|w| w.sessions).min()?);
                (most <= fewest + 1 + most / 8).then_some(())
            });
            assert_eq!(workers.len() as u64, replicas);
        }
        enough.store(true, Ordering::Relaxed);
        players.into_iter().map(|player| player.join().expect("a player")).sum()
    });
    // The last ones are told of when they have arrived.
    let moved = wait_for("as many moves told of as made", || {
        let told = watch.count(|what| matches!(what, What::SessionMoved { .. }));
        let made = &daemon.json(["plugins", "faulty"])["plugins"][0]["moved"];
        (*made == json!(told)).then_some(told)
    });
    println!("{played} turns, {moved} moves");
    assert!(moved >= 40, "{moved} moves");
    let status = daemon.status();
    assert_eq!((status.workers_lost, status.poison, status.held, status.retries), (0, 0, 0, 0));
    assert_eq!(watch.count(|what| matches!(what, What::Diverged { .. } | What::WorkerDied { .. })), 0);
    assert_eq!(watch.count(|what| matches!(what, What::PluginScaled { .. })), 5);
}

#[test]
fn a_restart_moves_sessions_one_by_one_and_callers_see_nothing() {
    let daemon = daemon(2, "");
    let watch = Watch::start(&daemon);
    let tables = open(&daemon, 10);
    tables.iter().for_each(|table| count(table, 1));
    let old = serving(&daemon, 2);
    for round in 2..=4 {
        let _ = daemon.cli(["restart", "faulty"]).exits(0);
        tables.iter().for_each(|table| count(table, round));
    }
    let new = serving(&daemon, 2);
    assert!(new.iter().all(|worker| old.iter().all(|before| before.pid != worker.pid)));
    assert_eq!(new.iter().map(|worker| worker.sessions).sum::<u64>(), 10);
    assert!(watch.count(|what| matches!(what, What::SessionMoved { .. })) >= 30);
    assert_eq!(daemon.status().workers_lost, 0);
}

#[test]
fn workers_are_killed_while_sessions_move_and_nothing_is_lost() {
    let daemon = daemon(2, "standbys = 1\ndeaths_max = 100000");
    let client = daemon.player();
    let enough = AtomicBool::new(false);
    let killer = Killer::start(&daemon, Duration::from_millis(25));
    std::thread::scope(|scope| {
        for _ in 0..12 {
            let (client, enough) = (client.clone(), &enough);
            scope.spawn(move || {
                let table = client.open("faulty", "{}", OpenOptions::default()).expect("a session");
                let mut turns = 0;
                while !enough.load(Ordering::Relaxed) {
                    turns += 1;
                    count(&table, turns);
                }
                table.close().expect("it closes");
            });
        }
        let operator = daemon.client();
        let mut replicas = 2;
        while daemon.status().workers_lost < 60 {
            replicas = replicas % 4 + 1;
            operator.scale("faulty", replicas).expect("it is scaled");
            std::thread::sleep(Duration::from_millis(30));
        }
        enough.store(true, Ordering::Relaxed);
    });
    killer.stop();
    let status = daemon.status();
    assert_eq!((status.poison, status.held, status.plugins_down, status.sessions), (0, 0, 0, 0));
}

#[test]
fn nonsense_is_refused_with_what_to_say_instead() {
    let daemon = daemon(1, "");
    let operator = daemon.client();
    for replicas in [0, 17, u32::MAX] {
        assert_eq!(code(operator.scale("faulty", replicas)), Code::Unsupported);
    }
    assert_eq!(code(operator.scale("nobody", 2)), Code::UnknownPlugin);
    let refused = refusal(operator.scale("faulty", 17));
    assert!(refused.text.contains("17 replicas") && refused.hint.contains("from 1 to 16"), "{refused:?}");
    assert_eq!(serving(&daemon, 1).len(), 1);
}
