//! The one task per worker: makes the process, watches its link and its life, ends it when asked, and says why it died.
//!
//! ```text
//!  launch ─▶ admit ─▶ hello ─▶ │ readable: pump   writable: flush   killed: look, then kill   late: kill │ ─ ended ─▶ drain ─▶ reap ─▶ cause
//! ```
//!
//! Answers need not wait for this task: any thread may pump.

use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use croupier_core::action::KillReason;
use croupier_core::event::Cause;
use croupier_wire::link::{Hello, LINK_VERSION, ToWorker};
use thiserror::Error;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe;
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior};

use super::budget::{CpuBudget, TICK, Verdict};
use super::context::AliveGuard;
use super::driver::GameDriver;
use super::slot::Slot;
use super::watch::{Looks, ToldDenials};
use crate::jail::cgroup::OutOfMemory;
use crate::jail::warden::Watch;
use crate::jail::{AdmitError, Admitted, Warden, admit};
use crate::registry::BinaryError;
use crate::worker::cause::{self, Killed, cause};
use crate::worker::launcher::{LaunchError, Launched, Order};
use crate::worker::link::{SocketLink, ToldBy};
use crate::worker::logs;
use crate::worker::port::{Flushed, PARTIAL_FRAME_MAX, Port, Ready, Received};
use crate::worker::process::Process;
use crate::worker::readiness::watch;
use crate::worker::ring;
use crate::worker::usage::cpu_time;

/// Longest time that a worker may live on after it closed its link.
const UNLINKED_MAX: Duration = Duration::from_secs(1);
/// Longest time that a worker may live on that said that it faulted, and sent more: another of its threads may have been at it, and how it dies tells more than a kill of ours.
const FAULTED_MAX: Duration = Duration::from_secs(1);
/// Added to the time for loading when a worker shuts down: the core's own deadline comes first.
const LEAVING_SLACK: Duration = Duration::from_secs(1);
/// Receives of what a dead worker left behind, 1 MiB each at most; a socket holds far less, but a child of the worker may go on to write.
const LAST_RECEIVES_MAX: usize = 16;

