//! Plugin files: read once, verified, sealed, kept.
//!
//! ```text
//!  file ─read once, capped─▶ memfd ─seal─▶ verify the sealed bytes ─▶ Plugin ──reopen──▶ one read-only descriptor per worker
//!                                              │
//!                                              └─▶ state_dir/objects/<digest>
//! ```
//!
//! What was verified is what runs: workers get the sealed memory that was hashed, never the file's path. Nothing here runs a plugin.
//!
//! * [`binary`]: the sealed memory.
//! * [`grants`]: what it asks for, and what it gets.
//! * [`objects`]: copies of verified files by digest.
//! * [`options`]: what the operator says about plugins. [`revocations`]: what the operator took away from them since.
//! * [`trust`]: who signed it.
//! * `spec`: manifest and options together.

pub mod binary;
pub mod grants;
pub mod objects;
pub mod options;
pub mod revocations;
pub(crate) mod spec;
pub mod trust;

use std::io;
use std::path::{Path, PathBuf};

use croupier_core::Spec;
use croupier_manifest::manifest::{Payload, Permission};
use croupier_manifest::{ConfigSchema, Digest};
use croupier_manifest::{Manifest, PluginFileError, read_plugin};
use croupier_wire::link::{Hello, LINK_VERSION, Limits};
use thiserror::Error;

pub use binary::{BinaryError, SealedBinary};
pub use grants::Decided;
pub use objects::{Objects, ObjectsError};
pub use options::{Durability, PluginOptions, Restart};
pub use revocations::{Revocations, RevocationsError};

use crate::game::transcripts::Player;
use crate::jail::Plan;
use crate::jail::plan::Threads;
use trust::gate::{Gate, GateError};

/// Longest plugin file, in bytes.
pub const PLUGIN_BYTES_MAX: usize = croupier_manifest::elf::PLUGIN_BYTES_MAX;

/// Why a file is not a plugin that can be run here.
#[derive(Debug, Error)]
pub enum PluginError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no regular file.
    #[error("{} is no regular file; name the plugin's .so", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// It is too large.
    #[error("{} has {bytes} bytes; a plugin may have {PLUGIN_BYTES_MAX}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// It is no plugin.
    #[error("{} is no plugin that can be loaded: {source}", path.display())]
    Bad {
        /// The file.
        path: PathBuf,
        /// Why.
        source: PluginFileError,
    },
    /// Its signature does not count.
    #[error("{} is not loaded: {source}", path.display())]
    Signature {
        /// The file.
        path: PathBuf,
        /// Why.
        source: GateError,
    },
    /// The operator's options do not fit.
    #[error("the options for plugin {plugin} are wrong: {why}")]
    Options {
        /// The plugin.
        plugin: String,
        /// What is wrong, and what to do.
        why: String,
    },
    /// Sealed memory is not to be had.
    #[error(transparent)]
    Binary(#[from] BinaryError),
}

/// A verified plugin, ready to be run.
#[derive(Debug)]
pub struct Plugin {
    /// Its name.
    pub name: String,
    /// Where it came from.
    pub path: PathBuf,
    /// What it says of itself.
    pub manifest: Manifest,
    /// The compiled schema of its sessions' configs.
    pub schema: ConfigSchema,
    /// Its bytes, sealed.
    pub binary: SealedBinary,
    /// What its game goes by.
    pub spec: Spec,
    /// What its workers must keep to.
    pub limits: Limits,
    /// What its workers are confined by.
    pub jail: Plan,
    /// Whoever opens a session may choose what it survives.
    pub choose_durability: bool,
    /// Lines per second that each of its workers may log.
    pub log_lines_per_s: u32,
    /// What it was granted, as the worker is told.
    pub permissions: Vec<String>,
    /// What it asks for, and what came of each.
    pub decided: Vec<Decided>,
    /// Its identity in transcripts.
    pub player: Player,
    /// The text of the signature that let it in; none when nobody looked for one.
    pub signature: Option<String>,
}

impl Plugin {
    /// Reads, verifies and seals a plugin's file, whoever made it: for checks and replays, where the digest is compared.
    ///
    /// # Errors
    /// [`PluginError`].
    pub fn load(path: &Path, options: impl FnOnce(&str) -> PluginOptions) -> Result<Plugin, PluginError> {
        Plugin::load_through(None, path, options)
    }

    /// As [`Plugin::load`]; the gate looks at its signature.
    ///
    /// # Errors
    /// [`PluginError`].
    pub fn load_through(
        gate: Option<&Gate>,
        path: &Path,
        options: impl FnOnce(&str) -> PluginOptions,
    ) -> Result<Plugin, PluginError> {
        let binary = SealedBinary::from_file(path)?;
        let bytes = binary.bytes()?;
        let shut = |source| PluginError::Signature { path: path.to_owned(), source };
        let digest = Digest(*blake3::hash(&bytes).as_bytes()).to_string();
        let seen = gate.map(|gate| gate.look(path, &digest, &bytes)).transpose().map_err(shut)?;
        let file =
            read_plugin(&bytes).map_err(|source| PluginError::Bad { path: path.to_owned(), source })?;
        let signature = seen.as_ref().and_then(|seen| seen.signature().map(str::to_owned));
        if let (Some(gate), Some(seen)) = (gate, seen) {
            gate.admit(seen, file.manifest.name.as_str(), &digest).map_err(shut)?;
        }
        let options = options(file.manifest.name.as_str());
        let decided = spec::decided(&file.manifest, &options)?;
        let granted: Vec<Permission> = grants::granted(&decided).cloned().collect();
        let mut spec = spec::spec(&file.manifest, file.digest, &granted, &options)?;
        let manifest = file.manifest;
        let limits = spec::link_limits(&manifest);
        let threads = if granted.contains(&Permission::Threads) { Threads::Granted } else { Threads::Denied };
        let jail = Plan::new(&manifest.limits, manifest.isolation, &limits, threads, &options);
        spec.watch.memory_bytes = jail.memory_bytes();
        Ok(Plugin {
            name: manifest.name.to_string(),
            path: path.to_owned(),
            limits,
            jail,
            choose_durability: options.choose_durability.unwrap_or(false),
            log_lines_per_s: options.log_lines_per_s.unwrap_or(manifest.limits.log_lines_per_s),
            permissions: granted.iter().map(Permission::to_string).collect(),
            decided,
            player: Player {
                plugin: manifest.name.to_string(),
                version: manifest.version.to_string(),
                digest: file.digest.0,
                state_version: manifest.state_version,
                hidden_information: manifest.game.hidden_information,
            },
            signature,
            schema: file.schema,
            binary,
            spec,
            manifest,
        })
    }

    /// Its identity.
    pub fn digest(&self) -> Digest {
        Digest(self.player.digest)
    }

    /// Its identity as text.
    pub fn digest_hex(&self) -> String {
        self.digest().to_string()
    }

    /// Whether its payloads are JSON.
    pub fn payload(&self) -> Payload {
        self.manifest.payload
    }

    /// The first message to a worker.
    pub fn hello(&self, worker: u64, layout_shift_pages: u32) -> Hello<'_> {
        Hello {
            version: LINK_VERSION,
            worker,
            plugin: &self.player.plugin,
            plugin_version: &self.player.version,
            state_version: self.player.state_version,
            limits: self.limits,
            permissions: self.permissions.iter().map(String::as_str).collect(),
            layout_shift_pages,
        }
    }
}
