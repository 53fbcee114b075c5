//! Looking into the journal without a supervisor. Changes nothing on the disk.

use std::path::{Path, PathBuf};

use redb::Database;
use thiserror::Error;

use super::books::Totals;
use super::contents::Contents;
use super::file_in;
use super::medium::{Medium, Overlay, disk_bytes};
use super::store::{Store, StoreError};
use crate::supervisor::StateLockError;
use crate::supervisor::state_lock::StateLock;

/// Why one cannot look into it.
#[derive(Debug, Error)]
pub enum LookError {
    /// There is none.
    #[error("there is no journal in {}: no session with durability = \"disk\" was ever played there, or it is another supervisor's state directory", path.display())]
    None {
        /// The file.
        path: PathBuf,
    },
    /// A supervisor uses it.
    #[error(transparent)]
    Lock(#[from] StateLockError),
    /// It cannot be read as a whole.
    #[error(
        "the journal cannot be read: {0}; keep a copy of the file; what is in it can only be had with a tool for redb files"
    )]
    Store(#[from] StoreError),
}

/// A journal that somebody looks into. Keeps supervisors out as long as it lives.
#[derive(Debug)]
pub struct Look {
    /// All that is there.
    pub contents: Contents,
    /// Entries and bytes.
    pub totals: Totals,
    /// What the file takes of the disk, in bytes.
    pub disk_bytes: u64,
    /// The file.
    pub path: PathBuf,
    _lock: StateLock,
}

/// Reads the journal of a state directory whose supervisor does not run.
///
/// # Errors
/// [`LookError`].
pub fn look(state_dir: &Path) -> Result<Look, LookError> {
    let path = file_in(state_dir);
    if !path.exists() {
        return Err(LookError::None { path });
    }
    let lock = StateLock::take(state_dir)?;
    let (store, contents) = Store::open(Box::new(Layered(path.clone())))?;
    Ok(Look { contents, totals: store.totals(), disk_bytes: disk_bytes(&path), path, _lock: lock })
}

struct Layered(PathBuf);

impl Medium for Layered {
    fn open(&self) -> Result<Database, redb::DatabaseError> {
        Database::builder().create_with_backend(Overlay::open(&self.0)?)
    }

    fn disk_bytes(&self) -> u64 {
        disk_bytes(&self.0)
    }

    fn available(&self) -> u64 {
        u64::MAX
    }

    fn name(&self) -> String {
        self.0.display().to_string()
    }
}
