//! `scripts/phh-to-play`: what it writes plays, and what it cannot convert it names. Skipped where there is no Python 3.11.

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use croupier_sdk::testing::{Checks, Table};
use holdem::Holdem;
use serde_json::Value;

/// Runs the converter; `None`, and a word on why, where it cannot run.
fn convert(arguments: &[&Path]) -> Option<Output> {
    let python = Command::new("python3").args(["-c", "import tomllib"]).output();
    if !python.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no python3 of version 3.11 or newer");
        return None;
    }
    let script = common::repository().join("scripts/phh-to-play");
    Some(Command::new("python3").arg(script).args(arguments).output().expect("python3 starts"))
}

/// Plays a script as `croupier play` does, but in this process; gives the number of expectations that held.
fn play(script: &str) -> usize {
    let mut tables: BTreeMap<String, (Table<Holdem>, Value)> = BTreeMap::new();
    let mut held = 0;
    for line in script.lines() {
        let step: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        let name = |verb: &str| step[verb].as_str().map(str::to_owned);
        if let Some(name) = name("open") {
            let table = common::open(step["config"].clone(), 1, Checks::Off);
            assert!(tables.insert(name, (table, Value::Null)).is_none(), "{line}: the name is taken");
        } else if let Some(name) = name("act") {
            let (table, last) = tables.get_mut(&name).unwrap();
            let player = step["player"].to_string().parse().unwrap();
            *last = table
                .act(player, step["action"].clone())
                .unwrap_or_else(|refusal| panic!("{line}: {refusal}"));
        } else if let Some(name) = name("expect") {
            let last = &tables[&name].1;
            assert!(common::same_amounts(&last["stacks"], &step["reply"]["stacks"]), "{line}: {last}");
            assert!(
                step["reply"]["done"].is_null() || step["reply"]["done"] == last["done"],
                "{line}: {last}"
            );
            held += 1;
        } else if let Some(name) = name("close") {
            tables.remove(&name).unwrap().0.close().unwrap();
        } else {
            panic!("{line}: what is this?");
        }
    }
    assert!(tables.is_empty(), "a table is left open");
    held
}

#[test]
fn what_it_writes_plays() {
    for folder in [Some(common::own_hands()), common::recorded_hands()].into_iter().flatten() {
        let Some(output) = convert(&[&folder]) else { return };
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let expected =
            common::read_folder(&folder).iter().filter(|hand| hand.finishing_stacks.is_some()).count();
        assert_eq!(play(&String::from_utf8(output.stdout).unwrap()), expected);
    }
}

/// A file of its own for each test.
fn file(name: &str, text: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).unwrap();
    path
}

const FOLDED: &str = "antes = [0, 0]\nblinds_or_straddles = [1, 2]\nmin_bet = 2\nstarting_stacks = [50, 50]\n\
                      actions = ['d dh p1 AsAh', 'd dh p2 ????', 'p2 f # well']\n";

#[test]
fn numbers_stay_exact_and_the_chip_is_as_fine_as_they_are() {
    let cases = [
        ("[51.0, 49]", "1", "[51,49]"),
        ("[51.5, 48.50]", "0.5", "[51.5,48.5]"),
        ("[51.10, 48.9]", "0.1", "[51.1,48.9]"),
    ];
    for (index, (finishing, chip, written)) in cases.into_iter().enumerate() {
        let path = file(
            &format!("exact{index}.phh"),
            &format!("variant = 'NT'\n{FOLDED}finishing_stacks = {finishing}\n"),
        );
        let Some(output) = convert(&[&path]) else { return };
        let script = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<&str> = script.lines().collect();
        assert!(lines[0].contains(&format!("\"chip\":{chip}}}")), "{}", lines[0]);
        assert_eq!(
            lines[3],
            format!("{{\"act\":\"exact{index}-1\",\"player\":2,\"action\":\"p2 f # well\"}}")
        );
        assert_eq!(
            lines[4],
            format!("{{\"expect\":\"exact{index}-1\",\"reply\":{{\"stacks\":{written},\"done\":true}}}}")
        );
    }
}

#[test]
fn a_record_that_ends_before_the_showdown_is_shown_down() {
    let text = "variant = 'NT'\nantes = [0, 0]\nblinds_or_straddles = [1, 2]\nmin_bet = 2\nstarting_stacks = [50, 50]\n\
                actions = ['d dh p1 AsAh', 'd dh p2 KsKh', 'p2 cc', 'p1 cc', 'd db 2c5d9h', 'p1 cc', 'p2 cc', 'd db Jc', 'p1 cc', 'p2 cc', 'd db Jd', 'p1 cc', 'p2 cc']\n\
                finishing_stacks = [52, 48]\n";
    let Some(output) = convert(&[&file("noshow.phh", text)]) else { return };
    let script = String::from_utf8(output.stdout).unwrap();
    assert!(script.contains(r#""player":0,"action":"d sm""#), "{script}");
    assert_eq!(play(&script), 1);
}

#[test]
fn names_are_unique_over_all_files() {
    let path = file("twice.phh", &format!("variant = 'NT'\n{FOLDED}"));
    let Some(output) = convert(&[&path, &path]) else { return };
    let script = String::from_utf8(output.stdout).unwrap();
    assert_eq!(play(&script), 0, "no finishing stacks, nothing to expect");
    assert!(script.contains(r#"{"close":"twice-1~2"}"#));
}

#[test]
fn what_it_cannot_convert_it_names() {
    let cases = [
        ("omaha.phh", format!("variant = 'PO'\n{FOLDED}"), "variant 'PO'"),
        (
            "second.phhs",
            format!("[1]\nvariant = 'NT'\n{FOLDED}[2]\nvariant = 'NT'\n"),
            "hand 2: starting_stacks",
        ),
        (
            "unknown.phh",
            format!("variant = 'NT'\n{}", FOLDED.replace("[50, 50]", "[inf, 50]")),
            "starting_stacks: Infinity",
        ),
        (
            "short.phh",
            format!("variant = 'NT'\n{}", FOLDED.replace("antes = [0, 0]", "antes = [0]")),
            "antes: a list of 2",
        ),
        ("stranger.phh", format!("variant = 'NT'\n{}", FOLDED.replace("p2 f", "p3 f")), "'p3' is neither"),
        ("notes.phh", "dear diary".to_owned(), "is not a PHH file"),
        ("empty.phhs", String::new(), "holds no hand"),
    ];
    for (name, text, why) in cases {
        let path = file(name, &text);
        let Some(output) = convert(&[&path]) else { return };
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{name}: {said}");
        assert!(said.contains(why) && said.contains(name), "{name}: \"{said}\" lacks \"{why}\"");
        let output = convert(&[Path::new("--skip"), &path]).unwrap();
        assert_eq!(output.status.code(), Some(0), "{name}: left out when told so");
    }
    let Some(output) = convert(&[Path::new("no-such-file.phh")]) else { return };
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot be read"));
    assert_eq!(convert(&[]).unwrap().status.code(), Some(2), "wrong usage");
}

#[test]
fn a_limit_is_a_limit() {
    let Some(output) = convert(&[Path::new("--limit"), Path::new("3"), &common::own_hands()]) else { return };
    assert_eq!(play(&String::from_utf8(output.stdout).unwrap()), 3);
    let output = convert(&[Path::new("--limit"), Path::new("0"), &common::own_hands()]).unwrap();
    assert_eq!((output.status.code(), output.stdout), (Some(0), Vec::new()));
}
