//! What can be wrong with a schema, and with a config.

use std::fmt;

use thiserror::Error;

use super::{CONFIG_BYTES_MAX, SCHEMA_BYTES_MAX};
use crate::json::JsonError;

/// Why a config schema is refused. Paths are JSON pointers into the schema.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SchemaError {
    /// Over [`SCHEMA_BYTES_MAX`].
    #[error("the schema has {bytes} bytes, more than the {SCHEMA_BYTES_MAX} allowed")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// Not JSON, too deep, or with a key twice.
    #[error("the schema: {0}")]
    Json(#[from] JsonError),
    /// Another dialect.
    #[error("/$schema: {found} is not supported; write for {expected}, or leave $schema out")]
    Dialect {
        /// What it says.
        found: String,
        /// What it may say.
        expected: &'static str,
    },
    /// A keyword that is not supported here.
    #[error("{at}: `{keyword}` is not supported; {instead}")]
    Unsupported {
        /// Where.
        at: String,
        /// Which.
        keyword: String,
        /// What to do.
        instead: &'static str,
    },
    /// A reference out of the document.
    #[error(
        "{at}: the reference {reference:?} does not stay in this schema; only `#` and `#/…` are resolved, nothing is fetched"
    )]
    RemoteReference {
        /// Where.
        at: String,
        /// What it says.
        reference: String,
    },
    /// A reference to nothing.
    #[error("{at}: the reference {reference:?} leads nowhere")]
    BrokenReference {
        /// Where.
        at: String,
        /// What it says.
        reference: String,
    },
    /// A reference that comes back to itself without going into the value.
    #[error("{at}: this schema refers to itself without going into the value, so checking would never end")]
    Circular {
        /// Where.
        at: String,
    },
    /// Too much work per value.
    #[error(
        "the schema may look at one value {evaluations} times, more than the {max} allowed; use fewer alternatives (anyOf, oneOf, allOf, enum)"
    )]
    TooCostly {
        /// How often (at least).
        evaluations: u64,
        /// The cap.
        max: u64,
    },
    /// Too many patterns.
    #[error("the schema has {count} patterns, more than the {max} allowed")]
    TooManyPatterns {
        /// How many.
        count: usize,
        /// The cap.
        max: usize,
    },
    /// Not a valid schema.
    #[error("{at}: not a valid schema: {why}")]
    Invalid {
        /// Where.
        at: String,
        /// Why.
        why: String,
    },
}

/// One place where a config does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// JSON pointer into the config; `/` for the whole.
    pub path: String,
    /// What is wrong there.
    pub message: String,
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// Why a session's config is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// Over [`CONFIG_BYTES_MAX`].
    #[error("the config has {bytes} bytes, more than the {CONFIG_BYTES_MAX} allowed")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// Not JSON, too deep, too many values, or with a key twice.
    #[error("the config: {0}")]
    Json(#[from] JsonError),
    /// Not JSON for the parser.
    #[error("the config: {why}")]
    Parse {
        /// Why.
        why: String,
    },
    /// It does not fit the schema.
    #[error("the config does not fit the plugin's schema: {}", list(problems, *more))]
    Mismatch {
        /// The first few places.
        problems: Vec<ConfigProblem>,
        /// How many more there are.
        more: usize,
    },
    /// It does not fit, and is too large to say where.
    #[error(
        "the config does not fit the plugin's schema (with {values} values it is too large to say where)"
    )]
    MismatchUnexplained {
        /// How many values it has.
        values: usize,
    },
}

fn list(problems: &[ConfigProblem], more: usize) -> String {
    let mut text = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    if more > 0 {
        text.push_str(&format!("; and {more} more"));
    }
    text
}
