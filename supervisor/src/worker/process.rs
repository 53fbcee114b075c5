//! One worker process, from its start to its reaping.
//!
//! ```text
//!  adopt(child) ──▶ running ──pidfd readable──▶ ended (still a zombie: its pid is its own) ──reap──▶ gone
//! ```
//!
//! Signals go through the pidfd, so they can never hit a stranger who got the same number. Not why it died: see [`super::cause`].

use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, ExitStatus};

use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::cause::{CPU_SAMPLE_GAP, LATE_WATCH_MAX, Late, late};
use super::readiness::watch;
use super::usage::{cpu_time, scheduling};

/// A worker's process. Dropping it unreaped kills and reaps it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    pidfd: AsyncFd<OwnedFd>,
    reaped: bool,
}

impl Process {
    /// Watches a child of this process. Within a tokio runtime.
    ///
    /// # Errors
    /// When there is no pidfd to be had (descriptors used up); the child is then killed and reaped.
    pub fn adopt(mut child: Child) -> io::Result<Process> {
        let adopt = |child: &Child| {
            let pidfd = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
            watch(pidfd, Interest::READABLE)
        };
        match adopt(&child) {
            Ok(pidfd) => Ok(Process { child, pidfd, reaped: false }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    /// Its process id; its own until it is reaped.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Completes when it has ended. Safe to cancel.
    pub async fn ended(&self) {
        // An error means that the runtime's driver is gone; reaping waits then.
        let _ = self.pidfd.readable().await;
    }

    /// Ends it. Nothing happens when it has ended already.
    pub fn kill(&self) {
        let _ = pidfd_send_signal(self.pidfd.get_ref(), Signal::KILL);
    }

    /// Looks at its CPU clock for [`CPU_SAMPLE_GAP`], or longer where it wants the CPU and does not get it: what is it doing so late?
    pub async fn watch_late(&self) -> Late {
        let before = cpu_time(self.pid()).unwrap_or_default();
        for _ in 0..LATE_WATCH_MAX.as_millis() / CPU_SAMPLE_GAP.as_millis() {
            tokio::time::sleep(CPU_SAMPLE_GAP).await;
            let after = cpu_time(self.pid()).unwrap_or_default();
            if let Some(late) = late(after.saturating_sub(before), scheduling(self.pid())) {
                return late;
            }
        }
        Late::Waiting
    }

    /// Takes its exit status, after [`Process::ended`].
    ///
    /// # Errors
    /// When somebody else reaped it, which is a fault of the program around us.
    pub fn reap(&mut self) -> io::Result<ExitStatus> {
        // What it has forked must not outlive it. It led a group of its own, whose number is nobody else's until it is reaped.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let status = self.child.wait();
        self.reaped = true;
        status
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.reaped {
            self.kill();
            let _ = self.reap();
        }
    }
}
