//! What a crash report says: `report.json`.

use croupier_core::event::Cause;
use croupier_manifest::manifest::Limits;
use serde::{Deserialize, Serialize};

/// The version of the document.
pub const REPORT_VERSION: u32 = 2;

/// A report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// [`REPORT_VERSION`].
    pub report: u32,
    /// Its id, and its folder's name.
    pub id: String,
    /// When the death was seen, RFC 3339.
    pub at: String,
    /// The plugin.
    pub plugin: String,
    /// Its version.
    pub version: String,
    /// blake3 of its file: the binary is kept in `objects` under this name.
    pub digest: String,
    /// The worker's number.
    pub worker: u64,
    /// Its process id.
    pub pid: u32,
    /// Why it died.
    pub cause: CauseReport,
    /// Where it faulted, as far as the kernel said.
    pub fault: Option<Fault>,
    /// What it was at: the oldest of `unanswered`.
    pub last_call: Option<Call>,
    /// Everything that it had been asked and not answered.
    pub unanswered: Vec<Call>,
    /// Its limits.
    pub limits: LimitsReport,
    /// What confined it, as seen from outside after it had loaded its plugin; may be empty.
    pub isolation: String,
    /// Why there is no `maps.txt`; none when there is one.
    pub no_maps: Option<String>,
    /// Why there is no `replay.json`; none when there is one.
    pub no_replay: Option<String>,
    /// Why there is no `untrusted.crash`; none when there is one.
    #[serde(default)]
    pub no_backtrace: Option<String>,
    /// What the worker said itself, and what was in its memory. Nothing in it is evidence.
    pub untrusted: Untrusted,
}

/// Why a worker died.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CauseReport {
    /// In words.
    pub text: String,
    /// The signal, if one ended it.
    pub signal: Option<i32>,
    /// The exit code, if it exited.
    pub exit_code: Option<i32>,
    /// Whether what it was at can have caused it.
    pub counts: bool,
}

impl From<&Cause> for CauseReport {
    fn from(cause: &Cause) -> CauseReport {
        let (signal, exit_code) = match cause {
            Cause::Fault { signal } | Cause::External { signal } => (Some(*signal), None),
            Cause::Exit { code } => (None, Some(*code)),
            _ => (None, None),
        };
        CauseReport { text: crate::audit::record::text(cause), signal, exit_code, counts: cause.counts() }
    }
}

/// Where a process faulted, from the kernel's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The address that it touched, hexadecimal; not said for every kind of fault.
    pub address: Option<String>,
    /// The instruction pointer, hexadecimal.
    pub ip: String,
    /// The stack pointer, hexadecimal.
    pub sp: String,
    /// The mapping that the instruction pointer is in, by the maps taken after loading.
    pub module: Option<String>,
    /// The offset in that file, hexadecimal. (For `addr2line`, add what the segment's address is above its offset: `readelf -l`.)
    pub offset: Option<String>,
    /// The kernel's line.
    pub line: String,
}

/// A call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// `turn`, `replay`, `restore`, `try-snapshot`, `init` …
    pub what: String,
    /// The session; 0 when it is about none.
    pub session: u64,
    /// The turn; 0 when it is about none.
    pub seq: u64,
    /// `CROUPIER_TURN_*` of the oldest call; none where it is not known.
    pub kind: Option<u16>,
}

/// The limits that mattered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitsReport {
    /// Memory, MiB.
    pub memory_mib: u64,
    /// Stack, KiB.
    pub stack_kib: u64,
    /// Threads.
    pub threads: u64,
    /// Open files.
    pub open_files: u64,
    /// CPU time of one turn.
    pub cpu_ms_per_turn: u64,
    /// Wall time of one turn.
    pub turn_wall_ms: u64,
    /// Wall time of loading.
    pub load_wall_ms: u64,
}

impl From<&Limits> for LimitsReport {
    fn from(limits: &Limits) -> LimitsReport {
        LimitsReport {
            memory_mib: limits.memory_mib.into(),
            stack_kib: limits.stack_kib.into(),
            threads: limits.threads.into(),
            open_files: limits.open_files.into(),
            cpu_ms_per_turn: limits.cpu_ms_per_turn.into(),
            turn_wall_ms: limits.turn_wall_ms.into(),
            load_wall_ms: limits.load_wall_ms.into(),
        }
    }
}

/// What a worker said itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Untrusted {
    /// Its last words, when it gave up by itself.
    pub last_words: Option<String>,
    /// The thread that faulted, as read from the worker's memory while it waited for its end. A hostile plugin can show whatever it likes.
    #[serde(default)]
    pub crash: Option<Crash>,
}

/// A thread that faulted. Numbers are hexadecimal text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crash {
    /// The signal's name: `SIGSEGV`.
    pub signal: String,
    /// `si_code` (sigaction(2)).
    pub code: i32,
    /// The address that the fault is about: what was touched, or for ILL, FPE and TRAP the instruction. None for a signal that was sent, as by abort(3).
    pub address: Option<String>,
    /// `main`, or the name that the thread gave itself.
    pub thread: String,
    /// Set when it ran out of its stack: which one.
    pub stack_overflow: Option<String>,
    /// The general registers.
    pub registers: Vec<(String, String)>,
    /// Frames that are not told: in the middle of `frames`, behind the first 48.
    pub frames_left_out: u64,
    /// Where it was, innermost first.
    pub frames: Vec<FrameReport>,
}

/// A frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameReport {
    /// The address: of the instruction that faulted, or behind a call.
    pub address: String,
    /// The file: `memfd:plugin`, `libc.so.6`, `croupier-worker`. None where no code is.
    pub module: Option<String>,
    /// The address as the file has it: what `addr2line -e FILE` and `objdump` take. None when the file could not be read.
    pub offset: Option<String>,
    /// The function, demangled, when the file has symbols.
    pub function: Option<String>,
    /// How far into it.
    pub into: Option<String>,
    /// `instruction`, `table` (unwound by the file's tables), `frame-pointer`, or `scan` (an address that lay on the stack: perhaps an old one).
    pub found: String,
}
