//! Makes worker processes: one thread, for as long as the supervisor lives.
//!
//! A worker asks the kernel to be killed when its parent ends (`PR_SET_PDEATHSIG`, prctl(2)), and for the kernel a parent is the *thread* that
//! made the process. So one thread makes them all and ends last: when it ends, every worker ends.
//!
//! The child gets nothing but its link as standard input and two pipes as standard output and error: no environment, no working
//! directory, no other descriptor (every one of ours is close-on-exec).

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;

use thiserror::Error;

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

/// A process that has just been made, with our ends of everything.
#[derive(Debug)]
pub struct Launched {
    /// The process; must be reaped.
    pub child: Child,
    /// Our end of the link.
    pub link: UnixStream,
    /// What the plugin prints.
    pub stdout: OwnedFd,
    /// What the plugin complains.
    pub stderr: OwnedFd,
}

type Done = Box<dyn FnOnce(Result<Launched, LaunchError>) + Send>;

/// The handle to the thread. Dropping it ends the thread, and with it every worker.
#[derive(Debug)]
pub struct Launcher {
    jobs: Option<mpsc::Sender<Done>>,
    thread: Option<JoinHandle<()>>,
    binary: PathBuf,
}

impl Launcher {
    /// Starts the thread. `binary` is the worker's; without one it is looked for beside the current executable.
    ///
    /// # Errors
    /// [`LaunchError::NotFound`], [`LaunchError::Thread`].
    pub fn start(binary: Option<&Path>) -> Result<Launcher, LaunchError> {
        let binary = find_binary(binary)?;
        let (jobs, queue) = mpsc::channel::<Done>();
        let path = binary.clone();
        let thread = std::thread::Builder::new()
            .name("launcher".into())
            .spawn(move || queue.into_iter().for_each(|done| done(launch(&path))))
            .map_err(|error| LaunchError::Thread(error.to_string()))?;
        Ok(Launcher { jobs: Some(jobs), thread: Some(thread), binary })
    }

    /// The binary that it starts.
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// Asks for a process; `done` is called on the thread and must be quick.
    pub fn launch(&self, done: impl FnOnce(Result<Launched, LaunchError>) + Send + 'static) {
        let jobs = self.jobs.as_ref().expect("present until drop");
        if let Err(mpsc::SendError(done)) = jobs.send(Box::new(done)) {
            done(Err(LaunchError::Thread("it has ended".into())));
        }
    }

    /// Asks for a process and waits. Not for async code.
    ///
    /// # Errors
    /// [`LaunchError::Spawn`], [`LaunchError::Thread`].
    pub fn launch_blocking(&self) -> Result<Launched, LaunchError> {
        let (done, result) = mpsc::channel();
        self.launch(move |launched| {
            let _ = done.send(launched);
        });
        result.recv().unwrap_or_else(|_| Err(LaunchError::Thread("it has ended".into())))
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn launch(binary: &Path) -> Result<Launched, LaunchError> {
    let spawn = || -> io::Result<Launched> {
        let (ours, theirs) = UnixStream::pair()?;
        let mut child = Command::new(binary)
            .env_clear()
            .current_dir("/")
            // A group of its own: an interrupt typed at the supervisor's terminal is not for the workers.
            .process_group(0)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().expect("piped").into();
        let stderr = child.stderr.take().expect("piped").into();
        Ok(Launched { child, link: ours, stdout, stderr })
    };
    spawn().map_err(|source| LaunchError::Spawn { binary: binary.to_owned(), source })
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
