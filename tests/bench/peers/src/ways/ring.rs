//! The floor: two bare rings in shared memory, one each way, between two processes that trust each other. No frames, no codec, no checks.
//!
//! ```text
//!  header: head | tail | reader sleeps | writer sleeps     each on cache lines of its own
//!  slots:  len u32, padded to a line | payload              SLOTS of them
//! ```
//!
//! It is a yardstick and not a transport: an index that the other side forges leads out of its slot's bounds check, not out of the mapping, but a forged length is only cut.

use std::os::fd::{AsFd, BorrowedFd};
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::thread::futex;

use crate::Fault;
use crate::call::{Replies, Requests, Way, answer};
use crate::child::{self, Child};

/// Looks at the other side's index before it parks: about one wake-up of an idle core.
pub(crate) const SPINS: u32 = 2_000;
const SLOTS: u32 = 64;
/// A slot's length stands on a cache line of its own, so that payloads are aligned.
const SLOT_HEAD_BYTES: usize = 64;

/// How to wait for the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    Spin,
    /// Spins so many times, then sleeps on a futex.
    ThenPark(u32),
}

impl Wait {
    pub(crate) fn parse(word: &str) -> Result<Self, Fault> {
        match word {
            "spin" => Ok(Wait::Spin),
            spins => spins.parse().map(Wait::ThenPark).map_err(|error| Fault::new("no such wait", error)),
        }
    }

    fn word(self) -> String {
        match self {
            Wait::Spin => "spin".to_owned(),
            Wait::ThenPark(spins) => spins.to_string(),
        }
    }
}

/// Two cache lines, since processors fetch them in pairs.
#[repr(C, align(128))]
struct Line(AtomicU32);

#[repr(C)]
struct Header {
    head: Line,
    tail: Line,
    reader_sleeps: Line,
    writer_sleeps: Line,
}

/// The memory that both processes see.
struct Mapping {
    base: NonNull<u8>,
    len: usize,
}

impl Mapping {
    fn of(memory: BorrowedFd<'_>, len: usize) -> Result<Self, Fault> {
        let fault = |error| Fault::new("shared memory cannot be had", error);
        ftruncate(memory, len as u64).map_err(fault)?;
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::SHARED | MapFlags::POPULATE;
        // SAFETY: a new mapping at an address that the kernel chooses; nothing else lies there.
        let base = unsafe { mmap(std::ptr::null_mut(), len, protection, flags, memory, 0) }.map_err(fault)?;
        let base = NonNull::new(base.cast()).ok_or_else(|| Fault::plain("shared memory at address 0"))?;
        Ok(Self { base, len })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: both rings hold the mapping by an Rc, so nothing of theirs points into it any more.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.len) };
    }
}

/// One direction; each process uses one end of it.
struct Ring {
    _mapping: Rc<Mapping>,
    header: NonNull<Header>,
    slots: NonNull<u8>,
    room: usize,
    wait: Wait,
}

fn ring_bytes(room: usize) -> usize {
    (size_of::<Header>() + SLOTS as usize * (SLOT_HEAD_BYTES + room)).next_multiple_of(4096)
}

/// Requests and replies.
fn rings(memory: BorrowedFd<'_>, room: usize, wait: Wait) -> Result<(Ring, Ring), Fault> {
    let mapping = Rc::new(Mapping::of(memory, 2 * ring_bytes(room))?);
    let ring = |at: usize| {
        // SAFETY: both rings, header and slots, lie within the mapping's length, by `ring_bytes`; pages are aligned enough for Header.
        let (header, slots) =
            unsafe { (mapping.base.add(at).cast::<Header>(), mapping.base.add(at + size_of::<Header>())) };
        Ring { _mapping: mapping.clone(), header, slots, room, wait }
    };
    Ok((ring(0), ring(ring_bytes(room))))
}

impl Ring {
    fn header(&self) -> &Header {
        // SAFETY: it lies in the mapping, which `self` keeps; it is zeros at first and only ever accessed as atomics.
        unsafe { self.header.as_ref() }
    }

    fn slot(&self, index: u32) -> NonNull<u8> {
        // SAFETY: the remainder keeps it within the SLOTS slots that `ring_bytes` made room for.
        unsafe { self.slots.add((index % SLOTS) as usize * (SLOT_HEAD_BYTES + self.room)) }
    }

