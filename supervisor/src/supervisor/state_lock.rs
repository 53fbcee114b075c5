//! One supervisor per state directory: two would give out the same session ids and write into each other's transcripts.
//!
//! The lock is the kernel's (flock(2)): it ends with the process, however that ends.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use thiserror::Error;

/// The file in the state directory.
const FILE: &str = "lock";

/// Why a state directory cannot be had.
#[derive(Debug, Error)]
pub enum StateLockError {
    /// It is in use.
    #[error("another supervisor uses the state directory {}: stop it first, or give each one a state_dir of its own", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot lock {}: {source}; check that the state directory is writable", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Held as long as this lives.
#[derive(Debug)]
pub(crate) struct StateLock {
    _file: File,
}

impl StateLock {
    /// Takes the directory, which is made when it is not there.
    pub(crate) fn take(state_dir: &Path) -> Result<StateLock, StateLockError> {
        let path = state_dir.join(FILE);
        let failed = |source| StateLockError::Io { path: path.clone(), source };
        std::fs::create_dir_all(state_dir).map_err(failed)?;
        // Not truncated: the file says who holds it.
        let open = File::options().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let mut file = open.map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(StateLockError::InUse { path: state_dir.to_owned() });
            }
            Err(error) => return Err(failed(error.into())),
        }
        // For a person who wonders; a full disk is found out by those who need room.
        let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(StateLock { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_directory_is_had_by_one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let first = StateLock::take(dir.path()).unwrap();
        let second = StateLock::take(dir.path()).unwrap_err();
        assert!(matches!(second, StateLockError::InUse { .. }), "{second}");
        drop(first);
        StateLock::take(dir.path()).unwrap();
    }
}
