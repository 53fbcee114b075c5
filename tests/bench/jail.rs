//! What the jail costs: a worker's start with each layer left out, a system call inside, and the checks before a load.
//!
//! Everything is measured in turns within one run, so that a noisy machine is noisy to all of it. Prints medians with the quartiles beside them; no figure here is a
//! promise. Run by `scripts/bench`.
#![allow(clippy::print_stdout, reason = "the figures are what it is for")]

mod common;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::figures::{Figure, Goal, Lines, Spread, spread};
use croupier::registry::trust::minisign::{KeyId, SecretKey};
use croupier::registry::{Plugin, PluginOptions};
use croupier::supervisor::{Supervisor, SupervisorConfig};
use croupier::worker::ahead::WORKERS_AHEAD_DEFAULT;
use croupier_client::blocking::Client;
use croupier_client::{OpenOptions, Player};
use croupier_tests::artifacts;
use croupier_wire::confine::layer;
use serde_json::json;

/// Rounds over all variants; the first is not counted.
const ROUNDS: usize = 60;
const ROUNDS_QUICK: usize = 12;
/// The plugin of which signature and digest are checked, in bytes.
const LARGE_BYTES: usize = 10 << 20;

/// What is in force unless an operator says otherwise; and how soon such a worker is to serve.
const ALL_LAYERS: &str = "all layers";
const START_MS_GOAL: f64 = 1.2;
const START_P99_MS_GOAL: f64 = 5.0;

/// One way to start a worker.
struct Variant {
    name: &'static str,
    options: PluginOptions,
    /// Workers made ahead.
    ahead: usize,
}

fn variants() -> Vec<Variant> {
    let without = |name, layers| Variant {
        name,
        options: PluginOptions { without_layers: layers, ..PluginOptions::default() },
        ahead: 0,
    };
    // What a layer costs shows where nothing is done ahead.
    let mut variants = vec![
        Variant { ahead: WORKERS_AHEAD_DEFAULT, ..without(ALL_LAYERS, 0) },
        without("all layers, none made ahead", 0),
        without("without limits", layer::RLIMITS),
        without("without dropped privileges", layer::PRIVILEGES),
        without("without Landlock", layer::LANDLOCK),
        without("without filter and empty root", layer::SECCOMP | layer::ROOT),
        without("without namespaces", layer::NAMESPACES),
        without("no layer", layer::ALL | layer::NAMESPACES),
    ];
    variants.push(Variant {
        name: "all layers, executed afresh",
        options: PluginOptions { fresh_aslr: Some(true), ..PluginOptions::default() },
        ahead: 0,
    });
    variants
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let quick = words.iter().any(|word| word == "--quick");
    let rounds = if quick { ROUNDS_QUICK } else { ROUNDS };
    let mut lines = Lines::of(&words);
    println!("| what | median | quartiles |\n|---|---|---|");
    starts(rounds, &mut lines);
    calls(rounds / 4, &mut lines);
    checks(rounds, &mut lines);
}

fn start(
    runtime: &tokio::runtime::Runtime,
    name: &str,
    options: PluginOptions,
    ahead: usize,
) -> (Supervisor, Client) {
    let config = SupervisorConfig::new()
        .workers_ahead(ahead)
        .worker_binary(artifacts::artifacts().worker())
        .isolation_off(croupier::supervisor::config::IsolationOff::Allowed)
        .plugin(name, options);
    let supervisor = Supervisor::start(config, runtime.handle().clone()).expect("a supervisor");
    let client = Client::embedded(supervisor.backend());
    (supervisor, client)
}

