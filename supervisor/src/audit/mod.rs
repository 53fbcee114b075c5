//! The audit log: who did what to the supervisor, and what plugins tried, as records that nobody can change unnoticed.
//!
//! ```text
//!  notices, verbs, loads ──tell──▶ queue (bounded) ──▶ one thread: chain ─▶ append ─▶ fdatasync     state_dir/audit/FIRST.jsonl
//!                                     └─ full: counted, and the count is a record itself
//!  croupier audit, croupier audit verify ◀── files, read as they lie there
//! ```
//!
//! * [`record`]: what a record can say, one closed enum.
//! * [`chain`]: how a record becomes a line, and how a line is checked. Pure.
//! * [`log`]: the files: appending, rotation, what happens when the disk is full.
//! * [`denials`]: refused system calls as records.
//! * [`handle`]: the queue, the thread, the flood limit.
//! * [`verify`], [`read`]: for those who look at it later.
//!
//! Never in it: secrets, payloads, seeds, settings. It is evidence against everybody who did not write down its head: whoever can
//! write the files can write the whole chain anew, from some record on to the end. docs/OPERATING.md says what follows from that.

pub mod chain;
pub mod denials;
pub mod handle;
pub mod log;
pub mod read;
pub mod record;
pub mod verify;

use std::io;
use std::path::{Path, PathBuf};

pub use handle::{Audit, AuditOptions, Head, StartError};
pub use record::Happened;

/// The directory's name in the state directory.
pub const DIRECTORY: &str = "audit";
/// How a file's name ends; before it stands the number of its first record in 20 digits.
const ENDING: &str = ".jsonl";
/// Digits of a file's name.
const DIGITS: usize = 20;

/// Where the log is in a state directory.
pub fn directory_in(state_dir: &Path) -> PathBuf {
    state_dir.join(DIRECTORY)
}

/// The name of the file whose first record has this number.
fn file_name(first_seq: u64) -> String {
    format!("{first_seq:0DIGITS$}{ENDING}")
}

/// The log's files in order, each with the number of its first record.
///
/// # Errors
/// When the directory cannot be read.
pub fn files(dir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let digits =
            path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(ENDING));
        if let Some(first) = digits.filter(|digits| digits.len() == DIGITS).and_then(|text| text.parse().ok())
        {
            files.push((first, path));
        }
    }
    files.sort();
    Ok(files)
}
