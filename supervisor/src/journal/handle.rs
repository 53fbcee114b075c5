//! The journal as games and doors see it. Nothing here waits for the disk.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use croupier_core::durable::Entry;
use croupier_core::event::Room;
use croupier_core::ids::SessionId;
use thiserror::Error;

use super::books::Totals;
use super::contents::Contents;
use super::format::{OpenRecord, weight};
use super::medium::{FileMedium, Medium};
use super::store::{Job, LOW_BYTES, Spare, Store, StoreError};
use super::writer;

/// How much the journal may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalOptions {
    /// Bytes of entries on the disk; beyond, new turns are refused. The file takes up to about three times as much.
    pub max_bytes: u64,
    /// Bytes of entries that wait for the disk; beyond, new turns are refused.
    pub waiting_bytes_max: u64,
    /// Room that the disk must have left; with less, new turns are refused: what is on its way, and what makes room, needs some.
    pub headroom_bytes: u64,
    /// Pause before a failed write is tried again.
    pub retry: Duration,
    /// How long a plugin's loading waits for the disk to forget its parked sessions.
    pub unpark_max: Duration,
}

impl Default for JournalOptions {
    fn default() -> JournalOptions {
        JournalOptions {
            max_bytes: 4 << 30,
            waiting_bytes_max: 64 << 20,
            headroom_bytes: LOW_BYTES,
            retry: Duration::from_secs(1),
            unpark_max: Duration::from_secs(10),
        }
    }
}

/// Why no new turn of a durable session is taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoRoom {
    /// The disk is slow.
    #[error("the journal is behind: {bytes} bytes wait for the disk; try again")]
    Behind {
        /// How many.
        bytes: u64,
    },
    /// The disk refuses.
    #[error(
        "the journal cannot be written ({error}); nothing is lost; make room on that disk, or mend it, and try again"
    )]
    Trouble {
        /// The file, and what the system said.
        error: String,
    },
    /// The configured limit.
    #[error(
        "the journal is full: {bytes} bytes of {max} are used; close sessions, or raise journal.max_mib in the config"
    )]
    Full {
        /// How many.
        bytes: u64,
        /// The limit.
        max: u64,
    },
    /// The disk is almost full.
    #[error(
        "the journal's disk is almost full: there is room for {left} bytes; nothing is lost; make room on that disk, or close sessions"
    )]
    Low {
        /// About how many bytes there is room for.
        left: u64,
    },
    /// It has ended.
    #[error("the journal is closed")]
    Closed,
}

/// Something that an operator wants to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// A write failed; it is tried again.
    Trouble {
        /// The file, and what the system said.
        error: String,
    },
    /// It works again; nothing was lost.
    Recovered {
        /// What the last failure was.
        error: String,
        /// For how long it did not work.
        lasted: Duration,
    },
    /// The configured limit is reached.
    Full {
        /// Bytes that are used.
        bytes: u64,
        /// The limit.
        max: u64,
    },
    /// The disk is almost full.
    Low {
        /// About how many bytes there is room for.
        left: u64,
    },
    /// There is room again.
    Room,
}

/// The journal at a glance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// What is on the disk.
    pub totals: Totals,
    /// What the file takes of it.
    pub disk_bytes: u64,
    /// What waits for the disk.
    pub waiting_bytes: u64,
    /// Transactions since the start.
    pub commits: u64,
    /// Why no new turn is taken, if none is.
    pub no_room: Option<NoRoom>,
}

/// Called with the number of the newest entry that is on the disk.
pub type Tell = Box<dyn Fn(u64) + Send + Sync>;
/// Called with what an operator wants to know.
pub type TellOperator = Box<dyn Fn(Told) + Send>;

/// The journal. Clones are one journal.
#[derive(Clone)]
pub struct Journal(Arc<Owner>);

struct Owner {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What the threads share with the games.
pub(super) struct Shared {
    pub(super) options: JournalOptions,
    pub(super) queue: Mutex<Queue>,
    pub(super) wake: Condvar,
    /// Of the queue and of the batch that is being written.
    pub(super) waiting_bytes: AtomicU64,
    /// Of entries on the disk.
    pub(super) stored: AtomicU64,
    /// About how many bytes more there is room for.
    pub(super) headroom: AtomicU64,
    pub(super) board: RwLock<Board>,
    /// Per game the newest entry that was put.
    tips: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
}

#[derive(Default)]
pub(super) struct Queue {
    pub(super) jobs: Vec<Waiting>,
    pub(super) closing: bool,
}

pub(super) struct Waiting {
    pub(super) job: Job,
    /// Who is told when an entry is on the disk.
    pub(super) game: Option<Arc<Tell>>,
    pub(super) weight: u64,
}

/// What is posted for those who ask.
#[derive(Default)]
pub(super) struct Board {
    pub(super) trouble: Option<String>,
    pub(super) totals: Totals,
    pub(super) disk_bytes: u64,
    pub(super) commits: u64,
    pub(super) closed: bool,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").finish_non_exhaustive()
    }
}

