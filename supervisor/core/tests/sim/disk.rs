//! The simulated disk: entries of all games wait, are written in groups, and are there for good when the group is. It can be slow, full, or fail.
//!
//! ```text
//!  take ─▶ waiting ─begin─▶ (being written) ─commit─▶ written ─▶ told
//!                               └─ the supervisor dies: a part of it is there, and perhaps a torn piece of the next entry
//! ```
//!
//! With a [`Codec`] the entries lie there as bytes, and a torn one may be anything.

use std::collections::{BTreeMap, VecDeque};

use croupier_core::durable::{Change, Entry};
use croupier_core::ids::SessionId;

use crate::clock::{Dice, GameAt};
use crate::on_disk::is_parked;

/// Sessions that have ended, of which the disk keeps the answers, per game.
const ENDED_KEPT: usize = 64;

/// Game, session, number of the entry.
pub(crate) type Place = (u32, u64, u64);

/// How an entry becomes bytes and comes back.
#[derive(Clone, Copy)]
pub(crate) struct Codec {
    pub(crate) seal: fn(Place, &Change) -> Vec<u8>,
    /// None when the bytes are not to be believed.
    pub(crate) unseal: fn(Place, &[u8]) -> Option<Change>,
}

enum Value {
    Plain(Change),
    Sealed(Vec<u8>),
}

#[derive(Default)]
struct GameOnDisk {
    /// The newest entry that is there, and that was ever made.
    at: u64,
    made: u64,
    sessions: BTreeMap<SessionId, Vec<(u64, Value)>>,
    ended: VecDeque<SessionId>,
}

/// The disk of one machine.
pub(crate) struct Disk {
    codec: Option<Codec>,
    waiting: VecDeque<(GameAt, Entry)>,
    /// So many of those that wait are being written.
    writing: usize,
    games: Vec<GameOnDisk>,
    /// Entries that were torn.
    pub(crate) torn: u64,
    /// There is no room.
    pub(crate) is_full: bool,
    /// The last commit failed.
    pub(crate) in_trouble: bool,
}

impl Disk {
    pub(crate) fn new(games: usize, codec: Option<Codec>) -> Disk {
        let games = (0..games).map(|_| GameOnDisk::default()).collect();
        Disk {
            codec,
            waiting: VecDeque::new(),
            writing: 0,
            games,
            torn: 0,
            is_full: false,
            in_trouble: false,
        }
    }

    pub(crate) fn take(&mut self, game: GameAt, entry: Entry) {
        let made = &mut self.games[game].made;
        assert_eq!(entry.at, *made + 1, "entries are numbered without a gap");
        *made = entry.at;
        self.waiting.push_back((game, entry));
    }

