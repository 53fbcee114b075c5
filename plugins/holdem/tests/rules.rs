//! The rules, one short hand each: what is refused, and what is allowed instead.

mod common;

use croupier_sdk::testing::{Checks, Table};
use holdem::Holdem;
use serde_json::{Value, json};

/// Cards for up to six players, none of which matters.
const HOLES: [&str; 6] = ["2c3c", "4c5c", "6c7c", "8c9c", "TcJc", "QcKc"];

/// A table with these stacks and blinds of 5 and 10, hole cards dealt.
fn table(stacks: &[u64]) -> Table<Holdem> {
    let mut blinds = vec![0; stacks.len()];
    blinds[..2].copy_from_slice(&[5, 10]);
    let mut table = common::open(
        json!({
            "variant": "NT", "antes": vec![0; stacks.len()], "blinds_or_straddles": blinds, "min_bet": 10,
            "starting_stacks": stacks, "deal": "scripted",
        }),
        1,
        Checks::EachTurn,
    );
    for (index, hole) in HOLES.iter().take(stacks.len()).enumerate() {
        accept(&mut table, &format!("d dh p{} {hole}", index + 1));
    }
    table
}

fn accept(table: &mut Table<Holdem>, action: &str) -> Value {
    let reply = table.act(common::actor(action), json!(action));
    reply.unwrap_or_else(|refusal| panic!("{action}: {refusal}"))
}

/// The action is refused with a text that has this in it, and leaves no trace.
fn refuse(table: &mut Table<Holdem>, action: &str, why: &str) {
    refuse_from(table, common::actor(action), action, why);
}

fn refuse_from(table: &mut Table<Holdem>, player: u64, action: &str, why: &str) {
    let before = table.snapshot();
    let refusal = table.act(player, json!(action)).expect_err(action);
    assert!(refusal.text().contains(why), "{action}: \"{refusal}\" lacks \"{why}\"");
    assert_eq!(before, table.snapshot(), "{action}: was refused and changed something");
}

fn number(value: &Value) -> String {
    value.to_string()
}

#[test]
fn a_raise_is_as_large_as_the_last_one_at_least() {
    let mut table = table(&[1000; 4]);
    refuse(&mut table, "p3 cbr 19", "to 20 at least");
    refuse(&mut table, "p3 cbr 1001", "to 1000 (all-in) at most");
    let reply = accept(&mut table, "p3 cbr 35");
    assert_eq!(number(&reply["min_raise_to"]), "60");
    refuse(&mut table, "p4 cbr 59", "to 60 at least");
    accept(&mut table, "p4 cbr 60");
    let reply = accept(&mut table, "p1 cbr 200");
    assert_eq!(number(&reply["min_raise_to"]), "340");
    assert_eq!(number(&reply["to_call"]), "190");
}

#[test]
fn a_short_all_in_does_not_reopen_the_betting() {
    let mut table = table(&[1000, 1000, 1000, 260]);
    accept(&mut table, "p3 cbr 200");
    accept(&mut table, "p4 cbr 260");
    // Who has not acted yet may raise, by a full raise.
    refuse(&mut table, "p1 cbr 440", "to 450 at least");
    accept(&mut table, "p1 cc");
    accept(&mut table, "p2 cc");
    let before = table.snapshot();
    refuse(&mut table, "p3 cbr 1000", "does not reopen");
    table.restore(&before).unwrap();
    let reply = accept(&mut table, "p3 cc");
    assert_eq!(reply["to_act"], json!(0));
}

#[test]
fn a_short_all_in_over_the_blind_does_not_reopen_it_for_a_limper() {
    let mut table = table(&[1000, 1000, 1000, 15]);
    accept(&mut table, "p3 cc");
    accept(&mut table, "p4 cbr 15");
    accept(&mut table, "p1 f");
    accept(&mut table, "p2 cc");
    refuse(&mut table, "p3 cbr 100", "does not reopen");
    accept(&mut table, "p3 cc");
}

#[test]
fn short_all_ins_that_add_up_reopen_it_for_those_who_face_a_full_raise() {
    let mut table = table(&[395, 1000, 1000, 270, 1000]);
    accept(&mut table, "p3 cbr 200");
    accept(&mut table, "p4 cbr 270");
    accept(&mut table, "p5 cc");
    accept(&mut table, "p1 cbr 395");
    accept(&mut table, "p2 f");
    // 195 more than p3's own raise to 200, which was 190 over the blind: a full raise. 125 more for p5, who called 270: not one.
    let reply = accept(&mut table, "p3 cc");
    assert_eq!(reply["to_act"], json!(5));
    refuse(&mut table, "p5 cbr 1000", "does not reopen");
}

