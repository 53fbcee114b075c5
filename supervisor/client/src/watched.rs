//! A value that threads and tasks can wait for: a mutex, a condition variable and wakers in one.
//!
//! Every wait of this crate (for an answer, for a push, for room in a window) is one of these, so that the rules of waking are written once.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

pub(crate) struct Watched<T> {
    inner: Mutex<Inner<T>>,
    changed: Condvar,
}

struct Inner<T> {
    value: T,
    /// Threads parked; nobody is notified when there is none.
    parked: u32,
    /// Makes one parked thread return although nothing is ready.
    poked: bool,
    wakers: Vec<Waker>,
}

impl<T> Watched<T> {
    pub(crate) fn new(value: T) -> Watched<T> {
        Watched {
            inner: Mutex::new(Inner { value, parked: 0, poked: false, wakers: Vec::new() }),
            changed: Condvar::new(),
        }
    }

    /// Changes the value and wakes whoever waits.
    pub(crate) fn change<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        let mut inner = self.lock();
        let result = f(&mut inner.value);
        let wakers = std::mem::take(&mut inner.wakers);
        let is_awaited = inner.parked > 0;
        // First, or whoever wakes up would go to sleep again at once, for the lock.
        drop(inner);
        if is_awaited {
            self.changed.notify_all();
        }
        for waker in wakers {
            waker.wake();
        }
        result
    }

    /// Looks at the value, or takes from it what nobody waits for.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        f(&mut self.lock().value)
    }

    /// Parks the thread until the value is ready, somebody pokes, or the deadline passes.
    pub(crate) fn park(&self, ready: impl Fn(&T) -> bool, deadline: Option<Instant>) {
        let mut inner = self.lock();
        inner.parked += 1;
        while !ready(&inner.value) && !inner.poked {
            inner = match deadline {
                None => self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let Some(left) = deadline.checked_duration_since(Instant::now()) else { break };
                    self.changed.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        inner.poked = false;
        inner.parked -= 1;
    }

    /// Makes a parked thread return.
    pub(crate) fn poke(&self) {
        self.lock().poked = true;
        self.changed.notify_all();
    }

    /// Gives what `f` gives, or has the task woken at the next change.
    pub(crate) fn poll<R>(&self, cx: &mut Context<'_>, f: impl FnOnce(&mut T) -> Option<R>) -> Poll<R> {
        let mut inner = self.lock();
        if let Some(result) = f(&mut inner.value) {
            return Poll::Ready(result);
        }
        if !inner.wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            inner.wakers.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// A panic of another thread leaves the value as it was after the last whole change, so it stays usable.
    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
