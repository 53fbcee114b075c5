//! What happens when this process faults: the thread stops, the supervisor looks at it from outside, and the process dies of the very signal.
//!
//! ```text
//!  fault ─▶ handler, on a stack of its own ─▶ CRASH_CALL waits ── the supervisor reads registers and stack ──▶ fails ─▶ back to the fault, signal blocked ─▶ dead
//!                                                  └─ "I may not look" ─▶ dumpable, CRASH_CALL again, undumpable ─┘
//! ```
//!
//! The supervisor lets the signal's action be set back to the default then, so that the kernel has its own word on the fault. Should it not, the process dies all the same: a fault whose
//! signal is blocked gets the default action from the kernel, also in pid 1 of a namespace.
//!
//! Nothing here is evidence: the plugin can make the same call and show forged registers. It costs nothing until there is a fault.
#![allow(unsafe_code)] // signal handlers

use std::io;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, Ordering};

use croupier_wire::confine::{CRASH_AGAIN, CRASH_CALL, EXIT_ABORTED};

use super::{check, exit_now};

/// The signals that a process raises by its own doing. The filter gives plugins no new handlers for them, but for ABRT, which is theirs to handle.
const FAULTS: [libc::c_int; 6] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP, libc::SIGABRT];
/// The handler's stack, in bytes: the kernel's frame alone can take 11 KiB (AMX registers).
const STACK_BYTES: usize = 64 << 10;
/// Below it, so that a handler that ran out of it would write into nobody's memory.
const GUARD_BYTES: usize = 4096;
/// The instruction `int3`, which is over when its signal comes.
const BREAKPOINT: u8 = 0xcc;

/// Where a signal comes from (sigaction(2), `si_code`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// From kill(2) and its like, raise(3) and abort(3) included.
    Sent,
    /// An instruction raised it.
    Instruction,
}

/// A thread is being looked at. Others that fault meanwhile wait for the end.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Gives this thread a stack for the handler, and installs the handler.
pub(super) fn tell() -> io::Result<()> {
    // The main thread keeps it for good.
    let _ = own_stack()?;
    let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = faulted;
    // SAFETY: integers and a set, for which zero is a value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as *const () as libc::sighandler_t;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: fills a set of ours: nothing interrupts the handler.
    unsafe { libc::sigfillset(&raw mut action.sa_mask) };
    for signal in FAULTS {
        // SAFETY: the handler keeps to what signal-safety(7) allows, and has the signature that SA_SIGINFO demands.
        check(libc::c_long::from(unsafe {
            libc::sigaction(signal, &raw const action, std::ptr::null_mut())
        }))?;
    }
    Ok(())
}

/// A handler's stack, in use by the thread that made it.
#[derive(Debug)]
pub(super) struct OwnStack {
    at: *mut libc::c_void,
}

