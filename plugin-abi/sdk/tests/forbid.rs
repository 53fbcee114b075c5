//! A plugin crate may forbid `unsafe` altogether, and `export!` still works in it.
#![forbid(unsafe_code)]
#![deny(warnings)]

mod coin;

use coin::Coin;
use croupier_sdk::testing::{Step, Table, replay_check};
use serde_json::json;

#[test]
fn plays() {
    let mut table = Table::<Coin>::open(json!({ "max_bet": 10 }), 1).unwrap();
    table.join_as(1, json!({ "stack": 100 })).unwrap();
    let reply = table.act(1, json!({ "flip": { "side": "heads", "amount": 2.5 } })).unwrap();
    assert!(reply["stack"] == json!(102.5) || reply["stack"] == json!(97.5), "{reply}");
    assert_eq!(table.sent_to(1).len(), 1);
    replay_check::<Coin>(json!({ "max_bet": 1 }), 2, &[Step::Join(1, json!({})), Step::Tick, Step::Close]);
}
