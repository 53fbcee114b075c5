//! The zygote: makes workers by forking itself. Executed afresh by the supervisor, it has loaded what workers need, has one thread, and holds nothing but its socket.
//!
//! ```text
//!             ◀─ which build it is ───────────────────────────────────
//!  supervisor ── Spawn(namespaces, uid) + link, stdout, stderr, cgroup ─▶ fork ──▶ Spawned + pidfd        in the child: serve returns, and it goes on as a worker
//!             ── Reap(pid) ──────────────────────────────────────▶ waitpid ─▶ Reaped(status)
//!             ── (end of the socket) ────────────────────────────▶ exit, and with it every worker
//! ```
//!
//! A worker stays a zombie, and its pid its own, until the supervisor asks how it ended. One question at a time; it trusts the supervisor, and never reads what a worker says.
#![allow(unsafe_code)] // descriptors arrive as bare numbers

use std::fs::File;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use croupier_wire::confine::{CONFINE_FRAME_BYTES_MAX, FromZygote, ToZygote};
use croupier_wire::frame::FrameReader;
use croupier_wire::link::LINK_VERSION;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use nix::unistd::Pid;

use super::fork::{Forked, Plan, Tools, fork};
use super::{exit_now, step};
use crate::fault::Fault;

/// Descriptors beside a Spawn that become the worker's: link, standard output, standard error.
pub(super) const WORKER_DESCRIPTORS: usize = 3;
/// Most descriptors beside a Spawn: those, and the cgroup to begin in.
const DESCRIPTORS_MAX: usize = WORKER_DESCRIPTORS + 1;

/// Longest time that is waited for one worker's end, which everybody else waits for, too. The supervisor asks again.
const REAP_MAX: Duration = Duration::from_millis(10);
/// The supervisor does not ask again for a worker that could not be had for so long.
const HELD_MAX: Duration = Duration::from_secs(10);
/// Time between two looks whether it has ended. Mostly it has before it is asked for.
const REAP_LOOK: Duration = Duration::from_millis(1);

/// What has been asked.
struct Question {
    ask: ToZygote,
    descriptors: Vec<OwnedFd>,
}

/// Serves until the socket ends. Returns in each worker, with its link.
pub(crate) fn serve(socket: File) -> Result<File, Fault> {
    let tools = step("prepare for forking", Tools::new())?;
    greet(&socket)?;
    // Ended, and not to be had yet when they were asked for last.
    let mut held: Vec<(Pid, Instant)> = Vec::new();
    loop {
        let Some(Question { ask, descriptors }) = step("read the supervisor's socket", receive(&socket))?
        else {
            exit_now(0)
        };
        // How it ended is asked for once more, until nobody does.
        held.retain(|(pid, since)| since.elapsed() < HELD_MAX || matches!(collect(*pid), Ok(None)));
        match ask {
            ToZygote::Spawn { namespaces, uid, fresh } => {
                let mut descriptors = descriptors;
                let cgroup = if descriptors.len() == DESCRIPTORS_MAX { descriptors.pop() } else { None };
                let Ok(descriptors) = <[OwnedFd; WORKER_DESCRIPTORS]>::try_from(descriptors) else {
                    return Err(Fault::Unexpected {
                        message: "Spawn",
                        when: "without its three descriptors",
                    });
                };
                let plan = Plan { namespaces, uid, fresh, cgroup: cgroup.as_ref().map(AsFd::as_fd) };
                match fork(&tools, &plan, &descriptors) {
                    Ok(Forked::Worker(link)) => {
                        // In the worker their descriptors are closed already, and the numbers are others'.
                        std::mem::forget((socket, tools, descriptors, cgroup));
                        return Ok(link);
                    }
                    Ok(Forked::Parent { pid, pidfd, namespaces, why }) => {
                        let spawned =
                            FromZygote::Spawned { pid: pid.as_raw().cast_unsigned(), namespaces, why: &why };
                        answer(&socket, &spawned, Some(&pidfd))?;
                    }
                    Err((step, error)) => fail(&socket, step, error.raw_os_error().unwrap_or(libc::EIO))?,
                }
            }
            ToZygote::Reap { pid } => {
                let pid = Pid::from_raw(pid.cast_signed());
                held.retain(|(known, _)| *known != pid);
                match reap(pid) {
                    Ok(status) => answer(&socket, &FromZygote::Reaped { status }, None)?,
                    Err(errno) => {
                        if errno == Errno::EAGAIN {
                            held.push((pid, Instant::now()));
                        }
                        fail(&socket, "wait for the worker", errno as i32)?;
                    }
                }
            }
        }
    }
}

