//! Forks a worker off the zygote: namespaces, user id, session, descriptors.
//!
//! ```text
//!  zygote:  clone3 into its cgroup ─▶ uid and gid maps ─▶ "go" ─▶ answers
//!  child:             waits for "go" ─▶ become the mapped user ─▶ cgroup namespace ─▶ die with the zygote ─▶ session ─▶ descriptors ─▶ (exec) ─▶ a worker
//! ```
//!
//! Where the kernel refuses namespaces, the child is made without any, and the answer says so. Where it refuses the cgroup, the child is made outside of it, which is seen from
//! outside. The zygote has one thread, so the child may do whatever it likes.
//!
//! The cgroup namespace is made by the child, and not by clone3: that would take the zygote's cgroup as its root, although the child begins in its own.
#![allow(unsafe_code)] // clone3(2)

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use croupier_wire::confine::namespace;
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Pid, Uid, setgroups, setresgid, setresuid, setsid};

use super::descriptors::{LINK, duplicate, settle};
use super::zygote::WORKER_DESCRIPTORS;
use super::{check, exit_now, privileges};

/// Exit statuses of a child that could not become a worker.
const EXIT_NO_GO: i32 = 90;
const EXIT_NOT_BORN: i32 = 91;
/// What a fresh worker is called.
const NAME: &CStr = c"croupier-worker";
const GO: u8 = b'g';
/// `CLONE_INTO_CGROUP` (clone3(2)), for which the libc crate's type is too narrow.
const CLONE_INTO_CGROUP: u64 = 1 << 33;

/// How a worker is to be made.
#[derive(Clone, Copy)]
pub(super) struct Plan<'a> {
    /// Bits of [`namespace`].
    pub(super) namespaces: u32,
    /// Its user and group id outside; 0 for our own.
    pub(super) uid: u32,
    /// With an exec.
    pub(super) fresh: bool,
    /// The cgroup that it begins in; ours without one.
    pub(super) cgroup: Option<BorrowedFd<'a>>,
}

/// On which side of the fork we are.
pub(super) enum Forked {
    /// In the zygote.
    Parent { pid: Pid, pidfd: OwnedFd, namespaces: u32, why: String },
    /// In the worker, with its link.
    Worker(File),
}

/// What is opened once, while there are files.
pub(super) struct Tools {
    null: File,
    /// This very program.
    program: File,
    /// Where the C library keeps the main thread's id, so that the kernel can put the child's there.
    thread_id_at: u64,
}

impl Tools {
    pub(super) fn new() -> io::Result<Tools> {
        let mut at: u64 = 0;
        // SAFETY: PR_GET_TID_ADDRESS writes one pointer, for which there is room. Kernels without it leave 0, which means nowhere.
        unsafe { libc::prctl(libc::PR_GET_TID_ADDRESS, &raw mut at, 0, 0, 0) };
        Ok(Tools {
            null: File::options().read(true).write(true).open("/dev/null")?,
            program: File::open("/proc/self/exe")?,
            thread_id_at: at,
        })
    }
}

