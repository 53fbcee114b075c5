//! A second implementation, in another language, finds the same: scripts/verify-fairness.py.

use std::path::PathBuf;
use std::process::{Command, Output};

use croupier_fair::transcript::Reveal;

use crate::support::*;

/// Runs the script on a file, or tells why it cannot.
fn script(file: &std::path::Path) -> Option<Output> {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../scripts/verify-fairness.py");
    match Command::new("python3").arg(script).arg("--json").arg(file).output() {
        Ok(output) => Some(output),
        Err(error) => {
            eprintln!(
                "SKIPPED: python3 cannot be started ({error}); the second implementation was not compared"
            );
            None
        }
    }
}

#[test]
fn it_agrees_on_the_public_transcript() {
    let Some(output) = script(&golden_path("public.jsonl")) else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let theirs: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it prints JSON");
    let file = transcript(header(), &everything(), Reveal::Public(seed()));
    let ours = serde_json::to_value(check(&file).expect("nothing is wrong with it").report)
        .expect("a report is JSON");
    for member in ["final_hash", "last_turn_seed", "reason"] {
        assert!(ours[member].is_string(), "{ours}");
        assert_eq!(theirs[member], ours[member], "{member}");
    }
    assert_eq!(theirs["turns"], ours["counts"]["turns"]);
    assert_eq!(theirs["not_checked"][0], "signature");
}

#[test]
fn it_says_that_a_sealed_seed_is_not_checked() {
    let Some(output) = script(&golden_path("sealed.jsonl")) else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let theirs: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it prints JSON");
    assert!(theirs["last_turn_seed"].is_null());
    assert!(
        theirs["not_checked"]
            .as_array()
            .is_some_and(|parts| parts.iter().any(|part| part == "revealed-seed"))
    );
}

/// One edit in each member of each line that the script can check (all but the signature).
#[test]
fn it_finds_edits() {
    let file = transcript(header(), &everything(), Reveal::Public(seed()));
    let text = String::from_utf8(file).expect("this transcript is text");
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let edits = [
        ("\"session\":7", "\"session\":8"),
        ("Ada", "Eva"),
        ("\"seq\":4", "\"seq\":5"),
        ("\"count\":5", "\"count\":4"),
        ("\"ticks\":84", "\"ticks\":83"),
        ("12.50", "12.51"),
        ("\"turns\":15", "\"turns\":16"),
        ("\"public\":\"00", "\"public\":\"01"),
        ("\"poison\"", "{\"skipped\":{\"ticks\":1}}"),
        ("\"turn\":{", "\"turn\": {"),
    ];
    for (number, (from, to)) in edits.into_iter().enumerate() {
        assert!(text.contains(from), "the transcript has no {from}");
        let path = folder.join(format!("edited-{number}.jsonl"));
        std::fs::write(&path, text.replacen(from, to, 1)).expect("write an edited transcript");
        let Some(output) = script(&path) else { return };
        assert_eq!(output.status.code(), Some(1), "{from} to {to} went unnoticed: {output:?}");
    }
}
