//! A made-up disk, and what the supervisor's death leaves of the world.
//!
//! Entries wait until they are written; a death keeps all that were written and told, some that were written and not told, and none of the rest.

use std::collections::{BTreeMap, HashSet, VecDeque};

use croupier_core::action::{Answered, EndReason};
use croupier_core::durable::{Change, Entry};
use croupier_core::event::{Event, HostKey};
use croupier_core::ids::{RequestId, SessionId};
use croupier_core::{Game, Spec};
use croupier_fair::entry;

use crate::on_disk::{is_parked, known, line};
use crate::world::World;

/// What lies on the disk, and what is on its way there.
#[derive(Default)]
pub(crate) struct Disk {
    /// Not written yet.
    pub(crate) waiting: VecDeque<Entry>,
    written: BTreeMap<SessionId, Vec<(u64, Change)>>,
    /// The newest entry that was written.
    at: u64,
    /// The newest entry that was ever made.
    made: u64,
    /// Host calls that may be performed once more: whoever asked first is dead.
    pub(crate) again: HashSet<HostKey>,
}

impl Disk {
    pub(crate) fn take(&mut self, entry: Entry) {
        assert_eq!(entry.at, self.made + 1, "entries are numbered without a gap");
        self.made = entry.at;
        self.waiting.push_back(entry);
    }

    /// Whether a session has ended according to the disk, so that its transcript may be closed once more.
    pub(crate) fn closes_again(&self, session: SessionId) -> bool {
        self.written.get(&session).is_some_and(|changes| matches!(changes[..], [(_, Change::Ended(_))]))
    }

    fn write(&mut self, count: usize) {
        for Entry { at, session, change } in self.waiting.drain(..count.min(self.waiting.len())) {
            self.at = at;
            let changes = self.written.entry(session).or_default();
            match &change {
                Change::Pruned { from } => {
                    assert!(
                        changes
                            .iter()
                            .any(|(at, change)| at == from && matches!(change, Change::Snapshot(_))),
                        "pruned up to something that is no snapshot on the disk"
                    );
                    changes.retain(|(at, change)| at >= from || matches!(change, Change::Opened(_)));
                }
                Change::Ended(_) => *changes = vec![(at, change)],
                _ => changes.push((at, change)),
            }
        }
    }
}

impl World {
    /// The disk writes so many entries, and says so.
    pub(crate) fn sync(&mut self, count: usize) {
        self.disk.write(count);
        self.step(Event::Durable { at: self.disk.at });
    }

    /// Sessions of which the disk has something.
    pub(crate) fn on_disk(&self) -> Vec<SessionId> {
        self.disk.written.keys().copied().collect()
    }

    /// The supervisor dies, with all its workers. Of what was not written, `lucky` entries came to the disk without anybody being told. Returns the
    /// requests that will never be answered.
    pub(crate) fn crash(&mut self, lucky: usize, change: impl FnOnce(&mut Spec)) -> Vec<RequestId> {
        self.heard.clear();
        self.disk.write(lucky);
        self.disk.waiting.clear();
        self.disk.made = self.disk.at;
        let unanswered = (1..=self.last_request).map(RequestId);
        let lost = unanswered.filter(|request| !self.answers.contains_key(request)).collect();
        self.forget();
        let mut spec = World::spec();
        change(&mut spec);
        spec.journal_at = self.disk.at;
        self.game = Game::new(spec);
        for (session, changes) in self.disk.written.clone() {
            self.step(Event::Adopt { session, changes });
        }
        self.catch_up();
        // What was parked is in memory alone again, before anything is played.
        self.disk.written.retain(|_, changes| !is_parked(changes));
        self.start();
        lost
    }

    /// The supervisor ends as planned, and the next one goes on. Returns as [`World::crash`].
    pub(crate) fn park_and_rise(&mut self, change: impl FnOnce(&mut Spec)) -> Vec<RequestId> {
        let request = self.request();
        self.step(Event::Park { request });
        self.sync(usize::MAX);
        assert_eq!(self.answers.get(&request), Some(&Ok(Answered::Ok)), "the disk has them");
        self.crash(0, change)
    }

    /// What was only in the supervisor's memory, or in the workers, is gone; what was let out must be on the disk.
    fn forget(&mut self) {
        self.workers.clear();
        self.questions.clear();
        self.stopped = false;
        let written = &self.disk.written;
        let of = |session: &SessionId| written.get(session).map(|changes| known(changes));
        for (session, records) in &self.records {
            if self.opened.get(session).is_none_or(|opened| opened.ended == Some(EndReason::OpenRefused)) {
                // It never was; that it was refused needs no disk.
                continue;
            }
            let ended = matches!(written.get(session).map(Vec::as_slice), Some([(_, Change::Ended(_))]));
            let last = of(session).map_or(0, |(last, _)| last);
            let let_out = records.last().map_or(0, |entry| entry.seq);
            assert!(
                ended || let_out <= last,
                "turn {let_out} of {session} was let out, and the disk has {last}"
            );
        }
        for key in &self.performed {
            let Some((last, asking)) = of(&key.session) else {
                panic!("{key:?} was performed, and the disk knows nothing of it")
            };
            let ended = matches!(written[&key.session][..], [(_, Change::Ended(_))]);
            assert!(ended || key.seq <= last || asking.contains(&key.seq), "{key:?} is nowhere");
        }
        self.disk.again = self.performed.clone();
        let keeps = |session: &SessionId, seq: u64| {
            of(session).is_some_and(|(last, asking)| seq <= last || asking.contains(&seq))
        };
        self.given.retain(|(session, seq), _| keeps(session, *seq));
        for ((session, seq), turn) in &mut self.given {
            if of(session).is_some_and(|(last, _)| *seq > last) {
                // Which answers it had is forgotten; the platform gives the same ones again.
                turn.calls.clear();
            }
        }
        self.seen.retain(|session, (seq, _)| of(session).is_some_and(|(last, _)| *seq <= last));
        self.opened.retain(|session, opened| opened.ended.is_some() || written.contains_key(session));
        self.records.retain(|session, _| self.opened.contains_key(session));
    }

    /// Followers come back for what they missed, and transcripts get the lines that they lack.
    fn catch_up(&mut self) {
        for (session, changes) in &self.disk.written {
            let live = self.game.session_views(usize::MAX).iter().any(|view| view.session == *session);
            let ended = !live;
            if known(changes) == (0, Vec::new()) && !ended {
                // Its open turn never came to the disk, so it was never open.
                self.opened.remove(session);
            }
            let Some(opened) = self.opened.get_mut(session) else { continue };
            if ended {
                // What became of it in between is in no journal any more: its transcript stays as it is, and is of no use here.
                opened.ended.get_or_insert(EndReason::Closed);
                self.cut_short.insert(*session);
                self.seen.remove(session);
                continue;
            }
            let records = self.records.entry(*session).or_default();
            for line in changes.iter().filter_map(|(_, change)| line(change)) {
                let next = records.last().map_or(1, |last| last.seq + 1);
                if line.seq >= next {
                    assert_eq!(line.seq, next, "a turn of {session} is nowhere");
                    records.push(line);
                }
            }
            let poison = records.iter().filter(|entry| entry.verdict == entry::Verdict::Poison).count();
            let view = self.game.session_view(*session).expect("it is live");
            assert_eq!(view.poison as usize, poison, "poison turns of {session} are forgotten");
            let outputs = self.outputs.entry(*session).or_default();
            let missed = self.game.outputs(*session, outputs.len() as u64 + 1).expect("within the window");
            outputs.extend(missed);
        }
    }
}
