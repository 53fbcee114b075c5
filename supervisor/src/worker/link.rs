//! What carries the bytes between the supervisor and one worker.
//!
//! A link never blocks and starts no task: whoever has a moment polls it. The socket always works; a ring in shared memory
//! ([`super::ring`]) takes its place behind the same traits.

use std::io::{self, IoSlice, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

/// The way to a worker.
pub trait WayOut: Send {
    /// Takes as many of `bytes` as there is room for, and says how many.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when there is no room at all: then the socket becomes ready when there is, as [`WayOut::told_by`] says.
    /// [`io::ErrorKind::InvalidData`] when the worker broke the link's rules; anything else when it is gone.
    fn try_send(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// How one learns that there is room again.
    fn told_by(&self) -> ToldBy {
        ToldBy::Writable
    }
}

/// What the link's socket does when there is room for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToldBy {
    /// It becomes writable.
    Writable,
    /// It becomes readable: the worker rings. Whether it is writable says nothing, and once the worker is gone it always is.
    Bell,
}

/// The way from a worker.
pub trait WayIn: Send {
    /// Fills `into` with what is there, and says how much; 0 when the worker has closed its end.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when nothing is there. [`io::ErrorKind::InvalidData`] when the worker broke the link's rules; anything else when it is
    /// gone.
    fn try_recv(&mut self, into: &mut [u8]) -> io::Result<usize>;

    /// To be called when nothing is there, before waiting for the socket to become readable.
    ///
    /// # Errors
    /// As [`WayIn::try_recv`].
    fn arm(&mut self) -> io::Result<Armed> {
        Ok(Armed::Sleep { rung: 0 })
    }

    /// What a thread can look at itself, without a system call, where there is such a thing.
    fn lookout(&mut self) -> Option<&mut dyn Lookout> {
        None
    }
}

/// Whether one may wait for the socket now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Armed {
    /// Yes. The worker had rung the bell so many times.
    Sleep {
        /// Bytes on the socket that mean nothing.
        rung: usize,
    },
    /// Something has come meanwhile.
    Look {
        /// As above.
        rung: usize,
    },
    /// The worker has closed its end.
    Ended,
}

/// What came of looking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looked {
    /// Something.
    Came,
    /// Nothing, until it was in vain.
    InVain,
    /// It had been in vain, and something came soon afterwards: looking on would have been worth it.
    CameSoonAfter,
}

/// For a thread that looks itself whether something has come, so that nobody needs to be woken.
pub trait Lookout {
    /// The worker need not ring. Says how often to look before it is in vain; 0 when the worker cannot be running meanwhile.
    fn begin(&mut self) -> u32;

    /// Whether something is there.
    ///
    /// # Errors
    /// As [`WayIn::try_recv`].
    fn has_bytes(&mut self) -> io::Result<bool>;

    /// What came of looking.
    fn learn(&mut self, looked: Looked);

    /// From now on the worker rings again. False when something is there already: then it is not to be waited for.
    ///
    /// # Errors
    /// As [`WayIn::try_recv`].
    fn end(&mut self) -> io::Result<bool>;
}

/// Both ways of a link.
pub struct Ways {
    /// To the worker.
    pub out: Box<dyn WayOut>,
    /// From the worker.
    pub back: Box<dyn WayIn>,
}

/// One end of a `SOCK_STREAM` socket pair.
#[derive(Debug, Clone)]
pub struct SocketLink {
    stream: Arc<UnixStream>,
}

impl SocketLink {
    /// Takes over our end.
    ///
    /// # Errors
    /// When the socket cannot be made non-blocking.
    pub fn new(stream: UnixStream) -> io::Result<SocketLink> {
        stream.set_nonblocking(true)?;
        Ok(SocketLink { stream: Arc::new(stream) })
    }

    /// Both ways through it.
    pub fn ways(&self) -> Ways {
        Ways { out: Box::new(self.clone()), back: Box::new(self.clone()) }
    }

    /// Becomes readable when something is there, and writable when there is room.
    pub fn poll_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// Sends the first message, when the socket is empty.
    ///
    /// # Errors
    /// When not all bytes went out at once, or the worker is gone.
    pub fn send_first(&self, bytes: &[u8]) -> io::Result<()> {
        let sent = (&*self.stream).write(bytes)?;
        if sent == bytes.len() { Ok(()) } else { Err(first_message_cut()) }
    }

    /// Sends `bytes` with a descriptor beside them (`SCM_RIGHTS`, unix(7)). For the first message, when the socket is empty.
    ///
    /// # Errors
    /// When not all bytes went out at once, or the worker is gone.
    pub fn send_with_fd(&self, bytes: &[u8], fd: BorrowedFd<'_>) -> io::Result<()> {
        send_with_fd(&self.stream, bytes, fd)
    }
}

/// Sends all of `bytes`, which must fit, with a descriptor beside them.
pub(crate) fn send_with_fd(stream: &UnixStream, bytes: &[u8], fd: BorrowedFd<'_>) -> io::Result<()> {
    let fds = [fd];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !ancillary.push(SendAncillaryMessage::ScmRights(&fds)) {
        return Err(io::Error::other("no room for one descriptor beside a message"));
    }
    let sent = rustix::net::sendmsg(stream, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL)?;
    if sent != bytes.len() {
        return Err(first_message_cut());
    }
    Ok(())
}

fn first_message_cut() -> io::Error {
    io::Error::new(io::ErrorKind::WriteZero, "the first message did not fit into an empty socket")
}

impl WayOut for SocketLink {
    fn try_send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.stream).write(bytes)
    }
}

impl WayIn for SocketLink {
    fn try_recv(&mut self, into: &mut [u8]) -> io::Result<usize> {
        (&*self.stream).read(into)
    }
}
