//! Copies of verified plugin files by digest, in `state_dir/objects`: a transcript names its binary by digest, and here it is found again.
//!
//! A copy is written beside its place, flushed to the disk and renamed: a file under its digest's name is always whole.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use croupier_manifest::Digest;
use thiserror::Error;

/// Why a copy could not be kept.
#[derive(Debug, Error)]
#[error("cannot keep a copy of the plugin in {}: {source}; check that the directory is writable and has room", path.display())]
pub struct ObjectsError {
    path: PathBuf,
    source: io::Error,
}

/// The directory's name in the state directory.
const DIRECTORY: &str = "objects";

/// Where the copy with this digest is in a state directory, or would be.
pub fn path_in(state_dir: &Path, digest: Digest) -> PathBuf {
    state_dir.join(DIRECTORY).join(digest.to_string())
}

/// The directory of copies.
#[derive(Debug, Clone)]
pub struct Objects {
    dir: PathBuf,
}

impl Objects {
    /// In `state_dir/objects`, which is made when it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(state_dir: &Path) -> Result<Objects, ObjectsError> {
        let dir = state_dir.join(DIRECTORY);
        fs::create_dir_all(&dir).map_err(|source| ObjectsError { path: dir.clone(), source })?;
        Ok(Objects { dir })
    }

    /// Where the copy with this digest is, or would be.
    pub fn path(&self, digest: Digest) -> PathBuf {
        self.dir.join(digest.to_string())
    }

    /// Keeps a copy, unless it is there already and still the same.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep(&self, digest: Digest, bytes: &[u8]) -> Result<(), ObjectsError> {
        let path = self.path(digest);
        if fs::read(&path).is_ok_and(|there| there == bytes) {
            return Ok(());
        }
        // Several supervisors or threads may write the same copy at a time: each its own temporary file.
        let temporary =
            self.dir.join(format!(".{digest}.{}.{:?}", std::process::id(), std::thread::current().id()));
        let write = || -> io::Result<()> {
            let mut file = File::create(&temporary)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&temporary, &path)?;
            File::open(&self.dir)?.sync_all()
        };
        write().map_err(|source| {
            let _ = fs::remove_file(&temporary);
            ObjectsError { path: path.clone(), source }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_kept_whole_and_mended_when_it_was_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let objects = Objects::open(dir.path()).unwrap();
        let digest = Digest(*blake3::hash(b"plugin").as_bytes());
        objects.keep(digest, b"plugin").unwrap();
        fs::write(objects.path(digest), b"plug").unwrap();
        objects.keep(digest, b"plugin").unwrap();
        assert_eq!(fs::read(objects.path(digest)).unwrap(), b"plugin");
        assert_eq!(fs::read_dir(dir.path().join("objects")).unwrap().count(), 1);
    }
}
