//! Workers that are made ahead: whoever needs a worker next gets one of them, whatever became of it meanwhile, with its own limits.

use std::fs;
use std::path::Path;

use croupier::SupervisorConfig;
use croupier::jail::cgroup::{Choice, Controller};
use croupier_client::{OpenOptions, Player};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::bench::{Bench, children, faulty, start, workers};
use crate::cgroups::{Base, cgroup_of, wait_until};

fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// Living workers that have no plugin.
fn blanks(bench: &Bench) -> Vec<u32> {
    let busy: Vec<u32> = bench.client.workers().expect("workers").iter().map(|worker| worker.pid).collect();
    let all = workers().into_iter().map(|pid| pid.parse().expect("a number"));
    all.filter(|pid| is_alive(*pid) && !busy.contains(pid)).collect()
}

/// The only one, once it is there.
fn blank(bench: &Bench) -> u32 {
    let mut only = None;
    wait_until("a worker ahead is awaited", || {
        let all = blanks(bench);
        only = all.first().copied().filter(|_| all.len() == 1);
        only.is_some()
    });
    only.expect("awaited")
}

fn end(pid: u32) {
    kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL).expect("a worker of ours");
}

#[test]
fn a_worker_made_ahead_takes_a_dead_ones_place() {
    let bench = start(SupervisorConfig::new());
    bench.client.load(faulty().to_str().expect("UTF-8")).expect("loads");
    let table = bench.client.open("faulty", "{}", OpenOptions::default()).expect("opens");
    for turn in 1..=3 {
        let next = blank(&bench);
        let counted = table.act(Player(1), r#"{"do":"count"}"#).expect("is played");
        let reply = String::from_utf8_lossy(&counted.reply).into_owned();
        assert!(reply.contains(&format!(r#""count":{turn},"#)), "{reply}");
        end(bench.pid());
        wait_until("it is to take its place", || bench.pid() == next);
    }
    drop(table);
    bench.end();
}

/// What is the same for every plugin is on before it is known which one comes.
#[test]
fn one_that_waits_sees_no_files_and_can_gain_nothing() {
    let bench = start(SupervisorConfig::new());
    bench.client.load(faulty().to_str().expect("UTF-8")).expect("loads");
    let next = blank(&bench);
    let status = || fs::read_to_string(format!("/proc/{next}/status")).expect("it waits");
    let has =
        |field: &str, value: &str| status().lines().any(|line| line.split_whitespace().eq([field, value]));
    wait_until("it is to be confined", || has("NoNewPrivs:", "1"));
    assert!(has("CapEff:", "0000000000000000") && has("CapBnd:", "0000000000000000"), "{}", status());
    assert_eq!(fs::read_dir(format!("/proc/{next}/root/")).expect("it waits").count(), 0);
    assert!(has("Seccomp:", "0"), "its filter comes with its plugin");
    bench.end();
}

#[test]
fn one_that_died_waiting_is_nobodys_loss() {
    let bench = start(SupervisorConfig::new().workers_ahead(3));
    bench.client.load(faulty().to_str().expect("UTF-8")).expect("loads");
    let table = bench.client.open("faulty", "{}", OpenOptions::default()).expect("opens");
    wait_until("three are awaited", || blanks(&bench).len() == 3);
    let dead = blanks(&bench);
    dead.iter().copied().for_each(end);
    wait_until("they are to be dead", || dead.iter().all(|pid| !is_alive(*pid)));
    let first = bench.pid();
    end(first);
    table.act(Player(1), r#"{"do":"count"}"#).expect("goes on in another worker");
    assert!(bench.pid() != first && !dead.contains(&bench.pid()));
    assert_eq!(bench.client.status().expect("status").workers_lost, 1);
    wait_until("there are to be three again", || blanks(&bench).len() == 3);
    drop(table);
    bench.end();
}

#[test]
fn one_that_was_stopped_is_not_given_away() {
    let bench = start(SupervisorConfig::new());
    bench.client.load(faulty().to_str().expect("UTF-8")).expect("loads");
    let stopped = blank(&bench);
    kill(Pid::from_raw(stopped.cast_signed()), Signal::SIGSTOP).expect("a worker of ours");
    let state = || fs::read_to_string(format!("/proc/{stopped}/stat")).expect("it is there");
    wait_until("it is to stop", || state().contains(") T "));
    bench.load_dice();
    wait_until("it is to be ended", || !is_alive(stopped));
    bench.end();
}

#[test]
fn those_of_a_dead_zygote_are_forgotten() {
    let bench = start(SupervisorConfig::new());
    bench.client.load(faulty().to_str().expect("UTF-8")).expect("loads");
    let table = bench.client.open("faulty", "{}", OpenOptions::default()).expect("opens");
    let before = blank(&bench);
    end(children()[0].parse().expect("a number"));
    table.act(Player(1), r#"{"do":"count"}"#).expect("goes on in another worker");
    assert_ne!(bench.pid(), before);
    assert_ne!(blank(&bench), before, "another zygote's");
    drop(table);
    bench.end();
}

#[test]
fn what_was_made_for_one_plugin_gets_anothers_limits() {
    let Some(base) = Base::make() else { return };
    let bench = start(SupervisorConfig::new().cgroup(Choice::At(base.dir().to_owned())));
    bench.client.load(faulty().to_str().expect("UTF-8")).expect("loads");
    let faultys = bench.pid();
    let next = blank(&bench);
    bench.load_dice();
    let dice = bench.client.workers().expect("workers").into_iter().find(|worker| worker.pid == next);
    let dice = dice.expect("the plugin has the worker that was there");
    let isolation = &dice.isolation;
    match Controller::ALL.len() - base.found().controllers.len() {
        0 => assert!(isolation.contains(", cgroup;") || isolation.ends_with(", cgroup"), "{isolation}"),
        _ => assert!(isolation.contains("cgroup (no limit of "), "{isolation}"),
    }
    if base.found().controllers.contains(&Controller::Memory) {
        let limit = |pid| {
            let path = cgroup_of(pid);
            let group = Path::new(&path).components().rev().take(2).collect::<Vec<_>>();
            let group = group.into_iter().rev().fold(base.dir().to_owned(), |dir, part| dir.join(part));
            let text = fs::read_to_string(group.join("memory.max")).expect("a limit");
            text.trim().parse::<u64>().expect("bytes")
        };
        assert!(limit(next) < limit(faultys), "32 MiB and 256 by their manifests");
    }
    bench.end();
    assert_eq!(base.directories(), Vec::<std::path::PathBuf>::new(), "nothing is left");
}
