//! Collects a supervisor's events in the background.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use croupier_client::blocking::Client;
use croupier_client::{ConnectOptions, Event, Push, What};

use crate::daemon::Daemon;
use crate::wait_for;

/// Pushes that may wait to be taken.
const PUSHES_MAX: usize = 1 << 20;

/// A follower of events.
#[derive(Debug)]
pub struct Watch {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Seen {
    events: Vec<Event>,
    lost: u64,
}

impl Watch {
    /// Follows from now on.
    ///
    /// # Panics
    /// When the supervisor does not let us.
    #[must_use]
    pub fn start(daemon: &Daemon) -> Watch {
        let options = ConnectOptions { pushes_max: PUSHES_MAX, ..ConnectOptions::default() };
        let client = Client::connect_with(daemon.control(), options).expect("the control socket answers");
        let mut pushes = client.events().expect("events");
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Seen::default())));
        let (stopped, into) = (stop.clone(), seen.clone());
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let push = match pushes.wait_next_until(Instant::now() + Duration::from_millis(50)) {
                    Err(()) => continue,
                    Ok(Some(Ok(push))) => push,
                    Ok(_) => return,
                };
                let mut seen = into.lock().unwrap_or_else(PoisonError::into_inner);
                match push {
                    Push::Event(event) => seen.events.push(event),
                    Push::Lagged { lost } => seen.lost += lost.max(1),
                    Push::Output(_) | Push::End => {}
                }
            }
        });
        Watch { stop, seen, thread: Some(thread) }
    }

    /// All events so far.
    pub fn events(&self) -> Vec<Event> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).events.clone()
    }

    /// Pushes that were dropped because they came too fast.
    pub fn lost(&self) -> u64 {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).lost
    }

    /// Waits for an event.
    ///
    /// # Panics
    /// When it does not come.
    pub fn wait(&self, what: &str, mut wanted: impl FnMut(&What) -> bool) -> Event {
        wait_for(what, || self.events().into_iter().find(|event| wanted(&event.what)))
    }

    /// How many events are like this.
    pub fn count(&self, wanted: impl Fn(&What) -> bool) -> usize {
        self.events().iter().filter(|event| wanted(&event.what)).count()
    }

    /// The pauses of restored sessions in microseconds, ascending.
    pub fn pauses_us(&self) -> Vec<u64> {
        let pause = |event: &Event| match event.what {
            What::SessionRestored { pause_us, .. } => Some(pause_us),
            _ => None,
        };
        let mut pauses: Vec<u64> = self.events().iter().filter_map(pause).collect();
        pauses.sort_unstable();
        pauses
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
