//! Random play: chips are conserved, every hand ends, refused actions leave no trace, and snapshots restore.
//!
//! The table plays each turn a second time from the snapshot before it, and compares (see `croupier_sdk::testing`).

mod common;

use croupier_sdk::Decimal;
use croupier_sdk::testing::{Checks, Table};
use holdem::Holdem;
use holdem::cards::{CardSet, format_cards};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

/// More turns than any hand between ten players with 200 big blinds can have.
const TURNS_MAX: usize = 2_000;

#[derive(Clone, Debug)]
struct Plan {
    config: Value,
    /// Choices, used in a circle.
    choices: Vec<(u8, Index)>,
    scripted: bool,
    seed: u64,
}

fn plans() -> impl Strategy<Value = Plan> {
    (2_usize..=10, any::<bool>(), any::<bool>(), any::<u64>()).prop_flat_map(
        |(players, scripted, trimmed, seed)| {
            let stack = prop_oneof![1_u64..30, 10_u64..400, Just(2_000_u64)];
            let stacks = proptest::collection::vec(stack, players);
            let antes = prop_oneof![
                Just(vec![0; players]),
                Just(vec![3; players]),
                proptest::collection::vec(0_u64..12, players)
            ];
            let blinds = prop_oneof![4 => Just([5, 10, 0]), 1 => Just([5, 10, 20]), 1 => Just([0, 0, 0])];
            let choices = proptest::collection::vec((any::<u8>(), any::<Index>()), 1..200);
            (stacks, antes, blinds, choices).prop_map(move |(stacks, antes, blinds, choices)| {
                let mut posted = vec![0; players];
                let count = players.min(3);
                posted[..count].copy_from_slice(&blinds[..count]);
                let config = json!({
                    "variant": "NT", "antes": antes, "blinds_or_straddles": posted, "min_bet": 10,
                    "starting_stacks": stacks, "ante_trimming_status": trimmed,
                    "deal": if scripted { "scripted" } else { "seed" },
                });
                Plan { config, choices, scripted, seed }
            })
        },
    )
}

fn amount(value: &Value) -> Decimal {
    value.to_string().parse().unwrap()
}

fn total(reply: &Value) -> Decimal {
    let stacks = reply["stacks"].as_array().unwrap().iter().map(amount);
    stacks.fold(amount(&reply["pot"]), |sum, stack| sum + stack)
}

/// The next action that the rules allow, as the reply tells it.
fn next_action(table: &Table<Holdem>, reply: &Value, plan: &Plan, turn: usize) -> (u64, String) {
    let (choice, index) = &plan.choices[turn % plan.choices.len()];
    let hand = table.state().hand();
    let deck = hand.known_cards().others();
    let cards = |count: usize| {
        let mut deck = deck.clone();
        let start = index.index(deck.len());
        deck.rotate_left(start);
        format_cards(&deck[..count])
    };
    let player: u64 = reply["to_act"].to_string().parse().unwrap();
    if player == 0 {
        return match hand.hole_due() {
            Some(_) if !plan.scripted => (0, "deal".to_owned()),
            Some(place) => (0, format!("d dh {place} {}", cards(hand.seats()[place.index()].hole.missing()))),
            None => (0, format!("d db {}", cards(hand.board_due()))),
        };
    }
    let action = if reply["street"] == json!("showdown") {
        if choice % 4 == 0 { "sm".to_owned() } else { "sm -".to_owned() }
    } else {
        match (choice % 8, &reply["min_raise_to"]) {
            (0, _) => "f".to_owned(),
            (1..=3, Value::Number(_)) => {
                let (min, max) = (amount(&reply["min_raise_to"]), amount(&reply["max_raise_to"]));
                let span = (max - min).to_i64().unwrap();
                let more = [0, span, span / 2, span / 10][index.index(4)];
                format!("cbr {}", min + Decimal::from(more))
            }
            _ => "cc".to_owned(),
        }
    };
    (player, format!("p{player} {action}"))
}

