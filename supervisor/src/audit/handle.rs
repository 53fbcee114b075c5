//! The queue and the thread of the audit log.
//!
//! ```text
//!  tell ──(denials: at most so many per plugin and second)──▶ queue ──▶ thread: seal a batch ─▶ flush
//!    never blocks: a full queue counts what it drops                      └─ fails: keep the batch, try again each second
//! ```
//!
//! **When the disk is full, games go on.** What waits is bounded ([`QUEUE_MAX`] records and one batch); beyond that records are dropped and
//! counted, and the first thing written when the disk is back says how many. `croupier status` shows the trouble while it lasts.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use thiserror::Error;

use super::directory_in;
use super::log::{Log, Medium, OpenError, Sizes, Tip};
use super::record::{Happened, text};
use crate::dates::rfc3339;

/// Records that wait for the thread.
pub const QUEUE_MAX: usize = 8192;
/// Records that are written and flushed together.
const BATCH_MAX: usize = 1024;
/// Denials of one plugin that are written per second; beyond, they are counted.
pub const DENIALS_PER_S_MAX: u64 = 100;
/// Pause between two tries on a disk that fails, and between two looks at the flood limit.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Longest that [`Audit::close`] waits for the disk.
const CLOSE_MAX: Duration = Duration::from_secs(5);

/// Why the log is not there.
#[derive(Debug, Error)]
pub enum StartError {
    /// The files.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The thread.
    #[error("cannot start the audit log's thread: {0}")]
    Thread(std::io::Error),
}

/// How the log is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditOptions {
    /// A file's size, in bytes, at which the next one begins.
    pub file_bytes_max: u64,
    /// The oldest files are deleted beyond this many bytes.
    pub keep_bytes: u64,
}

impl Default for AuditOptions {
    fn default() -> AuditOptions {
        AuditOptions { file_bytes_max: 16 << 20, keep_bytes: 4 << 30 }
    }
}

/// The newest record, and how the log fares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The newest record that the disk has.
    pub tip: Tip,
    /// What is wrong with the disk, while something is.
    pub trouble: Option<String>,
    /// Records lost since the start.
    pub lost: u64,
}

/// Takes records. Cheap to clone; never blocks. Without a log behind it, it takes them and forgets them.
#[derive(Clone, Default)]
pub struct Audit(Option<Arc<Shared>>);

impl std::fmt::Debug for Audit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Audit").field(&self.head()).finish()
    }
}

struct Shared {
    queue: SyncSender<Message>,
    /// Dropped because the queue was full, and not written down yet.
    dropped: Arc<AtomicU64>,
    windows: Arc<Mutex<HashMap<String, Window>>>,
    head: Arc<Mutex<Head>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

enum Message {
    Record {
        at_ns: u64,
        what: Box<Happened>,
    },
    /// Tells when everything before it is on the disk, or when the disk fails.
    Barrier(SyncSender<()>),
    End,
}

/// One plugin's denials in the current second.
#[derive(Debug)]
struct Window {
    since: Instant,
    count: u64,
}

impl Audit {
    /// Opens the log in `state_dir/audit` and starts its thread. The first record says so.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(state_dir: &std::path::Path, options: &AuditOptions) -> Result<Audit, StartError> {
        let sizes = Sizes { file_bytes_max: options.file_bytes_max, keep_bytes: options.keep_bytes };
        let (log, torn_bytes) = Log::open(&directory_in(state_dir), sizes)?;
        let audit = Audit::over(log).map_err(StartError::Thread)?;
        audit.tell(Happened::Started {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uid: rustix::process::geteuid().as_raw(),
            torn_bytes,
        });
        Ok(audit)
    }

