//! The plugin as the platform sees it: JSON in, JSON out, refusals, messages, replay; the play scripts; the manifest.
#![allow(clippy::disallowed_types)] // the test's own bookkeeping; a game may not

mod common;

use std::collections::HashMap;

use craps::Craps;
use craps::dice::Dice;
use craps::table::Outcome;
use croupier_sdk::Rng;
use croupier_sdk::testing::{Checks, Table};
use serde_json::{Value, json};

fn table(config: Value) -> Table<Craps> {
    let mut table = Table::open(config, 7).expect("a legal config");
    table.join_as(1, json!({ "bankroll": 1000 })).expect("a free seat");
    table
}

#[test]
fn refusals_say_what_is_wrong() {
    let mut random = table(json!({}));
    let mut scripted = table(json!({ "dice": "scripted" }));
    for (player, action, text) in [
        (1, json!({"bet":{"kind":"place","number":7,"amount":6}}), "there is no place bet on 7"),
        (1, json!({"bet":{"kind":"place","amount":6}}), "there is no place bet"),
        (1, json!({"bet":{"kind":"pass","number":4,"amount":6}}), "there is no pass bet on 4"),
        (1, json!({"bet":{"kind":"big_six","amount":6}}), "unknown variant `big_six`"),
        (1, json!({"bet":{"kind":"pass","amount":1.5}}), "bet.amount"),
        (1, json!({"bet":{"kind":"pass","amount":10,"extra":1}}), "unknown field `extra`"),
        (1, json!({"odds":{"kind":"field","amount":10}}), "there are no odds on field"),
        (1, json!({"odds":{"kind":"come","amount":10}}), "there are no odds on come"),
        (2, json!({"bet":{"kind":"pass","amount":10}}), "player 2 has no seat"),
        (0, json!({"bet":{"kind":"pass","amount":10}}), "the house only rolls"),
        (1, json!({"rolls":10}), "only the house"),
        (0, json!({"rolls":0}), "0 rolls in one turn are not between 1 and 10000"),
        (0, json!({"rolls":10001}), "10001 rolls in one turn are not between 1 and 10000"),
        (0, json!({"roll":[3,4]}), "the dice of this table are random"),
        (0, json!({"roll":[3,7]}), "3 and 7 are no dice"),
        (0, json!({"roll":[3]}), "two faces are needed"),
        (0, json!({"roll":[3,4,5]}), "two faces are needed"),
        (0, json!({"roll":false}), "roll"),
        (0, json!({"spin":true}), "unknown variant `spin`"),
        (0, json!(null), "action"),
    ] {
        let before = random.snapshot();
        let refusal = random.act(player, action.clone()).expect_err("it is wrong");
        assert!(refusal.text().contains(text), "{action}: {refusal}");
        assert_eq!(random.snapshot(), before, "{action}: refused, and yet something changed");
    }
    for (player, action, text) in [
        (0, json!({"roll":true}), "the dice of this table are scripted"),
        (0, json!({"rolls":10}), "the dice of this table are scripted"),
        (1, json!({"roll":[3,4]}), "the dice of this table are scripted"),
    ] {
        let refusal = scripted.act(player, action.clone()).expect_err("it is wrong");
        assert!(refusal.text().contains(text), "{action}: {refusal}");
    }
    random.join_as(2, json!({"bankroll": 10})).expect("a free seat");
    let refusal = random.act(2, json!({"roll":true})).expect_err("not the shooter");
    assert!(refusal.text().contains("the dice are with player 1"), "{refusal}");
}

#[test]
fn configs_that_make_no_sense_are_refused() {
    for (config, text) in [
        (json!({"unit": 0}), "unit: 0 is not between"),
        (json!({"unit": 5, "min_bet": 12}), "min_bet: 12 is not a positive multiple of unit 5"),
        (json!({"min_bet": 100, "max_bet": 99}), "max_bet: 99 is not between min_bet 100"),
        (json!({"odds": [3, 4, 500]}), "odds: a multiple is over 100"),
        (json!({"field_twelve": 4}), "field_twelve: 4 is neither 2 nor 3"),
        (json!({"vig": "never"}), "vig"),
        (json!({"colour": "green"}), "colour"),
    ] {
        let refusal = Table::<Craps>::open(config.clone(), 1).err().expect("it makes no sense");
        assert!(refusal.text().contains(text), "{config}: {refusal}");
    }
}