impl Journal {
    /// Opens the journal of a state directory, reads all that is there, and starts its threads.
    ///
    /// # Errors
    /// When it cannot be opened. It is not made anew: whoever wants that moves it away.
    pub fn start(
        state_dir: &std::path::Path,
        options: JournalOptions,
        operator: TellOperator,
    ) -> Result<(Journal, Contents), StoreError> {
        let path = super::file_in(state_dir);
        let failed = |source: std::io::Error| StoreError::Database {
            name: path.display().to_string(),
            source: Box::new(redb::Error::Io(source)),
        };
        let medium = FileMedium::new(path.clone()).map_err(failed)?;
        Journal::start_on(Box::new(medium), options, operator)
    }

    /// As [`Journal::start`], on any medium.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn start_on(
        medium: Box<dyn Medium>,
        options: JournalOptions,
        operator: TellOperator,
    ) -> Result<(Journal, Contents), StoreError> {
        let (store, contents) = Store::open(medium)?;
        let name = store.name();
        let Contents { found, counted, .. } = contents;
        if found != counted {
            return Err(StoreError::Missing { name, found, counted });
        }
        let tip =
            |(name, game): (&String, &super::GameOnDisk)| (name.clone(), Arc::new(AtomicU64::new(game.at)));
        let tips = contents.games.iter().map(tip).collect();
        let board = Board { totals: store.totals(), disk_bytes: store.disk_bytes(), ..Board::default() };
        let shared = Arc::new(Shared {
            options,
            queue: Mutex::default(),
            wake: Condvar::new(),
            waiting_bytes: AtomicU64::new(0),
            stored: AtomicU64::new(store.totals().bytes),
            headroom: AtomicU64::new(store.headroom()),
            board: RwLock::new(board),
            tips: Mutex::new(tips),
        });
        let threads = writer::start(store, shared.clone(), operator)
            .map_err(|source| StoreError::Database { name, source: Box::new(redb::Error::Io(source)) })?;
        Ok((Journal(Arc::new(Owner { shared, threads: Mutex::new(threads) })), contents))
    }

    /// The end of the journal that one game writes into. `tell` is called from a thread of the journal's.
    pub fn game(&self, name: &str, tell: Tell) -> GameJournal {
        let tip = crate::lock(&self.0.shared.tips).entry(name.to_owned()).or_default().clone();
        GameJournal { name: name.into(), tell: Arc::new(tell), journal: self.clone(), tip }
    }

    /// Whether a new turn of a durable session can be taken. Cheap.
    ///
    /// # Errors
    /// Why not.
    pub fn room(&self) -> Result<(), NoRoom> {
        self.room_to_close()?;
        let shared = &self.0.shared;
        let (bytes, max) = (shared.stored.load(Ordering::Relaxed), shared.options.max_bytes);
        // What waits will take its part of what was there when something was last written.
        let waiting = shared.waiting_bytes.load(Ordering::Relaxed);
        let left = shared.headroom.load(Ordering::Relaxed).saturating_sub(waiting);
        if bytes >= max {
            Err(NoRoom::Full { bytes, max })
        } else if left < shared.options.headroom_bytes {
            Err(NoRoom::Low { left })
        } else {
            Ok(())
        }
    }

    /// As [`Journal::room`], for a turn that makes room: one that closes a session goes on when the configured limit is reached or the disk almost full.
    ///
    /// # Errors
    /// Why not.
    pub fn room_to_close(&self) -> Result<(), NoRoom> {
        let shared = &self.0.shared;
        let board = shared.board.read().unwrap_or_else(PoisonError::into_inner);
        if board.closed {
            return Err(NoRoom::Closed);
        }
        if let Some(error) = &board.trouble {
            return Err(NoRoom::Trouble { error: error.clone() });
        }
        let bytes = shared.waiting_bytes.load(Ordering::Relaxed);
        if bytes > shared.options.waiting_bytes_max {
            return Err(NoRoom::Behind { bytes });
        }
        Ok(())
    }

    /// Whether there is room for what sessions write by themselves: ticks. Changes only together with what the operator is told. What waits for the
    /// disk is no reason here: games see that for themselves.
    fn has_room_for_ticks(&self) -> bool {
        let shared = &self.0.shared;
        let board = shared.board.read().unwrap_or_else(PoisonError::into_inner);
        !board.closed
            && board.trouble.is_none()
            && shared.stored.load(Ordering::Relaxed) < shared.options.max_bytes
            && shared.headroom.load(Ordering::Relaxed) >= shared.options.headroom_bytes
    }

    /// A request is about to open a durable session. On the disk no later than the session's first entry.
    pub fn opening(&self, session: SessionId, record: OpenRecord) {
        self.give(Job::Opening { session, record: Box::new(record) }, None, 256);
    }

    /// That open was refused.
    pub fn not_opened(&self, session: SessionId) {
        self.give(Job::NotOpened { session }, None, 64);
    }

    /// Waits until everything that was given so far is on the disk.
    fn flush(&self, patience: Duration) -> Result<(), NoRoom> {
        let (done, is_done) = std::sync::mpsc::channel();
        self.give(Job::Flush(done), None, 0);
        is_done.recv_timeout(patience).map_err(|_| {
            let bytes = self.0.shared.waiting_bytes.load(Ordering::Relaxed);
            self.room().err().unwrap_or(NoRoom::Behind { bytes })
        })
    }

    /// At a glance.
    pub fn status(&self) -> Status {
        let no_room = self.room().err();
        let shared = &self.0.shared;
        let board = shared.board.read().unwrap_or_else(PoisonError::into_inner);
        Status {
            totals: board.totals,
            disk_bytes: board.disk_bytes,
            waiting_bytes: shared.waiting_bytes.load(Ordering::Relaxed),
            commits: board.commits,
            no_room,
        }
    }

    /// Writes what waits, tells it, and ends the threads. When the disk is in trouble, what waits is tried once more and then given up: nobody was
    /// told of it.
    pub fn close(&self) {
        self.0.close();
    }

    fn give(&self, job: Job, game: Option<Arc<Tell>>, weight: u64) {
        let shared = &self.0.shared;
        shared.waiting_bytes.fetch_add(weight, Ordering::Relaxed);
        let was_empty = {
            let mut queue = crate::lock(&shared.queue);
            queue.jobs.push(Waiting { job, game, weight });
            queue.jobs.len() == 1
        };
        if was_empty {
            shared.wake.notify_one();
        }
    }
}

