//! Writes transcripts, in one thread of its own.
//!
//! Lines are gathered per session and appended together, so that a hundred thousand sessions need no descriptors. What waits is bounded: when
//! the disk cannot keep up, games wait for it rather than play turns that nobody could verify. A transcript that could not be written is
//! reported once, ends before the first line that did not fit whole, is not gone on with when there is room again, and has no last line,
//! which every verifier refuses. A transcript that is there already is never written to or over.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use croupier_core::action::EndReason;
use croupier_core::ids::SessionId;
use croupier_fair::chain::{FORMAT_VERSION, Header};
use croupier_fair::entry::Entry;
use croupier_fair::seed::ServerSeed;
use croupier_fair::transcript::{Reveal as Sealing, TranscriptWriter};

use super::disk::{append, list_finished, rename_new};
use super::go_on::{Continued, There, go_on};
use super::keys::Keys;
use crate::game::transcripts::{Known, Opening, Reveal, TranscriptSink, WhenDropped};

/// Records that wait for the thread.
const WAITING_MAX: usize = 65_536;
/// Bytes that are gathered for one session before they are appended to its file.
const GATHERED_BYTES_MAX: usize = 64 << 10;
/// Bytes that are gathered for all sessions together.
const GATHERED_TOTAL_MAX: usize = 64 << 20;
/// Complaints about the disk are at least this far apart; those between are counted.
const COMPLAIN_EVERY: Duration = Duration::from_secs(1);
/// Longest that a line waits for company.
const GATHER_TIME: Duration = Duration::from_secs(1);

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Bytes of finished transcripts; beyond, the oldest are deleted.
    pub bytes_max: u64,
}

/// The writing end; give it to the supervisor as a [`TranscriptSink`].
#[derive(Debug)]
pub struct FileTranscripts {
    jobs: Option<SyncSender<Job>>,
    /// It was said that the thread is gone.
    told: AtomicBool,
    thread: Option<JoinHandle<()>>,
}

enum Job {
    Open { session: SessionId, header: Box<Header>, reveal: Reveal },
    Resume { header: Box<Header>, reveal: Reveal, known: Known },
    Checkpoint(SessionId, Arc<WhenDropped>),
    Record(SessionId, Box<Entry>),
    Close(SessionId, Box<ServerSeed>, EndReason),
}

impl FileTranscripts {
    /// Starts the thread, which writes into `dir`.
    ///
    /// # Errors
    /// When the directory cannot be made or read.
    pub fn start(dir: &Path, keys: Keys, keep: Keep) -> io::Result<FileTranscripts> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let finished = list_finished(dir)?;
        let (jobs, inbox) = sync_channel(WAITING_MAX);
        let writer = Writer {
            dir: dir.to_owned(),
            keys,
            keep,
            open: HashMap::new(),
            gathered: 0,
            complained: None,
            silent: 0,
            finished_bytes: finished.iter().map(|(_, bytes)| bytes).sum(),
            finished,
        };
        let thread =
            std::thread::Builder::new().name("transcripts".to_owned()).spawn(move || writer.run(&inbox))?;
        Ok(FileTranscripts { jobs: Some(jobs), told: AtomicBool::new(false), thread: Some(thread) })
    }

    fn give(&self, job: Job) {
        if let Some(jobs) = &self.jobs
            && jobs.send(job).is_err()
            && !self.told.swap(true, Ordering::Relaxed)
        {
            tracing::error!("the transcript writer is gone; transcripts from now on are incomplete");
        }
    }
}

impl Drop for FileTranscripts {
    /// Writes out what waits.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl TranscriptSink for FileTranscripts {
    fn open(&self, opening: &Opening<'_>) {
        let header = Box::new(header(opening));
        self.give(Job::Open { session: opening.session, header, reveal: opening.reveal });
    }

    fn resume(&self, opening: &Opening<'_>, known: Known) {
        self.give(Job::Resume { header: Box::new(header(opening)), reveal: opening.reveal, known });
    }

    fn checkpoint(&self, session: SessionId, written: Arc<WhenDropped>) {
        self.give(Job::Checkpoint(session, written));
    }

    fn record(&self, session: SessionId, entry: &Entry) {
        self.give(Job::Record(session, Box::new(entry.clone())));
    }

