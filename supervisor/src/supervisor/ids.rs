//! Session ids: 1, 2, 3 …, unique for the life of the state directory.
//!
//! Ids are taken from the disk a block at a time: the file says from where on no id was given out yet. A supervisor that dies leaves a gap, never a repetition.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use thiserror::Error;

/// The highest id there will be: the bits above are for the workers' own use of ids.
pub const ID_MAX: u64 = 1 << 62;
/// Ids taken from the disk at a time.
pub const BLOCK: u64 = 65_536;

/// The file in the state directory.
const FILE: &str = "next_session";

/// Why there is no id.
#[derive(Debug, Error)]
pub enum IdsError {
    /// The disk.
    #[error("cannot reserve session ids in {}: {source}; check that the directory is writable and has room", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("{} does not hold a session id; put one in that is larger than every session id that was ever given out", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
}

/// Gives out session ids.
#[derive(Debug)]
pub struct SessionIds {
    path: Option<PathBuf>,
    /// Whoever has a smaller one has it from an earlier supervisor.
    first: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    next: u64,
    reserved: u64,
}

impl SessionIds {
    /// Ids that are unique in this directory; without one, unique in this value.
    ///
    /// # Errors
    /// When the directory cannot be used.
    pub fn open(state_dir: Option<&Path>) -> Result<SessionIds, IdsError> {
        let Some(dir) = state_dir else {
            return Ok(SessionIds {
                path: None,
                first: 1,
                state: Mutex::new(State { next: 1, reserved: u64::MAX }),
            });
        };
        let path = dir.join(FILE);
        let disk = |source| IdsError::Disk { path: path.clone(), source };
        fs::create_dir_all(dir).map_err(disk)?;
        let next = match fs::read_to_string(&path) {
            Ok(text) => match text.trim().parse() {
                Ok(next @ 1..ID_MAX) => next,
                _ => return Err(IdsError::Damaged { path: path.clone() }),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => 1,
            Err(error) => return Err(disk(error)),
        };
        Ok(SessionIds { path: Some(path), first: next, state: Mutex::new(State { next, reserved: next }) })
    }

    /// The first id that this one gives out.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The next id. Writes to the disk once in [`BLOCK`] times.
    ///
    /// # Errors
    /// When a block cannot be reserved.
    pub fn next(&self) -> Result<u64, IdsError> {
        let mut state = crate::lock(&self.state);
        if state.next >= state.reserved
            && let Some(path) = &self.path
        {
            let reserved = state.next + BLOCK;
            reserve(path, reserved).map_err(|source| IdsError::Disk { path: path.clone(), source })?;
            state.reserved = reserved;
        }
        let id = state.next;
        state.next += 1;
        Ok(id)
    }
}

fn reserve(path: &Path, upto: u64) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = File::create(&temporary)?;
    writeln!(file, "{upto}")?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_go_on_after_a_restart_and_never_repeat() {
        let dir = tempfile::tempdir().unwrap();
        let first = SessionIds::open(Some(dir.path())).unwrap();
        assert_eq!((first.next().unwrap(), first.next().unwrap()), (1, 2));
        drop(first);
        let second = SessionIds::open(Some(dir.path())).unwrap();
        assert_eq!(second.next().unwrap(), 1 + BLOCK);
        for damaged in ["what?", "", "0", "-1", "18446744073709551615"] {
            fs::write(dir.path().join(FILE), damaged).unwrap();
            let opened = SessionIds::open(Some(dir.path()));
            assert!(matches!(opened, Err(IdsError::Damaged { .. })), "{damaged:?}");
        }
    }

    #[test]
    fn a_full_disk_gives_no_id_rather_than_an_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let ids = SessionIds::open(Some(dir.path())).unwrap();
        fs::remove_dir_all(dir.path()).unwrap();
        assert!(ids.next().is_err());
    }
}
