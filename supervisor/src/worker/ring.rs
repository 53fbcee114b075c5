//! The link through a ring in shared memory. The socket beside it is its bell: a byte on it says "look", and nothing else.
//!
//! ```text
//!  nobody looks:          try_recv … nothing ─▶ arm ─▶ socket readable ─▶ try_recv …
//!  a thread looks itself: begin ─▶ has_bytes … try_recv … ─▶ end            the worker makes no system call for it
//! ```

use std::io::{self, ErrorKind};

use croupier_ring::{Nonsense, Receiver, Ring, Sender, Shared, Sleep, Spin};

use super::link::{Armed, Looked, Lookout, SocketLink, ToldBy, WayIn, WayOut, Ways};

/// Bytes that are read off the bell at once.
const BELL_BYTES: usize = 64;
/// Reads of the bell before whoever rings it is looked at.
const BELL_READS_MAX: usize = 16;

/// Both ways through a ring, with the socket as its bell.
pub fn ways(ring: Ring, bell: SocketLink) -> Ways {
    // From the first moment on somebody waits for the socket.
    let mut receiver = ring.receiver;
    let _ = receiver.arm(Sleep::ForBell);
    let back = RingIn { receiver, spin: ring.spin, bell, looking: false };
    Ways { out: Box::new(RingOut { sender: ring.sender }), back: Box::new(back) }
}

struct RingOut {
    sender: Sender<Shared>,
}

impl Drop for RingOut {
    fn drop(&mut self) {
        self.sender.go();
    }
}

impl WayOut for RingOut {
    fn try_send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            // The worker's game thread never waits for a bell, so there is nothing to ring.
            let (sent, _) = self.sender.send(bytes).map_err(nonsense)?;
            if sent > 0 || bytes.is_empty() {
                return Ok(sent);
            }
            if self.sender.arm(Sleep::ForBell).map_err(nonsense)? {
                return Err(ErrorKind::WouldBlock.into());
            }
        }
    }

    fn told_by(&self) -> ToldBy {
        ToldBy::Bell
    }
}

struct RingIn {
    receiver: Receiver<Shared>,
    spin: Spin,
    bell: SocketLink,
    /// A thread looks itself.
    looking: bool,
}

impl WayIn for RingIn {
    fn try_recv(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.receiver.recv(into).map_err(nonsense)? {
            (0, _) => Err(ErrorKind::WouldBlock.into()),
            // As above: whoever waits for room was woken.
            (n, _) => Ok(n),
        }
    }

    fn arm(&mut self) -> io::Result<Armed> {
        let mut rung = 0;
        let mut bytes = [0; BELL_BYTES];
        let mut ended = false;
        for _ in 0..BELL_READS_MAX {
            match self.bell.try_recv(&mut bytes) {
                Ok(0) => ended = true,
                Ok(n) => {
                    rung += n;
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => ended = true,
            }
            let may_sleep = if self.looking { true } else { self.end_looking()? };
            return match (ended, may_sleep) {
                // What it said before it went counts.
                (true, true) if !self.receiver.has_bytes().map_err(nonsense)? => Ok(Armed::Ended),
                (false, true) => Ok(Armed::Sleep { rung }),
                _ => Ok(Armed::Look { rung }),
            };
        }
        Ok(Armed::Look { rung })
    }

    fn lookout(&mut self) -> Option<&mut dyn Lookout> {
        Some(self)
    }
}

impl RingIn {
    fn end_looking(&mut self) -> io::Result<bool> {
        // A worker that waits for room waits in the kernel; one that pretends to wait for a bell waits in vain.
        let (nothing, _) = self.receiver.arm(Sleep::ForBell).map_err(nonsense)?;
        Ok(nothing)
    }
}

impl Lookout for RingIn {
    fn begin(&mut self) -> u32 {
        self.looking = true;
        self.receiver.disarm();
        self.receiver.looks(&self.spin)
    }

    fn has_bytes(&mut self) -> io::Result<bool> {
        self.receiver.has_bytes().map_err(nonsense)
    }

    fn learn(&mut self, looked: Looked) {
        match looked {
            Looked::Came => self.spin.came(),
            Looked::InVain => self.spin.missed(),
            Looked::CameSoonAfter => self.spin.woken_soon(),
        }
    }

    fn end(&mut self) -> io::Result<bool> {
        self.looking = false;
        self.end_looking()
    }
}

fn nonsense(error: Nonsense) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error)
}
