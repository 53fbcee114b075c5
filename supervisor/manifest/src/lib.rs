//! Reads a plugin without running it: a privileged process looks at hostile bytes.
//!
//! ```text
//!  bytes ─▶ elf::inspect ─▶ Manifest::parse ─▶ ConfigSchema::compile ─▶ PluginFile
//!            shared object?   well-formed?       bounded, linear-time     digest, manifest, schema, elf
//! ```
//!
//! Everything here is a pure function over bytes: no file, no clock, no process. Nothing panics, whatever the bytes, and every
//! length, count and depth has a cap. What passes is well-formed, not harmless: harm is the jail's business.
//!
//! Not here: reading files, signatures, and what an operator grants (see the supervisor's registry).
#![forbid(unsafe_code)]

pub mod elf;
pub mod json;
pub mod manifest;
mod plugin;
pub mod schema;

pub use elf::{ElfError, ElfInfo};
pub use json::{JsonError, check_json};
pub use manifest::{Manifest, ManifestError};
pub use plugin::{Digest, PluginFile, PluginFileError, read_plugin};
pub use schema::{ConfigError, ConfigSchema, SchemaError};
