//! A table from load to unload, a worker killed again and again, and a script in several workers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use croupier::SupervisorConfig;
use croupier_client::{Code, LiveSessions, OpenOptions, Player, Push, SessionId};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::bench::{alone, children, dice, root, start, worker, workers};

#[test]
fn a_table_is_played_from_load_to_unload() {
    let bench = start(SupervisorConfig::new().workers_ahead(0));
    bench.load_dice();
    let (client, so) = (&bench.client, bench.dir.path().join("libdice.so"));
    let again = client.load(so.to_str().expect("UTF-8")).expect_err("twice");
    assert_eq!(again.code(), Some(Code::AlreadyLoaded), "{again}");
    let bad = client.open("dice", r#"{"stak":5}"#, OpenOptions::default()).err().expect("a bad config");
    assert_eq!(bad.code(), Some(Code::BadConfig), "{bad}");
    let table = client.open("dice", r#"{"stack":500}"#, OpenOptions::default()).expect("opens");
    let mut outputs = table.follow(0).expect("follows");
    let stranger = table.act(Player(1), r#"{"roll":true}"#).expect_err("not at the table");
    assert_eq!(stranger.code(), Some(Code::UnknownPlayer), "{stranger}");
    table.join(Player(1), "null").expect("joins");
    let bet = table.act(Player(1), r#"{"bet":"over","amount":100}"#).expect("bets");
    assert!(String::from_utf8_lossy(&bet.reply).contains("400"), "{:?}", String::from_utf8_lossy(&bet.reply));
    let wrong = table.act(Player(1), r#"{"bet":"over","amount":100000}"#).expect_err("too much");
    assert_eq!(wrong.code(), Some(Code::PluginRefused), "{wrong}");
    let no_json = table.act(Player(1), "{").expect_err("no JSON");
    assert_eq!(no_json.code(), Some(Code::BadPayload), "{no_json}");
    let rolled = table.act(Player(1), r#"{"roll":true}"#).expect("rolls");
    assert_eq!(rolled.seq, 5, "open, join, bet, the refused bet, roll");
    assert!(matches!(outputs.wait_next(), Some(Ok(Push::Output(_)))));
    let status = client.status().expect("status");
    assert_eq!((status.sessions, status.turns, status.workers_lost), (1, 5, 0));
    let held = client.unload("dice", LiveSessions::Refuse).expect_err("a session is live");
    assert_eq!(held.code(), Some(Code::WrongState), "{held}");
    table.close().expect("closes");
    let none = client.session(SessionId(99)).close().expect_err("no such session");
    assert_eq!(none.code(), Some(Code::UnknownSession), "{none}");
    client.unload("dice", LiveSessions::Refuse).expect("unloads");
    assert_eq!(workers(), Vec::<String>::new());
    let gone = client.open("dice", "{}", OpenOptions::default()).err().expect("unloaded");
    assert_eq!(gone.code(), Some(Code::UnknownPlugin), "{gone}");
    bench.end();
}

#[test]
fn a_worker_killed_in_mid_turn_costs_nobody_a_turn() {
    const TABLES: u64 = 16;
    const ROLLS: u64 = 400;
    let bench = start(SupervisorConfig::new());
    bench.load_dice();
    let done = AtomicBool::new(false);
    let kills = std::thread::scope(|scope| {
        let killer = scope.spawn(|| {
            let mut kills = 0;
            while !done.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(30));
                let pid = bench.pid();
                if pid != 0 {
                    kills += u32::from(kill(Pid::from_raw(pid as i32), Signal::SIGKILL).is_ok());
                }
            }
            kills
        });
        let tables: Vec<_> = (0..TABLES)
            .map(|_| {
                scope.spawn(|| {
                    let table = bench.client.open("dice", "{}", OpenOptions::default()).expect("opens");
                    table.join(Player(1), "null").expect("joins");
                    for roll in 0..ROLLS {
                        let done = table.act(Player(0), r#"{"roll":true}"#).expect("rolls");
                        assert_eq!(done.seq, roll + 3, "no turn is lost or played twice");
                    }
                    table.close().expect("closes").seq
                })
            })
            .collect();
        for table in tables {
            assert_eq!(table.join().expect("no panic"), ROLLS + 3);
        }
        done.store(true, Ordering::Relaxed);
        killer.join().expect("no panic")
    });
    let status = bench.client.status().expect("status");
    println!(
        "{kills} kills, {} lost, {} in mid-turn, {} retries",
        status.workers_lost, status.workers_lost_mid_turn, status.retries
    );
    assert!(
        status.workers_lost > 0 && status.workers_lost_mid_turn > 0,
        "the worker was killed in mid-turn: {status:?}"
    );
    assert_eq!((status.turns, status.poison, status.held), (TABLES * (ROLLS + 3), 0, 0));
    bench.end();
}

#[test]
fn a_script_is_played_in_several_workers_and_the_plugin_is_found_deterministic() {
    let _alone = alone();
    let dir = tempfile::tempdir().expect("a directory");
    let so = dice(dir.path());
    let mut script = std::fs::read(root().join("plugins/dice/script.jsonl")).expect("the plugin's script");
    let more: String = (0..30)
        .map(|n| format!("{{\"open\":\"m{n}\",\"plugin\":\"dice\"}}\n{{\"act\":\"m{n}\",\"player\":0,\"action\":{{\"roll\":true}}}}\n"))
        .collect();
    script.extend_from_slice(more.as_bytes());
    let report = croupier::solo::determinism::determinism(&so, &script, Some(worker())).expect("is played");
    assert_eq!(report.difference, None);
    assert!(report.turns > 60 && report.sessions == 31 && report.moves > 5, "{report:?}");
    assert_eq!(children(), Vec::<String>::new());
}

/// Descriptors and threads of this process.
fn holdings() -> (usize, usize) {
    let count = |dir: &str| std::fs::read_dir(dir).expect("/proc").count();
    (count("/proc/self/fd"), count("/proc/self/task"))
}

#[test]
fn loading_and_unloading_again_and_again_leaks_neither_descriptors_nor_threads() {
    let bench = start(SupervisorConfig::new().workers_ahead(0));
    let so = dice(bench.dir.path());
    let cycle = || {
        bench.client.load(so.to_str().expect("UTF-8")).expect("loads");
        let table = bench.client.open("dice", "{}", OpenOptions::default()).expect("opens");
        table.act(Player(0), r#"{"roll":true}"#).expect("rolls");
        bench.client.unload("dice", LiveSessions::Close).expect("unloads");
        assert!(workers().is_empty());
    };
    // The runtime makes its blocking threads when they are first needed.
    (0..10).for_each(|_| cycle());
    let before = holdings();
    (0..40).for_each(|_| cycle());
    let after = holdings();
    assert!(
        after.0 <= before.0 + 2 && after.1 <= before.1 + 2,
        "from {before:?} to {after:?} (descriptors, threads)"
    );
    bench.end();
}
