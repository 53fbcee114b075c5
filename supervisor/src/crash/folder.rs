//! The folders of crash reports, and how many are kept.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::case::CaseFile;
use super::report::Report;

/// The directory's name in the state directory.
pub const DIRECTORY: &str = "crashes";
/// The report in a folder.
pub const REPORT: &str = "report.json";
/// What it takes to run into the crash again.
pub const REPLAY: &str = "replay.json";
/// The process's mappings after it had loaded its plugin.
pub const MAPS: &str = "maps.txt";
/// How a folder's name begins that is not whole yet.
const DRAFT: &str = ".new-";
/// Longest file that is read back, in bytes.
const READ_BYTES_MAX: u64 = 256 << 20;

/// Where the folders are in a state directory.
pub fn directory_in(state_dir: &Path) -> PathBuf {
    state_dir.join(DIRECTORY)
}

/// What a folder is made of: names and contents.
pub type Files<'a> = [(&'a str, &'a [u8])];

/// Writes a folder whole or not at all.
///
/// # Errors
/// As the system says.
pub fn write(dir: &Path, id: &str, files: &Files<'_>) -> io::Result<()> {
    let draft = dir.join(format!("{DRAFT}{id}"));
    let write = || -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&draft)?;
        for (name, bytes) in files {
            let mut file =
                fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft.join(name))?;
            file.write_all(bytes)?;
            file.sync_all()?;
        }
        fs::rename(&draft, dir.join(id))
    };
    write().inspect_err(|_| drop(fs::remove_dir_all(&draft)))
}

/// Deletes what a supervisor left half written that died over it. Only for who alone writes here.
///
/// # Errors
/// As the system says.
pub fn sweep(dir: &Path) -> io::Result<()> {
    for name in directories(dir)? {
        if name.strip_prefix(DRAFT).is_some_and(is_id) {
            fs::remove_dir_all(dir.join(name))?;
        }
    }
    Ok(())
}

/// The ids of all reports, oldest first: ids begin with the time.
///
/// # Errors
/// When the directory cannot be read; one that is not there holds none.
pub fn ids(dir: &Path) -> io::Result<Vec<String>> {
    // What an operator put beside them is neither a report nor ours to delete.
    let mut ids = directories(dir)?;
    ids.retain(|name| is_id(name));
    ids.sort();
    Ok(ids)
}

/// The names of the directories in it, as far as they are text.
fn directories(dir: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            names.extend(entry.file_name().to_str().map(str::to_owned));
        }
    }
    Ok(names)
}

/// Deletes the oldest folders until there are at most `count` with at most `bytes` in all. The newest stays.
///
/// # Errors
/// As the system says.
pub fn prune(dir: &Path, count: usize, bytes: u64) -> io::Result<()> {
    let mut kept = 0;
    for (at, id) in ids(dir)?.iter().rev().enumerate() {
        kept += size(&dir.join(id))?;
        if at > 0 && (at >= count || kept > bytes) {
            fs::remove_dir_all(dir.join(id))?;
        }
    }
    Ok(())
}

fn size(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> io::Result<T> {
    if fs::metadata(path)?.len() > READ_BYTES_MAX {
        return Err(io::Error::other("it is too long"));
    }
    serde_json::from_slice(&fs::read(path)?).map_err(io::Error::other)
}

/// Reads a report. An id is a name, never a path.
///
/// # Errors
/// When there is none of this id, or it cannot be read.
pub fn report(dir: &Path, id: &str) -> io::Result<Report> {
    read(&folder_of(dir, id)?.join(REPORT))
}

/// Reads what it takes to run into it again.
///
/// # Errors
/// As [`report`].
pub fn case(dir: &Path, id: &str) -> io::Result<CaseFile> {
    read(&folder_of(dir, id)?.join(REPLAY))
}

/// A report's folder.
///
/// # Errors
/// When the id is none.
pub fn folder_of(dir: &Path, id: &str) -> io::Result<PathBuf> {
    if !is_id(id) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "this is no id of a crash report"));
    }
    Ok(dir.join(id))
}

fn is_id(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn folders_are_private_whole_and_bounded() {
        let dir = tempfile::tempdir().unwrap();
        for number in 0..9 {
            write(dir.path(), &format!("id-{number}"), &[(REPORT, &[7; 100]), (MAPS, b"m")]).unwrap();
            prune(dir.path(), 5, 404).unwrap();
        }
        assert_eq!(ids(dir.path()).unwrap(), ["id-5", "id-6", "id-7", "id-8"]);
        prune(dir.path(), 5, 0).unwrap();
        assert_eq!(ids(dir.path()).unwrap(), ["id-8"]);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            (mode(&dir.path().join("id-8")), mode(&dir.path().join("id-8").join(MAPS))),
            (0o700, 0o600)
        );
        assert!(report(dir.path(), "../id-8").is_err() && report(dir.path(), "id-8").is_err());
        assert!(ids(&dir.path().join("none")).unwrap().is_empty());
    }

    #[test]
    fn what_was_left_half_written_is_swept_away_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let kept = [".new-", ".new-../x", ".newer-id-1", ".new-notes.d", "new-id-1"];
        for name in [".new-id-1", ".new-id-2"].iter().chain(&kept) {
            fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        fs::write(dir.path().join(".new-id-1").join(REPORT), "{").unwrap();
        fs::write(dir.path().join(".new-id-3"), "a file is none of ours").unwrap();
        write(dir.path(), "id-4", &[(REPORT, b"{}")]).unwrap();
        sweep(dir.path()).unwrap();
        let there = |name: &str| dir.path().join(name).exists();
        assert!(!there(".new-id-1") && !there(".new-id-2"));
        assert!(there("id-4") && there(".new-id-3") && kept.iter().all(|name| there(name)));
        sweep(&dir.path().join("none")).unwrap();
    }

    #[test]
    fn what_lies_beside_the_reports_is_let_be() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("zz-notes"), "for the author").unwrap();
        fs::create_dir(dir.path().join("id-1.bak")).unwrap();
        for number in 0..3 {
            write(dir.path(), &format!("id-{number}"), &[(REPORT, b"{}")]).unwrap();
            prune(dir.path(), 2, u64::MAX).unwrap();
        }
        assert_eq!(ids(dir.path()).unwrap(), ["id-1", "id-2"]);
        assert!(dir.path().join("zz-notes").exists() && dir.path().join("id-1.bak").exists());
    }
}
