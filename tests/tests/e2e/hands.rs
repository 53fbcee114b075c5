//! Hold'em: recorded hands end with the recorded stacks, whatever happens to workers meanwhile.

use std::path::{Path, PathBuf};
use std::time::Duration;

use croupier_client::What;
use croupier_tests::{Daemon, Killer, Plugin, Watch, artifacts, hands, skipped};

/// Workers are killed this often: well within the 200 ms that are promised to do no harm.
const KILL_EVERY: Duration = Duration::from_millis(150);
/// Workers that are killed at least before a test has seen enough.
const KILLS_MIN: u64 = 15;
/// Hands that one call of `play` brings to the tables at least.
const HANDS_PER_PLAY: usize = 500;

#[test]
fn hands_of_our_own_end_as_recorded_with_a_worker_killed_every_200_ms() {
    play_under_fire(&[artifacts::repository().join("examples/hands")]);
}

#[test]
fn all_recorded_pluribus_hands_end_as_recorded_with_a_worker_killed_every_200_ms() {
    let Some(file) = recorded("pluribus-2276.phhs") else { return };
    let played = play_under_fire(&[file]);
    assert_eq!(played.hands, 2276);
}

#[test]
fn a_hand_with_unknown_cards_and_an_early_all_in_ends_as_recorded() {
    let Some(file) = recorded("dwan-ivey-2009.phh") else { return };
    let played = play_under_fire(&[file]);
    assert_eq!(played.hands, 1);
}

fn recorded(name: &str) -> Option<PathBuf> {
    let file = hands::recorded().map(|place| place.join(name)).filter(|file| file.is_file());
    if file.is_none() {
        skipped(name, "recorded hands are not at hand; name their directory with CROUPIER_HANDS");
    }
    file
}

struct Played {
    hands: usize,
}

/// Plays the hands again and again until enough workers died, at least one of them with a turn in flight.
fn play_under_fire(from: &[PathBuf]) -> Played {
    let daemon = Daemon::with(&[Plugin::Holdem]);
    let script = hands::script(from, daemon.dir());
    let in_script = hands::count(&script);
    assert!(in_script > 0, "there are hands in {from:?}");
    let watch = Watch::start(&daemon);
    let killer = Killer::start(&daemon, KILL_EVERY);
    let mut played = 0;
    while played == 0
        || daemon.status().workers_lost < KILLS_MIN
        || daemon.status().workers_lost_mid_turn == 0
    {
        played += play_once(&daemon, &script, in_script);
    }
    let kills = killer.stop();
    let status = daemon.status();
    println!(
        "{played} hands, {} workers killed in {:.1} s (longest time between two: {:?}), {} of them with a turn in flight; {} turns, {} sent again",
        kills.workers,
        kills.during.as_secs_f32(),
        kills.gap_max,
        status.workers_lost_mid_turn,
        status.turns,
        status.retries,
    );
    let pauses = watch.pauses_us();
    if let Some(max) = pauses.last() {
        println!("{} pauses: p50 {} µs, max {max} µs", pauses.len(), pauses[pauses.len() / 2]);
    }
    assert_eq!((status.poison, status.held, status.sessions), (0, 0, 0));
    let diverged = watch
        .count(|what| matches!(what, What::Diverged { .. } | What::Poison { .. } | What::SessionHeld { .. }));
    assert_eq!(diverged, 0, "{:?}", watch.events());
    Played { hands: in_script }
}

/// Hands played.
fn play_once(daemon: &Daemon, script: &Path, in_script: usize) -> usize {
    let repeat = HANDS_PER_PLAY.div_ceil(in_script);
    let (result, code) = daemon.play(script, &["--concurrency", "64", "--repeat", &repeat.to_string()]);
    assert_eq!(code, 0, "{result:#}");
    assert_eq!(result["mismatches"].as_u64(), Some(0), "{result:#}");
    assert_eq!(result["failures"].as_u64(), Some(0), "{result:#}");
    assert_eq!(result["sessions"].as_u64(), Some((in_script * repeat) as u64), "{result:#}");
    in_script * repeat
}
