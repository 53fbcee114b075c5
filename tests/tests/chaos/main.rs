//! Everything dies, at random, while real games are played: workers every 50 ms, the zygote, the supervisor; workers are stopped and go on; the
//! disk of the journal fills up. Afterwards every player has what an undisturbed run would have given.
//!
//! * `weather`: what is done to the supervisor and its children.
//! * `players`: who plays meanwhile, and what each must find.
//! * `soak`: many plugins for long, and what grows.
//! * `hands`: recorded poker hands, whose stacks are known.
//!
//! | variable | default | |
//! | --- | --- | --- |
//! | `CROUPIER_CHAOS_S` | 20 | seconds of bad weather |
//! | `CROUPIER_CHAOS_SEED` | by the clock | of the order of what is done; printed |
//! | `CROUPIER_SOAK_S` | 15 | seconds of the soak |
//!
//! Only processes that the test started are touched, each by its pid.

mod hands;
mod players;
mod soak;
mod weather;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use croupier_client::SessionId;
use croupier_tests::small_disk::in_namespace;
use croupier_tests::{Daemon, Dice, Plugin, Setup, skipped, wait_for};
use players::{Ledger, Table};
use weather::Weather;

/// MiB of the journal's file system: enough for what is live, little enough to be filled in a moment.
const DISK_MIB: u64 = 64;

/// Deaths by deadline are expected here, one for each worker that is stopped for long.
const CONFIG: &str = r#"
[defaults]
durability = "disk"
snapshot_turns = 20
turn_wall_ms = 1000
deaths_max = 100000
restart_pause_ms = 1
restart_pause_max_ms = 20

[plugins.holdem]
replicas = 2

[plugins.dice]
durability = "process"

[transcripts]
keep_mib = 256

[crashes]
keep = 20
"#;

#[test]
fn whatever_dies_no_turn_is_lost_and_none_is_doubled() {
    if !rustix::process::geteuid().is_root() {
        return skipped("chaos", "only root may mount a small file system");
    }
    in_namespace(chaos);
}

fn chaos() {
    let seed = seconds("CROUPIER_CHAOS_SEED").unwrap_or_else(|| {
        SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos() as u64
    });
    let lasts = Duration::from_secs(seconds("CROUPIER_CHAOS_S").unwrap_or(20));
    println!("CROUPIER_CHAOS_SEED={seed}, {} s", lasts.as_secs());
    let plugins = [Plugin::Holdem, Plugin::Craps, Plugin::Faulty, Plugin::Dice];
    let setup = plugins.into_iter().fold(Setup::new(), Setup::plugin).config(CONFIG);
    let hands = hands::load(setup.dir());
    let mut daemon = setup.journal_on_small_disk(DISK_MIB).start();
    let (enough, ledger) = (AtomicBool::new(false), Ledger::default());
    let tables: Vec<Table> = players::tables(&daemon);
    let weather = std::thread::scope(|scope| {
        let (hands, enough, ledger) = (&hands, &enough, &ledger);
        // A player that fails ends the test at once, not in an hour.
        let players: Vec<_> = tables
            .into_iter()
            .map(|table| scope.spawn(move || ledger.until_end(enough, || table.play(hands, enough, ledger))))
            .collect();
        let weather =
            Weather::new(Dice::new(seed), lasts).rage(&mut daemon, enough, |weather| ledger.saw_all(weather));
        enough.store(true, Ordering::Relaxed);
        for player in players {
            player.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
        weather
    });
    println!("{weather}\n{ledger}");
    calm(&daemon);
    ledger.check(&weather);
}

/// Everybody has left: nothing is left either.
fn calm(daemon: &Daemon) {
    wait_for("all plugins to serve", || {
        let plugins = daemon.client().plugins(None).expect("plugins");
        plugins.iter().all(|plugin| plugin.state == "running").then_some(())
    });
    let status = daemon.status();
    if (status.held, status.sessions) != (0, 0) {
        // Whose they were, what was played there, and what was done about them: all that is needed to find out why they are there.
        let left = daemon.client().sessions(None, 10).expect("sessions");
        for session in &left {
            println!(
                "left over: {session:?}\n{}",
                daemon.client().export(SessionId(session.session)).expect("an export")
            );
        }
        let audited = std::fs::read_dir(daemon.state_dir().join("audit")).into_iter().flatten().flatten();
        let lines: Vec<String> =
            audited.filter_map(|file| std::fs::read_to_string(file.path()).ok()).collect();
        let about = |line: &&str| left.iter().any(|session| line.contains(&session.session.to_string()));
        lines.iter().flat_map(|text| text.lines()).filter(about).for_each(|line| println!("audited: {line}"));
    }
    assert_eq!((status.held, status.sessions), (0, 0), "{status:?}");
    let verified = daemon.json(["status"]);
    assert_eq!(verified["journal"]["aside"], serde_json::json!([]));
}

fn seconds(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text}: a whole number is wanted")))
}
