//! The impostors' zygote: it does what is asked of one, but its workers are this very test binary, not jailed, and up to no good.

use std::collections::HashMap;
use std::io::{IoSlice, IoSliceMut, stdin};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, Stdio};

use croupier_wire::confine::{CONFINE_FRAME_BYTES_MAX, FromZygote, ToZygote};
use croupier_wire::frame::FrameReader;
use croupier_wire::link::LINK_VERSION;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

/// Makes workers by `make`, until the socket that is standard input ends.
pub(crate) fn serve(make: impl Fn() -> Command) -> ! {
    let socket = stdin().as_fd().try_clone_to_owned().expect("the socket");
    let mut children: HashMap<u32, Child> = HashMap::new();
    let greeting = croupier_wire::build::greeting();
    if rustix::net::send(&socket, greeting.as_bytes(), SendFlags::NOSIGNAL).is_err() {
        // Nobody is there to hear it.
        std::process::exit(0);
    }
    while let Some((question, descriptors)) = question(&socket) {
        match question {
            ToZygote::Spawn { .. } => {
                let [link, out, err] = <[OwnedFd; 3]>::try_from(descriptors).expect("three descriptors");
                let mut command = make();
                command
                    .process_group(0)
                    .stdin(Stdio::from(link))
                    .stdout(Stdio::from(out))
                    .stderr(Stdio::from(err));
                let child = command.spawn().expect("a worker");
                let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).expect("a pidfd");
                let spawned = FromZygote::Spawned { pid: child.id(), namespaces: 0, why: "" };
                answer(&socket, &spawned, &[pidfd.as_fd()]);
                children.insert(child.id(), child);
            }
            ToZygote::Reap { pid } => {
                let mut child = children.remove(&pid).expect("a child");
                let _ = child.kill();
                let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
                let status = child.wait().expect("ours").into_raw();
                answer(&socket, &FromZygote::Reaped { status }, &[]);
            }
        }
    }
    // As a zygote's workers do, they end with it.
    for mut child in children.into_values() {
        let _ = child.kill();
    }
    std::process::exit(0);
}

fn question(socket: &OwnedFd) -> Option<(ToZygote, Vec<OwnedFd>)> {
    let mut reader = FrameReader::new(LINK_VERSION, CONFINE_FRAME_BYTES_MAX);
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(reader.space())];
    let read = recvmsg(socket, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC).ok()?.bytes;
    let mut descriptors = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            descriptors.extend(received);
        }
    }
    reader.filled(read);
    let (header, body) = reader.next().expect("a frame")?;
    Some((ToZygote::decode(&header, body).expect("a question"), descriptors))
}

fn answer(socket: &OwnedFd, answer: &FromZygote<'_>, descriptors: &[BorrowedFd<'_>]) {
    let mut frame = Vec::new();
    answer.put(&mut frame).expect("fits");
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    assert!(descriptors.is_empty() || ancillary.push(SendAncillaryMessage::ScmRights(descriptors)));
    if sendmsg(socket, &[IoSlice::new(&frame)], &mut ancillary, SendFlags::NOSIGNAL).is_err() {
        std::process::exit(0);
    }
}
