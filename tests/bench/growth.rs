//! What a turn costs as there is more of everything: sessions, plugins, callers; what it takes to load plugins, and what an idle worker takes of memory; and how sessions
//! move between workers while they are played.
//!
//! Houses of all sizes stand side by side in one process, and rounds go round over them, so that a slow minute of the machine hits them alike. One turn in flight goes round over all sessions
//! of a house; with callers each has its own session, and what counts is how long all of them together take for a turn. Run by `scripts/bench --only growth`.
#![allow(clippy::print_stdout, reason = "the figures are what it is for")]

mod common;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::figures::{Figure, Goal, Lines, Spread, spread};
use common::house::House;
use common::play::HOUSE;
use common::{cpu_time, house, pinned, play};
use croupier::jail::plan::Transport;
use croupier_client::blocking::Session;
use croupier_client::{Event, LiveSessions, OpenOptions, Player, Push, What};
use croupier_tests::artifacts::dice_copy;
use croupier_tests::procs;
use serde_json::json;

const COMMAND: &str = "scripts/bench --only growth";
const ROUNDS: usize = 7;
const ROUNDS_QUICK: usize = 3;
/// Turns of one round in each house.
const TURNS: usize = 20_000;
/// Sessions of a house, and how many times a turn among one it may cost.
const SESSIONS: [(usize, Option<f64>); 4] =
    [(1, None), (100, None), (10_000, Some(1.5)), (100_000, Some(4.0))];
const PLUGINS: usize = 200;
const PLUGINS_GOAL: f64 = 1.5;
/// Callers, each with a session, and how many times as long as one all of them together may take for a turn.
const CALLERS: [(usize, Option<f64>); 4] = [(1, None), (10, None), (100, None), (1_000, Some(1.5))];
/// Sessions that tick, and the time between two ticks of one: as many ticks a second in all.
const TICKING: [(usize, u32); 2] = [(1_000, 10), (10_000, 100)];
/// How long ticks are counted in one round.
const TICKS_FOR: Duration = Duration::from_secs(1);
/// Turns of all callers in one round.
const CALLS: usize = 40_000;
const LOAD_MS_GOAL: f64 = 3.0;
/// As when somebody loads one plugin after the other.
const LOADS_APART: Duration = Duration::from_millis(20);
/// Loads of one plugin each in one round.
const LOADS: usize = 5;
/// Plugins that are loaded at once.
const LOADED: usize = 100;
const LOADED_S_GOAL: f64 = 0.5;
/// KiB of an idle worker that it shares with nobody, alone and among a hundred.
const MEMORY_KIB_GOALS: [f64; 2] = [600.0, 200.0];
/// Sessions that move while they are played.
const MOVED: usize = 1_000;
/// No more of them move when none has for so long.
const SETTLED: Duration = Duration::from_millis(300);

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let rounds = if words.iter().any(|word| word == "--quick") { ROUNDS_QUICK } else { ROUNDS };
    let mut lines = Lines::of(&words);
    let dir = tempfile::tempdir().expect("a directory");
    let so = house::echo(dir.path());
    let copies: Vec<PathBuf> = (0..PLUGINS).map(|number| dice_copy(number, dir.path())).collect();
    println!("| what | figure | quartiles | goal |\n|---|---|---|---|");
    sessions(&so, rounds, &mut lines);
    plugins(&so, &copies, rounds, &mut lines);
    // What follows needs all processors.
    pinned::nowhere();
    callers(&so, rounds, &mut lines);
    ticks(&so, rounds, &mut lines);
    loads(&so, &copies, rounds, &mut lines);
    moves(&so, rounds, &mut lines);
}

fn tell(lines: &mut Lines, name: &str, figure: Spread, unit: &str, goal: Option<f64>) {
    let verdict = match goal {
        Some(goal) => lines.row(name, Goal::AtMost(goal), figure, unit, COMMAND),
        None => {
            let Spread { median, quartiles } = figure;
            lines.say(&json!({ "bench": "figure", "group": "Growth", "name": name, "figure": median, "unit": unit, "spread": quartiles }));
            String::new()
        }
    };
    let [low, high] = figure.quartiles;
    println!("| {name} | {:.3} {unit} | {low:.3}–{high:.3} | {verdict} |", figure.median);
}

