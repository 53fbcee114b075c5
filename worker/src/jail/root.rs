//! An empty root directory: a tmpfs without a file, read-only. Only in a mount namespace of one's own.

use std::io;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::{chdir, pivot_root};

/// Directories of which one is there on every system: the tmpfs is mounted over it for a moment.
const PLACES: [&str; 4] = ["/tmp", "/usr", "/proc", "/dev"];
/// Room for nothing.
const OPTIONS: &str = "size=4k,nr_inodes=2,mode=0555";
const NOTHING_RUNS: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV).union(MsFlags::MS_NOEXEC);
const NONE: Option<&str> = None;

/// Replaces the root.
pub(super) fn empty() -> io::Result<()> {
    // Nothing that is mounted here shows outside, or the other way round.
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)?;
    let mut place = Err(nix::Error::ENOENT);
    for directory in PLACES {
        place =
            mount(Some("none"), directory, Some("tmpfs"), NOTHING_RUNS, Some(OPTIONS)).map(|()| directory);
        if place.is_ok() {
            break;
        }
    }
    chdir(place?)?;
    // The old root goes on top of the new one (pivot_root(2), "pivot_root(".", ".")"), and away.
    pivot_root(".", ".")?;
    umount2(".", MntFlags::MNT_DETACH)?;
    let read_only = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY | NOTHING_RUNS;
    mount(NONE, "/", NONE, read_only, NONE)?;
    Ok(chdir("/")?)
}
