//! How bytes come and go: over the socket, or through a ring in shared memory whose bell the socket then is.
//!
//! Both block until it is done, and end the process when there is nobody left at the other end.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use croupier_ring::{Nonsense, Receiver, Sender, Shared, Spin, Waited, Wake};
use croupier_wire::frame::FrameReader;

use crate::jail;

/// A sleep that was shorter than this would better have been spent looking: a wake-up takes about as long.
const SHORT_SLEEP: Duration = Duration::from_micros(150);

/// Where bytes come from.
pub(super) enum WayIn {
    /// The socket.
    Socket(Arc<File>),
    /// The ring.
    Ring {
        /// Our end.
        receiver: Receiver<Shared>,
        /// How long to look before sleeping.
        spin: Spin,
        /// The socket.
        bell: Arc<File>,
    },
}

/// Where bytes go.
pub(super) enum WayOut {
    /// The socket.
    Socket(Arc<File>),
    /// The ring.
    Ring {
        /// Our end.
        sender: Sender<Shared>,
        /// The socket.
        bell: Arc<File>,
    },
}

impl WayIn {
    /// Through a ring.
    pub(super) fn ring(receiver: Receiver<Shared>, spin: Spin, bell: Arc<File>) -> WayIn {
        WayIn::Ring { receiver, spin, bell }
    }

    /// The socket, whatever it is used for.
    pub(super) fn socket(&self) -> &Arc<File> {
        match self {
            WayIn::Socket(socket) | WayIn::Ring { bell: socket, .. } => socket,
        }
    }

    /// Waits until at least one byte has come.
    pub(super) fn receive(&mut self, reader: &mut FrameReader) {
        match self {
            WayIn::Socket(socket) => receive(socket, reader),
            WayIn::Ring { receiver, spin, bell } => loop {
                // Before looking: what was sent before the end counts.
                let over = receiver.is_over();
                let (n, wake) = made_sense(receiver.recv(reader.space()));
                ring(bell, wake);
                if n > 0 {
                    return reader.filled(n);
                }
                // Only when all that came was taken, and only the supervisor says this: nobody is left to play for.
                if over {
                    jail::exit_now(0);
                }
                wait(receiver, spin, bell);
            },
        }
    }
}

/// Looks for a while, then sleeps. May come back with nothing.
fn wait(receiver: &mut Receiver<Shared>, spin: &mut Spin, bell: &File) {
    if made_sense(receiver.spin(spin)) == Waited::Bytes {
        return;
    }
    let since = Instant::now();
    let (waited, wake) = made_sense(receiver.wait());
    ring(bell, wake);
    if waited == Waited::Bytes && since.elapsed() < SHORT_SLEEP {
        spin.woken_soon();
    }
}

fn receive(mut socket: &File, reader: &mut FrameReader) {
    loop {
        match socket.read(reader.space()) {
            Ok(0) => jail::exit_now(0),
            Ok(n) => return reader.filled(n),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => jail::exit_now(0),
        }
    }
}

impl WayOut {
    /// Sends all of it.
    pub(super) fn send(&mut self, mut bytes: &[u8]) {
        match self {
            WayOut::Socket(socket) => {
                if (&**socket).write_all(bytes).is_err() {
                    jail::exit_now(0);
                }
            }
            WayOut::Ring { sender, bell } => {
                while !bytes.is_empty() {
                    let (sent, wake) = made_sense(sender.send(bytes));
                    ring(bell, wake);
                    bytes = &bytes[sent..];
                    if !bytes.is_empty() {
                        made_sense(sender.wait());
                    }
                }
            }
        }
    }
}

/// Wakes a supervisor that waits for the bell.
fn ring(mut bell: &File, wake: Wake) {
    if wake == Wake::Bell && bell.write_all(&[0]).is_err() {
        jail::exit_now(0);
    }
}

/// The supervisor does not send nonsense; the plugin has written to the ring. There is nobody left to talk to.
fn made_sense<T>(result: Result<T, Nonsense>) -> T {
    result.unwrap_or_else(|_| jail::exit_now(EXIT_NONSENSE))
}

/// Exit status of a worker whose ring was garbled. Any but 0 counts against the plugin.
const EXIT_NONSENSE: i32 = 1;
