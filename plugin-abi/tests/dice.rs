//! The C plugin `dice`, compiled as C99 and as C++11, loaded into this process and played through its vtable.
#![allow(unsafe_code)] // loads a library and calls it

#[path = "support/host.rs"]
mod host;
mod support;

use std::path::Path;
use std::sync::OnceLock;

use croupier_abi as abi;
use host::{Driver, Outcome, Session, turn};
use libloading::os::unix::Library;
use proptest::prelude::*;
use support::{C99, CXX11, Language};

/// A seed whose first two usable bytes throw these dice; a byte that must be passed over stands before each.
fn seed(first: u8, second: u8) -> [u8; 32] {
    let mut seed = [255; 32];
    seed[1] = first - 1 + 6;
    seed[2] = 252;
    seed[3] = second - 1 + 246;
    seed
}

fn load(language: &Language) -> Option<Driver> {
    if !language.is_there() {
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    let source_dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/dice");
    let source = std::fs::read_to_string(source_dir.join("dice.c")).unwrap();
    let manifest_dir = source_dir.to_str().unwrap();
    let object =
        language.compile(dir.path(), &source, "dice", &["-O2", "-fPIC", "-shared", "-I", manifest_dir]);
    // SAFETY: our own plugin, without constructors; the library is leaked, so it stays loaded.
    unsafe {
        let library = Box::leak(Box::new(Library::new(&object).unwrap()));
        let plugin = library.get::<*const abi::Plugin>(abi::PLUGIN_SYMBOL.to_bytes()).unwrap();
        Some(Driver::new(*plugin))
    }
}

/// A game and a session with players 1 and 2, each with 500 chips.
fn table(language: &Language) -> Option<(Driver, Session)> {
    let mut driver = load(language)?;
    let (session, reply) = driver.open([0; 32], br#" { "stack" : 500 } "#).unwrap();
    assert_eq!(reply, br#"{"stack":500}"#);
    for player in [1, 2] {
        driver.play(session, &turn(abi::TURN_JOIN, player, player + 1, [0; 32]), b"{}").unwrap();
    }
    Some((driver, session))
}

fn act(driver: &mut Driver, session: Session, player: u64, payload: &str) -> Outcome {
    driver.play(session, &turn(abi::TURN_ACTION, player, 9, seed(4, 5)), payload.as_bytes())
}

fn text(outcome: Outcome) -> String {
    match outcome {
        Ok(reply) => String::from_utf8(reply).unwrap(),
        Err((status, why)) => format!("{status}: {why}"),
    }
}

fn plays(language: &Language) {
    let Some((mut driver, session)) = table(language) else { return };
    let mut say = |player, payload| text(act(&mut driver, session, player, payload));
    assert_eq!(say(1, r#"{"bet":"over","amount":100}"#), r#"{"stack":400,"bets":1}"#);
    assert_eq!(say(1, r#"{"amount": 5, "bet": "under"}"#), r#"{"stack":395,"bets":2}"#);
    assert_eq!(say(2, r#"{"bet":"exact","number":9,"amount":10}"#), r#"{"stack":490,"bets":3}"#);
    // 4 + 5 = 9: over pays 200, under nothing, exactly 9 pays 7 to 1 and the stake.
    let won = r#"{"dice":[4,5],"sum":9,"stacks":[{"player":1,"stack":595},{"player":2,"stack":570}]}"#;
    assert_eq!(say(0, r#"{"roll":true}"#), won);
    assert_eq!(driver.heard().sent, [(u64::MAX, won.as_bytes().to_vec())]);

    let left = driver.play(session, &turn(abi::TURN_LEAVE, 1, 10, [0; 32]), b"tired").unwrap();
    assert_eq!(left, br#"{"stack":595}"#);
    assert_eq!(
        text(act(&mut driver, session, 2, r#"{"bet":"over","amount":70}"#)),
        r#"{"stack":500,"bets":1}"#
    );
    let closed = text(driver.close(session, 12));
    assert_eq!(closed, r#"{"rolls":1,"stacks":[{"player":2,"stack":570}]}"#);
    driver.shutdown();
}

#[test]
fn plays_as_c() {
    plays(&C99);
}

#[test]
fn plays_as_cxx() {
    plays(&CXX11);
}

#[test]
fn refuses_clearly_and_stays_as_it_was() {
    let Some((mut driver, session)) = table(&C99) else { return };
    let before = driver.snapshot(session).unwrap();
    for (player, payload, expected) in [
        (3, r#"{"bet":"over","amount":1}"#, "-1: take a seat before you bet"),
        (3, r#"{"roll":true}"#, "-1: take a seat before you roll"),
        (1, r#"{"bet":"over","amount":501}"#, "-1: you have 500 chips only"),
        (1, r#"{"bet":"over","amount":0}"#, "-2: amount must be a whole number from 1 to 1000000"),
        (1, r#"{"bet":"over","amount":1.5}"#, "-2: action: only whole numbers are chips"),
        (
            1,
            r#"{"bet":"over","amount":-1}"#,
            "-2: action: a value must be a string, a whole number from 0 up, or true",
        ),
        (1, r#"{"bet":"over","amount":9999999999999999}"#, "-2: action: a number has more than 15 digits"),
        (1, r#"{"bet":"exact","amount":1}"#, "-2: number must be a whole number from 2 to 12"),
        (1, r#"{"bet":"exact","number":13,"amount":1}"#, "-2: number must be a whole number from 2 to 12"),
        (1, r#"{"bet":"even","amount":1}"#, "-2: bet must be \"over\", \"under\" or \"exact\""),
        (1, r#"{"bet":"over","amount":1,"x":2}"#, "-2: \"x\" has no meaning here"),
        (1, r#"{"bet":"over","bet":"over"}"#, "-2: action: a member comes twice"),
        (1, r#"{"bet":"over","amount":1"#, "-2: action: the object does not end"),
        (1, r#"{"bet":"over","amount":1}}"#, "-2: action: something comes after the object"),
        (1, r#"[1]"#, "-2: action: a JSON object is expected"),
        (1, "", "-2: action: say {\"bet\":\"over\",\"amount\":10} or {\"roll\":true}"),
        (
            1,
            r#"{"roll":true,"amount":3}"#,
            "-2: action: say {\"bet\":\"over\",\"amount\":10} or {\"roll\":true}",
        ),
    ] {
        assert_eq!(text(act(&mut driver, session, player, payload)), expected, "{payload}");
        assert_eq!(driver.snapshot(session).unwrap(), before, "{payload} changed the table");
    }
    assert_eq!(driver.open([0; 32], br#"{"stack":0}"#).err().unwrap().0, abi::E_BAD_INPUT);
    // Permission withdrawn: the roll fails, and the chips are where they were.
    driver.heard().effects_status = abi::E_DENIED;
    assert!(
        text(act(&mut driver, session, 1, r#"{"roll":true}"#)).starts_with("-6: the result cannot be sent")
    );
    assert_eq!(driver.snapshot(session).unwrap(), before);
    // No room for the reply.
    driver.heard().effects_status = abi::OK;
    driver.sink_max = 10;
    assert_eq!(act(&mut driver, session, 1, r#"{"roll":true}"#).unwrap_err().0, abi::E_TOO_BIG);
    driver.sink_max = 1 << 20;
    assert_eq!(driver.snapshot(session).unwrap(), before);
}

#[test]
fn snapshots_are_whole_and_written_down() {
    let Some((mut driver, session)) = table(&C99) else { return };
    act(&mut driver, session, 2, r#"{"bet":"exact","number":12,"amount":258}"#).unwrap();
    let snapshot = driver.snapshot(session).unwrap();
    let mut expected = Vec::new();
    for number in [500u64, 0] {
        expected.extend(number.to_le_bytes());
    }
    expected.extend([2, 1]);
    for number in [1u64, 500, 2, 242] {
        expected.extend(number.to_le_bytes());
    }
    expected.extend([1, 2, 12, 2, 1, 0, 0]);
    assert_eq!(snapshot, expected);

    let copy = driver.restore(1, &snapshot).unwrap();
    let (first, second) =
        (act(&mut driver, session, 0, r#"{"roll":true}"#), act(&mut driver, copy, 0, r#"{"roll":true}"#));
    assert_eq!(text(first), text(second));
    assert_eq!(driver.snapshot(session), driver.snapshot(copy));
    driver.drop_session(copy);

    assert_eq!(driver.restore(2, &snapshot).err().unwrap().0, abi::E_UNSUPPORTED);
    for cut in 0..snapshot.len() {
        assert_eq!(driver.restore(1, &snapshot[..cut]).err().unwrap().0, abi::E_BAD_INPUT, "cut at {cut}");
    }
}

/// A game of its own per thread: a `Driver` is of one thread.
fn with_table(test: impl FnOnce(&mut Driver, Session)) {
    thread_local! {
        static TABLE: OnceLock<std::cell::RefCell<Option<(Driver, Session)>>> = const { OnceLock::new() };
    }
    TABLE.with(|cell| {
        if let Some((driver, session)) = &mut *cell.get_or_init(|| table(&C99).into()).borrow_mut() {
            test(driver, *session);
        }
    });
}

proptest! {
    /// Whatever comes in, the game answers or refuses with a reason; it never crashes, and the table can be written and read.
    #[test]
    fn garbage_does_no_harm(payload in prop_oneof![
        prop::collection::vec(any::<u8>(), 0..64),
        r#"[{} \[\]"a-z:,0-9.tru]{0,40}"#.prop_map(String::into_bytes),
        r#"\{"(bet|roll|amount|number)":("(over|exact)"|[0-9]{1,17}|true)(,"(amount|number)":[0-9]{1,8}){0,5}\}?"#
            .prop_map(String::into_bytes),
    ]) {
        with_table(|driver, session| {
            match driver.play(session, &turn(abi::TURN_ACTION, 1, 9, seed(1, 1)), &payload) {
                Ok(reply) => assert!(reply.starts_with(b"{")),
                Err((status, why)) => {
                    assert!((-4..0).contains(&status), "{status}");
                    assert!(!why.is_empty());
                }
            }
        });
    }

    #[test]
    fn damaged_snapshots_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..120), seats in 0u8..9, bets in 0u8..4) {
        with_table(|driver, _| {
            let mut bytes = bytes.clone();
            if bytes.len() > 17 {
                bytes[4..8].fill(0);
                (bytes[16], bytes[17]) = (seats, bets);
                bytes.resize(18 + usize::from(seats) * 16 + usize::from(bets) * 7, 1);
            }
            if let Ok(session) = driver.restore(1, &bytes) {
                assert_eq!(driver.snapshot(session).unwrap(), bytes);
                driver.close(session, 3).unwrap();
            }
        });
    }
}
