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

/// Nothing came in a sleep of this: it was as long as any.
const LONG_SLEEP: Duration = Duration::from_millis(900);
/// After so many of them in a row the bell is rung, to see whether there is still anybody. To whoever is there it means nothing.
const LONG_SLEEPS_MAX: u32 = 4;

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
        /// Long sleeps in a row.
        sleeps: u32,
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
        WayIn::Ring { receiver, spin, bell, sleeps: 0 }
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
            WayIn::Ring { receiver, spin, bell, sleeps } => loop {
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
                wait(receiver, spin, bell, sleeps);
            },
        }
    }
}

/// Looks for a while, then sleeps. May come back with nothing.
fn wait(receiver: &mut Receiver<Shared>, spin: &mut Spin, bell: &File, sleeps: &mut u32) {
    if made_sense(receiver.spin(spin)) == Waited::Bytes {
        return;
    }
    let since = Instant::now();
    let (waited, wake) = made_sense(receiver.wait());
    ring(bell, wake);
    match waited {
        Waited::Bytes if since.elapsed() < SHORT_SLEEP => spin.woken_soon(),
        Waited::Bytes => {}
        Waited::Nothing => slept(since, sleeps, bell),
    }
    if waited == Waited::Bytes {
        *sleeps = 0;
    }
}

/// Nothing came. A supervisor that was killed says nothing in the ring, and the end of the socket wakes nobody who sleeps here; as a rule the zygote's end does, but not whoever was made
/// while that ended.
fn slept(since: Instant, sleeps: &mut u32, bell: &File) {
    *sleeps += u32::from(since.elapsed() >= LONG_SLEEP);
    if *sleeps >= LONG_SLEEPS_MAX {
        *sleeps = 0;
        ring(bell, Wake::Bell);
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
                let mut sleeps = 0;
                while !bytes.is_empty() {
                    let (sent, wake) = made_sense(sender.send(bytes));
                    ring(bell, wake);
                    bytes = &bytes[sent..];
                    if !bytes.is_empty() {
                        let since = Instant::now();
                        made_sense(sender.wait());
                        slept(since, &mut sleeps, bell);
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

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::process::Command;

    use croupier_ring::{RING_BYTES_MIN, create};
    use croupier_wire::link::LINK_VERSION;

    use super::*;

    /// Set for the process that is to end by itself: which way it is to wait.
    const WAITS: &str = "CROUPIER_TEST_WAITS";

    /// Waits on a ring whose other side was killed: nobody will ever write or read there.
    fn wait_alone(way: &str) {
        let (_memory, mut ours) = create(RING_BYTES_MIN).expect("memory");
        let (bell, gone) = UnixStream::pair().expect("a pair");
        drop(gone);
        let bell = Arc::new(File::from(std::os::fd::OwnedFd::from(bell)));
        if way == "in" {
            let mut way = WayIn::ring(ours.receiver, ours.spin, bell);
            way.receive(&mut FrameReader::new(LINK_VERSION, 1 << 20));
        } else {
            let filled = vec![0; RING_BYTES_MIN as usize];
            let _ = ours.sender.send(&filled);
            WayOut::Ring { sender: ours.sender, bell }.send(&filled);
        }
        unreachable!("there is nothing to come back with");
    }

    #[test]
    fn a_worker_whose_supervisor_was_killed_ends_though_nobody_wakes_it() {
        if let Some(way) = std::env::var_os(WAITS) {
            wait_alone(&way.to_string_lossy());
        }
        let me = "link::ways::tests::a_worker_whose_supervisor_was_killed_ends_though_nobody_wakes_it";
        let mut waiting: Vec<_> = ["in", "out"]
            .into_iter()
            .map(|way| {
                let program = std::env::current_exe().expect("a program");
                Command::new(program).args([me, "--exact"]).env(WAITS, way).spawn().expect("it starts")
            })
            .collect();
        let until = Instant::now() + Duration::from_secs(60);
        for process in &mut waiting {
            let status = loop {
                if let Some(status) = process.try_wait().expect("a child") {
                    break status;
                }
                if Instant::now() > until {
                    let _ = process.kill();
                    let _ = process.wait();
                    panic!("it sleeps on");
                }
                std::thread::sleep(Duration::from_millis(20));
            };
            assert!(status.success(), "{status}");
        }
    }
}
