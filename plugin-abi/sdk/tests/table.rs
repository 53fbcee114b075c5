//! The test table finds the usual sins against determinism.
#![allow(clippy::disallowed_types)] // some of the sins

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use croupier_sdk::testing::{Checks, Step, Table, replay_check};
use croupier_sdk::{Anything, Game, Player, Refusal, Turn};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A variable outside of the state.
static OUTSIDE: AtomicU64 = AtomicU64::new(0);

/// A game with a sin per command.
#[derive(Serialize, Deserialize)]
struct Sinner {
    map: HashMap<u64, u64>,
    count: u64,
    #[serde(skip)]
    forgotten: u64,
}

impl Game for Sinner {
    type Config = Anything;
    type Profile = Anything;
    type Action = String;
    type Reply = Value;

    fn open(_: Anything, _: &mut Turn<'_>) -> Result<(Sinner, Value), Refusal> {
        Ok((Sinner { map: HashMap::new(), count: 0, forgotten: 0 }, Value::Null))
    }

    fn join(&mut self, _: Player, _: Anything, _: &mut Turn<'_>) -> Result<Value, Refusal> {
        Ok(Value::Null)
    }

    fn leave(&mut self, _: Player, _: &mut Turn<'_>) -> Result<Value, Refusal> {
        Ok(Value::Null)
    }

    fn action(&mut self, _: Player, action: String, turn: &mut Turn<'_>) -> Result<Value, Refusal> {
        match action.as_str() {
            "honest" => self.count += u64::from(turn.rng().die()),
            "map" => self.map = (0..100).map(|key| (key, key)).collect(),
            "reply" => return Ok(json!(OUTSIDE.fetch_add(1, Ordering::Relaxed))),
            "state" => self.count += OUTSIDE.fetch_add(1, Ordering::Relaxed),
            "send" => turn.send(Player::ALL, &OUTSIDE.fetch_add(1, Ordering::Relaxed))?,
            "call" => {
                let number = OUTSIDE.fetch_add(1, Ordering::Relaxed);
                turn.call("platform", &number.to_le_bytes())?;
            }
            "forget" => self.forgotten += 1,
            "remember" => return Ok(json!(self.forgotten)),
            "refuse" => {
                turn.send(Player::ALL, &"never seen")?;
                return Err(Refusal::rule("no"));
            }
            other => panic!("{other}"),
        }
        Ok(Value::Null)
    }

    fn close(&mut self, _: &mut Turn<'_>) -> Result<Value, Refusal> {
        Ok(Value::Null)
    }
}

fn play(actions: &[&str]) {
    let mut table = Table::<Sinner>::open(json!({}), 1).unwrap();
    table.answer_calls(|_, _| Ok(Vec::new()));
    for action in actions {
        table.act(1, json!(action)).unwrap();
    }
}

#[test]
fn an_honest_turn_passes() {
    play(&["honest", "honest"]);
}

#[test]
#[should_panic(expected = "replayed, it leaves another state behind")]
fn an_unordered_map_is_found() {
    play(&["map"]);
}

#[test]
#[should_panic(expected = "answers otherwise than first")]
fn a_reply_from_outside_is_found() {
    play(&["reply"]);
}

#[test]
#[should_panic(expected = "leaves another state behind")]
fn a_state_from_outside_is_found() {
    play(&["state"]);
}

#[test]
#[should_panic(expected = "answers otherwise than first")]
fn a_message_from_outside_is_found() {
    play(&["send"]);
}

#[test]
#[should_panic(expected = "makes another host call")]
fn a_host_call_from_outside_is_found() {
    play(&["call"]);
}

#[test]
#[should_panic(expected = "answers otherwise than first")]
fn what_a_snapshot_forgets_is_found_by_the_table() {
    play(&["forget", "remember"]);
}

#[test]
#[should_panic(expected = "step 2")]
fn what_a_snapshot_forgets_is_found_by_a_script() {
    let script = [Step::Act(1, json!("forget")), Step::Act(1, json!("remember"))];
    replay_check::<Sinner>(json!({}), 1, &script);
}

#[test]
fn checks_can_be_switched_off() {
    let mut table = Table::<Sinner>::open(json!({}), 1).unwrap();
    table.set_checks(Checks::Off);
    table.act(1, json!("reply")).unwrap();
}

#[test]
fn what_a_failed_turn_sent_is_gone() {
    let mut table = Table::<Sinner>::open(json!({}), 1).unwrap();
    assert!(table.act(1, json!("refuse")).is_err());
    assert!(table.output().is_empty());
}

#[test]
fn the_same_seed_gives_the_same_session() {
    let total = |seed| {
        let mut table = Table::<Sinner>::open(json!({}), seed).unwrap();
        for _ in 0..20 {
            table.act(1, json!("honest")).unwrap();
        }
        table.state().count
    };
    assert_eq!(total(5), total(5));
    assert!((0..10).any(|seed| total(seed) != total(5)));
}
