//! The keys of a supervisor: the one that signs its transcripts, and the auditor's, to which seeds of hidden-information games are sealed.
//!
//! Both are made at the first start, in `state_dir/keys`, readable by the supervisor's user alone. In earnest the auditor makes a pair of
//! his own and gives the operator only the public half (`auditor_key` in the config): then the operator cannot open what is sealed.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use croupier_fair::keys::{KeyError, ServerKey};
use croupier_fair::seal::{AuditorPublic, AuditorSecret};
use thiserror::Error;

/// Why the keys cannot be had.
#[derive(Debug, Error)]
pub enum KeysError {
    /// The system refused.
    #[error("cannot {doing} the key file {path}: {source}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file is no key.
    #[error(
        "the key file {path} is no key: {source}; restore it from a copy, or move it away to have a new one made"
    )]
    Bad {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: KeyError,
    },
}

/// The keys.
#[derive(Debug)]
pub struct Keys {
    /// Signs transcripts.
    pub server: ServerKey,
    /// Seeds of games that hide information are sealed to it.
    pub auditor: AuditorPublic,
}

/// Reads the keys from `dir`, making those that are not there. A configured auditor's key goes first.
///
/// # Errors
/// See [`KeysError`].
pub fn load(dir: &Path, auditor: Option<AuditorPublic>) -> Result<Keys, KeysError> {
    let io = |doing, source| KeysError::Io { doing, path: dir.to_owned(), source };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|source| io("make the directory of", source))?;
    let server_path = dir.join("server.key");
    let server = ServerKey::from_hex(read_or_make(&server_path)?.trim())
        .map_err(|source| KeysError::Bad { path: server_path, source })?;
    publish(&dir.join("server.pub"), &server.public().to_string())?;
    let auditor = match auditor {
        Some(auditor) => auditor,
        None => own_auditor(dir)?,
    };
    Ok(Keys { server, auditor })
}

/// An auditor's pair of the operator's own: better than nothing, and named so.
fn own_auditor(dir: &Path) -> Result<AuditorPublic, KeysError> {
    let path = dir.join("auditor.key");
    let secret = AuditorSecret::from_hex(read_or_make(&path)?.trim())
        .map_err(|source| KeysError::Bad { path, source })?;
    publish(&dir.join("auditor.pub"), &secret.public().to_string())?;
    Ok(secret.public())
}

/// The text of a key file; 32 fresh random bytes in hexadecimal when there is none.
fn read_or_make(path: &Path) -> Result<String, KeysError> {
    let io = |doing, source| KeysError::Io { doing, path: path.to_owned(), source };
    if !path.try_exists().map_err(|source| io("look at", source))? {
        let text = hex::encode(crate::entropy::bytes());
        match draft(path, &text, 0o600, |draft| std::fs::hard_link(draft, path)) {
            // Somebody else was faster: that one counts.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => made.map_err(|source| io("make", source))?,
        }
    }
    // What is on the disk is what is used.
    std::fs::read_to_string(path).map_err(|source| io("read", source))
}

/// Writes the public half beside a key, unless it is there already.
fn publish(path: &Path, text: &str) -> Result<(), KeysError> {
    if std::fs::read_to_string(path).is_ok_and(|there| there.trim() == text) {
        return Ok(());
    }
    draft(path, text, 0o644, |draft| std::fs::rename(draft, path)).map_err(|source| KeysError::Io {
        doing: "write",
        path: path.to_owned(),
        source,
    })
}

/// Writes a file beside `path`, to the disk, and has it put there whole.
fn draft(path: &Path, text: &str, mode: u32, put: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft = path.with_file_name(format!(".{name}.{}", std::process::id()));
    // One that an earlier process of this number left behind may have another mode.
    let _ = std::fs::remove_file(&draft);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft)?;
    let result = writeln!(file, "{text}").and_then(|()| file.sync_all()).and_then(|()| put(&draft));
    let _ = std::fs::remove_file(&draft);
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn keys_are_made_once_and_are_private() {
        let dir = tempfile::tempdir().unwrap();
        let keys = dir.path().join("keys");
        let first = load(&keys, None).unwrap();
        let second = load(&keys, None).unwrap();
        assert_eq!(first.server.public(), second.server.public());
        assert_eq!(first.auditor, second.auditor);
        let mode = std::fs::metadata(keys.join("server.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let files = std::fs::read_dir(&keys).unwrap().count();
        assert_eq!(files, 4, "two keys, two public halves, and no drafts");
        // Another key: its public half is not the old one's.
        std::fs::write(keys.join("server.key"), "11".repeat(32)).unwrap();
        let third = load(&keys, None).unwrap();
        let public = std::fs::read_to_string(keys.join("server.pub")).unwrap();
        assert_eq!(public.trim(), third.server.public().to_string());
        assert_ne!(third.server.public(), first.server.public());
        std::fs::write(keys.join("server.key"), "garbage").unwrap();
        assert!(matches!(load(&keys, None), Err(KeysError::Bad { .. })));
    }

    #[test]
    fn a_configured_auditor_goes_first() {
        let dir = tempfile::tempdir().unwrap();
        let auditor = AuditorSecret::from_bytes([3; 32]).public();
        assert_eq!(load(dir.path(), Some(auditor)).unwrap().auditor, auditor);
        assert!(!dir.path().join("auditor.key").exists());
    }
}
