//! A live worker looked at from outside, by the test itself; and levels.

use std::collections::BTreeMap;
use std::fs;

use croupier::registry::PluginOptions;
use croupier::{Supervisor, SupervisorConfig};
use croupier_manifest::manifest::Isolation;

use crate::arena::{Arena, Attacker, Outcome, usual_files, worker};

fn options(isolation: Isolation) -> PluginOptions {
    PluginOptions { isolation: Some(isolation), ..PluginOptions::default() }
}

fn field(status: &str, name: &str) -> String {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("{name} in {status}")).trim().to_owned()
}

pub(crate) fn a_live_worker_is_confined_as_it_is_said_to_be() {
    if !nix::unistd::geteuid().is_root() {
        println!("SKIPPED: only root may look into a worker that serves");
        return;
    }
    let arena = Arena::with(&Attacker::default(), options(Isolation::Strict))
        .unwrap_or_else(|(error, _)| panic!("{error}"));
    let (pid, isolation) = arena.isolation();
    println!("{isolation}");
    let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).expect("root may");
    let status = read("status");
    assert_eq!(field(&status, "Seccomp"), "2");
    assert_eq!(field(&status, "Seccomp_filters"), "1");
    assert_eq!(field(&status, "NoNewPrivs"), "1");
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(field(&status, set).trim_matches('0'), "", "{set}");
    }
    assert_eq!(field(&status, "NSpid").split_whitespace().nth(1), Some("1"), "pid 1 of its own namespace");
    let uids: Vec<u32> =
        field(&status, "Uid").split_whitespace().map(|id| id.parse().expect("a number")).collect();
    assert!(uids.iter().all(|uid| *uid >= 0x7d00_0000 && *uid == uids[0]), "{uids:?}");
    assert_eq!(field(&status, "Groups"), "");
    for name in ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"] {
        let link = |whose: &str| fs::read_link(format!("/proc/{whose}/ns/{name}")).expect("root may");
        assert_ne!(link(&pid.to_string()), link("self"), "{name}");
    }
    let open: BTreeMap<u32, String> = fs::read_dir(format!("/proc/{pid}/fd"))
        .expect("root may")
        .map(|entry| {
            let entry = entry.expect("an entry");
            let number = entry.file_name().to_str().expect("a number").parse().expect("a number");
            (number, fs::read_link(entry.path()).expect("a link").to_string_lossy().into_owned())
        })
        .collect();
    let kinds: Vec<&str> = open.values().map(|to| to.split('[').next().expect("a part")).collect();
    assert_eq!(kinds, ["/dev/null", "pipe:", "pipe:", "socket:", "pipe:", "pipe:"], "{open:?}");
    assert_eq!(fs::read_dir(format!("/proc/{pid}/root/")).expect("root may").count(), 0, "an empty root");
    assert_eq!(read("environ").trim_matches('\0'), "");
    // Nothing of the supervisor's memory: not its program, not its libraries.
    let maps = read("maps");
    assert!(maps.contains("croupier-worker") && !maps.contains("/jailed-"), "{maps}");
    let writable_code: Vec<&str> = maps.lines().filter(|line| line.contains("wx")).collect();
    assert!(writable_code.is_empty(), "{writable_code:?}");
    // Two workers are not the same user.
    let others: Vec<u32> = arena
        .client
        .workers()
        .expect("workers")
        .iter()
        .map(|worker| worker.pid)
        .filter(|other| *other != pid)
        .collect();
    let other = fs::read_to_string(format!("/proc/{}/status", others[0])).expect("it lives");
    assert_ne!(field(&other, "Uid"), field(&status, "Uid"));
    arena.end();
}

pub(crate) fn levels_are_said_and_a_manifest_can_raise_them_but_not_lower() {
    let off = Arena::with(&Attacker::default(), options(Isolation::Off))
        .unwrap_or_else(|(error, _)| panic!("{error}"));
    assert!(
        off.isolation().1.starts_with("off; absent: seccomp (isolation is off)"),
        "{}",
        off.isolation().1
    );
    off.end();
    let attacker = Attacker { manifest: "isolation = \"standard\"\n", ..Attacker::default() };
    let raised =
        Arena::with(&attacker, options(Isolation::Off)).unwrap_or_else(|(error, _)| panic!("{error}"));
    assert!(
        raised.isolation().1.starts_with("standard; enforced: seccomp, no_new_privs"),
        "{}",
        raised.isolation().1
    );
    raised.end();
    let attacker = Attacker { manifest: "isolation = \"off\"\n", ..Attacker::default() };
    let (error, _) = Arena::with(&attacker, PluginOptions::default()).err().expect("no plugin may wish that");
    assert!(error.contains("isolation: may be \"standard\" or \"strict\""), "{error}");
}

pub(crate) fn isolation_off_is_refused_unless_it_was_allowed() {
    let (_, hostile) = usual_files();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let config = SupervisorConfig::new().worker_binary(worker()).plugin("hostile", options(Isolation::Off));
    let supervisor = Supervisor::start(config, runtime.handle().clone()).expect("a supervisor");
    let refused = runtime.block_on(supervisor.load(hostile)).expect_err("nobody allowed it");
    assert!(refused.text.contains("--allow-isolation-off"), "{refused}");
    runtime.block_on(supervisor.shutdown());
}

pub(crate) fn a_fresh_worker_is_jailed_as_well() {
    let options = PluginOptions { fresh_aslr: Some(true), ..PluginOptions::default() };
    let arena = Arena::with(&Attacker::default(), options).unwrap_or_else(|(error, _)| panic!("{error}"));
    assert_eq!(arena.attack("open_file"), Outcome::Result(-2));
    assert_eq!(arena.attack("new_namespace"), Outcome::Result(-1));
    let (pid, isolation) = arena.isolation();
    assert!(isolation.starts_with("standard; enforced: seccomp, no_new_privs"), "{isolation}");
    if nix::unistd::geteuid().is_root() {
        let base = |pid: u32| -> String {
            let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("root may");
            let first = maps.lines().find(|line| line.contains("croupier-worker")).expect("its program");
            first.split('-').next().expect("an address").to_owned()
        };
        let neighbour = arena
            .client
            .workers()
            .expect("workers")
            .iter()
            .map(|worker| worker.pid)
            .find(|other| *other != pid);
        assert_ne!(base(pid), base(neighbour.expect("the neighbour")), "an address layout of its own");
    }
    arena.end();
}
