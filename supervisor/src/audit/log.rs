//! The files of the audit log: appending, rotation, and what happens when the disk is full.
//!
//! ```text
//!  open: last file ─check it whole─▶ cut a torn tail ─▶ go on behind its last record
//!  append: seal (number, chain) ─▶ write ─▶ fdatasync
//!                                    └─ fails: cut back to the last whole record, keep what was sealed, try again later
//!  file full: fdatasync, next file; its first record is chained to the last one of this file
//! ```
//!
//! One writer: the directory is locked. It knows no queue and no thread: see [`super::handle`].

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use thiserror::Error;

use super::chain::{self, Hash};
use super::record::Happened;
use super::verify::{FileCheck, Problem, check_file};
use super::{file_name, files};

/// Why the log cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The system refused.
    #[error("cannot {doing} the audit log {}: {source}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Somebody else writes it.
    #[error("another supervisor uses the state directory (it writes {}); stop it first, or give this one a state_dir of its own", path.display())]
    Taken {
        /// The directory.
        path: PathBuf,
    },
    /// Its newest file does not hold together.
    #[error(
        "the audit log was changed: {problem}; keep a copy for whoever looks into it, then move the directory away: a new chain begins"
    )]
    Broken {
        /// What is wrong, and where.
        problem: Problem,
    },
}

/// How large files become, and how many are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// A file is closed when the next records would make it longer than this, in bytes.
    pub file_bytes_max: u64,
    /// The oldest files are deleted when all together are longer than this, in bytes.
    pub keep_bytes: u64,
}

/// Where the bytes of one file go. A file, or in tests something that fails.
pub trait Medium: Send {
    /// Appends; may append a part of it when it fails.
    ///
    /// # Errors
    /// As the system says.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Cuts off what is behind `len`.
    ///
    /// # Errors
    /// As the system says.
    fn cut(&mut self, len: u64) -> io::Result<()>;
    /// Waits until the disk has it.
    ///
    /// # Errors
    /// As the system says.
    fn sync(&mut self) -> io::Result<()>;
}

impl Medium for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }
    fn cut(&mut self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }
    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

/// The last record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tip {
    /// Its number; 0 when there is none.
    pub seq: u64,
    /// Its hash, or [`Hash::genesis`].
    pub hash: Hash,
}

/// The open log.
pub struct Log<M = File> {
    dir: PathBuf,
    sizes: Sizes,
    make: fn(&Path) -> io::Result<M>,
    medium: M,
    len: u64,
    /// A write failed half-way: the file must be cut back to `len` first.
    dirty: bool,
    tip: Tip,
    /// Sealed and not on the disk yet.
    sealed: Vec<Vec<u8>>,
    /// The newest record that the disk has.
    synced: Tip,
    /// A file was begun since [`Log::take_rotated`] was asked.
    rotated: bool,
    _lock: Option<File>,
}

fn make_file(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    // The name must survive a power loss too.
    if let Some(dir) = path.parent() {
        File::open(dir)?.sync_all()?;
    }
    Ok(file)
}

impl Log<File> {
    /// Opens the log in `dir`, which is made (mode 0700) when it is not there. Says how many bytes of a torn record were cut off.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(dir: &Path, sizes: Sizes) -> Result<(Log<File>, u64), OpenError> {
        let io = |doing, path: &Path| {
            let path = path.to_owned();
            move |source| OpenError::Io { doing, path, source }
        };
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io("make", dir))?;
        let lock_path = dir.join("lock");
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock_path)
            .map_err(io("lock", dir))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| OpenError::Taken { path: dir.to_owned() })?;
        let End { path, tip, len, torn } = last_file(dir)?;
        let mut medium = make_file(&path).map_err(io("open", &path))?;
        if torn > 0 {
            medium.cut(len).and_then(|()| medium.sync()).map_err(io("mend", &path))?;
        }
        let log = Log {
            dir: dir.to_owned(),
            sizes,
            make: make_file,
            medium,
            len,
            dirty: false,
            tip,
            sealed: Vec::new(),
            synced: tip,
            rotated: true,
            _lock: Some(lock),
        };
        Ok((log, torn))
    }
}

/// Where to go on.
struct End {
    path: PathBuf,
    tip: Tip,
    len: u64,
    torn: u64,
}