#[test]
fn every_roll_is_told_to_all() {
    let mut table = table(json!({ "dice": "scripted" }));
    table.act(1, json!({"bet":{"kind":"field","amount":5}})).expect("a legal bet");
    assert!(table.sent_to(1).is_empty());
    let reply = table.act(0, json!({"roll":[1,1]})).expect("a roll");
    assert_eq!(table.sent_to(1), std::slice::from_ref(&reply));
    assert_eq!(reply["roll"]["results"][0]["paid"], json!(15));
}

#[test]
fn the_shooter_rolls_with_the_turns_chance() {
    let mut table = table(json!({}));
    let dice: Vec<Value> =
        (0..20).map(|_| table.act(1, json!({"roll":true})).expect("a roll")["roll"]["dice"].take()).collect();
    assert!(dice.iter().any(|throw| *throw != dice[0]), "twenty times {}", dice[0]);
}

#[test]
fn many_rolls_in_one_turn_are_as_many_single_ones() {
    const SEED: [u8; 32] = [42; 32];
    const ROLLS: u32 = 10_000;
    let mut one_turn = table(json!({}));
    let standing = json!({"standing":[
        {"kind":"pass","amount":10}, {"kind":"place","number":6,"amount":12}, {"kind":"field","amount":1}]});
    one_turn.act(1, standing).expect("legal bets");
    let mut one_by_one = one_turn.state().table().clone();
    one_turn.set_next_seed(SEED);
    let reply = one_turn.act(0, json!({ "rolls": ROLLS })).expect("rolls");

    let mut rng = Rng::from_seed(SEED);
    let (mut totals, mut lines) = ([0_u64; 13], HashMap::<&str, [i64; 6]>::new());
    for _ in 0..ROLLS {
        let dice = Dice::new(rng.die(), rng.die()).expect("two dice");
        totals[usize::from(dice.total())] += 1;
        one_by_one.roll(dice, &mut |decision| {
            let line = lines.entry(decision.spot.family()).or_default();
            let is = |outcome| i64::from(decision.outcome == outcome);
            let add =
                [1, is(Outcome::Won), is(Outcome::Lost), is(Outcome::Pushed), decision.staked, decision.paid];
            for (sum, more) in line.iter_mut().zip(add) {
                *sum += more;
            }
        });
    }
    assert_eq!(one_turn.state().table(), &one_by_one);
    let many = &reply["many"];
    for total in 2..=12 {
        assert_eq!(many["totals"][total.to_string()], json!(totals[total]));
    }
    assert_eq!(many["bets"].as_object().map(serde_json::Map::len), Some(lines.len()));
    for (name, [resolved, won, lost, pushed, staked, paid]) in lines {
        let expected =
            json!({"resolved":resolved,"won":won,"lost":lost,"pushed":pushed,"staked":staked,"paid":paid});
        assert_eq!(many["bets"][name], expected, "{name}");
    }
}

#[test]
fn the_play_scripts_hold() {
    for script in
        [include_str!("../../../examples/craps.jsonl"), include_str!("../../../examples/craps-many.jsonl")]
    {
        let mut tables: HashMap<String, (Table<Craps>, Value)> = HashMap::new();
        let mut expectations = 0;
        for (number, line) in (1..).zip(script.lines()) {
            let line: Value = serde_json::from_str(line).unwrap_or_else(|err| panic!("line {number}: {err}"));
            expectations += u32::from(play_line(&mut tables, number, &line));
        }
        assert!(expectations > 0, "a script that expects nothing");
    }
}

/// Plays a line of a script; whether it was an expectation.
fn play_line(tables: &mut HashMap<String, (Table<Craps>, Value)>, number: u32, line: &Value) -> bool {
    let id = |verb: &str| line.get(verb).and_then(Value::as_str).map(str::to_owned);
    if let Some(id) = id("open") {
        let (table, reply) = Table::open_with_reply(line["config"].clone(), 3).expect("a legal config");
        tables.insert(id, (table, reply));
        return false;
    }
    let verb = ["join", "act", "leave", "close", "expect"].into_iter().find(|verb| line.get(verb).is_some());
    let verb = verb.unwrap_or_else(|| panic!("line {number}: no verb"));
    let (table, last) = tables.get_mut(&id(verb).expect("a session")).expect("an open session");
    let player = line.get("player").and_then(Value::as_u64).unwrap_or(0);
    let reply = match verb {
        "join" => table.join_as(player, line["profile"].clone()),
        "act" => table.act(player, line["action"].clone()),
        "leave" => table.leave(player),
        "close" => table.close(),
        _ => {
            for (member, value) in line["reply"].as_object().expect("an object") {
                assert_eq!(&last[member], value, "line {number}: {member}");
            }
            return true;
        }
    };
    *last = reply.unwrap_or_else(|refusal| panic!("line {number}: {refusal}"));
    false
}

