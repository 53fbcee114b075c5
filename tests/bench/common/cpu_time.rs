//! Processor time of this process, threads that have ended included, and of all processes below it, as the kernel's scheduler counts it: in nanoseconds, not in ticks.

use std::path::Path;
use std::time::Duration;

use croupier_tests::procs::descendants;
use nix::time::{ClockId, clock_gettime};

/// Of all of them.
pub(crate) fn family() -> Duration {
    let below = descendants(std::process::id());
    below.iter().map(|other| process(other.pid)).sum::<Duration>() + own()
}

/// Of this process.
pub(crate) fn own() -> Duration {
    // Through libc, which valgrind knows to intercept.
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).expect("every process has one").into()
}

/// Of another one.
pub(crate) fn process(pid: u32) -> Duration {
    of(&Path::new("/proc").join(pid.to_string()).join("task"))
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
