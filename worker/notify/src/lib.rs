//! The supervisor's end of a worker's system call filter: safe wrappers around seccomp user notification (seccomp_unotify(2)).
//!
//! ```text
//!  worker: call that the filter does not know ─▶ stops ─▶ Listener::receive ─▶ decide ─┬─ refuse(errno)
//!                                                                                    ├─ resume   (the kernel makes the call after all)
//!                                                                                    └─ give_fd  (an `openat` is answered with a descriptor of ours)
//! ```
//!
//! A crate of its own because five `ioctl`s need `unsafe`, and the supervisor has none. It decides nothing. Whoever decides looks at numbers alone: what an argument
//! points to belongs to the worker, which can change it after it was looked at.
#![allow(unsafe_code)] // five ioctls

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// `AUDIT_ARCH_X86_64` (linux/audit.h).
pub const ARCH_X86_64: u32 = 0xc000_003e;
/// `AUDIT_ARCH_I386`: a 64-bit process gets there by `int 0x80`.
pub const ARCH_I386: u32 = 0x4000_0003;
/// Set in the number of an x32 call.
pub const X32_BIT: u32 = 0x4000_0000;

/// A call that waits for a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// Names this very call.
    pub id: u64,
    /// The calling thread, as numbered in the pid namespace of whoever reads.
    pub thread: u32,
    /// `AUDIT_ARCH_*`.
    pub arch: u32,
    /// The call's number.
    pub number: u32,
    /// Where in the process the call was made.
    pub ip: u64,
    /// Its arguments, unlooked at.
    pub args: [u64; 6],
}

/// A filter's listener. Readable when a call waits; hung up when nobody is left whom the filter confines.
#[derive(Debug)]
pub struct Listener {
    fd: OwnedFd,
}

