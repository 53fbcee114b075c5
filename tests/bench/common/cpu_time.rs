//! Processor time of this process and all below it, as the kernel's scheduler counts it: in nanoseconds, not in ticks.

use std::path::Path;
use std::time::Duration;

use croupier_tests::procs::descendants;

/// Of all threads that live.
pub(crate) fn family() -> Duration {
    let below = descendants(std::process::id());
    let pids = below.iter().map(|process| process.pid).chain([std::process::id()]);
    pids.map(|pid| of(&Path::new("/proc").join(pid.to_string()).join("task"))).sum()
}

fn of(tasks: &Path) -> Duration {
    let Ok(tasks) = tasks.read_dir() else { return Duration::ZERO };
    let ran = |task: std::fs::DirEntry| {
        // "ran waited slices": what has ended meanwhile counts for nothing.
        let schedstat = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        schedstat.split_whitespace().next()?.parse::<u64>().ok()
    };
    Duration::from_nanos(tasks.flatten().filter_map(ran).sum())
}
