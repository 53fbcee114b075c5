//! One line of a play script: what it says, checked on its own.
//!
//! Payloads are kept as they are written, byte for byte: no number is ever read and written again.

use std::fmt;

use croupier_client::OpenOptions;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use thiserror::Error;

/// Longest session name, in bytes.
const NAME_BYTES_MAX: usize = 256;
/// Longest contribution of a player to the session's chance, in bytes.
const SEED_BYTES_MAX: usize = 64;

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum LineError {
    #[error("not a JSON object: {0}")]
    Json(String),
    #[error("no verb: a line has one of open, join, act, leave, expect, close")]
    NoVerb,
    #[error("both `{0}` and `{1}`: a line does one thing")]
    TwoVerbs(&'static str, &'static str),
    #[error("unknown member `{member}` in a line that does `{verb}`; it may have {allowed}")]
    Unknown { member: String, verb: &'static str, allowed: String },
    #[error("`{verb}` needs a member `{member}`")]
    Missing { verb: &'static str, member: &'static str },
    #[error("member `{member}` must be {wanted}")]
    Bad { member: &'static str, wanted: String },
}

/// What a line says; `'a` is the line.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub(super) session: String,
    pub(super) does: Does<'a>,
    /// The refusal that is expected: its code, or a part of its text.
    pub(super) error: Option<String>,
}

#[derive(Debug)]
pub(super) enum Does<'a> {
    Open { plugin: String, config: &'a str, options: &'a str },
    Join { player: u64, profile: &'a str, seed: Vec<u8> },
    Act { player: u64, action: &'a str },
    Leave { player: u64, reason: String },
    Expect { reply: &'a str },
    Close,
}

/// The verbs, and the members that may stand beside each.
const VERBS: [(&str, &[&str]); 6] = [
    ("open", &["plugin", "config", "options", "error"]),
    ("join", &["player", "profile", "seed", "error"]),
    ("act", &["player", "action", "error"]),
    ("leave", &["player", "reason", "error"]),
    ("expect", &["reply"]),
    ("close", &["error"]),
];

/// Reads a line.
pub(super) fn parse(line: &[u8]) -> Result<Line<'_>, LineError> {
    let members: Members<'_> =
        serde_json::from_slice(line).map_err(|error| LineError::Json(plain(&error)))?;
    let verb = members.verb()?;
    members.check(verb)?;
    let session = members.name(verb)?;
    let error = members.text("error")?;
    let does = match verb {
        "open" => Does::Open {
            plugin: members.text("plugin")?.ok_or(LineError::Missing { verb, member: "plugin" })?,
            config: members.raw("config").unwrap_or("{}"),
            options: members.options()?,
        },
        "join" => Does::Join {
            player: members.seat(verb)?,
            profile: members.raw("profile").unwrap_or("{}"),
            seed: members.seed()?,
        },
        "act" => Does::Act {
            player: members.player(verb)?,
            action: members.raw("action").ok_or(LineError::Missing { verb, member: "action" })?,
        },
        "leave" => {
            Does::Leave { player: members.seat(verb)?, reason: members.text("reason")?.unwrap_or_default() }
        }
        "expect" => Does::Expect { reply: members.reply(verb)? },
        _ => Does::Close,
    };
    Ok(Line { session, does, error })
}

/// The members of a line, in order, no name twice.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Members<'a> {
    fn raw(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(member, _)| member == name).map(|(_, value)| value.get())
    }

    fn verb(&self) -> Result<&'static str, LineError> {
        let mut found = VERBS.iter().map(|(verb, _)| *verb).filter(|verb| self.raw(verb).is_some());
        let verb = found.next().ok_or(LineError::NoVerb)?;
        match found.next() {
            Some(other) => Err(LineError::TwoVerbs(verb, other)),
            None => Ok(verb),
        }
    }

    fn check(&self, verb: &'static str) -> Result<(), LineError> {
        let allowed = VERBS.iter().find(|(name, _)| *name == verb).map_or(&[][..], |(_, allowed)| allowed);
        match self.0.iter().find(|(name, _)| name != verb && !allowed.contains(&name.as_str())) {
            Some((member, _)) => {
                Err(LineError::Unknown { member: member.clone(), verb, allowed: allowed.join(", ") })
            }
            None => Ok(()),
        }
    }

    fn text(&self, name: &'static str) -> Result<Option<String>, LineError> {
        let Some(raw) = self.raw(name) else { return Ok(None) };
        let text = serde_json::from_str(raw);
        text.map(Some).map_err(|_| LineError::Bad { member: name, wanted: "a string".to_owned() })
    }

    fn name(&self, verb: &'static str) -> Result<String, LineError> {
        let name = self.text(verb)?.unwrap_or_default();
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            let wanted = format!("a session's name of 1 to {NAME_BYTES_MAX} bytes");
            return Err(LineError::Bad { member: verb, wanted });
        }
        Ok(name)
    }

    fn player(&self, verb: &'static str) -> Result<u64, LineError> {
        let raw = self.raw("player").ok_or(LineError::Missing { verb, member: "player" })?;
        raw.parse()
            .map_err(|_| LineError::Bad { member: "player", wanted: "a whole number from 0".to_owned() })
    }

    /// A player who has a place at the table: not the house.
    fn seat(&self, verb: &'static str) -> Result<u64, LineError> {
        match self.player(verb)? {
            0 => Err(LineError::Bad {
                member: "player",
                wanted: "a whole number from 1; 0 is the house".to_owned(),
            }),
            player => Ok(player),
        }
    }

    fn seed(&self) -> Result<Vec<u8>, LineError> {
        let text = self.text("seed")?.unwrap_or_default();
        let seed = hex::decode(text).ok().filter(|seed| seed.len() <= SEED_BYTES_MAX);
        let wanted = format!("at most {SEED_BYTES_MAX} bytes in hexadecimal");
        seed.ok_or(LineError::Bad { member: "seed", wanted })
    }

    fn options(&self) -> Result<&'a str, LineError> {
        let raw = self.raw("options").unwrap_or("{}");
        match serde_json::from_str::<OpenOptions>(raw) {
            Ok(_) => Ok(raw),
            Err(error) => Err(LineError::Bad {
                member: "options",
                wanted: format!("options of a session: {}", plain(&error)),
            }),
        }
    }

    fn reply(&self, verb: &'static str) -> Result<&'a str, LineError> {
        let raw = self.raw("reply").ok_or(LineError::Missing { verb, member: "reply" })?;
        match serde_json::from_str::<serde_json::Value>(raw) {
            Ok(_) => Ok(raw),
            Err(error) => Err(LineError::Bad { member: "reply", wanted: plain(&error) }),
        }
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members: Vec<(String, &'de RawValue)> = Vec::with_capacity(4);
                while let Some(name) = map.next_key::<String>()? {
                    if members.iter().any(|(other, _)| *other == name) {
                        return Err(serde::de::Error::custom(format!("member `{name}` stands there twice")));
                    }
                    members.push((name, map.next_value()?));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// The error without its line number, which counts within the line; the column stays.
fn plain(error: &serde_json::Error) -> String {
    error.to_string().replace(" at line 1 column ", " at column ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str) -> String {
        match parse(line.as_bytes()) {
            Ok(line) => format!(
                "{}: {:?}{}",
                line.session,
                line.does,
                line.error.map_or(String::new(), |e| format!(" !{e}"))
            ),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn good_lines() {
        for (line, meaning) in [
            (
                r#"{"open":"t1","plugin":"holdem","config":{"min_bet": 0.50}}"#,
                r#"t1: Open { plugin: "holdem", config: "{\"min_bet\": 0.50}", options: "{}" }"#,
            ),
            (
                r#"{"plugin":"x","open":"é","options":{"tick_ms":5},"error":"unknown-plugin"}"#,
                r#"é: Open { plugin: "x", config: "{}", options: "{\"tick_ms\":5}" } !unknown-plugin"#,
            ),
            (
                r#"{"join":"t1","player":1,"seed":"00FF"}"#,
                r#"t1: Join { player: 1, profile: "{}", seed: [0, 255] }"#,
            ),
            (
                r#"{"act":"t1","player":0,"action":"d db 7d"}"#,
                r#"t1: Act { player: 0, action: "\"d db 7d\"" }"#,
            ),
            (r#"{"leave":"t1","player":4}"#, r#"t1: Leave { player: 4, reason: "" }"#),
            (r#"{"expect":"t1","reply":{"n":9775.0}}"#, r#"t1: Expect { reply: "{\"n\":9775.0}" }"#),
            (r#" {"close" : "t1"} "#, "t1: Close"),
        ] {
            assert_eq!(check(line), meaning, "{line}");
        }
    }

    #[test]
    fn bad_lines() {
        for (line, part) in [
            ("hello", "not a JSON object: expected value at column 1"),
            ("[]", "not a JSON object: invalid type: sequence, expected an object"),
            (r#"{"act":"t1","player":1,"action":{"#, "not a JSON object: EOF"),
            (r#"{"close":"t1"} {}"#, "not a JSON object: trailing characters"),
            ("{}", "no verb"),
            (r#"{"player":1}"#, "no verb"),
            (r#"{"roll":"t1"}"#, "no verb"),
            (r#"{"open":"t1","act":"t1"}"#, "both `open` and `act`"),
            (r#"{"close":"t1","close":"t1"}"#, "member `close` stands there twice"),
            (r#"{"close":"t1","player":1}"#, "unknown member `player` in a line that does `close`"),
            (r#"{"act":"t1","player":1}"#, "`act` needs a member `action`"),
            (r#"{"act":"t1","action":1}"#, "`act` needs a member `player`"),
            (r#"{"act":"t1","player":-1,"action":1}"#, "member `player` must be a whole number"),
            (r#"{"act":"t1","player":1.0,"action":1}"#, "member `player` must be a whole number"),
            (r#"{"join":"t1","player":0}"#, "from 1; 0 is the house"),
            (r#"{"join":"t1","player":1,"seed":"xyz"}"#, "at most 64 bytes in hexadecimal"),
            (r#"{"open":"t1"}"#, "`open` needs a member `plugin`"),
            (r#"{"open":"t1","plugin":7}"#, "member `plugin` must be a string"),
            (r#"{"open":7,"plugin":"x"}"#, "member `open` must be a string"),
            (r#"{"open":"","plugin":"x"}"#, "a session's name"),
            (r#"{"open":"t","plugin":"x","options":{"ticks":1}}"#, "unknown field `ticks`"),
            (r#"{"expect":"t1"}"#, "`expect` needs a member `reply`"),
        ] {
            assert!(check(line).contains(part), "{line}: {}", check(line));
        }
        assert!(parse(b"{\"close\":\"\xff\"}").is_err());
    }
}