/// Finds the newest record. An empty file at the end is what a supervisor leaves that died right after a rotation.
fn last_file(dir: &Path) -> Result<End, OpenError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::Io { doing: "read", path, source }
    };
    let mut all = files(dir).map_err(io(dir))?;
    let mut torn_before = 0;
    while let Some((first, path)) = all.pop() {
        let check = check_file(&path, first, None).map_err(io(&path))?;
        let FileCheck { last, bytes, torn, problem, .. } = check;
        if let Some(problem) = problem.filter(|problem| !problem.is_torn_tail()) {
            return Err(OpenError::Broken { problem });
        }
        torn_before += torn;
        match last {
            Some(tip) => return Ok(End { path, tip, len: bytes, torn: torn_before }),
            None if all.is_empty() => {
                let tip = Tip { seq: first - 1, hash: Hash::genesis() };
                return Ok(End { path, tip, len: 0, torn: torn_before });
            }
            None => std::fs::remove_file(&path).map_err(io(&path))?,
        }
    }
    let tip = Tip { seq: 0, hash: Hash::genesis() };
    Ok(End { path: dir.join(file_name(1)), tip, len: 0, torn: torn_before })
}

#[cfg(test)]
impl<M: Medium + Default> Log<M> {
    /// An empty log that is no file.
    pub(super) fn over(medium: M) -> Log<M> {
        let tip = Tip { seq: 0, hash: Hash::genesis() };
        Log {
            dir: PathBuf::new(),
            sizes: Sizes { file_bytes_max: u64::MAX, keep_bytes: u64::MAX },
            make: |_| Ok(M::default()),
            medium,
            len: 0,
            dirty: false,
            tip,
            sealed: Vec::new(),
            synced: tip,
            rotated: false,
            _lock: None,
        }
    }
}

impl<M: Medium> Log<M> {
    /// The newest record, on the disk or not.
    pub fn tip(&self) -> Tip {
        self.tip
    }

    /// The newest record that the disk has.
    pub fn synced(&self) -> Tip {
        self.synced
    }

    /// Records that are sealed and not on the disk.
    pub fn waiting(&self) -> usize {
        self.sealed.len()
    }

    /// Gives a record its number and its place in the chain. It is written with the next [`Log::flush`].
    pub fn seal(&mut self, at: &str, what: &Happened) {
        let seq = self.tip.seq + 1;
        let (line, hash) = chain::write(seq, at, self.tip.hash, what);
        self.tip = Tip { seq, hash };
        self.sealed.push(line);
    }

    /// Writes what is sealed and waits for the disk. When it fails, everything stays sealed, and the next call tries again.
    ///
    /// # Errors
    /// As the system says.
    pub fn flush(&mut self) -> io::Result<()> {
        if self.sealed.is_empty() {
            return Ok(());
        }
        if self.dirty {
            self.medium.cut(self.len)?;
            self.dirty = false;
        }
        let bytes = self.sealed.concat();
        if self.len > 0 && self.len + bytes.len() as u64 > self.sizes.file_bytes_max {
            self.rotate()?;
        }
        self.dirty = true;
        self.medium.append(&bytes)?;
        self.medium.sync()?;
        self.dirty = false;
        self.len += bytes.len() as u64;
        self.sealed.clear();
        self.synced = self.tip;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        let first = self.tip.seq + 1 - self.sealed.len() as u64;
        self.medium = (self.make)(&self.dir.join(file_name(first)))?;
        self.len = 0;
        self.rotated = true;
        Ok(())
    }

    /// Whether a file was begun since this was asked last; at first yes.
    pub fn take_rotated(&mut self) -> bool {
        std::mem::take(&mut self.rotated)
    }

    /// Which files are too many, and the record that must be in the log before they are deleted. The newest file always stays.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn excess(&self) -> io::Result<Option<Excess>> {
        let mut all = files(&self.dir)?;
        all.pop();
        let mut kept = self.len;
        let mut excess = Vec::new();
        for (first, path) in all.into_iter().rev() {
            kept += std::fs::metadata(&path)?.len();
            if kept > self.sizes.keep_bytes {
                excess.push((first, path));
            }
        }
        let Some((first, newest)) = excess.first() else { return Ok(None) };
        let Some(last) = check_file(newest, *first, None)?.last else { return Ok(None) };
        Ok(Some(Excess { through: last, files: excess.into_iter().map(|(_, path)| path).collect() }))
    }
}

/// The oldest files, which are to go.
#[derive(Debug)]
pub struct Excess {
    /// The last record in them.
    pub through: Tip,
    files: Vec<PathBuf>,
}

impl Excess {
    /// Deletes them, oldest first, so that what is left never has a hole.
    ///
    /// # Errors
    /// As the system says.
    pub fn delete(self) -> io::Result<()> {
        self.files.into_iter().rev().try_for_each(std::fs::remove_file)
    }
}

#[cfg(test)]
mod tests {
    use super::super::verify::verify;
    use super::*;

