//! The talk with a new worker before Hello: it is told how to confine itself, says what it did, and is looked at from outside. Only then does it get a plugin.
//!
//! [`prepare`] is said to each as soon as it is there, maybe long before anybody wants it. [`admit`] blocks: a matter of a few milliseconds, on a thread that may block.

use std::io::{self, ErrorKind, IoSliceMut, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use croupier_notify::Listener;
use croupier_ring::Ring;
use croupier_wire::confine::{
    CONFINE_FRAME_BYTES_MAX, Confine, Confined, Rlimits, ToBlank, layer, namespace,
};
use croupier_wire::frame::{FrameReader, Header, Kind};
use croupier_wire::link::{FromWorker, LINK_VERSION, decode_from_worker};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use thiserror::Error;

use super::cgroup::Controller;
use super::outside::{Facts, examine};
use super::plan::{Counted, MemoryLimit, Plan, Threads};
use super::value::Isolation;
use crate::game::fault_text;
use crate::worker::launcher::Launched;
use crate::worker::link::send_with_fd;

/// Why a worker is not given its plugin.
#[derive(Debug, Error)]
pub enum AdmitError {
    /// It ended before it was confined.
    #[error("the worker ended before it had confined itself; what it said is in the log")]
    Ended,
    /// It could not confine itself.
    #[error("{0}")]
    Fault(String),
    /// It is confined by less than is demanded.
    #[error(
        "isolation = \"{level}\" is demanded, and this system gives a worker less: {}; mend that, or lower `isolation` in the config if the plugin's manifest allows it",
        missing.join("; ")
    )]
    Less {
        /// What is demanded.
        level: &'static str,
        /// What is missing, and how to get it.
        missing: Vec<String>,
    },
    /// It took too long.
    #[error("the worker did not confine itself within {ms} ms")]
    Late {
        /// The limit.
        ms: u128,
    },
    /// It made no sense.
    #[error("the worker's first message: {0}; install croupier and croupier-worker from one release")]
    Protocol(String),
    /// The link.
    #[error("the worker's link: {0}")]
    Link(#[from] io::Error),
    /// No ring could be made.
    #[error("{0}; `transport = \"socket\"` does without")]
    Ring(#[from] croupier_ring::AdoptError),
}

/// A worker that is confined enough.
#[derive(Debug)]
pub struct Admitted {
    /// What confines it.
    pub isolation: Isolation,
    /// Where the calls arrive that its filter passes on; none with isolation off.
    pub listener: Option<Listener>,
    /// Our end of the ring that it was given.
    pub ring: Option<Ring>,
}

/// Has a worker put on these layers while it waits for its plugin. When it cannot, it says so to [`admit`], or is not there any more.
///
/// # Errors
/// When it has ended.
pub fn prepare(link: &UnixStream, layers: u32) -> io::Result<()> {
    let mut frame = Vec::new();
    ToBlank::Prepare { layers }.put(&mut frame).map_err(io::Error::other)?;
    // Nothing was said on this link yet: there is room.
    { link }.write_all(&frame)
}

/// Has a worker confine itself, and checks it.
///
/// # Errors
/// [`AdmitError`]; the worker is to be ended then.
pub fn admit(launched: &Launched, plan: &Plan, patience: Duration) -> Result<Admitted, AdmitError> {
    let (memory, ring) = match plan.transport.ring_bytes() {
        0 => (None, None),
        bytes => croupier_ring::create(bytes).map(|(memory, ring)| (Some(memory), Some(ring)))?,
    };
    let layers = plan.layers(launched.namespaces);
    let rlimits = rlimits(launched, plan);
    let threads = plan.threads == Threads::Granted;
    let mut frame = Vec::new();
    let ring_bytes = plan.transport.ring_bytes();
    let confine = Confine { version: LINK_VERSION, layers, rlimits, threads, ring_bytes };
    ToBlank::Confine(confine).put(&mut frame).map_err(io::Error::other)?;
    let memory = memory.as_ref().map(OwnedFd::as_fd);
    let (header, body, descriptor) = ask(&launched.link, &frame, memory, patience)?;
    let confined = understand(&header, &body)?;
    let listener = match (confined.layers & layer::SECCOMP != 0, descriptor) {
        (true, Some(listener)) => Some(Listener::from(listener)),
        (false, None) => None,
        _ => return Err(AdmitError::Protocol("a filter and its listener do not come together".into())),
    };
    let isolation = examine(&Facts {
        pid: launched.handle.pid(),
        plan,
        namespaces: launched.namespaces,
        why: &launched.why,
        uid: launched.uid,
        rlimits: &rlimits,
        group: launched.handle.group(),
        confined: &confined,
    });
    let missing = isolation.missing();
    // A test that leaves a layer out knows what it does.
    if missing.is_empty() || plan.without != 0 {
        Ok(Admitted { isolation, listener, ring })
    } else {
        Err(AdmitError::Less { level: plan.level.as_str(), missing })
    }
}

/// What it is told to set: it depends on what the kernel already does.
fn rlimits(launched: &Launched, plan: &Plan) -> Rlimits {
    let pid = launched.handle.pid();
    let memory = match launched.handle.group() {
        Ok(group) if group.confines(pid, Controller::Memory) => MemoryLimit::Cgroup,
        _ => MemoryLimit::Rlimits,
    };
    let alone = launched.namespaces & namespace::USER != 0 || launched.uid != 0;
    plan.rlimits(memory, if alone { Counted::Alone } else { Counted::WithOthers })
}

fn understand(header: &Header, body: &[u8]) -> Result<Confined, AdmitError> {
    if header.kind == Kind::Error
        && let Ok(FromWorker::Fault { code, text }) = decode_from_worker(header, body)
    {
        return Err(AdmitError::Fault(fault_text(code, text)));
    }
    Confined::decode(header, body).map_err(|error| AdmitError::Protocol(error.to_string()))
}

/// Says this, with a descriptor beside it or none, and hears what comes back.
fn ask(
    link: &UnixStream,
    frame: &[u8],
    beside: Option<BorrowedFd<'_>>,
    patience: Duration,
) -> Result<(Header, Vec<u8>, Option<OwnedFd>), AdmitError> {
    let sent = match beside {
        Some(beside) => send_with_fd(link, frame, beside),
        None => { link }.write_all(frame),
    };
    match sent {
        // It has ended, of what it was to prepare perhaps: then it has said so.
        Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {}
        sent => sent?,
    }
    hear(link, patience)
}

/// One frame, and the descriptor beside it.
fn hear(link: &UnixStream, patience: Duration) -> Result<(Header, Vec<u8>, Option<OwnedFd>), AdmitError> {
    let due = Instant::now() + patience;
    let mut reader = FrameReader::new(LINK_VERSION, CONFINE_FRAME_BYTES_MAX);
    let mut descriptor = None;
    loop {
        if let Some((header, body)) =
            reader.next().map_err(|error| AdmitError::Protocol(error.to_string()))?
        {
            let heard = (header, body.to_vec(), descriptor);
            link.set_read_timeout(None)?;
            return if reader.is_partial() {
                Err(AdmitError::Protocol("something follows it".into()))
            } else {
                Ok(heard)
            };
        }
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(AdmitError::Late { ms: patience.as_millis() });
        }
        link.set_read_timeout(Some(left))?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(reader.space())];
        let read = match rustix::net::recvmsg(link, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
            Ok(message) => message.bytes,
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => continue,
            Err(rustix::io::Errno::CONNRESET) => 0,
            Err(error) => return Err(AdmitError::Link(error.into())),
        };
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                descriptors.for_each(|received| descriptor = Some(received));
            }
        }
        if read == 0 {
            return Err(AdmitError::Ended);
        }
        reader.filled(read);
    }
}

#[cfg(test)]
mod tests {
    use croupier_wire::link::FaultCode;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn asked(worker: impl FnOnce(UnixStream)) -> AdmitError {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        worker(theirs);
        let (header, body, _) = match ask(&ours, b"Confine", None, PATIENCE) {
            Ok(heard) => heard,
            Err(error) => return error,
        };
        understand(&header, &body).expect_err("no Confined was said")
    }

    #[test]
    fn a_worker_that_could_not_prepare_is_heard_although_it_has_ended() {
        let mut frame = Vec::new();
        let fault = FromWorker::Fault { code: FaultCode::Setup, text: "cannot give up privileges" };
        fault.put(&mut frame, 0, CONFINE_FRAME_BYTES_MAX).expect("fits");
        let error = asked(|mut theirs| theirs.write_all(&frame).expect("there is room"));
        assert!(matches!(&error, AdmitError::Fault(text) if text.contains("privileges")), "{error:?}");
    }

    #[test]
    fn one_that_has_ended_without_a_word_has_ended() {
        let error = asked(drop);
        assert!(matches!(error, AdmitError::Ended), "{error:?}");
    }
}
