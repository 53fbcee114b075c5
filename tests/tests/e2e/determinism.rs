//! `croupier check --determinism`: honest games pass, one that looks at addresses is found.

use std::path::PathBuf;

use croupier_tests::{Plugin, Ran, artifacts, hands};

fn check(plugin: Plugin, script: &std::path::Path) -> Ran {
    let file = plugin.file();
    Ran::croupier(
        None,
        ["check", "--determinism", script.to_str().expect("UTF-8"), file.to_str().expect("UTF-8"), "--json"],
    )
}

#[test]
fn the_games_of_this_repository_are_deterministic() {
    let root = artifacts::repository();
    let dir = tempfile::tempdir().expect("a directory");
    let poker = hands::script(&[root.join("examples/hands")], dir.path());
    let scripts: [(Plugin, PathBuf); 3] = [
        (Plugin::Craps, root.join("examples/craps.jsonl")),
        (Plugin::Dice, root.join("plugins/dice/script.jsonl")),
        (Plugin::Holdem, poker),
    ];
    for (plugin, script) in scripts {
        let ran = check(plugin, &script).exits(0);
        println!("{}: {}", plugin.name(), ran.stdout.trim());
    }
}

#[test]
fn a_game_that_looks_at_addresses_and_the_clock_is_found_and_the_turn_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let script = dir.path().join("script.jsonl");
    let lines = [
        r#"{"open":"t","plugin":"faulty"}"#,
        r#"{"act":"t","player":1,"action":{"do":"count"}}"#,
        r#"{"act":"t","player":1,"action":{"do":"diverge"}}"#,
        r#"{"close":"t"}"#,
    ];
    std::fs::write(&script, lines.join("\n")).expect("room for a script");
    let ran = check(Plugin::Faulty, &script).exits(1);
    println!("{}", ran.stdout.trim());
    assert!(ran.stdout.contains('3'), "line or turn 3 is named: {ran}");
    // The same script without the lie passes.
    let honest: Vec<&str> = lines.into_iter().filter(|line| !line.contains("diverge")).collect();
    std::fs::write(&script, honest.join("\n")).expect("room for a script");
    let _ = check(Plugin::Faulty, &script).exits(0);
}
