//! The words of a manifest that have a grammar of their own. Each checks itself while it is parsed, so that an error has its path.

use std::fmt;

use serde::Deserialize;

/// Longest plugin or bet name, in bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// Longest topic or call name, in bytes.
pub const TOPIC_BYTES_MAX: usize = 64;

/// A plugin's name: `[a-z][a-z0-9_-]{0,63}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct PluginName(String);

/// A bet's name: as a plugin's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct BetName(String);

/// The name of a topic or of a host call: `[a-z0-9_.-]{1,64}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic(String);

/// Something that a plugin may do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub enum Permission {
    /// `send`: messages to players.
    Send,
    /// `threads`: threads of its own, as many as `limits.threads`.
    Threads,
    /// `emit:TOPIC`: events on one topic.
    Emit(Topic),
    /// `call:NAME`: one host call.
    Call(Topic),
}

macro_rules! as_text {
    ($type:ident) => {
        impl $type {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
as_text!(PluginName);
as_text!(BetName);
as_text!(Topic);

impl TryFrom<String> for PluginName {
    type Error = String;

    fn try_from(text: String) -> Result<PluginName, String> {
        if is_name(&text) { Ok(PluginName(text)) } else { Err(not_a_name(&text)) }
    }
}

impl TryFrom<String> for BetName {
    type Error = String;

    fn try_from(text: String) -> Result<BetName, String> {
        if is_name(&text) { Ok(BetName(text)) } else { Err(not_a_name(&text)) }
    }
}

impl TryFrom<&str> for Topic {
    type Error = String;

    fn try_from(text: &str) -> Result<Topic, String> {
        let fits = (1..=TOPIC_BYTES_MAX).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'.' | b'-'));
        if fits {
            Ok(Topic(text.to_owned()))
        } else {
            Err(format!(
                "{:?} is no topic or call name: 1 to {TOPIC_BYTES_MAX} of a-z 0-9 _ . -",
                short(text)
            ))
        }
    }
}

impl TryFrom<String> for Permission {
    type Error = String;

    fn try_from(text: String) -> Result<Permission, String> {
        match (text.as_str(), text.split_once(':')) {
            ("send", _) => Ok(Permission::Send),
            ("threads", _) => Ok(Permission::Threads),
            (_, Some(("emit", topic))) => Topic::try_from(topic).map(Permission::Emit),
            (_, Some(("call", name))) => Topic::try_from(name).map(Permission::Call),
            _ => {
                let text = short(&text);
                Err(format!("unknown permission {text:?}; there are: send, threads, emit:TOPIC, call:NAME"))
            }
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Permission::Send => f.write_str("send"),
            Permission::Threads => f.write_str("threads"),
            Permission::Emit(topic) => write!(f, "emit:{topic}"),
            Permission::Call(name) => write!(f, "call:{name}"),
        }
    }
}

fn is_name(text: &str) -> bool {
    text.len() <= NAME_BYTES_MAX
        && text.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-'))
}

fn not_a_name(text: &str) -> String {
    let text = short(text);
    format!("{text:?} is no name: a letter a-z, then up to {} of a-z 0-9 _ -", NAME_BYTES_MAX - 1)
}

fn short(text: &str) -> String {
    text.chars().take(NAME_BYTES_MAX).collect()
}
