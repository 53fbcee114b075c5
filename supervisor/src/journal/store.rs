//! The database: a batch is one transaction, which is on the disk whole or not at all.
//!
//! After a failure the old state stands and the database is closed; the next attempt opens it anew. What was counted of a batch
//! ([`Books`]) counts only once it is committed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use croupier_core::durable::{Change, Entry, Verdict};
use croupier_core::ids::SessionId;
use croupier_core::ids::kind;
use redb::{Database, ReadableTable as _, Table};
use thiserror::Error;

use super::books::{Books, Keep, Totals};
use super::contents::Contents;
use super::format::{
    ENTRIES, EntryKey, FORMAT, GAMES, GameRecord, META, OPENS, OpenDone, OpenRecord, ValueFlaw, is_opened,
    seal, unseal,
};
use super::inside::Inside;
use super::medium::Medium;
use super::read::read_all;

/// With less room than this little is kept of sessions that have ended.
pub(super) const LOW_BYTES: u64 = 8 << 20;

/// A file of less is not worth the work of shrinking it.
const SHRINK_BYTES_MIN: u64 = 8 << 20;

/// What a file holds is to be less than this part of it before it is shrunk at the start.
const SHRINK_AT: u64 = 4;

/// Why the journal cannot be used.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The disk or the database.
    #[error("{name}: {source}")]
    Database {
        /// The file.
        name: String,
        /// Why.
        source: Box<redb::Error>,
    },
    /// Of a later Croupier.
    #[error(
        "{name} has format {format}, and this version of Croupier knows {FORMAT}: start the version that wrote it"
    )]
    Format {
        /// The file.
        name: String,
        /// Its format.
        format: u64,
    },
    /// Damaged where no single entry shows it.
    #[error(
        "{name} is damaged: it holds {found} entries and counted {counted}; sessions may lack their last turns"
    )]
    Missing {
        /// The file.
        name: String,
        /// Entries found.
        found: u64,
        /// Entries counted.
        counted: u64,
    },
    /// A fault of our own.
    #[error("{name}: an entry cannot be written: {why}")]
    Value {
        /// The file.
        name: String,
        /// Why.
        why: ValueFlaw,
    },
}

/// Something to put on the disk.
#[derive(Debug, Clone)]
pub(super) enum Job {
    /// This binary plays this game from now on.
    Plays { game: std::sync::Arc<str>, digest: [u8; 32], version: String },
    /// A request is about to open a session.
    Opening { session: SessionId, record: Box<OpenRecord> },
    /// It came to nothing.
    NotOpened { session: SessionId },
    /// Nothing before this entry is needed any more, or nothing but the opening.
    Forget { game: std::sync::Arc<str>, session: SessionId, before: u64, spare: Spare },
    /// A session that was parked is in memory again, unless that was taken back meanwhile.
    Unpark { game: std::sync::Arc<str>, session: SessionId, wanted: Arc<AtomicBool> },
    /// Tells when all before it is on the disk.
    Flush(std::sync::mpsc::Sender<()>),
    /// A session's change.
    Entry { game: std::sync::Arc<str>, entry: Box<Entry> },
}

/// The open journal.
pub(super) struct Store {
    medium: Box<dyn Medium>,
    /// None after a failure.
    database: Option<Database>,
    books: Books,
}

impl Store {
    /// Opens it and reads everything.
    pub(super) fn open(medium: Box<dyn Medium>) -> Result<(Store, Contents), StoreError> {
        let mut store = Store { medium, database: None, books: Books::default() };
        let (contents, books) = store
            .with(|database| {
                let write = database.begin_write()?;
                let format = {
                    let mut meta = write.open_table(META)?;
                    let there = meta.get("format")?.map(|value| value.value());
                    if there.is_none() {
                        meta.insert("format", FORMAT)?;
                        write.open_table(GAMES)?;
                        write.open_table(ENTRIES)?;
                        write.open_table(OPENS)?;
                    }
                    there.unwrap_or(FORMAT)
                };
                if format != FORMAT {
                    return Ok(Err(format));
                }
                write.commit()?;
                read_all(database).map(Ok)
            })?
            .map_err(|format| StoreError::Format { name: store.medium.name(), format })?;
        store.books = books;
        store.shrink();
        Ok((store, contents))
    }

    /// Gives room back to the disk that a busier time took. Only at the start, when nobody waits for it; the file never shrinks while it serves.
    fn shrink(&mut self) {
        let _inside = Inside::of(&self.name());
        let before = self.disk_bytes();
        if before < SHRINK_BYTES_MIN || before / SHRINK_AT < self.books.totals.bytes {
            return;
        }
        let Some(mut database) = self.database.take() else { return };
        match database.compact() {
            Ok(_) => {
                self.database = Some(database);
                tracing::info!(
                    before,
                    after = self.disk_bytes(),
                    "the journal's file was mostly empty and is shorter now"
                );
            }
            // Every step of it is a transaction, so nothing is lost; the next use opens the file again.
            Err(error) => {
                tracing::warn!(%error, "the journal's file is mostly empty and could not be shortened; it is used as it is")
            }
        }
    }