    fn close(&self, session: SessionId, seed: &ServerSeed, reason: EndReason, _: u64) {
        self.give(Job::Close(session, Box::new(seed.clone()), reason));
    }
}

fn header(opening: &Opening<'_>) -> Header {
    let player = opening.player;
    Header {
        format: FORMAT_VERSION,
        session: opening.session.0,
        plugin: player.plugin.clone(),
        plugin_version: player.version.clone(),
        digest: player.digest,
        state_version: player.state_version,
        commit: opening.commit,
        opened_ns: opening.opened_ns,
        hidden_information: player.hidden_information,
        tick_period_ns: opening.tick_ns,
        // The thread has the key, and puts it in.
        server_key: [0; 32],
    }
}

/// The thread's state.
struct Writer {
    dir: PathBuf,
    keys: Keys,
    keep: Keep,
    open: HashMap<SessionId, Open>,
    gathered: usize,
    /// When it was last said that something cannot be written.
    complained: Option<Instant>,
    /// Transcripts that broke since without a word.
    silent: u64,
    finished: VecDeque<(PathBuf, u64)>,
    finished_bytes: u64,
}

/// One session's transcript.
struct Open {
    writer: TranscriptWriter,
    reveal: Reveal,
    gathered: Vec<u8>,
    written: u64,
    broken: bool,
}

