//! Signatures of plugins: who made the bytes that are to run?
//!
//! * [`minisign`]: the files' format. Pure.
//! * [`policy`]: the chain from root keys to a plugin, expiry, names, revocation. Pure.
//! * [`store`]: the directory of trusted keys.
//! * [`gate`]: looks at a plugin that is about to be loaded, and writes down what it saw.
//!
//! A plugin's signature lies beside it: `libcraps.so.minisig`. What is verified are the sealed bytes, the ones that run.

pub mod gate;
pub mod minisign;
pub mod policy;
pub mod store;

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

pub use gate::Gate;
pub use policy::{Policy, TrustError};

/// What a signature's file is called after: the signed file's name and this.
pub const SIGNATURE_ENDING: &str = ".minisig";

/// Where the signature of a file is.
pub fn signature_path(file: &Path) -> PathBuf {
    let mut path = OsString::from(file);
    path.push(SIGNATURE_ENDING);
    path.into()
}

/// Reads a small text file; a pipe or a device in its place does not hang us.
///
/// # Errors
/// When it is not there, not regular, not text or too long.
pub fn read_text(path: &Path) -> io::Result<String> {
    let nonblock = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let file = OpenOptions::new().read(true).custom_flags(nonblock).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut text = String::new();
    file.take(minisign::TEXT_BYTES_MAX as u64 + 1).read_to_string(&mut text)?;
    if text.len() > minisign::TEXT_BYTES_MAX {
        return Err(io::Error::other(format!("it is longer than {} bytes", minisign::TEXT_BYTES_MAX)));
    }
    Ok(text)
}
