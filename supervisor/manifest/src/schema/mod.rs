//! The schema of a plugin's session configs: JSON Schema, draft 2020-12, from a hostile author.
//!
//! ```text
//!  text ─▶ size, JSON, unique keys ─▶ cost: local $ref only, no cycles, bounded work ─▶ compile (regex: linear time)
//!  config ─▶ size, JSON, unique keys, number of values ─▶ validate ─▶ up to ten errors, each with its path
//! ```
//!
//! What a config may cost is bounded *before* the schema is used (see [`mod@cost`]): a config has at most [`CONFIG_VALUES_MAX`]
//! values, and at most [`cost::EVALUATIONS_MAX`] schema parts look at each of them. Patterns run on the `regex` engine, which
//! takes linear time; it knows no look-around and no back-references. Nothing is ever fetched. Numbers are compared as exact decimals.

pub mod cost;
mod error;

use std::fmt;

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

pub use error::{ConfigError, ConfigProblem, SchemaError};

use crate::json::{self, Keys};

/// Longest schema, in bytes.
pub const SCHEMA_BYTES_MAX: usize = 64 << 10;
/// Deepest nesting of a schema's JSON.
pub const SCHEMA_DEPTH_MAX: usize = 32;
/// Longest config, in bytes.
pub const CONFIG_BYTES_MAX: usize = 1 << 20;
/// Deepest nesting of a config.
pub const CONFIG_DEPTH_MAX: usize = 64;
/// Most values (members, elements and the containers themselves) in a config.
pub const CONFIG_VALUES_MAX: usize = 16_384;
/// Most problems told of one config.
pub const CONFIG_PROBLEMS_MAX: usize = 10;

/// The only dialect: what `$schema` may say.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
/// Longest compiled pattern, in bytes; a handful of them make megabytes otherwise: `(a{1000}){1000}`.
const PATTERN_BYTES_MAX: usize = 256 << 10;
/// Values times evaluations up to which all problems of a config are collected. Beyond, it is only said *that* it does not fit:
/// every failed branch of an `anyOf` costs memory.
const EXPLAIN_WORK_MAX: usize = 250_000;
/// Longest message of one problem, in characters. The engine quotes the value, which may be a megabyte.
const MESSAGE_CHARS_MAX: usize = 200;

/// A compiled schema.
pub struct ConfigSchema {
    validator: Validator,
    text: String,
    evaluations: usize,
}

impl fmt::Debug for ConfigSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigSchema").field("text", &self.text).finish_non_exhaustive()
    }
}

impl ConfigSchema {
    /// Compiles a schema from its JSON text.
    ///
    /// # Errors
    /// [`SchemaError`] when it is too large or deep, no JSON, uses what is not supported, may cost too much, or is no valid schema.
    pub fn compile(text: &str) -> Result<ConfigSchema, SchemaError> {
        if text.len() > SCHEMA_BYTES_MAX {
            return Err(SchemaError::TooLarge { bytes: text.len() });
        }
        json::check(text.as_bytes(), SCHEMA_DEPTH_MAX, usize::MAX, Keys::Unique)?;
        let schema: Value = serde_json::from_str(text)
            .map_err(|error| SchemaError::Invalid { at: String::new(), why: cut(error) })?;
        if let Some(dialect) = schema.get("$schema").filter(|dialect| *dialect != DIALECT) {
            return Err(SchemaError::Dialect { found: cut(dialect), expected: DIALECT });
        }
        let evaluations = cost::check(&schema)?;
        let validator = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .with_pattern_options(
                PatternOptions::regex().size_limit(PATTERN_BYTES_MAX).dfa_size_limit(PATTERN_BYTES_MAX),
            )
            .should_validate_formats(false)
            .offline()
            .build(&schema)
            .map_err(|error| SchemaError::Invalid {
                at: path(error.instance_path().as_str()),
                why: cut(&error),
            })?;
        Ok(ConfigSchema { validator, text: text.to_owned(), evaluations })
    }

    /// The schema that every config fits: for plugins whose manifest has none.
    ///
    /// # Panics
    /// Never: the text is a constant.
    #[must_use]
    pub fn any() -> ConfigSchema {
        ConfigSchema::compile("true").expect("`true` is a schema")
    }

    /// The schema's JSON text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Checks a session's config.
    ///
    /// # Errors
    /// [`ConfigError`]: too large, no JSON, or up to [`CONFIG_PROBLEMS_MAX`] places where it does not fit.
    pub fn check(&self, config: &[u8]) -> Result<(), ConfigError> {
        if config.len() > CONFIG_BYTES_MAX {
            return Err(ConfigError::TooLarge { bytes: config.len() });
        }
        let values = json::check(config, CONFIG_DEPTH_MAX, CONFIG_VALUES_MAX, Keys::Unique)?;
        let value: Value =
            serde_json::from_slice(config).map_err(|error| ConfigError::Parse { why: cut(error) })?;
        if self.validator.is_valid(&value) {
            return Ok(());
        }
        if values.saturating_mul(self.evaluations) > EXPLAIN_WORK_MAX {
            return Err(ConfigError::MismatchUnexplained { values });
        }
        let mut errors = self.validator.iter_errors(&value);
        let problems: Vec<ConfigProblem> = errors
            .by_ref()
            .take(CONFIG_PROBLEMS_MAX)
            .map(|error| ConfigProblem { path: path(error.instance_path().as_str()), message: cut(&error) })
            .collect();
        Err(ConfigError::Mismatch { problems, more: errors.count() })
    }
}

/// A JSON pointer for people: the root has a name too.
fn path(pointer: &str) -> String {
    if pointer.is_empty() { "/".to_owned() } else { cut(pointer) }
}

/// The text of `value`, cut to [`MESSAGE_CHARS_MAX`] on the way, so that a huge one is never built.
fn cut(value: impl fmt::Display) -> String {
    struct Cut {
        text: String,
        left: usize,
    }
    impl fmt::Write for Cut {
        fn write_str(&mut self, part: &str) -> fmt::Result {
            for c in part.chars() {
                if self.left == 0 {
                    self.text.push('…');
                    return Err(fmt::Error);
                }
                self.left -= 1;
                self.text.push(c);
            }
            Ok(())
        }
    }
    let mut cut = Cut { text: String::new(), left: MESSAGE_CHARS_MAX };
    // The only error is our own, for "long enough".
    let _ = fmt::write(&mut cut, format_args!("{value}"));
    cut.text
}
