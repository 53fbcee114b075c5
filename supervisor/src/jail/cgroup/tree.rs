//! One supervisor's part of the hierarchy: planted in a cgroup that is ours to divide, and taken away at the end.
//!
//! ```text
//!  plant:  leftovers of dead supervisors away ─▶ make, lock ─▶ ourselves out of BASE ─▶ switch controllers on, in BASE and in ours
//!  drop:   what is left in it is ended ─▶ controllers off, if nobody else needs them ─▶ ourselves back ─▶ removed
//! ```
//!
//! The lock (flock(2) on the directory) ends with the process, however that ends. So whoever can take it knows that the supervisor is dead, in whatever pid namespace that was.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use thiserror::Error;

use super::group::{Group, Leftovers};
use super::{Controller, Found, Limits};

/// How our directories' names begin.
const PREFIX: &str = "croupier-";
/// Where we are ourselves.
const SUPERVISOR: &str = "supervisor";
/// Names that are tried, when another supervisor takes a fresh directory for a leftover.
const TRIES: u32 = 8;
/// Looks at a cgroup whose processes have been killed, until it is empty, and the time between two of them.
const EMPTY_LOOKS: u32 = 200;
const EMPTY_LOOK: Duration = Duration::from_millis(5);

/// Why nothing could be planted.
#[derive(Debug, Error)]
#[error("cannot {step} in the cgroup {}: {source}; {advice}", dir.display())]
pub struct TreeError {
    /// What could not be done.
    step: &'static str,
    /// Where.
    dir: PathBuf,
    /// Why.
    source: io::Error,
    /// What to do.
    advice: &'static str,
}

/// A supervisor's directory. Dropping it ends whatever is in it, and takes it away.
#[derive(Debug)]
pub struct Tree {
    base: PathBuf,
    dir: PathBuf,
    _lock: File,
    /// We are in a leaf of it.
    inside: bool,
    /// What we have switched on in the base.
    switched: Vec<Controller>,
    /// What workers cannot be limited by, and why.
    missing: Vec<(Controller, String)>,
    /// Workers so far.
    made: u64,
    leftovers: Leftovers,
}

impl Tree {
    /// Takes a place in a cgroup.
    ///
    /// # Errors
    /// [`TreeError`]; then everything is as it was.
    pub fn plant(found: &Found) -> Result<Tree, TreeError> {
        let base = found.dir.clone();
        sweep(&base);
        let failed = |step, advice| {
            let dir = base.clone();
            move |source| TreeError { step, dir, source, advice }
        };
        let (dir, lock) = claim(&base).map_err(failed(
            "make a directory",
            "let this supervisor's user write there, or set `cgroup = \"off\"`",
        ))?;
        let mut tree = Tree {
            base: base.clone(),
            dir,
            _lock: lock,
            inside: false,
            switched: Vec::new(),
            missing: Vec::new(),
            made: 0,
            leftovers: Leftovers::default(),
        };
        tree.step_aside().map_err(failed(
            "move this supervisor into a leaf",
            "let its user write cgroup.procs there, or set `cgroup = \"off\"`",
        ))?;
        tree.switch_on(&found.controllers);
        Ok(tree)
    }

    /// Our directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Controllers that workers cannot be limited by, and why.
    #[must_use]
    pub fn missing(&self) -> &[(Controller, String)] {
        &self.missing
    }

