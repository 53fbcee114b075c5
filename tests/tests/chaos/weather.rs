//! What is done to a supervisor and its children, in a seeded order.
//!
//! What it hits is not the seed's to say: the processes run as they like.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use croupier_tests::procs::{self, Proc};
use croupier_tests::{Daemon, Dice};
use rustix::process::Signal;

/// Mean times between two of a kind.
const WORKER_KILL: Duration = Duration::from_millis(50);
const WORKER_STOP: Duration = Duration::from_millis(700);
const ZYGOTE_KILL: Duration = Duration::from_millis(2500);
const SUPERVISOR_KILL: Duration = Duration::from_secs(4);
/// Every so many ends of a supervisor is as planned.
const PLANNED_ONE_IN: u64 = 4;
const DISK_FULL: Duration = Duration::from_secs(5);

/// How long a worker is stopped, at most; every eighth one past the deadline of a turn.
const STOPPED_MAX: Duration = Duration::from_millis(250);
const STOPPED_LONG: Duration = Duration::from_millis(1500);
/// How much longer it may take until all has happened.
const LONGER_MAX: Duration = Duration::from_secs(120);
/// How long the disk is full, at most.
const FULL_MAX: Duration = Duration::from_millis(600);

/// What was done.
#[derive(Debug, Default)]
pub(crate) struct Weather {
    dice: Dice,
    lasts: Duration,
    lasted: Duration,
    /// Those that were made ahead count, too.
    pub(crate) workers_killed: u64,
    pub(crate) workers_stopped: u64,
    pub(crate) zygotes_killed: u64,
    pub(crate) supervisors_killed: u64,
    pub(crate) supervisors_stopped: u64,
    pub(crate) disks_filled: u64,
}

/// The next time of each kind.
struct Due {
    worker: Instant,
    stop: Instant,
    zygote: Instant,
    supervisor: Instant,
    disk: Instant,
    /// A worker that goes on then.
    stopped: Option<(Proc, Instant)>,
    /// The disk has room again then.
    full: Option<Instant>,
}

impl Weather {
    pub(crate) fn new(dice: Dice, lasts: Duration) -> Weather {
        Weather { dice, lasts, ..Weather::default() }
    }

    /// Until the time is over and all has happened that should, or somebody has had enough. On a busy machine what is rare takes longer.
    pub(crate) fn rage(
        mut self,
        daemon: &mut Daemon,
        enough: &AtomicBool,
        all_happened: impl Fn(&Weather) -> bool,
    ) -> Weather {
        let start = Instant::now();
        let mut due = Due {
            worker: start,
            stop: start + self.dice.up_to(WORKER_STOP),
            zygote: start + self.dice.up_to(ZYGOTE_KILL),
            supervisor: start + self.dice.up_to(SUPERVISOR_KILL),
            disk: start + self.dice.up_to(DISK_FULL),
            stopped: None,
            full: None,
        };
        let goes_on = |weather: &Weather| {
            let lasted = start.elapsed();
            lasted < weather.lasts || (lasted < weather.lasts + LONGER_MAX && !all_happened(weather))
        };
        while !enough.load(Ordering::Relaxed) && goes_on(&self) {
            self.step(daemon, &mut due);
            std::thread::sleep(Duration::from_millis(2));
        }
        if let Some((stopped, _)) = due.stopped {
            go_on(daemon, stopped);
        }
        daemon.small_disk().clear();
        self.lasted = start.elapsed();
        self
    }

    fn step(&mut self, daemon: &mut Daemon, due: &mut Due) {
        let now = Instant::now();
        if let Some((stopped, _)) = due.stopped.take_if(|(_, until)| *until <= now) {
            go_on(daemon, stopped);
        }
        if due.full.take_if(|until| *until <= now).is_some() {
            daemon.small_disk().clear();
        }
        if due.worker <= now && self.kill_a_worker(daemon) {
            due.worker = now + self.dice.up_to(WORKER_KILL * 2);
        }
        if due.stop <= now && due.stopped.is_none() {
            due.stopped = self.stop_a_worker(daemon, now);
            due.stop = now + self.dice.up_to(WORKER_STOP * 2);
        }
        if due.zygote <= now && self.kill_a_zygote(daemon) {
            due.zygote = now + self.dice.up_to(ZYGOTE_KILL * 2);
        }
        if due.disk <= now {
            daemon.small_disk().fill(usize::MAX);
            self.disks_filled += 1;
            due.full = Some(now + self.dice.up_to(FULL_MAX));
            due.disk = now + FULL_MAX + self.dice.up_to(DISK_FULL * 2);
        }
        if due.supervisor <= now && due.full.is_none() {
            // The stopped worker ends with its supervisor: it cannot be told to go on by a pid that may be another's then.
            due.stopped = None;
            if self.dice.below(PLANNED_ONE_IN) == 0 {
                daemon.stop_and_rise();
                self.supervisors_stopped += 1;
            } else {
                daemon.die_and_rise();
                self.supervisors_killed += 1;
            }
            due.supervisor = Instant::now() + self.dice.up_to(SUPERVISOR_KILL * 2);
        }
    }

    fn kill_a_worker(&mut self, daemon: &Daemon) -> bool {
        let killed = self.dice.pick(&workers(daemon)).is_some_and(|worker| daemon.kill_worker(worker.pid));
        self.workers_killed += u64::from(killed);
        killed
    }

    fn stop_a_worker(&mut self, daemon: &Daemon, now: Instant) -> Option<(Proc, Instant)> {
        let worker = self.dice.pick(&workers(daemon))?;
        if !procs::signal_child(daemon.pid(), worker.pid, Signal::STOP) {
            return None;
        }
        self.workers_stopped += 1;
        let long = self.workers_stopped.is_multiple_of(8);
        Some((worker, now + if long { STOPPED_LONG } else { self.dice.up_to(STOPPED_MAX) }))
    }

    fn kill_a_zygote(&mut self, daemon: &Daemon) -> bool {
        let killed = self
            .dice
            .pick(&procs::children(daemon.pid()))
            .is_some_and(|zygote| procs::signal_child(daemon.pid(), zygote.pid, Signal::KILL));
        self.zygotes_killed += u64::from(killed);
        killed
    }
}

/// Every process that the supervisor's zygote has made, whatever it is at just now: made ahead and nobody's yet, loading, restoring, serving.
fn workers(daemon: &Daemon) -> Vec<Proc> {
    procs::children(daemon.pid()).into_iter().flat_map(|zygote| procs::children(zygote.pid)).collect()
}

fn go_on(daemon: &Daemon, stopped: Proc) {
    if stopped.lives() {
        procs::signal_child(daemon.pid(), stopped.pid, Signal::CONT);
    }
}

impl fmt::Display for Weather {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = self.workers_killed as f64 / self.lasted.as_secs_f64();
        write!(
            f,
            "{:.0} s: {} workers killed ({rate:.1} a second), {} stopped for a while; {} zygotes and {} supervisors killed, {} stopped as planned; the disk full {} times",
            self.lasted.as_secs_f64(),
            self.workers_killed,
            self.workers_stopped,
            self.zygotes_killed,
            self.supervisors_killed,
            self.supervisors_stopped,
            self.disks_filled
        )
    }
}
