//! A worker process that is asked one thing at a time, and waited for.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use croupier_fair::entry::Verdict;
use croupier_notify::Listener;
use croupier_wire::frame::FrameReader;
use croupier_wire::link::{CallAnswer, FLAG_SNAPSHOT, LINK_VERSION, ToWorker, Turn, decode_from_worker};
use croupier_wire::outcome::call_hash;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, pidfd_send_signal};

use super::SoloError;
use super::answer::{Said, own};
use crate::game::hello_frame;
use crate::jail::plan::{Plan, Transport};
use crate::jail::warden::Watch;
use crate::jail::{TraceDenials, Warden, admit};
use crate::registry::Plugin;
use crate::worker::cause::{LastWords, cause};
use crate::worker::launcher::{Handle, Launched, Launcher, Order};
use crate::worker::link::send_with_fd;

/// How long a worker that closed its link may take to end.
const END_MAX: Duration = Duration::from_secs(2);

/// One turn's input.
#[derive(Debug, Clone)]
pub struct TurnInput<'a> {
    /// The session.
    pub session: u64,
    /// Its number.
    pub seq: u64,
    /// Its time, nanoseconds since the Unix epoch.
    pub now_ns: u64,
    /// Its seed.
    pub seed: [u8; 32],
    /// `CROUPIER_TURN_*`.
    pub kind: u16,
    /// Who acts.
    pub player: u64,
    /// Config, profile, reason or action.
    pub payload: &'a [u8],
}

/// What a turn answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Played {
    /// Reply and effects, or the error.
    pub verdict: Verdict,
    /// The snapshot, if one was wanted and given.
    pub snapshot: Option<Vec<u8>>,
}

/// Answers host calls: name and arguments to status (0 or negative) and answer.
pub type HostAnswers<'a> = dyn FnMut(&str, &[u8]) -> (i32, Vec<u8>) + 'a;

/// Whether a snapshot is wanted with a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Snapshot {
    /// Yes.
    Wanted,
    /// No.
    Unwanted,
}

/// A worker with the plugin initialised. Dropping it kills it.
#[derive(Debug)]
pub struct SoloWorker {
    plugin: Arc<Plugin>,
    /// Its thread must outlive the process.
    _launcher: Arc<Launcher>,
    handle: Handle,
    /// Decides on its system calls; none with isolation off.
    warden: Option<Warden>,
    /// It said that it faulted: nothing that it sends is an answer any more.
    faulted: Arc<AtomicBool>,
    link: UnixStream,
    reader: FrameReader,
    last_call: u64,
    welcomed: bool,
}

/// Ends a worker, wherever it is waited for.
#[derive(Debug)]
pub struct Ender(OwnedFd);

impl Ender {
    /// Ends it. Nothing happens when it has ended already.
    pub fn end(&self) {
        let _ = pidfd_send_signal(&self.0, Signal::KILL);
    }
}

impl SoloWorker {
    pub(super) fn start(
        plugin: &Arc<Plugin>,
        launcher: &Arc<Launcher>,
        shift: u32,
    ) -> Result<SoloWorker, SoloError> {
        let mut worker = SoloWorker::launch(plugin, launcher)?;
        worker.load(shift)?;
        Ok(worker)
    }

    /// A worker that waits for its plugin.
    pub(super) fn launch(plugin: &Arc<Plugin>, launcher: &Arc<Launcher>) -> Result<SoloWorker, SoloError> {
        let launched = launcher.launch_blocking(Order::new(&plugin.jail))?;
        let patience = Duration::from_nanos(plugin.spec.load_wall_ns);
        // One thing after the other, and nobody waits: the socket will do.
        let plan = Plan { transport: Transport::Socket, ..plugin.jail };
        let admitted = admit(&launched, &plan, patience)?;
        let Launched { handle, link, stdout, stderr, .. } = launched;
        let faulted = Arc::new(AtomicBool::new(false));
        let guard = |listener| guard(plugin, &handle, listener, faulted.clone());
        let warden = admitted.listener.map(guard).transpose()?;
        let reader = FrameReader::new(LINK_VERSION, plugin.limits.frame_bytes);
        let (plugin, launcher) = (plugin.clone(), launcher.clone());
        drain(stdout)?;
        drain(stderr)?;
        Ok(SoloWorker {
            plugin,
            _launcher: launcher,
            handle,
            warden,
            faulted,
            link,
            reader,
            last_call: 0,
            welcomed: false,
        })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.handle.pid()
    }

    /// What ends it from another thread.
    ///
    /// # Errors
    /// When there are no descriptors left.
    pub fn ender(&self) -> io::Result<Ender> {
        Ok(Ender(self.handle.pidfd().try_clone_to_owned()?))
    }

    /// Ends it.
    pub fn end(&self) {
        self.handle.kill();
    }

