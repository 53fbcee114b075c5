//! Makes worker processes: one thread, which owns the zygote, for as long as the supervisor lives.
//!
//! ```text
//!  launch(order) ─▶ thread ─ link, pipes ─▶ zygote ─ fork ─▶ worker        reap ─▶ thread ─▶ zygote ─▶ how it ended
//!                     └─ the zygote is dead? its workers are too: start another
//! ```
//!
//! Each begins in a cgroup of its own, where the supervisor has any: see [`crate::jail::cgroup`]. Workers are the zygote's children: it is told when to collect one, so that a worker's pid is its own until then. They get their link and two pipes: no environment, no
//! other descriptor. What confines them is asked for afterwards: see [`crate::jail`].

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;

use croupier_wire::confine::ToZygote;
use rustix::fs::OFlags;
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use rustix::process::{Signal, pidfd_send_signal};
use thiserror::Error;

use super::users::{UidRange, Users};
use super::zygote::{Answer, Zygote};
use crate::jail::Plan;
use crate::jail::cgroup::{Group, Limits, OutOfMemory, Tree};
use crate::jail::plan::Layout;

/// Bytes that wait in a log pipe before a plugin's output is lost; less where the user's share of pipes is used up (pipe(7)).
const LOG_PIPE_BYTES: usize = 1 << 20;
/// The exit status of a worker whose zygote died, as wait(2) packs it: they die together, of KILL.
const DIED_WITH_ZYGOTE: i32 = 9;

/// The worker binary's file name.
pub const WORKER_BINARY: &str = "croupier-worker";

/// Why a worker could not be made.
#[derive(Debug, Error)]
pub enum LaunchError {
    /// No binary.
    #[error(
        "no {WORKER_BINARY} found (looked at {}); install it beside the croupier binary, or name it with `worker` in the config",
        list(looked)
    )]
    NotFound {
        /// Where it was looked for.
        looked: Vec<PathBuf>,
    },
    /// The kernel refused.
    #[error("cannot start {}: {source}", binary.display())]
    Spawn {
        /// The binary.
        binary: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The thread could not be made, or has ended.
    #[error("the thread that makes workers is not there: {0}")]
    Thread(String),
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// What kind of process is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    namespaces: u32,
    layout: Layout,
    cgroup: Option<Limits>,
}

impl Order {
    /// For a worker that is to be confined like this.
    #[must_use]
    pub fn new(plan: &Plan) -> Order {
        Order { namespaces: plan.namespaces(), layout: plan.layout, cgroup: plan.cgroup() }
    }
}

/// A process that has just been made, with our ends of everything.
#[derive(Debug)]
pub struct Launched {
    /// The process.
    pub handle: Handle,
    /// Our end of the link.
    pub link: UnixStream,
    /// What the plugin prints.
    pub stdout: OwnedFd,
    /// What the plugin complains.
    pub stderr: OwnedFd,
    /// Bits of [`croupier_wire::confine::namespace`] that it got.
    pub namespaces: u32,
    /// Why it got fewer than asked for.
    pub why: String,
    /// The user id that it runs as, if it is its own; 0 otherwise.
    pub uid: u32,
}

/// A worker's process, to be signalled and collected. Dropping it ends it.
#[derive(Debug)]
pub struct Handle {
    pid: u32,
    pidfd: OwnedFd,
    /// Which zygote's child it is.
    zygote: u64,
    jobs: mpsc::Sender<Job>,
    reaped: bool,
    /// Removed when both we and whoever reaps have let go of it.
    group: Result<Arc<Group>, String>,
}

impl Handle {
    /// Its process id; its own until it is reaped.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The process as a descriptor: readable when it has ended.
    #[must_use]
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Its cgroup, or why it has none.
    pub fn group(&self) -> Result<&Group, &str> {
        self.group.as_deref().map_err(String::as_str)
    }

    /// Whether the kernel ended it for want of memory. To be asked when it has ended.
    #[must_use]
    pub fn out_of_memory(&self) -> OutOfMemory {
        self.group().map_or(OutOfMemory::No, Group::out_of_memory)
    }

    /// Ends it, with all that is in its cgroup. Nothing happens when it has ended already.
    pub fn kill(&self) {
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
        if let Ok(group) = &self.group {
            group.kill();
        }
    }

    /// Collects it: `done` gets how it ended, on the launcher's thread. Ends it, if it has not ended.
    pub fn reap(&mut self, done: impl FnOnce(ExitStatus) + Send + 'static) {
        self.reaped = true;
        let group = self.group.clone();
        let done = move |status| {
            // Only what is empty can be removed.
            drop(group);
            done(status);
        };
        let job = Job::Reap { zygote: self.zygote, pid: self.pid, done: Box::new(done) };
        if let Err(mpsc::SendError(Job::Reap { done, .. })) = self.jobs.send(job) {
            done(ExitStatus::from_raw(DIED_WITH_ZYGOTE));
        }
    }

