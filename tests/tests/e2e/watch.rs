//! Watching workers apart from their turns, with real processes: one that hangs while nobody asks anything of it, one that fills its memory, and a plugin that
//! tries what it may not do again and again.

use croupier_client::{Player, PluginInfo, TurnOptions, What, WorkerInfo};
use croupier_tests::{Daemon, Plugin, Setup, Watch, procs, wait_for};
use rustix::process::Signal;
use serde_json::json;

use super::reply;

const COUNT: &str = r#"{"do":"count"}"#;
const TRESPASS: &str = r#"{"do":"trespass"}"#;

fn plugin(daemon: &Daemon) -> PluginInfo {
    daemon.client().plugins(Some("faulty")).expect("it is loaded").remove(0)
}

fn serving(daemon: &Daemon) -> WorkerInfo {
    wait_for("a worker that serves", || {
        daemon
            .workers(Some(Plugin::Faulty))
            .into_iter()
            .find(|worker| worker.state == "serving" && worker.pid != 0)
    })
}

#[test]
fn a_worker_that_hangs_while_it_has_nothing_to_do_is_replaced() {
    let config = "[plugins.faulty]\nping_ms = 100\nping_wall_ms = 500\nstandbys = 1";
    let daemon = Setup::new().plugin(Plugin::Faulty).config(config).start();
    let watch = Watch::start(&daemon);
    let table = daemon.open(Plugin::Faulty, "{}");
    assert_eq!(reply(&table.act(Player(1), COUNT).expect("it counts"))["count"], json!(1));
    let hangs = serving(&daemon);
    // It does not run any more, and nobody has asked it anything.
    assert!(procs::signal_child(daemon.pid(), hangs.pid, Signal::STOP), "it is our child");
    let next = wait_for("another worker", || Some(serving(&daemon)).filter(|worker| worker.pid != hangs.pid));
    assert_ne!(next.worker, hangs.worker);
    let cause = wait_for("the event", || {
        watch.events().into_iter().find_map(|event| match event.what {
            What::WorkerDied { pid, cause, .. } if pid == hangs.pid => Some(cause),
            _ => None,
        })
    });
    assert_eq!(cause, "passed its wall deadline without using the CPU");
    assert_eq!(reply(&table.act(Player(1), COUNT).expect("it counts"))["count"], json!(2));
    assert_eq!(daemon.status().poison, 0);
}

/// The limit of a process's data, in KiB.
fn data_limit_kib(pid: u32) -> u64 {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).expect("our child");
    let line = limits.lines().find(|line| line.starts_with("Max data size")).expect("it has one");
    line.split_ascii_whitespace().nth(3).and_then(|bytes| bytes.parse::<u64>().ok()).expect("a limit") >> 10
}

#[test]
fn a_worker_that_fills_its_memory_is_told_of_before_it_dies_of_it() {
    // Without cgroups the limit of data is the first line.
    let config = "cgroup = \"off\"\n[plugins.faulty]\nmemory_mib = 64";
    let daemon = Setup::new().plugin(Plugin::Faulty).config(config).start();
    let watch = Watch::start(&daemon);
    let table = daemon.open(Plugin::Faulty, "{}");
    assert_eq!(plugin(&daemon).health, "healthy");
    let worker = serving(&daemon);
    let limit_kib = data_limit_kib(worker.pid);
    let rss_kib = procs::rss_kib(worker.pid);
    let leak = |mib: u64| format!(r#"{{"do":"leak","mib":{mib}}}"#);
    let mib = (limit_kib * 84 / 100 - rss_kib) / 1024;
    table.act(Player(1), leak(mib)).expect("there is room");
    let warned = wait_for("a warning", || Some(plugin(&daemon)).filter(|plugin| plugin.health == "warning"));
    let why = warned.fault.expect("a reason");
    assert!(
        why.contains(&format!("worker {} uses more than 80 % of its memory limit", worker.worker)),
        "{why}"
    );
    let shown = daemon.cli(["status"]).exits(0);
    assert!(shown.stdout.contains("faulty is warning: worker"), "{shown}");
    assert!(daemon.cli(["workers"]).exits(0).stdout.contains("faulty is warning"));
    assert_eq!(daemon.json(["status"])["health"][0]["health"], json!("warning"));
    let told = watch.wait("the event", |what| matches!(what, What::MemoryHigh { .. })).what;
    let What::MemoryHigh { pid, percent, limit_kib: told_kib, .. } = told else {
        unreachable!("as waited for")
    };
    assert_eq!((pid, percent, told_kib), (worker.pid, 80, limit_kib));
    // It dies of more. What is told of it goes with it.
    assert!(table.act(Player(1), leak(1000)).is_err());
    wait_for("another worker", || Some(serving(&daemon)).filter(|next| next.pid != worker.pid));
    let why = plugin(&daemon).fault.unwrap_or_default();
    assert!(!why.contains("memory limit"), "{why}");
}

#[test]
fn a_plugin_that_tries_what_it_may_not_do_again_and_again_is_suspended_until_an_operator_resumes_it() {
    let config = "[plugins.faulty]\nviolations_max = 5\ndenied_calls_max = 0";
    let daemon = Setup::new().plugin(Plugin::Faulty).config(config).start();
    let watch = Watch::start(&daemon);
    let tables = [(); 4].map(|()| daemon.open(Plugin::Faulty, "{}"));
    // At one table of four it is that table's affair.
    for _ in 0..10 {
        let done = tables[0].act(Player(1), TRESPASS).expect("it goes on");
        assert_eq!(reply(&done)["opened"], json!(0));
    }
    assert_eq!(plugin(&daemon).health, "healthy");
    wait_for("the events", || {
        (watch.count(|what| matches!(what, What::Violation { .. })) >= 5).then_some(())
    });
    // At several it is the plugin's. The last one may find it suspended already.
    let brief = TurnOptions { deadline_ms: 100, ..TurnOptions::default() };
    for table in &tables[1..] {
        let _ = table.with(brief).act(Player(1), TRESPASS);
    }
    let suspended =
        wait_for("the suspension", || Some(plugin(&daemon)).filter(|plugin| plugin.state == "suspended"));
    let why = suspended.fault.expect("a reason");
    assert_eq!(suspended.health, "critical", "{why}");
    assert!(
        why.contains("more than 5 times") && why.contains("openat") && why.contains("croupier resume"),
        "{why}"
    );
    assert!(daemon.cli(["status"]).exits(0).stdout.contains("faulty is critical: suspended"));
    let _ = watch.wait("the event", |what| matches!(what, What::SuspendedFor { .. }));
    let waits = tables[0].with(brief).act(Player(1), COUNT);
    assert!(waits.is_err(), "turns wait");
    let records = daemon.cli(["audit", "--json"]).exits(0).stdout;
    assert!(records.contains("suspended-for"), "{records}");
    let _ = daemon.cli(["resume", "faulty"]).exits(0);
    let count = reply(&tables[1].act(Player(1), COUNT).expect("it goes on"))["count"].clone();
    assert_eq!(count, json!(1));
    assert_eq!(plugin(&daemon).health, "healthy");
}
