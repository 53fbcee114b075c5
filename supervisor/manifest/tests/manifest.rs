//! The manifest: defaults, every rule with the sentence that it gives, hostile text, and the documentation.

use croupier_manifest::manifest::{GameType, Join, Limits, Payload, Permission, limits};
use croupier_manifest::{Manifest, ManifestError};
use proptest::prelude::*;

const SMALLEST: &str = r#"
manifest = 1
name = "tiny"
version = "1.2.3"
authors = ["A. Uthor <a@example.org>"]
description = "Rolls a die"
license = "MIT"
state_version = 1
[game]
type = "dice"
[players]
min = 1
max = 4
"#;

fn error(text: &str) -> String {
    match Manifest::parse(text) {
        Ok(_) => panic!("accepted:\n{text}"),
        Err(error) => error.to_string(),
    }
}

fn with(tail: &str) -> String {
    format!("{SMALLEST}{tail}\n")
}

#[test]
fn the_smallest_manifest_has_the_documented_defaults() {
    let (manifest, schema) = Manifest::parse(SMALLEST).unwrap();
    assert_eq!(manifest.payload, Payload::Json);
    assert_eq!(manifest.game.kind, GameType::Dice);
    assert!(!manifest.game.hidden_information);
    assert_eq!(manifest.players.join, Join::Required);
    assert!(manifest.permissions.request.is_empty());
    assert_eq!(manifest.limits, Limits::default());
    assert_eq!(manifest.limits.snapshot_bytes, 4_194_304);
    assert_eq!(manifest.session.tick_ms, 0);
    assert!(manifest.dependencies.is_empty());
    schema.check(b"{\"anything\": [1, 2.5, null]}").unwrap();
}

#[test]
fn everything_at_once() {
    let text = with(
        r#"
join = "optional"
[permissions]
request = ["send", "emit:table", "threads", "call:wallet.balance"]
[limits]
threads = 4
turn_wall_ms = 50
[dependencies]
craps = "^1.0"
[session]
tick_ms = 100
[config]
schema = '{"type": "object", "required": ["sides"]}'
"#,
    );
    let (manifest, schema) = Manifest::parse(&text).unwrap();
    assert!(manifest.may(&Permission::Send));
    assert!(manifest.may(&Permission::try_from("call:wallet.balance".to_owned()).unwrap()));
    assert!(!manifest.may(&Permission::try_from("call:wallet.debit".to_owned()).unwrap()));
    assert_eq!(manifest.limits.threads, 4);
    assert_eq!(manifest.limits.turn_wall_ms, 50);
    assert_eq!(manifest.limits.cpu_ms_per_turn, 100);
    assert!(schema.check(b"{}").is_err());
    schema.check(b"{\"sides\": 6}").unwrap();
}

#[test]
fn custom_games_have_parameters_and_bets_have_edges() {
    let text = SMALLEST.replace(
        "\"dice\"",
        "\"custom\"\nparameters = { tiles = 34 }\nbets = [{ name = \"pass\", house_edge = \"7/495\" }]",
    );
    let (manifest, _) = Manifest::parse(&text).unwrap();
    assert_eq!(manifest.game.parameters["tiles"].as_integer(), Some(34));
    assert_eq!(manifest.game.bets[0].house_edge.unwrap().to_string(), "7/495");
}

/// What is wrong in the smallest manifest, and how the error begins.
#[test]
fn every_rule_names_its_key() {
    let table: &[(&str, &str, &str)] = &[
        ("manifest = 1", "", "manifest: is missing"),
        (
            "manifest = 1",
            "manifest = 2\nnew_key = 1",
            "manifest: format version 2, but this croupier reads version 1",
        ),
        ("manifest = 1", "manifest = '1'", "manifest: must be a whole number"),
        ("name = \"tiny\"", "", "the manifest: missing field `name`"),
        ("\"tiny\"", "\"Tiny\"", "name: \"Tiny\" is no name"),
        ("\"tiny\"", "\"../tiny\"", "name: \"../tiny\" is no name"),
        ("\"tiny\"", "\"\"", "name: \"\" is no name"),
        ("\"tiny\"", "5", "name: invalid type: integer `5`"),
        ("\"1.2.3\"", "\"1.2\"", "version: unexpected end of input while parsing minor version number"),
        ("[\"A. Uthor <a@example.org>\"]", "[]", "authors: is empty"),
        ("[\"A. Uthor <a@example.org>\"]", "[\"a\\nb\"]", "authors[0]: must be one line"),
        ("\"Rolls a die\"", "\" \"", "description: must be text"),
        ("\"Rolls a die\"", "\"\\u001b[31m\"", "description: must be text"),
        ("\"MIT\"", "\"MIT; rm\"", "license: must be an SPDX"),
        ("state_version = 1", "state_version = 0", "state_version: must be 1 or more"),
        ("state_version = 1", "state_version = -1", "state_version: invalid value: integer `-1`"),
        ("state_version = 1", "state_version = 1\npayload = 'xml'", "payload: unknown variant `xml`"),
        ("state_version = 1", "state_version = 1\ncolour = 'red'", "colour: unknown field `colour`"),
        ("\"dice\"", "\"sport\"", "game.type: unknown variant `sport`"),
        ("\"dice\"", "\"dice\"\nparameters = { a = 1 }", "game.parameters: are for type = \"custom\" only"),
        (
            "\"dice\"",
            "\"dice\"\nbets = [{ name = 'a' }, { name = 'a' }]",
            "game.bets[1].name: the bet `a` is there twice",
        ),
        (
            "\"dice\"",
            "\"dice\"\nbets = [{ name = 'a', house_edge = '1.4%' }]",
            "game.bets[0].house_edge: \"1.4%\" is no exact",
        ),
        (
            "\"dice\"",
            "\"dice\"\nbets = [{ name = 'a', house_edge = 0.014 }]",
            "game.bets[0].house_edge: invalid type: floating",
        ),
        ("max = 4", "max = 0", "players.max: 0 is out of bounds"),
        ("max = 4", "max = 10001", "players.max: 10001 is out of bounds"),
        ("min = 1", "min = 5", "players.min: 5 is more than players.max, 4"),
        ("max = 4", "max = 4\njoin = 'maybe'", "players.join: unknown variant `maybe`"),
    ];
    for (from, to, expected) in table {
        let text = SMALLEST.replacen(from, to, 1);
        assert_ne!(text, SMALLEST, "{from}");
        let error = error(&text);
        assert!(error.starts_with(expected), "{to:?}\n  gives  {error}\n  wanted {expected}");
    }
}

