//! Craps: ten million rolls through the supervisor agree with the exact figures.
//!
//! THE STATED ERROR. For a bet whose decisions are independent, the house's win over `n` decisions of one unit lies within
//! `Z_MAX · √(n · variance)` of `n · edge`; the edge is the manifest's, the variance stands in the plugin's `tests/published.json`. Come bets overlap
//! (a seven ends several at once), so their error is taken from the turns: the mean of 1000 turns' results lies within `Z_MAX` standard errors of what
//! the edge says. The seeds are fresh each time: 5 is passed by chance about once in 1.7 million for each of the 38 bets, so this test
//! fails by chance once in some 45,000 runs.

use std::collections::BTreeMap;

use croupier_client::{OpenOptions, Player};
use croupier_tests::{Daemon, Plugin, artifacts::repository};
use serde_json::{Value, json};

use super::reply;

const TABLES: u64 = 10;
const TURNS_PER_TABLE: usize = 100;
const ROLLS_PER_TURN: u64 = 10_000;
const Z_MAX: f64 = 5.0;
/// Upper 10^-6 point of chi-square with ten degrees of freedom (46.9), rounded up.
const CHI_SQUARE_MAX: f64 = 47.0;

#[test]
fn the_example_scripts_play() {
    let daemon = Daemon::with(&[Plugin::Craps]);
    for script in ["craps.jsonl", "craps-many.jsonl"] {
        let (result, code) = daemon.play(&repository().join("examples").join(script), &[]);
        assert_eq!(code, 0, "{script}: {result:#}");
    }
}

#[test]
fn ten_million_rolls_agree_with_the_exact_edge_of_every_bet() {
    let daemon = Daemon::with(&[Plugin::Craps]);
    let standing = standing_bets();
    // Two tables at a time: one waits for its answer while the other is played.
    let turns: Vec<Value> = std::thread::scope(|scope| {
        let tables: Vec<_> = (0..TABLES).map(|_| scope.spawn(|| play_table(&daemon, &standing))).collect();
        tables.into_iter().flat_map(|table| table.join().expect("a table")).collect()
    });
    assert_eq!(turns.len(), TABLES as usize * TURNS_PER_TABLE);
    check_dice(&turns);
    let edges = edges();
    let variances = variances();
    assert_eq!(edges.len(), 38, "every bet of the layout");
    for (bet, edge) in &edges {
        let lines: Vec<Line> = turns.iter().map(|turn| Line::of(&turn["bets"][bet])).collect();
        let z = match variances.get(bet).expect("a published line for every bet") {
            Some(variance) => independent(*edge, *variance, &lines),
            None => batched(*edge, &lines),
        };
        let decisions: f64 = lines.iter().map(|line| line.resolved).sum();
        println!("{bet:<16} {decisions:>9} decisions, z {z:+.2}");
        assert!(decisions > 10_000.0, "{bet} was hardly ever decided");
        assert!(z.abs() < Z_MAX, "{bet}: {z} standard errors off");
    }
    assert_eq!(daemon.status().workers_lost, 0);
}

/// The bets of the example: the whole layout, standing.
fn standing_bets() -> String {
    let text = std::fs::read_to_string(repository().join("examples/craps-many.jsonl")).expect("the example");
    let line = text.lines().find(|line| line.contains("standing")).expect("standing bets");
    let line: Value = serde_json::from_str(line).expect("a line of a script");
    line["action"].to_string()
}

fn play_table(daemon: &Daemon, standing: &str) -> Vec<Value> {
    let table = daemon.player().open("craps", "{}", OpenOptions::default()).expect("a table");
    table.join(Player(1), json!({ "bankroll": 1_000_000_000_000_u64 }).to_string()).expect("a seat");
    table.act(Player(1), standing).expect("legal bets");
    let action = json!({ "rolls": ROLLS_PER_TURN }).to_string();
    let turn = |_| {
        let many = reply(&table.act(Player::HOUSE, action.as_str()).expect("rolls"))["many"].clone();
        assert_eq!(many["rolled"], json!(ROLLS_PER_TURN));
        assert_eq!(many["skipped"], json!(0), "the money reaches for every bet");
        many
    };
    let turns = (0..TURNS_PER_TABLE).map(turn).collect();
    table.close().expect("the table closes");
    turns
}

fn check_dice(turns: &[Value]) {
    let throws = turns.len() as f64 * ROLLS_PER_TURN as f64;
    let mut chi_square = 0.0;
    for total in 2..=12_i32 {
        let count: f64 = turns.iter().map(|turn| float(&turn["totals"][total.to_string()])).sum();
        let expected = throws * f64::from(6 - (7 - total).abs()) / 36.0;
        chi_square += (count - expected).powi(2) / expected;
    }
    println!("dice: {throws} throws, chi-square {chi_square:.1}");
    assert!(chi_square < CHI_SQUARE_MAX);
}

/// The exact edges, from the manifest.
fn edges() -> BTreeMap<String, f64> {
    let text = std::fs::read_to_string(repository().join("plugins/craps/plugin.toml")).expect("the manifest");
    let manifest: toml::Table = text.parse().expect("TOML");
    let bets = manifest["game"]["bets"].as_array().expect("bets");
    let text = |bet: &toml::Value, key: &str| bet[key].as_str().expect("a text").to_owned();
    bets.iter().map(|bet| (text(bet, "name"), fraction(&text(bet, "house_edge")))).collect()
}

/// The variance of one unit, by bet, for the default rules; `None` where decisions are not independent.
fn variances() -> BTreeMap<String, Option<f64>> {
    let text =
        std::fs::read_to_string(repository().join("plugins/craps/tests/published.json")).expect("figures");
    let lines: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    lines
        .iter()
        .filter(|line| line["rules"] == json!({}))
        .map(|line| {
            (line["bet"].as_str().expect("a name").to_owned(), line["variance"].as_str().map(fraction))
        })
        .collect()
}

fn fraction(text: &str) -> f64 {
    let number = |text: &str| text.parse::<f64>().expect("a number");
    text.split_once('/').map_or_else(|| number(text), |(above, below)| number(above) / number(below))
}

struct Line {
    resolved: f64,
    staked: f64,
    house: f64,
}

impl Line {
    fn of(line: &Value) -> Line {
        let (staked, paid) = (float(&line["staked"]), float(&line["paid"]));
        Line { resolved: float(&line["resolved"]), staked, house: staked - paid }
    }
}

fn float(number: &Value) -> f64 {
    if number.is_null() { 0.0 } else { number.as_f64().expect("a number") }
}

fn independent(edge: f64, variance: f64, lines: &[Line]) -> f64 {
    let sum = |of: fn(&Line) -> f64| lines.iter().map(of).sum::<f64>();
    let (decisions, staked, house) = (sum(|l| l.resolved), sum(|l| l.staked), sum(|l| l.house));
    (house - edge * staked) / (staked / decisions * (decisions * variance).sqrt())
}

fn batched(edge: f64, lines: &[Line]) -> f64 {
    let off: Vec<f64> = lines.iter().map(|line| line.house - edge * line.staked).collect();
    let n = off.len() as f64;
    let mean = off.iter().sum::<f64>() / n;
    let variance = off.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
    mean / (variance / n).sqrt()
}
