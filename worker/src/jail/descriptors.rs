//! The worker's descriptors. These and no others:
//!
//! ```text
//!  0  /dev/null        1, 2  the supervisor's log pipes        3  the link        4, 5  the pipes once more, for when 1 and 2 lead nowhere
//!  6  the link once more, until the filter's listener has been sent over it
//! ```
//!
//! The filter knows descriptors by number: writing is allowed on 1, 2, 3, sending on 6 alone. After the hand-over 6 is closed, and no call that would make another
//! socket is allowed, so nothing can ever be sent again.
#![allow(unsafe_code)] // descriptors by number

use std::fs::File;
use std::io::{self, IoSlice, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};

use croupier_wire::confine::Confined;
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

use super::{check, step};
use crate::fault::Fault;

/// The link.
pub(super) const LINK: RawFd = 3;
/// Copies of 1 and 2.
pub(crate) const PIPES: [RawFd; 2] = [4, 5];
/// Where the listener is sent.
pub(super) const HAND_OVER: RawFd = 6;

/// Takes over descriptors that a parent left: the socket as 0, the pipes as 1 and 2. Gives the socket, now [`LINK`].
///
/// To be called once, first.
pub(crate) fn adopt() -> Result<File, Fault> {
    let adopt = || -> io::Result<File> {
        duplicate(0, LINK)?;
        let null = File::options().read(true).write(true).open("/dev/null")?;
        duplicate(null.as_raw_fd(), 0)?;
        drop(null);
        settle()
    };
    step("put the descriptors in order", adopt())
}

/// With 0 to [`LINK`] in place: makes the copies, closes all else, and gives the link.
pub(super) fn settle() -> io::Result<File> {
    duplicate(1, PIPES[0])?;
    duplicate(2, PIPES[1])?;
    close_above(PIPES[1])?;
    // SAFETY: LINK is open, as the caller guarantees, and nobody else in this process owns it.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(LINK) }))
}

/// Makes `to` the same open file as `from`, whatever it was before. Standard descriptors survive exec, others do not.
pub(super) fn duplicate(from: RawFd, to: RawFd) -> io::Result<()> {
    let flags = if to <= 2 { 0 } else { libc::O_CLOEXEC };
    // SAFETY: dup3 takes plain numbers. What was open as `to` was nobody's: only this module decides on the numbers below 7, before anything owns them.
    check(libc::c_long::from(unsafe { libc::dup3(from, to, flags) })).map(drop)
}

/// Closes whatever an untidy parent let through.
fn close_above(last: RawFd) -> io::Result<()> {
    let first = libc::c_uint::try_from(last + 1).expect("descriptors are not negative");
    // SAFETY: nothing in this process owns a descriptor above these: this runs before anything is opened, or right after a fork that was made for it.
    let closed = unsafe { libc::close_range(first, libc::c_uint::MAX, 0) };
    check(libc::c_long::from(closed)).map(drop)
}

/// Opens [`HAND_OVER`].
pub(super) fn open_hand_over() -> io::Result<()> {
    duplicate(LINK, HAND_OVER)
}

/// Tells the supervisor what confines this process; with a listener over [`HAND_OVER`], which is closed, as is our copy of the listener.
pub(super) fn say(confined: &Confined, listener: Option<OwnedFd>) -> io::Result<()> {
    let mut frame = Vec::new();
    confined.put(&mut frame).map_err(io::Error::other)?;
    let Some(listener) = listener else {
        // SAFETY: LINK is open for as long as the process runs; ManuallyDrop keeps this second owner from closing it.
        let mut link = std::mem::ManuallyDrop::new(unsafe { File::from_raw_fd(LINK) });
        return link.write_all(&frame);
    };
    // SAFETY: `open_hand_over` has made it, and nobody else owns it.
    let hand_over = unsafe { OwnedFd::from_raw_fd(HAND_OVER) };
    let descriptors = [listener.as_raw_fd()];
    let rights = [ControlMessage::ScmRights(&descriptors)];
    let sent =
        sendmsg::<()>(hand_over.as_raw_fd(), &[IoSlice::new(&frame)], &rights, MsgFlags::MSG_NOSIGNAL, None)?;
    if sent == frame.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}
