//! The one way in: from a plugin's bytes to all that is known of it without running it.

use std::fmt;

use thiserror::Error;

use crate::elf::{self, ElfError, ElfInfo};
use crate::manifest::{Manifest, ManifestError};
use crate::schema::ConfigSchema;

/// A plugin's identity: blake3 of its file. Displays as hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A plugin's file, read and found well-formed.
#[derive(Debug)]
#[non_exhaustive]
pub struct PluginFile {
    /// Its identity.
    pub digest: Digest,
    /// What it says of itself.
    pub manifest: Manifest,
    /// The compiled schema of its sessions' configs.
    pub schema: ConfigSchema,
    /// What it is as a shared object.
    pub elf: ElfInfo,
}

/// Why a file is not a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PluginFileError {
    /// It is not a shared object that can be loaded.
    #[error(transparent)]
    Elf(#[from] ElfError),
    /// Its manifest is wrong.
    #[error("bad manifest: {0}")]
    Manifest(#[from] ManifestError),
}

/// Reads a plugin from the bytes of its file.
///
/// # Errors
/// [`PluginFileError`]: what is wrong, and what to do about it.
pub fn read_plugin(bytes: &[u8]) -> Result<PluginFile, PluginFileError> {
    let elf = elf::inspect(bytes)?;
    let (manifest, schema) = Manifest::parse(&elf.manifest)?;
    let digest = Digest(*blake3::hash(bytes).as_bytes());
    Ok(PluginFile { digest, manifest, schema, elf })
}
