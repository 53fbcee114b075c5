//! What is done to transcripts' files: appending whole, never writing over one, and looking what is there.

use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

/// Appends to a file that has `written` bytes, and is made when there are none. Whole or not at all: half a line is taken back.
pub(super) fn append(path: &Path, written: u64, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create_new(written == 0).mode(0o600).open(path)?;
    file.write_all(bytes).inspect_err(|_| {
        // Where even that fails, the verifier finds the half line.
        let _ = file.set_len(written);
    })
}

/// Renames a file, unless that name is taken.
pub(super) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Not every file system can.
        Err(Errno::INVAL | Errno::NOSYS) if !to.exists() => std::fs::rename(from, to),
        other => Ok(other?),
    }
}

/// Transcripts of earlier runs, oldest first, finished or not.
pub(super) fn list_finished(dir: &Path) -> io::Result<VecDeque<(PathBuf, u64)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.ends_with(".jsonl") || name.ends_with(".jsonl.part") {
            let data = entry.metadata()?;
            found.push((data.modified()?, entry.path(), data.len()));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path, bytes)| (path, bytes)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_line_is_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t");
        append(&path, 0, b"one\n").unwrap();
        append(&path, 4, b"two\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one\ntwo\n");
        assert_eq!(append(&path, 0, b"three\n").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert!(append(Path::new("/dev/full"), 1, b"x").is_err());
    }
}
