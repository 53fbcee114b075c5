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
    let public = server.public().to_string();
    write_once(&dir.join("server.pub"), &public, 0o644)?;
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
    write_once(&dir.join("auditor.pub"), &secret.public().to_string(), 0o644)?;
    Ok(secret.public())
}

/// The text of a key file; 32 fresh random bytes in hexadecimal when there is none.
fn read_or_make(path: &Path) -> Result<String, KeysError> {
    let io = |doing, source| KeysError::Io { doing, path: path.to_owned(), source };
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let text = hex::encode(crate::entropy::bytes());
            write_once(path, &text, 0o600)?;
            Ok(text)
        }
        Err(error) => Err(io("read", error)),
    }
}

/// Writes a file that is not there yet, whole or not at all.
fn write_once(path: &Path, text: &str, mode: u32) -> Result<(), KeysError> {
    let io = |doing, source| KeysError::Io { doing, path: path.to_owned(), source };
    if path.exists() {
        return Ok(());
    }
    let draft = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&draft)
        .map_err(|source| io("make", source))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.write_all(b"\n"))
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(&draft, path))
        .map_err(|source| io("write", source))
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