#[test]
fn who_faces_the_sum_of_short_all_ins_may_raise() {
    let mut table = table(&[395, 1000, 1000, 270, 1000]);
    for action in ["p3 cbr 200", "p4 cbr 270", "p5 cc", "p1 cbr 395", "p2 f"] {
        accept(&mut table, action);
    }
    accept(&mut table, "p3 cbr 1000");
}

#[test]
fn the_big_blind_may_raise_when_all_call() {
    let mut table = table(&[1000; 3]);
    accept(&mut table, "p3 cc");
    let reply = accept(&mut table, "p1 cc");
    assert_eq!((number(&reply["to_call"]), number(&reply["min_raise_to"])), ("0".into(), "20".into()));
    accept(&mut table, "p2 cbr 40");
}

#[test]
fn nobody_raises_when_nobody_could_call() {
    let mut table = table(&[1000, 300, 200]);
    accept(&mut table, "p3 cbr 200");
    accept(&mut table, "p1 cbr 390");
    refuse(&mut table, "p2 cbr 300", "call (cc) instead");
    let reply = accept(&mut table, "p2 cc");
    assert_eq!(reply["street"], json!("showdown"));

    let mut table = self::table(&[1000, 200]);
    accept(&mut table, "p2 cbr 200");
    refuse(&mut table, "p1 cbr 1000", "nobody could call");
}

#[test]
fn turns_are_kept() {
    let mut table = table(&[1000; 4]);
    refuse(&mut table, "p1 cc", "p3 is to act");
    refuse_from(&mut table, 1, "p3 cc", "player 1 cannot act for p3");
    refuse_from(&mut table, 0, "p3 cc", "cannot act for p3");
    refuse_from(&mut table, 3, "d db 7d5h9d", "player 0");
    refuse(&mut table, "d db 7d5h9d", "p3 is to act");
    refuse(&mut table, "p3 sm 6c7c", "no showdown yet");
    refuse(&mut table, "d sm", "no showdown yet");
    refuse_from(&mut table, 7, "p7 f", "no player p7");
    refuse_from(&mut table, 0, "deal", "scripted");
    accept(&mut table, "p3 f");
    refuse(&mut table, "p3 f", "out of this hand");
    accept(&mut table, "p4 f");
    accept(&mut table, "p1 f");
    refuse(&mut table, "p2 cc", "the hand is over");
    refuse(&mut table, "d db 7d5h9d", "the hand is over");
    refuse(&mut table, "d sm", "the hand is over");
    // The winner may show, or not.
    let reply = accept(&mut table, "p2 sm 4c5c");
    assert_eq!(reply["players"][1]["cards"], json!("4c5c"));
}

#[test]
fn no_card_is_dealt_twice() {
    let config = json!({
        "variant": "NT", "antes": [0, 0], "blinds_or_straddles": [5, 10], "min_bet": 10,
        "starting_stacks": [100, 100], "deal": "scripted",
    });
    let mut table = common::open(config, 1, Checks::EachTurn);
    refuse(&mut table, "p2 cc", "hole cards are still to be dealt, to p1");
    refuse(&mut table, "d db 7d5h9d", "hole cards are still to be dealt, to p1");
    refuse(&mut table, "d dh p1 AcAc", "Ac is already in play");
    refuse(&mut table, "d dh p1 AcAdAh", "3 cards dealt, but 2 due");
    refuse(&mut table, "d dh p1 Ax", "names no cards");
    accept(&mut table, "d dh p1 AcAd");
    refuse(&mut table, "d dh p1 KcKd", "p1 has 2 hole cards already");
    refuse(&mut table, "d dh p2 KcAd", "Ad is already in play");
    accept(&mut table, "d dh p2 KcKd");
    refuse(&mut table, "d dh p2 QcQd", "before the betting");
    accept(&mut table, "p2 cc");
    accept(&mut table, "p1 cc");
    refuse(&mut table, "p1 cc", "3 board card(s) are due");
    refuse(&mut table, "d db 7d5hKc", "Kc is already in play");
    refuse(&mut table, "d db 7d5h9d9h", "4 cards dealt, but 3 due");
    refuse(&mut table, "d db 7d5h??", "board cards lie open");
    accept(&mut table, "d db 7d5h9d");
}

/// Everybody checks or calls down to the river, with this board.
fn check_down(table: &mut Table<Holdem>) {
    for street in ["", "d db AsKsQs", "d db 2h", "d db 3h"] {
        if !street.is_empty() {
            accept(table, street);
        }
        loop {
            let reply = accept(table, "# whose turn?");
            if reply["street"] == json!("showdown") || reply["to_act"] == json!(0) {
                break;
            }
            accept(table, &format!("p{} cc", reply["to_act"]));
        }
    }
}