    /// A cgroup for one more worker.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn group(&mut self, limits: Limits) -> io::Result<Group> {
        // What was still dying the last time is dead now.
        crate::lock(&self.leftovers).retain(|dir| fs::remove_dir(dir).is_err() && dir.exists());
        self.made += 1;
        let dir = self.dir.join(format!("w{}", self.made));
        Group::make(dir, limits, self.missing.clone(), self.leftovers.clone())
    }

    /// A cgroup with controllers for its children has no processes of its own; only the hierarchy's root may have both.
    fn step_aside(&mut self) -> io::Result<()> {
        if is_root(&self.base) || !holds_us(&self.base)? {
            return Ok(());
        }
        let leaf = self.dir.join(SUPERVISOR);
        fs::create_dir(&leaf)?;
        move_to(&leaf)?;
        self.inside = true;
        Ok(())
    }

    fn switch_on(&mut self, available: &[Controller]) {
        for controller in Controller::ALL {
            if let Err(why) = self.switch_on_one(controller, available) {
                self.missing.push((controller, why));
            }
        }
    }

    fn switch_on_one(&mut self, controller: Controller, available: &[Controller]) -> Result<(), String> {
        if !available.contains(&controller) {
            return Err(format!("not delegated to {}", self.base.display()));
        }
        let on = |dir: &Path| {
            let on = || -> io::Result<bool> {
                let file = dir.join("cgroup.subtree_control");
                if Controller::listed(&fs::read_to_string(&file)?).contains(&controller) {
                    return Ok(false);
                }
                fs::write(&file, format!("+{controller}")).map(|()| true)
            };
            on().map_err(|error| format!("it cannot be switched on in {}: {error}", dir.display()))
        };
        if on(&self.base)? {
            self.switched.push(controller);
        }
        on(&self.dir).map(drop)
    }

    /// Undoes what was done, as far as that goes; what does not is a leftover for the next supervisor.
    fn uproot(&mut self) -> io::Result<()> {
        for dir in directories(&self.dir)? {
            if dir.file_name().is_none_or(|name| name != SUPERVISOR) {
                clear(&dir);
            }
        }
        let off = |dir: &Path, controllers: &[Controller]| {
            let text: Vec<String> = controllers.iter().map(|controller| format!("-{controller}")).collect();
            if text.is_empty() {
                Ok(())
            } else {
                fs::write(dir.join("cgroup.subtree_control"), text.join(" "))
            }
        };
        let has = |controller: &Controller| self.missing.iter().all(|(missing, _)| missing != controller);
        let ours: Vec<Controller> = Controller::ALL.into_iter().filter(has).collect();
        off(&self.dir, &ours)?;
        let others = directories(&self.base)?.iter().any(|dir| is_ours(dir) && *dir != self.dir);
        if !others {
            off(&self.base, &self.switched)?;
        }
        if self.inside {
            move_to(&self.base)?;
            fs::remove_dir(self.dir.join(SUPERVISOR))?;
        }
        fs::remove_dir(&self.dir)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        if let Err(error) = self.uproot() {
            tracing::debug!(dir = %self.dir.display(), %error, "a cgroup stays behind; the next supervisor removes it");
        }
    }
}

/// Makes a directory that nobody has, and locks it.
fn claim(base: &Path) -> io::Result<(PathBuf, File)> {
    let pid = std::process::id();
    let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
    for number in 1..=TRIES {
        let dir = base.join(format!("{PREFIX}{pid}-{number}"));
        match fs::create_dir(&dir).and_then(|()| File::open(&dir)).and_then(|lock| take(lock, &dir)) {
            Ok(lock) => return Ok((dir, lock)),
            // Another supervisor of the same number elsewhere has it, or took it for a leftover before it was locked.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound | io::ErrorKind::WouldBlock
                ) =>
            {
                last = error;
            }
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

fn take(lock: File, dir: &Path) -> io::Result<File> {
    flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
    if dir.exists() { Ok(lock) } else { Err(io::ErrorKind::NotFound.into()) }
}

/// Removes what dead supervisors left, with whatever is still in it.
fn sweep(base: &Path) {
    for dir in directories(base).unwrap_or_default() {
        if !is_ours(&dir) || is_above_us(&dir) {
            continue;
        }
        let locked = File::open(&dir).and_then(|lock| take(lock, &dir));
        if locked.is_ok() {
            tracing::info!(dir = %dir.display(), "removing the cgroup of a supervisor that is gone");
            clear(&dir);
        }
    }
}

/// Ends everything in a cgroup, and removes it with what is below.
fn clear(dir: &Path) {
    let _ = fs::write(dir.join("cgroup.kill"), "1");
    for _ in 0..EMPTY_LOOKS {
        let events = fs::read_to_string(dir.join("cgroup.events")).unwrap_or_default();
        if !events.lines().any(|line| line == "populated 1") {
            break;
        }
        std::thread::sleep(EMPTY_LOOK);
    }
    for inner in directories(dir).unwrap_or_default() {
        clear(&inner);
    }
    if let Err(error) = fs::remove_dir(dir) {
        tracing::debug!(dir = %dir.display(), %error, "a cgroup cannot be removed");
    }
}

fn directories(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

fn is_ours(dir: &Path) -> bool {
    dir.file_name().and_then(|name| name.to_str()).is_some_and(|name| {
        let rest = name.strip_prefix(PREFIX).and_then(|rest| rest.split_once('-'));
        rest.is_some_and(|(pid, number)| pid.parse::<u32>().is_ok() && number.parse::<u32>().is_ok())
    })
}

/// The root of the hierarchy, which has no type.
fn is_root(dir: &Path) -> bool {
    !dir.join("cgroup.type").exists()
}

/// Whether this process is in this very cgroup.
fn holds_us(dir: &Path) -> io::Result<bool> {
    let me = std::process::id().to_string();
    Ok(fs::read_to_string(dir.join("cgroup.procs"))?.lines().any(|pid| pid == me))
}

/// Whether this process is somewhere below: a shell that a dead supervisor left, and from which we were started.
fn is_above_us(dir: &Path) -> bool {
    if holds_us(dir).unwrap_or(false) {
        return true;
    }
    directories(dir).unwrap_or_default().iter().any(|inner| is_above_us(inner))
}

fn move_to(dir: &Path) -> io::Result<()> {
    fs::write(dir.join("cgroup.procs"), std::process::id().to_string())
}