/// Why a worker did not come to life.
#[derive(Debug, Error)]
enum StartError {
    #[error(transparent)]
    Launch(#[from] LaunchError),
    #[error(transparent)]
    Binary(#[from] BinaryError),
    #[error(transparent)]
    Admit(#[from] AdmitError),
    #[error("the worker was ended before it had confined itself: {0}")]
    Killed(ExitStatus, OutOfMemory),
    #[error("the worker's link could not be set up: {0}")]
    Link(std::io::Error),
    #[error("the thread that makes workers has ended")]
    NoLauncher,
}

/// A worker's life from beginning to end.
pub(super) async fn attend(driver: Arc<GameDriver>, slot: Arc<Slot>, alive: AliveGuard) {
    let (cause, process, logs) = match start(&driver, &slot).await {
        Ok(mut life) => {
            let ended = life.live(&driver, &slot).await;
            let Life { process, dead, logs, .. } = life;
            drop(dead);
            (ended, Some(process), Some(logs))
        }
        Err(StartError::Killed(status, memory)) => (cause(status, memory, None, None), None, None),
        Err(error) => (Cause::Start(error.to_string()), None, None),
    };
    let mut logs = std::pin::pin!(async {
        if let Some(logs) = logs {
            let _ = logs.await;
        }
    });
    // They say why, and so come first; but of a kill from outside they know nothing, and callers wait.
    if !matches!(cause, Cause::External { .. }) {
        drop(process);
        logs.as_mut().await;
        driver.worker_ended(slot.id, cause);
    } else {
        driver.worker_ended(slot.id, cause);
        // It is collected afterwards: by the thread that makes its successor.
        drop(process);
        logs.await;
    }
    drop(alive);
}

/// What a live worker consists of.
struct Life {
    process: Process,
    /// The link's descriptor, once more.
    readiness: AsyncFd<OwnedFd>,
    killed: Option<Killed>,
    /// Dropped at death: ends the draining of logs.
    dead: Option<oneshot::Sender<()>>,
    logs: tokio::task::JoinHandle<()>,
}

async fn start(driver: &Arc<GameDriver>, slot: &Arc<Slot>) -> Result<Life, StartError> {
    let (done, launched) = oneshot::channel();
    // When nobody waits any more, what was launched is dropped, and that ends it.
    let plan = driver.plan();
    driver.context.launcher.launch(Order::new(&plan), move |result| drop(done.send(result)));
    let launched = launched.await.map_err(|_| StartError::NoLauncher)??;
    slot.set_pid(launched.handle.pid());
    let patience = Duration::from_nanos(driver.plugin.spec.load_wall_ns);
    let admission = move || {
        let admitted = admit(&launched, &plan, patience);
        (launched, admitted)
    };
    let (launched, admitted) =
        tokio::task::spawn_blocking(admission).await.map_err(|_| StartError::NoLauncher)?;
    let Launched { mut handle, link, stdout, stderr, .. } = launched;
    // Also when it was not admitted: it may have said why.
    let stdout = pipe::Receiver::from_owned_fd(stdout).map_err(StartError::Link)?;
    let stderr = pipe::Receiver::from_owned_fd(stderr).map_err(StartError::Link)?;
    let (dead, died) = oneshot::channel();
    let speaker = slot.clone();
    let logs = tokio::spawn(async move { logs::drain(&speaker.log, stdout, stderr, died).await });
    if let Err(AdmitError::Ended) = &admitted {
        let (reaped, status) = oneshot::channel();
        handle.reap(move |status| reaped.send(status).unwrap_or_default());
        let status = status.await.map_err(|_| StartError::NoLauncher)?;
        // How it ended is what counts: a kill from outside is no fault of the plugin's.
        if status.signal().is_some() {
            return Err(StartError::Killed(status, handle.out_of_memory()));
        }
    }
    let mut admitted = admitted?;
    driver.tell_isolation(slot, &admitted.isolation);
    let link = SocketLink::new(link).map_err(StartError::Link)?;
    let ways = match admitted.ring.take() {
        Some(ring) => ring::ways(ring, link.clone()),
        None => link.ways(),
    };
    let again = link.poll_fd().try_clone_to_owned().map_err(StartError::Link)?;
    let readiness = watch(again, Interest::READABLE | Interest::WRITABLE).map_err(StartError::Link)?;
    // Before the warden: it may have to shut it.
    slot.port.get_or_init(|| Port::new(ways, driver.plugin.limits, driver.plugin.jail.link_bytes_per_s));
    let guarded = guard(driver, slot, admitted)?;
    let process = Process::adopt(handle).map_err(StartError::Link)?;
    say_hello(driver, slot, &link, guarded)?;
    Ok(Life { process, readiness, killed: None, dead: Some(dead), logs })
}

/// How the plugin gets to the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Delivery {
    /// The warden gives it to the loader.
    ByWarden,
    /// Beside Hello: isolation is off.
    BesideHello,
}

/// Sets a warden to decide on the worker's system calls.
fn guard(driver: &Arc<GameDriver>, slot: &Arc<Slot>, admitted: Admitted) -> Result<Delivery, StartError> {
    let _ = slot.isolation.set(admitted.isolation);
    let Some(listener) = admitted.listener else { return Ok(Delivery::BesideHello) };
    let plugin = &driver.plugin;
    // Weak, since the warden lives as long as the worker, and the slot knows the warden.
    let (ended, faulted) = (Arc::downgrade(slot), Arc::downgrade(slot));
    let (game, worker) = (Arc::downgrade(driver), slot.id);
    let hears = game.clone();
    let warden = Warden::start(
        listener,
        Watch {
            plugin: plugin.name.clone(),
            version: plugin.player.version.clone(),
            worker: slot.id.0,
            pid: slot.pid(),
            binary: plugin.binary.reopen()?,
            denied_calls_max: plugin.jail.denied_calls_max,
            denials: Arc::new(ToldDenials {
                others: driver.context.denials.clone(),
                game: game.clone(),
                worker,
            }),
            playing: Box::new(move || game.upgrade()?.playing(worker)),
            faulted: Box::new(move || {
                if let (Some(game), Some(slot)) = (hears.upgrade(), faulted.upgrade()) {
                    game.pump_last(&slot);
                }
            }),
            excess: Box::new(move |why| {
                if let Some(slot) = ended.upgrade() {
                    slot.kill(KillReason::Protocol(why));
                }
            }),
        },
    );
    let _ = slot.warden.set(warden.map_err(StartError::Link)?);
    Ok(Delivery::ByWarden)
}

fn say_hello(
    driver: &GameDriver,
    slot: &Slot,
    link: &SocketLink,
    delivery: Delivery,
) -> Result<(), StartError> {
    let plugin = &driver.plugin;
    let mut frame = Vec::new();
    let hello = Hello { permissions: driver.told_permissions(), ..plugin.hello(slot.id.0, 0) };
    hello_frame(&hello, &mut frame).map_err(StartError::Link)?;
    let sent = match delivery {
        Delivery::ByWarden => link.send_first(&frame),
        Delivery::BesideHello => {
            let binary = plugin.binary.reopen()?;
            link.send_with_fd(&frame, std::os::fd::AsFd::as_fd(&binary))
        }
    };
    match sent {
        // It is dead already, and how it ended is what counts: a kill from outside is no fault of the plugin's.
        Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => Ok(()),
        sent => sent.map_err(StartError::Link),
    }
}

/// The first frame of a link.
pub(crate) fn hello_frame(hello: &Hello<'_>, frame: &mut Vec<u8>) -> std::io::Result<()> {
    debug_assert_eq!(hello.version, LINK_VERSION);
    ToWorker::Hello(hello.clone()).put(frame, 0, 0, hello.limits.frame_bytes).map_err(std::io::Error::other)
}

impl Life {
    async fn live(&mut self, driver: &GameDriver, slot: &Arc<Slot>) -> Cause {
        self.serve(driver, slot).await;
        for _ in 0..LAST_RECEIVES_MAX {
            if driver.pump(slot) != Received::More {
                break;
            }
            tokio::task::yield_now().await;
        }
        // Collecting it takes three processes a while, and callers wait; mostly the kernel says at once how it ended. After an end that we wished for they do not
        // wait, and nothing may be left of it.
        let unasked = self.killed.is_none() && !slot.is_leaving();
        let status = match unasked.then(|| self.process.seen_status()).flatten() {
            Some(status) => status,
            None => match self.process.reap().await {
                Ok(status) => status,
                Err(error) => {
                    tracing::error!(plugin = driver.plugin.name, worker = slot.id.0, %error, "nobody is left who can say how a worker ended");
                    return Cause::External { signal: 0 };
                }
            },
        };
        if slot.is_leaving() && status.success() {
            return Cause::Asked;
        }
        let memory = self.process.out_of_memory();
        if memory == OutOfMemory::Elsewhere {
            tracing::warn!(
                plugin = driver.plugin.name,
                worker = slot.id.0,
                "the kernel ended a worker because the machine, or a cgroup above the worker's, had no memory left"
            );
        }
        let words = slot.words();
        cause(status, memory, self.killed.as_ref(), words.as_ref())
    }

    /// Until the process has ended.
    async fn serve(&mut self, driver: &GameDriver, slot: &Arc<Slot>) {
        let Some(port) = slot.port.get() else { return };
        let load_wall = Duration::from_nanos(driver.plugin.spec.load_wall_ns);
        let mut dues =
            Dues { load: Instant::now() + load_wall, unlinked: None, faulted: None, leaving: None };
        let (killed, left) = (slot.killed(), slot.left());
        tokio::pin!(killed, left);
        let mut writing = false;
        let mut budget = CpuBudget::new(driver.plugin.jail.cpu_per_turn, driver.plugin.jail.cpu_per_life);
        let mut looks = Looks::new();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // Whatever is ready again and again, others have their turn: the runtime's own driver, too, which tells of the process's end.
            tokio::task::coop::consume_budget().await;
            let (due, late) = dues.next(port, slot);
            tokio::select! {
                () = self.process.ended() => return,
                why = &mut killed, if self.killed.is_none() => self.end(why).await,
                () = &mut left, if dues.leaving.is_none() => {
                    dues.leaving = Some(Instant::now() + load_wall + LEAVING_SLACK);
                }
                guard = self.readiness.readable(), if dues.hears() => {
                    let mut guard = guard.expect("the runtime's driver lives");
                    // A ring's bell says that there is room, too.
                    writing = writing && driver.flush(slot, port) == Flushed::Blocked;
                    match dues.hear(driver, slot, port) {
                        // A flood: other tasks have their turn all the same.
                        Then::Yield => tokio::task::yield_now().await,
                        Then::Wait => guard.clear_ready(),
                        Then::Look => {}
                    }
                }
                () = port.wants_look(), if dues.hears() => {
                    if dues.hear(driver, slot, port) != Then::Wait {
                        port.look();
                        tokio::task::yield_now().await;
                    }
                }
                guard = self.readiness.writable(), if writing && port.told_by() == ToldBy::Writable => match driver.flush(slot, port) {
                    Flushed::Blocked => guard.expect("the runtime's driver lives").clear_ready(),
                    Flushed::All | Flushed::Broken(_) => writing = false,
                },
                // Tried once more: room that was told of before we listened is not told of again.
                () = port.wants_write() => writing = driver.flush(slot, port) == Flushed::Blocked,
                _ = tick.tick(), if self.killed.is_none() => {
                    writing = writing && driver.flush(slot, port) == Flushed::Blocked;
                    // What it says without being asked, such as log lines, waits here for so long at the most.
                    if port.rouse() {
                        port.look();
                    }
                    looks.tick(driver, slot, &self.process);
                    match budget.tick(slot.work(), || cpu_time(self.process.pid())) {
                        Verdict::Fine => {}
                        Verdict::Spent => {
                            self.killed = Some(Killed::Late(cause::Late::Burning));
                            self.process.kill();
                        }
                        // Nobody's fault: whatever it plays is played again in another one.
                        Verdict::Old => {
                            tracing::info!(plugin = driver.plugin.name, worker = slot.id.0, "a worker has used up the CPU time of its whole life, cpu_s");
                            self.killed = Some(Killed::For(KillReason::Retired));
                            self.process.kill();
                        }
                    }
                }
                () = tokio::time::sleep_until(due), if self.killed.is_none() => {
                    if let Some(why) = late.reason(load_wall) {
                        slot.kill(why);
                    }
                }
            }
        }
    }

    /// Ends the process. A late one is watched for a moment first: what is it doing?
    async fn end(&mut self, why: KillReason) {
        let killed = match why {
            KillReason::Deadline => Killed::Late(self.process.watch_late().await),
            other => Killed::For(other),
        };
        self.killed = Some(killed);
        self.process.kill();
    }
}

/// What a worker must not be late for.
struct Dues {
    load: Instant,
    unlinked: Option<Instant>,
    faulted: Option<Instant>,
    leaving: Option<Instant>,
}

/// What a worker is late for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Late {
    Load,
    Frame,
    Unlinked,
    Faulted,
    Leaving,
    /// Nothing; but a frame may have begun while we slept, read by another thread.
    Nothing,
}