#[test]
fn a_showdown_shows_what_was_dealt() {
    let mut table = table(&[1000; 3]);
    check_down(&mut table);
    refuse(&mut table, "p1 cc", "betting is over");
    refuse(&mut table, "d db 4h", "the board is complete");
    refuse(&mut table, "p1 sm 2c4h", "was not dealt these cards");
    refuse(&mut table, "p1 sm 2c5c", "5c is already in play");
    refuse(&mut table, "p1 sm 2c2c", "2c is already in play");
    // In either order.
    accept(&mut table, "p1 sm 3c2c");
    refuse(&mut table, "p1 sm", "has shown already");
    accept(&mut table, "p3 sm");
    refuse(&mut table, "p3 sm -", "out of this hand");
    let reply = accept(&mut table, "p2 sm -");
    assert_eq!((&reply["done"], &reply["winners"][0]["player"]), (&json!(true), &json!(2)));
    assert_eq!(reply["winners"][0]["hand"], json!("straight"), "from ace to five");
}

#[test]
fn the_dealer_may_turn_over_what_is_left() {
    let mut table = table(&[1000; 3]);
    check_down(&mut table);
    accept(&mut table, "p2 sm");
    let reply = accept(&mut table, "d sm");
    assert_eq!(reply["done"], json!(true));
    assert_eq!(reply["players"][1], json!({ "status": "mucked", "cards": null }));
    assert_eq!(reply["players"][2]["cards"], json!("6c7c"));
}

#[test]
fn hands_that_nobody_knows_cannot_be_compared() {
    let config = json!({
        "variant": "NT", "antes": [0, 0], "blinds_or_straddles": [5, 10], "min_bet": 10,
        "starting_stacks": [100, 100], "deal": "scripted",
    });
    let mut table = common::open(config, 1, Checks::EachTurn);
    for action in ["d dh p1 ????", "d dh p2 ??Kd"] {
        accept(&mut table, action);
    }
    check_down(&mut table);
    refuse(&mut table, "p1 sm -", "not known to the table");
    refuse(&mut table, "d sm", "not known to the table");
    refuse(&mut table, "p2 sm 4c5c", "was not dealt these cards");
    accept(&mut table, "p1 sm ????");
    refuse(&mut table, "p2 sm ????", "cannot tell who wins");
    let reply = accept(&mut table, "p2 sm Kd4d");
    assert_eq!(reply["winners"][0]["player"], json!(2), "a hand that is not shown does not beat one that is");
}

#[test]
fn amounts_are_multiples_of_the_chip() {
    let mut table = table(&[1000; 3]);
    refuse(&mut table, "p3 cbr 25.5", "not a multiple of the chip, 1");
    refuse(&mut table, "p3 cbr 99999999999999999999", "");
    refuse(&mut table, "p3 cbr 1e2", "is no amount");
    accept(&mut table, "p3 cbr 25.0");
}

#[test]
fn a_config_that_makes_no_hand_is_refused() {
    let good = json!({
        "variant": "NT", "antes": [0, 0], "blinds_or_straddles": [1, 2], "min_bet": 2, "starting_stacks": [50, 50],
    });
    let cases = [
        ("variant", json!("PO"), "only \"NT\""),
        ("antes", json!([0]), "antes: 1 amounts for 2 players"),
        ("blinds_or_straddles", json!([1, 2, 3]), "blinds_or_straddles: 3 amounts for 2 players"),
        ("starting_stacks", json!([50, 0]), "player 2 has no chips"),
        ("starting_stacks", json!([50]), "1 players"),
        ("starting_stacks", json!([50, -1]), "starting_stacks: -1 is below 0"),
        ("min_bet", json!(0), "min_bet"),
        ("chip", json!(0), "chip"),
        ("chip", json!(4), "is not a multiple of the chip, 4"),
        ("deal", json!("crooked"), "deal"),
        ("min_bet", json!("2"), "min_bet"),
    ];
    assert!(Table::<Holdem>::open(good.clone(), 1).is_ok());
    for (member, value, why) in cases {
        let mut config = good.clone();
        config[member] = value;
        let Err(refusal) = Table::<Holdem>::open(config.clone(), 1) else { panic!("{config} was accepted") };
        assert!(refusal.text().contains(why), "{config}: \"{refusal}\" lacks \"{why}\"");
    }
}

#[test]
fn seats_are_those_of_the_hand() {
    let mut table = table(&[1000; 3]);
    table.join(3).unwrap();
    table.leave(3).unwrap();
    assert!(table.join(4).unwrap_err().text().contains("players 1 to 3"));
    assert!(table.join(0).is_err());
    assert!(table.tick().is_err());
    let reply = table.close().unwrap();
    assert_eq!(number(&reply["stacks"]), "[995,990,1000]", "a close refunds nothing");
}