fn point(lines: &mut Lines, what: &str, x: usize, figure: Spread, unit: &str) {
    lines.say(
        &json!({ "bench": "growth", "what": what, "who": "croupier", "x": x, "y": figure.median, "unit": unit,
        "spread": figure.quartiles }),
    );
}

/// One turn in flight, round over these sessions, beginning where the last round left off.
fn round_over(sessions: &[Session], from: &mut usize, turns: usize) -> Vec<u64> {
    let payload = [7; 64];
    (0..turns)
        .map(|_| {
            let session = &sessions[*from % sessions.len()];
            *from += 1;
            let begun = Instant::now();
            session.act(HOUSE, payload).expect("a turn");
            begun.elapsed().as_nanos() as u64
        })
        .collect()
}

fn sessions(so: &Path, rounds: usize, lines: &mut Lines) {
    let mut houses = Vec::new();
    for (count, goal) in SESSIONS {
        let before = procs::rss_kib(std::process::id());
        let house = House::open(so, Transport::Ring);
        let open: Vec<Session> = (0..count).map(|_| house.session()).collect();
        let grown = procs::rss_kib(std::process::id()).saturating_sub(before);
        houses.push((count, goal, house, open, 0, Figure::default()));
        if count >= 10_000 {
            let each = spread(std::iter::once(grown as f64 / count as f64));
            tell(lines, &format!("memory of a session in the supervisor, of {count}"), each, "KiB", None);
        }
    }
    pinned::descendants(1);
    pinned::here(0);
    for round in 0..=rounds {
        for (_, _, _, open, from, figure) in &mut houses {
            let times = round_over(open, from, TURNS);
            if round > 0 {
                figure.round(times);
            }
        }
    }
    let (_, _, _, _, _, one) = &houses[0];
    for (count, goal, _, _, _, figure) in &houses {
        point(lines, "sessions", *count, micros(figure.p50()), "µs");
        tell(lines, &format!("a turn among {count} sessions"), micros(figure.p50()), "µs", None);
        if goal.is_some() {
            let name = format!("a turn among {count} sessions, beside one among 1");
            tell(lines, &name, figure.over(one), "×", *goal);
        }
    }
    for (_, _, house, open, ..) in houses {
        drop(open);
        house.close();
    }
}

fn micros(ns: Spread) -> Spread {
    Spread { median: ns.median / 1e3, quartiles: ns.quartiles.map(|ns| ns / 1e3) }
}

fn plugins(so: &Path, copies: &[PathBuf], rounds: usize, lines: &mut Lines) {
    let mut houses = Vec::new();
    for count in [1, 10, PLUGINS] {
        let house = House::open(so, Transport::Ring);
        house.load_all(&copies[..count - 1]);
        let open = vec![house.session()];
        houses.push((count, house, open, 0, Figure::default()));
    }
    pinned::descendants(1);
    pinned::here(0);
    for round in 0..=rounds {
        for (_, _, open, from, figure) in &mut houses {
            let times = round_over(open, from, TURNS);
            if round > 0 {
                figure.round(times);
            }
        }
    }
    let (_, _, _, _, one) = &houses[0];
    for (count, _, _, _, figure) in &houses {
        point(lines, "plugins", *count, micros(figure.p50()), "µs");
        let goal = (*count == PLUGINS).then_some(PLUGINS_GOAL);
        let name = format!("a turn with {count} plugins loaded, beside one with 1");
        tell(lines, &name, figure.over(one), "×", goal);
    }
    for (_, house, open, ..) in houses {
        drop(open);
        house.close();
    }
}

