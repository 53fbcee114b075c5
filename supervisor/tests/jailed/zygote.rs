//! The zygote's death is survived, and a worker that a debugger holds on to is not its death.

use croupier::registry::PluginOptions;
use nix::errno::Errno;
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

use crate::arena::{Arena, Outcome};

fn parent_of(pid: u32) -> u32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
    let rest = stat.rsplit_once(") ").expect("a name").1;
    rest.split(' ').nth(1).expect("a parent").parse().expect("a number")
}

pub(crate) fn when_the_zygote_dies_workers_die_and_are_replaced_by_another_ones() {
    let arena = Arena::usual(PluginOptions::default());
    let (worker, _) = arena.isolation();
    let zygote = parent_of(worker);
    assert_ne!(zygote, std::process::id(), "workers are the zygote's children");
    assert_eq!(parent_of(zygote), std::process::id());
    kill(Pid::from_raw(zygote as i32), Signal::SIGKILL).expect("our child's child");
    assert!(!arena.causes().is_empty(), "its workers are gone");
    // A turn goes through, in a worker of another zygote.
    assert_eq!(arena.attack("open_file"), Outcome::Result(-2));
    let (again, _) = arena.isolation();
    assert_ne!((parent_of(again), again), (zygote, worker));
    assert!(arena.causes().iter().all(|cause| cause.contains("signal 9")), "{:?}", arena.causes());
    // The neighbour's worker died too, which is nobody's fault; it is not held against it, and not looked at as in other tests.
    arena.end_without_looking();
}

pub(crate) fn a_dead_worker_that_a_debugger_holds_takes_no_other_along() {
    let arena = Arena::usual(PluginOptions::default());
    let (worker, _) = arena.isolation();
    let zygote = parent_of(worker);
    let held = Pid::from_raw(worker as i32);
    // This thread is the debugger, and does not wait for what it traces.
    let traced = ptrace::seize(held, ptrace::Options::empty());
    if traced == Err(Errno::EPERM) && !geteuid().is_root() {
        // An ordinary user has no way to hold one.
        return arena.end();
    }
    traced.expect("root may");
    kill(held, Signal::SIGKILL).expect("it lives");
    // A turn goes through, in another worker of the same zygote.
    assert_eq!(arena.attack("open_file"), Outcome::Result(-2));
    let (again, _) = arena.isolation();
    assert_eq!((parent_of(again), again == worker), (zygote, false));
    assert!(arena.causes().iter().all(|cause| cause.contains("signal 9")), "{:?}", arena.causes());
    nix::sys::wait::waitpid(held, None).expect("ours to have first");
    // The neighbour, too, served all along.
    arena.end();
}
