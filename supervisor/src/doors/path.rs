//! Taking a socket's path: a stale one is removed, a live one never.

use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Longest path of a Unix socket, in bytes (`sockaddr_un` in unix(7), less the final NUL).
pub const SOCKET_PATH_BYTES_MAX: usize = 107;

/// Why a socket's path cannot be had.
#[derive(Debug, Error)]
pub enum PathError {
    /// Somebody listens there.
    #[error("another supervisor listens on {path}: stop it first, or choose another path in the config")]
    InUse {
        /// The path.
        path: PathBuf,
    },
    /// Something else is there.
    #[error("{path} exists and is no socket: move it away, or choose another path in the config")]
    NoSocket {
        /// The path.
        path: PathBuf,
    },
    /// Too long for the kernel.
    #[error(
        "the socket path {path} has {len} bytes, and the kernel takes {SOCKET_PATH_BYTES_MAX}: choose a shorter one"
    )]
    TooLong {
        /// The path.
        path: PathBuf,
        /// Its length.
        len: usize,
    },
    /// The system refused.
    #[error("cannot {doing} {path}: {source}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The path.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Makes sure that a socket can be bound at `path`: its directory is there (made with mode 0700 if not), and nobody listens on it.
///
/// # Errors
/// See [`PathError`].
pub fn claim(path: &Path) -> Result<(), PathError> {
    let io = |doing, source| PathError::Io { doing, path: path.to_owned(), source };
    let len = path.as_os_str().len();
    if len > SOCKET_PATH_BYTES_MAX {
        return Err(PathError::TooLong { path: path.to_owned(), len });
    }
    if let Some(parent) = path.parent()
        && !parent.as_os_str().is_empty()
    {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)
            .map_err(|source| io("make the directory of", source))?;
    }
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io("look at", error)),
        Ok(data) if !data.file_type().is_socket() => {
            return Err(PathError::NoSocket { path: path.to_owned() });
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(PathError::InUse { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(|source| io("remove the stale socket", source))
        }
        Err(error) => Err(io("connect to", error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_live_socket_is_never_taken_and_a_stale_one_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/er/control.sock");
        claim(&path).unwrap();
        let listener = UnixListener::bind(&path).unwrap();
        assert!(matches!(claim(&path), Err(PathError::InUse { .. })));
        drop(listener);
        claim(&path).unwrap();
        assert!(!path.exists());
        std::fs::write(&path, "precious").unwrap();
        assert!(matches!(claim(&path), Err(PathError::NoSocket { .. })));
        let long = dir.path().join("x".repeat(200));
        assert!(matches!(claim(&long), Err(PathError::TooLong { .. })));
    }
}
