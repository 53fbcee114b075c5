//! Recorded hands, played action by action, end with the recorded stacks.

mod common;

use std::path::Path;

use common::Record;
use croupier_sdk::testing::Checks;
use serde_json::json;

/// Plays all hands of the folder; gives their number, or what went wrong in which.
fn play_all(folder: &Path, checks: Checks) -> Result<usize, String> {
    let records = common::read_folder(folder);
    let faults: Vec<String> = records.iter().filter_map(|record| fault(record, checks).err()).collect();
    match faults.len() {
        0 => Ok(records.len()),
        count => Err(format!("{count} of {} hands:\n{}", records.len(), faults.join("\n"))),
    }
}

fn fault(record: &Record, checks: Checks) -> Result<(), String> {
    let last = common::play(record, checks)?;
    if last["done"] != json!(true) || last["to_act"] != json!(null) || last["pot"] != json!(0) {
        return Err(format!("{}: not over: {last}", record.name));
    }
    match &record.finishing_stacks {
        Some(stacks) if !common::same_amounts(&last["stacks"], stacks) => {
            Err(format!("{}: ends with {}, recorded are {stacks}", record.name, last["stacks"]))
        }
        _ => Ok(()),
    }
}

#[test]
fn our_own_hands_end_as_recorded() {
    let records = common::read_folder(&common::own_hands());
    assert!(records.iter().all(|record| record.finishing_stacks.is_some()));
    // Each turn is played twice, the second time from a snapshot.
    let played = play_all(&common::own_hands(), Checks::EachTurn).unwrap_or_else(|faults| panic!("{faults}"));
    assert!(played >= 30, "{played} hands");
}

#[test]
fn other_recorded_hands_end_as_recorded() {
    let Some(folder) = common::recorded_hands() else { return };
    let played = play_all(&folder, Checks::Off).unwrap_or_else(|faults| panic!("{faults}"));
    eprintln!("{played} hands of {}", folder.display());
    assert!(played > 0, "no .phh or .phhs file in {}", folder.display());
}

#[test]
fn the_million_dollar_pot_goes_to_the_straight() {
    let Some(folder) = common::recorded_hands() else { return };
    let records = common::read_folder(&folder);
    let Some(record) = records.iter().find(|record| record.name == "dwan-ivey-2009") else {
        eprintln!("skipped: dwan-ivey-2009.phh is not there");
        return;
    };
    let last = common::play(record, Checks::EachTurn).unwrap();
    // Antonius gave 500 and 2,000. Dwan had 553,500, so Ivey gets back what lies above.
    assert!(common::same_amounts(&last["stacks"], &json!([572_100, 1_997_500, 1_109_500])), "{last}");
    assert_eq!(last["winners"][0]["hand"], json!("straight"));
    assert_eq!(last["players"][1]["cards"], json!(null), "unknown cards stay unknown");
}
