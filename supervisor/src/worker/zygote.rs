//! The supervisor's side of the zygote: the process that forks workers (see the worker's `jail::zygote`). One question at a time, each with its answer.
//!
//! When it dies, its workers die with it, and [`super::launcher`] starts another.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use croupier_wire::build::{BUILD, GREETING_BYTES_MAX, greeted};
use croupier_wire::confine::{CONFINE_FRAME_BYTES_MAX, FromZygote, ToZygote};
use croupier_wire::frame::FrameReader;
use croupier_wire::link::LINK_VERSION;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

/// Longest time for one answer. A fork takes milliseconds; a zygote that does not answer is replaced.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Most descriptors beside a question.
const DESCRIPTORS_MAX: usize = 4;

/// What the zygote answered.
#[derive(Debug)]
pub(super) enum Answer {
    /// A worker is there.
    Spawned {
        /// Its process.
        pid: u32,
        /// The same, as a descriptor.
        pidfd: OwnedFd,
        /// Bits of [`croupier_wire::confine::namespace`].
        namespaces: u32,
        /// Why fewer than asked for.
        why: String,
    },
    /// How it ended, as wait(2) packs it.
    Reaped {
        /// The status.
        status: i32,
    },
    /// It could not be done, though the zygote is well.
    Failed(io::Error),
}

/// What arrived.
enum Heard {
    Answer(Answer),
    /// A worker is there, and the kernel could not give us its descriptor (unix(7): those that do not fit are left out).
    NoPidfd {
        pid: u32,
    },
}

/// The process. Dropping it ends it, and with it every worker.
#[derive(Debug)]
pub(super) struct Zygote {
    child: Child,
    socket: OwnedFd,
}

impl Zygote {
    /// Executes one: nothing of this process's memory is in it, nor in what it forks.
    pub(super) fn start(binary: &Path) -> io::Result<Zygote> {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        set_socket_timeout(&ours, Timeout::Recv, Some(ANSWER_MAX))?;
        set_socket_timeout(&ours, Timeout::Send, Some(ANSWER_MAX))?;
        let child = Command::new(binary)
            .arg("--zygote")
            .env_clear()
            .current_dir("/")
            // A group of its own: an interrupt typed at the supervisor's terminal is not for the workers.
            .process_group(0)
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()?;
        let zygote = Zygote { child, socket: ours };
        zygote.check_build()?;
        Ok(zygote)
    }

    /// It says first which build it is; of another one than ours nothing else would be sure to be understood.
    fn check_build(&self) -> io::Result<()> {
        let mut packet = [0; GREETING_BYTES_MAX];
        let read = match rustix::net::recv(&self.socket, &mut packet, RecvFlags::empty()) {
            Ok((read, _)) => read,
            // Older ones waited to be asked.
            Err(rustix::io::Errno::AGAIN) => {
                let text = format!(
                    "the process that makes workers did not answer within {} s: is it of the same build as this croupier, {BUILD}?",
                    ANSWER_MAX.as_secs()
                );
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
            Err(error) => return Err(error.into()),
        };
        let other = match greeted(&packet[..read]) {
            Some(build) if build == BUILD => return Ok(()),
            Some(build) => format!("it is of build {build}"),
            // It has ended, as a program that is no worker at all.
            None if read == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            None => "it does not say which build it is of".to_owned(),
        };
        let text = format!(
            "{other}, and this croupier is of build {BUILD}: install croupier and croupier-worker from one build"
        );
        Err(io::Error::new(io::ErrorKind::Unsupported, text))
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Asks. An error means that this zygote is of no use any more.
    pub(super) fn ask(&self, question: &ToZygote, descriptors: &[BorrowedFd<'_>]) -> io::Result<Answer> {
        let mut frame = Vec::new();
        question.put(&mut frame).map_err(io::Error::other)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(io::Error::other("no room for the descriptors beside a question"));
        }
        sendmsg(&self.socket, &[IoSlice::new(&frame)], &mut ancillary, SendFlags::NOSIGNAL)?;
        match self.answer()? {
            Heard::Answer(answer) => Ok(answer),
            Heard::NoPidfd { pid } => {
                // There is no room for one more descriptor here: that is no reason to end the zygote, and with it everybody's worker. Reaping ends this one.
                self.ask(&ToZygote::Reap { pid }, &[])?;
                Ok(Answer::Failed(io::Error::other("no descriptor is left for one more worker")))
            }
        }
    }

    fn answer(&self) -> io::Result<Heard> {
        let mut reader = FrameReader::new(LINK_VERSION, CONFINE_FRAME_BYTES_MAX);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(reader.space())];
        let read = match recvmsg(&self.socket, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
            Ok(message) => message.bytes,
            Err(rustix::io::Errno::AGAIN) => {
                let seconds = ANSWER_MAX.as_secs();
                let text = format!("the process that makes workers did not answer within {seconds} s");
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
            Err(error) => return Err(error.into()),
        };
        let mut descriptor = None;
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                descriptors.for_each(|received| descriptor = Some(received));
            }
        }
        reader.filled(read);
        let (header, body) = reader.next().map_err(io::Error::other)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(Heard::Answer(match FromZygote::decode(&header, body).map_err(io::Error::other)? {
            FromZygote::Spawned { pid, namespaces, why } => {
                let Some(pidfd) = descriptor else { return Ok(Heard::NoPidfd { pid }) };
                Answer::Spawned { pid, pidfd, namespaces, why: why.to_owned() }
            }
            FromZygote::Reaped { status } => Answer::Reaped { status },
            FromZygote::Failed { step, errno } => {
                let error = io::Error::from_raw_os_error(errno);
                Answer::Failed(io::Error::new(error.kind(), format!("{step}: {error}")))
            }
        }))
    }
}

impl Drop for Zygote {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
