//! What the kernel tells of a worker: CPU time and memory. Never what the worker says of itself.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use nix::unistd::Pid;
use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System};

use super::cause::Scheduling;

/// Shortest time between two samples of all workers: a sample of a hundred takes milliseconds.
pub const SAMPLE_EVERY: Duration = Duration::from_secs(1);

/// CPU time that a process has used, all its threads together. Only for a process that is not reaped yet.
pub fn cpu_time(pid: u32) -> Option<Duration> {
    let pid = Pid::from_raw(i32::try_from(pid).ok()?);
    let now = nix::time::clock_getcpuclockid(pid).ok()?.now().ok()?;
    Some(Duration::from(now))
}

/// Memory of a process that is in use, in bytes; none when it has ended.
pub fn resident_bytes(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let kib: u64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?
        .split_ascii_whitespace()
        .next()?
        .parse()
        .ok()?;
    Some(kib << 10)
}

/// Whether a process's main thread, on which plugins run, could go on if it had the CPU. Only for a process that is not reaped yet.
pub fn scheduling(pid: u32) -> Scheduling {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // proc_pid_stat(5): the state comes after the name, which may hold anything, parentheses too.
    match stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('R')) {
        true => Scheduling::Runnable,
        false => Scheduling::Asleep,
    }
}

/// Memory and CPU time of one process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Resident memory in KiB.
    pub rss_kib: u64,
    /// CPU time in milliseconds.
    pub cpu_ms: u64,
}

/// Samples processes, at most once per [`SAMPLE_EVERY`].
#[derive(Debug)]
pub struct Sampler {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// None when `/proc` cannot be read: then nothing is known.
    system: Option<System>,
    sampled: Option<Instant>,
    known: HashMap<u32, Usage>,
}

impl Default for Sampler {
    fn default() -> Sampler {
        let inner = Inner { system: System::new().ok(), sampled: None, known: HashMap::new() };
        Sampler { inner: Mutex::new(inner) }
    }
}

impl Sampler {
    /// The usage of these processes; the last sample if it is young enough and knows them all.
    pub fn usage(&self, pids: &[u32]) -> HashMap<u32, Usage> {
        let mut inner = crate::lock(&self.inner);
        let young = inner.sampled.is_some_and(|at| at.elapsed() < SAMPLE_EVERY);
        if !young || pids.iter().any(|pid| !inner.known.contains_key(pid)) {
            inner.sample(pids);
        }
        inner.known.clone()
    }
}

impl Inner {
    fn sample(&mut self, pids: &[u32]) {
        let wanted: Vec<sysinfo::Pid> = pids.iter().map(|pid| sysinfo::Pid::from_u32(*pid)).collect();
        let what = ProcessRefreshKind::nothing().with_memory().with_cpu().without_tasks();
        self.sampled = Some(Instant::now());
        let Some(system) = &mut self.system else { return };
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&wanted), true, what);
        self.known = wanted
            .iter()
            .map(|pid| {
                let usage = system.process(*pid).map_or_else(Usage::default, |process| Usage {
                    rss_kib: process.memory() / 1024,
                    cpu_ms: process.accumulated_cpu_time(),
                });
                (pid.as_u32(), usage)
            })
            .collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_cpu_and_memory() {
        let me = std::process::id();
        assert!(cpu_time(me).is_some_and(|time| time > Duration::ZERO));
        assert!(resident_bytes(me).is_some_and(|bytes| bytes > 1 << 20));
        assert_eq!(resident_bytes(u32::MAX), None);
        assert!(Sampler::default().usage(&[me])[&me].rss_kib > 0);
    }
}
