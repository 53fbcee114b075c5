//! The harness of the end-to-end tests: it starts the real binaries, speaks with them, kills what it is told to kill, and cleans up.
//!
//! * [`mod@artifacts`]: the binaries and plugins that cargo builds, and plugins in C that are built here.
//! * [`daemon`]: one `croupier serve` with a directory of its own; dropping it leaves no process and no file.
//! * [`dice`]: repeatable chance.
//! * [`ran`]: what a command said.
//! * [`killer`]: kills workers with SIGKILL, again and again.
//! * [`procs`]: processes, as `/proc` has them.
//! * [`hands`]: poker hands as play scripts.
//! * [`raw`]: a connection on which anything can be sent.
//! * [`small_disk`]: a file system that can be filled up.
//! * [`watch`]: collects events.
//!
//! The tests themselves are in `tests/e2e`. No test asserts that something was fast; waiting ends after [`PATIENCE`], which only something
//! that hangs reaches.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

pub mod artifacts;
pub mod daemon;
pub mod dice;
pub mod hands;
pub mod killer;
pub mod procs;
pub mod ran;
pub mod raw;
pub mod small_disk;
pub mod watch;

pub use artifacts::{Plugin, artifacts};
pub use daemon::{Daemon, Setup};
pub use dice::Dice;
pub use killer::Killer;
pub use ran::Ran;
pub use raw::Raw;
pub use watch::Watch;

/// Longest wait for anything. Nothing takes that long unless it hangs.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Calls `look` until it gives something.
///
/// # Panics
/// When it gives nothing for [`PATIENCE`]; `what` says what was waited for.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain for: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Says in the test's output, in the form that `scripts/test` counts, that something was not tested, and why.
pub fn skipped(what: &str, why: &str) {
    println!("skipped: {what}: {why}");
}
