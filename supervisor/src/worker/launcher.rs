//! Makes worker processes: one thread, which owns the zygote, for as long as the supervisor lives.
//!
//! ```text
//!  launch(order) ─▶ thread ─ link, pipes ─▶ zygote ─ fork ─▶ worker        reap ─▶ thread ─▶ zygote ─▶ how it ended
//!                     └─ the zygote is dead? its workers are too: start another
//! ```
//!
//! Each begins in a cgroup of its own, where the supervisor has any: see [`crate::jail::cgroup`]. Workers are the zygote's children: it is told when to collect one, so that a worker's pid is its own until then. They get their link and two pipes: no environment, no
//! other descriptor. What confines every plugin alike is asked for at once, the rest afterwards: see [`crate::jail`].

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;

use rustix::process::{Signal, pidfd_send_signal};
use thiserror::Error;

use super::nursery::Nursery;
use super::users::UidRange;
use crate::jail::Plan;
use crate::jail::cgroup::{Group, Limits, OutOfMemory, Tree};
use crate::jail::plan::Layout;

/// The exit status of a worker whose zygote died, as wait(2) packs it: they die together, of KILL.
pub(super) const DIED_WITH_ZYGOTE: i32 = 9;

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
    pub(super) namespaces: u32,
    pub(super) layout: Layout,
    pub(super) cgroup: Option<Limits>,
    /// Bits of [`croupier_wire::confine::layer::FIRST`].
    pub(super) first_layers: u32,
}

impl Order {
    /// For a worker that is to be confined like this.
    #[must_use]
    pub fn new(plan: &Plan) -> Order {
        Order {
            namespaces: plan.namespaces(),
            layout: plan.layout,
            cgroup: plan.cgroup(),
            first_layers: plan.first_layers(),
        }
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
    pub(super) pid: u32,
    pub(super) pidfd: OwnedFd,
    /// Which zygote's child it is.
    pub(super) zygote: u64,
    pub(super) jobs: mpsc::Sender<Job>,
    pub(super) reaped: bool,
    /// Removed when both we and whoever reaps have let go of it.
    pub(super) group: Result<Arc<Group>, String>,
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

    /// Gives its cgroup other limits. Says whether it has them now; without a cgroup there is nothing to give them to, which is told as ever.
    pub(super) fn limit(&mut self, limits: Limits) -> bool {
        match &mut self.group {
            Ok(group) => Arc::get_mut(group).is_some_and(|group| group.limit(limits).is_ok()),
            Err(_) => true,
        }
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

pub(super) type Done = Box<dyn FnOnce(Result<Launched, LaunchError>) + Send>;
pub(super) type Reaped = Box<dyn FnOnce(ExitStatus) + Send>;

/// What the thread is asked.
pub(super) enum Job {
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
    /// is said why there is none. Where workers can have user ids of their own, they are of this range. So many blank ones are made ahead, once one was asked for: see
    /// [`super::ahead`].
    ///
    /// # Errors
    /// [`LaunchError::NotFound`], [`LaunchError::Thread`].
    pub fn start(
        binary: Option<&Path>,
        tree: Result<Tree, String>,
        uids: UidRange,
        ahead: usize,
    ) -> Result<Launcher, LaunchError> {
        let binary = find_binary(binary)?;
        let (jobs, queue) = mpsc::channel();
        let mut nursery = Nursery::new(binary.clone(), jobs.clone(), tree, uids, ahead);
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