#[test]
fn every_rule_of_later_tables_names_its_key() {
    let table: &[(&str, &str)] = &[
        ("[permissions]\nrequest = ['fly']", "permissions.request[0]: unknown permission \"fly\""),
        ("[permissions]\nrequest = ['emit:']", "permissions.request[0]: \"\" is no topic or call name"),
        ("[permissions]\nrequest = ['emit:Table']", "permissions.request[0]: \"Table\" is no topic"),
        ("[permissions]\nrequest = ['call:a b']", "permissions.request[0]: \"a b\" is no topic"),
        ("[permissions]\nrequest = ['send:all']", "permissions.request[0]: unknown permission \"send:all\""),
        ("[permissions]\nrequest = ['send', 'send']", "permissions.request[1]: `send` is there twice"),
        ("[limits]\nthreads = 2", "limits.threads: more than 1 needs \"threads\""),
        ("[limits]\nturn_wall_ms = 'x'", "limits.turn_wall_ms: invalid type: string \"x\", expected u32"),
        ("[limits]\nturn_wall_ms = 0", "limits.turn_wall_ms: 0 is out of bounds; it may be 1 to 600000"),
        ("[limits]\nturn_wall_ms = 5000000000", "limits.turn_wall_ms: invalid value: integer `5000000000`"),
        ("[limits]\nmemory_gib = 1", "limits.memory_gib: unknown field `memory_gib`"),
        ("[dependencies]\ntiny = '1'", "dependencies.tiny: a plugin cannot depend on itself"),
        ("[dependencies]\ncraps = 'new'", "dependencies.craps: unexpected character 'n'"),
        ("[dependencies]\nCraps = '1'", "dependencies.Craps: \"Craps\" is no name"),
        ("[session]\ntick_ms = 3600001", "session.tick_ms: 3600001 is out of bounds; it may be 0 to 3600000"),
        ("[session]\nidle_timeout_ms = 2592000001", "session.idle_timeout_ms: 2592000001 is out of bounds"),
        ("[config]\nschema = '{'", "config.schema: the schema: not JSON: the text ends at byte 1"),
        ("[config]\nschema = '{\"type\": \"objekt\"}'", "config.schema: /type: not a valid schema"),
        ("[config]\nschema = 5", "config.schema: invalid type: integer `5`"),
    ];
    for (tail, expected) in table {
        let error = error(&with(tail));
        assert!(error.starts_with(expected), "{tail:?}\n  gives  {error}\n  wanted {expected}");
    }
}

#[test]
fn every_limit_is_kept_at_both_ends() {
    for bounds in limits::TABLE {
        let set = |value: u64| {
            with(&format!("[permissions]\nrequest = ['threads']\n[limits]\n{} = {value}", bounds.name))
        };
        Manifest::parse(&set(u64::from(bounds.min))).unwrap();
        Manifest::parse(&set(u64::from(bounds.max))).unwrap();
        let over = error(&set(u64::from(bounds.max) + 1));
        assert!(over.starts_with(&format!("limits.{}: ", bounds.name)), "{over}");
        if bounds.min > 0 {
            let under = error(&set(u64::from(bounds.min) - 1));
            assert!(under.starts_with(&format!("limits.{}: ", bounds.name)), "{under}");
        }
    }
}

#[test]
fn syntax_errors_name_the_line() {
    let text = with("this is not toml");
    let line = text.lines().count();
    assert!(
        error(&text).starts_with(&format!("the manifest is not TOML: line {line}: ")),
        "{}",
        error(&text)
    );
    assert!(matches!(Manifest::parse("\u{0}"), Err(ManifestError::Syntax { .. })));
}