#[test]
fn the_manifest_states_the_exact_edges_and_a_schema_with_the_right_defaults() {
    let manifest: toml::Value = toml::from_str(include_str!("../plugin.toml")).expect("plugin.toml is TOML");
    let bets = manifest["game"]["bets"].as_array().expect("bets");
    let published: Vec<_> = common::published().into_iter().filter(|line| line.rules == json!({})).collect();
    assert_eq!(bets.len(), published.len());
    for line in published {
        let bet = bets.iter().find(|bet| bet["name"].as_str() == Some(&line.bet)).expect("the bet");
        assert_eq!(bet["house_edge"].as_str(), Some(line.edge.as_str()), "{}", line.bet);
    }
    assert_eq!(manifest["players"]["max"].as_integer(), Some(craps::table::SEATS_MAX as i64));
    let schema: Value = serde_json::from_str(manifest["config"]["schema"].as_str().expect("a schema"))
        .expect("the schema is JSON");
    let defaults = serde_json::to_value(craps::rules::Rules::default()).expect("rules as JSON");
    for (name, default) in defaults.as_object().expect("an object") {
        assert_eq!(&schema["properties"][name]["default"], default, "{name}");
    }
    assert_eq!(
        schema["properties"].as_object().map(serde_json::Map::len),
        defaults.as_object().map(serde_json::Map::len)
    );
}

#[test]
fn the_longest_turn_and_the_fullest_table_stay_inside_the_manifests_limits() {
    let manifest: toml::Value = toml::from_str(include_str!("../plugin.toml")).expect("plugin.toml is TOML");
    let effect_bytes = manifest["limits"]["effect_bytes"].as_integer().expect("a limit") as usize;
    let snapshot_bytes = 4 * 1024 * 1024; // the default
    let mut table =
        Table::<Craps>::open(json!({"dice":"scripted","max_bet":100_000_000_000_i64,"come_out":"on"}), 1)
            .expect("open");
    table.set_checks(Checks::Off);
    let players = 1_000_000_000_000..1_000_000_000_020_u64;
    for player in players.clone() {
        table.join_as(player, json!({"bankroll": 1_000_000_000_000_000_i64})).expect("a free seat");
        let amount = 99_999_999_960_i64;
        let mut bets: Vec<Value> = [
            "pass",
            "dont_pass",
            "come",
            "dont_come",
            "pass_odds",
            "dont_pass_odds",
            "field",
            "any_seven",
            "any_craps",
            "horn",
        ]
        .iter()
        .map(|kind| json!({"kind":kind,"amount":amount}))
        .collect();
        for kind in ["place", "buy", "lay", "come_odds", "dont_come_odds"] {
            bets.extend(
                [4, 5, 6, 8, 9, 10].map(|number| json!({"kind":kind,"number":number,"amount":amount})),
            );
        }
        bets.extend([4, 6, 8, 10].map(|number| json!({"kind":"hard","number":number,"amount":amount})));
        bets.extend([2, 3, 11, 12].map(|number| json!({"kind":"number","number":number,"amount":amount})));
        table.act(player, json!({"standing": bets})).expect("legal bets");
    }
    let mut longest = 0;
    for dice in [[2, 2], [2, 3], [3, 3], [4, 4], [4, 5], [5, 5], [5, 6], [3, 4]] {
        table.act(0, json!({"roll": dice})).expect("a roll");
        let bytes = table.sent_to(players.start).iter().map(|message| message.to_string().len()).max();
        longest = longest.max(bytes.expect("a message"));
    }
    println!("longest message {longest} bytes, snapshot {} bytes", table.snapshot().len());
    assert!(longest < effect_bytes, "{longest} bytes");
    assert!(longest > effect_bytes / 4, "the limit is far too large: {longest} bytes");
    assert!(table.snapshot().len() < snapshot_bytes);
}