impl Writer {
    fn run(mut self, inbox: &Receiver<Job>) {
        let mut flush_at = Instant::now() + GATHER_TIME;
        loop {
            let wait = flush_at.saturating_duration_since(Instant::now());
            match inbox.recv_timeout(wait) {
                Ok(job) => self.take(job),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.gathered > GATHERED_TOTAL_MAX || Instant::now() >= flush_at {
                self.flush_all();
                flush_at = Instant::now() + GATHER_TIME;
            }
        }
        self.flush_all();
    }

    fn take(&mut self, job: Job) {
        match job {
            Job::Open { session, mut header, reveal } => {
                header.server_key = self.keys.server.public().0;
                let (writer, bytes) = TranscriptWriter::new(*header);
                let open = Open { writer, reveal, gathered: Vec::new(), written: 0, broken: false };
                self.open.insert(session, open);
                self.gather(session, bytes);
            }
            Job::Checkpoint(session, written) => {
                self.flush(session);
                self.sync(session);
                drop(written);
            }
            Job::Resume { header, reveal, known } => self.resume(*header, reveal, &known),
            Job::Record(session, entry) => {
                let Some(open) = self.open.get_mut(&session) else { return };
                let bytes = open.writer.push(&entry);
                self.gather(session, bytes);
            }
            Job::Close(session, seed, reason) => self.close(session, &seed, reason),
        }
    }

    /// Goes on with what an earlier supervisor wrote, and writes what it had not written yet.
    fn resume(&mut self, mut header: Header, reveal: Reveal, known: &Known) {
        let session = SessionId(header.session);
        if self.whole(session).exists() {
            return; // It was closed, and only its answers are left.
        }
        let path = self.part(session);
        let first = known.first_seq();
        let there = if path.exists() { go_on(&path) } else { Ok(There::Nothing) };
        let continued = match there {
            Ok(There::Begun(continued)) => Ok(continued),
            Ok(There::Whole { written }) => return self.finish_file(session, written),
            Ok(There::Nothing) if known.entries.first().is_some_and(|entry| entry.seq == 1) => {
                header.server_key = self.keys.server.public().0;
                let (writer, bytes) = TranscriptWriter::new(header);
                Ok(Continued { writer, last_seq: 0, written: 0, bytes })
            }
            Ok(There::Nothing) => Err(io::Error::other("nothing of it is there")),
            Err(error) => Err(error),
        };
        let continued = continued.and_then(|continued| match continued.last_seq + 1 {
            next if first > next => Err(io::Error::other(format!(
                "turns {next} to {} were not written, and are not in the journal any more",
                first - 1
            ))),
            _ => Ok(continued),
        });
        match continued {
            Ok(Continued { writer, last_seq, written, bytes }) => {
                self.finished.retain(|(finished, _)| *finished != path);
                let open = Open { writer, reveal, gathered: Vec::new(), written, broken: false };
                self.open.insert(session, open);
                self.gather(session, bytes);
                for entry in known.entries.iter().filter(|entry| entry.seq > last_seq) {
                    let Some(open) = self.open.get_mut(&session) else { return };
                    let bytes = open.writer.push(entry);
                    self.gather(session, bytes);
                }
            }
            Err(error) => tracing::error!(session = session.0, path = %path.display(), %error,
                "the transcript cannot be gone on with: it stays incomplete"),
        }
    }

    fn gather(&mut self, session: SessionId, bytes: Vec<u8>) {
        let Some(open) = self.open.get_mut(&session) else { return };
        self.gathered += bytes.len();
        open.gathered.extend(bytes);
        if open.gathered.len() >= GATHERED_BYTES_MAX {
            self.flush(session);
        }
    }

    fn close(&mut self, session: SessionId, seed: &ServerSeed, reason: EndReason) {
        let Some(open) = self.open.get(&session) else { return };
        let reveal = match open.reveal {
            Reveal::Public => Sealing::Public(seed.clone()),
            Reveal::Auditor => Sealing::Sealed {
                sealed: self.keys.auditor.seal(seed, crate::entropy::bytes()),
                auditor: self.keys.auditor,
            },
        };
        match open.writer.clone().finish(reason.word(), reveal, &self.keys.server) {
            Ok(bytes) => self.gather(session, bytes),
            Err(error) => tracing::error!(session = session.0, %error, "cannot sign the transcript"),
        }
        self.flush(session);
        if let Some(open) = self.open.remove(&session)
            && !open.broken
        {
            self.finish_file(session, open.written);
        }
    }

    fn flush_all(&mut self) {
        let waiting: Vec<SessionId> =
            self.open.iter().filter(|(_, open)| !open.gathered.is_empty()).map(|(id, _)| *id).collect();
        for session in waiting {
            self.flush(session);
        }
    }

    /// Appends what is gathered for one session to its file.
    fn flush(&mut self, session: SessionId) {
        let (path, finished) = (self.part(session), self.whole(session));
        let Some(open) = self.open.get_mut(&session) else { return };
        let bytes = std::mem::take(&mut open.gathered);
        self.gathered -= bytes.len();
        if open.broken || bytes.is_empty() {
            return;
        }
        let appended = match open.written {
            0 if finished.exists() => Err(io::ErrorKind::AlreadyExists.into()),
            written => append(&path, written, &bytes),
        };
        match appended {
            Ok(()) => open.written += bytes.len() as u64,
            Err(error) => {
                open.broken = true;
                self.complain(session, &path, &error);
            }
        }
    }

    /// Waits until the disk has what was appended.
    fn sync(&self, session: SessionId) {
        for path in [self.part(session), self.whole(session)] {
            match std::fs::File::open(&path).and_then(|file| file.sync_data()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::error!(session = session.0, %error, "cannot flush the transcript to the disk");
                }
                _ => {}
            }
        }
    }

    /// Says that a transcript is lost; not for each of a hundred thousand.
    fn complain(&mut self, session: SessionId, path: &Path, error: &io::Error) {
        let now = Instant::now();
        if self.complained.is_some_and(|then| now < then + COMPLAIN_EVERY) {
            self.silent += 1;
            return;
        }
        self.complained = Some(now);
        let (path, others) = (path.display(), std::mem::take(&mut self.silent));
        if error.kind() == io::ErrorKind::AlreadyExists {
            tracing::error!(session = session.0, %path, others,
                "a transcript of this session is there already and is left alone, so there is none of this one; was next_session in the state directory changed?");
        } else {
            tracing::error!(session = session.0, %path, %error, others,
                "cannot write the transcript: it stays incomplete; make room on the disk");
        }
    }

    fn finish_file(&mut self, session: SessionId, bytes: u64) {
        let path = self.whole(session);
        if let Err(error) = rename_new(&self.part(session), &path) {
            tracing::error!(session = session.0, %error, "cannot finish the transcript's file");
            return;
        }
        self.finished_bytes += bytes;
        self.finished.push_back((path, bytes));
        while self.finished_bytes > self.keep.bytes_max
            && self.finished.len() > 1
            && let Some((old, bytes)) = self.finished.pop_front()
        {
            self.finished_bytes -= bytes;
            if let Err(error) = std::fs::remove_file(&old) {
                tracing::warn!(path = %old.display(), %error, "cannot delete an old transcript");
            }
        }
    }

