//! What the controllers of cgroup v2 do to workers. What needs none is in [`super::cgroups`].

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use croupier::SupervisorConfig;
use croupier::jail::cgroup::{Choice, Controller, Limits, OutOfMemory, Tree};
use croupier::registry::PluginOptions;
use croupier_client::{Code, Event, OpenOptions, Player, Push, What};

use crate::bench::{Bench, alone, faulty, start};
use crate::cgroups::{Base, wait_until};

fn base() -> Base {
    let base = Base::make().expect("a cgroup v2 that this test may divide");
    assert_eq!(base.found().controllers, Controller::ALL, "with every controller");
    base
}

fn bench(base: &Base, options: PluginOptions) -> Bench {
    let config = SupervisorConfig::new().cgroup(Choice::At(base.dir().to_owned())).plugin("faulty", options);
    let bench = start(config);
    bench.client.load(faulty().to_str().expect("UTF-8")).expect("loads");
    bench
}

fn read(dir: &Path, file: &str) -> String {
    fs::read_to_string(dir.join(file)).unwrap_or_else(|error| panic!("{file}: {error}")).trim().to_owned()
}

/// One count of a file such as `memory.events`.
fn count(dir: &Path, file: &str, name: &str) -> u64 {
    let text = read(dir, file);
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} in {text}")).parse().expect("a number")
}

#[test]
fn limits_are_in_force_and_a_death_at_the_memory_limit_is_called_that() {
    let base = base();
    let memory = PluginOptions { memory_mib: Some(8), cpu_percent: Some(50), ..PluginOptions::default() };
    let bench = bench(&base, memory);
    let worker = bench.client.workers().expect("workers").remove(0);
    assert!(worker.isolation.contains(", cgroup"), "{}", worker.isolation);
    assert!(!worker.isolation.contains("cgroup ("), "{}", worker.isolation);
    let group = base.directories().remove(0).join("w1");
    let bytes: u64 = read(&group, "memory.max").parse().expect("a number");
    assert!((8 << 20..256 << 20).contains(&bytes), "{bytes}: less than the manifest's 256 MiB");
    assert_eq!((read(&group, "pids.max"), read(&group, "cpu.max")), ("1".into(), "50000 100000".into()));
    assert_eq!((read(&group, "memory.swap.max"), read(&group, "memory.oom.group")), ("0".into(), "1".into()));
    let mut events = bench.client.events().expect("events");
    let table = bench.client.open("faulty", "{}", OpenOptions::default()).expect("opens");
    // In small turns, since an emulated machine takes its CPU time for each.
    let mut leaks = (0..10).map(|_| table.act(Player(1), r#"{"do":"leak","mib":12}"#));
    assert!(leaks.next().expect("ten").is_ok(), "within the limit");
    let error = leaks.find_map(Result::err).expect("together they are over it");
    assert_eq!(error.code(), Some(Code::Poison), "{error}");
    let due = Instant::now() + Duration::from_secs(60);
    let cause = loop {
        match events.wait_next_until(due).expect("a death comes in time") {
            Some(Ok(Push::Event(Event { what: What::WorkerDied { cause, .. }, .. }))) => break cause,
            Some(Ok(_)) => {}
            end => panic!("events ended: {end:?}"),
        }
    };
    assert_eq!(cause, "used up its memory");
    table.act(Player(1), r#"{"do":"count"}"#).expect("the table goes on");
    drop((table, events));
    bench.end();
}

#[test]
fn who_uses_the_cpu_for_long_waits_for_it() {
    let base = base();
    let options = PluginOptions { cpu_percent: Some(10), ..PluginOptions::default() };
    let bench = bench(&base, options);
    let table = bench.client.open("faulty", "{}", OpenOptions::default()).expect("opens");
    table.act(Player(1), r#"{"do":"spin","ms":600}"#).expect("waits, and comes to its end");
    let group = base.directories().remove(0).join("w1");
    assert!(count(&group, "cpu.stat", "nr_throttled") > 0, "{}", read(&group, "cpu.stat"));
    drop(table);
    bench.end();
}

#[test]
fn a_fork_bomb_gets_as_far_as_its_limit() {
    let _alone = alone();
    let base = base();
    let mut tree = Tree::plant(&base.found()).expect("room");
    let limits = Limits { memory_bytes: 64 << 20, tasks: 8, cpu_percent: 100 };
    let group = tree.group(limits).expect("room");
    let bomb = format!(
        "echo $$ > {}/cgroup.procs; for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 1000 & done; wait",
        group.dir().display()
    );
    let mut shell = Command::new("sh").args(["-c", &bomb]).stdin(Stdio::null()).spawn().expect("a shell");
    wait_until("a fork is to be refused", || count(group.dir(), "pids.events", "max") > 0);
    assert!(read(group.dir(), "cgroup.procs").lines().count() <= 8);
    group.kill();
    shell.wait().expect("ends");
}

#[test]
fn a_death_for_want_of_others_memory_is_not_held_against_the_worker() {
    let _alone = alone();
    let base = base();
    let mut tree = Tree::plant(&base.found()).expect("room");
    let limits = Limits { memory_bytes: 512 << 20, tasks: 8, cpu_percent: 100 };
    let group = tree.group(limits).expect("room");
    fs::write(base.dir().join("memory.max"), "20971520").expect("its owner may");
    // A shell variable that doubles until there is no room.
    let eat = format!("echo $$ > {}/cgroup.procs; x=x; while :; do x=$x$x; done", group.dir().display());
    let mut shell = Command::new("sh").args(["-c", &eat]).spawn().expect("a shell");
    assert!(!shell.wait().expect("ends").success());
    assert_eq!(group.out_of_memory(), OutOfMemory::Elsewhere);
}
