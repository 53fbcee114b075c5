//! Fifty plugins come and go at the same time, again and again: nothing of them stays.

use croupier_client::{LiveSessions, OpenOptions, Player, blocking::Client};
use croupier_tests::{Setup, artifacts, procs, skipped, wait_for};

const PLUGINS: usize = 50;
/// Cycles of each plugin, unless `CROUPIER_CYCLES` says otherwise; the note on the release was made with 100.
const CYCLES: usize = 20;
/// Cycles before anything is measured: allocators, thread pools and caches fill up once.
const WARM_UP: usize = 2;
/// Memory is looked at this often: what is kept for good grows from round to round, what is bounded does not.
const ROUNDS: usize = 4;
/// What the supervisor may grow after the warm-up, in KiB: pages that the allocator keeps, and what is remembered up to a bound (opens, ended sessions).
const GROWTH_KIB_MAX: u64 = 16 << 10;
/// And with each load, in bytes. What is kept for good of a plugin is more than this; it takes some hundred cycles to show.
const GROWTH_PER_LOAD_MAX: u64 = 512;

#[test]
fn fifty_plugins_load_serve_and_unload_over_and_over_without_a_trace() {
    if artifacts::c_compiler().is_none() {
        return skipped("fifty plugins", "there is no C compiler to build them with");
    }
    let cycles = std::env::var("CROUPIER_CYCLES").ok().and_then(|text| text.parse().ok()).unwrap_or(CYCLES);
    // What every session of every cycle would write is no leak, but would hide one.
    let daemon = Setup::new().config("[transcripts]\nwrite = false\n[log]\nfilter = \"warn\"").start();
    let files: Vec<String> = (0..PLUGINS)
        .map(|number| artifacts::dice_copy(number, daemon.dir()).to_str().expect("UTF-8").to_owned())
        .collect();
    let socket = daemon.control();
    let run = |cycles| {
        std::thread::scope(|scope| {
            for (number, file) in files.iter().enumerate() {
                let socket = &socket;
                scope.spawn(move || (0..cycles).for_each(|_| cycle(socket, number, file)));
            }
        });
        // The zygote stays, and the worker that was made ahead.
        wait_for("no worker", || (procs::descendants(daemon.pid()).len() == 2).then_some(()));
        // Our own connections close when the supervisor has seen it.
        let settled = || {
            let before = procs::descriptors(daemon.pid());
            std::thread::sleep(std::time::Duration::from_millis(200));
            (procs::descriptors(daemon.pid()) == before).then_some(before)
        };
        let descriptors = wait_for("descriptors to settle", settled);
        (descriptors, procs::threads(daemon.pid()), procs::rss_kib(daemon.pid()))
    };
    let (descriptors, threads, rss) = run(WARM_UP);
    let after: Vec<_> = (0..ROUNDS).map(|_| run(cycles.div_ceil(ROUNDS))).collect();
    let memory: Vec<u64> = after.iter().map(|(_, _, rss)| *rss).collect();
    let (descriptors_after, threads_after, rss_after) = after[ROUNDS - 1];
    println!(
        "{PLUGINS} plugins × {cycles} cycles: descriptors {descriptors} → {descriptors_after}, threads {threads} → {threads_after}, \
         memory {rss} → {memory:?} KiB"
    );
    assert_eq!(descriptors_after, descriptors, "{:#?}", procs::descriptor_list(daemon.pid()));
    let bound = rss + GROWTH_KIB_MAX + (cycles * PLUGINS) as u64 * GROWTH_PER_LOAD_MAX / 1024;
    assert!(rss_after <= bound, "memory grew from {rss} to {memory:?} KiB");
    assert!(procs::zombies(daemon.pid()).is_empty());
    let status = daemon.status();
    assert_eq!(
        (status.plugins, status.sessions, status.workers, status.workers_lost),
        (0, 0, 0, 0),
        "{status:?}"
    );
}

fn cycle(socket: &std::path::Path, number: usize, file: &str) {
    let client = Client::connect(socket).expect("the control socket answers");
    let name = format!("copy{number:03}");
    let loaded = client.load(file).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!((loaded.name.as_str(), loaded.state.as_str()), (name.as_str(), "running"));
    let table = client.open(&name, r#"{"stack":100}"#, OpenOptions::default()).expect("a table");
    table.join(Player(1), "{}").expect("a seat");
    table.act(Player(1), r#"{"bet":"over","amount":5}"#).expect("a bet");
    table.act(Player(1), r#"{"roll":true}"#).expect("a throw");
    // Every other time the table is left to the unloading.
    if number.is_multiple_of(2) {
        table.close().expect("it closes");
    }
    client.unload(&name, LiveSessions::Close).unwrap_or_else(|error| panic!("{name}: {error}"));
}