    fn whole(&self, session: SessionId) -> PathBuf {
        self.dir.join(format!("{session}.jsonl"))
    }

    fn part(&self, session: SessionId) -> PathBuf {
        self.dir.join(format!("{session}.jsonl.part"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::game::transcripts::Player;
    use croupier_fair::entry::Verdict;
    use croupier_fair::report::Part;
    use croupier_fair::verify::{VerifyOptions, verify};

    fn entry(seq: u64, kind: u16) -> Entry {
        Entry {
            seq,
            kind,
            player: 0,
            now_ns: 10 + seq,
            payload: [].into(),
            client_seed: [].into(),
            calls: Vec::new(),
            verdict: Verdict::Done { reply: [].into(), effects: Vec::new() },
        }
    }

    fn player() -> Player {
        Player {
            plugin: "dice".into(),
            version: "1.0.0".into(),
            digest: [9; 32],
            state_version: 1,
            hidden_information: false,
        }
    }

    fn opening<'a>(session: SessionId, player: &'a Player, seed: &ServerSeed) -> Opening<'a> {
        let commit = seed.commit(session.0);
        Opening { session, player, commit, opened_ns: 10, tick_ns: 0, reveal: Reveal::Public }
    }

    fn play(sink: &FileTranscripts, session: u64, seed: &ServerSeed) {
        let session = SessionId(session);
        sink.open(&opening(session, &player(), seed));
        sink.record(session, &entry(1, 0));
        sink.record(session, &entry(2, 5));
        sink.close(session, seed, EndReason::Closed, 20);
    }

    #[test]
    fn a_written_transcript_verifies_and_old_ones_make_room() {
        let dir = tempfile::tempdir().unwrap();
        let keys = || super::super::keys::load(&dir.path().join("keys"), None).unwrap();
        let seed = ServerSeed::from_bytes([5; 32]);
        let transcripts = dir.path().join("transcripts");
        let sink = FileTranscripts::start(&transcripts, keys(), Keep { bytes_max: 1 << 20 }).unwrap();
        play(&sink, 1, &seed);
        drop(sink);
        let file = std::fs::File::open(transcripts.join("1.jsonl")).unwrap();
        let verified = verify(io::BufReader::new(file), &VerifyOptions::default()).unwrap();
        assert!(verified.report.nothing_failed(), "{:?}", verified.report.check(Part::Chain));
        let sink = FileTranscripts::start(&transcripts, keys(), Keep { bytes_max: 1 }).unwrap();
        play(&sink, 2, &seed);
        drop(sink);
        assert!(!transcripts.join("1.jsonl").exists());
        assert!(transcripts.join("2.jsonl").exists());
    }

    #[test]
    fn what_is_there_is_never_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let keys = super::super::keys::load(&dir.path().join("keys"), None).unwrap();
        let transcripts = dir.path().join("transcripts");
        let sink = FileTranscripts::start(&transcripts, keys, Keep { bytes_max: 1 << 20 }).unwrap();
        std::fs::write(transcripts.join("1.jsonl"), "finished").unwrap();
        std::fs::write(transcripts.join("2.jsonl.part"), "begun").unwrap();
        let seed = ServerSeed::from_bytes([5; 32]);
        (1..=3).for_each(|session| play(&sink, session, &seed));
        drop(sink);
        let read = |name| std::fs::read_to_string(transcripts.join(name)).unwrap_or_default();
        assert_eq!((read("1.jsonl"), read("1.jsonl.part")), ("finished".to_owned(), String::new()));
        assert_eq!((read("2.jsonl"), read("2.jsonl.part")), (String::new(), "begun".to_owned()));
        assert!(read("3.jsonl").ends_with("\n"));
    }

