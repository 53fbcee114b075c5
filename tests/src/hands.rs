//! Poker hands as play scripts, through the repository's own converter.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::artifacts::repository;

/// Converts `.phh` and `.phhs` files, or directories of them, into one script in `directory`.
///
/// # Panics
/// When the converter refuses.
pub fn script(from: &[PathBuf], directory: &Path) -> PathBuf {
    let output = Command::new("python3")
        .arg(repository().join("scripts/phh-to-play"))
        .args(from)
        .output()
        .expect("python3 runs the converter");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let script = directory.join("hands.jsonl");
    std::fs::write(&script, output.stdout).expect("room for a script");
    script
}

/// Hands in a script: each has one `open`.
///
/// # Panics
/// When it cannot be read.
pub fn count(script: &Path) -> usize {
    let text = std::fs::read_to_string(script).expect("the script");
    text.lines().filter(|line| line.trim_start().starts_with("{\"open\"")).count()
}

/// Recorded hands that live outside of the repository, where they are at hand: `$CROUPIER_HANDS`, else `../shared/data/phh`.
pub fn recorded() -> Option<PathBuf> {
    let place = match std::env::var_os("CROUPIER_HANDS") {
        Some(place) => PathBuf::from(place),
        None => repository().parent()?.join("shared/data/phh"),
    };
    place.is_dir().then_some(place)
}