fn callers(so: &Path, rounds: usize, lines: &mut Lines) {
    let house = House::open(so, Transport::Ring);
    let most = CALLERS.iter().map(|(count, _)| *count).max().expect("some");
    let open: Vec<Session> = (0..most).map(|_| house.session()).collect();
    let mut measured = [const { (Vec::new(), Vec::new(), Vec::new()) }; CALLERS.len()];
    for round in 0..=rounds {
        for ((count, _), (each, rate, used)) in CALLERS.iter().zip(&mut measured) {
            let (from, cpu) = (Instant::now(), cpu_time::family());
            play::callers(&open[..*count], CALLS / count, &[7; 64]);
            if round > 0 {
                let turns = (CALLS / count * count) as f64;
                let s = from.elapsed().as_secs_f64();
                each.push(s * 1e6 / turns);
                rate.push(turns / s);
                used.push((cpu_time::family() - cpu).as_secs_f64() * 1e6 / turns);
            }
        }
    }
    let one = measured[0].0.clone();
    for ((count, goal), (each, rate, used)) in CALLERS.iter().zip(measured) {
        let times = spread(each.iter().zip(&one).map(|(many, one)| many / one));
        let each = spread(each.into_iter());
        point(lines, "callers", *count, each, "µs");
        tell(lines, &format!("a turn of {count} callers together"), each, "µs", None);
        tell(
            lines,
            &format!("turns a second with {count} callers"),
            spread(rate.into_iter()),
            "turns/s",
            None,
        );
        let name = format!("processor time of a turn with {count} callers, all processes");
        tell(lines, &name, spread(used.into_iter()), "µs", None);
        if goal.is_some() {
            tell(lines, &format!("a turn of {count} callers together, beside one of 1"), times, "×", *goal);
        }
    }
    drop(open);
    house.close();
}

/// Sessions that nobody plays, whose clocks tick.
fn ticks(so: &Path, rounds: usize, lines: &mut Lines) {
    for (count, tick_ms) in TICKING {
        let house = House::open(so, Transport::Ring);
        let options = OpenOptions { tick_ms: Some(tick_ms), ..OpenOptions::default() };
        let open: Vec<Session> = (0..count)
            .map(|_| house.client().open("echo", "{}", options.clone()).expect("a session"))
            .collect();
        let played = || house.client().plugins(None).expect("plugins")[0].turns;
        let mut used = Vec::new();
        for round in 0..=rounds {
            let (from, cpu) = (played(), cpu_time::family());
            std::thread::sleep(TICKS_FOR);
            let ticks = (played() - from) as f64;
            let due = count as f64 / f64::from(tick_ms) * TICKS_FOR.as_millis() as f64;
            assert!(ticks > due / 2.0, "{ticks} ticks of {due} were played");
            if round > 0 {
                used.push((cpu_time::family() - cpu).as_secs_f64() * 1e6 / ticks);
            }
        }
        let name = format!("processor time of a tick, {count} sessions at {tick_ms} ms, all processes");
        tell(lines, &name, spread(used.into_iter()), "µs", None);
        drop(open);
        house.close();
    }
}

