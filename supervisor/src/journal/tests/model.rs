//! What the disk should have, and changes to put there.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use croupier_core::action::EndReason;
use croupier_core::durable::{
    Answer, Change, Ended, Entry, Kept, Opened, Parked, Played, Side, Turn, Verdict,
};
use croupier_core::ids::SessionId;

use super::disk::Dice;
use crate::journal::{Contents, GameJournal, Journal};

type Sessions = BTreeMap<SessionId, Vec<(u64, Change)>>;

/// One game: all that was put, and what was told.
pub(super) struct Game {
    pub(super) name: String,
    journal: GameJournal,
    whole: Journal,
    pub(super) put: Vec<Entry>,
    told: Arc<(Mutex<u64>, Condvar)>,
    /// Live sessions: their last turns, and the entries of their last two snapshots.
    live: BTreeMap<SessionId, (u64, [u64; 2])>,
}

impl Game {
    pub(super) fn new(journal: &Journal, name: &str) -> Game {
        let told = Arc::new((Mutex::new(0), Condvar::new()));
        let tell = told.clone();
        let end = journal.game(
            name,
            Box::new(move |at| {
                let mut told = tell.0.lock().unwrap();
                assert!(at > *told, "told {at} after {told}");
                *told = at;
                tell.1.notify_all();
            }),
        );
        end.plays([7; 32], "1.2.3");
        Game {
            name: name.to_owned(),
            journal: end,
            whole: journal.clone(),
            put: Vec::new(),
            told,
            live: BTreeMap::new(),
        }
    }

    pub(super) fn told(&self) -> u64 {
        *self.told.0.lock().unwrap()
    }

    /// Waits until everything is told; gives up after a time in which any disk is done.
    pub(super) fn all_told(&self) {
        let told = self.told.0.lock().unwrap();
        let wanted = self.put.len() as u64;
        let (told, late) =
            self.told.1.wait_timeout_while(told, Duration::from_secs(15), |told| *told < wanted).unwrap();
        assert!(!late.timed_out(), "{} of {wanted} entries told: {:?}", *told, self.whole.status());
    }

    pub(super) fn put(&mut self, session: SessionId, change: Change) -> u64 {
        let entry = Entry { at: self.put.len() as u64 + 1, session, change };
        self.put.push(entry.clone());
        let at = entry.at;
        let forget = match &entry.change {
            Change::Pruned { from } => Some(*from),
            _ => None,
        };
        let is_end = matches!(entry.change, Change::Ended(_));
        self.journal.put(Box::new(entry));
        if (forget.is_some() || is_end) && at.is_multiple_of(8) {
            // Time for the writer to take the entry without what follows from it.
            std::thread::sleep(Duration::from_micros(300));
        }
        if let Some(from) = forget {
            self.journal.prune(session, from);
        }
        if is_end {
            self.journal.bury(session, at);
        }
        at
    }

    /// Something that a game could do.
    pub(super) fn play(&mut self, dice: &mut Dice, sessions: u64) {
        let session = SessionId(1 + dice.below(sessions));
        let Some((seq, snapshots)) = self.live.get(&session).copied() else {
            if self.put.iter().any(|entry| entry.session == session) {
                return; // An id is never used twice.
            }
            self.put(session, opened(session));
            self.put(session, played(0, 1, 8));
            self.live.insert(session, (1, [0, 0]));
            return;
        };
        match dice.below(20) {
            0 => {
                self.live.remove(&session);
                let key = (1, seq, 2);
                let verdict = Verdict::Poison;
                self.put(session, ended(vec![Answer { key, seq, now_ns: 1, verdict }]));
            }
            1..4 => {
                let at = self.put(session, snapshot(seq, dice.below(300) as usize));
                let previous = snapshots[1];
                if previous > 0 {
                    self.put(session, Change::Pruned { from: previous });
                }
                self.live.insert(session, (seq, [previous, at]));
            }
            _ => {
                self.put(session, played(3, seq + 1, dice.below(400) as usize));
                self.live.insert(session, (seq + 1, snapshots));
            }
        }
    }

    /// The sessions as of entry `at`. What is to be forgotten then is a job of its own, behind the entry that says so: a cut may lie between them.
    pub(super) fn as_of(&self, at: u64, forgotten: Forgotten) -> Sessions {
        let mut sessions = Sessions::new();
        for entry in &self.put[..at as usize] {
            let forget = entry.at < at || forgotten == Forgotten::Yes;
            let changes = sessions.entry(entry.session).or_default();
            match &entry.change {
                Change::Pruned { from } if forget => {
                    changes.retain(|(at, change)| at >= from || matches!(change, Change::Opened(_)));
                }
                Change::Ended(_) if forget => changes.clear(),
                _ => {}
            }
            if !matches!(entry.change, Change::Pruned { .. }) {
                changes.push((entry.at, entry.change.clone()));
            }
        }
        sessions
    }

    /// The disk has a prefix of what was put, and all that was told.
    pub(super) fn check(&self, contents: &Contents) -> u64 {
        let none = Default::default();
        let there = contents.games.get(&self.name).unwrap_or(&none);
        assert!(there.at >= self.told(), "{}: told {}, there {}", self.name, self.told(), there.at);
        assert!(there.at <= self.put.len() as u64);
        let sessions: Sessions =
            there.sessions.iter().map(|(session, found)| (*session, found.changes.clone())).collect();
        if sessions != self.as_of(there.at, Forgotten::NotYet) {
            assert_eq!(sessions, self.as_of(there.at, Forgotten::Yes), "{}: as of {}", self.name, there.at);
        }
        there.at
    }
}

/// Whether what the last entry lets be forgotten is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Forgotten {
    Yes,
    NotYet,
}

pub(super) fn opened(session: SessionId) -> Change {
    let seed = [session.0 as u8; 32];
    Change::Opened(Box::new(Opened { opened_ns: 5, seed, tick_ns: 0, idle_ns: 0, queue_max: 4 }))
}

pub(super) fn ended(answers: Vec<Answer>) -> Change {
    Change::Ended(Box::new(Ended { reason: EndReason::Closed, seed: [1; 32], answers }))
}

pub(super) fn played(kind: u16, seq: u64, bytes: usize) -> Change {
    let turn = Turn {
        seq,
        kind,
        player: 1,
        now_ns: 10 + seq,
        seed: [3; 32],
        payload: vec![b'p'; bytes].into(),
        client_seed: [].into(),
        mix: [4; 32],
        calls: vec![(1, 0, [1, 2].into())],
    };
    let verdict = Verdict::Done { reply: vec![b'r'; bytes / 2].into(), retries: 0, outcome: seq };
    Change::Played(Box::new(Played {
        digest: [7; 32],
        epoch: 1,
        turn,
        key: Some((9, seq, 1)),
        verdict,
        outputs: vec![],
    }))
}

pub(super) fn snapshot(seq: u64, bytes: usize) -> Change {
    let side = Side { last_seq: seq, last_now_ns: 10 + seq, ..Side::default() };
    let bytes = vec![b's'; bytes].into();
    Change::Snapshot(Box::new(Kept { seq, bytes, state_version: 1, digest: [7; 32], side }))
}

pub(super) fn parked(seq: u64) -> Change {
    let side = Side { last_seq: seq, last_now_ns: 10 + seq, ..Side::default() };
    Change::Parked(Box::new(Parked { digest: [7; 32], snapshots: [None, None], records: vec![], side }))
}