/// Texts that look like actions and are not always.
fn garbage() -> impl Strategy<Value = (u64, String)> {
    let words = select(vec![
        "d",
        "dh",
        "db",
        "sm",
        "f",
        "cc",
        "cbr",
        "deal",
        "p0",
        "p1",
        "p2",
        "p3",
        "p10",
        "p11",
        "p",
        "-",
        "#",
        "????",
        "??Ad",
        "AcAd",
        "AcAc",
        "7d5h9d",
        "2c3c4c5c6c7c8c9c",
        "0",
        "1",
        "10",
        "20",
        "-5",
        "1e9",
        "0.1",
        "99999999999999999999999999999",
        "é",
        "",
    ]);
    let soup = proptest::collection::vec(words, 0..5).prop_map(|words| words.join(" "));
    (0_u64..12, prop_oneof![4 => soup, 1 => ".{0,40}"])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn chips_are_conserved_and_every_hand_ends(plan in plans(), noise in proptest::collection::vec(garbage(), 0..8)) {
        let opened = Table::<Holdem>::open_with_reply(plan.config.clone(), plan.seed);
        let (mut table, mut reply) = opened.map_err(|refusal| TestCaseError::fail(refusal.to_string()))?;
        let chips = plan.config["starting_stacks"].as_array().unwrap().iter().map(amount);
        let chips = chips.fold(Decimal::ZERO, |sum, stack| sum + stack);
        prop_assert_eq!(total(&reply), chips);
        for turn in 0..TURNS_MAX {
            if reply["done"] == json!(true) {
                break;
            }
            if let Some((player, text)) = noise.get(turn) {
                let before = table.snapshot();
                match table.act(*player, json!(text)) {
                    Err(_) => prop_assert_eq!(before, table.snapshot(), "refused, and yet changed: {}", text),
                    Ok(accepted) => reply = accepted,
                }
                prop_assert_eq!(total(&reply), chips);
                if reply["done"] == json!(true) {
                    break;
                }
            }
            let (player, action) = next_action(&table, &reply, &plan, turn);
            let answer = table.act(player, json!(action));
            reply = answer.map_err(|refusal| TestCaseError::fail(format!("{action}: {refusal}; {reply}")))?;
            prop_assert_eq!(total(&reply), chips, "after {}", action);
        }
        prop_assert_eq!(&reply["done"], &json!(true), "no end in {} turns", TURNS_MAX);
        prop_assert_eq!(&reply["to_act"], &Value::Null);
        prop_assert_eq!(amount(&reply["pot"]), Decimal::ZERO);
        let known: CardSet = table.state().hand().known_cards();
        prop_assert!(known.others().len() >= 27, "25 cards at most are dealt");
    }

    #[test]
    fn garbage_of_any_kind_changes_nothing(texts in proptest::collection::vec(garbage(), 1..40)) {
        let config = json!({
            "variant": "NT", "antes": [1, 1, 1], "blinds_or_straddles": [5, 10, 0], "min_bet": 10,
            "starting_stacks": [200, 300, 400], "deal": "scripted",
        });
        let mut table = common::open(config, 1, Checks::EachTurn);
        for (player, text) in texts {
            let before = table.snapshot();
            match table.act(player, json!(text)) {
                Err(refusal) => {
                    prop_assert_eq!(before, table.snapshot());
                    prop_assert!(!refusal.text().is_empty());
                }
                Ok(reply) => prop_assert_eq!(total(&reply), Decimal::from(900)),
            }
        }
    }

    #[test]
    fn payloads_that_are_no_text_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let config = json!({
            "variant": "NT", "antes": [0, 0], "blinds_or_straddles": [5, 10], "min_bet": 10, "starting_stacks": [200, 300],
        });
        let mut table = common::open(config, 1, Checks::EachTurn);
        let before = table.snapshot();
        let answer = table.act_bytes(0, &bytes);
        if serde_json::from_slice::<String>(&bytes).is_err() {
            prop_assert!(answer.is_err());
        }
        prop_assert_eq!(before, table.snapshot());
    }
}
