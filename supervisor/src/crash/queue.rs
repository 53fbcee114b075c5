//! A thread with a queue before it: what does not fit is given back, and closing does not wait for ever.
//!
//! ```text
//!  give ─▶ (up to a number) ─▶ thread ─▶ work          close ─▶ works off what waits ─┬─ in time: 0 left
//!                                                                                    └─ not: it is left to itself, and so many are left out
//! ```
//!
//! Not what the work is: see [`super::writer`].

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The near end of the queue.
#[derive(Debug)]
pub(super) struct Queue<T> {
    items: Mutex<Option<SyncSender<T>>>,
    /// Hangs up when the thread has ended.
    ended: Mutex<Option<Receiver<()>>>,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Given, and not yet worked off.
    open: AtomicUsize,
    /// Nobody waits for the rest any more.
    given_up: AtomicBool,
}

impl<T: Send + 'static> Queue<T> {
    /// Starts the thread.
    pub(super) fn start(
        name: &str,
        items_max: usize,
        mut work: impl FnMut(T) + Send + 'static,
    ) -> io::Result<Queue<T>> {
        let (sender, items) = sync_channel::<T>(items_max);
        let (ending, ended) = sync_channel::<()>(0);
        let state = Arc::new(State::default());
        let here = state.clone();
        let work_off = move || {
            for item in items {
                if here.given_up.load(Ordering::Relaxed) {
                    break;
                }
                work(item);
                here.open.fetch_sub(1, Ordering::Relaxed);
            }
            drop(ending);
        };
        std::thread::Builder::new().name(name.to_owned()).spawn(work_off)?;
        Ok(Queue { items: Mutex::new(Some(sender)), ended: Mutex::new(Some(ended)), state })
    }

    /// Appends an item. It comes back when there is no room; nothing happens after [`Queue::close`].
    pub(super) fn give(&self, item: T) -> Result<(), T> {
        let Some(items) = &*crate::lock(&self.items) else { return Ok(()) };
        self.state.open.fetch_add(1, Ordering::Relaxed);
        items.try_send(item).map_err(|error| {
            self.state.open.fetch_sub(1, Ordering::Relaxed);
            let (TrySendError::Full(item) | TrySendError::Disconnected(item)) = error;
            item
        })
    }

    /// Waits until what was given is worked off, for so long. Says how many items are left out: the one that is being worked on, and those behind it.
    pub(super) fn close(&self, within: Duration) -> usize {
        drop(crate::lock(&self.items).take());
        let Some(ended) = crate::lock(&self.ended).take() else { return 0 };
        match ended.recv_timeout(within) {
            Err(RecvTimeoutError::Timeout) => {
                self.state.given_up.store(true, Ordering::Relaxed);
                self.state.open.load(Ordering::Relaxed)
            }
            Ok(()) | Err(RecvTimeoutError::Disconnected) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn what_was_given_is_worked_off_before_it_closes() {
        let (done, all) = channel();
        let queue = Queue::start("test", 8, move |item: u32| done.send(item).unwrap()).unwrap();
        for item in 0..8 {
            queue.give(item).unwrap();
        }
        assert_eq!(queue.close(Duration::from_secs(60)), 0);
        assert_eq!(all.iter().collect::<Vec<_>>(), (0..8).collect::<Vec<_>>());
        assert_eq!((queue.give(9), queue.close(Duration::ZERO)), (Ok(()), 0), "closed for good");
    }

    #[test]
    fn work_that_does_not_end_holds_nobody_up_and_what_is_left_out_is_counted() {
        let (begun, begins) = channel();
        let (release, released) = channel::<()>();
        let (done, all) = channel();
        let work = move |item: u32| {
            begun.send(()).unwrap();
            let _ = released.recv();
            let _ = done.send(item);
        };
        let queue = Queue::start("test", 2, work).unwrap();
        queue.give(1).unwrap();
        begins.recv().unwrap();
        queue.give(2).unwrap();
        queue.give(3).unwrap();
        assert_eq!(queue.give(4), Err(4), "no room");
        assert_eq!(queue.close(Duration::from_millis(10)), 3);
        drop(release);
        assert_eq!(all.iter().collect::<Vec<_>>(), [1], "what nobody waits for is not begun");
    }
}
