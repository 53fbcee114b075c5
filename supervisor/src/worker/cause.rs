//! Why a worker died: from how it ended and what we had done to it, by a table.
//!
//! Not the policy that follows: see `croupier_core`.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use croupier_core::action::KillReason;
use croupier_core::event::Cause;
use croupier_wire::confine::EXIT_ABORTED;
use nix::sys::signal::Signal;

use crate::jail::cgroup::OutOfMemory;

/// Signals that a process raises by its own doing.
const FAULTS: [Signal; 7] = [
    Signal::SIGSEGV,
    Signal::SIGBUS,
    Signal::SIGILL,
    Signal::SIGFPE,
    Signal::SIGABRT,
    Signal::SIGTRAP,
    Signal::SIGSYS,
];

/// Time between two looks at a late worker.
pub const CPU_SAMPLE_GAP: Duration = Duration::from_millis(30);
/// CPU time while it is watched from which on a worker counts as burning. A sixth of the gap, because other processes want the CPU too.
pub const CPU_BURNING: Duration = Duration::from_millis(5);
/// Longest watch of a worker that wants the CPU and does not get it: on a machine that has much else to do.
pub const LATE_WATCH_MAX: Duration = Duration::from_secs(2);

/// What a late worker did while it was watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Late {
    /// It used the CPU.
    Burning,
    /// It waited for something.
    Waiting,
}

/// Whether a process could go on if it had the CPU, as the kernel's scheduler has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheduling {
    /// It runs, or waits for its turn on a CPU.
    Runnable,
    /// It waits for something else.
    Asleep,
}

/// What a worker does that used this much CPU time since it is watched. `None`: it wants the CPU and has not had it yet, so nobody can say.
pub fn late(used: Duration, scheduling: Scheduling) -> Option<Late> {
    match scheduling {
        _ if used >= CPU_BURNING => Some(Late::Burning),
        Scheduling::Asleep => Some(Late::Waiting),
        Scheduling::Runnable => None,
    }
}

/// The last words of a worker that gave up by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LastWords {
    /// It could not load the plugin or set itself up; nothing was served yet.
    BeforeWelcome(String),
    /// It gave up while serving.
    AfterWelcome(String),
}

/// Why we killed it, with what we saw before doing so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Killed {
    /// For this reason, which is not a deadline.
    For(KillReason),
    /// For a deadline, doing this.
    Late(Late),
}

/// The cause of a death.
///
/// What the worker did by itself comes first: a fault that happened before our kill arrived is a fault, and reaching its own memory limit is its own doing. An exit status
/// that says KILL is the kernel's if it says that it was, else ours if we sent one.
pub fn cause(
    status: ExitStatus,
    memory: OutOfMemory,
    killed: Option<&Killed>,
    words: Option<&LastWords>,
) -> Cause {
    if let Some(signal) = status.signal() {
        if signal == Signal::SIGKILL as i32 && memory == OutOfMemory::OwnLimit {
            return Cause::Memory;
        }
        if FAULTS.iter().any(|fault| *fault as i32 == signal) {
            return Cause::Fault { signal };
        }
        if signal == Signal::SIGXCPU as i32 {
            return Cause::Cpu;
        }
    }
    if status.code() == Some(EXIT_ABORTED) {
        return Cause::Fault { signal: Signal::SIGABRT as i32 };
    }
    if let Some(killed) = killed {
        return match killed {
            Killed::Late(Late::Burning) => Cause::Cpu,
            Killed::Late(Late::Waiting) | Killed::For(KillReason::Deadline) => Cause::Deadline,
            Killed::For(KillReason::Retired) => Cause::Asked,
            Killed::For(KillReason::Protocol(why)) => Cause::Protocol(why.clone()),
            Killed::For(KillReason::Init(why)) => Cause::Start(why.clone()),
        };
    }
    match words {
        Some(LastWords::BeforeWelcome(text)) => return Cause::Start(text.clone()),
        Some(LastWords::AfterWelcome(text)) => return Cause::Protocol(text.clone()),
        None => {}
    }
    match (status.signal(), status.code()) {
        (Some(signal), _) => Cause::External { signal },
        (None, code) => Cause::Exit { code: code.unwrap_or(-1) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As wait(2) packs it.
    fn signalled(signal: Signal) -> ExitStatus {
        ExitStatus::from_raw(signal as i32)
    }

    fn exited(code: i32) -> ExitStatus {
        ExitStatus::from_raw(code << 8)
    }

    #[test]
    fn deaths_have_their_causes() {
        let retired = Killed::For(KillReason::Retired);
        let protocol = Killed::For(KillReason::Protocol("babble".into()));
        let kill = signalled(Signal::SIGKILL);
        let start = LastWords::BeforeWelcome("no symbol".into());
        let gave_up = LastWords::AfterWelcome("odd frame".into());
        let table = [
            (signalled(Signal::SIGSEGV), None, None, Cause::Fault { signal: 11 }),
            (signalled(Signal::SIGSYS), Some(&retired), None, Cause::Fault { signal: 31 }),
            (signalled(Signal::SIGXCPU), None, None, Cause::Cpu),
            (exited(3), None, None, Cause::Exit { code: 3 }),
            (exited(EXIT_ABORTED), Some(&retired), None, Cause::Fault { signal: 6 }),
            (exited(0), Some(&retired), None, Cause::Asked),
            (kill, Some(&retired), None, Cause::Asked),
            (kill, Some(&protocol), None, Cause::Protocol("babble".into())),
            (kill, Some(&Killed::Late(Late::Burning)), None, Cause::Cpu),
            (kill, Some(&Killed::Late(Late::Waiting)), None, Cause::Deadline),
            (kill, None, None, Cause::External { signal: 9 }),
            (signalled(Signal::SIGTERM), None, None, Cause::External { signal: 15 }),
            (exited(1), None, Some(&start), Cause::Start("no symbol".into())),
            (exited(1), None, Some(&gave_up), Cause::Protocol("odd frame".into())),
        ];
        for (status, killed, words, expected) in table {
            let found = cause(status, OutOfMemory::No, killed, words);
            assert_eq!(found, expected, "{status:?} {killed:?} {words:?}");
        }
        let late = Killed::Late(Late::Waiting);
        let memory = [
            (kill, OutOfMemory::OwnLimit, None, Cause::Memory),
            (kill, OutOfMemory::OwnLimit, Some(&late), Cause::Memory),
            (kill, OutOfMemory::Elsewhere, None, Cause::External { signal: 9 }),
            (signalled(Signal::SIGSEGV), OutOfMemory::OwnLimit, None, Cause::Fault { signal: 11 }),
        ];
        for (status, memory, killed, expected) in memory {
            assert_eq!(cause(status, memory, killed, None), expected, "{status:?} {memory:?}");
        }
    }

    #[test]
    fn a_sixth_of_the_gap_is_burning_and_who_did_not_get_the_cpu_is_not_judged() {
        let ms = Duration::from_millis;
        assert_eq!(late(ms(0), Scheduling::Asleep), Some(Late::Waiting));
        assert_eq!(late(ms(4), Scheduling::Asleep), Some(Late::Waiting));
        assert_eq!(late(ms(4), Scheduling::Runnable), None);
        assert_eq!(late(ms(5), Scheduling::Runnable), Some(Late::Burning));
        assert_eq!(late(ms(5), Scheduling::Asleep), Some(Late::Burning));
    }
}
