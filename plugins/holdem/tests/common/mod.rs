//! What the tests share: reads hand histories and plays them on a table of the SDK, in this process.
#![allow(dead_code, unreachable_pub)] // each test takes what it needs

use std::path::{Path, PathBuf};

use croupier_sdk::testing::{Checks, Table};
use holdem::Holdem;
use serde_json::{Value, json};

/// Where hand histories other than our own may be: a folder of .phh and .phhs files.
const RECORDS_VARIABLE: &str = "CROUPIER_PHH_DIR";

/// A recorded hand.
pub struct Record {
    /// File and section.
    pub name: String,
    /// As the plugin takes it.
    pub config: Value,
    /// As recorded.
    pub actions: Vec<String>,
    /// As recorded, if they are.
    pub finishing_stacks: Option<Value>,
}

/// The hands of our own.
pub fn own_hands() -> PathBuf {
    repository().join("examples/hands")
}

/// The folder of recorded hands that are not part of the repository, when there is one. Says so when there is none.
pub fn recorded_hands() -> Option<PathBuf> {
    #[allow(clippy::disallowed_methods)] // a test may look at its environment; a game may not
    let named = std::env::var_os(RECORDS_VARIABLE).map(PathBuf::from);
    let folder = named.unwrap_or_else(|| repository().join("../shared/data/phh"));
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: no recorded hands at {} ({RECORDS_VARIABLE} names another folder)", folder.display());
    None
}

/// The top of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All hands of the folder, in the order of file names.
pub fn read_folder(folder: &Path) -> Vec<Record> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let is_phh = |file: &PathBuf| file.extension().is_some_and(|ext| ext == "phh" || ext == "phhs");
    files.into_iter().filter(is_phh).flat_map(|file| read_file(&file)).collect()
}

fn read_file(file: &Path) -> Vec<Record> {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let document: toml::Table = text.parse().unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    if document.contains_key("variant") {
        return vec![record(&document, stem)];
    }
    let hand = |(section, hand): (&String, &toml::Value)| {
        let table = hand.as_table().unwrap_or_else(|| panic!("{stem}: {section} is not a hand"));
        record(table, format!("{stem} [{section}]"))
    };
    document.iter().map(hand).collect()
}

fn record(hand: &toml::Table, name: String) -> Record {
    let members =
        ["variant", "antes", "blinds_or_straddles", "min_bet", "starting_stacks", "ante_trimming_status"];
    let mut config = json!({ "deal": "scripted" });
    for member in members {
        if let Some(value) = hand.get(member) {
            config[member] = to_json(value);
        }
    }
    let finishing_stacks = hand.get("finishing_stacks").map(to_json);
    let halves = finishing_stacks.as_ref().is_some_and(|stacks| stacks.to_string().contains(".5"));
    config["chip"] = serde_json::from_str(if halves { "0.5" } else { "1" }).unwrap();
    let actions = hand["actions"].as_array().expect("actions are a list");
    let actions =
        actions.iter().map(|action| action.as_str().expect("an action is a text").to_owned()).collect();
    Record { name, config, actions, finishing_stacks }
}

/// Numbers by way of their shortest text, which for the amounts of hand histories is the one in the file.
fn to_json(value: &toml::Value) -> Value {
    match value {
        toml::Value::Array(items) => Value::Array(items.iter().map(to_json).collect()),
        toml::Value::Float(number) => serde_json::from_str(&number.to_string()).expect("a finite number"),
        toml::Value::Integer(number) => json!(number),
        toml::Value::Boolean(flag) => json!(flag),
        toml::Value::String(text) => json!(text),
        other => panic!("no member of a hand: {other}"),
    }
}

/// Who sends an action.
pub fn actor(action: &str) -> u64 {
    let word = action.split_whitespace().next().unwrap_or("d");
    word.strip_prefix('p').map_or(0, |number| number.parse().expect("a player is p1, p2, …"))
}

/// Opens a hand, with this seed.
pub fn open(config: Value, seed: u64, checks: Checks) -> Table<Holdem> {
    let mut table = Table::open(config.clone(), seed).unwrap_or_else(|refusal| panic!("{config}: {refusal}"));
    table.set_checks(checks);
    table
}

/// Plays a recorded hand to its end; gives the last reply, or which action was refused and why.
pub fn play(record: &Record, checks: Checks) -> Result<Value, String> {
    let mut table = open(record.config.clone(), 1, checks);
    let mut last = Value::Null;
    for action in &record.actions {
        let reply = table.act(actor(action), json!(action));
        last = reply.map_err(|refusal| format!("{}: {action}: {refusal}", record.name))?;
    }
    Ok(last)
}

/// The same amounts, however they are written: 9775.0 is 9775.
pub fn same_amounts(a: &Value, b: &Value) -> bool {
    let numbers = |value: &Value| -> Vec<croupier_sdk::Decimal> {
        let items = value.as_array().expect("a list of amounts");
        items.iter().map(|item| item.to_string().parse().expect("an amount")).collect()
    };
    numbers(a) == numbers(b)
}