impl From<OwnedFd> for Listener {
    fn from(fd: OwnedFd) -> Listener {
        Listener { fd }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// `SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP` (linux/seccomp.h).
const SYNC_WAKE_UP: libc::c_ulong = 1;

impl Listener {
    /// Caller and reader run in turn from now on, on one processor: each waits for the other, and another processor would have to be woken first. Says whether the kernel does
    /// that (Linux 6.6); an older one goes on as before.
    pub fn take_turns(&self) -> bool {
        // SAFETY: a number and nothing that it points to.
        let result =
            unsafe { libc::ioctl(self.fd.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS, SYNC_WAKE_UP) };
        result == 0
    }

    /// Takes a call. To be called when the listener is readable, by one reader; it blocks otherwise. `None` when the caller has died meanwhile.
    ///
    /// # Errors
    /// When the descriptor is no listener.
    pub fn receive(&self) -> io::Result<Option<Call>> {
        // The kernel refuses a buffer that is not zero.
        let mut raw = MaybeUninit::<libc::seccomp_notif>::zeroed();
        // SAFETY: the kernel writes at most the size that is encoded in the request, which is that of `seccomp_notif`, into memory of ours.
        let result =
            unsafe { libc::ioctl(self.fd.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, raw.as_mut_ptr()) };
        if result < 0 {
            return gone(io::Error::last_os_error()).map(|()| None);
        }
        // SAFETY: integers only, for which all zeros and whatever the kernel wrote are values.
        let raw = unsafe { raw.assume_init() };
        let libc::seccomp_notif { id, pid, data, .. } = raw;
        let (number, arch) = (data.nr.cast_unsigned(), data.arch);
        Ok(Some(Call { id, thread: pid, arch, number, ip: data.instruction_pointer, args: data.args }))
    }

    /// Whether the caller still waits for its answer: its thread lives, so its process's number has not become another's. To be asked after something was read by that number, and
    /// before it is believed (seccomp_unotify(2)).
    #[must_use]
    pub fn still_waits(&self, call: &Call) -> bool {
        let id: *const u64 = &call.id;
        // SAFETY: the kernel reads a u64 of ours.
        let result = unsafe { libc::ioctl(self.fd.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ID_VALID, id) };
        result == 0
    }

    /// The call fails with this error number.
    ///
    /// # Errors
    /// When the descriptor is no listener. A caller that has died is no error.
    pub fn refuse(&self, call: &Call, errno: i32) -> io::Result<()> {
        self.respond(&libc::seccomp_notif_resp { id: call.id, val: 0, error: -errno, flags: 0 })
    }

    /// The kernel makes the call after all. Only for calls whose arguments are all numbers.
    ///
    /// # Errors
    /// As [`Listener::refuse`].
    pub fn resume(&self, call: &Call) -> io::Result<()> {
        let flags = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32;
        self.respond(&libc::seccomp_notif_resp { id: call.id, val: 0, error: 0, flags })
    }

    /// The call returns a new descriptor in the caller's table, close-on-exec, for the same open file as `fd`. Its number, or `None` when the caller has died.
    ///
    /// # Errors
    /// When the caller's table is full, or the descriptor is no listener.
    pub fn give_fd(&self, call: &Call, fd: BorrowedFd<'_>) -> io::Result<Option<u32>> {
        let request = libc::seccomp_notif_addfd {
            id: call.id,
            // Adding the descriptor and answering the call are one step: no moment in between in which the call could be interrupted and made again.
            flags: libc::SECCOMP_ADDFD_FLAG_SEND as u32,
            srcfd: fd.as_raw_fd().cast_unsigned(),
            newfd: 0,
            newfd_flags: libc::O_CLOEXEC.cast_unsigned(),
        };
        // SAFETY: the kernel reads a `seccomp_notif_addfd` of ours; `fd` is open for as long as it is borrowed.
        let result =
            unsafe { libc::ioctl(self.fd.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ADDFD, &raw const request) };
        if result < 0 {
            return gone(io::Error::last_os_error()).map(|()| None);
        }
        Ok(Some(result.cast_unsigned()))
    }

    fn respond(&self, response: &libc::seccomp_notif_resp) -> io::Result<()> {
        let response: *const libc::seccomp_notif_resp = response;
        // SAFETY: the kernel reads a `seccomp_notif_resp` of ours.
        let result = unsafe { libc::ioctl(self.fd.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, response) };
        if result < 0 { gone(io::Error::last_os_error()) } else { Ok(()) }
    }
}

/// The caller has died, or a signal came first: nothing to be done.
fn gone(error: io::Error) -> io::Result<()> {
    match error.raw_os_error() {
        Some(libc::ENOENT | libc::EINTR) => Ok(()),
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_listener_is_said_to_be_none() {
        let listener = Listener::from(OwnedFd::from(std::fs::File::open("/dev/null").unwrap()));
        assert!(!listener.take_turns());
        assert!(listener.receive().is_err());
        let call = Call { id: 1, thread: 1, arch: ARCH_X86_64, number: 0, ip: 0, args: [0; 6] };
        assert!(!listener.still_waits(&call));
        assert!(listener.refuse(&call, libc::EPERM).is_err());
        assert!(listener.resume(&call).is_err());
        assert!(listener.give_fd(&call, listener.as_fd()).is_err());
    }

    /// A call that no kernel has.
    const CALL: u32 = 0x63_7273;

    /// A filter for this thread alone, which passes that call on.
    fn confine_this_thread() -> Listener {
        let load = |offset: u32| libc::sock_filter {
            code: (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16,
            jt: 0,
            jf: 0,
            k: offset,
        };
        let give = |action: u32| libc::sock_filter {
            code: (libc::BPF_RET | libc::BPF_K) as u16,
            jt: 0,
            jf: 0,
            k: action,
        };
        let is_call = libc::sock_filter {
            code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16,
            jt: 0,
            jf: 1,
            k: CALL,
        };
        // The number stands first in `seccomp_data`.
        let mut rules = [load(0), is_call, give(libc::SECCOMP_RET_USER_NOTIF), give(libc::SECCOMP_RET_ALLOW)];
        let program = libc::sock_fprog { len: rules.len() as u16, filter: rules.as_mut_ptr() };
        // SAFETY: numbers only; it takes rights from this thread, which ends with the test.
        assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
        let listens = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
        let filter = libc::SECCOMP_SET_MODE_FILTER;
        // SAFETY: the kernel reads the program and its rules, which are ours and outlive the call.
        let fd = unsafe { libc::syscall(libc::SYS_seccomp, filter, listens, &raw const program) };
        assert!(fd >= 0, "{}", io::Error::last_os_error());
        // SAFETY: the kernel made it just now, and nobody else has it.
        Listener::from(unsafe { <OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(fd as i32) })
    }

    #[test]
    fn a_call_waits_until_it_is_answered_and_no_longer() {
        let (give, given) = std::sync::mpsc::channel();
        let confined = std::thread::spawn(move || {
            give.send(confine_this_thread()).unwrap();
            // SAFETY: no kernel has this call, and the filter passes it on.
            let result = unsafe { libc::syscall(libc::c_long::from(CALL)) };
            (result, io::Error::last_os_error().raw_os_error())
        });
        let listener = given.recv().unwrap();
        // What follows holds whether the kernel can or not.
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|part| part.parse().ok());
        let release: (u32, u32) = (numbers.next().unwrap(), numbers.next().unwrap());
        assert_eq!(listener.take_turns(), release >= (6, 6));
        let call = listener.receive().unwrap().unwrap();
        assert_eq!(call.number, CALL);
        assert!(listener.still_waits(&call));
        assert!(!listener.still_waits(&Call { id: call.id + 1, ..call }), "another one");
        listener.refuse(&call, libc::EDOM).unwrap();
        assert_eq!(confined.join().unwrap(), (-1, Some(libc::EDOM)));
        assert!(!listener.still_waits(&call));
    }
}