/// The parser must not overflow its stack, or take quadratic time, on 100,000 levels of anything.
#[test]
fn deep_nesting_is_refused_not_followed() {
    let deep = 100_000;
    for tail in [
        format!("x = {}", "[".repeat(deep)),
        format!("x = {}{}", "[".repeat(deep), "]".repeat(deep)),
        format!("x = {}", "{ a = ".repeat(deep / 4)),
        format!("{}a = 1", "a.".repeat(deep)),
        format!("[{}a]", "a.".repeat(deep)),
        format!("[[{}a]]", "a.".repeat(deep)),
        format!("x = {{ {}a = 1 }}", "a.".repeat(deep)),
    ] {
        let error = Manifest::parse(&with(&tail)).expect_err(&tail[..20]);
        assert!(matches!(error, ManifestError::Syntax { .. }), "{}: {error}", &tail[..20]);
    }
    // Brackets times dotted keys, 78 each: the parser alone would follow this down, and overflow its stack.
    let keys = format!("{}a", "a.".repeat(78));
    let tail = format!("x = {}1{}", format!("{{ {keys} = ").repeat(78), " }".repeat(78));
    assert!(matches!(Manifest::parse(&with(&tail)), Err(ManifestError::Syntax { .. })));
}

#[test]
fn the_size_cap() {
    let text = with(&"#".repeat(256 << 10));
    assert!(matches!(Manifest::parse(&text), Err(ManifestError::TooLarge { .. })));
}

proptest! {
    #[test]
    fn random_text_never_panics(text in "\\PC{0,400}") {
        let _ = Manifest::parse(&text);
    }

    #[test]
    fn a_damaged_manifest_never_panics(at in any::<prop::sample::Index>(), with in "[\\[\\]{}=.\"'\n0-9a-z-]{0,60}") {
        let mut text = SMALLEST.to_owned();
        text.insert_str(at.index(text.len()), &with);
        let _ = Manifest::parse(&text);
    }
}

mod documentation {
    use super::*;

    const PAGE: &str = include_str!("../../../docs/MANIFEST.md");

    #[test]
    fn the_example_is_a_valid_manifest() {
        let example = PAGE.split("```toml\n").nth(1).unwrap().split("\n```\n").next().unwrap();
        let (manifest, schema) = Manifest::parse(example).unwrap();
        assert_eq!(manifest.name.as_str(), "holdem");
        let problem = schema.check(br#"{"starting_stacks": [-5, 100]}"#).unwrap_err().to_string();
        // The sentence that the page quotes.
        assert!(
            problem.contains("/starting_stacks/0: -5 is less than or equal to the minimum of 0"),
            "{problem}"
        );
        assert!(PAGE.contains("/starting_stacks/0: -5 is less than or equal to the minimum of 0"));
    }

    /// Every key that the parser knows has a row, found by asking the parser itself.
    #[test]
    fn every_key_has_a_row() {
        let mut keys = Vec::new();
        for (tail, path) in [
            ("", "?"),
            ("[permissions]\n\"?\" = 1", "permissions"),
            ("[limits]\n\"?\" = 1", "limits"),
            ("[session]\n\"?\" = 1", "session"),
            ("[config]\n\"?\" = 1", "config"),
        ] {
            let text = if path == "?" { format!("\"?\" = 1\n{SMALLEST}") } else { with(tail) };
            keys.extend(known_keys(&text));
        }
        keys.extend(known_keys(&SMALLEST.replace("type = \"dice\"", "type = \"dice\"\n\"?\" = 1")));
        keys.extend(known_keys(
            &SMALLEST.replace("type = \"dice\"", "type = \"dice\"\nbets = [{ \"?\" = 1 }]"),
        ));
        keys.extend(known_keys(&SMALLEST.replace("max = 4", "max = 4\n\"?\" = 1")));
        assert!(keys.len() > 35, "{keys:?}");
        for key in keys {
            let row = format!("| `{key}` |");
            let heading = format!("`[{key}]`");
            assert!(
                PAGE.contains(&row) || PAGE.contains(&heading),
                "docs/MANIFEST.md says nothing of `{key}`"
            );
        }
    }

    /// The names in "unknown field `?`, expected one of `a`, `b`".
    fn known_keys(text: &str) -> Vec<String> {
        let error = error(text);
        let list = error.split_once("expected").unwrap_or_else(|| panic!("{error}")).1;
        list.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn every_limit_has_a_row_with_its_bounds() {
        for bounds in limits::TABLE {
            let row = format!("| `{}` | {} | {} | {} |", bounds.name, bounds.default, bounds.min, bounds.max);
            assert!(PAGE.contains(&row), "docs/MANIFEST.md lacks {row}");
        }
    }

    #[test]
    fn every_allowed_library_is_named() {
        for library in croupier_manifest::elf::LIBRARIES_ALLOWED {
            assert!(PAGE.contains(&format!("`{library}`")), "{library}");
        }
    }
}