    /// As [`Handle::reap`], and waits. Not for async code.
    pub fn reap_blocking(&mut self) -> ExitStatus {
        let (done, status) = mpsc::channel();
        self.reap(move |status| done.send(status).unwrap_or_default());
        status.recv().unwrap_or_else(|_| ExitStatus::from_raw(DIED_WITH_ZYGOTE))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if !self.reaped {
            self.kill();
            self.reap(drop);
        }
    }
}

type Done = Box<dyn FnOnce(Result<Launched, LaunchError>) + Send>;
type Reaped = Box<dyn FnOnce(ExitStatus) + Send>;

enum Job {
    Launch { order: Order, done: Done },
    Reap { zygote: u64, pid: u32, done: Reaped },
    Stop,
}

/// The handle to the thread. Dropping it ends the thread, and with it every worker.
#[derive(Debug)]
pub struct Launcher {
    jobs: mpsc::Sender<Job>,
    thread: Mutex<Option<JoinHandle<()>>>,
    binary: PathBuf,
}

impl Launcher {
    /// Starts the thread. `binary` is the worker's; without one it is looked for beside the current executable. Workers' cgroups are made in the tree, if there is one; else it
    /// is said why there is none. Where workers can have user ids of their own, they are of this range.
    ///
    /// # Errors
    /// [`LaunchError::NotFound`], [`LaunchError::Thread`].
    pub fn start(
        binary: Option<&Path>,
        tree: Result<Tree, String>,
        uids: UidRange,
    ) -> Result<Launcher, LaunchError> {
        let binary = find_binary(binary)?;
        let (jobs, queue) = mpsc::channel();
        let users = may_change_users().then(|| Users::take(uids));
        let mut nursery =
            Nursery { binary: binary.clone(), jobs: jobs.clone(), zygote: None, zygotes: 0, tree, users };
        let thread = std::thread::Builder::new()
            .name("launcher".into())
            .spawn(move || nursery.work(queue))
            .map_err(|error| LaunchError::Thread(error.to_string()))?;
        Ok(Launcher { jobs, thread: Mutex::new(Some(thread)), binary })
    }

    /// The binary that it starts.
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// Asks for a process; `done` is called on the thread and must be quick.
    pub fn launch(&self, order: Order, done: impl FnOnce(Result<Launched, LaunchError>) + Send + 'static) {
        let job = Job::Launch { order, done: Box::new(done) };
        if let Err(mpsc::SendError(Job::Launch { done, .. })) = self.jobs.send(job) {
            done(Err(LaunchError::Thread("it has ended".into())));
        }
    }

    /// Asks for a process and waits. Not for async code.
    ///
    /// # Errors
    /// [`LaunchError::Spawn`], [`LaunchError::Thread`].
    pub fn launch_blocking(&self, order: Order) -> Result<Launched, LaunchError> {
        let (done, result) = mpsc::channel();
        self.launch(order, move |launched| drop(done.send(launched)));
        result.recv().unwrap_or_else(|_| Err(LaunchError::Thread("it has ended".into())))
    }