/// From the order to start a worker to its serving: fork, jail, the look from outside, load, init.
fn starts(rounds: usize, lines: &mut Lines) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let variants = variants();
    let dice = artifacts::Plugin::Dice.file();
    let running: Vec<_> = variants
        .iter()
        .map(|variant| start(&runtime, "dice", variant.options.clone(), variant.ahead))
        .collect();
    for (_, client) in &running {
        client.load(text(&dice)).expect("it loads");
    }
    let mut times = vec![Vec::new(); variants.len()];
    for round in 0..=rounds {
        for ((_, client), times) in running.iter().zip(&mut times) {
            let from = Instant::now();
            client.restart("dice").expect("it restarts");
            if round > 0 {
                times.push(from.elapsed());
            }
            // The old worker goes home meanwhile, and one is made ahead.
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    for (variant, times) in variants.iter().zip(times) {
        let what = format!("a worker's start, {}", variant.name);
        if variant.name == ALL_LAYERS {
            let ms = spread(times.iter().map(|time| time.as_secs_f64() * 1e3));
            lines.row(&what, Goal::AtMost(START_MS_GOAL), ms, "ms", "scripts/bench --only jail");
            let what = format!("{what}, p99");
            // Of all rounds: one has too few starts for a share of a hundred.
            let mut all = Figure::default();
            all.round(times.iter().map(|time| time.as_nanos() as u64).collect());
            let p99 = all.p99();
            let p99 = Spread { median: p99.median / 1e6, quartiles: p99.quartiles.map(|ns| ns / 1e6) };
            lines.row(&what, Goal::AtMost(START_P99_MS_GOAL), p99, "ms", "scripts/bench --only jail");
        }
        row(lines, &what, times);
    }
}

/// System calls of a plugin, jailed and not.
fn calls(rounds: usize, lines: &mut Lines) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let place = tempfile::tempdir().expect("a directory");
    let tiny = tiny(place.path(), &["-DTINY_CALLS"]);
    let patient = |without_layers| PluginOptions {
        without_layers,
        cpu_ms_per_turn: Some(10_000),
        denied_calls_max: Some(0),
        ..PluginOptions::default()
    };
    let all = [("in the jail", patient(0)), ("without it", patient(layer::ALL | layer::NAMESPACES))];
    let running: Vec<_> =
        all.iter().map(|(_, options)| start(&runtime, "tiny", options.clone(), 0)).collect();
    let tables: Vec<_> = running
        .iter()
        .map(|(_, client)| {
            client.load(text(&tiny)).expect("it loads");
            client.open("tiny", "{}", OpenOptions::default()).expect("it opens")
        })
        .collect();
    let names = ["getpid", "madvise", "socket"];
    let mut times = vec![vec![Vec::new(); names.len()]; all.len()];
    for _ in 0..rounds.max(3) {
        for (table, times) in tables.iter().zip(&mut times) {
            let done = table.act(Player(1), "{}").expect("it plays");
            let costs: serde_json::Value = serde_json::from_slice(&done.reply).expect("JSON");
            for (name, times) in names.iter().zip(times) {
                let ns: f64 = costs[name].to_string().parse().expect("a number");
                times.push(Duration::from_secs_f64(ns / 1e9));
            }
        }
    }
    for ((place, _), times) in all.iter().zip(times) {
        for (name, times) in names.iter().zip(times) {
            let kind = match *name {
                "getpid" => "allowed as it is",
                "madvise" => "allowed by its arguments",
                _ => "refused",
            };
            row(lines, &format!("{name} {place} ({kind} there)"), times);
        }
    }
}

/// What is checked of a file before it is loaded.
fn checks(rounds: usize, lines: &mut Lines) {
    let place = tempfile::tempdir().expect("a directory");
    let file = tiny(place.path(), &[]);
    let mut bytes = std::fs::read(&file).expect("reads");
    bytes.resize(LARGE_BYTES, 0x5a);
    std::fs::write(&file, &bytes).expect("writes");
    let secret = SecretKey::from_seed(KeyId([1; 8]), [7; 32]);
    let signature = secret.sign(&bytes, "measured").expect("signs");
    let public = secret.public();
    let (mut verify, mut load) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let from = Instant::now();
        assert!(public.verifies(&bytes, &signature));
        verify.push(from.elapsed());
        let from = Instant::now();
        Plugin::load(&file, |_| PluginOptions::default()).expect("it is a plugin");
        load.push(from.elapsed());
    }
    row(lines, "signature of a 10 MiB plugin", verify);
    row(lines, "copy, seal, digest, ELF and manifest of a 10 MiB plugin", load);
}

fn tiny(place: &Path, words: &[&str]) -> PathBuf {
    let out = place.join("libtiny.so");
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    artifacts::compile(&artifacts::repository().join("tests/plugins/tiny.c"), &out, &words);
    out
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn row(lines: &mut Lines, what: &str, mut times: Vec<Duration>) {
    let us = spread(times.iter().map(|time| time.as_nanos() as f64 / 1e3));
    lines.say(&json!({ "bench": "figure", "group": "Starting and confining", "name": what, "figure": us.median, "unit": "µs", "spread": us.quartiles }));
    times.sort();
    let at = |share: usize| human(times[(times.len() - 1) * share / 4]);
    println!("| {what} | {} | {} … {} |", at(2), at(1), at(3));
}

fn human(time: Duration) -> String {
    let ns = time.as_nanos();
    match ns {
        0..10_000 => format!("{ns} ns"),
        10_000..10_000_000 => format!("{:.1} µs", ns as f64 / 1e3),
        _ => format!("{:.1} ms", ns as f64 / 1e6),
    }
}