    /// Has it load and initialise the plugin. Once.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn load(&mut self, shift: u32) -> Result<(), SoloError> {
        let mut frame = Vec::new();
        hello_frame(&self.plugin.hello(0, shift), &mut frame)?;
        match self.warden {
            Some(_) => self.link.write_all(&frame)?,
            None => send_with_fd(&self.link, &frame, self.plugin.binary.reopen()?.as_fd())?,
        }
        match self.answer(self.load_wall())? {
            (0, Said::Welcome) => {
                self.welcomed = true;
                self.warden.iter().for_each(Warden::run);
            }
            (_, other) => return Err(unexpected(&other)),
        }
        let settings = self.plugin.spec.settings.clone();
        self.ok("init", &ToWorker::Init { settings: &settings })
    }

    /// Plays a turn. `host` answers its host calls.
    ///
    /// # Errors
    /// When the worker dies over it, is late, or makes no sense. An error of the plugin's own is a result.
    pub fn turn(
        &mut self,
        input: &TurnInput<'_>,
        snapshot: Snapshot,
        host: &mut HostAnswers<'_>,
    ) -> Result<Played, SoloError> {
        let turn = Turn {
            session: input.session,
            seq: input.seq,
            now_ns: input.now_ns,
            seed: input.seed,
            kind: input.kind,
            player: input.player,
            payload: input.payload,
            calls: Vec::new(),
        };
        let flags = if snapshot == Snapshot::Wanted { FLAG_SNAPSHOT } else { 0 };
        let call = self.send(&ToWorker::Turn(turn), flags)?;
        let mut asked = 0;
        loop {
            match self.answer(self.turn_wall())? {
                (answered, Said::Done(played)) if answered == call => return Ok(played),
                (answered, Said::HostCall { index, name, args }) if answered == call && index == asked => {
                    asked += 1;
                    let (status, answer) = host(&name, &args);
                    let answer = CallAnswer { asked: call_hash(&name, &args), status, answer: &answer };
                    self.put(&ToWorker::CallAnswer(answer), 0, call)?;
                }
                (_, other) => return Err(unexpected(&other)),
            }
        }
    }

    /// The session's snapshot.
    ///
    /// # Errors
    /// Also when the plugin refuses.
    pub fn snapshot(&mut self, session: u64) -> Result<Vec<u8>, SoloError> {
        let call = self.send(&ToWorker::Snapshot { session }, 0)?;
        match self.answer(self.turn_wall())? {
            (answered, Said::Snapshot(snapshot)) if answered == call => Ok(snapshot),
            (_, Said::Failed { status, text }) => Err(SoloError::Failed { what: "snapshot", status, text }),
            (_, other) => Err(unexpected(&other)),
        }
    }

    /// Makes the session from a snapshot that this version of the plugin wrote.
    ///
    /// # Errors
    /// Also when the plugin refuses.
    pub fn restore(&mut self, session: u64, snapshot: &[u8]) -> Result<(), SoloError> {
        let state_version = self.plugin.player.state_version;
        self.ok("restoring a snapshot", &ToWorker::Restore { session, state_version, snapshot })
    }

    fn ok(&mut self, what: &'static str, message: &ToWorker<'_>) -> Result<(), SoloError> {
        let call = self.send(message, 0)?;
        match self.answer(self.load_wall())? {
            (answered, Said::Ok) if answered == call => Ok(()),
            (_, Said::Failed { status, text }) => Err(SoloError::Failed { what, status, text }),
            (_, other) => Err(unexpected(&other)),
        }
    }

    fn load_wall(&self) -> Duration {
        Duration::from_nanos(self.plugin.spec.load_wall_ns)
    }

    fn turn_wall(&self) -> Duration {
        Duration::from_nanos(self.plugin.spec.turn_wall_ns)
    }

    fn send(&mut self, message: &ToWorker<'_>, flags: u8) -> Result<u64, SoloError> {
        self.last_call += 1;
        self.put(message, flags, self.last_call)?;
        Ok(self.last_call)
    }

    fn put(&mut self, message: &ToWorker<'_>, flags: u8, call: u64) -> Result<(), SoloError> {
        let mut frame = Vec::new();
        message
            .put(&mut frame, flags, call, self.plugin.limits.frame_bytes)
            .map_err(|error| SoloError::Protocol(error.to_string()))?;
        self.link.set_write_timeout(Some(self.turn_wall()))?;
        match self.link.write_all(&frame) {
            Ok(()) => Ok(()),
            Err(error) if is_late(&error) => Err(self.late(self.turn_wall())),
            Err(_) => Err(self.died(None)),
        }
    }

    /// The next message that is neither a log line nor last words.
    fn answer(&mut self, patience: Duration) -> Result<(u64, Said), SoloError> {
        let due = Instant::now() + patience;
        loop {
            match self.receive(due, patience)? {
                (_, Said::Log { level, text }) => {
                    tracing::debug!(target: "plugin", plugin = self.plugin.name, level, "{text}");
                }
                (_, Said::Refused { permission, count }) => {
                    tracing::debug!(target: "plugin", plugin = self.plugin.name, permission, count, "not granted");
                }
                (_, Said::Fault(text)) => return Err(self.died(Some(text))),
                said => return Ok(said),
            }
        }
    }

    fn receive(&mut self, due: Instant, patience: Duration) -> Result<(u64, Said), SoloError> {
        let protocol = |error: &dyn std::fmt::Display| SoloError::Protocol(error.to_string());
        loop {
            // Looked at before every message: a flood of log lines does not put the deadline off.
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(self.late(patience));
            }
            if self.faulted.load(Ordering::Acquire) {
                return Err(self.died(None));
            }
            if let Some((header, body)) = self.reader.next().map_err(|error| protocol(&error))? {
                let message = decode_from_worker(&header, body).map_err(|error| protocol(&error))?;
                return Ok((header.call_id, own(&message, &self.plugin.limits)?));
            }
            self.link.set_read_timeout(Some(left))?;
            match self.link.read(self.reader.space()) {
                Ok(0) => return Err(self.died(None)),
                Ok(read) => self.reader.filled(read),
                Err(error) if is_late(&error) || error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(self.died(None)),
            }
        }
    }

    fn late(&mut self, patience: Duration) -> SoloError {
        self.handle.kill();
        SoloError::Late { ms: u64::try_from(patience.as_millis()).unwrap_or(u64::MAX) }
    }

    /// The link has ended: why?
    fn died(&mut self, words: Option<String>) -> SoloError {
        let words = words.map(|text| match self.welcomed {
            true => LastWords::AfterWelcome(text),
            false => LastWords::BeforeWelcome(text),
        });
        match ends_within(&self.handle, END_MAX) {
            Ok(true) => {
                let memory = self.handle.out_of_memory();
                SoloError::Died(cause(self.handle.reap_blocking(), memory, None, words.as_ref()))
            }
            Ok(false) => {
                self.handle.kill();
                let what = if self.faulted.load(Ordering::Acquire) {
                    "it made the call of a fault, and lived on"
                } else {
                    "it closed its link and lived on"
                };
                SoloError::Protocol(what.into())
            }
            Err(error) => SoloError::Link(error),
        }
    }
}

