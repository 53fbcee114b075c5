//! Resource limits (setrlimit(2)): soft and hard, so that they can only be lowered.

use std::io;

use croupier_wire::confine::Rlimits;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::libraries::set_thread_stacks;

/// A core file would hold other people's cards, and seeds of running turns.
pub(super) fn no_core_files() -> io::Result<()> {
    Ok(setrlimit(Resource::RLIMIT_CORE, 0, 0)?)
}

/// Sets every limit. DATA is the tight one: AS also counts address space that is never touched.
pub(super) fn apply(limits: &Rlimits) -> io::Result<()> {
    set_thread_stacks(limits.stack_bytes)?;
    limit(Resource::RLIMIT_DATA, limits.data_bytes)?;
    limit(Resource::RLIMIT_AS, limits.address_bytes)?;
    limit(Resource::RLIMIT_STACK, limits.stack_bytes)?;
    limit(Resource::RLIMIT_NOFILE, limits.open_files)?;
    if limits.threads > 0 {
        limit(Resource::RLIMIT_NPROC, limits.threads)?;
    }
    for nothing in [
        Resource::RLIMIT_FSIZE,
        Resource::RLIMIT_MEMLOCK,
        Resource::RLIMIT_MSGQUEUE,
        Resource::RLIMIT_RTPRIO,
        Resource::RLIMIT_NICE,
    ] {
        limit(nothing, 0)?;
    }
    Ok(())
}

/// Less than asked for where the hard limit already is lower.
fn limit(resource: Resource, wanted: u64) -> io::Result<()> {
    let (_, hard) = getrlimit(resource)?;
    let value = wanted.min(hard);
    Ok(setrlimit(resource, value, value)?)
}
