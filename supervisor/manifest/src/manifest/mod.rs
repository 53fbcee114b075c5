//! The manifest: what a plugin is, what it may do and what it needs. docs/MANIFEST.md describes every key for plugin authors.
//!
//! ```text
//!  text ─▶ size, depth ─▶ `manifest = 1`? ─▶ typed parse (errors name the path) ─▶ rules between keys ─▶ Manifest
//! ```
//!
//! Simple values check themselves while they are parsed (see [`mod@words`], [`mod@ratio`]); rules between keys come after. How deep
//! the text nests is bounded before it is parsed (see [`DEPTH_MAX`]), so no text overflows the stack.

mod depth;
mod error;
mod isolation;
pub mod limits;
pub mod ratio;
mod rules;
pub mod words;

use std::collections::BTreeMap;

use semver::{Version, VersionReq};
use serde::Deserialize;

pub use depth::DEPTH_MAX;
pub use error::ManifestError;
pub use isolation::Isolation;
pub use limits::Limits;
pub use ratio::Ratio;
pub use words::{BetName, Permission, PluginName, Topic};

use crate::elf::MANIFEST_BYTES_MAX;
use crate::schema::ConfigSchema;

/// The version of the manifest's format, as in `manifest = 1`.
pub const MANIFEST_VERSION: u32 = 1;
/// Most players at one session.
pub const PLAYERS_MAX: u32 = 10_000;
/// Most authors.
pub const AUTHORS_MAX: usize = 32;
/// Longest author, in bytes.
pub const AUTHOR_BYTES_MAX: usize = 256;
/// Longest description, in bytes.
pub const DESCRIPTION_BYTES_MAX: usize = 4096;
/// Longest licence expression, in bytes.
pub const LICENSE_BYTES_MAX: usize = 128;
/// Most bets.
pub const BETS_MAX: usize = 256;
/// Most permissions.
pub const PERMISSIONS_MAX: usize = 64;
/// Most dependencies.
pub const DEPENDENCIES_MAX: usize = 64;
/// Most parameters of a custom game.
pub const PARAMETERS_MAX: usize = 64;
/// Longest period of ticks: an hour, in milliseconds.
pub const TICK_MS_MAX: u32 = 3_600_000;
/// Longest idle time-out: thirty days, in milliseconds.
pub const IDLE_TIMEOUT_MS_MAX: u64 = 30 * 24 * 3_600_000;

/// A valid manifest.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Manifest {
    /// [`MANIFEST_VERSION`].
    pub manifest: u32,
    /// The plugin's name.
    pub name: PluginName,
    /// The plugin's version.
    pub version: Version,
    /// Who wrote it; at least one.
    pub authors: Vec<String>,
    /// One line or a few on what it is.
    pub description: String,
    /// Its licence, an SPDX expression.
    pub license: String,
    /// The version of the snapshots that it writes; from 1.
    pub state_version: u32,
    /// What payloads are.
    #[serde(default)]
    pub payload: Payload,
    /// How much its workers must be confined, at least; without it the operator decides alone.
    #[serde(default)]
    pub isolation: Option<Isolation>,
    /// What game it is.
    pub game: Game,
    /// How many play.
    pub players: Players,
    /// What it may do.
    #[serde(default)]
    pub permissions: Permissions,
    /// What it may use.
    #[serde(default)]
    pub limits: Limits,
    /// Other plugins that it needs.
    #[serde(default)]
    pub dependencies: BTreeMap<PluginName, VersionReq>,
    /// Defaults for sessions.
    #[serde(default)]
    pub session: Session,
    /// The configs of sessions.
    #[serde(default)]
    pub config: Config,
}

/// What configs, profiles, actions and replies are to the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Payload {
    /// Each is one JSON value, and is checked to be one.
    #[default]
    Json,
    /// Profiles, actions and replies are bytes that only plugin and client know. Configs are JSON all the same.
    Raw,
}

