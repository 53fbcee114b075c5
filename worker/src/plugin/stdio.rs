//! What the plugin prints. Descriptors 1 and 2 are pipes of the supervisor, which makes log lines of them; while turns are
//! replayed they lead nowhere, since everything was printed the first time.
//!
//! This is for what the plugin writes through C's stdio or straight to the descriptors. Rust's `println!` in a plugin has a buffer of
//! its own which is empty after every whole line.
#![allow(unsafe_code)] // C's stdio

use std::os::fd::{BorrowedFd, RawFd};

use crate::jail::descriptors::PIPES;

unsafe extern "C" {
    /// C's standard output (stdio(3)).
    static mut stdout: *mut libc::FILE;
}

/// Whether the plugin's output is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// To the supervisor.
    Shown,
    /// To nowhere.
    Hidden,
}

/// `/dev/null`, by the jail's arrangement.
const NULL: RawFd = 0;

/// The places that descriptors 1 and 2 can lead to.
pub(crate) struct Stdio {
    now: Output,
}

impl Stdio {
    /// Makes C's standard output line-buffered, so that a crash loses no whole line.
    pub(crate) fn new() -> Stdio {
        // SAFETY: libc owns `stdout` and nothing has been written to it yet, as setvbuf(3) demands: the plugin is not loaded.
        unsafe { libc::setvbuf(stdout, std::ptr::null_mut(), libc::_IOLBF, 0) };
        Stdio { now: Output::Shown }
    }

    /// Leads 1 and 2 to the pipes or to nowhere. Costs nothing when nothing changes.
    pub(crate) fn set(&mut self, output: Output) {
        if self.now == output {
            return;
        }
        flush();
        let (out, err) = match output {
            Output::Shown => (PIPES[0], PIPES[1]),
            Output::Hidden => (NULL, NULL),
        };
        // SAFETY: the jail has opened these three, and nothing of ours closes them. A plugin that does gets an error from dup2, and no log.
        let (out, err) = unsafe { (BorrowedFd::borrow_raw(out), BorrowedFd::borrow_raw(err)) };
        // dup2 between open descriptors fails only while another thread opens the same number (dup(2), EBUSY). The worst that follows is
        // a log line too many or too few.
        let _ = nix::unistd::dup2_stdout(out);
        let _ = nix::unistd::dup2_stderr(err);
        self.now = output;
    }
}

/// Empties C's buffers into the descriptors.
pub(crate) fn flush() {
    // SAFETY: fflush(3) with NULL flushes every open output stream; libc locks each one.
    unsafe { libc::fflush(std::ptr::null_mut()) };
}
