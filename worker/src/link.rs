//! This worker's end of the link: frames in, frames out, blocking.
//!
//! ```text
//!   socket ─read many─▶ reader ─▶ next_frame            (game thread only)
//!                          └────▶ stash, while a host call waits for its answer
//!   socket ◀─write many─ outbox ◀─ replies (game thread), log lines (any thread)
//! ```
//!
//! The end of the link is the end of the worker: there is nobody left to play for, so it exits at once, from wherever it is.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use croupier_ring::Ring;
use croupier_wire::codec::EncodeError;
use croupier_wire::frame::{FRAME_BYTES_DEFAULT, FrameReader, Header};
use croupier_wire::link::{CallAnswer, FromWorker, LINK_VERSION, ToWorker, decode_to_worker};

use crate::fault::Fault;
use crate::jail;
use crate::plugin;

mod ways;

use ways::{WayIn, WayOut};

/// Output is flushed when it is longer than this, even if more frames are waiting to be answered; bytes.
const OUTBOX_BYTES: usize = 64 << 10;
/// Most bytes of frames that may arrive before the answer of a host call.
const STASH_BYTES_MAX: usize = 256 << 20;

/// Both directions; cheap to clone, for the game thread only.
#[derive(Clone)]
pub(crate) struct Link {
    inbox: Rc<RefCell<Inbox>>,
    outbox: Arc<Outbox>,
}

struct Inbox {
    way: WayIn,
    reader: FrameReader,
    /// Frames that came before a host call's answer and are still to be played.
    stash: VecDeque<(Header, Vec<u8>)>,
    stash_bytes: usize,
}

/// The sending direction; usable from any thread.
pub(crate) struct Outbox {
    pending: Mutex<Pending>,
}

struct Pending {
    way: WayOut,
    bytes: Vec<u8>,
    frame_bytes_max: u32,
}

impl Link {
    /// On this socket (as a file: the jail allows read(2) and write(2), not their sisters for sockets), with the default frame limit until [`Link::set_frame_bytes_max`].
    pub(crate) fn new(socket: File) -> Link {
        let socket = Arc::new(socket);
        let inbox = Inbox {
            way: WayIn::Socket(Arc::clone(&socket)),
            reader: FrameReader::new(LINK_VERSION, FRAME_BYTES_DEFAULT),
            stash: VecDeque::new(),
            stash_bytes: 0,
        };
        let way = WayOut::Socket(socket);
        let pending = Mutex::new(Pending { way, bytes: Vec::new(), frame_bytes_max: FRAME_BYTES_DEFAULT });
        Link { inbox: Rc::new(RefCell::new(inbox)), outbox: Arc::new(Outbox { pending }) }
    }

    /// The sending direction.
    pub(crate) fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// The longest frame that either side may send from now on, in bytes.
    pub(crate) fn set_frame_bytes_max(&self, max: u32) {
        self.inbox.borrow_mut().reader.set_frame_bytes_max(max);
        self.outbox.lock().frame_bytes_max = max;
    }

    /// Waits for the next bytes of the socket, and gives the descriptors that came beside them.
    pub(crate) fn receive_descriptors(&self) -> Vec<OwnedFd> {
        let Inbox { way, reader, .. } = &mut *self.inbox.borrow_mut();
        let (n, descriptors) = plugin::receive(way.socket(), reader.space());
        reader.filled(n);
        descriptors
    }

    /// From now on frames travel through the ring, in both directions; the socket is its bell.
    pub(crate) fn take_ring(&self, ring: Ring) {
        let mut inbox = self.inbox.borrow_mut();
        let bell = Arc::clone(inbox.way.socket());
        inbox.way = WayIn::ring(ring.receiver, ring.spin, Arc::clone(&bell));
        self.outbox.lock().way = WayOut::Ring { sender: ring.sender, bell };
    }

