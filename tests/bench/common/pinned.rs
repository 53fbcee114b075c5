//! Who runs on which processor.

use croupier_tests::procs::descendants as all_descendants;
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_setaffinity};

/// The calling thread runs on this one alone. On a machine with fewer nothing changes.
pub(crate) fn here(cpu: usize) {
    pin(None, cpu);
}

/// The calling thread runs anywhere again, and so do threads and processes that it makes from now on.
pub(crate) fn nowhere() {
    let mut set = CpuSet::new();
    (0..CpuSet::MAX_CPU).for_each(|cpu| set.set(cpu));
    let _ = sched_setaffinity(None, &set);
}

/// All processes below this one, with all their threads, run on this one alone.
pub(crate) fn descendants(cpu: usize) {
    for process in all_descendants(std::process::id()) {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", process.pid)).into_iter().flatten().flatten();
        for task in tasks.filter_map(|task| task.file_name().to_str()?.parse().ok()) {
            pin(Pid::from_raw(task), cpu);
        }
    }
}

fn pin(pid: Option<Pid>, cpu: usize) {
    if std::thread::available_parallelism().is_ok_and(|cpus| cpu >= cpus.get()) && cpu > 1 {
        return;
    }
    let mut set = CpuSet::new();
    set.set(cpu);
    // A process that has just ended is no harm.
    let _ = sched_setaffinity(pid, &set);
}
