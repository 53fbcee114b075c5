//! Simulated days of the core: fifty games, players who come and go, now and then a death. What the core holds does not grow with time.
//!
//! ```text
//!  CROUPIER_SIM_HOURS=72 cargo test -p croupier-core --profile sim --test hours -- --nocapture
//! ```
//!
//! A program of its own, so that the memory of the process is that of this run. The simulator is `sim`'s.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the table is what it is for")]
#![allow(dead_code, unused_imports, reason = "of the simulator only a part is used here")]

#[path = "sim/book.rs"]
mod book;
#[path = "sim/client.rs"]
mod client;
#[path = "sim/clock.rs"]
mod clock;
#[path = "sim/coverage.rs"]
mod coverage;
#[path = "sim/disk.rs"]
mod disk;
#[path = "core/fake.rs"]
mod fake;
#[path = "sim/labour.rs"]
mod labour;
#[path = "sim/lies.rs"]
mod lies;
#[path = "core/on_disk.rs"]
mod on_disk;
#[path = "sim/people.rs"]
mod people;
#[path = "sim/perform.rs"]
mod perform;
#[path = "sim/quiet.rs"]
mod quiet;
#[path = "sim/run.rs"]
mod run;
#[path = "sim/sim.rs"]
mod sim;
#[path = "sim/station.rs"]
mod station;
#[path = "sim/story.rs"]
mod story;
#[path = "sim/supervisor.rs"]
mod supervisor;
#[path = "sim/unreachable.rs"]
mod unreachable;
#[path = "sim/weather.rs"]
mod weather;

use std::panic::{AssertUnwindSafe, catch_unwind};

use clock::{Dice, S};
use croupier_core::durable::Durability;
use croupier_core::views::Holds;
use run::number;
use sim::Sim;
use weather::{Knobs, Weather};

const GAMES: usize = 50;
/// Simulated hours, unless the environment says otherwise.
const HOURS: u64 = 1;
/// An hour.
const HOUR_NS: u64 = 3_600 * S;
/// A look at everything: so many in an hour, of which the worst is told.
const LOOKS: u64 = 12;
/// From so many hours on the last quarter is compared with the first. It takes some eighteen until journals and answers are as long as they get, and until a
/// supervisor has died often enough to have been seen with all that it brings back: of less nothing follows.
const HOURS_COMPARED: u64 = 72;
/// What the last quarter may hold of anything, in percent of what the first quarter held, beside [`GROWTH`].
const GROWTH_PERCENT: usize = 150;
/// What it may hold more of anything: callers wait while a game is suspended, and how many depends on when an operator comes.
const GROWTH: usize = 4_096;
/// Kilobytes that the process may take more in the last quarter than in the first.
const GROWTH_KB: usize = 8_192;

/// What is there in an hour, at most: of each thing, over all games.
#[derive(Debug, Clone, Copy, Default)]
struct Row {
    holds: Holds,
    on_disk: usize,
    rss_kb: usize,
}

impl Row {
    fn look(sim: &Sim) -> Row {
        let mut holds = Holds::default();
        for table in &sim.tables {
            add(&mut holds, &table.game.holds());
        }
        Row { holds, on_disk: sim.disk.entries(), rss_kb: rss_kb() }
    }

    fn columns(&self) -> [(&'static str, usize); 14] {
        let Holds { sessions, queued, flights, records, outputs, answers, waiting, .. } = self.holds;
        let Holds { ended, workers, calls, alarms, kept_back, bytes, .. } = self.holds;
        [
            ("sessions", sessions),
            ("queued", queued + waiting),
            ("flights", flights),
            ("records", records),
            ("outputs", outputs),
            ("answers", answers),
            ("ended", ended),
            ("workers", workers),
            ("calls", calls),
            ("alarms", alarms),
            ("kept", kept_back),
            ("disk", self.on_disk),
            ("KB", bytes / 1024),
            ("RSS KB", self.rss_kb),
        ]
    }
}

fn add(sum: &mut Holds, of: &Holds) {
    sum.sessions += of.sessions;
    sum.queued += of.queued;
    sum.flights += of.flights;
    sum.records += of.records;
    sum.outputs += of.outputs;
    sum.answers += of.answers;
    sum.clients += of.clients;
    sum.waiting += of.waiting;
    sum.seats += of.seats;
    sum.ended += of.ended;
    sum.workers += of.workers;
    sum.calls += of.calls;
    sum.alarms += of.alarms;
    sum.kept_back += of.kept_back;
    sum.listed += of.listed;
    sum.bytes += of.bytes;
}

/// Memory of this process, from `/proc/self/status`.
fn rss_kb() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("a process has a status");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("with its memory");
    line.split_whitespace().nth(1).and_then(|text| text.parse().ok()).expect("in kilobytes")
}

/// The worst of each thing.
fn worst(rows: &[Row]) -> Vec<(&'static str, usize)> {
    let mut worst: Vec<(&'static str, usize)> = Row::default().columns().to_vec();
    for row in rows {
        for (at, (_, count)) in row.columns().into_iter().enumerate() {
            worst[at].1 = worst[at].1.max(count);
        }
    }
    worst
}

fn show(name: &str, worst: &[(&'static str, usize)]) {
    let cells: Vec<String> = worst.iter().map(|(_, count)| format!("{count:>9}")).collect();
    println!("{name:>10} {}", cells.join(" "));
}

/// The last quarter against the first, without the hour in which everything begins.
fn compare(hours: &[Vec<Row>]) {
    let quarter = hours.len() / 4;
    let first = worst(&hours[1..=quarter].concat());
    let last = worst(&hours[hours.len() - quarter..].concat());
    show("first", &first);
    show("last", &last);
    for ((name, first), (_, last)) in first.into_iter().zip(last) {
        let more = if name == "RSS KB" { GROWTH_KB } else { GROWTH };
        let bound = first * GROWTH_PERCENT / 100 + more;
        assert!(last <= bound, "{name}: {last} in the last quarter, {first} in the first; at most {bound}");
    }
}

#[test]
fn nothing_piles_up() {
    let hours = number("CROUPIER_SIM_HOURS").unwrap_or(HOURS);
    let seed = number("CROUPIER_SIM_SEED").unwrap_or(1);
    let began = std::time::Instant::now();
    let knobs =
        |dice: &mut Dice| Knobs::usual(dice.weighted(&[(1, Durability::Process), (3, Durability::Disk)]));
    let mut sim = Sim::new(seed, Dice(seed), Weather::calm(GAMES), None, knobs);
    let names: Vec<String> = Row::default().columns().iter().map(|(name, _)| format!("{name:>9}")).collect();
    println!("{:>10} {}", "hour", names.join(" "));
    let mut rows: Vec<Vec<Row>> = Vec::new();
    for hour in 0..hours {
        let mut looks = Vec::new();
        for look in 1..=LOOKS {
            let until = S + hour * HOUR_NS + look * HOUR_NS / LOOKS;
            if catch_unwind(AssertUnwindSafe(|| sim.run_until(until))).is_err() {
                panic!("seed {seed}, event {}, {} s", sim.events, sim.now_ns / S);
            }
            looks.push(Row::look(&sim));
        }
        show(&hour.to_string(), &worst(&looks));
        rows.push(looks);
    }
    println!("{:?}", sim.tally);
    println!(
        "{GAMES} games, {hours} simulated hours, {} events in {:.1} s",
        sim.events,
        began.elapsed().as_secs_f64()
    );
    if hours >= HOURS_COMPARED {
        compare(&rows);
    }
}
