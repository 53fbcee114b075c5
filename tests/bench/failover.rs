//! What a death costs callers: from `kill -9` of the serving worker to the first good answer of each session by its successor.
//!
//! ```text
//!  1,000 sessions of craps ── 130 turns each ──▶ kill ──▶ every session has an answer of the successor ──▶ a while ──▶ kill ──▶ …
//!  paced:     100 callers who go round over ten tables each, together 2,000 turns a second, whether answers come or not
//!  saturated: 1,000 callers, one a table, who send the next turn when they have an answer: a turn in flight in every session, all the time
//! ```
//!
//! The clock starts just before the signal is sent; for a turn that was due later, when it was due. What the dead worker answered before its death was known is not
//! counted. When the machine is saturated no session can have its next answer sooner than all turns take that are ahead of it, death or not (the columns "turn
//! before"), so that is beside the question how long a death is felt; it shows how long it takes until all is as it was. Going round is the worst order for
//! a supervisor that brings back first what was played last. Each row is the median over several kills of one run; no figure here is a promise.
//! Run by `scripts/bench failover`.
#![allow(clippy::print_stdout, reason = "the figures are what it is for")]

mod common;

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use common::figures::{Goal, Lines, spread};
use croupier::registry::{Durability, PluginOptions};
use croupier::supervisor::{Supervisor, SupervisorConfig};
use croupier_client::{Client, OpenOptions, Player, Push, Session, What};
use croupier_tests::artifacts::{Plugin, artifacts};
use rustix::process::{Pid, Signal, kill_process};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

const SESSIONS: usize = 1000;
/// Turns that each session has before the first kill.
const TURNS_BEFORE: u64 = 130;
const KILLS: usize = 9;
const KILLS_QUICK: usize = 5;
/// Callers of the paced load, and what they send a second, together.
const PACED_CALLERS: usize = 100;
const PACED_TURNS_PER_S: u64 = 2_000;
/// Between two kills, when all is as before.
const REST: Duration = Duration::from_millis(300);
/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);
/// The goal for the 99th percentile with a standby.
const GOAL_MS: f64 = 10.0;
/// And for the median without one.
const P50_GOAL_MS: f64 = 2.0;
/// Milliseconds until all sessions are back.
const BACK_GOAL_MS: f64 = 6.0;
const ROLL: &str = r#"{"roll":true}"#;
const NS_PER_MS: f64 = 1e6;

/// What the callers do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Load {
    Paced,
    Saturated,
}

impl Load {
    fn callers(self) -> usize {
        match self {
            Load::Paced => PACED_CALLERS,
            Load::Saturated => SESSIONS,
        }
    }

    /// From one turn of a caller to its next.
    fn pace(self) -> Option<Duration> {
        let every = Duration::from_nanos(1_000_000_000 * PACED_CALLERS as u64 / PACED_TURNS_PER_S);
        (self == Load::Paced).then_some(every)
    }
}

/// When snapshots are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Snapshots {
    /// As they are by default: after 16 turns where they are small, as those of craps are.
    Default,
    /// After 128 turns.
    Seldom,
    /// After each turn.
    Always,
}

impl Snapshots {
    /// `snapshot_turns` and `snapshot_turns_min`.
    fn turns(self) -> (Option<u64>, Option<u64>) {
        match self {
            Snapshots::Default => (None, None),
            Snapshots::Seldom => (Some(128), Some(128)),
            Snapshots::Always => (Some(1), None),
        }
    }
}

/// One way to be prepared.
#[derive(Clone, Copy)]
struct Variant {
    durability: Durability,
    standbys: u32,
    snapshots: Snapshots,
    load: Load,
}

impl Variant {
    /// Whether one waits until all sessions are back, too.
    fn waits_for_all(self) -> bool {
        self.durability == Durability::Process
            && self.load == Load::Paced
            && self.snapshots != Snapshots::Seldom
            && self.standbys > 0
    }