/// What game it is.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Game {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: GameType,
    /// Players hold what others may not see; then the server seed is not public at close.
    #[serde(default)]
    pub hidden_information: bool,
    /// The author's own description of a custom game; empty for all others.
    #[serde(default)]
    pub parameters: BTreeMap<String, toml::Value>,
    /// The bets that it takes, where it takes bets.
    #[serde(default)]
    pub bets: Vec<Bet>,
}

/// Types of games.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum GameType {
    Card,
    Dice,
    Board,
    Casino,
    Custom,
}

impl GameType {
    /// The word in the manifest.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            GameType::Card => "card",
            GameType::Dice => "dice",
            GameType::Board => "board",
            GameType::Casino => "casino",
            GameType::Custom => "custom",
        }
    }
}

/// One kind of bet.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Bet {
    /// Its name.
    pub name: BetName,
    /// What the house keeps of each unit staked, in the long run.
    pub house_edge: Option<Ratio>,
}

/// How many play.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Players {
    /// Fewest; 0 for a game that runs without any.
    pub min: u32,
    /// Most; up to [`PLAYERS_MAX`].
    pub max: u32,
    /// Who may act.
    #[serde(default)]
    pub join: Join,
}

/// Who may act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Join {
    /// Only players who joined (and the house).
    #[default]
    Required,
    /// The game seats players itself, by its config; the supervisor only refuses players that cannot be.
    Optional,
}

/// What a plugin may do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Permissions {
    /// What it asks for; each once.
    #[serde(default)]
    pub request: Vec<Permission>,
}

/// Defaults for the sessions of a plugin; each session may say otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Session {
    /// Period of ticks in milliseconds; 0 for none.
    pub tick_ms: u32,
    /// A session is closed after this many milliseconds without a turn from outside; 0 for never.
    pub idle_timeout_ms: u64,
}

/// The configs of a plugin's sessions.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// JSON Schema, as text; without it every config fits.
    pub schema: Option<String>,
}

impl Manifest {
    /// Parses and checks a manifest; the config schema is compiled too.
    ///
    /// # Errors
    /// [`ManifestError`], naming the key, as `limits.turn_wall_ms`.
    pub fn parse(text: &str) -> Result<(Manifest, ConfigSchema), ManifestError> {
        if text.len() > MANIFEST_BYTES_MAX {
            return Err(ManifestError::TooLarge { bytes: text.len() });
        }
        depth::check(text)?;
        let manifest = read(text)?;
        rules::check(&manifest)?;
        let schema = match &manifest.config.schema {
            None => ConfigSchema::any(),
            Some(text) => ConfigSchema::compile(text).map_err(ManifestError::Schema)?,
        };
        Ok((manifest, schema))
    }

    /// Whether the plugin asks for a permission.
    #[must_use]
    pub fn may(&self, permission: &Permission) -> bool {
        self.permissions.request.contains(permission)
    }
}

fn read(text: &str) -> Result<Manifest, ManifestError> {
    /// Only this is promised to stay in all versions of the format.
    #[derive(Deserialize)]
    struct Head {
        manifest: Option<toml::Value>,
    }
    let head: Head = toml::from_str(text).map_err(|error| ManifestError::syntax(text, &error))?;
    match head.manifest {
        Some(toml::Value::Integer(version)) if version == i64::from(MANIFEST_VERSION) => {}
        Some(toml::Value::Integer(version)) => return Err(ManifestError::Version { found: version }),
        Some(_) => {
            return Err(ManifestError::key("manifest", "must be a whole number, as in `manifest = 1`"));
        }
        None => return Err(ManifestError::key("manifest", "is missing; begin the file with `manifest = 1`")),
    }
    let document = toml::Deserializer::parse(text).map_err(|error| ManifestError::syntax(text, &error))?;
    serde_path_to_error::deserialize(document).map_err(|error| ManifestError::typed(text, &error))
}