    pub(super) fn name(&self) -> String {
        self.medium.name()
    }

    pub(super) fn totals(&self) -> Totals {
        self.books.totals
    }

    pub(super) fn disk_bytes(&self) -> u64 {
        self.medium.disk_bytes()
    }

    /// About how many bytes more there is room for, on the disk and in the file. Pages are never quite full.
    pub(super) fn headroom(&self) -> u64 {
        let used = self.books.totals.bytes.saturating_mul(5) / 4;
        self.medium.available().saturating_add(self.disk_bytes().saturating_sub(used))
    }

    /// Puts a batch on the disk. When it fails, nothing of it is there, or all of it: it may be tried again as it is.
    pub(super) fn commit(&mut self, batch: &[Job]) -> Result<(), StoreError> {
        if batch.iter().all(|job| self.has(job)) {
            return Ok(());
        }
        let mut books = self.books.clone();
        let keep = if self.headroom() < LOW_BYTES { Keep::LITTLE } else { Keep::USUAL };
        let mut flaw = None;
        let result = self.with(|database| {
            let mut write = database.begin_write()?;
            // After a crash the file is taken as it is, not walked through.
            write.set_quick_repair(true);
            {
                let mut meta = write.open_table(META)?;
                // As the disk has it: a batch whose commit failed may be there all the same.
                if let (Some(entries), Some(bytes)) = (meta.get("entries")?, meta.get("bytes")?) {
                    books.totals = Totals { entries: entries.value(), bytes: bytes.value() };
                }
                let mut tables = Tables {
                    games: write.open_table(GAMES)?,
                    entries: write.open_table(ENTRIES)?,
                    opens: write.open_table(OPENS)?,
                    touched: BTreeSet::new(),
                    books: &mut books,
                    keep,
                };
                for job in batch {
                    if let Err(error) = tables.apply(job) {
                        match error {
                            ApplyError::Database(error) => return Err(error),
                            ApplyError::Value(why) => flaw = Some(why),
                        }
                    }
                }
                tables.finish()?;
                meta.insert("entries", books.totals.entries)?;
                meta.insert("bytes", books.totals.bytes)?;
            }
            write.commit()?;
            Ok(())
        });
        result?;
        self.books = books;
        match flaw {
            None => Ok(()),
            Some(why) => Err(StoreError::Value { name: self.name(), why }),
        }
    }

    /// Whether the disk has this already: the same binary as before plays a game, as it does after most starts.
    fn has(&self, job: &Job) -> bool {
        let Job::Plays { game, digest, version } = job else { return false };
        let known = self.books.games.get(&**game);
        known.is_some_and(|known| known.digest == *digest && known.version == *version)
    }

