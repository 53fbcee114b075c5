//! What carries the bytes between the supervisor and one worker.
//!
//! A link never blocks and starts no task: whoever has a moment polls it. The socket is the link that always works; a ring in
//! shared memory can take its place behind the same trait.

use std::io::{self, IoSlice, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

/// A stream of bytes in both directions that a calling thread can poll itself.
pub trait Link: Send + Sync {
    /// Takes as many of `bytes` as there is room for, and says how many.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when there is no room at all; anything else when the worker is gone.
    fn try_send(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Fills `into` with what is there, and says how much; 0 when the worker has closed its end.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when nothing is there; anything else when the worker is gone.
    fn try_recv(&self, into: &mut [u8]) -> io::Result<usize>;

    /// Becomes readable when something is there, and writable when there is room.
    fn poll_fd(&self) -> BorrowedFd<'_>;
}

/// One end of a `SOCK_STREAM` socket pair.
#[derive(Debug)]
pub struct SocketLink {
    stream: UnixStream,
}

impl SocketLink {
    /// Takes over our end.
    ///
    /// # Errors
    /// When the socket cannot be made non-blocking.
    pub fn new(stream: UnixStream) -> io::Result<SocketLink> {
        stream.set_nonblocking(true)?;
        Ok(SocketLink { stream })
    }

    /// Sends the first message, when the socket is empty.
    ///
    /// # Errors
    /// When not all bytes went out at once, or the worker is gone.
    pub fn send_first(&self, bytes: &[u8]) -> io::Result<()> {
        let sent = (&self.stream).write(bytes)?;
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

impl Link for SocketLink {
    fn try_send(&self, bytes: &[u8]) -> io::Result<usize> {
        (&self.stream).write(bytes)
    }

    fn try_recv(&self, into: &mut [u8]) -> io::Result<usize> {
        (&self.stream).read(into)
    }

    fn poll_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