    /// Ends the thread, the zygote, and every worker. Nothing can be launched any more.
    pub fn stop(&self) {
        let _ = self.jobs.send(Job::Stop);
        if let Some(thread) = crate::lock(&self.thread).take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What the thread owns. The order counts: fields are dropped as they stand.
struct Nursery {
    binary: PathBuf,
    /// Given to each handle.
    jobs: mpsc::Sender<Job>,
    zygote: Option<Zygote>,
    /// How many there were; the number of the current one.
    zygotes: u64,
    /// Where workers' cgroups are made, or why nowhere. After the zygote: what is in it must have ended.
    tree: Result<Tree, String>,
    /// Whose workers are; none where we may not say.
    users: Option<Users>,
}

impl Nursery {
    fn work(&mut self, queue: mpsc::Receiver<Job>) {
        for job in queue {
            match job {
                Job::Launch { order, done } => {
                    let launched = self.launch(order);
                    done(
                        launched.map_err(|source| LaunchError::Spawn { binary: self.binary.clone(), source }),
                    );
                }
                Job::Reap { zygote, pid, done } => done(ExitStatus::from_raw(self.reap(zygote, pid))),
                Job::Stop => return,
            }
        }
    }

    /// The zygote, made anew if there is none.
    fn zygote(&mut self) -> io::Result<&Zygote> {
        if self.zygote.is_none() {
            self.zygotes += 1;
            self.zygote = Some(Zygote::start(&self.binary)?);
        }
        Ok(self.zygote.as_ref().expect("made above"))
    }

    fn launch(&mut self, order: Order) -> io::Result<Launched> {
        self.launch_once(order).or_else(|error| {
            let another_may_not_help = [io::ErrorKind::TimedOut, io::ErrorKind::Unsupported];
            if self.zygote.is_some() || another_may_not_help.contains(&error.kind()) {
                return Err(error);
            }
            // It died: of old age, of a KILL. A fresh one may do better.
            tracing::warn!(%error, "the zygote died, and its workers with it; starting another");
            self.launch_once(order)
        })
    }

    fn launch_once(&mut self, order: Order) -> io::Result<Launched> {
        let (link, theirs) = UnixStream::pair()?;
        let (stdout, out) = log_pipe()?;
        let (stderr, err) = log_pipe()?;
        let users = self.users.as_mut().filter(|_| order.namespaces != 0);
        let uid = users.map_or(0, Users::next);
        let group = self.group(order.cgroup);
        let cgroup = group.as_ref().ok().map(|group| group.open()).transpose()?;
        let question =
            ToZygote::Spawn { namespaces: order.namespaces, uid, fresh: order.layout == Layout::Fresh };
        let mut descriptors = vec![theirs.as_fd(), out.as_fd(), err.as_fd()];
        descriptors.extend(cgroup.as_ref().map(OwnedFd::as_fd));
        match self.zygote()?.ask(&question, &descriptors) {
            Ok(Answer::Spawned { pid, pidfd, namespaces, why }) => {
                let jobs = self.jobs.clone();
                let handle = Handle { pid, pidfd, zygote: self.zygotes, jobs, reaped: false, group };
                Ok(Launched { handle, link, stdout, stderr, namespaces, why, uid })
            }
            Ok(Answer::Failed(error)) => Err(error),
            Ok(Answer::Reaped { .. }) => {
                self.zygote = None;
                Err(io::Error::other("the zygote answered another question"))
            }
            Err(error) => {
                self.zygote = None;
                Err(error)
            }
        }
    }

    /// A cgroup for one worker, or why it gets none.
    fn group(&mut self, limits: Option<Limits>) -> Result<Arc<Group>, String> {
        let limits = limits.ok_or("isolation is off")?;
        let tree = self.tree.as_mut().map_err(|why| why.clone())?;
        tree.group(limits).map(Arc::new).map_err(|error| {
            let text = format!("none can be made in {}: {error}", tree.dir().display());
            tracing::warn!("a worker gets no cgroup: {text}");
            text
        })
    }

    fn reap(&mut self, zygote: u64, pid: u32) -> i32 {
        let current = self.zygote.as_ref().filter(|_| zygote == self.zygotes);
        match current.map(|current| current.ask(&ToZygote::Reap { pid }, &[])) {
            Some(Ok(Answer::Reaped { status })) => return status,
            Some(Ok(Answer::Failed(error))) => {
                tracing::warn!(
                    pid,
                    %error,
                    "how a worker ended cannot be had: is a debugger attached to it? It counts as killed from outside"
                );
            }
            Some(Ok(Answer::Spawned { .. })) | None => {}
            Some(Err(error)) => {
                tracing::warn!(%error, "the zygote died, and its workers with it");
                self.zygote = None;
            }
        }
        DIED_WITH_ZYGOTE
    }
}

/// A pipe: our end, which reads, and the worker's, which never blocks: a plugin cannot wait for its own log.
fn log_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = pipe_with(PipeFlags::CLOEXEC)?;
    rustix::fs::fcntl_setfl(&theirs, OFlags::NONBLOCK)?;
    let _ = fcntl_setpipe_size(&theirs, LOG_PIPE_BYTES);
    Ok((ours, theirs))
}

/// Whether this process has CAP_SETUID and CAP_SETGID (capabilities(7)).
fn may_change_users() -> bool {
    let needed = rustix::thread::CapabilitySet::SETUID | rustix::thread::CapabilitySet::SETGID;
    rustix::thread::capabilities(None).is_ok_and(|sets| sets.effective.contains(needed))
}

/// The worker's binary: the one named, else the one beside this executable (or one directory up, where cargo puts test programs' siblings).
///
/// # Errors
/// [`LaunchError::NotFound`], saying where it looked.
pub fn find_binary(named: Option<&Path>) -> Result<PathBuf, LaunchError> {
    let looked: Vec<PathBuf> = match named {
        Some(path) => vec![path.to_owned()],
        None => std::env::current_exe()
            .iter()
            .flat_map(|exe| exe.ancestors().skip(1).take(2))
            .map(|dir| dir.join(WORKER_BINARY))
            .collect(),
    };
    match looked.iter().find(|path| path.is_file()) {
        Some(path) => {
            // The child starts in "/": a relative path would mean another file there.
            path.canonicalize().map_err(|_| LaunchError::NotFound { looked: looked.clone() })
        }
        None => Err(LaunchError::NotFound { looked }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_binary_says_where_it_looked_and_what_to_do() {
        let error = find_binary(Some(Path::new("/nowhere/croupier-worker"))).unwrap_err().to_string();
        assert!(error.contains("/nowhere/croupier-worker"), "{error}");
        assert!(error.contains("`worker`"), "{error}");
    }
}
