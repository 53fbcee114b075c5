//! Hands that the plugin deals: where the cards come from, and who learns of them.

mod common;

use croupier_sdk::Rng;
use croupier_sdk::testing::{Checks, Table};
use holdem::Holdem;
use holdem::cards::{Card, CardSet, format_cards, parse_cards};
use serde_json::{Value, json};

fn table(stacks: &[u64], seed: u64) -> Table<Holdem> {
    let mut blinds = vec![0; stacks.len()];
    blinds[..2].copy_from_slice(&[5, 10]);
    let config = json!({
        "variant": "NT", "antes": vec![0; stacks.len()], "blinds_or_straddles": blinds, "min_bet": 10,
        "starting_stacks": stacks,
    });
    common::open(config, seed, Checks::EachTurn)
}

fn act(table: &mut Table<Holdem>, player: u64, action: &str) -> Value {
    table.act(player, json!(action)).unwrap_or_else(|refusal| panic!("{action}: {refusal}"))
}

fn known(text: &str) -> Vec<Card> {
    parse_cards(text).unwrap().into_iter().flatten().collect()
}

/// The procedure of the README, done by hand.
#[test]
fn cards_come_from_the_seed_as_written_down() {
    let mut table = table(&[1000; 3], 1);
    table.set_next_seed([7; 32]);
    act(&mut table, 0, "deal");
    let mut deck = CardSet::default().others();
    Rng::from_seed([7; 32]).shuffle(&mut deck);
    for player in 1..=3 {
        let at = 2 * (player as usize - 1);
        let own = json!({ "hole": format_cards(&deck[at..at + 2]) });
        assert_eq!(table.sent_to(player), [own], "each player is told the own cards and no others");
    }
    let dealt: CardSet = deck[..6].iter().copied().collect();

    act(&mut table, 3, "p3 cc");
    act(&mut table, 1, "p1 cc");
    table.set_next_seed([8; 32]);
    let reply = act(&mut table, 2, "p2 cc");
    let mut rest = dealt.others();
    Rng::from_seed([8; 32]).shuffle(&mut rest);
    assert_eq!(reply["board"], json!(format_cards(&rest[..3])));
    assert_eq!(table.sent_to(3), [json!({ "board": format_cards(&rest[..3]) })]);
    assert_eq!(reply["street"], json!("flop"));
}

#[test]
fn replies_give_no_hole_card_away_before_it_is_shown() {
    for seed in 0..50 {
        let mut table = table(&[1000; 4], seed);
        let mut reply = act(&mut table, 0, "deal");
        let secret: Vec<String> =
            (1..=4).map(|player| table.sent_to(player)[0]["hole"].as_str().unwrap().to_owned()).collect();
        while reply["street"] != json!("showdown") {
            assert!(reply["players"].as_array().unwrap().iter().all(|player| player["cards"].is_null()));
            let board = known_board(&reply);
            for hole in &secret {
                assert!(
                    known(hole).iter().all(|card| !board.contains(*card)),
                    "{hole} is on the board: {reply}"
                );
                assert!(
                    !reply.to_string().contains(hole.as_str())
                        || reply["board"].to_string().contains(hole.as_str())
                );
            }
            let player: u64 = reply["to_act"].to_string().parse().unwrap();
            reply = act(&mut table, player, &format!("p{player} cc"));
        }
        // One shows, the others muck: their cards are never seen.
        let reply = act(&mut table, 1, "p1 sm -");
        assert_eq!(reply["players"][0]["cards"], json!(secret[0]));
        for player in 2..=4 {
            act(&mut table, player, &format!("p{player} sm"));
        }
        let reply = table.close().unwrap();
        assert!((1..4).all(|index| reply["players"][index]["cards"].is_null()));
        assert_eq!(reply["winners"][0]["player"], json!(1));
    }
}

fn known_board(reply: &Value) -> CardSet {
    match reply["board"].as_str().unwrap() {
        "" => CardSet::default(),
        board => known(board).into_iter().collect(),
    }
}

#[test]
fn an_all_in_is_dealt_out_and_paid_in_the_same_turn() {
    let mut table = table(&[500, 500], 3);
    act(&mut table, 0, "deal");
    act(&mut table, 2, "p2 cbr 500");
    let reply = act(&mut table, 1, "p1 cc");
    assert_eq!(reply["done"], json!(true));
    assert_eq!(known(reply["board"].as_str().unwrap()).len(), 5);
    assert!((0..2).all(|index| reply["players"][index]["cards"].is_string()), "all-in hands lie open");
    let stacks: u64 = reply["stacks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stack| stack.to_string().parse::<u64>().unwrap())
        .sum();
    assert_eq!(stacks, 1000);
}

#[test]
fn only_the_house_deals_and_only_once() {
    let mut table = table(&[500, 500], 3);
    let refused = |table: &mut Table<Holdem>, player, action: &str| {
        table.act(player, json!(action)).unwrap_err().text().to_owned()
    };
    assert!(refused(&mut table, 1, "deal").contains("the house"));
    assert!(refused(&mut table, 0, "d dh p1 AsAd").contains("dealt from the seed"));
    assert!(refused(&mut table, 2, "p2 cc").contains("hole cards are still to be dealt"));
    act(&mut table, 0, "deal");
    assert!(refused(&mut table, 0, "deal").contains("already"));
    assert!(refused(&mut table, 0, "d db AsAdAh").contains("dealt from the seed"));
}

/// Not a proof of fairness, which is the shuffle's, but a guard against a wrong deck: every card comes up about equally often.
#[test]
fn every_card_is_dealt_about_equally_often() {
    const HANDS: u64 = 2_600;
    let mut counts = [0_u32; 52];
    for seed in 0..HANDS {
        let mut table = table(&[500, 500], seed);
        act(&mut table, 0, "deal");
        for player in 1..=2 {
            for card in known(table.sent_to(player)[0]["hole"].as_str().unwrap()) {
                counts[usize::from(card.index())] += 1;
            }
        }
    }
    // 200 expected each, with a standard deviation of 13.6: six of them either way.
    assert!(counts.iter().all(|count| (118..=282).contains(count)), "{counts:?}");
}