type Step = (&'static str, io::Error);

/// Forks; outside of the cgroup when the kernel does not let it in. In the worker every descriptor that the zygote owned is closed, so its owners must be forgotten there.
pub(super) fn fork(
    tools: &Tools,
    plan: &Plan<'_>,
    descriptors: &[OwnedFd; WORKER_DESCRIPTORS],
) -> Result<Forked, Step> {
    let inside = as_far_as_possible(tools, plan, descriptors);
    let Err((_, error)) = &inside else { return inside };
    if plan.cgroup.is_none() {
        return inside;
    }
    // Said, and seen from outside; whether it will do is the supervisor's decision.
    eprintln!(
        "croupier-worker: a worker cannot be made, perhaps because of its cgroup; trying without: {error}"
    );
    let outside = Plan { cgroup: None, ..*plan };
    as_far_as_possible(tools, &outside, descriptors)
}

/// Without namespaces when they are not to be had.
fn as_far_as_possible(
    tools: &Tools,
    plan: &Plan<'_>,
    descriptors: &[OwnedFd; WORKER_DESCRIPTORS],
) -> Result<Forked, Step> {
    let all = fork_with(tools, plan, descriptors);
    let Err((step, error)) = all else { return all };
    if plan.namespaces == 0 {
        return Err((step, error));
    }
    if plan.uid != 0 {
        // Privileged in a user namespace that does not have this user, as in a container: one's own user will do.
        let ours = Plan { uid: 0, ..*plan };
        let forked = fork_with(tools, &ours, descriptors);
        if forked.is_ok() {
            return forked;
        }
    }
    let bare = Plan { namespaces: 0, ..*plan };
    match fork_with(tools, &bare, descriptors)? {
        Forked::Parent { pid, pidfd, namespaces, .. } => {
            Ok(Forked::Parent { pid, pidfd, namespaces, why: format!("{step}: {error}") })
        }
        worker => Ok(worker),
    }
}

fn fork_with(
    tools: &Tools,
    plan: &Plan<'_>,
    descriptors: &[OwnedFd; WORKER_DESCRIPTORS],
) -> Result<Forked, Step> {
    let namespaces = plan.namespaces;
    let (mut wait, mut go) = io::pipe().map_err(|error| ("make a pipe", error))?;
    let Some((pid, pidfd)) = clone(tools, plan).map_err(|error| ("clone3", error))? else {
        drop(go);
        let mut word = [0];
        // The zygote has ended, or the maps could not be written.
        if !matches!(wait.read(&mut word), Ok(1)) {
            exit_now(EXIT_NO_GO);
        }
        drop(wait);
        return match become_worker(tools, plan, descriptors) {
            Ok(link) => Ok(Forked::Worker(link)),
            Err((step, error)) => {
                eprintln!("croupier-worker: {step}: {error}");
                exit_now(EXIT_NOT_BORN)
            }
        };
    };
    drop(wait);
    let mapped = if namespaces & namespace::USER == 0 { Ok(()) } else { map(pid, plan.uid) };
    let gone = mapped.and_then(|()| go.write_all(&[GO]));
    if let Err(error) = gone {
        // Without "go" it exits by itself.
        drop(go);
        let _ = nix::sys::wait::waitpid(pid, None);
        return Err(("map the user", error));
    }
    Ok(Forked::Parent { pid, pidfd, namespaces, why: String::new() })
}

/// clone3(2) as fork(2) does it, into namespaces and the cgroup. `None` in the child.
fn clone(tools: &Tools, plan: &Plan<'_>) -> io::Result<Option<(Pid, OwnedFd)>> {
    let mut pidfd: libc::c_int = -1;
    // SAFETY: integers only, for which zero is a value.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = clone_flags(plan.namespaces) | flag(libc::CLONE_PIDFD);
    if let Some(cgroup) = plan.cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = u64::from(cgroup.as_raw_fd().cast_unsigned());
    }
    if tools.thread_id_at != 0 {
        args.flags |= flag(libc::CLONE_CHILD_SETTID) | flag(libc::CLONE_CHILD_CLEARTID);
        args.child_tid = tools.thread_id_at;
    }
    args.pidfd = (&raw mut pidfd) as u64;
    args.exit_signal = libc::SIGCHLD as u64;
    // SAFETY: as fork(2): the child gets a copy of the memory (no CLONE_VM) and goes on here. This process has one thread, so the copy holds no lock that another thread
    // has taken. The kernel writes the pidfd here and, in the child, the thread's id where the C library keeps it.
    let pid =
        check(unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<libc::clone_args>()) })?;
    if pid == 0 {
        return Ok(None);
    }
    let pid = Pid::from_raw(i32::try_from(pid).map_err(io::Error::other)?);
    // SAFETY: the kernel has just made it for us (CLONE_PIDFD).
    Ok(Some((pid, unsafe { OwnedFd::from_raw_fd(pidfd) })))
}

fn flag(flag: libc::c_int) -> u64 {
    u64::from(flag.cast_unsigned())
}

