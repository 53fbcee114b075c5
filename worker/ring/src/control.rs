//! The words that the two sides of one direction share, and what they mean.
//!
//! ```text
//!   head    bytes ever written, modulo 2^32      written by the sender
//!   tail    bytes ever read, modulo 2^32         written by the receiver
//!   reader  how the receiver sleeps              written by the receiver, and cleared by the sender that wakes it
//!   writer  how the sender waits for room        written by the sender, and cleared by the receiver that wakes it
//!   cpu     where the receiver last ran          written by the receiver
//!   gone    the sender has ended                 written by the sender
//! ```

#[cfg(loom)]
use loom::sync::atomic::{AtomicU32, fence};
use std::sync::atomic::Ordering;
#[cfg(not(loom))]
use std::sync::atomic::{AtomicU32, fence};

use crate::futex;
use crate::planted::{self, Missing};

/// A full fence: what was written before it is seen by whoever comes to a fence of its own later, unless we see what that one wrote before.
fn full_fence(which: Missing) {
    if !planted::is(which) {
        fence(Ordering::SeqCst);
    }
}

/// A word on cache lines of its own. Two lines, since processors fetch them in pairs.
#[repr(C, align(128))]
#[derive(Debug)]
struct Line {
    word: AtomicU32,
}

impl Line {
    fn new() -> Line {
        Line { word: AtomicU32::new(0) }
    }
}

/// The shared words of one direction. Every pattern of bits is a value of it.
#[repr(C)]
#[derive(Debug)]
pub struct Control {
    head: Line,
    tail: Line,
    reader: Line,
    writer: Line,
    cpu: Line,
    gone: Line,
    #[cfg(loom)]
    kernel: futex::Kernel,
}

/// How a side that found nothing wants to be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sleep {
    /// It waits in the kernel for the other side's index to change.
    InKernel = 1,
    /// It waits on something else, which the other side's caller rings.
    ForBell = 2,
}

/// What is left to do for the other side after something was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a sleeper that is not woken sleeps on"]
pub enum Wake {
    /// It is awake, or was woken.
    Done,
    /// It waits for the bell: ring it.
    Bell,
}

/// Memory for the bytes of one direction: as long as a power of two, and written by one side alone, but not as far as we know by nobody else.
pub trait Bytes {
    /// How many there are. A power of two, at most 2^30.
    fn len(&self) -> u32;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies bytes in, from index `at` on, around the end.
    fn write(&self, at: u32, from: &[u8]);

    /// Copies bytes out, from index `at` on, around the end.
    fn read(&self, at: u32, into: &mut [u8]);
}

/// One direction: its words and its bytes.
pub trait Lane: Bytes {
    /// The words.
    fn control(&self) -> &Control;
}

impl Default for Control {
    fn default() -> Control {
        Control {
            head: Line::new(),
            tail: Line::new(),
            reader: Line::new(),
            writer: Line::new(),
            cpu: Line::new(),
            gone: Line::new(),
            #[cfg(loom)]
            kernel: futex::Kernel::default(),
        }
    }
}

impl Control {
    pub(crate) fn head(&self) -> u32 {
        self.head.word.load(Ordering::Acquire)
    }

    pub(crate) fn tail(&self) -> u32 {
        self.tail.word.load(Ordering::Acquire)
    }

    /// Bytes up to `head` are there. Wakes the receiver if it sleeps.
    pub(crate) fn publish_head(&self, head: u32) -> Wake {
        self.head.word.store(head, Ordering::Release);
        full_fence(Missing::AfterHead);
        self.rouse(&self.reader)
    }

    /// Bytes up to `tail` are done with. Wakes the sender if it waits for room.
    pub(crate) fn publish_tail(&self, tail: u32) -> Wake {
        self.tail.word.store(tail, Ordering::Release);
        full_fence(Missing::AfterTail);
        self.rouse(&self.writer)
    }

    fn rouse(&self, sleeper: &Line) -> Wake {
        let how = sleeper.word.load(Ordering::Relaxed);
        if how == 0 {
            return Wake::Done;
        }
        // Once is enough; it says so again before it sleeps again.
        sleeper.word.store(0, Ordering::Relaxed);
        if how == Sleep::InKernel as u32 {
            futex::wake(self, &sleeper.word);
        }
        if how == Sleep::ForBell as u32 { Wake::Bell } else { Wake::Done }
    }

    /// The receiver is about to sleep. The caller looks at the head once more, and only then sleeps.
    pub(crate) fn reader_sleeps(&self, how: Sleep) {
        self.reader.word.store(how as u32, Ordering::Relaxed);
        full_fence(Missing::BeforeReaderSleeps);
    }

    pub(crate) fn reader_is_awake(&self) {
        if self.reader.word.load(Ordering::Relaxed) != 0 {
            self.reader.word.store(0, Ordering::Relaxed);
        }
    }

    /// The sender is about to wait for room.
    pub(crate) fn writer_sleeps(&self, how: Sleep) {
        self.writer.word.store(how as u32, Ordering::Relaxed);
        full_fence(Missing::BeforeWriterSleeps);
    }

    pub(crate) fn writer_is_awake(&self) {
        if self.writer.word.load(Ordering::Relaxed) != 0 {
            self.writer.word.store(0, Ordering::Relaxed);
        }
    }

    /// Waits in the kernel until the sender has woken us; may return early. Not for the head to change: the sender has more than that to wake us for.
    pub(crate) fn wait_for_sender(&self) {
        futex::wait(self, &self.reader.word, Sleep::InKernel as u32);
    }

    /// Waits in the kernel until the receiver has woken us; may return early.
    pub(crate) fn wait_for_receiver(&self) {
        futex::wait(self, &self.writer.word, Sleep::InKernel as u32);
    }

    /// The sender has ended. Wakes a receiver that waits in the kernel; one that waits for the bell hears of it elsewhere.
    pub(crate) fn go(&self) {
        self.gone.word.store(1, Ordering::Release);
        full_fence(Missing::AfterGone);
        // Nobody rings for this.
        let _ = self.rouse(&self.reader);
    }

    /// Whether the sender has ended.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.word.load(Ordering::Acquire) != 0
    }

    /// Where the receiver last ran. A hint.
    pub(crate) fn reader_cpu(&self) -> u32 {
        self.cpu.word.load(Ordering::Relaxed)
    }

    pub(crate) fn reader_runs_on(&self, cpu: u32) {
        if self.cpu.word.load(Ordering::Relaxed) != cpu {
            self.cpu.word.store(cpu, Ordering::Relaxed);
        }
    }

    #[cfg(loom)]
    pub(crate) fn kernel(&self) -> &futex::Kernel {
        &self.kernel
    }
}
