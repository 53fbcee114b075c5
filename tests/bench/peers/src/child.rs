//! The other process: this very program, started again with `--serve WAY …`, pinned to its core. It dies with its parent, and when it is dropped.
//!
//! ```text
//!  Child::start ──▶ --serve WAY CORE … ──"ready\n" on stdout──▶ calls ──▶ drop: SIGKILL, wait
//!                   descriptor 0: a socket or memory that both share, where the way needs one
//! ```

use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use rustix::process::{Signal, set_parent_process_death_signal};

use crate::{Fault, machine};

/// A serving process.
pub(crate) struct Child {
    process: std::process::Child,
}

impl Child {
    /// Starts one and waits until it serves.
    pub(crate) fn start(
        way: &str,
        core: usize,
        words: &[&str],
        shared: Option<OwnedFd>,
    ) -> Result<Self, Fault> {
        let fault =
            |error: std::io::Error| Fault::new(format!("the process for {way} cannot be started"), error);
        let mut command = Command::new(std::env::current_exe().map_err(fault)?);
        command.arg("--serve").arg(way).arg(core.to_string()).args(words);
        command.stdin(shared.map_or_else(Stdio::null, Stdio::from)).stdout(Stdio::piped());
        let mut child = Self { process: command.spawn().map_err(fault)? };
        let mut line = String::new();
        let out = child.process.stdout.take().ok_or_else(|| Fault::plain("a child without output"))?;
        BufReader::new(out).read_line(&mut line).map_err(fault)?;
        if line != "ready\n" {
            return Err(Fault::plain(format!("the process for {way} ended before it served; see above")));
        }
        Ok(child)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Both fail only when it is gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The child's first deed: to its core, and bound to its parent's life.
pub(crate) fn settle(core: usize) -> Result<(), Fault> {
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| Fault::new("the parent's death cannot be followed", error))?;
    machine::pin(core)
}

/// Tells the parent that calls may come.
pub(crate) fn ready() -> Result<(), Fault> {
    let mut out = std::io::stdout();
    out.write_all(b"ready\n")
        .and_then(|()| out.flush())
        .map_err(|error| Fault::new("the parent is gone", error))
}