impl Owner {
    fn close(&self) {
        crate::lock(&self.shared.queue).closing = true;
        self.shared.wake.notify_one();
        for thread in std::mem::take(&mut *crate::lock(&self.threads)) {
            // One of them may be who drops the last handle.
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.close();
    }
}

/// One game's end of the journal.
#[derive(Clone)]
pub struct GameJournal {
    name: Arc<str>,
    tell: Arc<Tell>,
    journal: Journal,
    tip: Arc<AtomicU64>,
}

impl std::fmt::Debug for GameJournal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GameJournal").field("name", &self.name).finish_non_exhaustive()
    }
}

impl GameJournal {
    /// Which binary plays from now on.
    pub fn plays(&self, digest: [u8; 32], version: &str) {
        let job = Job::Plays { game: self.name.clone(), digest, version: version.to_owned() };
        self.journal.give(job, None, 64);
    }

    /// The newest entry that was ever put.
    pub fn at(&self) -> u64 {
        self.tip.load(Ordering::Relaxed)
    }

    /// Room for what sessions write down by themselves.
    pub fn room_for_ticks(&self) -> Room {
        if self.journal.has_room_for_ticks() { Room::Enough } else { Room::None }
    }

    /// A session that was in memory alone is about to be written down.
    pub fn parking(&self, session: SessionId, reveal_public: bool) {
        let plugin = self.name.to_string();
        // Who opened it is known to nobody any more: a repeated request to open opens another.
        let record = OpenRecord { plugin, client: 0, client_seq: 0, body: 0, reveal_public, done: None };
        self.journal.opening(session, record);
    }

    /// Forgets sessions that were parked and are in memory again, and waits until the disk has forgotten them: after a death they must not come
    /// back as they were.
    ///
    /// # Errors
    /// When the disk does not do it within [`JournalOptions::unpark_max`]. It is taken back then, but the disk may be in the middle of it: put them
    /// there once more.
    pub fn unpark(&self, sessions: &[SessionId]) -> Result<(), NoRoom> {
        let wanted = Arc::new(AtomicBool::new(true));
        for session in sessions {
            let job = Job::Unpark { game: self.name.clone(), session: *session, wanted: wanted.clone() };
            self.journal.give(job, None, 64);
        }
        let patience = self.journal.0.shared.options.unpark_max;
        self.journal.flush(patience).inspect_err(|_| wanted.store(false, Ordering::Relaxed))
    }

    /// Deletes what a [`Change::Pruned`](croupier_core::durable::Change::Pruned) says. Call it when whoever else lives on these turns has them.
    pub fn prune(&self, session: SessionId, from: u64) {
        self.forget(session, from, Spare::Opened);
    }

    /// Deletes all that came before a session's end, likewise.
    pub fn bury(&self, session: SessionId, ended: u64) {
        self.forget(session, ended, Spare::Nothing);
    }

    fn forget(&self, session: SessionId, before: u64, spare: Spare) {
        let job = Job::Forget { game: self.name.clone(), session, before, spare };
        self.journal.give(job, None, 64);
    }

    /// Puts an entry on the disk, some time soon. Never waits, never fails: who takes new turns asks [`Journal::room`] before.
    pub fn put(&self, entry: Box<Entry>) {
        self.tip.fetch_max(entry.at, Ordering::Relaxed);
        let weight = weight(&entry.change);
        let job = Job::Entry { game: self.name.clone(), entry };
        self.journal.give(job, Some(self.tell.clone()), weight);
    }
}