    #[test]
    fn a_whole_transcript_that_lacks_its_last_name_gets_it() {
        let dir = tempfile::tempdir().unwrap();
        let keys = || super::super::keys::load(&dir.path().join("keys"), None).unwrap();
        let transcripts = dir.path().join("transcripts");
        let start = || FileTranscripts::start(&transcripts, keys(), Keep { bytes_max: 1 << 20 }).unwrap();
        let seed = ServerSeed::from_bytes([5; 32]);
        let sink = start();
        play(&sink, 1, &seed);
        drop(sink);
        let (part, whole) = (transcripts.join("1.jsonl.part"), transcripts.join("1.jsonl"));
        let bytes = std::fs::read(&whole).unwrap();
        std::fs::rename(&whole, &part).unwrap();
        let sink = start();
        sink.resume(&opening(SessionId(1), &player(), &seed), Known::default());
        sink.close(SessionId(1), &seed, EndReason::Closed, 20);
        drop(sink);
        assert_eq!(std::fs::read(&whole).unwrap(), bytes);
        assert!(!part.exists());
    }

    #[test]
    fn a_transcript_of_which_not_one_line_was_written_begins_again() {
        let dir = tempfile::tempdir().unwrap();
        let keys = super::super::keys::load(&dir.path().join("keys"), None).unwrap();
        let transcripts = dir.path().join("transcripts");
        let sink = FileTranscripts::start(&transcripts, keys, Keep { bytes_max: 1 << 20 }).unwrap();
        std::fs::write(transcripts.join("1.jsonl.part"), "").unwrap();
        std::fs::write(transcripts.join("2.jsonl.part"), "{\"header\":{\"form").unwrap();
        let seed = ServerSeed::from_bytes([5; 32]);
        for session in [1, 2].map(SessionId) {
            sink.resume(
                &opening(session, &player(), &seed),
                Known { last_seq: 1, entries: vec![entry(1, 0)] },
            );
            sink.record(session, &entry(2, 5));
            sink.close(session, &seed, EndReason::Closed, 20);
        }
        drop(sink);
        for session in 1..=2 {
            let file = std::fs::File::open(transcripts.join(format!("{session}.jsonl"))).unwrap();
            let verified = verify(io::BufReader::new(file), &VerifyOptions::default()).unwrap();
            assert!(verified.report.nothing_failed(), "{:?}", verified.report.check(Part::Chain));
        }
    }

    #[test]
    fn a_transcript_that_ends_before_what_the_journal_knows_is_not_gone_on_with() {
        let dir = tempfile::tempdir().unwrap();
        let keys = || super::super::keys::load(&dir.path().join("keys"), None).unwrap();
        let transcripts = dir.path().join("transcripts");
        let start = || FileTranscripts::start(&transcripts, keys(), Keep { bytes_max: 1 << 20 }).unwrap();
        let seed = ServerSeed::from_bytes([5; 32]);
        let sink = start();
        for session in [1, 2].map(SessionId) {
            sink.open(&opening(session, &player(), &seed));
            (1..=3).for_each(|seq| sink.record(session, &entry(seq, 0)));
        }
        drop(sink);
        // Both were in memory; of the second one the last turn was played and is not there.
        let sink = start();
        for (session, last_seq) in [(SessionId(1), 3), (SessionId(2), 4)] {
            sink.resume(&opening(session, &player(), &seed), Known { last_seq, entries: Vec::new() });
            sink.record(session, &entry(last_seq + 1, 5));
            sink.close(session, &seed, EndReason::Closed, 20);
        }
        drop(sink);
        assert!(transcripts.join("1.jsonl").exists());
        assert!(!transcripts.join("2.jsonl").exists() && transcripts.join("2.jsonl.part").exists());
    }

    #[test]
    fn a_lost_directory_breaks_a_transcript_for_good() {
        let dir = tempfile::tempdir().unwrap();
        let keys = super::super::keys::load(&dir.path().join("keys"), None).unwrap();
        let transcripts = dir.path().join("transcripts");
        let sink = FileTranscripts::start(&transcripts, keys, Keep { bytes_max: 1 << 20 }).unwrap();
        std::fs::remove_dir(&transcripts).unwrap();
        let seed = ServerSeed::from_bytes([5; 32]);
        play(&sink, 1, &seed);
        drop(sink);
        assert!(!transcripts.exists());
    }
}