    fn over<M: Medium + 'static>(log: Log<M>) -> std::io::Result<Audit> {
        let (queue, messages) = sync_channel(QUEUE_MAX);
        let head = Arc::new(Mutex::new(Head { tip: log.tip(), trouble: None, lost: 0 }));
        let dropped = Arc::new(AtomicU64::new(0));
        let windows = Arc::new(Mutex::new(HashMap::new()));
        let writer = Writer {
            log,
            messages,
            head: head.clone(),
            dropped: dropped.clone(),
            windows: windows.clone(),
            failing: None,
            looked: Instant::now(),
            ending: false,
        };
        let thread = std::thread::Builder::new().name("audit".into()).spawn(move || writer.run())?;
        let thread = Mutex::new(Some(thread));
        Ok(Audit(Some(Arc::new(Shared { queue, dropped, windows, head, thread }))))
    }

    /// Writes something down, soon. Never blocks.
    pub fn tell(&self, what: Happened) {
        let Some(shared) = &self.0 else { return };
        if what.is_cheap_to_cause() && !shared.within_limit(what.plugin().unwrap_or_default()) {
            return;
        }
        let record = Message::Record { at_ns: crate::clock::wall_ns(), what: Box::new(what) };
        if let Err(TrySendError::Full(_)) = shared.queue.try_send(record) {
            shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The newest record; none without a log.
    pub fn head(&self) -> Option<Head> {
        self.0.as_ref().map(|shared| crate::lock(&shared.head).clone())
    }

    /// Waits until the disk has everything that was told before, or fails. Blocks.
    pub fn settle(&self) {
        let Some(shared) = &self.0 else { return };
        let (done, wait) = sync_channel(1);
        if shared.queue.send(Message::Barrier(done)).is_ok() {
            let _ = wait.recv_timeout(CLOSE_MAX);
        }
    }

    /// Ends the thread when the disk has everything, or fails. Blocks; what is told afterwards is lost.
    pub fn close(&self) {
        self.settle();
        let Some(shared) = &self.0 else { return };
        let _ = shared.queue.try_send(Message::End);
        let deadline = Instant::now() + CLOSE_MAX;
        let Some(thread) = crate::lock(&shared.thread).take() else { return };
        while !thread.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Shared {
    fn within_limit(&self, plugin: &str) -> bool {
        let mut windows = crate::lock(&self.windows);
        let now = Instant::now();
        let window = windows.entry(plugin.to_owned()).or_insert(Window { since: now, count: 0 });
        window.count += 1;
        window.count <= DENIALS_PER_S_MAX
    }
}

/// The thread's state.
struct Writer<M> {
    log: Log<M>,
    messages: Receiver<Message>,
    head: Arc<Mutex<Head>>,
    dropped: Arc<AtomicU64>,
    windows: Arc<Mutex<HashMap<String, Window>>>,
    /// Since when the disk fails, and what it says.
    failing: Option<(Instant, String)>,
    looked: Instant,
    ending: bool,
}

impl<M: Medium> Writer<M> {
    fn run(mut self) {
        loop {
            let mut barriers = Vec::new();
            self.gather(&mut barriers);
            self.flush();
            for barrier in barriers {
                let _ = barrier.try_send(());
            }
            if self.ending {
                return;
            }
        }
    }

    /// Seals what is there, up to a batch; waits a while when there is nothing. While the disk fails nothing more is taken: the queue is the bound.
    fn gather(&mut self, barriers: &mut Vec<SyncSender<()>>) {
        if self.failing.is_some() {
            std::thread::sleep(LOOK_EVERY);
            // Somebody may wait for us to end.
            while let Some(at) = self.only_control(barriers) {
                self.seal(at.0, &at.1);
            }
            return;
        }
        let mut next = match self.messages.recv_timeout(LOOK_EVERY) {
            Ok(message) => Some(message),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return self.ending = true,
        };
        while let Some(message) = next {
            match message {
                Message::Record { at_ns, what } => self.seal(at_ns, &what),
                Message::Barrier(done) => barriers.push(done),
                Message::End => {
                    self.ending = true;
                    break;
                }
            }
            if self.log.waiting() >= BATCH_MAX {
                break;
            }
            next = self.messages.try_recv().ok();
        }
        if self.looked.elapsed() >= LOOK_EVERY {
            self.look_at_floods();
        }
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            crate::lock(&self.head).lost += dropped;
            self.seal(crate::clock::wall_ns(), &Happened::RecordsLost { count: dropped });
        }
    }

    /// While the disk fails: takes messages as long as a batch has room, so that an end or a barrier behind them is seen.
    fn only_control(&mut self, barriers: &mut Vec<SyncSender<()>>) -> Option<(u64, Box<Happened>)> {
        while self.log.waiting() < BATCH_MAX {
            match self.messages.try_recv() {
                Ok(Message::Record { at_ns, what }) => return Some((at_ns, what)),
                Ok(Message::Barrier(done)) => barriers.push(done),
                Ok(Message::End) | Err(std::sync::mpsc::TryRecvError::Disconnected) => {
                    self.ending = true;
                    return None;
                }
                Err(std::sync::mpsc::TryRecvError::Empty) => return None,
            }
        }
        None
    }

    fn seal(&mut self, at_ns: u64, what: &Happened) {
        self.log.seal(&rfc3339(at_ns), what);
    }

    fn flush(&mut self) {
        match self.log.flush() {
            Ok(()) => {
                if let Some((since, error)) = self.failing.take() {
                    tracing::warn!("the audit log is written again");
                    let ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
                    self.seal(crate::clock::wall_ns(), &Happened::DiskTrouble { error: text(error), ms });
                    return self.flush();
                }
                self.prune();
                let mut head = crate::lock(&self.head);
                (head.tip, head.trouble) = (self.log.synced(), None);
            }
            Err(error) => {
                if self.failing.is_none() {
                    tracing::error!(%error, "the audit log cannot be written; games go on, and it is tried again each second");
                    self.failing = Some((Instant::now(), error.to_string()));
                }
                crate::lock(&self.head).trouble = Some(error.to_string());
            }
        }
    }

    /// Deletes the oldest files when they are too many: first the log says so.
    fn prune(&mut self) {
        // Only a rotation can make them too many.
        if !self.log.take_rotated() {
            return;
        }
        let excess = match self.log.excess() {
            Ok(Some(excess)) => excess,
            Ok(None) => return,
            Err(error) => return tracing::warn!(%error, "cannot look for old files of the audit log"),
        };
        let (through_seq, through_hash) = (excess.through.seq, excess.through.hash.to_string());
        self.seal(crate::clock::wall_ns(), &Happened::Pruned { through_seq, through_hash });
        let deleted = self.log.flush().and_then(|()| excess.delete());
        if let Err(error) = deleted {
            tracing::warn!(%error, "cannot delete old files of the audit log");
        }
    }

    /// Writes down how many denials were left out in the last second, and forgets plugins that were quiet.
    fn look_at_floods(&mut self) {
        self.looked = Instant::now();
        let mut floods = Vec::new();
        crate::lock(&self.windows).retain(|plugin, window| {
            if window.since.elapsed() < LOOK_EVERY {
                return true;
            }
            if window.count > DENIALS_PER_S_MAX {
                floods.push((plugin.clone(), window.count - DENIALS_PER_S_MAX));
            }
            false
        });
        for (plugin, left_out) in floods {
            let flood = Happened::Flood { plugin, left_out, limit_per_s: DENIALS_PER_S_MAX };
            self.seal(crate::clock::wall_ns(), &flood);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::chain::{self, Hash};
    use super::super::verify::verify_each;
    use super::*;

    fn denied(plugin: &str) -> Happened {
        Happened::PermissionDenied {
            plugin: plugin.into(),
            permission: "send".into(),
            session: 1,
            seq: 2,
            count: 1,
            says: super::super::record::SAYS_SUPERVISOR.into(),
        }
    }

    #[test]
    fn floods_are_cut_and_counted_and_nothing_else_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let audit = Audit::start(dir.path(), &AuditOptions::default()).unwrap();
        for _ in 0..1000 {
            audit.tell(denied("loud"));
        }
        audit.tell(denied("quiet"));
        // The flood is written down when its second is over.
        std::thread::sleep(LOOK_EVERY * 3);
        audit.tell(Happened::Stopped { given_up: 0 });
        audit.close();
        let mut kinds: HashMap<String, u64> = HashMap::new();
        let mut left_out = 0;
        let report = verify_each(&directory_in(dir.path()), |line| {
            *kinds.entry(line.kind().to_owned()).or_default() += 1;
            if let Some(Happened::Flood { plugin, left_out: count, .. }) = line.happened() {
                assert_eq!(plugin, "loud");
                left_out += count;
            }
        });
        assert_eq!(report.unwrap().problem, None);
        assert_eq!(kinds["permission-denied"], DENIALS_PER_S_MAX + 1);
        assert_eq!((left_out, kinds["started"], kinds["stopped"]), (1000 - DENIALS_PER_S_MAX, 1, 1));
    }

    #[test]
    fn the_head_is_the_newest_record_on_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        let audit = Audit::start(dir.path(), &AuditOptions::default()).unwrap();
        for given_up in 0..100 {
            audit.tell(Happened::Stopped { given_up });
        }
        audit.settle();
        let head = audit.head().unwrap();
        assert_eq!((head.tip.seq, head.trouble, head.lost), (101, None, 0));
        let report = verify_each(&directory_in(dir.path()), |_| {}).unwrap();
        assert_eq!((report.head, report.problem), (head.tip, None));
        audit.close();
    }

    /// A disk that is full until it is not.
    #[derive(Clone, Default)]
    struct Disk(Arc<Mutex<(Vec<u8>, bool)>>);

    impl Medium for Disk {
        fn append(&mut self, bytes: &[u8]) -> std::io::Result<()> {
            let mut disk = crate::lock(&self.0);
            let fits = if disk.1 { bytes.len() / 2 } else { bytes.len() };
            disk.0.extend_from_slice(&bytes[..fits]);
            if disk.1 { Err(std::io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        }
        fn cut(&mut self, len: u64) -> std::io::Result<()> {
            crate::lock(&self.0).0.truncate(len as usize);
            Ok(())
        }
        fn sync(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_holds_nobody_up_and_what_is_lost_is_counted_in_the_log() {
        const TOLD: u64 = 20_000;
        let disk = Disk::default();
        let audit = Audit::over(Log::over(disk.clone())).unwrap();
        crate::lock(&disk.0).1 = true;
        for given_up in 0..TOLD {
            audit.tell(Happened::Stopped { given_up });
        }
        let trouble = || audit.head().and_then(|head| head.trouble);
        while trouble().is_none() {
            std::thread::sleep(Duration::from_millis(5));
        }
        crate::lock(&disk.0).1 = false;
        while trouble().is_some() {
            std::thread::sleep(Duration::from_millis(5));
        }
        audit.close();
        let text = String::from_utf8(crate::lock(&disk.0).0.clone()).unwrap();
        let (mut prev, mut written, mut lost, mut troubles) = (Hash::genesis(), 0, 0, 0);
        for (at, line) in text.split_inclusive('\n').enumerate() {
            let (line, hash) = chain::read(line.as_bytes()).unwrap();
            chain::follows(&line, at as u64 + 1, prev).unwrap();
            prev = hash;
            match line.happened().unwrap() {
                Happened::Stopped { .. } => written += 1,
                Happened::RecordsLost { count } => lost += count,
                Happened::DiskTrouble { .. } => troubles += 1,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((written + lost, troubles), (TOLD, 1));
        assert!(lost > 0 && written >= QUEUE_MAX as u64, "{written} written, {lost} lost");
    }

    #[test]
    fn without_a_log_everything_is_taken_and_nothing_kept() {
        let audit = Audit::default();
        audit.tell(denied("p"));
        audit.settle();
        audit.close();
        assert_eq!(audit.head(), None);
    }
}
