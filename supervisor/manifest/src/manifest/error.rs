//! What can be wrong with a manifest.

use thiserror::Error;

use super::MANIFEST_VERSION;
use crate::elf::MANIFEST_BYTES_MAX;
use crate::schema::SchemaError;

/// Longest message taken over from the parser, in characters; it may quote the text.
const MESSAGE_CHARS_MAX: usize = 300;

/// Why a manifest is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ManifestError {
    /// Over [`MANIFEST_BYTES_MAX`].
    #[error("the manifest has {bytes} bytes, more than the {MANIFEST_BYTES_MAX} allowed")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// Not TOML.
    #[error("the manifest is not TOML: line {line}: {why}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// Why.
        why: String,
    },
    /// Another version of the format.
    #[error(
        "manifest: format version {found}, but this croupier reads version {MANIFEST_VERSION}; use a matching croupier"
    )]
    Version {
        /// The version.
        found: i64,
    },
    /// A key that is missing, unknown, of a wrong type, or has a value out of bounds.
    #[error("{path}: {why}{}", line.map(|line| format!(" (line {line})")).unwrap_or_default())]
    Key {
        /// The key's path, as `limits.turn_wall_ms`.
        path: String,
        /// Why.
        why: String,
        /// The line, from 1, where known.
        line: Option<usize>,
    },
    /// The config schema.
    #[error("config.schema: {0}")]
    Schema(#[source] SchemaError),
}

impl ManifestError {
    /// A rule about one key that is broken.
    pub(super) fn key(path: impl Into<String>, why: impl Into<String>) -> ManifestError {
        ManifestError::Key { path: path.into(), why: why.into(), line: None }
    }

    /// From the TOML parser.
    pub(super) fn syntax(text: &str, error: &toml::de::Error) -> ManifestError {
        let line = line_of(text, error).unwrap_or(1);
        ManifestError::Syntax { line, why: cut(error.message()) }
    }

    /// From the typed parse.
    pub(super) fn typed(text: &str, error: &serde_path_to_error::Error<toml::de::Error>) -> ManifestError {
        let path = match error.path().to_string() {
            path if path == "." => "the manifest".to_owned(),
            path => cut(&path),
        };
        let inner = error.inner();
        ManifestError::Key { path, why: cut(inner.message()), line: line_of(text, inner) }
    }
}

fn line_of(text: &str, error: &toml::de::Error) -> Option<usize> {
    let before = text.as_bytes().get(..error.span()?.start)?;
    Some(before.iter().filter(|&&byte| byte == b'\n').count() + 1)
}

/// One line, not too long.
fn cut(message: &str) -> String {
    let message = message.trim().replace('\n', ", ");
    if message.chars().count() <= MESSAGE_CHARS_MAX {
        return message;
    }
    let mut cut: String = message.chars().take(MESSAGE_CHARS_MAX).collect();
    cut.push('…');
    cut
}