/// What to do after hearing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Wait,
    Look,
    Yield,
}

impl Dues {
    /// Takes what the worker has said, and sees to it that we are told of what comes next.
    fn hear(&mut self, driver: &GameDriver, slot: &Slot, port: &Port) -> Then {
        let received = match driver.pump(slot) {
            Received::Drained => match driver.arm(slot, port) {
                Ready::Sleep => return Then::Wait,
                Ready::Receive(received) => received,
            },
            Received::More => return Then::Yield,
            received => received,
        };
        match received {
            Received::Ended | Received::Broken(_) => self.unlinked = Some(Instant::now() + UNLINKED_MAX),
            Received::AfterFault => self.faulted = Some(Instant::now() + FAULTED_MAX),
            Received::More | Received::Drained => {}
        }
        Then::Look
    }

    /// Whether anything that it sends is of interest.
    fn hears(&self) -> bool {
        self.unlinked.is_none() && self.faulted.is_none()
    }

    /// The next one of them.
    fn next(&self, port: &Port, slot: &Slot) -> (Instant, Late) {
        let load = (!slot.is_welcomed()).then_some((self.load, Late::Load));
        let frame = port.frame_due().map(|due| (due.into(), Late::Frame));
        let unlinked = self.unlinked.map(|due| (due, Late::Unlinked));
        let faulted = self.faulted.map(|due| (due, Late::Faulted));
        let leaving = self.leaving.map(|due| (due, Late::Leaving));
        let look = (Instant::now() + PARTIAL_FRAME_MAX, Late::Nothing);
        let all = [load, frame, unlinked, faulted, leaving].into_iter().flatten();
        all.fold(look, |first, other| if other.0 < first.0 { other } else { first })
    }
}

impl Late {
    fn reason(self, load_wall: Duration) -> Option<KillReason> {
        match self {
            Late::Load => {
                Some(KillReason::Init(format!("the plugin did not load within {} ms", load_wall.as_millis())))
            }
            Late::Frame => {
                let seconds = PARTIAL_FRAME_MAX.as_secs();
                Some(KillReason::Protocol(format!("a frame did not arrive whole within {seconds} s")))
            }
            Late::Unlinked => Some(KillReason::Protocol("it closed its link and lived on".into())),
            Late::Faulted => Some(KillReason::Protocol(
                "it made the call of a fault, and went on as if nothing were".into(),
            )),
            Late::Leaving => Some(KillReason::Retired),
            Late::Nothing => None,
        }
    }
}
