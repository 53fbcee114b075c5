//! One thread per worker, which decides on the system calls that its filter passes on, from before the plugin is there until the worker has ended.
//!
//! ```text
//!  Loading ── run ──▶ Running       no way back
//! ```
//!
//! A thread that faults makes a call that means "look at me": once per worker that is done ([`super::wreck`]). Whoever makes it has promised to die, and is ended if it lives on;
//! what its worker sends from then on counts for nothing.
//!
//! A thread and not a task: it must answer while the runtime is busy, and for workers that have no runtime around them.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use croupier_notify::{ARCH_X86_64, Call, Listener};
use croupier_wire::confine::CRASH_AGAIN;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::decide::{Decision, EPERM, Loading, refuse};
use super::denial::{Consequence, Denial, Denials};
use super::faulted::{Faulted, Reply};
use super::locate::locate;
use super::names::{self, number};
use super::wreck::{Look, Wreck, look};

/// Stack of a warden, in bytes: it has little to do, but for [`Watch::faulted`].
const STACK_BYTES: usize = 1 << 20;
/// How long a worker may live after it said that it faulted. It takes microseconds; a machine may have much else to do.
const LAST_BREATH_MAX: Duration = Duration::from_secs(5);

/// Whom a warden watches, and whom it tells.
pub struct Watch {
    /// The plugin.
    pub plugin: String,
    /// Its version.
    pub version: String,
    /// The worker.
    pub worker: u64,
    /// Its process.
    pub pid: u32,
    /// The verified plugin: read-only, with an offset of its own.
    pub binary: OwnedFd,
    /// Refused calls after which [`Watch::excess`] is called; 0 for never.
    pub denied_calls_max: u32,
    /// Where refused calls are told.
    pub denials: Arc<dyn Denials>,
    /// Session and turn that the worker plays, as far as known.
    pub playing: Box<dyn Fn() -> Option<(u64, u64)> + Send>,
    /// It says that it faulted, and waits: what it has sent until now is the last that counts.
    pub faulted: Box<dyn Fn() + Send>,
    /// Ends the worker, for this reason.
    pub excess: Box<dyn Fn(String) + Send>,
}

/// The handle to a warden's thread, which ends with the worker.
#[derive(Debug, Clone)]
pub struct Warden {
    running: Arc<AtomicBool>,
    wreck: Arc<OnceLock<Wreck>>,
}

impl Warden {
    /// Starts watching.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn start(listener: Listener, watch: Watch) -> io::Result<Warden> {
        // A hint: without it each call takes longer.
        listener.take_turns();
        let running = Arc::new(AtomicBool::new(false));
        let wreck = Arc::new(OnceLock::new());
        let warden = Warden { running: running.clone(), wreck: wreck.clone() };
        let post = Post {
            listener,
            watch,
            running,
            loading: Loading::default(),
            denied: 0,
            faulted: Faulted::default(),
            due: None,
            wreck,
        };
        std::thread::Builder::new()
            .name("warden".into())
            .stack_size(STACK_BYTES)
            .spawn(move || post.stand())?;
        Ok(warden)
    }

    /// The plugin is loaded: from now on everything is refused, for good.
    pub fn run(&self) {
        self.running.store(true, Ordering::Release);
    }

    /// The thread that said that it faulted, if one did. Nothing in it is evidence.
    #[must_use]
    pub fn wreck(&self) -> Option<&Wreck> {
        self.wreck.get()
    }
}

struct Post {
    listener: Listener,
    watch: Watch,
    running: Arc<AtomicBool>,
    loading: Loading,
    denied: u64,
    faulted: Faulted,
    /// When it must have died, after it said that it faulted.
    due: Option<Instant>,
    wreck: Arc<OnceLock<Wreck>>,
}

