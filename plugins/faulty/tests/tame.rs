//! What the faulty game does without harm: here its own table, in this process.

use croupier_sdk::serde_json::{Value, json};
use croupier_sdk::testing::{Checks, Output, Table};
use faulty::Faulty;

/// Milliseconds from the table's first turn to a time that this test will not live to see.
const FAR_FUTURE_MS: u64 = 200 * 365 * 86_400_000;

fn table(config: Value) -> Table<Faulty> {
    Table::open(config, 1).unwrap()
}

#[test]
fn counts_echoes_and_draws() {
    let mut table = table(json!({}));
    assert_eq!(table.join(1).unwrap()["players"], 1);
    assert_eq!(table.act(1, json!({"do":"count"})).unwrap()["count"], 1);
    assert_eq!(table.act(1, json!({"do":"crash_if","player":2})).unwrap()["count"], 2);
    assert_eq!(table.tick().unwrap()["ticks"], 1);
    // Exactly, digit by digit.
    let exact = r#"{"do":"echo","value":{"a":[0.10,123456789012345678901234567890.5]}}"#;
    let echoed = table.act_bytes(1, exact.as_bytes()).unwrap().to_string();
    assert_eq!(echoed, r#"{"a":[0.10,123456789012345678901234567890.5]}"#);
    let die = table.act(1, json!({"do":"draw"})).unwrap()["die"].as_u64().unwrap();
    assert!((1..=6).contains(&die));
    assert_eq!(table.leave(1).unwrap()["players"], 0);
    assert_eq!(table.close().unwrap()["count"], 2);
}

#[test]
fn an_error_changes_the_state_all_the_same() {
    let mut table = table(json!({}));
    assert_eq!(table.act(0, json!({"do":"error","text":"no"})).unwrap_err().text(), "no");
    assert_eq!(table.act(0, json!({"do":"count"})).unwrap()["count"], faulty::ERROR_COUNTS + 1);
}

#[test]
fn talks_to_the_host() {
    let mut table = table(json!({}));
    table.act(3, json!({"do":"send","text":"hi","times":2})).unwrap();
    assert_eq!(table.sent_to(3), [json!({"text":"hi","number":0}), json!({"text":"hi","number":1})]);
    assert!(table.sent_to(4).is_empty());
    table.act(3, json!({"do":"send","to":4})).unwrap();
    assert_eq!(table.sent_to(4).len(), 1);
    table.act(3, json!({"do":"emit","text":"x"})).unwrap();
    assert!(matches!(&table.output()[0], Output::Emitted { topic, .. } if topic == "table"));
    table.act(3, json!({"do":"log","times":3})).unwrap();
    assert_eq!(table.output().len(), 3);
    table.answer_calls(|name, args| Ok([name.as_bytes(), b"/", args].concat()));
    let reply = table.act(3, json!({"do":"call","args":{"a":1}})).unwrap();
    assert_eq!(reply["answer"], r#"echo/{"a":1}"#);
}

#[test]
fn grows() {
    let mut table = table(json!({}));
    assert!(table.act(1, json!({"do":"big_reply","bytes":5000})).unwrap().to_string().len() > 5000);
    table.act(1, json!({"do":"big_snapshot","bytes":7000})).unwrap();
    assert!(table.snapshot().len() > 7000);
    assert_eq!(table.act(1, json!({"do":"leak","mib":2})).unwrap()["did"], "Leak");
    assert_eq!(table.act(1, json!({"do":"sleep","ms":1})).unwrap()["did"], "Sleep");
    assert_eq!(table.act(1, json!({"do":"spin","ms":1})).unwrap()["did"], "Spin");
}

#[test]
fn diverges() {
    let mut table = table(json!({}));
    table.set_checks(Checks::Off);
    let (first, second) =
        (table.act(1, json!({"do":"diverge"})).unwrap(), table.act(1, json!({"do":"diverge"})).unwrap());
    assert_ne!(first["nanos"], second["nanos"]);
}

#[test]
#[should_panic(expected = "answers otherwise than first")]
fn the_table_finds_the_divergence() {
    let _ = table(json!({})).act(1, json!({"do":"diverge"}));
}

#[test]
fn refuses_what_the_config_says() {
    let refused = Table::<Faulty>::open(json!({"on_open":"refuse"}), 1).err().unwrap();
    assert_eq!(refused.text(), "the config says that open is refused");
    let mut table = table(
        json!({"on_join":"refuse","on_leave":"refuse","on_tick":"refuse","tick_no":2,"on_close":"refuse"}),
    );
    assert!(table.join(1).is_err());
    assert!(table.leave(1).is_err());
    assert!(table.tick().is_ok());
    assert!(table.tick().is_err());
    assert!(table.tick().is_ok());
    assert!(table.close().is_err());
}

#[test]
fn a_live_turn_does_not_spring_the_replay_trap() {
    let mut table = table(json!({}));
    table.advance_ms(FAR_FUTURE_MS);
    assert_eq!(table.act(1, json!({"do":"crash_on_replay"})).unwrap()["count"], 1);
}

#[test]
fn says_what_it_does_not_understand() {
    let mut table = table(json!({}));
    let mut why = |bytes: &str| table.act_bytes(1, bytes.as_bytes()).unwrap_err().to_string();
    assert!(why(r#"{"do":"dance"}"#).starts_with("action, at do: unknown variant `dance`"));
    assert!(why(r#"{"do":"sleep","ms":"long"}"#).starts_with("action, at ms: invalid type"));
    assert!(why(r#"{"do":"count"} x"#).starts_with("action: trailing characters"));
    assert!(why(r#"{"do":"big_reply"}"#).contains("needs \"bytes\""));
}
