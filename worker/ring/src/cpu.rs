//! Where the calling thread runs.
#![cfg_attr(not(loom), allow(unsafe_code))] // a function of the C library

/// The processor that the calling thread runs on now.
#[cfg(not(loom))]
pub(crate) fn current() -> u32 {
    // SAFETY: it takes nothing and gives a number. The C library reads it from the memory that the kernel keeps up to date for each thread (rseq(2)), or asks the vDSO: not a system
    // call, so a worker's filter does not mind.
    let cpu = unsafe { libc::sched_getcpu() };
    u32::try_from(cpu).unwrap_or(u32::MAX)
}

#[cfg(loom)]
pub(crate) fn current() -> u32 {
    0
}