    const SIZES: Sizes = Sizes { file_bytes_max: 1200, keep_bytes: u64::MAX };
    const AT: &str = "2026-01-02T03:04:05.000000006Z";

    fn stopped(given_up: u64) -> Happened {
        Happened::Stopped { given_up }
    }

    #[test]
    fn the_chain_goes_on_over_files_and_restarts_and_a_torn_tail_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let mut torn_total = 0;
        for round in 0..10 {
            let (mut log, torn) = Log::open(dir.path(), SIZES).unwrap();
            torn_total += torn;
            for number in 0..5 {
                log.seal(AT, &stopped(round * 10 + number));
                log.flush().unwrap();
            }
            drop(log);
            let (_, newest) = files(dir.path()).unwrap().pop().unwrap();
            OpenOptions::new().append(true).open(newest).unwrap().write_all(b"{\"seq\":9").unwrap();
        }
        assert_eq!(torn_total, 9 * 8);
        let (log, _) = Log::open(dir.path(), SIZES).unwrap();
        assert_eq!(log.tip().seq, 50);
        assert!(files(dir.path()).unwrap().len() > 5);
        let report = verify(dir.path()).unwrap();
        assert_eq!((report.records, report.problem), (50, None));
    }

    #[test]
    fn two_writers_are_one_too_many_and_an_edited_log_is_not_gone_on_with() {
        let dir = tempfile::tempdir().unwrap();
        let (mut log, _) = Log::open(dir.path(), SIZES).unwrap();
        assert!(matches!(Log::open(dir.path(), SIZES), Err(OpenError::Taken { .. })));
        log.seal(AT, &stopped(1));
        log.flush().unwrap();
        drop(log);
        let (_, path) = files(dir.path()).unwrap().pop().unwrap();
        let text = std::fs::read_to_string(&path).unwrap().replace("\"given_up\":1", "\"given_up\":2");
        std::fs::write(&path, text).unwrap();
        assert!(matches!(Log::open(dir.path(), SIZES), Err(OpenError::Broken { .. })));
    }

    #[test]
    fn old_files_go_only_after_the_log_says_so_and_the_rest_still_holds() {
        let dir = tempfile::tempdir().unwrap();
        let (mut log, _) = Log::open(dir.path(), Sizes { file_bytes_max: 1200, keep_bytes: 3000 }).unwrap();
        for number in 0..40 {
            log.seal(AT, &stopped(number));
            log.flush().unwrap();
        }
        let excess = log.excess().unwrap().expect("too many files");
        let through = excess.through;
        log.seal(AT, &Happened::Pruned { through_seq: through.seq, through_hash: through.hash.to_string() });
        log.flush().unwrap();
        excess.delete().unwrap();
        let report = verify(dir.path()).unwrap();
        assert_eq!((report.first_seq, report.problem), (through.seq + 1, None));
        // The same hole, made by somebody else.
        let (_, oldest) = files(dir.path()).unwrap().remove(0);
        std::fs::remove_file(oldest).unwrap();
        assert!(verify(dir.path()).unwrap().problem.is_some());
    }

    /// A disk that has room for so many bytes.
    #[derive(Default)]
    struct Small {
        bytes: Vec<u8>,
        room: usize,
    }

    impl Medium for Small {
        fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
            let fits = bytes.len().min(self.room - self.bytes.len());
            self.bytes.extend_from_slice(&bytes[..fits]);
            if fits < bytes.len() { Err(io::Error::from(io::ErrorKind::StorageFull)) } else { Ok(()) }
        }
        fn cut(&mut self, len: u64) -> io::Result<()> {
            self.bytes.truncate(len as usize);
            Ok(())
        }
        fn sync(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn on_a_full_disk_nothing_is_lost_torn_or_doubled() {
        let mut log = Log::over(Small { room: 700, ..Small::default() });
        for number in 0..20 {
            log.seal(AT, &stopped(number));
            let _ = log.flush();
        }
        assert!(log.flush().is_err());
        assert!(log.waiting() > 15 && log.synced().seq == 20 - log.waiting() as u64);
        log.medium.room = 100_000;
        log.flush().unwrap();
        assert_eq!((log.waiting(), log.synced()), (0, log.tip()));
        let mut prev = Hash::genesis();
        let text = String::from_utf8(log.medium.bytes).unwrap();
        for (at, line) in text.split_inclusive('\n').enumerate() {
            let (line, hash) = chain::read(line.as_bytes()).unwrap();
            chain::follows(&line, at as u64 + 1, prev).unwrap();
            prev = hash;
        }
        assert_eq!(prev, log.tip.hash);
    }
}
