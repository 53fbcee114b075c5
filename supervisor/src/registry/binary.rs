//! A plugin's bytes in sealed memory (memfd_create(2)): nobody can change them any more, us included.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::{MemfdFlags, SealFlags};
use thiserror::Error;

use super::{PLUGIN_BYTES_MAX, PluginError};

/// Why there is no sealed memory.
#[derive(Debug, Error)]
#[error(
    "cannot {step} the sealed memory for a plugin: {source}; `croupier doctor` says what this kernel offers"
)]
pub struct BinaryError {
    step: &'static str,
    source: io::Error,
}

fn failed(step: &'static str) -> impl FnOnce(io::Error) -> BinaryError {
    move |source| BinaryError { step, source }
}

/// Sealed memory.
#[derive(Debug)]
pub struct SealedBinary {
    memory: File,
    len: usize,
}

impl SealedBinary {
    /// Copies a regular file, read once, into sealed memory.
    ///
    /// # Errors
    /// When it cannot be read, is no regular file or too large, or there is no such memory.
    pub fn from_file(path: &Path) -> Result<SealedBinary, PluginError> {
        let read = |source| PluginError::Read { path: path.to_owned(), source };
        // Not blocking: opening a FIFO must not hang.
        let nonblock = rustix::fs::OFlags::NONBLOCK.bits() as i32;
        let file = OpenOptions::new().read(true).custom_flags(nonblock).open(path).map_err(read)?;
        let facts = file.metadata().map_err(read)?;
        if !facts.is_file() {
            return Err(PluginError::NotAFile { path: path.to_owned() });
        }
        let too_large = |bytes| PluginError::TooLarge { path: path.to_owned(), bytes };
        if facts.len() > PLUGIN_BYTES_MAX as u64 {
            return Err(too_large(facts.len()));
        }
        let mut memory = create()?;
        let copied = io::copy(&mut file.take(PLUGIN_BYTES_MAX as u64 + 1), &mut memory).map_err(read)?;
        if copied > PLUGIN_BYTES_MAX as u64 {
            return Err(too_large(copied));
        }
        Ok(SealedBinary::seal(memory, copied as usize)?)
    }

    fn seal(memory: File, len: usize) -> Result<SealedBinary, BinaryError> {
        let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
        rustix::fs::fcntl_add_seals(&memory, seals).map_err(|error| failed("seal")(error.into()))?;
        Ok(SealedBinary { memory, len })
    }

    /// The sealed bytes themselves: what is to be verified.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn bytes(&self) -> Result<Vec<u8>, BinaryError> {
        let mut bytes = vec![0; self.len];
        self.memory.read_exact_at(&mut bytes, 0).map_err(failed("read"))?;
        Ok(bytes)
    }

    /// A read-only descriptor of it with an offset of its own, for one worker.
    ///
    /// # Errors
    /// When it cannot be opened again (no descriptors left, no `/proc`).
    pub fn reopen(&self) -> Result<OwnedFd, BinaryError> {
        let path = format!("/proc/self/fd/{}", self.memory.as_fd().as_raw_fd());
        File::open(path).map(OwnedFd::from).map_err(failed("open"))
    }
}

fn create() -> Result<File, BinaryError> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let memory = match rustix::fs::memfd_create("plugin", flags) {
        // Some systems forbid memory that could be executed as a file (vm.memfd_noexec = 2); mapping it is still allowed.
        Err(rustix::io::Errno::ACCESS) => {
            rustix::fs::memfd_create("plugin", MemfdFlags::CLOEXEC | MemfdFlags::NOEXEC_SEAL)
        }
        other => other,
    };
    memory.map(File::from).map_err(|error| failed("make")(error.into()))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn what_was_sealed_cannot_be_changed_and_reads_the_same() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"the bytes of a plugin").unwrap();
        let sealed = SealedBinary::from_file(file.path()).unwrap();
        file.write_all(b", changed later").unwrap();
        assert_eq!(sealed.bytes().unwrap(), b"the bytes of a plugin");
        assert!(sealed.memory.write_at(b"x", 0).is_err());
        assert!(sealed.memory.set_len(1).is_err());
        let mut again = File::from(sealed.reopen().unwrap());
        assert!(again.write_all(b"x").is_err());
        let mut text = String::new();
        again.read_to_string(&mut text).unwrap();
        assert_eq!(text, "the bytes of a plugin");
    }

    #[test]
    fn directories_and_pipes_are_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(SealedBinary::from_file(dir.path()), Err(PluginError::NotAFile { .. })));
        let fifo = dir.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(matches!(SealedBinary::from_file(&fifo), Err(PluginError::NotAFile { .. })));
    }
}
