//! The crimes themselves. Everything here works on the whole process, none of it is a mistake.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // looking at the clock is one of the crimes

use std::hint::black_box;
use std::io::Write;
use std::time::{Duration, Instant, SystemTime};

use croupier_sdk::Refusal;
use croupier_sdk::serde_json::{Value, json};

use crate::command::{Command, Verb};

/// Highest descriptor that `garbage` and `hangup` try.
const DESCRIPTOR_MAX: i32 = 1024;
/// Stack that one step of the endless recursion takes, in bytes.
const STEP_BYTES: usize = 4096;

/// Does what `command` says.
pub(crate) fn perform(command: &Command) -> Result<Value, Refusal> {
    match command.verb {
        Verb::Segv => segv(),
        Verb::Abort => std::process::abort(),
        Verb::Panic => panic!("{}", command.text.as_deref().unwrap_or("you asked for a panic")),
        Verb::Exit => std::process::exit(command.code.unwrap_or(0)),
        Verb::Div0 => div0(),
        Verb::Overflow => {
            overflow(black_box(1));
        }
        Verb::Sigkill => sigkill(),
        Verb::Spin => spin(command.ms),
        Verb::Sleep => std::thread::sleep(Duration::from_millis(command.ms.unwrap_or(1000))),
        Verb::Leak => leak(command.mib.unwrap_or(1)),
        Verb::Print => print(command.times.unwrap_or(1), command.text.as_deref().unwrap_or("")),
        Verb::Diverge => return Ok(diverge()),
        Verb::BigReply => return Ok(json!({ "filler": "x".repeat(command.bytes()?) })),
        Verb::Broken => return Err(Refusal::internal("as you wished")),
        Verb::Trespass => return Ok(trespass(command.times.unwrap_or(1))),
        Verb::Garbage => garbage(),
        Verb::Hangup => hangup(),
        other => return Err(Refusal::internal(format!("{other:?} is not a deed"))),
    }
    Ok(json!({ "did": format!("{:?}", command.verb) }))
}

/// Writes to address 0.
pub(crate) fn segv() -> ! {
    let nowhere: *mut u8 = std::ptr::without_provenance_mut(black_box(0));
    // SAFETY: none. This is the crash that the test asked for; page 0 is never mapped, so it harms nobody but this process.
    unsafe { nowhere.write_volatile(1) };
    // Only where page 0 is mapped after all.
    std::process::abort()
}

/// Uses the CPU for `ms` milliseconds, or for ever.
pub(crate) fn spin(ms: Option<u64>) {
    let start = Instant::now();
    while ms.is_none_or(|ms| start.elapsed() < Duration::from_millis(ms)) {
        black_box(start);
    }
}

#[cfg(target_arch = "x86_64")]
fn div0() {
    // SAFETY: none. The instruction raises the fault (SIGFPE) that the test asked for; it touches registers only.
    unsafe {
        std::arch::asm!("div {zero:r}", zero = in(reg) black_box(0u64), inout("rax") 1u64 => _, inout("rdx") 0u64 => _);
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn div0() {
    // SAFETY: sends this process the signal that a division by zero raises elsewhere; takes no pointer.
    unsafe { libc::raise(libc::SIGFPE) };
}

#[allow(unconditional_recursion)] // the very point
fn overflow(depth: usize) -> usize {
    let step = black_box([depth as u8; STEP_BYTES]);
    overflow(depth + 1) + usize::from(step[depth % STEP_BYTES])
}

fn sigkill() {
    // SAFETY: a signal to ourselves; takes no pointer.
    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
}

fn leak(mib: u64) {
    for _ in 0..mib {
        let mut block = vec![0u8; 1 << 20];
        for page in block.iter_mut().step_by(4096) {
            *page = black_box(1);
        }
        std::mem::forget(block);
    }
}

fn print(lines: u64, text: &str) {
    let (mut out, mut err) = (std::io::stdout().lock(), std::io::stderr().lock());
    for number in 0..lines {
        // Nobody reading is the reader's affair.
        let _ = writeln!(out, "stdout line {number} {text}");
        let _ = writeln!(err, "stderr line {number} {text}");
    }
    let _ = out.flush();
}

fn diverge() -> Value {
    let local = 0u8;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |age| age.subsec_nanos());
    json!({ "address": format!("{:p}", &raw const local), "nanos": now, "pid": std::process::id() })
}

fn trespass(times: u64) -> Value {
    let opened = (0..times).filter(|_| std::fs::File::open("/etc/hostname").is_ok()).count();
    json!({ "opened": opened })
}

fn garbage() {
    let rubbish = [0xa5u8; 64];
    for descriptor in 3..DESCRIPTOR_MAX {
        // SAFETY: `rubbish` is readable for its length; on what is not a socket the call fails with ENOTSOCK.
        unsafe {
            libc::send(
                descriptor,
                rubbish.as_ptr().cast(),
                rubbish.len(),
                libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
            )
        };
    }
}

fn hangup() {
    for descriptor in 3..DESCRIPTOR_MAX {
        // SAFETY: takes no pointer. It breaks whoever owns the descriptor: the worker, which is what the test is about.
        unsafe { libc::close(descriptor) };
    }
}
