//! The traffic door: sessions and turns, for whoever may open the socket.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tokio::net::UnixListener;
use tokio::task::JoinHandle;

use super::path::{PathError, claim};
use super::{Door, connection};

/// Listens on `path`, with this mode, until the task is aborted.
///
/// # Errors
/// See [`PathError`].
pub fn listen(path: &Path, mode: u32, door: Door) -> Result<JoinHandle<()>, PathError> {
    claim(path)?;
    let io = |doing, source| PathError::Io { doing, path: path.to_owned(), source };
    let listener = UnixListener::bind(path).map_err(|source| io("listen on", source))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
        .map_err(|source| io("set the mode of", source))?;
    Ok(tokio::spawn(accept(listener, door)))
}

async fn accept(listener: UnixListener, door: Door) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => match door.room.clone().try_acquire_owned() {
                Ok(room) => {
                    let door = door.clone();
                    tokio::spawn(async move {
                        connection::serve(stream, door).await;
                        drop(room);
                    });
                }
                Err(_) => connection::turn_away(stream, &door).await,
            },
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection on the traffic socket");
                tokio::time::sleep(connection::ACCEPT_PAUSE).await;
            }
        }
    }
}
