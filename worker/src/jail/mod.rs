//! The jail: what confines this process before any of the plugin's code runs (ELF constructors are plugin code).
//!
//! **It confines next to nothing yet.** There is descriptor hygiene, so that the plugin finds no descriptors but the ones meant for this worker; the worker
//! dies with the thread that started it; and it writes no core files. There are *no* resource limits, namespaces, dropped capabilities, Landlock or
//! system call filter: a plugin may do all that the supervisor's user may do. Each of those becomes a step of [`enter`].
//!
//! What the steps do is checked from outside: after the plugin is loaded, nothing that this process says is evidence.
#![allow(unsafe_code)] // descriptors by number, and leaving without destructors

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;

use crate::fault::Fault;

/// Where the link is after [`enter`]; 0 is `/dev/null`, 1 and 2 are the supervisor's pipes, and there is nothing else.
const LINK_FD: RawFd = 3;

/// Enters the jail, step by step; gives the link.
///
/// To be called once, first, while the process has one thread.
pub(crate) fn enter() -> Result<UnixStream, Fault> {
    step("die with the supervisor", die_with_parent())?;
    step("write no core files", no_core_files())?;
    let link = step("move the link off descriptor 0", move_link())?;
    step("close inherited descriptors", close_above(LINK_FD))?;
    Ok(UnixStream::from(link))
}

fn step<T>(step: &'static str, result: io::Result<T>) -> Result<T, Fault> {
    result.map_err(|source| Fault::Jail { step, source })
}

/// Kills this process when the *thread* that started it ends (prctl(2), PR_SET_PDEATHSIG): the spawner must live as long as
/// its workers. A parent that died before this line is noticed as the end of the link.
fn die_with_parent() -> io::Result<()> {
    Ok(prctl::set_pdeathsig(Signal::SIGKILL)?)
}

/// A core file would hold other people's cards, and seeds of running turns.
fn no_core_files() -> io::Result<()> {
    Ok(setrlimit(Resource::RLIMIT_CORE, 0, 0)?)
}

/// Descriptor 0 becomes `/dev/null`, so that a plugin that reads its standard input does not read the link.
fn move_link() -> io::Result<OwnedFd> {
    // SAFETY: dup3 takes plain numbers. Whatever an untidy parent left open at LINK_FD is closed by it; nothing in this
    // process owns a descriptor yet, since this runs first.
    if unsafe { libc::dup3(0, LINK_FD, libc::O_CLOEXEC) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: dup3 has just made LINK_FD, and nobody else in this process knows of it.
    let link = unsafe { OwnedFd::from_raw_fd(LINK_FD) };
    let null = File::options().read(true).write(true).open("/dev/null")?;
    debug_assert!(null.as_raw_fd() > LINK_FD, "0, 1, 2 and the link are open");
    nix::unistd::dup2_stdin(&null)?;
    Ok(link)
}

/// Closes whatever an untidy parent let through.
fn close_above(last: RawFd) -> io::Result<()> {
    let first = libc::c_uint::try_from(last + 1).expect("descriptors are not negative");
    // SAFETY: nothing in this process owns a descriptor above the link: this runs right after `move_link`, which closed its own.
    if unsafe { libc::close_range(first, libc::c_uint::MAX, 0) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Ends the process at once: no exit handlers, no destructors (they are plugin code, and may hang).
pub(crate) fn exit_now(status: i32) -> ! {
    // SAFETY: _exit(2) takes a number and does not return; it runs none of this process's code.
    unsafe { libc::_exit(status) }
}
