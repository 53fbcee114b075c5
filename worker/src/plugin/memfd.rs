//! Where there is no filter: takes descriptors off the messages beside which they come, and checks of the plugin's that nobody can change what is behind it.
#![allow(unsafe_code)] // descriptors arrive as bare numbers

use std::fs::File;
use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};

use crate::fault::Fault;
use crate::jail;

/// Room for this many descriptors, so that more than one is noticed.
const DESCRIPTORS_MAX: usize = 8;

/// Receives the next bytes of the link into `space`, and whatever descriptors are beside them. The end of the link ends the process.
pub(crate) fn receive(socket: &File, space: &mut [u8]) -> (usize, Vec<OwnedFd>) {
    loop {
        match receive_any(socket, space) {
            Ok((0, _)) => jail::exit_now(0),
            Ok(received) => return received,
            Err(Errno::EINTR) => {}
            Err(_) => jail::exit_now(0),
        }
    }
}

/// The one descriptor that should have come.
pub(crate) fn only(mut descriptors: Vec<OwnedFd>) -> Result<OwnedFd, Fault> {
    match (descriptors.pop(), descriptors.len()) {
        (Some(one), 0) => Ok(one),
        (None, _) => Err(Fault::Descriptors { count: 0 }),
        (Some(_), others) => Err(Fault::Descriptors { count: others + 1 }),
    }
}

fn receive_any(socket: &File, space: &mut [u8]) -> nix::Result<(usize, Vec<OwnedFd>)> {
    let mut control = nix::cmsg_space!([RawFd; DESCRIPTORS_MAX]);
    let mut parts = [IoSliceMut::new(space)];
    let message =
        recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::MSG_CMSG_CLOEXEC)?;
    let mut descriptors = Vec::new();
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(numbers) = control {
            // SAFETY: the kernel has just made these descriptors for this process (unix(7), SCM_RIGHTS); nobody else owns them.
            descriptors.extend(numbers.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
        }
    }
    Ok((message.bytes, descriptors))
}

/// Refuses a descriptor whose bytes could still change (memfd_create(2), "File sealing"): what was verified is what runs.
pub(crate) fn check_seals(memfd: &OwnedFd) -> Result<(), Fault> {
    let seals = fcntl(memfd, FcntlArg::F_GET_SEALS).map_err(Fault::NotMemfd)?;
    let needed = SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SHRINK;
    if SealFlag::from_bits_retain(seals).contains(needed) { Ok(()) } else { Err(Fault::Unsealed) }
}