impl Post {
    /// Until nobody is left whom the filter confines.
    fn stand(mut self) {
        loop {
            let mut polled = [PollFd::new(&self.listener, PollFlags::IN)];
            let left = self.due.map(|due| due.saturating_duration_since(Instant::now()));
            let left = left.and_then(|left| Timespec::try_from(left).ok());
            match poll(&mut polled, left.as_ref()) {
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(_) => return,
            }
            let seen = polled[0].revents();
            if seen.contains(PollFlags::IN) {
                match self.listener.receive() {
                    Ok(Some(call)) => self.meet(&call),
                    Ok(None) => {}
                    Err(error) => return self.give_up(&error),
                }
            } else if seen.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
                return;
            }
            self.lives_on();
        }
    }

    fn meet(&mut self, call: &Call) {
        if let Some(done) = self.meet_faulted(call) {
            if let Err(error) = done {
                self.give_up(&error);
            }
            return;
        }
        let decision =
            if self.running.load(Ordering::Acquire) { refuse(call) } else { self.loading.decide(call) };
        let done = match decision {
            Decision::Resume => self.listener.resume(call),
            Decision::GivePlugin => match self.listener.give_fd(call, self.watch.binary.as_fd()) {
                Ok(number) => {
                    number.into_iter().for_each(|number| self.loading.given(number));
                    Ok(())
                }
                Err(error) => {
                    tracing::error!(plugin = self.watch.plugin, worker = self.watch.worker, %error, "a worker could not be given its plugin");
                    self.listener.refuse(call, EPERM)
                }
            },
            Decision::Refuse(errno) => return self.deny(call, errno),
        };
        if let Err(error) = done {
            self.give_up(&error);
        }
    }

    /// A call that belongs to a fault, and what came of answering it; none for any other.
    fn meet_faulted(&mut self, call: &Call) -> Option<io::Result<()>> {
        if call.arch != ARCH_X86_64 {
            return None;
        }
        if call.number == number::CRASH {
            let reply = self.faulted.tell(|| match look(self.watch.pid, call) {
                Look::Seen(wreck) => {
                    // Else its number may be another's by now, and what was copied as well.
                    if self.listener.still_waits(call) {
                        let _ = self.wreck.set(*wreck);
                    }
                    Reply::Done
                }
                Look::Closed => Reply::Again,
                Look::Nonsense => Reply::Done,
            })?;
            if self.due.is_none() {
                // Before it is answered, so that what it sends in spite of it comes later.
                (self.watch.faulted)();
                self.due = Some(Instant::now() + LAST_BREATH_MAX);
            }
            let errno = if reply == Reply::Again { CRASH_AGAIN } else { EPERM };
            return Some(self.listener.refuse(call, errno));
        }
        let [first, second, ..] = call.args;
        let may = match call.number {
            number::PRCTL => self.faulted.may_prctl(first, second),
            number::RT_SIGACTION => self.faulted.may_set_action(first),
            _ => false,
        };
        may.then(|| self.listener.resume(call))
    }

    /// Ends it when it said that it faulted, and did not die.
    fn lives_on(&mut self) {
        if self.due.take_if(|due| *due <= Instant::now()).is_some() {
            (self.watch.excess)("it made the call of a fault, and lived on".to_owned());
        }
    }

    fn deny(&mut self, call: &Call, errno: i32) {
        self.denied += 1;
        let max = self.watch.denied_calls_max;
        let fatal = max > 0 && self.denied >= u64::from(max);
        // Looked at by its number: that was its own for as long as it waits.
        let at = locate(self.watch.pid, call);
        let at = if self.listener.still_waits(call) { at } else { Vec::new() };
        let denial = Denial {
            plugin: self.watch.plugin.clone(),
            version: self.watch.version.clone(),
            worker: self.watch.worker,
            playing: (self.watch.playing)(),
            call: names::name(call),
            arch: names::arch(call),
            args: call.args,
            at,
            count: self.denied,
            consequence: if fatal { Consequence::Fatal } else { Consequence::Refused(errno) },
        };
        if max == 0 || self.denied <= u64::from(max) {
            self.watch.denials.denied(&denial);
        }
        if fatal {
            // It is not answered: the caller waits for the signal that ends it.
            (self.watch.excess)(format!(
                "it made {} system calls that its jail refuses, the last one {}",
                self.denied, denial.call
            ));
            return;
        }
        if let Err(error) = self.listener.refuse(call, errno) {
            self.give_up(&error);
        }
    }

    /// Without a warden the worker would hang at its next call.
    fn give_up(&self, error: &io::Error) {
        (self.watch.excess)(format!("its system calls cannot be decided on any more: {error}"));
    }
}
