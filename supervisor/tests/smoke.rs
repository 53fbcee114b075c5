//! A supervisor in this process, the plugin in C, real workers: load, play, kill the worker in mid-turn, unload, and nothing is left.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use croupier::{Supervisor, SupervisorConfig};
use croupier_client::blocking::Client;
use croupier_client::{Code, LiveSessions, OpenOptions, Player, Push, SessionId};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::runtime::Runtime;

/// The root of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace").to_owned()
}

/// Where cargo puts binaries: this test runs from its `deps`.
fn target_dir() -> PathBuf {
    let exe = std::env::current_exe().expect("a path");
    exe.parent().and_then(Path::parent).expect("two directories up").to_owned()
}

/// The worker, built if this test was built without it.
fn worker() -> PathBuf {
    let worker = target_dir().join("croupier-worker");
    if !worker.is_file() {
        let built = Command::new(env!("CARGO"))
            .current_dir(root())
            .args(["build", "-p", "croupier-worker", "--target-dir"])
            .arg(target_dir().parent().expect("a target directory"))
            .status()
            .expect("cargo runs");
        assert!(built.success(), "cargo builds the worker");
    }
    worker
}

/// Builds the C plugin into a directory.
fn dice(into: &Path) -> PathBuf {
    let so = into.join("libdice.so");
    let built = Command::new("cc")
        .current_dir(root().join("plugins/dice"))
        .args([
            "-std=c99",
            "-O2",
            "-fPIC",
            "-shared",
            "-fvisibility=hidden",
            "-I",
            "../../plugin-abi/include",
            "-I",
            ".",
        ])
        .arg("-o")
        .arg(&so)
        .arg("dice.c")
        .status()
        .expect("a C compiler is there");
    assert!(built.success(), "cc builds the plugin");
    so
}

struct Bench {
    runtime: Runtime,
    supervisor: Supervisor,
    client: Client,
    dir: tempfile::TempDir,
}

fn start() -> Bench {
    let dir = tempfile::tempdir().expect("a directory");
    let runtime = Runtime::new().expect("a runtime");
    let config = SupervisorConfig::new().worker_binary(worker()).state_dir(dir.path().join("state"));
    let supervisor = Supervisor::start(config, runtime.handle().clone()).expect("a supervisor");
    let client = Client::embedded(supervisor.backend());
    Bench { runtime, supervisor, client, dir }
}

impl Bench {
    fn load_dice(&self) {
        let so = dice(self.dir.path());
        let info = self.client.load(so.to_str().expect("UTF-8")).expect("loads");
        assert_eq!((info.name.as_str(), info.state.as_str()), ("dice", "running"));
        assert_eq!(info.workers.len(), 1);
    }

    fn pid(&self) -> u32 {
        self.client.workers().expect("workers")[0].pid
    }

    /// Ends everything, and sees that no child is left.
    fn end(self) {
        assert_eq!(self.runtime.block_on(self.supervisor.shutdown()), 0);
        assert_eq!(children(), Vec::<String>::new());
    }
}

/// Processes with one of these parents, dead ones too.
fn children_of(parents: &[String]) -> Vec<String> {
    let status = |entry: std::fs::DirEntry| std::fs::read_to_string(entry.path().join("stat")).ok();
    let all = std::fs::read_dir("/proc").expect("/proc").flatten().filter_map(status);
    // pid (comm) state ppid …
    let parent =
        |stat: &str| stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1).map(str::to_owned));
    let pid = |stat: String| stat.split(' ').next().expect("a pid").to_owned();
    all.filter(|stat| parent(stat).is_some_and(|parent| parents.contains(&parent))).map(pid).collect()
}

/// Children of this process: the zygote, if there is one.
fn children() -> Vec<String> {
    children_of(&[std::process::id().to_string()])
}

/// Children of the zygote.
fn workers() -> Vec<String> {
    children_of(&children())
}

/// Both tests look at this process's children, so they run one after the other.
static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

#[test]
fn a_table_is_played_from_load_to_unload() {
    let _alone = ALONE.lock();
    let bench = start();
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
    let _alone = ALONE.lock();
    let bench = start();
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
    let _alone = ALONE.lock();
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
