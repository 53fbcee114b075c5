//! Waiting in the kernel for a word to change, between processes (futex(2)).

#[cfg(loom)]
pub(crate) use imp::Kernel;
pub(crate) use imp::{wait, wake};

#[cfg(not(loom))]
mod imp {
    use std::sync::atomic::AtomicU32;

    use rustix::thread::futex::{self, Flags, Timespec};

    use crate::control::Control;

    /// Longest sleep. Whoever sleeps is woken; this is for the one whose waker died between publishing and waking.
    const WAIT_MAX: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

    /// Waits while `word` is `seen`, for a second at most; may return early.
    pub(crate) fn wait(_: &Control, word: &AtomicU32, seen: u32) {
        // Every way of coming back means the same: look around.
        let _ = futex::wait(word, Flags::empty(), seen, Some(&WAIT_MAX));
    }

    /// Wakes who waits for `word`.
    pub(crate) fn wake(_: &Control, word: &AtomicU32) {
        // It fails for addresses that do not exist alone.
        let _ = futex::wake(word, Flags::empty(), 1);
    }
}

/// The kernel's side of the bargain, for loom: comparing and going to sleep is one step as far as a waker can see.
#[cfg(loom)]
mod imp {
    use std::sync::atomic::Ordering;

    use loom::sync::atomic::AtomicU32;
    use loom::sync::{Condvar, Mutex};

    use crate::control::Control;

    #[derive(Debug, Default)]
    pub(crate) struct Kernel {
        queue: Mutex<()>,
        woken: Condvar,
    }

    pub(crate) fn wait(control: &Control, word: &AtomicU32, seen: u32) {
        let kernel = control.kernel();
        let queue = kernel.queue.lock().unwrap();
        if word.load(Ordering::SeqCst) == seen {
            drop(kernel.woken.wait(queue).unwrap());
        }
    }

    pub(crate) fn wake(control: &Control, _: &AtomicU32) {
        let kernel = control.kernel();
        let _queue = kernel.queue.lock().unwrap();
        kernel.woken.notify_all();
    }
}
