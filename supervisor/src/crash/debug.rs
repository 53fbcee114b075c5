//! Runs into a crash again with a debugger attached: `croupier crash ID --gdb`.
//!
//! ```text
//!  an unjailed worker, nothing loaded ─▶ gdb attaches, lets it go on ─▶ plugin loaded, session restored, turns played ─▶ gdb stops at the crash
//! ```
//!
//! Unjailed, because a jail is what keeps debuggers out: the plugin can do whatever this user can. No deadline holds, since a person is looking.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use thiserror::Error;

use super::case::CaseFile;
use super::replay::{ReplayError, Replayed, open, play};
use crate::solo::SoloWorker;

/// The debugger.
const GDB: &str = "gdb";
/// How often is looked whether it has attached.
const LOOK_GAP: Duration = Duration::from_millis(5);
/// Said to gdb before anything else. The plugin's file may ask debuggers to run scripts, and no symbols are to be fetched from anywhere.
const CAREFUL: [&str; 2] = ["set auto-load off", "set debuginfod enabled off"];
/// Without a person: what is looked at, at the crash.
const LOOK_AT: [&str; 4] = ["backtrace 48", "backtrace -16", "info registers", "x/i $pc"];

/// Who looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looker {
    /// A person, at gdb's prompt.
    Person,
    /// Nobody: gdb prints a backtrace and registers, and ends.
    Nobody,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Debugged {
    /// gdb had a crash to show, or its person ended it before.
    Stopped,
    /// All turns were played, and nothing happened.
    Survived {
        /// Turns played.
        turns: u64,
    },
}

/// Why it could not be done.
#[derive(Debug, Error)]
pub enum DebugError {
    /// There is no debugger.
    #[error(
        "there is no {GDB} on this system's PATH ({0}); install it (Debian: `apt install gdb`), or run into the crash without it: --replay"
    )]
    NoGdb(io::Error),
    /// It did not attach.
    #[error(
        "{GDB} could not attach to the worker, see above; as an ordinary user it may have to be allowed (`sysctl kernel.yama.ptrace_scope`), or run this as root"
    )]
    NotAttached,
    /// The case could not be played.
    #[error(transparent)]
    Replay(#[from] ReplayError),
}

/// Plays a case with this plugin file in an unjailed worker under gdb, which talks to this process's terminal.
///
/// # Errors
/// [`DebugError`].
pub fn debug(
    case: &CaseFile,
    plugin: &Path,
    worker: Option<PathBuf>,
    looker: Looker,
) -> Result<Debugged, DebugError> {
    let quiet = |command: &mut Command| command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet(Command::new(GDB).arg("--version").stdin(Stdio::null())).map_err(DebugError::NoGdb)?;
    if looker == Looker::Person {
        // ^C at the terminal is for gdb. Blocked before there are other threads, all of which inherit it; programs that are started do not.
        let interrupt = SigSet::from_iter([Signal::SIGINT]);
        let _ = interrupt.thread_block();
    }
    let solo = open(case, plugin, worker)?.for_debugging();
    let mut worker = solo.worker_to_load().map_err(ReplayError::Solo)?;
    let ender = worker.ender().map_err(|error| ReplayError::Solo(error.into()))?;
    let mut gdb = command(worker.pid(), looker).spawn().map_err(DebugError::NoGdb)?;
    let gone = AtomicBool::new(false);
    let (attached, played) = thread::scope(|scope| {
        let feeder = scope.spawn(|| feed(&mut worker, case, &gone));
        // However it ends, the worker does as well, and with it whoever waits for its answers.
        let _ = gdb.wait();
        gone.store(true, Ordering::Release);
        ender.end();
        feeder.join().unwrap_or((false, None))
    });
    match played {
        _ if !attached => Err(DebugError::NotAttached),
        Some(Ok(Replayed::Survived { turns, .. })) => Ok(Debugged::Survived { turns }),
        // However the worker ended: it was gdb, or we after gdb.
        _ => Ok(Debugged::Stopped),
    }
}

fn command(pid: u32, looker: Looker) -> Command {
    let mut gdb = Command::new(GDB);
    gdb.arg("-q");
    gdb.args(CAREFUL.iter().flat_map(|setting| ["-iex", setting]));
    if looker == Looker::Nobody {
        gdb.args(["-batch", "-nx", "-iex", "set pagination off", "-iex", "set confirm off"])
            .stdin(Stdio::null());
    }
    gdb.args(["-p", &pid.to_string(), "-ex", "continue"]);
    if looker == Looker::Nobody {
        gdb.args(LOOK_AT.iter().flat_map(|look| ["-ex", look]));
        gdb.args(["-ex", "kill"]);
    }
    gdb
}

/// Once gdb is there: loads the plugin and plays the case. Whether gdb was there, and what came of it.
fn feed(
    worker: &mut SoloWorker,
    case: &CaseFile,
    gone: &AtomicBool,
) -> (bool, Option<Result<Replayed, ReplayError>>) {
    while !is_traced(worker.pid()) {
        if gone.load(Ordering::Acquire) {
            return (false, None);
        }
        thread::sleep(LOOK_GAP);
    }
    let played = match worker.load(0) {
        Ok(()) => play(worker, case),
        Err(error) => Err(ReplayError::Solo(error)),
    };
    // It answered everything: gdb waits for nothing any more.
    worker.end();
    (true, Some(played))
}

/// Whether a debugger has attached (proc_pid_status(5), `TracerPid`).
fn is_traced(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"));
    tracer.is_some_and(|tracer| tracer.trim() != "0")
}