    /// Looks at the database, opening it where a failure closed it.
    fn with<T>(&mut self, look: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, StoreError> {
        let _inside = Inside::of(&self.name());
        let medium = &self.medium;
        let failed =
            |source: redb::Error| StoreError::Database { name: medium.name(), source: Box::new(source) };
        let database = match self.database.take() {
            Some(database) => database,
            None => medium.open().map_err(|error| failed(error.into()))?,
        };
        let result = look(&database);
        match result {
            Ok(value) => {
                self.database = Some(database);
                Ok(value)
            }
            // Closed: it would refuse everything from now on.
            Err(error) => Err(failed(error)),
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let _inside = Inside::of(&self.name());
        drop(self.database.take());
    }
}

enum ApplyError {
    Database(redb::Error),
    Value(ValueFlaw),
}

impl<E: Into<redb::Error>> From<E> for ApplyError {
    fn from(error: E) -> ApplyError {
        ApplyError::Database(error.into())
    }
}

/// The tables of one transaction.
struct Tables<'t, 'b> {
    games: Table<'t, &'static str, &'static [u8]>,
    entries: Table<'t, EntryKey, &'static [u8]>,
    opens: Table<'t, u64, &'static [u8]>,
    /// Games whose record is to be written.
    touched: BTreeSet<String>,
    books: &'b mut Books,
    /// Of ended sessions.
    keep: Keep,
}

impl Tables<'_, '_> {
    fn apply(&mut self, job: &Job) -> Result<(), ApplyError> {
        match job {
            Job::Plays { game, digest, version } => {
                let record = self.game(game);
                (record.digest, record.version) = (*digest, version.clone());
            }
            Job::Opening { session, record } => {
                let value = seal(&session.0, record).map_err(ApplyError::Value)?;
                self.opens.insert(session.0, value.as_slice())?;
            }
            Job::NotOpened { session } => drop(self.opens.remove(session.0)?),
            Job::Forget { game, session, before, spare } => {
                let id = self.game(game).id;
                self.delete((id, session.0, 0), (id, session.0, *before), *spare)?;
                if *spare == Spare::Nothing {
                    Arc::make_mut(self.books.ended.entry(id).or_default()).bury(*session);
                    self.forget_oldest_ended(id)?;
                }
            }
            Job::Unpark { game, session, wanted } if wanted.load(Ordering::Relaxed) => {
                let id = self.game(game).id;
                self.delete((id, session.0, 0), (id, session.0, u64::MAX), Spare::Nothing)?;
                self.opens.remove(session.0)?;
            }
            Job::Unpark { .. } | Job::Flush(_) => {}
            Job::Entry { game, entry } => self.entry(game, entry)?,
        }
        Ok(())
    }

    /// What is known of a game, which gets a number when it is new.
    fn game(&mut self, name: &str) -> &mut GameRecord {
        let id = self.books.games.values().map(|game| game.id).max().unwrap_or(0) + 1;
        self.touched.insert(name.to_owned());
        let fresh = GameRecord { id, at: 0, digest: [0; 32], version: String::new() };
        self.books.games.entry(name.to_owned()).or_insert(fresh)
    }

    fn entry(&mut self, game: &str, entry: &Entry) -> Result<(), ApplyError> {
        let (session, at) = (entry.session, entry.at);
        let record = self.game(game);
        record.at = record.at.max(at);
        let id = record.id;
        match &entry.change {
            // It is carried out by a job of its own, and need not be kept.
            Change::Pruned { .. } => return Ok(()),
            Change::Ended(_) => {
                self.opens.remove(session.0)?;
            }
            Change::Played(played) if played.turn.kind == kind::OPEN => self.opened(session, played)?,
            _ => {}
        }
        let key = (id, session.0, at);
        let value = seal(&key, &entry.change).map_err(ApplyError::Value)?;
        let totals = &mut self.books.totals;
        let old = self.entries.insert(key, value.as_slice())?.map(|old| old.value().len() as u64);
        match old {
            // A batch that is tried again although the disk had it.
            Some(old) => totals.bytes = totals.bytes.saturating_sub(old),
            None => totals.entries += 1,
        }
        let bytes = value.len() as u64;
        totals.bytes += bytes;
        if matches!(entry.change, Change::Ended(_)) {
            Arc::make_mut(self.books.ended.entry(id).or_default()).add(session, bytes);
            self.forget_oldest_ended(id)?;
        }
        Ok(())
    }

    /// The open turn has its outcome: whoever asks again for this session is to be told the same.
    fn opened(
        &mut self,
        session: SessionId,
        played: &croupier_core::durable::Played,
    ) -> Result<(), ApplyError> {
        let Verdict::Done { reply, retries, .. } = &played.verdict else { return Ok(()) };
        let record: Option<Result<OpenRecord, ValueFlaw>> =
            self.opens.get(session.0)?.map(|value| unseal(&session.0, value.value()));
        // A damaged one stays as it is, for the next start to find.
        let Some(Ok(mut record)) = record else { return Ok(()) };
        let (seq, now_ns) = (played.turn.seq, played.turn.now_ns);
        record.done = Some(OpenDone { seq, now_ns, reply: reply.to_vec(), retries: *retries });
        let value = seal(&session.0, &record).map_err(ApplyError::Value)?;
        self.opens.insert(session.0, value.as_slice())?;
        Ok(())
    }

    fn forget_oldest_ended(&mut self, id: u32) -> Result<(), ApplyError> {
        while let Some(old) =
            self.books.ended.get_mut(&id).and_then(|ended| Arc::make_mut(ended).pop(self.keep))
        {
            self.delete((id, old.0, 0), (id, old.0, u64::MAX), Spare::Nothing)?;
        }
        Ok(())
    }

    /// Deletes the entries from `from` up to and without `to`.
    fn delete(&mut self, from: EntryKey, to: EntryKey, spare: Spare) -> Result<(), ApplyError> {
        let totals = &mut self.books.totals;
        let goes = |value: &[u8]| spare == Spare::Nothing || !is_opened(value);
        for gone in self.entries.extract_from_if(from..to, |_, value| goes(value))? {
            totals.entries = totals.entries.saturating_sub(1);
            totals.bytes = totals.bytes.saturating_sub(gone?.1.value().len() as u64);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(), redb::Error> {
        for name in &self.touched {
            // A name and numbers: that can always be written.
            let Some(Ok(value)) = self.books.games.get(name).map(|record| seal(&name.as_str(), record))
            else {
                continue;
            };
            self.games.insert(name.as_str(), value.as_slice())?;
        }
        Ok(())
    }
}

/// What stays when entries are forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spare {
    /// Nothing: the session has ended.
    Nothing,
    /// The opening.
    Opened,
}