/// From a file to its first turn; many files at once; and what idle workers take of memory.
fn loads(so: &Path, copies: &[PathBuf], rounds: usize, lines: &mut Lines) {
    let none_ahead = House::with_none_ahead(so);
    let alone = spread(own_kib(&none_ahead).into_iter());
    tell(lines, "memory of an idle worker, alone", alone, "KiB", Some(MEMORY_KIB_GOALS[0]));
    let house = House::open(so, Transport::Ring);
    let mut one = [Vec::new(), Vec::new()];
    let mut all = Vec::new();
    for round in 0..=rounds {
        for (number, copy) in copies.iter().take(LOADS).enumerate() {
            for (house, times) in [&house, &none_ahead].into_iter().zip(&mut one) {
                std::thread::sleep(LOADS_APART);
                let time = load(house, copy, &format!("copy{number:03}"));
                if round > 0 {
                    times.push(time.as_secs_f64() * 1e3);
                }
            }
        }
        if round < 3 {
            let from = Instant::now();
            house.load_all(&copies[..LOADED]);
            let time = from.elapsed();
            if round == 0 {
                let name = format!("memory of an idle worker by its share, among {LOADED}");
                tell(lines, &name, spread(own_kib(&house).into_iter()), "KiB", Some(MEMORY_KIB_GOALS[1]));
            } else {
                all.push(time.as_secs_f64());
            }
            for number in 0..LOADED {
                house.client().unload(&format!("copy{number:03}"), LiveSessions::Close).expect("it goes");
            }
        }
    }
    let [ahead, none] = one;
    tell(
        lines,
        "load of a plugin, verified and jailed, to its first turn",
        spread(ahead.into_iter()),
        "ms",
        Some(LOAD_MS_GOAL),
    );
    tell(
        lines,
        "load of a plugin, verified and jailed, to its first turn, none made ahead",
        spread(none.into_iter()),
        "ms",
        None,
    );
    tell(lines, &format!("load of {LOADED} plugins"), spread(all.into_iter()), "s", Some(LOADED_S_GOAL));
    house.close();
    none_ahead.close();
}

/// From a file to the first turn of its first session, which ends again.
fn load(house: &House, copy: &Path, name: &str) -> Duration {
    let from = Instant::now();
    house.load(copy);
    let table = house.client().open(name, "{}", OpenOptions::default()).expect("a table");
    table.join(Player(1), "{}").expect("a seat");
    let time = from.elapsed();
    drop(table);
    house.client().unload(name, LiveSessions::Close).expect("it goes");
    time
}

/// What each worker with a plugin takes of memory, shared pages by their share (PSS).
fn own_kib(house: &House) -> Vec<f64> {
    let workers = house.client().workers().expect("workers");
    workers
        .into_iter()
        .filter_map(|worker| {
            let text = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", worker.pid)).ok()?;
            let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
            line.trim().trim_end_matches("kB").trim().parse::<f64>().ok()
        })
        .collect()
}

/// Sessions are played while the plugin is scaled up and down again.
fn moves(so: &Path, rounds: usize, lines: &mut Lines) {
    let house = House::open(so, Transport::Ring);
    let open: Vec<Session> = (0..MOVED).map(|_| house.session()).collect();
    let mut events = house.client().events().expect("events");
    let enough = std::sync::atomic::AtomicBool::new(false);
    let (mut pauses, mut each) = (Vec::new(), Vec::new());
    std::thread::scope(|scope| {
        for some in open.chunks(MOVED / 4) {
            let enough = &enough;
            scope.spawn(move || {
                let mut from = 0;
                while !enough.load(std::sync::atomic::Ordering::Relaxed) {
                    round_over(some, &mut from, 100);
                }
            });
        }
        for round in 0..rounds * 2 {
            let from = Instant::now();
            house.client().scale("echo", if round % 2 == 0 { 2 } else { 1 }).expect("it is scaled");
            let (mut moved, mut last) = (0, from);
            while let Ok(Some(Ok(push))) = events.wait_next_until(Instant::now() + SETTLED) {
                if let Push::Event(Event { what: What::SessionMoved { pause_us, .. }, .. }) = push {
                    (moved, last) = (moved + 1, Instant::now());
                    pauses.push(pause_us * 1_000);
                }
            }
            assert!(moved >= MOVED * 2 / 5, "{moved} sessions moved");
            each.push((last - from).as_secs_f64() * 1e3 / moved as f64 * 1e3);
        }
        enough.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    let mut figure = Figure::default();
    figure.round(pauses);
    tell(lines, "pause of a session that moves, four callers, p50", micros(figure.p50()), "µs", None);
    tell(lines, "pause of a session that moves, four callers, p99", micros(figure.p99()), "µs", None);
    tell(lines, "1,000 sessions moved, four callers", spread(each.into_iter()), "ms", None);
    drop(events);
    drop(open);
    house.close();
}
