//! Which cgroup is ours to divide: found from `/proc/self/cgroup` and the mounts, or named in the config.
//!
//! Being able to write is not enough: root can write everywhere, and so takes only what was delegated. Whoever delegates says so with an attribute of the directory
//! (systemd, `Delegate=yes`), or by giving the directory to an ordinary user. Looks only; nothing is changed here.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::{Choice, Controller};

/// `CGROUP2_SUPER_MAGIC` (statfs(2)).
const CGROUP2_MAGIC: i64 = 0x6367_7270;
/// Attributes by which systemd says that it has delegated a cgroup (systemd's "Control Group APIs and Delegation"); the second is for root's eyes.
const DELEGATED: [&str; 2] = ["user.delegate", "trusted.delegate"];

/// A cgroup that we may divide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its directory.
    pub dir: PathBuf,
    /// The controllers that we could switch on for what is below it.
    pub controllers: Vec<Controller>,
}

/// Why there is none.
#[derive(Debug, Error)]
pub enum NotFound {
    /// Nobody wants one.
    #[error("no cgroups are used, as the config says (`cgroup = \"off\"`)")]
    Off,
    /// The kernel has none of version 2, or none is mounted.
    #[error("no cgroup v2 is mounted that holds this process")]
    NotMounted,
    /// We are in one that is somebody else's.
    #[error("the cgroup {} was not delegated to this supervisor: run it under systemd with Delegate=yes, or name a directory with `cgroup` in the config", dir.display())]
    NotDelegated {
        /// Ours.
        dir: PathBuf,
    },
    /// The config names something else.
    #[error("{} is no directory of a cgroup v2 hierarchy; name another one with `cgroup` in the config", dir.display())]
    NoCgroup {
        /// What it names.
        dir: PathBuf,
    },
    /// It cannot be looked at.
    #[error("cannot look at {}: {source}", path.display())]
    Io {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Finds it.
///
/// # Errors
/// [`NotFound`].
pub fn find(choice: &Choice) -> Result<Found, NotFound> {
    let dir = match choice {
        Choice::Off => return Err(NotFound::Off),
        Choice::At(dir) => dir.clone(),
        Choice::Auto => {
            let read = |path: &str| {
                fs::read_to_string(path).map_err(|source| NotFound::Io { path: path.into(), source })
            };
            let dir = own_dir(&read("/proc/self/cgroup")?, &read("/proc/self/mountinfo")?)
                .ok_or(NotFound::NotMounted)?;
            if !is_delegated(&dir).map_err(|source| NotFound::Io { path: dir.clone(), source })? {
                return Err(NotFound::NotDelegated { dir });
            }
            dir
        }
    };
    let io = |source| NotFound::Io { path: dir.clone(), source };
    let facts = rustix::fs::statfs(&dir).map_err(|error| io(error.into()))?;
    if facts.f_type != CGROUP2_MAGIC || !dir.is_dir() {
        return Err(NotFound::NoCgroup { dir });
    }
    let controllers = fs::read_to_string(dir.join("cgroup.controllers")).map_err(io)?;
    Ok(Found { controllers: Controller::listed(&controllers), dir })
}

/// The directory of the cgroup that this process is in, from the texts of `/proc/self/cgroup` and `/proc/self/mountinfo`.
fn own_dir(cgroup: &str, mounts: &str) -> Option<PathBuf> {
    let path = cgroup.lines().find_map(|line| line.strip_prefix("0::"))?;
    mounts.lines().find_map(|line| {
        // proc_pid_mountinfo(5): … root, mount point, options …, a dash, the kind of file system.
        let (fields, kind) = line.split_once(" - ")?;
        if kind.split(' ').next() != Some("cgroup2") {
            return None;
        }
        let mut fields = fields.split(' ').skip(3);
        let (root, mounted) = (unescaped(fields.next()?), unescaped(fields.next()?));
        let below = Path::new(path).strip_prefix(&root).ok()?;
        // What is outside of our view of the hierarchy begins with "..".
        let inside = !below.components().any(|part| part == std::path::Component::ParentDir);
        inside.then(|| mounted.join(below))
    })
}

/// The kernel writes spaces and the like as `\040`.
fn unescaped(text: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        let code = others.get(..3).filter(|_| *first == b'\\');
        let code = code.and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 8).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &others[3..] } else { others };
    }
    PathBuf::from(OsString::from_vec(bytes))
}

/// Whether whoever manages the hierarchy gave us this directory.
fn is_delegated(dir: &Path) -> io::Result<bool> {
    let says_so = |name: &&str| {
        let mut value = [0; 8];
        rustix::fs::getxattr(dir, *name, &mut value).is_ok_and(|read| &value[..read] == b"1")
    };
    if DELEGATED.iter().any(says_so) {
        return Ok(true);
    }
    let me = rustix::process::geteuid();
    let owner = |dir: &Path| fs::metadata(dir).map(|facts| facts.uid());
    // The top of what a user owns was given to that user; what is further down is somebody's who divides it already.
    let top = match dir.parent() {
        Some(above) => owner(above)? != me.as_raw(),
        None => true,
    };
    Ok(!me.is_root() && owner(dir)? == me.as_raw() && top)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "24 1 0:22 / /proc rw - proc proc rw\n\
        30 24 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
        42 32 0:40 /user.slice /mnt/a\\040b rw - cgroup2 cgroup2 rw\n\
        43 32 0:40 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";

    #[test]
    fn our_own_directory_is_found_through_the_mount_that_shows_it() {
        let found = |cgroup: &str| own_dir(cgroup, MOUNTS);
        let service = "9:memory:/x\n0::/system.slice/croupier.service\n";
        assert_eq!(found(service), Some("/sys/fs/cgroup/system.slice/croupier.service".into()));
        assert_eq!(found("0::/user.slice/u"), Some("/mnt/a b/u".into()), "the first that shows it");
        assert_eq!(found("0::/"), Some("/sys/fs/cgroup/".into()));
        assert_eq!(found("0::/../other"), None, "outside of our namespace");
        assert_eq!(found("4:memory:/x"), None, "version 1 alone");
        assert_eq!(own_dir("0::/", "24 1 0:22 / /proc rw - proc proc rw"), None);
    }

    #[test]
    fn a_plain_directory_is_not_taken_for_a_cgroup_nor_for_delegated() {
        let dir = tempfile::tempdir().unwrap();
        let found = find(&Choice::At(dir.path().to_owned()));
        assert!(matches!(found, Err(NotFound::NoCgroup { .. })), "{found:?}");
        let missing = find(&Choice::At(dir.path().join("missing")));
        assert!(matches!(missing, Err(NotFound::Io { .. })), "{missing:?}");
        assert!(matches!(find(&Choice::Off), Err(NotFound::Off)));
        if rustix::process::geteuid().is_root() {
            assert!(!is_delegated(dir.path()).unwrap(), "root owns everything, which says nothing");
        } else {
            assert!(is_delegated(dir.path()).unwrap(), "a user's own, below another's");
            let inner = dir.path().join("inner");
            fs::create_dir(&inner).unwrap();
            assert!(!is_delegated(&inner).unwrap(), "further down");
        }
    }
}