/// Without the cgroup namespace: see above.
fn clone_flags(namespaces: u32) -> u64 {
    let table = [
        (namespace::USER, libc::CLONE_NEWUSER),
        (namespace::MOUNT, libc::CLONE_NEWNS),
        (namespace::PID, libc::CLONE_NEWPID),
        (namespace::NET, libc::CLONE_NEWNET),
        (namespace::IPC, libc::CLONE_NEWIPC),
        (namespace::UTS, libc::CLONE_NEWUTS),
    ];
    table.iter().filter(|(bit, _)| namespaces & bit != 0).map(|(_, value)| flag(*value)).sum()
}

/// Makes the child's user 0 an ordinary user outside (user_namespaces(7)): `uid`, or ourselves.
fn map(pid: Pid, uid: u32) -> io::Result<()> {
    let write = |file: &str, text: String| std::fs::write(format!("/proc/{pid}/{file}"), text);
    let (user, group) = if uid == 0 {
        // Without privileges the kernel demands this first.
        write("setgroups", "deny".into())?;
        (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw())
    } else {
        (uid, uid)
    };
    write("uid_map", format!("0 {user} 1"))?;
    write("gid_map", format!("0 {group} 1"))
}

/// What the child does before it is a worker like any other.
fn become_worker(
    tools: &Tools,
    plan: &Plan<'_>,
    descriptors: &[OwnedFd; WORKER_DESCRIPTORS],
) -> Result<File, Step> {
    if plan.namespaces & namespace::USER != 0 {
        // User 0 of the namespace is who we are outside.
        become_user(0, plan.uid).map_err(|error| ("become the namespace's user", error))?;
    } else if plan.uid != 0
        && let Err(error) = become_user(plan.uid, plan.uid)
    {
        // Said, and seen from outside; whether it will do is the supervisor's decision.
        eprintln!("croupier-worker: it could not become a user of its own: {error}");
    }
    if plan.namespaces & namespace::CGROUP != 0
        && let Err(error) = unshare(CloneFlags::CLONE_NEWCGROUP)
    {
        // As above: it is seen.
        eprintln!("croupier-worker: it could not get a cgroup namespace of its own: {error}");
    }
    privileges::die_with_parent().map_err(|error| ("die with the zygote", error))?;
    setsid().map_err(|error| ("begin a session", error.into()))?;
    umask(Mode::from_bits_truncate(0o077));
    let [link, out, err] = descriptors;
    let place = || -> io::Result<()> {
        duplicate(out.as_raw_fd(), 1)?;
        duplicate(err.as_raw_fd(), 2)?;
        if plan.fresh {
            return duplicate(link.as_raw_fd(), 0);
        }
        duplicate(tools.null.as_raw_fd(), 0)?;
        // The zygote's own socket was here.
        duplicate(link.as_raw_fd(), LINK)
    };
    place().map_err(|error| ("put the descriptors in place", error))?;
    if plan.fresh {
        return Err(("execute a fresh worker", execute(tools)));
    }
    settle().map_err(|error| ("close all other descriptors", error))
}

/// With `outside` not 0 we were privileged, and shed our groups too.
fn become_user(uid: u32, outside: u32) -> io::Result<()> {
    if outside != 0 {
        setgroups(&[])?;
    }
    let (user, group) = (Uid::from_raw(uid), Gid::from_raw(uid));
    setresgid(group, group, group)?;
    Ok(setresuid(user, user, user)?)
}

/// Becomes a fresh program of the same file, without arguments and environment. Returns only when that fails.
fn execute(tools: &Tools) -> io::Error {
    let arguments = [NAME.as_ptr(), std::ptr::null()];
    let environment = [std::ptr::null::<libc::c_char>()];
    // SAFETY: a NUL-terminated path and two NULL-terminated lists, all alive until the call returns.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            tools.program.as_raw_fd(),
            c"".as_ptr(),
            arguments.as_ptr(),
            environment.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    io::Error::last_os_error()
}
