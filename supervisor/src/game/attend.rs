//! The one task per worker: makes the process, watches its link and its life, ends it when asked, and says why it died.
//!
//! ```text
//!  launch ─▶ hello ─▶ │ readable: pump   writable: flush   killed: look, then kill   late: kill │ ─ ended ─▶ drain ─▶ reap ─▶ cause
//! ```
//!
//! Answers need not wait for this task: any thread may pump.

use std::io::ErrorKind;
use std::os::fd::OwnedFd;
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
use tokio::time::Instant;

use super::context::AliveGuard;
use super::driver::GameDriver;
use super::slot::Slot;
use crate::registry::BinaryError;
use crate::worker::cause::{Killed, cause};
use crate::worker::launcher::{LaunchError, Launched};
use crate::worker::link::{Link as _, SocketLink};
use crate::worker::logs;
use crate::worker::port::{Flushed, PARTIAL_FRAME_MAX, Port, Received};
use crate::worker::process::Process;
use crate::worker::readiness::watch;

/// Longest time that a worker may live on after it closed its link.
const UNLINKED_MAX: Duration = Duration::from_secs(1);
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
    #[error("the worker's link could not be set up: {0}")]
    Link(std::io::Error),
    #[error("the thread that makes workers has ended")]
    NoLauncher,
}

/// A worker's life from beginning to end.
pub(super) async fn attend(driver: Arc<GameDriver>, slot: Arc<Slot>, alive: AliveGuard) {
    let cause = match start(&driver, &slot).await {
        Ok(mut life) => {
            let ended = life.live(&driver, &slot).await;
            // The logs first: they say why.
            drop(life.dead.take());
            let _ = (&mut life.logs).await;
            ended
        }
        Err(error) => Cause::Start(error.to_string()),
    };
    driver.worker_ended(slot.id, cause);
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

async fn start(driver: &GameDriver, slot: &Arc<Slot>) -> Result<Life, StartError> {
    let (done, launched) = oneshot::channel();
    driver.context.launcher.launch(move |result| {
        // When nobody waits any more, the process must not stay.
        if let Err(Ok(Launched { mut child, .. })) = done.send(result) {
            let _ = child.kill();
            let _ = child.wait();
        }
    });
    let Launched { child, link, stdout, stderr } = launched.await.map_err(|_| StartError::NoLauncher)??;
    let process = Process::adopt(child).map_err(StartError::Link)?;
    slot.set_pid(process.pid());
    let link = SocketLink::new(link).map_err(StartError::Link)?;
    say_hello(driver, slot, &link)?;
    let again = link.poll_fd().try_clone_to_owned().map_err(StartError::Link)?;
    let readiness = watch(again, Interest::READABLE | Interest::WRITABLE).map_err(StartError::Link)?;
    slot.port.get_or_init(|| Port::new(Box::new(link), driver.plugin.limits));
    let stdout = pipe::Receiver::from_owned_fd(stdout).map_err(StartError::Link)?;
    let stderr = pipe::Receiver::from_owned_fd(stderr).map_err(StartError::Link)?;
    let (dead, died) = oneshot::channel();
    let speaker = slot.clone();
    let logs = tokio::spawn(async move { logs::drain(&speaker.log, stdout, stderr, died).await });
    Ok(Life { process, readiness, killed: None, dead: Some(dead), logs })
}

fn say_hello(driver: &GameDriver, slot: &Slot, link: &SocketLink) -> Result<(), StartError> {
    let plugin = &driver.plugin;
    let binary = plugin.binary.reopen()?;
    let mut frame = Vec::new();
    let hello = Hello { permissions: driver.told_permissions(), ..plugin.hello(slot.id.0, 0) };
    hello_frame(&hello, &mut frame).map_err(StartError::Link)?;
    match link.send_with_fd(&frame, std::os::fd::AsFd::as_fd(&binary)) {
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
        let status = match self.process.reap() {
            Ok(status) => status,
            Err(error) => {
                tracing::error!(plugin = driver.plugin.name, worker = slot.id.0, %error, "a worker was reaped by somebody else");
                return Cause::External { signal: 0 };
            }
        };
        if slot.is_leaving() && status.success() {
            return Cause::Asked;
        }
        let words = slot.words();
        cause(status, self.killed.as_ref(), words.as_ref())
    }

    /// Until the process has ended.
    async fn serve(&mut self, driver: &GameDriver, slot: &Arc<Slot>) {
        let Some(port) = slot.port.get() else { return };
        let load_wall = Duration::from_nanos(driver.plugin.spec.load_wall_ns);
        let mut dues = Dues { load: Instant::now() + load_wall, unlinked: None, leaving: None };
        let (killed, left) = (slot.killed(), slot.left());
        tokio::pin!(killed, left);
        let mut writing = false;
        loop {
            let (due, late) = dues.next(port, slot);
            tokio::select! {
                () = self.process.ended() => return,
                why = &mut killed, if self.killed.is_none() => self.end(why).await,
                () = &mut left, if dues.leaving.is_none() => {
                    dues.leaving = Some(Instant::now() + load_wall + LEAVING_SLACK);
                }
                guard = self.readiness.readable(), if dues.unlinked.is_none() => match driver.pump(slot) {
                    // A flood: other tasks have their turn all the same.
                    Received::More => tokio::task::yield_now().await,
                    Received::Drained => guard.expect("the runtime's driver lives").clear_ready(),
                    Received::Ended | Received::Broken(_) => dues.unlinked = Some(Instant::now() + UNLINKED_MAX),
                },
                guard = self.readiness.writable(), if writing => match port.try_flush() {
                    Flushed::All => writing = false,
                    Flushed::Blocked => guard.expect("the runtime's driver lives").clear_ready(),
                },
                () = port.wants_write() => writing = true,
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
    leaving: Option<Instant>,
}

/// What a worker is late for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Late {
    Load,
    Frame,
    Unlinked,
    Leaving,
    /// Nothing; but a frame may have begun while we slept, read by another thread.
    Nothing,
}

impl Dues {
    /// The next one of them.
    fn next(&self, port: &Port, slot: &Slot) -> (Instant, Late) {
        let load = (!slot.is_welcomed()).then_some((self.load, Late::Load));
        let frame = port.frame_due().map(|due| (due.into(), Late::Frame));
        let unlinked = self.unlinked.map(|due| (due, Late::Unlinked));
        let leaving = self.leaving.map(|due| (due, Late::Leaving));
        let look = (Instant::now() + PARTIAL_FRAME_MAX, Late::Nothing);
        let all = [load, frame, unlinked, leaving].into_iter().flatten();
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
            Late::Leaving => Some(KillReason::Retired),
            Late::Nothing => None,
        }
    }
}