/// Which build this is: a supervisor of another one asks nothing.
fn greet(socket: &File) -> Result<(), Fault> {
    let greeting = croupier_wire::build::greeting();
    let sent = sendmsg::<()>(
        socket.as_raw_fd(),
        &[IoSlice::new(greeting.as_bytes())],
        &[],
        MsgFlags::MSG_NOSIGNAL,
        None,
    );
    step("greet the supervisor", sent.map(drop).map_err(std::io::Error::from))
}

fn fail(socket: &File, step: &str, errno: i32) -> Result<(), Fault> {
    answer(socket, &FromZygote::Failed { step, errno }, None)
}

/// Ends a worker, if it has not ended, and takes its status. EAGAIN when it cannot be had: whoever traces a process gets it first, and a debugger may sit at its prompt for hours.
fn reap(pid: Pid) -> Result<i32, Errno> {
    // A child of ours that nobody else reaps: the number is its own until the wait.
    let _ = kill(pid, Signal::SIGKILL);
    // What it has forked (unjailed, or without a pid namespace) must not outlive it. It leads a group of its own.
    let _ = killpg(pid, Signal::SIGKILL);
    let due = Instant::now() + REAP_MAX;
    loop {
        match collect(pid) {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if Instant::now() >= due => return Err(Errno::EAGAIN),
            Ok(None) => std::thread::sleep(REAP_LOOK),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// The status of a worker that has ended; none as long as it cannot be had.
fn collect(pid: Pid) -> Result<Option<i32>, Errno> {
    let mut status = 0;
    // SAFETY: waitpid writes one int, which is here.
    let waited = unsafe { libc::waitpid(pid.as_raw(), &raw mut status, libc::__WALL | libc::WNOHANG) };
    Ok(if Errno::result(waited)? == 0 { None } else { Some(status) })
}

/// The next question; none at the end of the socket.
fn receive(socket: &File) -> std::io::Result<Option<Question>> {
    let mut reader = FrameReader::new(LINK_VERSION, CONFINE_FRAME_BYTES_MAX);
    let mut control = nix::cmsg_space!([RawFd; DESCRIPTORS_MAX]);
    let mut descriptors = Vec::new();
    let read = {
        let mut parts = [IoSliceMut::new(reader.space())];
        let message = loop {
            match recvmsg::<()>(
                socket.as_raw_fd(),
                &mut parts,
                Some(&mut control),
                MsgFlags::MSG_CMSG_CLOEXEC,
            ) {
                Err(Errno::EINTR) => {}
                other => break other?,
            }
        };
        for control in message.cmsgs()? {
            if let ControlMessageOwned::ScmRights(numbers) = control {
                // SAFETY: the kernel has just made these descriptors for this process (unix(7), SCM_RIGHTS); nobody else owns them.
                descriptors.extend(numbers.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
            }
        }
        message.bytes
    };
    if read == 0 {
        return Ok(None);
    }
    reader.filled(read);
    match reader.next().map_err(std::io::Error::other)? {
        Some((header, body)) => {
            let ask = ToZygote::decode(&header, body).map_err(std::io::Error::other)?;
            Ok(Some(Question { ask, descriptors }))
        }
        None => Err(std::io::ErrorKind::UnexpectedEof.into()),
    }
}

fn answer(socket: &File, answer: &FromZygote<'_>, pidfd: Option<&OwnedFd>) -> Result<(), Fault> {
    let mut frame = Vec::new();
    answer.put(&mut frame)?;
    let descriptors: Vec<RawFd> = pidfd.map(|pidfd| pidfd.as_raw_fd()).into_iter().collect();
    let rights = [ControlMessage::ScmRights(&descriptors)];
    let rights = if descriptors.is_empty() { &rights[..0] } else { &rights[..] };
    let sent =
        sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(&frame)], rights, MsgFlags::MSG_NOSIGNAL, None);
    match sent {
        Ok(_) => Ok(()),
        // Nobody is there to hear it.
        Err(Errno::EPIPE | Errno::ECONNRESET) => exit_now(0),
        Err(error) => step("answer the supervisor", Err(error.into())),
    }
}
