//! What the launcher's thread does: keeps the zygote, makes workers with it, and collects those that have ended.
//!
//! ```text
//!  Launch ─ link, pipes, cgroup, user id ─▶ zygote ─▶ Launched          Reap ─▶ zygote ─┬─ how it ended
//!                                                                               ▲      └─ not to be had yet ─┐
//!                                                                               └──── 20 ms, others' turn ───┘ 2 s at most
//! ```
//!
//! When nobody wants anything it makes a worker ahead ([`super::ahead`]).
//!
//! Not for whoever wants a worker: see [`super::launcher`].

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use croupier_wire::confine::ToZygote;
use rustix::fs::OFlags;
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};

use super::ahead::Ahead;
use super::launcher::{DIED_WITH_ZYGOTE, Handle, Job, LaunchError, Launched, Order, Reaped};
use super::users::{UidRange, Users};
use super::zygote::{Answer, Zygote};
use crate::jail::cgroup::{Group, Limits, Tree};
use crate::jail::plan::{Layout, possible};
use crate::jail::prepare;
use crate::jail::value::Protection;

/// Bytes that wait in a log pipe before a plugin's output is lost; less where the user's share of pipes is used up (pipe(7)).
const LOG_PIPE_BYTES: usize = 1 << 20;
/// How long a worker's end is asked for. One that a debugger holds on to has ended, and cannot be had before the debugger lets go.
const REAP_MAX: Duration = Duration::from_secs(2);
/// Time between two questions; others have their turn in between.
const REAP_AGAIN: Duration = Duration::from_millis(20);

/// A worker that has been asked for and could not be had yet.
struct Late {
    zygote: u64,
    pid: u32,
    done: Reaped,
    /// When it is asked for once more.
    again: Instant,
    /// When it is not asked for any more.
    due: Instant,
}

/// What the thread owns. The order counts: fields are dropped as they stand.
pub(super) struct Nursery {
    binary: PathBuf,
    /// Given to each handle.
    jobs: mpsc::Sender<Job>,
    ahead: Ahead,
    zygote: Option<Zygote>,
    /// How many there were; the number of the current one.
    zygotes: u64,
    /// Where workers' cgroups are made, or why nowhere. After the zygote: what is in it must have ended.
    tree: Result<Tree, String>,
    /// Whose workers are; none where we may not say.
    users: Option<Users>,
    late: Vec<Late>,
}

impl Nursery {
    /// With this binary. Workers' cgroups are made in the tree, and their user ids are of this range.
    pub(super) fn new(
        binary: PathBuf,
        jobs: mpsc::Sender<Job>,
        tree: Result<Tree, String>,
        uids: UidRange,
        ahead: usize,
    ) -> Nursery {
        let users = may_change_users().then(|| Users::take(uids)).flatten();
        let ahead = Ahead::new(ahead);
        Nursery { binary, jobs, ahead, zygote: None, zygotes: 0, tree, users, late: Vec::new() }
    }

    /// Until it is told to stop.
    pub(super) fn work(&mut self, queue: mpsc::Receiver<Job>) {
        while let Some(job) = self.next(&queue) {
            match job {
                Job::Launch { order, done } => {
                    let launched = self.launch(order);
                    done(
                        launched.map_err(|source| LaunchError::Spawn { binary: self.binary.clone(), source }),
                    );
                }
                Job::Reap { zygote, pid, done } => {
                    let now = Instant::now();
                    self.reap(Late { zygote, pid, done, again: now, due: now + REAP_MAX });
                }
                Job::Stop => break,
            }
        }
        for late in self.late.drain(..) {
            (late.done)(ExitStatus::from_raw(DIED_WITH_ZYGOTE));
        }
    }

