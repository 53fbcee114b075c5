//! Whether a reply is what was expected.

use serde_json::Value;

use super::number;

/// Longest value shown in a difference, in characters.
const SHOWN_CHARS_MAX: usize = 200;

/// The first place where a reply is not as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Difference {
    /// Where, as in `stacks[2]`; empty for the whole reply.
    pub(super) place: String,
    pub(super) expected: String,
    pub(super) got: String,
}

/// Compares a reply with an expectation. Each member of an expected object must equal the reply's; further members of the reply do not matter. Any
/// other expectation must equal the whole reply. Numbers compare as numbers.
pub(super) fn compare(expected: &Value, reply: &[u8]) -> Result<(), Difference> {
    let Ok(got) = serde_json::from_slice::<Value>(reply) else {
        let got = format!("a reply that is no JSON: {}", String::from_utf8_lossy(reply));
        return Err(Difference { place: String::new(), expected: shown(expected), got: cut(&got) });
    };
    let (Value::Object(members), Value::Object(found)) = (expected, &got) else {
        return equal(expected, &got, "");
    };
    for (name, value) in members {
        match found.get(name) {
            Some(got) => equal(value, got, name)?,
            None => return Err(missing(value, name.clone())),
        }
    }
    Ok(())
}

fn equal(expected: &Value, got: &Value, place: &str) -> Result<(), Difference> {
    match (expected, got) {
        (Value::Number(a), Value::Number(b)) if number::equal(&a.to_string(), &b.to_string()) => Ok(()),
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).enumerate().try_for_each(|(i, (a, b))| equal(a, b, &format!("{place}[{i}]")))
        }
        (Value::Object(a), Value::Object(b)) => {
            for (name, value) in a {
                let place = within(place, name);
                match b.get(name) {
                    Some(got) => equal(value, got, &place)?,
                    None => return Err(missing(value, place)),
                }
            }
            match b.iter().find(|(name, _)| !a.contains_key(*name)) {
                Some((name, got)) => Err(Difference {
                    place: within(place, name),
                    expected: "nothing".into(),
                    got: shown(got),
                }),
                None => Ok(()),
            }
        }
        (Value::Number(_), Value::Number(_)) => Err(differ(expected, got, place)),
        (a, b) if a == b => Ok(()),
        _ => Err(differ(expected, got, place)),
    }
}

fn within(place: &str, name: &str) -> String {
    if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") }
}

fn differ(expected: &Value, got: &Value, place: &str) -> Difference {
    Difference { place: place.to_owned(), expected: shown(expected), got: shown(got) }
}

fn missing(expected: &Value, place: String) -> Difference {
    Difference { place, expected: shown(expected), got: "nothing".to_owned() }
}

fn shown(value: &Value) -> String {
    cut(&value.to_string())
}

pub(super) fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expected: &str, reply: &str) -> String {
        let expected = serde_json::from_str(expected).expect("JSON");
        match compare(&expected, reply.as_bytes()) {
            Ok(()) => "same".to_owned(),
            Err(Difference { place, expected, got }) => format!("{place}: {expected} / {got}"),
        }
    }

    #[test]
    fn the_given_members_count_and_no_others() {
        assert_eq!(check(r#"{"a":1}"#, r#"{"b":2,"a":1.0}"#), "same");
        assert_eq!(check("{}", r#"{"b":2}"#), "same");
        assert_eq!(check(r#"{"a":1}"#, r#"{"b":2}"#), "a: 1 / nothing");
        assert_eq!(check(r#"{"a":null}"#, r#"{"b":2}"#), "a: null / nothing");
    }

    #[test]
    fn within_a_member_everything_counts() {
        assert_eq!(check(r#"{"a":{"x":1}}"#, r#"{"a":{"x":1,"y":2}}"#), "a.y: nothing / 2");
        assert_eq!(check(r#"{"a":{"x":1,"y":2}}"#, r#"{"a":{"y":2,"x":1}}"#), "same");
        assert_eq!(check(r#"{"s":[1,2.50,3]}"#, r#"{"s":[1,2.5,4]}"#), "s[2]: 3 / 4");
        assert_eq!(check(r#"{"s":[1]}"#, r#"{"s":[1,2]}"#), "s: [1] / [1,2]");
        assert_eq!(check(r#"{"s":"1"}"#, r#"{"s":1}"#), r#"s: "1" / 1"#);
    }

    #[test]
    fn numbers_are_exact_and_other_replies_are_compared_whole() {
        assert_eq!(
            check(r#"{"n":9007199254740993}"#, r#"{"n":9007199254740992}"#),
            "n: 9007199254740993 / 9007199254740992"
        );
        assert_eq!(check("[1,2]", "[1e0,2]"), "same");
        assert_eq!(check("{}", "[]"), ": {} / []");
        assert_eq!(check("{}", "oops"), ": {} / a reply that is no JSON: oops");
    }
}
