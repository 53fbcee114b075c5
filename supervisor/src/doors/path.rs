//! Taking a socket's path: a stale one is removed, a live one never, and none in a directory where others could put theirs in its place.

use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Longest path of a Unix socket, in bytes (`sockaddr_un` in unix(7), less the final NUL).
pub const SOCKET_PATH_BYTES_MAX: usize = 107;

/// Permission bits that let others than the owner put files into a directory.
const OTHERS_WRITE: u32 = 0o022;
/// The bit of directories like `/tmp`, where everybody may put files.
const EVERYBODY_WRITES: u32 = 0o002;

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
    /// Somebody else may have made the directory, or may change what is in it.
    #[error(
        "the socket {path} would be in {directory}, which {why}: remove that, or choose another path in the config"
    )]
    Unsafe {
        /// The path.
        path: PathBuf,
        /// The directory in question.
        directory: PathBuf,
        /// What is wrong with it.
        why: &'static str,
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

/// Makes sure that a socket can be bound at `path`: its directory is there (made with mode 0700 if not) and nobody else's, and nobody listens on it.
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
        check_directory(path, parent)?;
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

/// In a directory where everybody may write, such as `/tmp`, somebody else may have been there first: what is in it must be ours (or root's), a
/// real directory, and writable for nobody else. Whoever owns the directory of a socket can put a socket of his own in its place.
fn check_directory(path: &Path, directory: &Path) -> Result<(), PathError> {
    let io = |doing, source| PathError::Io { doing, path: path.to_owned(), source };
    let absolute = std::path::absolute(directory).map_err(|source| io("find", source))?;
    let mut steps: Vec<&Path> = absolute.ancestors().collect();
    steps.reverse();
    let me = rustix::process::geteuid().as_raw();
    for (above, step) in steps.iter().zip(steps.iter().skip(1)) {
        let above = std::fs::metadata(above).map_err(|source| io("look at the directory of", source))?;
        if above.mode() & EVERYBODY_WRITES == 0 {
            continue;
        }
        let found =
            std::fs::symlink_metadata(step).map_err(|source| io("look at the directory of", source))?;
        let why = if !found.is_dir() {
            "is a symbolic link in a directory where everybody may write"
        } else if found.uid() != me && found.uid() != 0 {
            "belongs to another user"
        } else if found.mode() & OTHERS_WRITE != 0 {
            "others may write to"
        } else {
            continue;
        };
        return Err(PathError::Unsafe { path: path.to_owned(), directory: step.to_path_buf(), why });
    }
    Ok(())
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

    #[test]
    fn a_directory_that_others_may_change_is_refused() {
        use std::os::unix::fs::{PermissionsExt, chown, symlink};
        let mode = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap()
        };
        let dir = tempfile::tempdir().unwrap();
        let shared = dir.path().join("tmp");
        std::fs::create_dir(&shared).unwrap();
        mode(&shared, 0o1777);
        let socket = shared.join("croupier/control.sock");
        // Made by us: mode 0700.
        claim(&socket).unwrap();
        assert_eq!(std::fs::metadata(shared.join("croupier")).unwrap().mode() & 0o777, 0o700);
        claim(&socket).unwrap();
        // The socket itself may be there: nobody else can remove it.
        claim(&shared.join("control.sock")).unwrap();
        mode(&shared.join("croupier"), 0o777);
        let refused = claim(&socket).unwrap_err().to_string();
        assert!(refused.contains("others may write"), "{refused}");
        mode(&shared.join("croupier"), 0o700);
        symlink(shared.join("croupier"), shared.join("link")).unwrap();
        let refused = claim(&shared.join("link/control.sock")).unwrap_err().to_string();
        assert!(refused.contains("symbolic link"), "{refused}");
        // Only root can give a directory away.
        if rustix::process::geteuid().is_root() {
            chown(shared.join("croupier"), Some(12345), None).unwrap();
            let refused = claim(&socket).unwrap_err().to_string();
            assert!(refused.contains("another user"), "{refused}");
        }
    }
}
