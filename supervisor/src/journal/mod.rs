//! The durable journal: what sessions with `durability = "disk"` need to survive the supervisor, on one disk, in one file.
//!
//! ```text
//!  games ──entries──▶ bounded queue ──▶ writer: one transaction of all that waits ─▶ fsync ──▶ teller ──Durable──▶ games
//!                          │                        └─ fails: keeps it, says so, tries again each second
//!                          └─ too much waits, or the disk is in trouble: new turns are refused
//! ```
//!
//! * [`handle`]: what games and doors see of it.
//! * `writer`: the two threads, and what happens when the disk fails.
//! * [`store`]: the database: one transaction per batch. `read`: reading it all. [`books`]: what is counted beside it.
//! * [`mod@format`]: the bytes: versions, keys, checksums. The only place that knows postcard.
//! * [`contents`]: what was read, and what could not be.
//! * [`fold`]: whether a session's entries make a session.
//! * `inside`: whose fault a panic is.
//! * [`medium`]: the file, or for those who only look, the file under a layer of memory.
//! * [`offline`], [`show`]: looking into it without a supervisor.
//!
//! It does not decide what is written or when an answer is let out: that is [`croupier_core::durable`].

pub mod books;
pub mod contents;
pub mod fold;
pub mod format;
pub mod handle;
mod inside;
pub mod medium;
pub mod offline;
mod read;
pub mod show;
pub mod store;
mod writer;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use books::Totals;
pub use contents::{Contents, Flaw, GameOnDisk, SessionOnDisk, was_parked};
pub use handle::{GameJournal, Journal, JournalOptions, NoRoom, Status, Told};
pub use inside::at_work_on;
pub use store::StoreError;

/// The directory's name in the state directory.
const DIRECTORY: &str = "journal";
/// The file in it.
const FILE: &str = "journal.redb";

/// Where the journal of a state directory is, or would be.
pub fn file_in(state_dir: &Path) -> PathBuf {
    state_dir.join(DIRECTORY).join(FILE)
}
