//! The system calls that a worker may make without asking. Everything else is for the supervisor to decide, and is refused there but for loading the plugin.
//!
//! What is on the list was seen to be enough for loading and running plugins in C, C++ and Rust. None of it opens, names or reaches anything: it uses what the process has.

use libc::sock_filter;

use super::bpf::{Check, Rule, Verdict, program};
use super::descriptors::{HAND_OVER, LINK};

/// Allowed whatever the arguments: memory of its own, time, its own threads' signals and waiting, reading what is open, and its end.
const ALWAYS: [libc::c_long; 22] = [
    libc::SYS_futex,
    libc::SYS_read,
    libc::SYS_clock_gettime,
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_madvise,
    libc::SYS_mremap,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_sched_yield,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_restart_syscall,
    libc::SYS_sigaltstack,
    libc::SYS_pread64,
    libc::SYS_fstat,
    libc::SYS_lseek,
    libc::SYS_exit,
    libc::SYS_exit_group,
];
/// What threads need besides.
const THREADS: [libc::c_long; 3] = [libc::SYS_set_robust_list, libc::SYS_rseq, libc::SYS_sched_getaffinity];
/// The flags with which the C library makes threads (clone(2)): VM, FS, FILES, SIGHAND, THREAD, SYSVSEM, SETTLS, PARENT_SETTID, CHILD_CLEARTID.
const THREAD_FLAGS: u32 = 0x3d_0f00;
/// Signals that get no new handlers: faults belong to the supervisor, TERM, INT and QUIT to the worker.
const HANDLED_ELSEWHERE: [libc::c_int; 9] = [
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGILL,
    libc::SIGTRAP,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGSEGV,
    libc::SIGTERM,
    libc::SIGSYS,
];

/// The filter's program; with `threads`, plugins may make threads.
pub(super) fn filter(threads: bool) -> Vec<sock_filter> {
    let mut rules = rules();
    if threads {
        rules.extend(THREADS.map(|call| (call, Verdict::AllowIf(Vec::new()))));
        rules.push((libc::SYS_clone, Verdict::AllowIf(vec![Check::In(0, vec![THREAD_FLAGS])])));
        rules.push((libc::SYS_prctl, Verdict::AllowIf(vec![Check::In(0, vec![libc::PR_SET_NAME as u32])])));
    }
    program(&rules)
}

fn rules() -> Vec<Rule> {
    let bits = |value: libc::c_int| value.cast_unsigned();
    let mut rules: Vec<Rule> = ALWAYS.map(|call| (call, Verdict::AllowIf(Vec::new()))).into();
    let mut only = |call, checks| rules.push((call, Verdict::AllowIf(checks)));
    // The link and the log pipes. writev is what the C library's last words use.
    only(libc::SYS_write, vec![Check::In(0, vec![1, 2, 3])]);
    only(libc::SYS_writev, vec![Check::In(0, vec![1, 2, 3])]);
    // Memory is never executable (but for the plugin's own code, while it is loaded) and never shared.
    only(
        libc::SYS_mmap,
        vec![Check::Without(2, bits(libc::PROT_EXEC)), Check::Without(3, bits(libc::MAP_SHARED))],
    );
    only(libc::SYS_mprotect, vec![Check::Without(2, bits(libc::PROT_EXEC))]);
    // The link stays open: its end would be taken for the worker's, at a moment of the plugin's choice, and blamed on whatever turn is played then.
    only(libc::SYS_close, vec![Check::NotIn(0, vec![bits(LINK)])]);
    // fstat by another name; with a path it would look at files.
    only(libc::SYS_newfstatat, vec![Check::In(3, vec![bits(libc::AT_EMPTY_PATH)])]);
    only(libc::SYS_rt_sigaction, vec![Check::NotIn(0, HANDLED_ELSEWHERE.map(bits).into())]);
    // abort(3) and raise(3).
    only(libc::SYS_tgkill, vec![Check::In(0, vec![std::process::id()])]);
    // Leading 1 and 2 to nowhere and back, while turns are replayed. What is open can only be written to or is the link anyway.
    only(libc::SYS_dup2, vec![Check::In(1, vec![1, 2])]);
    // Is it open? Asked by Rust's library, with debug assertions, before it closes something.
    only(libc::SYS_fcntl, vec![Check::In(1, vec![bits(libc::F_GETFD)])]);
    // Sending the filter's listener, once: see descriptors.
    only(libc::SYS_sendmsg, vec![Check::In(0, vec![bits(HAND_OVER)])]);
    // Is it a terminal? No.
    rules.push((libc::SYS_ioctl, Verdict::Errno(bits(libc::ENOTTY))));
    // Its flags are behind a pointer; the C library then takes clone, whose flags are a number.
    rules.push((libc::SYS_clone3, Verdict::Errno(bits(libc::ENOSYS))));
    rules
}
