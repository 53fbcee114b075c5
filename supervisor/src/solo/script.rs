//! A play script as far as a determinism check needs it: who does what, in which session, on which line. Expectations are left out.

use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

/// Longest script that is checked, in bytes.
pub const SCRIPT_BYTES_MAX: usize = 64 << 20;

/// Why a script cannot be played.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ScriptError {
    /// A line.
    #[error("line {line}: {why}")]
    Line {
        /// From 1.
        line: u64,
        /// What is wrong.
        why: String,
    },
    /// The whole.
    #[error("a script of {bytes} bytes is over the limit of {SCRIPT_BYTES_MAX} bytes; check a part of it")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Nothing to play.
    #[error("the script opens no session of plugin {plugin}")]
    Empty {
        /// The plugin.
        plugin: String,
    },
}

/// One thing that is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The line, from 1.
    pub line: u64,
    /// The session's name.
    pub session: String,
    /// What.
    pub does: Does,
}

/// What is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Does {
    /// Opens a session with this config.
    Open(String),
    /// A player joins with this profile and this contribution to chance.
    Join {
        /// Who.
        player: u64,
        /// JSON.
        profile: String,
        /// May be empty.
        seed: Vec<u8>,
    },
    /// A player acts.
    Act {
        /// Who; 0 is the house.
        player: u64,
        /// JSON.
        action: String,
    },
    /// A player leaves.
    Leave {
        /// Who.
        player: u64,
        /// Why.
        reason: String,
    },
    /// The session closes.
    Close,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    open: Option<String>,
    join: Option<String>,
    act: Option<String>,
    leave: Option<String>,
    expect: Option<String>,
    close: Option<String>,
    plugin: Option<String>,
    player: Option<u64>,
    seed: Option<String>,
    reason: Option<String>,
    #[serde(borrow)]
    config: Option<&'a RawValue>,
    #[serde(borrow)]
    profile: Option<&'a RawValue>,
    #[serde(borrow)]
    action: Option<&'a RawValue>,
    #[serde(borrow, rename = "options")]
    _options: Option<&'a RawValue>,
    #[serde(borrow, rename = "reply")]
    _reply: Option<&'a RawValue>,
    #[serde(borrow, rename = "error")]
    _error: Option<&'a RawValue>,
}

/// Reads a script. Sessions of other plugins are left out.
///
/// # Errors
/// The first line that makes no sense.
pub fn read(script: &[u8], plugin: &str) -> Result<Vec<Step>, ScriptError> {
    if script.len() > SCRIPT_BYTES_MAX {
        return Err(ScriptError::TooLong { bytes: script.len() });
    }
    let mut steps = Vec::new();
    let mut ours = std::collections::HashSet::new();
    for (index, line) in script.split(|byte| *byte == b'\n').enumerate() {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let number = index as u64 + 1;
        let wrong = |why: String| ScriptError::Line { line: number, why };
        let line: Line<'_> = serde_json::from_slice(line)
            .map_err(|error| wrong(format!("not a line of a script: {error}")))?;
        let opens = line.plugin.clone();
        let Some((session, does)) = step(line).map_err(wrong)? else { continue };
        if matches!(does, Does::Open(_)) && opens.as_deref() == Some(plugin) {
            ours.insert(session.clone());
        } else if matches!(does, Does::Open(_)) {
            ours.remove(&session);
        }
        if ours.contains(&session) {
            steps.push(Step { line: number, session, does });
        }
    }
    if steps.is_empty() {
        return Err(ScriptError::Empty { plugin: plugin.to_owned() });
    }
    Ok(steps)
}

fn step(line: Line<'_>) -> Result<Option<(String, Does)>, String> {
    let text = |raw: Option<&RawValue>, default: &str| raw.map_or(default, RawValue::get).to_owned();
    let player = || line.player.ok_or_else(|| "`player` is missing".to_owned());
    let verbs = [&line.open, &line.join, &line.act, &line.leave, &line.expect, &line.close];
    if verbs.iter().filter(|verb| verb.is_some()).count() != 1 {
        return Err("a line has one of open, join, act, leave, expect, close".into());
    }
    Ok(Some(if let Some(session) = &line.open {
        (session.clone(), Does::Open(text(line.config, "{}")))
    } else if let Some(session) = &line.join {
        let seed = hex::decode(line.seed.as_deref().unwrap_or(""))
            .map_err(|_| "`seed` is not hexadecimal".to_owned())?;
        (session.clone(), Does::Join { player: player()?, profile: text(line.profile, "{}"), seed })
    } else if let Some(session) = &line.act {
        let action = line.action.ok_or_else(|| "`action` is missing".to_owned())?;
        (session.clone(), Does::Act { player: player()?, action: action.get().to_owned() })
    } else if let Some(session) = &line.leave {
        (session.clone(), Does::Leave { player: player()?, reason: line.reason.unwrap_or_default() })
    } else if let Some(session) = &line.close {
        (session.clone(), Does::Close)
    } else {
        return Ok(None);
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_plugin_are_kept_with_their_numbers_and_payloads_as_written() {
        let script = br#"{"open":"a","plugin":"dice","config":{"stack":5.00}}

{"open":"b","plugin":"craps"}
{"act":"b","player":1,"action":1}
{"act":"a","player":0,"action":{"roll" : true}}
{"expect":"a","reply":{}}
{"close":"a"}"#;
        let steps = read(script, "dice").unwrap();
        let told: Vec<(u64, &Does)> = steps.iter().map(|step| (step.line, &step.does)).collect();
        assert_eq!(
            told,
            [
                (1, &Does::Open(r#"{"stack":5.00}"#.into())),
                (5, &Does::Act { player: 0, action: r#"{"roll" : true}"#.into() }),
                (7, &Does::Close),
            ]
        );
    }

    #[test]
    fn bad_lines_are_named() {
        for (script, part) in [
            ("{\"open\":\"a\",\"plugin\":\"dice\"}\nwhat", "line 2"),
            (r#"{"open":"a","act":"a"}"#, "one of open"),
            (r#"{"act":"a","player":1}"#, "`action`"),
            (r#"{"act":"a","action":1}"#, "`player`"),
            (r#"{"close":"a","colour":1}"#, "colour"),
            (r#"{"open":"a","plugin":"craps"}"#, "opens no session of plugin dice"),
        ] {
            let error = read(script.as_bytes(), "dice").unwrap_err().to_string();
            assert!(error.contains(part), "{script}: {error}");
        }
    }
}
