//! One worker process, from its start to its reaping.
//!
//! ```text
//!  adopt(handle) ──▶ running ──pidfd readable──▶ ended (still a zombie: its pid is its own) ──reap──▶ gone
//! ```
//!
//! Signals go through the pidfd, so they can never hit a stranger who got the same number. Not why it died: see [`super::cause`].

use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::oneshot;

use super::cause::{CPU_SAMPLE_GAP, LATE_WATCH_MAX, Late, late};
use super::launcher::Handle;
use super::readiness::watch;
use super::usage::{cpu_time, scheduling};
use crate::jail::cgroup::OutOfMemory;

/// A worker's process. Dropping it unreaped kills and reaps it.
#[derive(Debug)]
pub struct Process {
    handle: Handle,
    pidfd: AsyncFd<std::os::fd::OwnedFd>,
}

impl Process {
    /// Watches a worker. Within a tokio runtime.
    ///
    /// # Errors
    /// When it cannot be watched (descriptors used up); it is then ended.
    pub fn adopt(handle: Handle) -> io::Result<Process> {
        let pidfd = watch(handle.pidfd().try_clone_to_owned()?, Interest::READABLE)?;
        Ok(Process { handle, pidfd })
    }

    /// Its process id; its own until it is reaped.
    pub fn pid(&self) -> u32 {
        self.handle.pid()
    }

    /// Completes when it has ended. Safe to cancel.
    pub async fn ended(&self) {
        // An error means that the runtime's driver is gone; reaping waits then.
        let _ = self.pidfd.readable().await;
    }

    /// Ends it. Nothing happens when it has ended already.
    pub fn kill(&self) {
        self.handle.kill();
    }

    /// Whether the kernel ended it for want of memory. To be asked when it has ended.
    pub fn out_of_memory(&self) -> OutOfMemory {
        self.handle.out_of_memory()
    }

    /// Microseconds for which its cgroup kept it from the CPU, where one limits that.
    #[must_use]
    pub fn throttled_us(&self) -> Option<u64> {
        self.handle.group().ok()?.throttled_us()
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

    /// How it ended, as the kernel shows it of a process that has not been collected, after [`Process::ended`]: without asking the process that
    /// would collect it. None where the kernel does not say so, or says what it says to those who may not know.
    #[must_use]
    pub fn seen_status(&self) -> Option<ExitStatus> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).ok()?;
        let raw = exit_code(&stat).filter(|raw| *raw != 0)?;
        // It has its number still, so it was this one that was read.
        let own =
            std::fs::read_to_string(format!("/proc/self/fdinfo/{}", self.handle.pidfd().as_raw_fd())).ok()?;
        let pid = own.lines().find_map(|line| line.strip_prefix("Pid:"))?.trim();
        (pid == self.pid().to_string()).then(|| ExitStatus::from_raw(raw))
    }

    /// Takes its exit status, after [`Process::ended`]. Ends it, if it has not ended.
    ///
    /// # Errors
    /// When the thread that makes workers has ended.
    pub async fn reap(&mut self) -> io::Result<ExitStatus> {
        let (done, status) = oneshot::channel();
        self.handle.reap(move |status| done.send(status).unwrap_or_default());
        status.await.map_err(io::Error::other)
    }
}

/// Field 52 of proc_pid_stat(5), of a process that has ended: its status as wait(2) packs it, or 0.
fn exit_code(stat: &str) -> Option<i32> {
    // The name may hold anything, but no later field holds a parenthesis. The state is field 3.
    let mut fields = stat.rsplit_once(") ")?.1.split_ascii_whitespace();
    if fields.next()? != "Z" {
        return None;
    }
    fields.nth(48)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_of_a_process_that_nobody_has_collected_is_read_from_outside() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().expect("sleep");
        let stat = || std::fs::read_to_string(format!("/proc/{}/stat", child.id())).expect("it is our child");
        assert_eq!(exit_code(&stat()), None, "it runs");
        let path = format!("/proc/{}/stat", child.id());
        child.kill().expect("our child");
        let seen = loop {
            if let Some(code) = exit_code(&std::fs::read_to_string(&path).expect("not collected")) {
                break code;
            }
            std::thread::yield_now();
        };
        assert_eq!(seen, 9);
        assert_eq!(child.wait().expect("our child"), ExitStatus::from_raw(seen));
        assert_eq!(exit_code("1 (a) Z) Z"), None);
    }
}
