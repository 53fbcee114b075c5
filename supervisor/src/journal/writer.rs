//! The two threads of the journal.
//!
//! ```text
//!  Idle ──something waits──▶ Writing (all that waits, one transaction) ──▶ told ──▶ Idle
//!                               │  ▲
//!                            fails  ├──── at once, with a smaller part of the same batch: Trouble
//!                                    └──── a second later, when not even one job could be written ─ closing: given up
//! ```
//!
//! On a disk that is almost full a part may find the room that the whole does not: the rest waits, and what makes room is not stuck behind it.
//! What comes while a batch is being written is the next batch. The teller is a thread of its own, so that the disk works while games answer.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, PoisonError, RwLockWriteGuard};
use std::thread::JoinHandle;
use std::time::Instant;

use super::handle::{Board, Shared, Tell, TellOperator, Told, Waiting};
use super::store::{Job, Store};

/// Entries in one transaction.
const BATCH_MAX: usize = 8192;

/// What could not be written is tried again in pieces of this part of it.
const PIECES: usize = 8;

/// Who is to be told of a job, and what it weighs.
type Listener = (Option<Arc<Tell>>, u64);

/// Who is told what.
type Durable = (Arc<Tell>, u64);

pub(super) fn start(
    store: Store,
    shared: Arc<Shared>,
    operator: TellOperator,
) -> io::Result<Vec<JoinHandle<()>>> {
    let (tell, told) = channel();
    let writer = Writer { store, shared, operator, tell, full: false };
    let threads = [
        std::thread::Builder::new().name("journal".to_owned()).spawn(move || writer.run())?,
        std::thread::Builder::new().name("journal-tell".to_owned()).spawn(move || teller(&told))?,
    ];
    Ok(threads.into())
}

/// A batch could not be written.
struct Trouble {
    since: Instant,
    /// What was said last.
    last: String,
}

struct Writer {
    store: Store,
    shared: Arc<Shared>,
    operator: TellOperator,
    tell: Sender<Vec<Durable>>,
    /// It was said that the limit is reached, or the disk almost full.
    full: bool,
}

impl Writer {
    fn run(mut self) {
        // However this thread ends: nobody is to hope for it any more.
        let _closed = Closed(self.shared.clone());
        while let Some(batch) = self.next_batch() {
            if batch.is_empty() {
                self.look_for_room();
                continue;
            }
            let (jobs, games): (Vec<Job>, Vec<Listener>) =
                batch.into_iter().map(|Waiting { job, game, weight }| (job, (game, weight))).unzip();
            if !self.write(&jobs, &games) {
                return;
            }
        }
    }

