//! The supervisor is killed in the middle of play, again and again.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use croupier_client::{ClientId, OpenOptions, Player};
use croupier_tests::{Plugin, artifacts::repository, hands, wait_for};
use serde_json::{Value, json};

use super::{COUNT, daemon, reply};

const KILLS: u64 = 20;
const SESSIONS: u64 = 8;
/// Turns between two kills, at least.
const TURNS_BETWEEN: u64 = 40;

#[test]
fn twenty_kills_of_the_supervisor_lose_no_turn_and_double_none() {
    let mut daemon = daemon(&[Plugin::Faulty]);
    let (enough, total) = (AtomicBool::new(false), AtomicU64::new(0));
    let players: Vec<_> = (1..=SESSIONS).map(|n| daemon.patient_player(ClientId(n))).collect();
    let played: Vec<(u64, u64)> = std::thread::scope(|scope| {
        let sessions: Vec<_> = players
            .iter()
            .map(|player| {
                let (enough, total) = (&enough, &total);
                scope.spawn(move || {
                    let session = player.open("faulty", "{}", OpenOptions::default()).expect("a session");
                    let mut turns = 0;
                    while !enough.load(Ordering::Relaxed) {
                        let done = session.act(Player(1), COUNT).expect("a turn, whatever happens");
                        turns += 1;
                        total.fetch_add(1, Ordering::Relaxed);
                        assert_eq!(reply(&done)["count"], json!(turns), "none lost, none twice");
                        assert_eq!(done.seq, turns + 1);
                    }
                    session.close().expect("it closes");
                    (session.id().0, turns)
                })
            })
            .collect();
        for kill in 1..=KILLS {
            let before = total.load(Ordering::Relaxed);
            wait_for("turns", || (total.load(Ordering::Relaxed) >= before + TURNS_BETWEEN).then_some(()));
            daemon.die_and_rise();
            assert_eq!(daemon.json(["status"])["journal"]["aside"], json!([]), "kill {kill}");
        }
        enough.store(true, Ordering::Relaxed);
        sessions.into_iter().map(|session| session.join().expect("a player")).collect()
    });
    println!("{KILLS} kills, {} turns", played.iter().map(|(_, turns)| turns).sum::<u64>());
    let status = daemon.status();
    assert_eq!((status.poison, status.held, status.sessions), (0, 0, 0));
    // What players can verify says the same.
    let dir = daemon.state_dir().join("transcripts");
    for (session, turns) in played {
        let file = dir.join(format!("{session}.jsonl"));
        wait_for("the transcript's end", || file.exists().then_some(()));
        let verified = daemon.cli(["verify-fairness", file.to_str().expect("UTF-8"), "--json"]);
        assert_eq!(verified.code, 0, "{verified}");
        let text = std::fs::read_to_string(&file).expect("a transcript");
        assert_eq!(
            text.matches("\"turn\":").count() as u64,
            turns + 2,
            "{session}: open, {turns} turns, close"
        );
    }
}

#[test]
fn a_table_of_craps_is_the_same_with_and_without_kills() {
    // The dice differ, as their seeds do; the money must add up at every turn.
    let mut daemon = daemon(&[Plugin::Craps]);
    let player = daemon.patient_player(ClientId(1));
    let table = player.open("craps", "{}", OpenOptions::default()).expect("a table");
    table.join(Player(1), r#"{"bankroll":1000000}"#).expect("a seat");
    let mut seqs = Vec::new();
    for round in 0..60 {
        let bet = table.act(Player(1), r#"{"bet":{"kind":"field","amount":10}}"#);
        seqs.push(bet.expect("a bet").seq);
        if round % 12 == 11 {
            daemon.die_and_rise();
        }
        seqs.push(table.act(Player::HOUSE, r#"{"rolls":1}"#).expect("a roll").seq);
    }
    assert_eq!(seqs, (3..=122).collect::<Vec<u64>>(), "every turn once, in order");
    let detail = daemon.client().session(table.id()).id();
    assert_eq!(detail, table.id());
    table.close().expect("the table closes");
}

#[test]
fn hands_end_with_the_recorded_stacks_though_the_supervisor_is_killed() {
    let mut daemon = daemon(&[Plugin::Holdem]);
    let script = hands::script(&[repository().join("examples/hands")], daemon.dir());
    let in_script = hands::count(&script) as u64;
    let control = daemon.control();
    let (mut kills, mut plays) = (0, 0);
    while kills < 5 {
        let (script, control) = (script.clone(), control.clone());
        let play = std::thread::spawn(move || {
            let path = script.to_str().expect("UTF-8");
            croupier_tests::Ran::croupier(Some(&control), ["play", path, "--json", "--repeat", "20"])
        });
        while !play.is_finished() {
            std::thread::sleep(Duration::from_millis(400));
            if !play.is_finished() {
                daemon.die_and_rise();
                kills += 1;
            }
        }
        let ran = play.join().expect("play");
        assert_eq!(ran.code, 0, "{ran}");
        let result: Value = ran.json();
        assert!(in_script > 0 && result.to_string().contains("expect"), "{result:#}");
        plays += 1;
    }
    println!("{plays} plays of {in_script} hands, {kills} kills");
    let status = daemon.status();
    assert_eq!((status.poison, status.held, status.sessions), (0, 0, 0));
}

#[test]
fn the_same_request_to_open_finds_the_same_session_after_a_kill() {
    let mut daemon = daemon(&[Plugin::Dice]);
    let first =
        daemon.patient_player(ClientId(77)).open("dice", "{}", OpenOptions::default()).expect("a session");
    daemon.die_and_rise();
    // The same client, which begins again at key 1.
    let again =
        daemon.patient_player(ClientId(77)).open("dice", "{}", OpenOptions::default()).expect("a session");
    assert_eq!(again.id(), first.id());
    assert_eq!(again.opened(), first.opened(), "word for word");
    let other =
        daemon.patient_player(ClientId(78)).open("dice", "{}", OpenOptions::default()).expect("a session");
    assert!(other.id() > first.id());
}
