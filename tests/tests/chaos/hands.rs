//! Recorded poker hands: what is done at each table, and the stacks that it must end with.

use std::path::Path;

use croupier_tests::artifacts::repository;
use croupier_tests::hands;
use serde_json::Value;

/// One hand.
#[derive(Debug)]
pub(crate) struct Hand {
    pub(crate) name: String,
    pub(crate) config: String,
    /// Player and action.
    pub(crate) actions: Vec<(u64, String)>,
    /// Members that the last reply must have.
    pub(crate) expected: Value,
}

impl Hand {
    /// Whether a reply has all that is expected. Amounts are compared as numbers: 9775.0 is 9775.
    pub(crate) fn ends_with(&self, reply: &Value) -> bool {
        let members = self.expected.as_object().expect("an object");
        members.iter().all(|(name, expected)| same(expected, &reply[name.as_str()]))
    }
}

fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        _ => one == other,
    }
}

/// The hands of the repository, and the recorded ones that are beside it.
///
/// # Panics
/// When there is none.
pub(crate) fn load(directory: &Path) -> Vec<Hand> {
    let from = [repository().join("examples/hands")].into_iter().chain(hands::recorded()).collect::<Vec<_>>();
    let script = std::fs::read_to_string(hands::script(&from, directory)).expect("the script");
    let mut hands: Vec<Hand> = Vec::new();
    for line in script.lines() {
        let line: Value = serde_json::from_str(line).expect("JSON");
        if let Some(name) = line["open"].as_str() {
            let config = line["config"].to_string();
            hands.push(Hand { name: name.to_owned(), config, actions: Vec::new(), expected: Value::Null });
            continue;
        }
        let hand = hands.last_mut().expect("a hand begins with its opening");
        if line["act"].is_string() {
            hand.actions.push((line["player"].as_u64().expect("a player"), line["action"].to_string()));
        } else if line["expect"].is_string() {
            hand.expected = line["reply"].clone();
        }
    }
    // A few histories do not say how they ended.
    hands.retain(|hand| hand.expected.is_object());
    assert!(!hands.is_empty(), "there is no hand");
    hands
}