    /// The next job. Meanwhile, and in between, those that are late are asked for, and one is made ahead.
    fn next(&mut self, queue: &mpsc::Receiver<Job>) -> Option<Job> {
        loop {
            let now = Instant::now();
            let (due, not_yet) =
                std::mem::take(&mut self.late).into_iter().partition(|late| late.again <= now);
            self.late = not_yet;
            Vec::into_iter(due).for_each(|late| self.reap(late));
            let again = self.late.iter().map(|late| late.again).min();
            let Some(look) = again.into_iter().chain(self.ahead.due()).min() else {
                return queue.recv().ok();
            };
            match queue.recv_timeout(look.saturating_duration_since(Instant::now())) {
                Ok(job) => return Some(job),
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    if self.ahead.due().is_some_and(|due| due <= Instant::now()) {
                        self.make_ahead();
                    }
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => return None,
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

    /// One more, if there are fewer than there should be. Nobody waits for it: when it does not come about, the next launch says why.
    fn make_ahead(&mut self) {
        // First: that it is due is forgotten with this, whatever comes of it.
        let Some(order) = self.ahead.order(self.zygotes) else { return };
        if !self.zygote_lives() {
            return;
        }
        match self.launch_once(order) {
            Ok(launched) if self.is_as_ordered(order, &launched) => {
                self.ahead.put(order, launched, Instant::now());
            }
            // What the kernel refused now it may give whoever needs one.
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "no worker could be made ahead"),
        }
    }

    /// All namespaces, and in its cgroup, where there are any.
    fn is_as_ordered(&self, order: Order, launched: &Launched) -> bool {
        let pid = launched.handle.pid();
        let is_in_group = match launched.handle.group() {
            Ok(group) => !matches!(group.look(pid), Protection::Absent(_)),
            Err(_) => self.tree.is_err() || order.cgroup.is_none(),
        };
        launched.namespaces == order.namespaces && is_in_group
    }

    /// Whether there is one, and it has not ended: what it made ahead ends with it.
    fn zygote_lives(&mut self) -> bool {
        let Some(zygote) = &mut self.zygote else { return false };
        let ended = zygote.ended();
        if let Some(status) = ended {
            self.zygote_lost(&status);
        }
        ended.is_none()
    }

    /// It ended, or is of no use any more: of what it made, nothing is left.
    fn zygote_lost(&mut self, why: &dyn std::fmt::Display) {
        if self.zygote.take().is_some() {
            tracing::warn!(%why, "the zygote died, and its workers with it");
            self.ahead.clear();
        }
    }

    fn launch(&mut self, order: Order) -> io::Result<Launched> {
        let ahead = if self.zygote_lives() { self.ahead.take(order, self.zygotes) } else { None };
        let launched = ahead.map_or_else(|| self.launch_now(order), Ok);
        self.ahead.ordered(order, Instant::now());
        launched
    }

    fn launch_now(&mut self, order: Order) -> io::Result<Launched> {
        self.launch_once(order).or_else(|error| {
            let another_may_not_help = [io::ErrorKind::TimedOut, io::ErrorKind::Unsupported];
            if self.zygote.is_some() || another_may_not_help.contains(&error.kind()) {
                return Err(error);
            }
            // It died: of old age, of a KILL. A fresh one may do better.
            tracing::warn!(%error, "a worker could not be made, and another zygote is tried");
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
                // One that has ended already is noticed by whoever wants it.
                let _ = prepare(&link, possible(order.first_layers, namespaces));
                Ok(Launched { handle, link, stdout, stderr, namespaces, why, uid })
            }
            Ok(Answer::Failed(error)) => Err(error),
            Ok(Answer::Reaped { .. }) => {
                let error = io::Error::other("the zygote answered another question");
                self.zygote_lost(&error);
                Err(error)
            }
            Err(error) => {
                self.zygote_lost(&error);
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

    /// Asks how it ended, and says so; or puts it off.
    fn reap(&mut self, late: Late) {
        let Late { zygote, pid, due, .. } = late;
        let current = self.zygote.as_ref().filter(|_| zygote == self.zygotes);
        let mut status = DIED_WITH_ZYGOTE;
        match current.map(|current| current.ask(&ToZygote::Reap { pid }, &[])) {
            Some(Ok(Answer::Reaped { status: known })) => status = known,
            Some(Ok(Answer::Failed(error)))
                if error.kind() == io::ErrorKind::WouldBlock && Instant::now() < due =>
            {
                return self.late.push(Late { again: Instant::now() + REAP_AGAIN, ..late });
            }
            Some(Ok(Answer::Failed(error))) => {
                tracing::warn!(
                    pid,
                    %error,
                    "how a worker ended cannot be had: is a debugger attached to it? It counts as killed from outside"
                );
            }
            Some(Ok(Answer::Spawned { .. })) | None => {}
            Some(Err(error)) => self.zygote_lost(&error),
        }
        (late.done)(ExitStatus::from_raw(status));
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The worker binary is not there, or of another build.
    #[test]
    fn where_there_is_no_zygote_nothing_is_due_for_ever() {
        let (jobs, _queue) = mpsc::channel();
        let nowhere = PathBuf::from("/nonexistent/croupier-worker");
        let mut nursery = Nursery::new(nowhere, jobs, Err("not here".into()), UidRange::default(), 1);
        let order = Order { namespaces: 0, layout: Layout::Shared, cgroup: None, first_layers: 0 };
        assert!(nursery.launch(order).is_err());
        assert!(nursery.ahead.due().is_some(), "somebody may want another");
        nursery.make_ahead();
        assert_eq!(nursery.ahead.due(), None, "whoever waits for it would wait no time, again and again");
    }
}
