//! The desk's limits and permissions, without a plugin.

use croupier_wire::outcome::{call_hash, outcome_hash};

use super::*;

fn hello(permissions: Vec<&'static str>, limits: Limits) -> Hello<'static> {
    Hello {
        version: 1,
        worker: 1,
        plugin: "p",
        plugin_version: "1.0.0",
        state_version: 1,
        limits,
        permissions,
        layout_shift_pages: 0,
    }
}

const LIMITS: Limits =
    Limits { frame_bytes: 10_000, reply_bytes: 10, snapshot_bytes: 20, effects_per_turn: 4, effect_bytes: 8 };

fn rules() -> Rules {
    Rules::new(&hello(vec!["send", "emit:table", "call:bank"], LIMITS)).expect("fits")
}

fn turn(rules: &Rules, playing: Playing, recorded: &[CallAnswer<'_>]) -> Desk {
    let mut desk = Desk::new();
    desk.begin_turn(rules, 77, playing, recorded);
    desk
}

#[test]
fn outside_a_turn_nothing_is_allowed() {
    let rules = rules();
    let mut desk = Desk::new();
    assert_eq!(desk.write(b"x"), abi::E_NO_TURN);
    for phase in ["idle", "other"] {
        assert_eq!(desk.send(&rules, 1, b"x"), abi::E_NO_TURN, "{phase}");
        assert_eq!(desk.emit(&rules, b"table", b"x"), abi::E_NO_TURN, "{phase}");
        assert_eq!(desk.call(&rules, "bank", b""), Answer::Known(abi::E_NO_TURN, vec![]), "{phase}");
        desk.begin_other(None);
        assert_eq!(desk.write(b"x"), abi::E_NO_TURN, "{phase}: no sink");
    }
    desk.begin_other(Some(2));
    assert_eq!((desk.write(b"xy"), desk.write(b"z")), (abi::OK, abi::E_TOO_BIG));
    assert_eq!(desk.finish_other(abi::OK), Ok(b"xy".to_vec()));
    desk.fail(b"late");
    desk.begin_other(None);
    assert_eq!(desk.finish_other(abi::E_REFUSED), Err((abi::E_REFUSED, String::new())));
}

#[test]
fn permissions_are_exact() {
    let rules = rules();
    let mut desk = turn(&rules, Playing::Live, &[]);
    assert_eq!(desk.emit(&rules, b"table", b"x"), abi::OK);
    assert_eq!(desk.emit(&rules, b"tabl", b"x"), abi::E_DENIED);
    for bad in [&b""[..], b"Table", b"t\xff", &[b'a'; 65]] {
        assert_eq!(desk.emit(&rules, bad, b"x"), abi::E_BAD_INPUT);
    }
    assert_eq!(desk.call(&rules, "bank2", b""), Answer::Known(abi::E_DENIED, vec![]));
    let bare = Rules::new(&hello(vec![], LIMITS)).expect("fits");
    assert_eq!(turn(&bare, Playing::Live, &[]).send(&bare, 1, b"x"), abi::E_DENIED);
}

#[test]
fn limits_are_inclusive_and_refusals_cost_nothing() {
    let rules = rules();
    let mut desk = turn(&rules, Playing::Live, &[]);
    assert_eq!(desk.write(&[1; 11]), abi::E_TOO_BIG);
    assert_eq!((desk.write(&[1; 10]), desk.write(&[]), desk.write(&[1])), (abi::OK, abi::OK, abi::E_TOO_BIG));
    assert_eq!(desk.send(&rules, 1, &[2; 9]), abi::E_TOO_BIG);
    for _ in 0..3 {
        assert_eq!(desk.send(&rules, 1, &[2; 8]), abi::OK);
    }
    assert!(matches!(desk.call(&rules, "bank", b"1234"), Answer::Ask { call_id: 77, index: 0, .. }));
    assert_eq!(desk.send(&rules, 1, b""), abi::E_TOO_BIG, "four things in all");
    assert_eq!(desk.call(&rules, "bank", b""), Answer::Known(abi::E_TOO_BIG, vec![]));
    let played = desk.finish_turn(abi::OK);
    assert_eq!((played.reply.len(), played.effects.list().len()), (10, 3));
}

#[test]
fn effects_never_outgrow_the_frame() {
    let limits =
        Limits { frame_bytes: 6000, reply_bytes: 100, effects_per_turn: 1000, effect_bytes: 500, ..LIMITS };
    let rules = Rules::new(&hello(vec!["send"], limits)).expect("fits");
    let mut desk = turn(&rules, Playing::Live, &[]);
    while desk.send(&rules, u64::MAX, &[7; 500]) == abi::OK {}
    while desk.send(&rules, u64::MAX, b"") == abi::OK {}
    assert_eq!(desk.write(&[1; 100]), abi::OK);
    let played = desk.finish_turn(abi::OK);
    let done = croupier_wire::link::Done {
        status: 0,
        reply: &played.reply,
        error: "",
        effects: played.effects.list(),
        outcome: u64::MAX,
        snapshot: None,
        diverged: true,
    };
    assert!(done.effects.len() > 3);
    let mut out = Vec::new();
    croupier_wire::link::FromWorker::Done(done).put(&mut out, u64::MAX, limits.frame_bytes).expect("fits");
}

#[test]
fn limits_that_do_not_fit_a_frame_are_a_fault() {
    let limits = Limits { snapshot_bytes: 9_990, ..LIMITS };
    assert!(matches!(
        Rules::new(&hello(vec![], limits)),
        Err(Fault::Limits { what: "snapshot", bytes: 9_990, frame_bytes: 10_000 })
    ));
}

#[test]
fn a_failed_turn_keeps_only_status_and_text() {
    let rules = rules();
    let mut desk = turn(&rules, Playing::Live, &[]);
    desk.write(b"reply");
    desk.send(&rules, 1, b"x");
    desk.fail(b"first");
    desk.fail(b"not your \xff turn");
    let played = desk.finish_turn(abi::E_REFUSED);
    assert_eq!((played.status, played.reply.len(), played.error.as_str()), (-1, 0, "not your \u{fffd} turn"));
    assert!(played.effects.list().is_empty());
    assert_eq!(played.outcome, outcome_hash(-1, b"", "not your \u{fffd} turn", &[]));
}

#[test]
fn a_text_without_a_failure_is_dropped() {
    let rules = rules();
    let mut desk = turn(&rules, Playing::Live, &[]);
    desk.fail(b"never mind");
    let played = desk.finish_turn(abi::OK);
    assert_eq!((played.error.as_str(), played.outcome), ("", outcome_hash(0, b"", "", &[])));
}

#[test]
fn foreign_statuses_become_internal() {
    let rules = rules();
    for status in [1, -5, -6, -7, -8, i32::MIN, i32::MAX] {
        let played = turn(&rules, Playing::Live, &[]).finish_turn(status);
        assert_eq!(played.status, abi::E_INTERNAL);
        assert!(played.error.contains(&status.to_string()), "{}", played.error);
    }
    for status in [0, -1, -2, -3, -4] {
        assert_eq!(turn(&rules, Playing::Live, &[]).finish_turn(status).status, status);
    }
}

#[test]
fn recorded_calls_are_answered_by_index() {
    let rules = rules();
    let asked = call_hash("bank", b"1");
    let record =
        [CallAnswer { asked, status: 0, answer: b"yes" }, CallAnswer { asked, status: -1, answer: b"" }];
    let mut desk = turn(&rules, Playing::Live, &record);
    assert_eq!(desk.call(&rules, "bank", b"1"), Answer::Known(0, b"yes".to_vec()));
    assert_eq!(desk.call(&rules, "bank", b"1"), Answer::Known(-1, vec![]));
    let third = Answer::Ask { call_id: 77, index: 2, asked: call_hash("bank", b"2") };
    assert_eq!(desk.call(&rules, "bank", b"2"), third);
    assert!(!desk.finish_turn(abi::OK).has_diverged);
}

#[test]
fn other_calls_than_recorded_are_divergence() {
    let rules = rules();
    let record = [CallAnswer { asked: call_hash("bank", b"1"), status: 0, answer: b"yes" }];
    let mut other = turn(&rules, Playing::Replay, &record);
    assert_eq!(other.call(&rules, "bank", b"2"), Answer::Known(0, b"yes".to_vec()));
    assert!(other.finish_turn(abi::OK).has_diverged, "other arguments");

    assert!(turn(&rules, Playing::Replay, &record).finish_turn(abi::OK).has_diverged, "fewer calls");

    let mut more = turn(&rules, Playing::Replay, &record);
    more.call(&rules, "bank", b"1");
    assert_eq!(more.call(&rules, "bank", b"1"), Answer::Known(abi::E_UNSUPPORTED, vec![]));
    assert!(more.finish_turn(abi::OK).has_diverged, "more calls");
}

#[test]
fn texts_are_cut_between_characters() {
    assert_eq!(lossy("aé".as_bytes(), 2), "a\u{fffd}".chars().take(1).collect::<String>());
    assert!(lossy(&[0xff; 9000], ERROR_BYTES_MAX).len() <= ERROR_BYTES_MAX);
}
