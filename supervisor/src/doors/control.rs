//! The control door: operators, and nobody else. Mode 0600, and the peer must be root or the supervisor's own user.

use std::io;
use std::path::Path;

use interprocess::local_socket::tokio::{Listener, Stream};
use interprocess::local_socket::traits::tokio::Listener as _;
use interprocess::local_socket::{GenericFilePath, ListenerOptions, ToFsName as _};
use interprocess::os::unix::local_socket::ListenerOptionsExt as _;
use tokio::task::JoinHandle;

use super::path::{PathError, claim};
use super::{Door, connection};

/// Listens on `path` until the task is aborted. The socket's file is removed then.
///
/// # Errors
/// See [`PathError`].
pub fn listen(path: &Path, door: Door) -> Result<JoinHandle<()>, PathError> {
    claim(path)?;
    let io = |source: io::Error| PathError::Io { doing: "listen on", path: path.to_owned(), source };
    let name = path.to_fs_name::<GenericFilePath>().map_err(io)?;
    // `claim` has looked: overwriting is left off, so that two supervisors that start at once cannot both have it.
    let listener = ListenerOptions::new().name(name).mode(0o600).create_tokio().map_err(io)?;
    Ok(tokio::spawn(accept(listener, door)))
}

async fn accept(listener: Listener, door: Door) {
    loop {
        match listener.accept().await {
            Ok(stream) if may_control(&stream) => match door.room.clone().try_acquire_owned() {
                Ok(room) => {
                    let door = door.clone();
                    tokio::spawn(async move {
                        connection::serve(stream, door).await;
                        drop(room);
                    });
                }
                Err(_) => connection::turn_away(stream, &door).await,
            },
            Ok(_) => tracing::warn!("refused a connection of another user on the control socket"),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection on the control socket");
                tokio::time::sleep(connection::ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Root, and the user that the supervisor runs as. The socket's mode says the same; the kernel's word on the peer says it twice.
fn may_control(stream: &Stream) -> bool {
    use interprocess::local_socket::traits::StreamCommon as _;
    let peer = stream.peer_creds().ok().and_then(|creds| creds.euid());
    peer.is_some_and(|uid| uid == 0 || uid == rustix::process::geteuid().as_raw())
}
