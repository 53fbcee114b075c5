//! Golden transcripts: what was written once is written so, and verifies, forever. `CROUPIER_BLESS=1` rewrites them.

use std::fs;
use std::io::Cursor;

use croupier_fair::report::{CheckVerdict, Part};
use croupier_fair::transcript::Reveal;
use croupier_fair::verify::{VerifyOptions, verify};

use crate::support::*;

fn golden(name: &str, file: &[u8]) {
    let path = golden_path(name);
    if std::env::var_os("CROUPIER_BLESS").is_some() {
        fs::create_dir_all(path.parent().expect("it is in a folder"))
            .expect("make the folder of golden files");
        fs::write(&path, file).expect("write the golden file");
    }
    let kept = fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; CROUPIER_BLESS=1 writes it", path.display()));
    assert!(kept == file, "{name} is not what is written now: old transcripts would no longer verify");
}

#[test]
fn a_public_transcript_stays_as_it_is_and_verifies() {
    let file = transcript(header(), &everything(), Reveal::Public(seed()));
    golden("public.jsonl", &file);
    let options = VerifyOptions {
        expected_server_key: Some(server().public()),
        expected_commit: Some(seed().commit(SESSION)),
        ..VerifyOptions::default()
    };
    let verified = verify(Cursor::new(&file), &options).expect("nothing is wrong with it");
    let report = &verified.report;
    for check in &report.checks {
        let expected = if check.name == Part::Replay { CheckVerdict::NotChecked } else { CheckVerdict::Ok };
        assert_eq!(check.verdict, expected, "{check:?}");
    }
    let counts = report.counts;
    assert_eq!((counts.turns, counts.records, counts.failed, counts.poison), (15, 11, 2, 1));
    assert_eq!((counts.skipped_ticks, counts.client_seeds), (84, 2));
    assert_eq!(verified.seed.as_ref(), Some(&seed()));
}

#[test]
fn a_sealed_transcript_stays_as_it_is_and_opens_for_its_auditor_only() {
    let hidden = || {
        let mut header = header();
        header.hidden_information = true;
        header
    };
    let file = transcript(hidden(), &everything(), sealed());
    golden("sealed.jsonl", &file);
    assert!(!String::from_utf8_lossy(&file).contains(&hex_of(seed().expose())), "the seed is in the file");

    let outsider = check(&file).expect("nothing is wrong with it");
    assert_eq!(outsider.report.check(Part::RevealedSeed).verdict, CheckVerdict::NotChecked);
    assert_eq!(outsider.seed, None);

    let options = VerifyOptions { auditor_secret: Some(auditor()), ..VerifyOptions::default() };
    let opened = verify(Cursor::new(&file), &options).expect("the auditor opens it");
    assert_eq!(opened.report.check(Part::RevealedSeed).verdict, CheckVerdict::Ok);
    assert_eq!(opened.seed, Some(seed()));
    assert_eq!(opened.report.last_turn_seed, None, "no seed of a hidden game goes into a report");
}

#[test]
fn a_withheld_seed_is_not_called_checked() {
    let verified =
        check(&transcript(header(), &everything(), Reveal::Withheld)).expect("nothing is wrong with it");
    let check = verified.report.check(Part::RevealedSeed);
    assert_eq!(check.verdict, CheckVerdict::NotChecked);
    assert!(check.detail.contains("withheld"), "{check:?}");
    let json = serde_json::to_value(&verified.report).expect("a report is JSON");
    let checks = json["checks"].as_array().expect("a list of checks");
    let revealed = checks.iter().find(|check| check["name"] == "revealed-seed").expect("the check is listed");
    assert_eq!(revealed["verdict"], "not checked");
}

fn hex_of(bytes: &[u8]) -> String {
    hex::encode(bytes)
}
