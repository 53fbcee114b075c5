//! Signals: faults end the process at once.
#![allow(unsafe_code)] // signal dispositions

use croupier_wire::confine::EXIT_ABORTED;

/// Signals for which Rust's runtime installs handlers that look for stack overflows. With the stack limited later than they were installed they would look in the wrong place,
/// and the filter does not let them take themselves away again.
const RUNTIME_HANDLED: [libc::c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];

/// As pid 1 of a namespace, a process ignores signals that it has no handler for, its own SIGABRT too: abort(3) would then end it by a fault instruction, and nobody could tell.
pub(super) fn name_aborts() {
    extern "C" fn aborted(_: libc::c_int) {
        super::exit_now(EXIT_ABORTED)
    }
    let handler: extern "C" fn(libc::c_int) = aborted;
    // SAFETY: the handler only calls _exit(2), which may be called in handlers (signal-safety(7)).
    unsafe { libc::signal(libc::SIGABRT, handler as *const () as libc::sighandler_t) };
}

/// Takes the runtime's fault handlers away.
pub(super) fn default_faults() {
    for signal in RUNTIME_HANDLED {
        // SAFETY: SIG_DFL runs no code of ours; the process has one thread, so nobody is in the old handler.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}