    /// Returns when `index` is no longer `old`.
    fn until_moved(&self, index: &AtomicU32, old: u32, sleeps: &AtomicU32) {
        let mut spins = 0;
        while self.wait == Wait::Spin || matches!(self.wait, Wait::ThenPark(most) if spins < most) {
            if index.load(Ordering::Acquire) != old {
                return;
            }
            std::hint::spin_loop();
            spins += 1;
        }
        // Only the sleeper clears its flag: a waker that cleared it could clear that of the next sleep.
        while index.load(Ordering::Acquire) == old {
            sleeps.store(1, Ordering::SeqCst);
            if index.load(Ordering::SeqCst) == old {
                // Woken, moved before, or interrupted: the loop looks again.
                let _ = futex::wait(index, futex::Flags::empty(), old, None);
            }
            sleeps.store(0, Ordering::Relaxed);
        }
    }

    fn publish(&self, index: &AtomicU32, new: u32, sleeps: &AtomicU32) {
        if self.wait == Wait::Spin {
            index.store(new, Ordering::Release);
            return;
        }
        index.store(new, Ordering::SeqCst);
        if sleeps.load(Ordering::SeqCst) != 0 {
            let _ = futex::wake(index, futex::Flags::empty(), 1);
        }
    }

    fn push(&self, bytes: &[u8]) {
        let header = self.header();
        let head = header.head.0.load(Ordering::Relaxed);
        loop {
            let tail = header.tail.0.load(Ordering::Acquire);
            if head.wrapping_sub(tail) < SLOTS {
                break;
            }
            self.until_moved(&header.tail.0, tail, &header.writer_sleeps.0);
        }
        let (slot, len) = (self.slot(head), bytes.len().min(self.room));
        // SAFETY: the slot has room for its head and `room` bytes; until head is published it is the writer's alone.
        unsafe {
            slot.cast::<u32>().write(len as u32);
            slot.add(SLOT_HEAD_BYTES).copy_from_nonoverlapping(NonNull::from(bytes).cast(), len);
        }
        self.publish(&header.head.0, head.wrapping_add(1), &header.reader_sleeps.0);
    }

    fn pop(&self, out: &mut [u8]) -> usize {
        let header = self.header();
        let tail = header.tail.0.load(Ordering::Relaxed);
        self.until_moved(&header.head.0, tail, &header.reader_sleeps.0);
        let slot = self.slot(tail);
        // SAFETY: head is beyond this slot, so the writer is done with it and will not touch it until tail is published.
        let len = unsafe {
            let len = (slot.cast::<u32>().read() as usize).min(self.room).min(out.len());
            slot.add(SLOT_HEAD_BYTES).copy_to_nonoverlapping(NonNull::from(out).cast(), len);
            len
        };
        self.publish(&header.tail.0, tail.wrapping_add(1), &header.writer_sleeps.0);
        len
    }

    fn has_more(&self) -> bool {
        let header = self.header();
        header.head.0.load(Ordering::Acquire) != header.tail.0.load(Ordering::Relaxed)
    }
}

/// The caller's ends.
pub(crate) struct Caller {
    requests: Ring,
    replies: Ring,
    child: Child,
}

impl Caller {
    pub(crate) fn start(size: usize, core: usize, wait: Wait) -> Result<Self, Fault> {
        let memory = memfd_create("ring", MemfdFlags::CLOEXEC)
            .map_err(|error| Fault::new("shared memory cannot be had", error))?;
        let (requests, replies) = rings(memory.as_fd(), size, wait)?;
        let child = Child::start("ring", core, &[&size.to_string(), &wait.word()], Some(memory))?;
        Ok(Self { requests, replies, child })
    }
}

impl Way for Caller {
    fn call(&mut self, request: &[u8], reply: &mut [u8]) -> Result<usize, Fault> {
        self.requests.push(request);
        Ok(self.replies.pop(reply))
    }

    fn pipeline(&mut self, size: usize, calls: u64, window: usize) -> Result<(), Fault> {
        let (mut requests, mut replies) = (Requests::new(size), Replies::new(size));
        let window = window.min(SLOTS as usize) as u64;
        let mut reply = vec![0; size];
        let (mut sent, mut got) = (0, 0);
        while got < calls {
            while sent < calls && sent - got < window && !self.replies.has_more() {
                self.requests.push(requests.next());
                sent += 1;
            }
            let len = self.replies.pop(&mut reply);
            replies.check(&reply[..len])?;
            got += 1;
        }
        Ok(())
    }

    fn peers(&self) -> Vec<u32> {
        vec![self.child.pid()]
    }
}

/// The other process.
pub(crate) fn serve(room: usize, wait: Wait) -> Result<(), Fault> {
    let (requests, replies) = rings(rustix::stdio::stdin(), room, wait)?;
    let mut bytes = vec![0; room];
    child::ready()?;
    loop {
        let len = requests.pop(&mut bytes);
        answer(&mut bytes[..len]);
        replies.push(&bytes[..len]);
    }
}
