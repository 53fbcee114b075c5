//! Fifty plugins for long: what the supervisor holds in memory, descriptors, threads and on the disk does not grow but by what it is to remember.

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use croupier_client::{ClientId, OpenOptions, Player};
use croupier_tests::{Daemon, Dice, Setup, artifacts, procs, skipped, wait_for};
use serde_json::json;

const PLUGINS: usize = 50;
const PLAYERS: u64 = 6;
/// Turns of one session after its seat.
const THROWS: u64 = 25;
/// A worker is killed this often: deaths are part of a long life.
const KILL_EVERY: Duration = Duration::from_secs(2);
/// Looks during the soak; the first is taken after as long as lies between two.
const LOOKS: u32 = 10;

/// What may be added to the first look: pages that the allocator keeps, files up to their limits.
const MEMORY_KIB: u64 = 24 << 10;
const DISK_KIB: u64 = 64 << 10;
/// For each session that ended in the last [`REMEMBERED`]: its answers are remembered, for whoever comes back and asks again.
const MEMORY_PER_SESSION: u64 = 24 << 10;
const REMEMBERED: Duration = Duration::from_secs(125);
/// For each session that ended since: the same on the disk, up to a limit for each plugin.
const DISK_PER_SESSION: u64 = 6 << 10;
const DESCRIPTORS: usize = 8;

const CONFIG: &str = r#"
[log]
filter = "warn"
[defaults]
durability = "disk"
[transcripts]
keep_mib = 16
[audit]
file_mib = 1
keep_mib = 4
[crashes]
keep = 10
keep_mib = 8
"#;

#[test]
fn fifty_plugins_for_long_grow_only_by_what_is_remembered() {
    if artifacts::c_compiler().is_none() {
        return skipped("the soak", "there is no C compiler to build fifty plugins with");
    }
    let lasts = Duration::from_secs(super::seconds("CROUPIER_SOAK_S").unwrap_or(15));
    let setup = Setup::new().config(CONFIG);
    for number in 0..PLUGINS {
        artifacts::dice_copy(number, &setup.dir().join("plugins"));
    }
    let daemon = setup.start();
    let (enough, sessions) = (AtomicBool::new(false), AtomicU64::new(0));
    let looks = std::thread::scope(|scope| {
        for player in 1..=PLAYERS {
            let (daemon, enough, sessions) = (&daemon, &enough, &sessions);
            scope.spawn(move || {
                // Whoever fails ends it for all; the scope tells.
                let _enough = StopAll(enough);
                play(daemon, player, enough, sessions);
            });
        }
        let _enough = StopAll(&enough);
        let mut looks = Vec::new();
        let (start, mut dice, mut kill) = (Instant::now(), Dice::new(7), Instant::now());
        while looks.len() < LOOKS as usize && !enough.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(50));
            if kill.elapsed() >= KILL_EVERY {
                let workers = daemon.workers(None);
                let pids: Vec<u32> = workers.iter().map(|worker| worker.pid).collect();
                let _ = dice.pick(&pids).is_some_and(|pid| daemon.kill_worker(pid));
                kill = Instant::now();
            }
            if start.elapsed() >= lasts / LOOKS * (looks.len() as u32 + 1) {
                looks.push(Look::at(&daemon, start.elapsed(), sessions.load(Ordering::Relaxed)));
            }
        }
        looks
    });
    println!("{PLUGINS} plugins, {} s", lasts.as_secs());
    looks.iter().for_each(|look| println!("{look}"));
    let (first, last) = (&looks[0], &looks[LOOKS as usize - 1]);
    let more = last.sessions - first.sessions;
    let old = looks.iter().rfind(|look| look.after + REMEMBERED <= last.after);
    let remembered = last.sessions - old.map_or(0, |look| look.sessions);
    let memory = first.memory_kib + MEMORY_KIB + remembered * MEMORY_PER_SESSION / 1024;
    let disk = first.disk_kib + DISK_KIB + more * DISK_PER_SESSION / 1024;
    assert!(last.memory_kib <= memory, "more than {memory} KiB of memory");
    assert!(last.disk_kib <= disk, "more than {disk} KiB of disk");
    assert!(
        last.descriptors <= first.descriptors + DESCRIPTORS,
        "{:#?}",
        procs::descriptor_list(daemon.pid())
    );
    assert!(last.threads <= first.threads + DESCRIPTORS, "{last}");
    wait_for("the dead to be reaped", || procs::zombies(daemon.pid()).is_empty().then_some(()));
    let status = daemon.status();
    assert_eq!(
        (status.sessions, status.held, status.poison, status.plugins_down),
        (0, 0, 0, 0),
        "{status:?}"
    );
}

struct StopAll<'a>(&'a AtomicBool);

impl Drop for StopAll<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Session after session, each of another plugin.
fn play(daemon: &Daemon, player: u64, enough: &AtomicBool, sessions: &AtomicU64) {
    let client = daemon.patient_player(ClientId(player));
    let mut dice = Dice::new(player);
    while !enough.load(Ordering::Relaxed) {
        let plugin = format!("copy{:03}", dice.below(PLUGINS as u64));
        let table = client.open(&plugin, r#"{"stack":1000}"#, OpenOptions::default()).expect("a table");
        table.join(Player(1), "{}").expect("a seat");
        for throw in 0..THROWS {
            let bet = table.act(Player(1), r#"{"bet":"over","amount":1}"#).expect("a bet");
            assert_eq!(bet.seq, 3 + 2 * throw);
            table.act(Player(0), json!({ "roll": true }).to_string()).expect("a throw");
        }
        table.close().expect("it closes");
        sessions.fetch_add(1, Ordering::Relaxed);
    }
}

/// What the supervisor holds at a moment.
struct Look {
    after: Duration,
    sessions: u64,
    memory_kib: u64,
    disk_kib: u64,
    descriptors: usize,
    threads: usize,
}

impl Look {
    fn at(daemon: &Daemon, after: Duration, sessions: u64) -> Look {
        let pid = daemon.pid();
        Look {
            after,
            sessions,
            memory_kib: procs::rss_kib(pid),
            disk_kib: bytes_below(&daemon.state_dir()) >> 10,
            descriptors: procs::descriptors(pid),
            threads: procs::threads(pid),
        }
    }
}

impl fmt::Display for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Look { after, sessions, memory_kib, disk_kib, descriptors, threads } = self;
        write!(
            f,
            "after {:>5.0} s: {sessions:>8} sessions ended, {memory_kib:>7} KiB of memory, {disk_kib:>7} KiB on the disk, {descriptors:>3} descriptors, {threads:>3} threads",
            after.as_secs_f64()
        )
    }
}

fn bytes_below(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    // What is deleted meanwhile counts for nothing.
    entries
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes_below(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}
