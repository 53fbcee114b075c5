//! Who runs on which processor.

use croupier_tests::procs::descendants as all_descendants;
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_setaffinity};

/// The calling thread runs on this one alone. On a machine with fewer nothing changes.
pub(crate) fn here(cpu: usize) {
    pin(None, cpu);
}

/// All processes below this one run on this one alone.
pub(crate) fn descendants(cpu: usize) {
    for process in all_descendants(std::process::id()) {
        pin(Pid::from_raw(process.pid.cast_signed()), cpu);
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
