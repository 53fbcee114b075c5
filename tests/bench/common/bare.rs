//! Bare transports between two processes, to compare with: the bytes go there, and come back.

use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use croupier_ring::{Ring, Waited};
use rustix::process::Pid;

const RING: &str = "--serve-ring";
const SOCKET: &str = "--serve-socket";

/// Which transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The ring.
    Ring,
    /// A Unix socket.
    Socket,
}

/// What this process was started as, if it was started as a peer.
pub(crate) fn role(words: &[String]) -> Option<Role> {
    words.iter().find_map(|word| match word.as_str() {
        RING => Some(Role::Ring),
        SOCKET => Some(Role::Socket),
        _ => None,
    })
}

impl Role {
    /// Gives back what comes, until nobody is left.
    pub(crate) fn serve(self) {
        let stdin = std::io::stdin().as_fd().try_clone_to_owned().expect("a descriptor");
        match self {
            Role::Ring => {
                serve_ring(croupier_ring::adopt(&stdin, croupier_ring::RING_BYTES_DEFAULT).expect("a ring"))
            }
            Role::Socket => serve_socket(UnixStream::from(stdin)),
        }
    }
}

fn serve_ring(mut ring: Ring) {
    let mut bytes = vec![0; 128 << 10];
    while !ring.receiver.is_over() {
        let (n, _) = ring.receiver.recv(&mut bytes).expect("sense");
        send(&mut ring, &bytes[..n]);
        if n == 0 {
            wait(&mut ring);
        }
    }
}

fn send(ring: &mut Ring, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let (sent, _) = ring.sender.send(bytes).expect("sense");
        bytes = &bytes[sent..];
    }
}

fn wait(ring: &mut Ring) {
    if ring.receiver.spin(&mut ring.spin).expect("sense") == Waited::Nothing {
        let from = std::time::Instant::now();
        let (waited, _) = ring.receiver.wait().expect("sense");
        if waited == Waited::Bytes && from.elapsed().as_micros() < 150 {
            ring.spin.woken_soon();
        }
    }
}

fn serve_socket(mut socket: UnixStream) {
    let mut bytes = vec![0; 128 << 10];
    loop {
        match socket.read(&mut bytes) {
            Ok(0) | Err(_) => return,
            Ok(n) => socket.write_all(&bytes[..n]).expect("a peer"),
        }
    }
}

enum Link {
    Ring(Ring),
    Socket(UnixStream),
}

/// A peer in a process of its own.
pub(crate) struct Echo {
    link: Option<Link>,
    child: Child,
    bytes: Vec<u8>,
}

impl Echo {
    /// Starts it on this processor.
    pub(crate) fn start(role: Role, cpu: usize) -> Echo {
        let (theirs, link, word): (OwnedFd, Link, &str) = match role {
            Role::Ring => {
                let (memory, ring) =
                    croupier_ring::create(croupier_ring::RING_BYTES_DEFAULT).expect("a ring");
                (memory, Link::Ring(ring), RING)
            }
            Role::Socket => {
                let (ours, theirs) = UnixStream::pair().expect("a pair");
                (theirs.into(), Link::Socket(ours), SOCKET)
            }
        };
        let program = std::env::current_exe().expect("a program");
        let child = Command::new(program).arg(word).stdin(Stdio::from(theirs)).spawn().expect("it starts");
        let mut set = rustix::thread::CpuSet::new();
        set.set(cpu);
        let _ = rustix::thread::sched_setaffinity(Pid::from_raw(child.id().cast_signed()), &set);
        Echo { link: Some(link), child, bytes: vec![0; 128 << 10] }
    }

    /// There and back.
    pub(crate) fn call(&mut self, payload: &[u8]) {
        let mut back = 0;
        match self.link.as_mut().expect("not dropped") {
            Link::Ring(ring) => {
                send(ring, payload);
                while back < payload.len() {
                    let (n, _) = ring.receiver.recv(&mut self.bytes[back..]).expect("sense");
                    back += n;
                    if n == 0 {
                        wait(ring);
                    }
                }
            }
            Link::Socket(socket) => {
                socket.write_all(payload).expect("a peer");
                while back < payload.len() {
                    back += socket.read(&mut self.bytes[back..]).expect("a peer");
                }
            }
        }
        assert_eq!(back, payload.len());
    }
}

impl Echo {
    /// There and back, `count` times, with up to `window` on their way. A window fits into the ring, or the socket, so nobody waits for room.
    pub(crate) fn stream(&mut self, payload: &[u8], count: usize, window: usize) {
        let (mut sent, mut back) = (0, 0);
        let ring = match self.link.as_mut().expect("not dropped") {
            Link::Ring(ring) => ring,
            Link::Socket(socket) => {
                // What may be on its way goes out at once.
                let bytes = payload.repeat(window);
                while back < count * payload.len() {
                    let room = count.min(back / payload.len() + window) - sent;
                    socket.write_all(&bytes[..room * payload.len()]).expect("a peer");
                    sent += room;
                    back += socket.read(&mut self.bytes).expect("a peer");
                }
                return;
            }
        };
        while back < count * payload.len() {
            while sent < count && sent * payload.len() < back + window * payload.len() {
                send(ring, payload);
                sent += 1;
            }
            let (n, _) = ring.receiver.recv(&mut self.bytes).expect("sense");
            back += n;
            if n == 0 {
                wait(ring);
            }
        }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        // The end of a socket is seen by itself.
        if let Some(Link::Ring(ring)) = self.link.take() {
            ring.sender.go();
        }
        let _ = self.child.wait();
    }
}
