//! Config schemas: what they accept, what they say, and what hostile ones cost.

use std::fmt::Write as _;

use croupier_manifest::{ConfigError, ConfigSchema, SchemaError};
use proptest::prelude::*;

fn compile(text: &str) -> ConfigSchema {
    ConfigSchema::compile(text).unwrap_or_else(|error| panic!("{error}\n{text:.200}"))
}

fn refused(text: &str) -> SchemaError {
    ConfigSchema::compile(text).expect_err(&text.chars().take(200).collect::<String>())
}

#[test]
fn problems_name_their_paths() {
    let schema = compile(
        r#"{"type": "object", "additionalProperties": false, "required": ["seats"], "properties": {
            "blinds": {"type": "array", "items": {"type": "number", "exclusiveMinimum": 0}},
            "seats": {"type": "integer", "maximum": 10}}}"#,
    );
    schema.check(br#"{"seats": 6, "blinds": [0.5, 1]}"#).unwrap();
    let text = schema.check(br#"{"seats": 11, "blinds": [-1, 1, "x"]}"#).unwrap_err().to_string();
    for expected in ["/blinds/0: -1 is less", "/blinds/2: \"x\" is not of type", "/seats: 11 is greater"] {
        assert!(text.contains(expected), "{text}\nlacks {expected}");
    }
    let missing = schema.check(b"{}").unwrap_err().to_string();
    assert!(missing.contains("/: \"seats\" is a required property"), "{missing}");
    assert!(schema.check(br#"{"seats": 1, "colour": 2}"#).unwrap_err().to_string().contains("colour"));
}

#[test]
fn at_most_ten_problems_and_short_ones() {
    let schema = compile(r#"{"items": {"type": "number"}}"#);
    let long = format!("[{}\"{}\"]", "\"x\",".repeat(30), "y".repeat(100_000));
    let Err(ConfigError::Mismatch { problems, more }) = schema.check(long.as_bytes()) else { panic!() };
    assert_eq!((problems.len(), more), (10, 21));
    let one = schema.check(format!("[\"{}\"]", "y".repeat(100_000)).as_bytes()).unwrap_err();
    assert!(one.to_string().len() < 400);
}

#[test]
fn numbers_are_exact() {
    let schema =
        compile(r#"{"multipleOf": 0.01, "maximum": 0.3, "enum": [0.1, 0.3, 0.30, 9007199254740993]}"#);
    schema.check(b"0.3").unwrap();
    assert!(schema.check(b"0.30000000000000000001").is_err());
    let large = compile(r#"{"const": 9007199254740993}"#);
    large.check(b"9007199254740993").unwrap();
    assert!(large.check(b"9007199254740992").is_err());
}

#[test]
fn configs_have_limits() {
    let any = ConfigSchema::any();
    let text = |bytes: &[u8]| any.check(bytes).unwrap_err().to_string();
    assert!(text(&vec![b' '; (1 << 20) + 1]).contains("more than the 1048576"));
    assert!(text(format!("{}{}", "[".repeat(65), "]".repeat(65)).as_bytes()).contains("deeper than 64"));
    assert!(text(format!("[{}0]", "0,".repeat(16_384)).as_bytes()).contains("more than 16384 values"));
    assert!(text(br#"{"a": 1, "\u0061": 2}"#).contains("twice"));
    assert!(text(b"1e999999999").contains("out of bounds"));
    assert!(text(b"{} {}").contains("more than one"));
    assert!(text(b"").contains("no JSON value"));
}

#[test]
fn nothing_is_fetched() {
    for reference in
        ["https://example.org/x.json", "file:///etc/passwd", "other.json", "#anchor", "#/%24defs/a", ""]
    {
        let schema =
            format!(r#"{{"$defs": {{"a": true}}, "properties": {{"x": {{"$ref": "{reference}"}}}}}}"#);
        let error = refused(&schema);
        assert!(matches!(error, SchemaError::RemoteReference { .. }), "{reference}: {error}");
        assert!(error.to_string().starts_with("/properties/x/$ref: "), "{error}");
    }
    // Not even from a definition that nothing uses.
    let error = refused(r#"{"$defs": {"a": {"$ref": "https://example.org/x.json"}}}"#);
    assert!(error.to_string().contains("https://example.org"), "{error}");
    assert!(matches!(refused(r##"{"$ref": "#/$defs/none"}"##), SchemaError::BrokenReference { .. }));
    assert!(matches!(
        refused(r#"{"$schema": "http://json-schema.org/draft-07/schema#"}"#),
        SchemaError::Dialect { .. }
    ));
    compile(r#"{"$schema": "https://json-schema.org/draft/2020-12/schema"}"#);
}

#[test]
fn what_cannot_be_bounded_is_refused() {
    for schema in [
        r#"{"$id": "x"}"#,
        r#"{"$defs": {"a": {"$id": "x"}}}"#,
        r#"{"unknown": [{"$anchor": "x"}]}"#,
        r##"{"$dynamicRef": "#x"}"##,
        r#"{"properties": {"a": {"$schema": "x"}}}"#,
        r#"{"unevaluatedProperties": false}"#,
        r#"{"unevaluatedItems": false}"#,
    ] {
        assert!(matches!(refused(schema), SchemaError::Unsupported { .. }), "{schema}");
    }
}

#[test]
fn recursion_goes_into_the_value_or_is_refused() {
    for schema in [
        r##"{"$ref": "#"}"##,
        r##"{"allOf": [{"$ref": "#"}]}"##,
        r##"{"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"not": {"$ref": "#/$defs/b"}}]}, "b": {"$ref": "#/$defs/a"}}}"##,
    ] {
        assert!(matches!(refused(schema), SchemaError::Circular { .. }), "{schema}");
    }
    let tree = compile(
        r##"{"type": "object", "properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}, "n": {"type": "integer"}}}"##,
    );
    tree.check(br#"{"left": {"right": {"n": 1}}}"#).unwrap();
    assert!(
        tree.check(br#"{"left": {"right": {"n": "x"}}}"#).unwrap_err().to_string().contains("/left/right/n")
    );
}

/// 2^20 looks at one value from twenty lines, and the same spread over the levels of a config.
#[test]
fn explosions_are_counted_before_they_happen() {
    let doubling = |inner: &str| {
        let mut defs = String::new();
        for n in 0..20 {
            let _ = write!(defs, r##""d{n}": {}, "##, inner.replace("NEXT", &format!("#/$defs/d{}", n + 1)));
        }
        format!(r##"{{"$ref": "#/$defs/d0", "$defs": {{{defs} "d20": true}}}}"##)
    };
    let in_place = doubling(r#"{"allOf": [{"$ref": "NEXT"}, {"$ref": "NEXT"}]}"#);
    assert!(matches!(refused(&in_place), SchemaError::TooCostly { .. }));
    let inner = doubling(r#"{"allOf": [{"items": {"$ref": "NEXT"}}, {"items": {"$ref": "NEXT"}}]}"#);
    assert!(matches!(refused(&inner), SchemaError::TooCostly { .. }));
    let recursive = r##"{"allOf": [{"items": {"$ref": "#"}}, {"items": {"$ref": "#"}}]}"##;
    assert!(matches!(refused(recursive), SchemaError::TooCostly { .. }));
    let list = format!(r#"{{"enum": [{}0]}}"#, "0,".repeat(20_000));
    assert!(matches!(refused(&list), SchemaError::TooCostly { .. }));
    // Twenty alternatives of ten members each are an honest schema.
    let members = (0..10).map(|n| format!(r#""m{n}": {{"type": "integer"}}"#)).collect::<Vec<_>>().join(",");
    let honest = vec![format!(r#"{{"properties": {{{members}}}}}"#); 20].join(",");
    compile(&format!(r#"{{"oneOf": [{honest}]}}"#));
}

#[test]
fn patterns_run_on_the_linear_engine() {
    let schema = compile(r#"{"pattern": "^(a+)+$"}"#);
    schema.check(format!("\"{}\"", "a".repeat(50_000)).as_bytes()).unwrap();
    assert!(schema.check(format!("\"{}!\"", "a".repeat(50_000)).as_bytes()).is_err());
    for pattern in [r"(?=a)b", r"(a)\\1", "(((a{1000}){1000}){1000}){1000}", "("] {
        let error = refused(&format!(r#"{{"pattern": "{pattern}"}}"#));
        assert!(matches!(error, SchemaError::Invalid { .. }), "{error}");
    }
    let many = vec![r#"{"pattern": "a"}"#; 65].join(",");
    assert!(matches!(
        refused(&format!(r#"{{"prefixItems": [{many}]}}"#)),
        SchemaError::TooManyPatterns { .. }
    ));
}

#[test]
fn schemas_have_limits() {
    assert!(matches!(refused(&" ".repeat((64 << 10) + 1)), SchemaError::TooLarge { .. }));
    assert!(matches!(refused(&"[".repeat(60_000)), SchemaError::Json(_)));
    assert!(matches!(
        refused(&format!("{}true{}", r#"{"not":"#.repeat(33), "}".repeat(33))),
        SchemaError::Json(_)
    ));
    assert!(matches!(refused(r#"{"type": "string", "type": "object"}"#), SchemaError::Json(_)));
    assert!(matches!(refused("5"), SchemaError::Invalid { .. }));
    assert!(matches!(refused(r#"{"minimum": 1e99999999}"#), SchemaError::Json(_)));
    compile("true");
    assert!(compile("false").check(b"{}").is_err());
}

/// A long chain of references, each into the next, must not overflow the stack: neither while it is compiled nor when it is used.
#[test]
fn long_reference_chains() {
    let mut defs = String::new();
    let long = 1_500;
    for n in 0..long {
        let _ = write!(defs, r##""{n}":{{"items":{{"$ref":"#/$defs/{}"}}}},"##, n + 1);
    }
    let schema = compile(&format!(r##"{{"$ref":"#/$defs/0","$defs":{{{defs}"{long}":false}}}}"##));
    schema.check(format!("{}{}", "[".repeat(64), "]".repeat(64)).as_bytes()).unwrap();
    // In place, the chain is counted.
    let in_place = format!(
        r##"{{"$ref":"#/$defs/0","$defs":{{{}"{long}":false}}}}"##,
        defs.replace(r#"{"items":"#, "").replace("}},", "},")
    );
    assert!(matches!(refused(&in_place), SchemaError::TooCostly { .. }));
}

proptest! {
    #[test]
    fn random_schemas_never_panic(text in r#"[\{\}\[\]":,a-z0-9$#/ ]{0,200}"#) {
        let _ = ConfigSchema::compile(&text);
    }

    #[test]
    fn random_configs_never_panic(config in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = compile(r#"{"type": "object", "properties": {"a": {"type": "number"}}}"#).check(&config);
    }
}