    /// Begins to write all that waits. Says whether there is anything, and nothing is being written yet.
    pub(crate) fn begin(&mut self) -> bool {
        let begins = self.writing == 0 && !self.waiting.is_empty();
        if begins {
            self.writing = self.waiting.len();
        }
        begins
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// What was being written is there. Calls `each` with every entry; returns the newest entry of each game that has new ones.
    pub(crate) fn commit(&mut self, mut each: impl FnMut(GameAt, &Entry)) -> Vec<(GameAt, u64)> {
        let count = std::mem::take(&mut self.writing);
        let mut told = BTreeMap::new();
        for (game, entry) in self.waiting.drain(..count) {
            each(game, &entry);
            told.insert(game, entry.at);
            self.games[game].write(self.codec, game, entry);
        }
        told.into_iter().collect()
    }

    /// It was not written, and waits again.
    pub(crate) fn fail(&mut self) {
        self.writing = 0;
    }

    /// The supervisor dies: some of what waits came to the disk all the same, in order, and the next one perhaps in part.
    pub(crate) fn cut(&mut self, dice: &mut Dice, mut each: impl FnMut(GameAt, &Entry)) {
        let lucky = dice.below(self.writing as u64 + 1) as usize;
        self.writing = 0;
        for (game, entry) in self.waiting.drain(..lucky) {
            each(game, &entry);
            self.games[game].write(self.codec, game, entry);
        }
        if let (Some(codec), Some((game, entry))) = (self.codec, self.waiting.pop_front()) {
            let place = (game as u32, entry.session.0, entry.at);
            self.torn += 1;
            let torn = tear((codec.seal)(place, &entry.change), dice);
            // The reader believes it, or not: if it does, it is there.
            if let Some(change) = (codec.unseal)(place, &torn) {
                let entry = Entry { change, ..entry };
                each(game, &entry);
                self.games[game].write(self.codec, game, entry);
            }
        }
        self.waiting.clear();
        (self.is_full, self.in_trouble) = (false, false);
        for game in &mut self.games {
            game.made = game.at;
        }
    }

    /// The newest entry of a game.
    pub(crate) fn at(&self, game: GameAt) -> u64 {
        self.games[game].at
    }

    /// All that is there of a game.
    pub(crate) fn read(&self, game: GameAt) -> BTreeMap<SessionId, Vec<(u64, Change)>> {
        let of = |session: &SessionId, at: u64, value: &Value| match (value, self.codec) {
            (Value::Sealed(bytes), Some(codec)) => (codec.unseal)((game as u32, session.0, at), bytes)
                .unwrap_or_else(|| panic!("entry {at} of session {session} cannot be read, and was whole")),
            (Value::Plain(change), _) => change.clone(),
            (Value::Sealed(_), None) => unreachable!("sealed with a codec"),
        };
        let session = |(session, values): (&SessionId, &Vec<(u64, Value)>)| {
            (*session, values.iter().map(|(at, value)| (*at, of(session, *at, value))).collect())
        };
        self.games[game].sessions.iter().map(session).collect()
    }

    /// What was parked is in memory alone again.
    pub(crate) fn unpark(&mut self, game: GameAt, changes: &BTreeMap<SessionId, Vec<(u64, Change)>>) {
        self.games[game]
            .sessions
            .retain(|session, _| !changes.get(session).is_some_and(|all| is_parked(all)));
    }

    /// Entries that are there, of all games.
    pub(crate) fn entries(&self) -> usize {
        self.games.iter().flat_map(|game| game.sessions.values()).map(Vec::len).sum()
    }
}

impl GameOnDisk {
    fn write(&mut self, codec: Option<Codec>, game: GameAt, entry: Entry) {
        let Entry { at, session, change } = entry;
        assert!(at > self.at, "entries come to the disk in order");
        self.at = at;
        let changes = self.sessions.entry(session).or_default();
        if let Change::Pruned { from } = &change {
            assert!(
                changes.iter().any(|(at, _)| at == from),
                "pruned up to something that is not on the disk"
            );
            // The opening is always the first.
            let first = changes.first().map_or(0, |(at, _)| *at);
            changes.retain(|(at, _)| at >= from || *at == first);
            return;
        }
        let is_end = matches!(change, Change::Ended(_));
        if is_end {
            changes.clear();
        }
        let value = match codec {
            Some(codec) => Value::Sealed((codec.seal)((game as u32, session.0, at), &change)),
            None => Value::Plain(change),
        };
        changes.push((at, value));
        if is_end {
            self.ended.push_back(session);
            while self.ended.len() > ENDED_KEPT {
                let oldest = self.ended.pop_front();
                oldest.map(|oldest| self.sessions.remove(&oldest));
            }
        }
    }
}

/// A write that the power left in the middle: cut short, or as long as it should be with nothing or something else behind the cut.
fn tear(mut bytes: Vec<u8>, dice: &mut Dice) -> Vec<u8> {
    let cut = dice.below(bytes.len() as u64) as usize;
    match dice.below(4) {
        0 => bytes.truncate(cut),
        1..=2 => bytes[cut..].fill(0),
        _ => bytes[cut..].iter_mut().for_each(|byte| *byte = dice.roll() as u8),
    }
    bytes
}