/// Makes a stack for handlers on this thread. It stays until it is removed.
pub(super) fn own_stack() -> io::Result<OwnStack> {
    let whole = STACK_BYTES + GUARD_BYTES;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK;
    // SAFETY: a new mapping where the kernel likes; the lowest page of it is then closed. Both are ours alone.
    let at = unsafe {
        let at = libc::mmap(std::ptr::null_mut(), whole, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        libc::mprotect(at, GUARD_BYTES, libc::PROT_NONE);
        at
    };
    let stack = libc::stack_t { ss_sp: at.wrapping_byte_add(GUARD_BYTES), ss_flags: 0, ss_size: STACK_BYTES };
    // SAFETY: the stack stays mapped for as long as it is this thread's: whoever takes it away says so to the kernel first.
    check(libc::c_long::from(unsafe { libc::sigaltstack(&raw const stack, std::ptr::null_mut()) }))?;
    Ok(OwnStack { at })
}

impl OwnStack {
    /// Its address, for whoever can keep nothing else.
    pub(super) fn into_raw(self) -> *mut libc::c_void {
        self.at
    }

    /// The stack at an address that [`OwnStack::into_raw`] gave.
    pub(super) fn from_raw(at: *mut libc::c_void) -> OwnStack {
        OwnStack { at }
    }

    /// Takes it away again. On the thread that made it.
    pub(super) fn remove(self) {
        let none = libc::stack_t { ss_sp: std::ptr::null_mut(), ss_flags: libc::SS_DISABLE, ss_size: 0 };
        let mut old = MaybeUninit::<libc::stack_t>::zeroed();
        // SAFETY: the kernel reads one struct and writes the other. The mapping is given back only when it was still this thread's handler stack, so nobody stands on it.
        unsafe {
            if libc::sigaltstack(&raw const none, old.as_mut_ptr()) == 0
                && old.assume_init().ss_sp == self.at.wrapping_byte_add(GUARD_BYTES)
            {
                libc::munmap(self.at, STACK_BYTES + GUARD_BYTES);
            }
        }
    }
}

/// The handler. Everything in it may be done in handlers (signal-safety(7)): system calls, and memory that the kernel has just written.
extern "C" fn faulted(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel hands both to a handler with SA_SIGINFO; they lie on the stack that it stands on until it returns.
    let (info_now, context) = unsafe { (&*info, &mut *context.cast::<libc::ucontext_t>()) };
    let origin = if info_now.si_code <= 0 { Origin::Sent } else { Origin::Instruction };
    let first_of_namespace = std::process::id() == 1;
    // Sent, not raised by an instruction. Without a handler the first process of a namespace does not notice, and so it stays; abort(3) is one of these, too.
    if origin == Origin::Sent && signal != libc::SIGABRT && first_of_namespace {
        return;
    }
    if TAKEN.swap(true, Ordering::Relaxed) {
        wait_for_the_end();
    }
    let address: *const libc::ucontext_t = context;
    if show(signal, info, address) == CRASH_AGAIN {
        dumpable(1);
        show(signal, info, address);
        dumpable(0);
    }
    if signal == libc::SIGABRT && first_of_namespace {
        exit_now(EXIT_ABORTED)
    }
    // SAFETY: takes numbers only.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
    match origin {
        // Once more, for when the handler is left.
        // SAFETY: takes a number.
        Origin::Sent => drop(unsafe { libc::raise(signal) }),
        Origin::Instruction => fault_again(signal, context),
    }
}

/// Waits until the supervisor has looked: the error number.
fn show(signal: libc::c_int, info: *const libc::siginfo_t, context: *const libc::ucontext_t) -> libc::c_int {
    // SAFETY: there is no such call; the filter hands numbers to the supervisor, which has it fail. The addresses are not written to.
    let result = unsafe { libc::syscall(libc::c_long::from(CRASH_CALL), signal, info, context) };
    // SAFETY: this thread's errno, which nobody will read any more.
    if result < 0 { unsafe { *libc::__errno_location() } } else { 0 }
}

/// The supervisor lets this through once it was told of a crash that it could not look at.
fn dumpable(value: libc::c_ulong) {
    let zero: libc::c_ulong = 0;
    // SAFETY: takes numbers only.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, value, zero, zero, zero) };
}

/// Another thread is being looked at, and its end is everybody's.
fn wait_for_the_end() -> ! {
    let second = libc::timespec { tv_sec: 1, tv_nsec: 0 };
    loop {
        // SAFETY: the kernel reads a struct of ours.
        unsafe { libc::nanosleep(&raw const second, std::ptr::null_mut()) };
    }
}

/// Goes back to the instruction that faulted, with its signal blocked: it faults again, and the kernel then does what it does by default.
fn fault_again(signal: libc::c_int, context: &mut libc::ucontext_t) {
    // SAFETY: a set that the kernel wrote, and reads on the way out of the handler.
    unsafe { libc::sigaddset(&raw mut context.uc_sigmask, signal) };
    let instruction = &mut context.uc_mcontext.gregs[libc::REG_RIP as usize];
    if signal == libc::SIGTRAP {
        let before = (*instruction - 1) as *const u8;
        // SAFETY: the processor has just executed what is there, or what comes after it on the same page.
        if unsafe { before.read_volatile() } == BREAKPOINT {
            *instruction -= 1;
        }
    }
}