    /// Waits for the next frame; its body replaces what is in `body`.
    pub(crate) fn next_frame(&self, body: &mut Vec<u8>) -> Result<Header, Fault> {
        let mut inbox = self.inbox.borrow_mut();
        if let Some((header, stashed)) = inbox.stash.pop_front() {
            inbox.stash_bytes -= stashed.len();
            *body = stashed;
            return Ok(header);
        }
        let Inbox { way, reader, .. } = &mut *inbox;
        loop {
            if let Some((header, bytes)) = reader.next()? {
                body.clear();
                body.extend_from_slice(bytes);
                return Ok(header);
            }
            way.receive(reader);
        }
    }

    /// Whether a whole frame is here already, so that its answer can share a write with earlier ones.
    pub(crate) fn has_frame(&self) -> bool {
        let inbox = self.inbox.borrow();
        !inbox.stash.is_empty() || inbox.reader.has_next()
    }

    /// Asks the platform on behalf of the turn `call_id` and waits for the answer: status and bytes.
    pub(crate) fn ask(
        &self,
        call_id: u64,
        index: u32,
        name: &str,
        args: &[u8],
        asked: u64,
    ) -> (i32, Vec<u8>) {
        let answer = self.try_ask(call_id, index, name, args, asked);
        // A fault cannot travel through the plugin that is in the middle of its call.
        answer.unwrap_or_else(|fault| self.give_up(&fault))
    }

    fn try_ask(
        &self,
        call_id: u64,
        index: u32,
        name: &str,
        args: &[u8],
        asked: u64,
    ) -> Result<(i32, Vec<u8>), Fault> {
        self.outbox.put(&FromWorker::HostCall { index, name, args }, call_id)?;
        self.outbox.flush();
        let Inbox { way, reader, stash, stash_bytes } = &mut *self.inbox.borrow_mut();
        loop {
            while let Some((header, body)) = reader.next()? {
                if let ToWorker::CallAnswer(answer) = decode_to_worker(&header, body)? {
                    return accept(&header, &answer, call_id, asked);
                }
                *stash_bytes += body.len();
                if *stash_bytes > STASH_BYTES_MAX {
                    return Err(Fault::Backlog { max: STASH_BYTES_MAX });
                }
                stash.push_back((header, body.to_vec()));
            }
            way.receive(reader);
        }
    }

    /// Last words, then the end with status 1.
    pub(crate) fn give_up(&self, fault: &Fault) -> ! {
        let text = fault.to_string();
        // The text is short and the frame limit is not: if it did not fit, the exit status would have to do.
        let _ = self.outbox.put(&FromWorker::Fault { code: fault.code(), text: &text }, 0);
        self.outbox.flush();
        jail::exit_now(1)
    }
}

fn accept(
    header: &Header,
    answer: &CallAnswer<'_>,
    call_id: u64,
    asked: u64,
) -> Result<(i32, Vec<u8>), Fault> {
    if header.call_id != call_id || answer.asked != asked {
        return Err(Fault::WrongAnswer { call_id });
    }
    Ok((answer.status, answer.answer.to_vec()))
}

impl Outbox {
    /// Puts a message in line; writes only when much is waiting.
    pub(crate) fn put(&self, message: &FromWorker<'_>, call_id: u64) -> Result<(), EncodeError> {
        let mut pending = self.lock();
        let max = pending.frame_bytes_max;
        message.put(&mut pending.bytes, call_id, max)?;
        if pending.bytes.len() >= OUTBOX_BYTES {
            self.write(&mut pending);
        }
        Ok(())
    }

    /// Writes all that is waiting.
    pub(crate) fn flush(&self) {
        self.write(&mut self.lock());
    }

    /// Only plain bytes are behind the lock, so a thread that died holding it has left them usable.
    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, pending: &mut Pending) {
        if pending.bytes.is_empty() {
            return;
        }
        let Pending { way, bytes, .. } = pending;
        way.send(bytes);
        pending.bytes.clear();
        if pending.bytes.capacity() > 16 * OUTBOX_BYTES {
            pending.bytes = Vec::with_capacity(OUTBOX_BYTES);
        }
    }
}
