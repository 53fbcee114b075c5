//! Readiness of descriptors for tasks: the one place that registers them with the runtime.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Watches a descriptor that is owned by what is returned. Within a tokio runtime.
///
/// # Errors
/// When the runtime cannot watch it (descriptors used up).
#[expect(
    deprecated,
    reason = "the constructors for any AsRawFd are deprecated as unsound; for an OwnedFd, which keeps its descriptor open and the same, they are sound, \
              and the ones that replace them are unsafe"
)]
pub fn watch(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(fd, interest)
}
