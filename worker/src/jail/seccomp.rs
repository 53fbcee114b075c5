//! Installs the system call filter: once, before the plugin is loaded.
//!
//! A filter that came after the plugin would be no boundary: a constructor could install one of its own first. So there is one for loading and running, and the difference
//! between the two is a switch in the supervisor, which holds the listener.
#![allow(unsafe_code)] // seccomp(2)

use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd};

use libc::sock_filter;

use super::check;

/// A call that has reached the supervisor can only be interrupted by a fatal signal, so none is ever answered twice (seccomp_unotify(2)). Linux 5.19.
const WAIT_KILLABLE: libc::c_ulong = 1 << 5;

/// Installs the filter and gives its listener. `no_new_privs` is set here too: without it the kernel refuses.
pub(super) fn install(program: &[sock_filter]) -> io::Result<OwnedFd> {
    nix::sys::prctl::set_no_new_privs()?;
    match set(program, libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | WAIT_KILLABLE) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            set(program, libc::SECCOMP_FILTER_FLAG_NEW_LISTENER)
        }
        other => other,
    }
}

fn set(program: &[sock_filter], flags: libc::c_ulong) -> io::Result<OwnedFd> {
    let len = u16::try_from(program.len()).map_err(io::Error::other)?;
    let filter = libc::sock_fprog { len, filter: program.as_ptr().cast_mut() };
    // SAFETY: the kernel reads `len` instructions at `filter`, which lives until the call returns.
    let result =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const filter) };
    let fd = i32::try_from(check(result)?).map_err(io::Error::other)?;
    // SAFETY: with NEW_LISTENER the result is a descriptor that the kernel has just made for us (seccomp(2)).
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
