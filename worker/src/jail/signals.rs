//! Signals: faults end the process at once.
#![allow(unsafe_code)] // signal dispositions

/// Signals for which Rust's runtime installs handlers that look for stack overflows. With the stack limited later than they were installed they would look in the wrong place,
/// and the filter does not let them take themselves away again.
const RUNTIME_HANDLED: [libc::c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];

/// Takes the runtime's fault handlers away.
pub(super) fn default_faults() {
    for signal in RUNTIME_HANDLED {
        // SAFETY: SIG_DFL runs no code of ours; the process has one thread, so nobody is in the old handler.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}