/// Whether it ends in this time.
fn ends_within(handle: &Handle, patience: Duration) -> io::Result<bool> {
    let patience = Timespec::try_from(patience).map_err(io::Error::other)?;
    let mut polled = [PollFd::from_borrowed_fd(handle.pidfd(), PollFlags::IN)];
    Ok(poll(&mut polled, Some(&patience))? > 0)
}

/// Sets a warden to decide on the worker's system calls.
fn guard(
    plugin: &Plugin,
    handle: &Handle,
    listener: Listener,
    faulted: Arc<AtomicBool>,
) -> Result<Warden, SoloError> {
    let pidfd = handle.pidfd().try_clone_to_owned()?;
    let name = plugin.name.clone();
    let excess = move |why: String| {
        tracing::warn!(plugin = name, why, "a worker is ended");
        let _ = pidfd_send_signal(&pidfd, Signal::KILL);
    };
    Ok(Warden::start(
        listener,
        Watch {
            plugin: plugin.name.clone(),
            version: plugin.player.version.clone(),
            worker: 0,
            pid: handle.pid(),
            binary: plugin.binary.reopen()?,
            denied_calls_max: plugin.jail.denied_calls_max,
            denials: Arc::new(TraceDenials),
            playing: Box::new(|| None),
            faulted: Box::new(move || faulted.store(true, Ordering::Release)),
            excess: Box::new(excess),
        },
    )?)
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn unexpected(said: &Said) -> SoloError {
    let what = match said {
        Said::Welcome => "Welcome",
        Said::Ok => "Ok",
        Said::Failed { .. } => "Failed",
        Said::Done(_) => "Done",
        Said::Snapshot(_) => "a snapshot",
        Said::HostCall { .. } => "a host call",
        Said::Log { .. } => "a log line",
        Said::Refused { .. } => "a refusal",
        Said::Fault(_) => "a fault",
    };
    SoloError::Protocol(format!("it answered {what} to something else"))
}

/// What the plugin prints is of no interest here, but a full pipe would block it.
fn drain(pipe: OwnedFd) -> io::Result<()> {
    let mut pipe = std::fs::File::from(pipe);
    let drain = move || drop(io::copy(&mut pipe, &mut io::sink()));
    std::thread::Builder::new().name("solo-drain".into()).spawn(drain).map(drop)
}