    /// Words such as `standbys=1` and `snapshots=default` leave the others out.
    fn is_wanted(self) -> bool {
        let words = [
            format!("durability={:?}", self.durability).to_lowercase(),
            format!("standbys={}", self.standbys),
            format!("snapshots={:?}", self.snapshots).to_lowercase(),
            format!("load={:?}", self.load).to_lowercase(),
        ];
        std::env::args().skip(1).filter(|word| word.contains('=')).all(|word| words.contains(&word))
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let quick = words.iter().any(|word| word == "--quick");
    let mut lines = Lines::of(&words);
    let kills = if quick { KILLS_QUICK } else { KILLS };
    let columns = [
        "durability",
        "load",
        "standbys",
        "snapshots",
        "death known",
        "first answer",
        "p50",
        "p99",
        "max",
        "p99 < 10",
        "turn before, p50",
        "p99",
        "turns/s before",
    ];
    println!(
        "\nFailover: death to the next good answer of {SESSIONS} sessions of craps, medians of {kills} kills, in ms\n"
    );
    println!("| {} |\n|{}", columns.join(" | "), "---|".repeat(columns.len()));
    let all = [Snapshots::Default, Snapshots::Seldom, Snapshots::Always];
    let variants = [
        (Durability::Process, Load::Paced, all.as_slice()),
        (Durability::Disk, Load::Paced, &[Snapshots::Default]),
        (Durability::Process, Load::Saturated, &all),
    ];
    for (durability, load, snapshots) in variants {
        for &snapshots in snapshots {
            for standbys in [0, 1] {
                let variant = Variant { durability, standbys, snapshots, load };
                if variant.is_wanted() {
                    run(variant, kills, &mut lines);
                }
            }
        }
    }
}

/// An answer: when its turn was sent, and when it came. Nanoseconds since the Unix epoch.
#[derive(Clone, Copy)]
struct Answer {
    sent_ns: u64,
    at_ns: u64,
}

/// What the callers measure.
struct Book {
    /// When the current kill began; 0 while none does.
    killed_ns: AtomicU64,
    /// Answers since, of each session.
    answers: Vec<Mutex<Vec<Answer>>>,
    /// How long turns take while nobody is killed, of some.
    calm: Mutex<Vec<u64>>,
    turns: AtomicU64,
    enough: AtomicBool,
}

/// What one kill came to, in nanoseconds.
struct Kill {
    known: u64,
    first: u64,
    p50: u64,
    p99: u64,
    max: u64,
}

fn now_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

fn run(variant: Variant, kills: usize, lines: &mut Lines) {
    let runtime = Runtime::new().expect("a runtime");
    let place = tempfile::tempdir().expect("a directory");
    let (snapshot_turns, snapshot_turns_min) = variant.snapshots.turns();
    let options = PluginOptions {
        durability: Some(variant.durability),
        standbys: Some(variant.standbys),
        snapshot_turns,
        snapshot_turns_min,
        ..PluginOptions::default()
    };
    let config = SupervisorConfig::new()
        .worker_binary(artifacts().worker())
        .state_dir(place.path())
        .plugin("craps", options);
    let supervisor = Supervisor::start(config, runtime.handle().clone()).expect("a supervisor");
    let client = Client::embedded(supervisor.backend());
    let book = Arc::new(Book {
        killed_ns: AtomicU64::new(0),
        answers: (0..SESSIONS).map(|_| Mutex::default()).collect(),
        calm: Mutex::default(),
        turns: AtomicU64::new(0),
        enough: AtomicBool::new(false),
    });
    runtime.block_on(async {
        supervisor.load(&Plugin::Craps.file()).await.expect("craps");
        let tables = prepare(&client).await;
        let mut players = JoinSet::new();
        for caller in 0..variant.load.callers() {
            players.spawn(play(tables.clone(), caller, variant.load, book.clone()));
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        book.calm.lock().expect("no panic").clear();
        let (from, before) = (Instant::now(), book.turns.load(Ordering::Relaxed));
        tokio::time::sleep(Duration::from_secs(1)).await;
        let rate = (book.turns.load(Ordering::Relaxed) - before) as f64 / from.elapsed().as_secs_f64();
        let mut calm_ns = std::mem::take(&mut *book.calm.lock().expect("no panic"));
        calm_ns.sort_unstable();
        let mut rows = Vec::new();
        for _ in 0..kills {
            rows.push(kill_once(&client, &book, variant).await);
            tokio::time::sleep(REST).await;
        }
        let mut back_ns = Vec::new();
        if variant.waits_for_all() {
            for _ in 0..kills {
                back_ns.push(until_all_are_back(&client, variant).await);
            }
        }
        book.enough.store(true, Ordering::Relaxed);
        while let Some(player) = players.join_next().await {
            player.expect("a player whom no death cost a turn");
        }
        report(variant, &rows, &calm_ns, rate, lines);
        report_back(variant, &back_ns, lines);
        supervisor.shutdown().await;
    });
}

/// Opens the tables, each with a seat and a standing bet, and plays the turns before.
async fn prepare(client: &Client) -> Arc<Vec<Session>> {
    let mut opening = JoinSet::new();
    for _ in 0..SESSIONS {
        let client = client.clone();
        opening.spawn(async move {
            let table = client.open("craps", "{}", OpenOptions::default()).await.expect("a table");
            table.join(Player(1), r#"{"bankroll":1000000000}"#).await.expect("a seat");
            let bet = r#"{"standing":[{"kind":"pass","amount":10}]}"#;
            table.act(Player(1), bet).await.expect("a bet");
            for _ in 0..TURNS_BEFORE {
                table.act(Player(1), ROLL).await.expect("a roll");
            }
            table
        });
    }
    Arc::new(opening.join_all().await)
}

/// A caller: one roll after the other, round and round over every so manieth table.
async fn play(tables: Arc<Vec<Session>>, first: usize, load: Load, book: Arc<Book>) {
    let (callers, pace) = (load.callers(), load.pace());
    let mut due = Instant::now() + pace.unwrap_or_default() * first as u32 / callers as u32;
    loop {
        for at in (first..SESSIONS).step_by(callers) {
            if book.enough.load(Ordering::Relaxed) {
                return;
            }
            let sent_ns = match pace {
                Some(pace) => {
                    let sent_ns = wait_until(due).await;
                    due += pace;
                    sent_ns
                }
                None => now_ns(),
            };
            tables[at].act(Player(1), ROLL).await.expect("a roll, whoever dies");
            let at_ns = now_ns();
            book.turns.fetch_add(1, Ordering::Relaxed);
            if book.killed_ns.load(Ordering::Relaxed) != 0 {
                book.answers[at].lock().expect("no panic").push(Answer { sent_ns, at_ns });
            } else if at.is_multiple_of(10) {
                book.calm.lock().expect("no panic").push(at_ns - sent_ns);
            }
        }
    }
}

/// When the turn that is due then was sent; when the answer before it came too late for that, when it was due. That a timer goes off late is no doing of the supervisor's.
async fn wait_until(due: Instant) -> u64 {
    let late = Instant::now().saturating_duration_since(due);
    if late.is_zero() {
        tokio::time::sleep_until(due.into()).await;
    }
    now_ns() - late.as_nanos() as u64
}

/// Waits until all is calm: one worker serves all sessions, and the standbys are warm. Gives its pid.
async fn calm(client: &Client, variant: Variant) -> u32 {
    loop {
        let workers = client.workers().await.expect("workers");
        let warm = workers.iter().filter(|worker| worker.state == "standby").count();
        let all = SESSIONS as u64;
        let serving = workers.iter().find(|worker| worker.state == "serving" && worker.sessions == all);
        if let (Some(serving), true) = (serving, warm == variant.standbys as usize) {
            tokio::time::sleep(REST).await;
            return serving.pid;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Gives when.
fn strike(pid: u32) -> u64 {
    let killed_ns = now_ns();
    kill_process(Pid::from_raw(pid as i32).expect("a process id"), Signal::KILL).expect("our worker");
    killed_ns
}

/// Kills the serving worker, and waits until all sessions are in the next one, whether somebody plays them or not. Nanoseconds from the kill to the last one. Kills of their own: a thousand
/// events are work, too.
async fn until_all_are_back(client: &Client, variant: Variant) -> u64 {
    let pid = calm(client, variant).await;
    let mut events = client.events().await.expect("events");
    let killed_ns = strike(pid);
    let mut back = 0;
    loop {
        let event = tokio::time::timeout(PATIENCE, events.next()).await.expect("all come back");
        let Push::Event(event) = event.expect("events").expect("an event") else { continue };
        back += usize::from(matches!(event.what, What::SessionRestored { .. }));
        if back == SESSIONS {
            return event.at_ns - killed_ns;
        }
    }
}

/// Kills the serving worker, and waits until each session has an answer of the next one.
async fn kill_once(client: &Client, book: &Book, variant: Variant) -> Kill {
    let pid = calm(client, variant).await;
    let mut events = client.events().await.expect("events");
    for answers in &book.answers {
        answers.lock().expect("no panic").clear();
    }
    // Before: an answer that comes in between is the dead worker's, and is sorted out below.
    book.killed_ns.store(now_ns(), Ordering::Relaxed);
    let killed_ns = strike(pid);
    let died_ns = loop {
        match events.next().await.expect("events").expect("an event") {
            Push::Event(event) if matches!(event.what, What::WorkerDied { pid: died, .. } if died == pid) => {
                break event.at_ns;
            }
            _ => {}
        }
    };
    drop(events);
    // What came before the death was known is the dead worker's.
    let first = |answers: &Mutex<Vec<Answer>>| {
        answers.lock().expect("no panic").iter().find(|answer| answer.at_ns > died_ns).copied()
    };
    let from = Instant::now();
    while !book.answers.iter().all(|answers| first(answers).is_some()) {
        assert!(from.elapsed() < PATIENCE, "a session has no answer");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    book.killed_ns.store(0, Ordering::Relaxed);
    let answers: Vec<Answer> = book.answers.iter().filter_map(first).collect();
    let since = |answer: &Answer| answer.at_ns - answer.sent_ns.max(killed_ns);
    let mut times: Vec<u64> = answers.iter().map(since).collect();
    times.sort_unstable();
    Kill {
        known: died_ns - killed_ns,
        first: answers.iter().map(|answer| answer.at_ns - killed_ns).min().unwrap_or(0),
        p50: percentile(&times, 50),
        p99: percentile(&times, 99),
        max: percentile(&times, 100),
    }
}

fn percentile(sorted: &[u64], percent: usize) -> u64 {
    sorted.get(sorted.len().saturating_sub(1) * percent / 100).copied().unwrap_or(0)
}

/// The variants that have a goal for their p99: milliseconds.
fn goal(variant: Variant) -> Option<(&'static str, f64)> {
    match variant {
        Variant {
            durability: Durability::Process,
            load: Load::Paced,
            snapshots: Snapshots::Default,
            standbys,
        } => Some(match standbys {
            0 => ("death to next good answer, 1,000 sessions, no standby", 15.0),
            _ => ("death to next good answer, 1,000 sessions, a standby", 1.0),
        }),
        _ => None,
    }
}

/// How long it took until all sessions were back.
fn report_back(variant: Variant, back_ns: &[u64], lines: &mut Lines) {
    if back_ns.is_empty() {
        return;
    }
    let back = spread(back_ns.iter().map(|ns| *ns as f64 / NS_PER_MS));
    let what = match variant.snapshots {
        Snapshots::Always => {
            "death to the last of 1,000 sessions restored, a standby, a snapshot after each turn"
        }
        _ => "death to the last of 1,000 sessions restored, a standby",
    };
    let verdict = lines.row(what, Goal::AtMost(BACK_GOAL_MS), back, "ms", "scripts/bench --only failover");
    println!("{what}: {:.2} ms, {verdict}", back.median);
}

fn report(variant: Variant, kills: &[Kill], calm: &[u64], rate: f64, lines: &mut Lines) {
    let ms = |ns: u64| ns as f64 / NS_PER_MS;
    let median = |column: fn(&Kill) -> u64| {
        let mut all: Vec<u64> = kills.iter().map(column).collect();
        all.sort_unstable();
        ms(percentile(&all, 50))
    };
    if let Some((what, goal)) = goal(variant) {
        let p99 = spread(kills.iter().map(|kill| ms(kill.p99)));
        lines.row(&format!("{what}, p99"), Goal::AtMost(goal), p99, "ms", "scripts/bench --only failover");
        if variant.standbys == 0 {
            let p50 = spread(kills.iter().map(|kill| ms(kill.p50)));
            lines.row(
                &format!("{what}, p50"),
                Goal::AtMost(P50_GOAL_MS),
                p50,
                "ms",
                "scripts/bench --only failover",
            );
        }
    }
    let Variant { durability, standbys, snapshots, load } = variant;
    let words = |word: &dyn std::fmt::Debug| format!("{word:?}").to_lowercase();
    let (durability, load, turns) = (words(&durability), words(&load), words(&snapshots));
    let p99 = median(|kill| kill.p99);
    let verdict = match standbys {
        0 => "–",
        _ if p99 < GOAL_MS => "met",
        _ => "missed",
    };
    println!(
        "| {durability} | {load} | {standbys} | {turns} | {:.2} | {:.2} | {:.2} | {p99:.2} | {:.2} | {verdict} | {:.2} | {:.2} | {rate:.0} |",
        median(|kill| kill.known),
        median(|kill| kill.first),
        median(|kill| kill.p50),
        median(|kill| kill.max),
        ms(percentile(calm, 50)),
        ms(percentile(calm, 99)),
    );
}
