//! The JSON checker against the grammar, its limits, and `serde_json` as an oracle.

use croupier_manifest::JsonError;
use croupier_manifest::check_json;
use proptest::prelude::*;
use serde_json::value::RawValue;

#[test]
fn what_is_json() {
    for text in [
        "0",
        "-0",
        "1.5e-3",
        "1E+999",
        "\"\"",
        "\"\\u00e9\\n\"",
        "\"\\ud83c\\udcA1\"",
        "true",
        " false ",
        "null",
        "[]",
        "{}",
        "[[],{}]",
        "{\"a\":1,\"b\":[1,2,{\"c\":null}]}",
        "\t\r\n[ 1 , 2 ]\n",
        "{\"a\":1,\"a\":2}",
        "123456789012345678901234567890.5",
    ] {
        assert_eq!(check_json(text.as_bytes(), 64), Ok(()), "{text}");
        serde_json::from_str::<serde_json::Value>(text).unwrap();
    }
}

#[test]
fn what_is_not() {
    for text in [
        "01",
        "-",
        "+1",
        "1.",
        ".5",
        "1e",
        "1e+",
        "tru",
        "nulll",
        "[1,]",
        "[,]",
        "[",
        "]",
        "{",
        "}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{1:1}",
        "[1 2]",
        "[1}",
        "{\"a\":1]",
        "\"",
        "\"\n\"",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"\\ud800\"",
        "\"\\ud800\\u0041\"",
        "\"\\udc00\"",
        "1 2",
        "{}{}",
        "NaN",
        "Infinity",
        "'a'",
        "// x\n1",
        "\u{feff}1",
        "[1]x",
        "\"a\" \"b\"",
    ] {
        assert!(check_json(text.as_bytes(), 64).is_err(), "{text}");
    }
    assert_eq!(check_json(b" \n", 64), Err(JsonError::Empty { bytes: 2 }));
    assert_eq!(check_json(b"\"\xff\"", 64), Err(JsonError::NotUtf8 { at: 1 }));
    assert_eq!(check_json(b"{} []", 64), Err(JsonError::Trailing { at: 3 }));
    assert_eq!(
        check_json(b"[1", 64).unwrap_err().to_string(),
        "not JSON: the text ends at byte 2, where there should be a comma or `]`"
    );
}

#[test]
fn the_limits() {
    let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    assert_eq!(check_json(nested(64).as_bytes(), 64), Ok(()));
    assert_eq!(check_json(nested(65).as_bytes(), 64), Err(JsonError::TooDeep { at: 64, max: 64 }));
    assert_eq!(check_json(b"1", 0), Ok(()));
    assert_eq!(check_json(b"[]", 0), Err(JsonError::TooDeep { at: 0, max: 0 }));
    // What passes at any depth parses, too.
    assert_eq!(check_json(nested(127).as_bytes(), usize::MAX), Ok(()));
    serde_json::from_str::<serde_json::Value>(&nested(127)).unwrap();
    assert!(check_json(nested(128).as_bytes(), usize::MAX).is_err());
    assert!(check_json("[".repeat(10_000_000).as_bytes(), usize::MAX).is_err());
    assert_eq!(check_json(b"1e999", 1), Ok(()));
    assert_eq!(check_json(b"[1e1000]", 1), Err(JsonError::NumberOutOfBounds { at: 1 }));
    assert_eq!(check_json(b"1e-99999999999999999999", 1), Err(JsonError::NumberOutOfBounds { at: 0 }));
    assert_eq!(check_json("1".repeat(256).as_bytes(), 1), Ok(()));
    assert_eq!(check_json("1".repeat(257).as_bytes(), 1), Err(JsonError::NumberOutOfBounds { at: 0 }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    /// Our verdict equals the parser's on text that is nearly JSON (short: no limit is in reach).
    #[test]
    fn agrees_with_the_parser(text in r#"([\[\]{},: ]|"[a\\u"n0-9d]{0,3}"|-?[0-9.eE+-]{1,4}|true|null|"\\\\u[d0-9a-c]{3}[0-9]"){0,9}"#) {
        let ours = check_json(text.as_bytes(), 100).is_ok();
        // `Value` follows every escape, where a raw value would not look into strings.
        let theirs = serde_json::from_str::<serde_json::Value>(&text).is_ok();
        let bounds = matches!(check_json(text.as_bytes(), 100), Err(JsonError::NumberOutOfBounds { .. }));
        prop_assert!(ours == theirs || bounds, "{text:?}: ours {ours}, theirs {theirs}");
    }

    #[test]
    fn every_value_passes(value in json()) {
        let text = serde_json::to_string(&value).unwrap();
        prop_assert_eq!(check_json(text.as_bytes(), 100), Ok(()));
        let _: &RawValue = serde_json::from_str(&text).unwrap();
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = check_json(&bytes, 10);
    }
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_filter("finite", |n| n.is_finite()).prop_map(Into::into),
        ".*".prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::vec((".*", inner), 0..6)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}
