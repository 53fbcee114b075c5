//! Limits that the supervisor keeps by itself: what a worker gives out, and how long it lives.

use std::sync::Arc;

use croupier::SupervisorConfig;
use croupier::game::host_calls::HostCall;
use croupier::registry::PluginOptions;
use croupier_client::blocking::Session;
use croupier_client::{Code, OpenOptions, Player};

use crate::bench::{Bench, faulty, start};
use crate::deaths::death;

fn bench(options: PluginOptions) -> Bench {
    let bench = start(SupervisorConfig::new().plugin("faulty", options));
    bench.client.load(faulty().to_str().expect("UTF-8")).expect("loads");
    bench
}

fn open(bench: &Bench) -> Session {
    bench.client.open("faulty", "{}", OpenOptions::default()).expect("opens")
}

/// Beyond its rate a worker is ended, and it is said for what. A turn alone is never too much, so nobody's turn is lost.
#[test]
fn a_worker_that_gives_out_more_than_its_rate_is_ended_by_name() {
    // Ten seconds' worth is less than a turn's 256, so that is what is saved up at the start.
    let bench = bench(PluginOptions { effects_per_s: Some(1), ..PluginOptions::default() });
    let mut events = bench.client.events().expect("events");
    let table = open(&bench);
    let before = bench.pid();
    for _ in 0..3 {
        table.act(Player(1), r#"{"do":"emit","times":200,"text":"x"}"#).expect("alone, none is too much");
    }
    let cause = death(&mut events);
    assert!(
        cause.contains("broke the protocol")
            && cause.contains("more than its 1 sends, emits and host calls a second (effects_per_s)"),
        "{cause}"
    );
    assert_ne!(bench.pid(), before);
    let info = bench.client.plugins(Some("faulty")).expect("plugins").remove(0);
    assert!(info.workers_lost >= 1 && info.poison == 0, "{info:?}");
    drop((table, events));
    bench.end();
}

/// The manifest's own rate is far above what a game gives out.
#[test]
fn a_busy_game_is_within_its_rate() {
    let bench = bench(PluginOptions::default());
    let table = open(&bench);
    for _ in 0..50 {
        table.act(Player(1), r#"{"do":"emit","times":256,"text":"x"}"#).expect("plays");
    }
    let info = bench.client.plugins(Some("faulty")).expect("plugins").remove(0);
    assert_eq!((info.workers_lost, info.poison), (0, 0));
    drop(table);
    bench.end();
}

/// At the end of its life a worker is replaced, which is nobody's fault, and no turn is lost.
#[test]
fn an_old_worker_is_replaced_between_two_turns() {
    // What is replayed in the next one counts for its life too, and how much that is depends on who else is there: so there is little of it.
    let bench = bench(PluginOptions { cpu_s: Some(1), snapshot_turns: Some(1), ..PluginOptions::default() });
    let table = open(&bench);
    let first = bench.pid();
    let mut count = 0;
    // How much CPU time a spinning turn gets depends on who else is there.
    while [0, first].contains(&bench.pid()) {
        count += 1;
        assert!(count < 200, "another worker is awaited in vain");
        table.act(Player(1), r#"{"do":"spin","ms":200}"#).expect("plays");
        let reply = table.act(Player(1), r#"{"do":"count"}"#).expect("plays").reply;
        let reply = String::from_utf8_lossy(&reply).into_owned();
        assert!(reply.contains(&count.to_string()), "{reply}: every turn counts once");
    }
    let info = bench.client.plugins(Some("faulty")).expect("plugins").remove(0);
    assert_eq!(info.poison, 0, "{info:?}");
    drop(table);
    bench.end();
}

/// A turn that takes longer than a whole life is judged by its own limits.
#[test]
fn a_turn_is_not_excused_by_its_workers_age() {
    let options = PluginOptions { cpu_s: Some(1), cpu_ms_per_turn: Some(1500), ..PluginOptions::default() };
    let bench = bench(options);
    let mut events = bench.client.events().expect("events");
    let table = open(&bench);
    let error = table.act(Player(1), r#"{"do":"spin"}"#).expect_err("for ever");
    assert_eq!(error.code(), Some(Code::Poison), "{error}");
    assert_eq!(death(&mut events), "used up its CPU time");
    drop((table, events));
    bench.end();
}

/// A host call is part of its turn, and its answer is nothing that the worker has to answer: the CPU time of the turns behind it is watched like any other's.
#[test]
fn a_turn_behind_a_host_call_has_its_cpu_time_watched() {
    let options =
        PluginOptions { cpu_ms_per_turn: Some(300), turn_wall_ms: Some(600_000), ..PluginOptions::default() };
    let echo = Arc::new(|call: HostCall| Ok(call.args.to_vec()));
    let bench = start(SupervisorConfig::new().plugin("faulty", options).host_call("echo", echo));
    bench.client.load(faulty().to_str().expect("UTF-8")).expect("loads");
    let mut events = bench.client.events().expect("events");
    let table = open(&bench);
    table.act(Player(1), r#"{"do":"call","args":"hello"}"#).expect("is answered");
    let error = table.act(Player(1), r#"{"do":"spin"}"#).expect_err("for ever");
    assert_eq!(error.code(), Some(Code::Poison), "{error}");
    assert_eq!(death(&mut events), "used up its CPU time");
    drop((table, events));
    bench.end();
}

/// What the kernel keeps, as it says itself.
#[test]
fn every_rlimit_is_in_force() {
    let options = PluginOptions {
        memory_mib: Some(64),
        stack_kib: Some(512),
        open_files: Some(9),
        ..PluginOptions::default()
    };
    let bench = bench(options);
    let text = std::fs::read_to_string(format!("/proc/{}/limits", bench.pid())).expect("it lives");
    let hard = |name: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap_or_else(|| panic!("{name} in {text}"));
        let fields: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(fields[0], fields[1], "{name}: soft and hard");
        fields[1].to_owned()
    };
    for (name, value) in [
        ("Max stack size", "524288"),
        ("Max open files", "9"),
        ("Max core file size", "0"),
        ("Max file size", "0"),
        ("Max locked memory", "0"),
        ("Max msgqueue size", "0"),
    ] {
        assert_eq!(hard(name), value, "{name}");
    }
    let data: u64 = hard("Max data size").parse().expect("a number");
    assert!((64 << 20..256 << 20).contains(&data), "{data}");
    bench.end();
}
