//! The machine: cores, CPU time, what else ran meanwhile, and what everything is called. No unsafe code.

use std::fs;
use std::time::Duration;

use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

use crate::Fault;

/// Where caller and peer run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cores {
    pub(crate) caller: usize,
    pub(crate) peer: usize,
}

/// Whether a peer shares the caller's core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// No peer: the work is done by the calling thread.
    InProcess,
    Other,
    Same,
}

impl Place {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Place::InProcess => "in-process",
            Place::Other => "other",
            Place::Same => "same",
        }
    }
}

impl Cores {
    /// The core for the peer.
    pub(crate) fn of(self, place: Place) -> usize {
        if place == Place::Other { self.peer } else { self.caller }
    }
}

/// Binds the calling thread, and all that it will start, to one core.
pub(crate) fn pin(core: usize) -> Result<(), Fault> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).map_err(|error| Fault::new(format!("core {core} cannot be had"), error))
}

/// CPU time of this process.
pub(crate) fn own_cpu() -> Duration {
    duration(clock_gettime(ClockId::ProcessCPUTime))
}

/// CPU time of the calling thread.
pub(crate) fn thread_cpu() -> Duration {
    duration(clock_gettime(ClockId::ThreadCPUTime))
}

fn duration(at: rustix::time::Timespec) -> Duration {
    Duration::new(at.tv_sec.unsigned_abs(), at.tv_nsec.unsigned_abs() as u32)
}

/// CPU time of all threads of another process, by the scheduler's books; zero once it is gone.
pub(crate) fn cpu_of(pid: u32) -> Duration {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Duration::ZERO };
    let ns = threads.flatten().filter_map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(ns.sum())
}

/// Memory of a process, shared pages by their share (PSS), in KiB; nothing once it is gone.
pub(crate) fn pss_kib(pid: u32) -> Option<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix(" kB")?.parse().ok())
}

/// What the whole machine did, in clock ticks since it was started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticks {
    busy: u64,
    stolen: u64,
    all: u64,
    /// Of this process and its children that have ended.
    own: u64,
}

impl Ticks {
    pub(crate) fn now() -> Self {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        let line = stat.lines().next().unwrap_or_default();
        let parts: Vec<u64> = line.split_whitespace().skip(1).take(8).flat_map(str::parse).collect();
        let part = |at: usize| parts.get(at).copied().unwrap_or(0);
        let (idle, stolen, all) = (part(3) + part(4), part(7), parts.iter().sum::<u64>());
        let own = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        // After the name, which may hold anything but ends with the last bracket: utime, stime, cutime, cstime are the 12th to 15th.
        let own = own.rsplit_once(')').map_or("", |(_, rest)| rest);
        let own = own.split_whitespace().skip(11).take(4).flat_map(str::parse::<u64>).sum();
        Self { busy: all.saturating_sub(idle + stolen), stolen, all, own }
    }

    /// What others used of the machine since `before`, and what the hypervisor took, in per cent of all cores.
    pub(crate) fn since(self, before: Self) -> (f64, f64) {
        let all = self.all.saturating_sub(before.all).max(1) as f64;
        let own = self.own.saturating_sub(before.own);
        let others = self.busy.saturating_sub(before.busy).saturating_sub(own);
        (100.0 * others as f64 / all, 100.0 * self.stolen.saturating_sub(before.stolen) as f64 / all)
    }
}

/// The processor's name.
pub(crate) fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or_else(|| "unknown".to_owned(), |(_, name)| name.to_owned())
}

/// The kernel's version: what a distribution or a hypervisor adds to it says nothing to readers elsewhere.
pub(crate) fn kernel() -> String {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    release.split('.').take(2).collect::<Vec<_>>().join(".")
}

/// The versions of packages, as this package's lock file has them.
pub(crate) fn versions(names: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut lines = include_str!("../Cargo.lock").lines();
    while let Some(line) = lines.next() {
        let quoted = |line: &str| line.split('"').nth(1).unwrap_or_default().to_owned();
        if line.starts_with("name = ") && names.contains(&quoted(line).as_str()) {
            found.push((quoted(line), lines.next().map(quoted).unwrap_or_default()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_from_the_lock_file() {
        let found = versions(&["wasmtime", "extism"]);
        assert_eq!(found.iter().filter(|(name, _)| name == "extism").count(), 1);
        assert!(found.iter().any(|(name, version)| name == "wasmtime" && version.starts_with("48.")));
    }

    #[test]
    fn the_machine_can_be_read() {
        let before = Ticks::now();
        assert!(before.all > 0);
        let (others, stolen) = before.since(before);
        assert_eq!((others, stolen), (0.0, 0.0));
        assert!(own_cpu() >= thread_cpu() / 2);
        assert!(pss_kib(std::process::id()).is_some_and(|kib| kib > 100.0));
    }
}
