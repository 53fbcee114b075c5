//! Capabilities, `no_new_privs`, and who may look into this process.
#![allow(unsafe_code)] // prctl(2) and capset(2)

use std::io;

use nix::sys::prctl;
use nix::sys::signal::Signal;

use super::check;

/// Beyond the last capability that any kernel has.
const CAPABILITIES_MAX: libc::c_ulong = 64;
/// All of securebits(7), each locked: root is nobody special, and nothing can be raised again. KEEP_CAPS itself stays off.
const SECURE_BITS: libc::c_ulong = 0xef;
/// `_LINUX_CAPABILITY_VERSION_3` (capget(2)).
const CAPABILITY_VERSION: u32 = 0x2008_0522;

/// Kills this process when the *thread* that made it ends (prctl(2), PR_SET_PDEATHSIG). Changing the user id switches it off, so it is done again afterwards. A parent that
/// died before this line is not noticed; the supervisor's end is, by whoever waits for the link.
pub(super) fn die_with_parent() -> io::Result<()> {
    Ok(prctl::set_pdeathsig(Signal::SIGKILL)?)
}

/// Empties every capability set and sets `no_new_privs`.
///
/// The bounding set and the securebits need CAP_SETPCAP. Where that is missing (no user namespace), the other sets are empty already and `no_new_privs` keeps them so; from
/// outside the bounding set is seen to be there still.
pub(super) fn drop_all() -> io::Result<()> {
    for capability in 0..CAPABILITIES_MAX {
        match control(libc::PR_CAPBSET_DROP, capability) {
            Ok(()) => {}
            // Beyond the last one, or not allowed.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EPERM)) => break,
            Err(error) => return Err(error),
        }
    }
    control(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong)?;
    match control(libc::PR_SET_SECUREBITS, SECURE_BITS) {
        Err(error) if error.raw_os_error() != Some(libc::EPERM) => return Err(error),
        _ => {}
    }
    let header = [CAPABILITY_VERSION, 0];
    let none = [0u32; 6];
    // SAFETY: capset(2) reads a header of two words and two structs of three words each, which are here.
    check(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) })?;
    Ok(prctl::set_no_new_privs()?)
}

/// Other processes of the same user may not trace this one or read its memory.
pub(super) fn undumpable() -> io::Result<()> {
    control(libc::PR_SET_DUMPABLE, 0)
}

fn control(option: libc::c_int, argument: libc::c_ulong) -> io::Result<()> {
    let zero: libc::c_ulong = 0;
    // SAFETY: the options that are used here take numbers only.
    check(libc::c_long::from(unsafe { libc::prctl(option, argument, zero, zero, zero) })).map(drop)
}
