//! Kills workers with SIGKILL, again and again, while something else goes on.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use croupier_client::blocking::Client;
use rustix::process::Signal;

use crate::daemon::Daemon;
use crate::procs;

/// A thread that kills.
#[derive(Debug)]
pub struct Killer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Kills>>,
}

/// What it did.
#[derive(Debug, Clone, Copy)]
pub struct Kills {
    /// Workers killed.
    pub workers: u64,
    /// How long it was at it.
    pub during: Duration,
    /// Longest time between two kills.
    pub gap_max: Duration,
}

impl Killer {
    /// Kills a random serving worker every `period`, or as soon as there is one again.
    #[must_use]
    pub fn start(daemon: &Daemon, period: Duration) -> Killer {
        let stop = Arc::new(AtomicBool::new(false));
        let (socket, supervisor, seen) = (daemon.control(), daemon.pid(), stop.clone());
        let thread = std::thread::spawn(move || kill_on(&socket, supervisor, period, &seen));
        Killer { stop, thread: Some(thread) }
    }

    /// Ends it.
    ///
    /// # Panics
    /// When the supervisor stopped answering it.
    pub fn stop(mut self) -> Kills {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().expect("it runs").join().expect("the killer's thread")
    }
}

impl Drop for Killer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn kill_on(socket: &PathBuf, supervisor: u32, period: Duration, stop: &AtomicBool) -> Kills {
    let client = Client::connect(socket).expect("the control socket answers");
    let start = Instant::now();
    let (mut last, mut gap_max, mut workers) = (start, Duration::ZERO, 0);
    let mut dice = start.elapsed().subsec_nanos() | 1;
    while !stop.load(Ordering::Relaxed) {
        let wait = period.saturating_sub(last.elapsed());
        std::thread::sleep(wait.max(Duration::from_millis(2)).min(Duration::from_millis(100)));
        if last.elapsed() < period {
            continue;
        }
        let Ok(mut serving) = client.workers() else { continue };
        serving.retain(|worker| worker.state == "serving" && worker.pid != 0);
        // Which of several does not matter much; xorshift will do.
        dice ^= dice << 13;
        dice ^= dice >> 17;
        dice ^= dice << 5;
        let Some(worker) = serving.get(dice as usize % serving.len().max(1)) else { continue };
        if procs::signal_child(supervisor, worker.pid, Signal::KILL) {
            workers += 1;
            gap_max = gap_max.max(last.elapsed());
            last = Instant::now();
        }
    }
    Kills { workers, during: start.elapsed(), gap_max }
}