    /// What waits; nothing when that was all. Nothing in it when there was no room and it is time to look again: nobody puts anything then.
    fn next_batch(&self) -> Option<Vec<Waiting>> {
        let mut queue = crate::lock(&self.shared.queue);
        loop {
            if !queue.jobs.is_empty() {
                let n = queue.jobs.len().min(BATCH_MAX);
                let rest = queue.jobs.split_off(n);
                return Some(std::mem::replace(&mut queue.jobs, rest));
            }
            if queue.closing {
                return None;
            }
            if self.full {
                let waited = self.shared.wake.wait_timeout(queue, self.shared.options.retry);
                let (again, late) = waited.unwrap_or_else(PoisonError::into_inner);
                if late.timed_out() && again.jobs.is_empty() && !again.closing {
                    return Some(Vec::new());
                }
                queue = again;
            } else {
                queue = self.shared.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Until the disk has it, in order: all at once, or piece by piece when it fails. Gives up only at the end.
    fn write(&mut self, mut jobs: &[Job], mut games: &[Listener]) -> bool {
        let mut trouble: Option<Trouble> = None;
        let mut piece = jobs.len();
        while !jobs.is_empty() {
            piece = piece.min(jobs.len());
            match self.store.commit(&jobs[..piece]) {
                Ok(()) => {
                    let (written, listeners) = (jobs, games);
                    (jobs, games) = (&jobs[piece..], &games[piece..]);
                    if jobs.is_empty()
                        && let Some(Trouble { since, last }) = trouble.take()
                    {
                        self.board().trouble = None;
                        (self.operator)(Told::Recovered { error: last, lasted: since.elapsed() });
                    }
                    self.written(&written[..piece], &listeners[..piece]);
                    // Perhaps whatever was wrong is over.
                    piece = piece.saturating_mul(PIECES);
                }
                Err(error) => {
                    let error = error.to_string();
                    self.board().trouble = Some(error.clone());
                    let since = match &trouble {
                        Some(trouble) => trouble.since,
                        None => {
                            (self.operator)(Told::Trouble { error: error.clone() });
                            Instant::now()
                        }
                    };
                    trouble = Some(Trouble { since, last: error });
                    if piece == jobs.len() {
                        self.make_room(jobs);
                    }
                    if piece > 1 {
                        piece /= PIECES.min(piece);
                    } else if self.pause() {
                        return false;
                    } else {
                        piece = jobs.len();
                    }
                }
            }
        }
        true
    }

    fn board(&self) -> RwLockWriteGuard<'_, Board> {
        self.shared.board.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The disk has these: whoever waits for that is told.
    fn written(&mut self, jobs: &[Job], games: &[Listener]) {
        jobs.iter().for_each(told_to_flush);
        self.post(games.iter().map(|(_, weight)| weight).sum());
        // A teller that is gone has nobody to tell.
        let _ = self.tell.send(durable(jobs, games));
    }

    /// What is to be forgotten needs less room than what it gives back, and all that it relies on is on the disk already: so it may go first.
    fn make_room(&mut self, jobs: &[Job]) {
        let gives_back = |job: &&Job| matches!(job, Job::Forget { .. } | Job::NotOpened { .. });
        let forget: Vec<Job> = jobs.iter().filter(gives_back).cloned().collect();
        if !forget.is_empty() && self.store.commit(&forget).is_ok() {
            tracing::info!(
                jobs = forget.len(),
                "the journal's disk is in trouble; what is not needed any more was deleted first"
            );
        }
    }

    /// Says whether it is time to end.
    fn pause(&self) -> bool {
        let queue = crate::lock(&self.shared.queue);
        let waited =
            self.shared.wake.wait_timeout_while(queue, self.shared.options.retry, |queue| !queue.closing);
        waited.unwrap_or_else(PoisonError::into_inner).0.closing
    }

    fn post(&mut self, weight: u64) {
        let (totals, disk_bytes) = (self.store.totals(), self.store.disk_bytes());
        {
            let mut board = self.board();
            (board.totals, board.disk_bytes) = (totals, disk_bytes);
            board.commits += 1;
        }
        self.shared.stored.store(totals.bytes, Ordering::Relaxed);
        self.shared.waiting_bytes.fetch_sub(weight, Ordering::Relaxed);
        self.look_for_room();
    }

    fn look_for_room(&mut self) {
        let totals = self.store.totals();
        let (max, left) = (self.shared.options.max_bytes, self.store.headroom());
        self.shared.headroom.store(left, Ordering::Relaxed);
        let (full, low) = (totals.bytes >= max, left < self.shared.options.headroom_bytes);
        if (full || low) != self.full {
            self.full = full || low;
            (self.operator)(match (full, low) {
                (true, _) => Told::Full { bytes: totals.bytes, max },
                (false, true) => Told::Low { left },
                (false, false) => Told::Room,
            });
        }
    }
}

fn told_to_flush(job: &Job) {
    if let Job::Flush(done) = job {
        // Whoever waits no longer need not know.
        let _ = done.send(());
    }
}

struct Closed(Arc<Shared>);

impl Drop for Closed {
    fn drop(&mut self) {
        self.0.board.write().unwrap_or_else(PoisonError::into_inner).closed = true;
    }
}

/// The newest entry of each game in a batch. The entries of a game are put in order.
fn durable(jobs: &[Job], games: &[Listener]) -> Vec<Durable> {
    let mut newest: HashMap<*const Tell, Durable> = HashMap::new();
    for (job, (game, _)) in jobs.iter().zip(games) {
        if let (Job::Entry { entry, .. }, Some(game)) = (job, game) {
            newest.insert(Arc::as_ptr(game), (game.clone(), entry.at));
        }
    }
    newest.into_values().collect()
}

fn teller(told: &Receiver<Vec<Durable>>) {
    for batch in told {
        for (tell, at) in batch {
            tell(at);
        }
    }
}
