//! What the plugin prints. Descriptors 1 and 2 are pipes of the supervisor, which makes log lines of them; while turns are
//! replayed they lead nowhere, since everything was printed the first time.
//!
//! This is for what the plugin writes through C's stdio or straight to the descriptors. Rust's `println!` in a plugin has a buffer of
//! its own which is empty after every whole line.
#![allow(unsafe_code)] // C's stdio

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use crate::fault::Fault;

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

/// The places that descriptors 1 and 2 can lead to.
pub(crate) struct Stdio {
    now: Output,
    null: OwnedFd,
    out: OwnedFd,
    err: OwnedFd,
}

impl Stdio {
    /// Remembers the pipes, and makes C's standard output line-buffered, so that a crash loses no whole line.
    pub(crate) fn new() -> Result<Stdio, Fault> {
        // SAFETY: libc owns `stdout` and nothing has been written to it yet, as setvbuf(3) demands: the plugin is not loaded.
        unsafe { libc::setvbuf(stdout, std::ptr::null_mut(), libc::_IOLBF, 0) };
        let open = || -> io::Result<Stdio> {
            Ok(Stdio {
                now: Output::Shown,
                null: File::options().write(true).open("/dev/null")?.into(),
                out: io::stdout().as_fd().try_clone_to_owned()?,
                err: io::stderr().as_fd().try_clone_to_owned()?,
            })
        };
        open().map_err(|source| Fault::Jail { step: "remember the log pipes", source })
    }

    /// Leads 1 and 2 to the pipes or to nowhere. Costs nothing when nothing changes.
    pub(crate) fn set(&mut self, output: Output) {
        if self.now == output {
            return;
        }
        flush();
        let (out, err) = match output {
            Output::Shown => (&self.out, &self.err),
            Output::Hidden => (&self.null, &self.null),
        };
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
