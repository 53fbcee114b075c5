//! What is known of a session as of its last turn on record. Turns with a number and without an outcome have changed the session
//! already; they have not changed this, and are not there when the session comes back from the disk.

use std::collections::BTreeMap;

use croupier_fair::seed::Mix;

use super::Flight;
use crate::durable::{Turn, Verdict};
use crate::ids::{PlayerId, kind};

/// What a turn that is on record now says of its session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fact {
    seq: u64,
    kind: u16,
    player: PlayerId,
    now_ns: u64,
    mix: Mix,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Came {
    Done,
    Failed,
    Poison,
    /// So many ticks were left out.
    Skipped(u64),
}

impl From<&Turn> for Fact {
    fn from(turn: &Turn) -> Fact {
        let Turn { seq, kind, player, now_ns, mix, .. } = turn;
        Fact { seq: *seq, kind: *kind, player: PlayerId(*player), now_ns: *now_ns, mix: Mix(*mix) }
    }
}

impl From<&Flight> for Fact {
    fn from(flight: &Flight) -> Fact {
        let Flight { seq, kind, player, now_ns, mix, .. } = flight;
        Fact { seq: *seq, kind: *kind, player: *player, now_ns: *now_ns, mix: *mix }
    }
}

impl From<&Verdict> for Came {
    fn from(verdict: &Verdict) -> Came {
        match verdict {
            Verdict::Done { .. } => Came::Done,
            Verdict::Failed { .. } => Came::Failed,
            Verdict::Poison => Came::Poison,
            Verdict::Skipped { ticks } => Came::Skipped(*ticks),
        }
    }
}

/// The session's own facts, folded from its turns on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recorded {
    pub(crate) last_seq: u64,
    pub(crate) last_now_ns: u64,
    pub(crate) mix: Mix,
    /// Who sits there, and the number of the join that brought them.
    pub(crate) seats: BTreeMap<PlayerId, u64>,
    /// Ticks played or left out.
    pub(crate) ticks: u64,
    pub(crate) poison: u32,
}

impl Recorded {
    /// Before the open turn.
    pub(crate) fn new(opened_ns: u64, mix: Mix) -> Recorded {
        Recorded { last_seq: 0, last_now_ns: opened_ns, mix, seats: BTreeMap::new(), ticks: 0, poison: 0 }
    }

    /// One more turn is on record.
    pub(crate) fn apply(&mut self, turn: impl Into<Fact>, came: Came) {
        let Fact { seq, kind, player, now_ns, mix } = turn.into();
        self.last_seq = seq;
        self.last_now_ns = self.last_now_ns.max(now_ns);
        self.mix = mix;
        match (kind, came) {
            (kind::JOIN, Came::Done) => drop(self.seats.insert(player, seq)),
            // Who left has left when the turn was numbered, whatever the plugin says to it.
            (kind::LEAVE, _) => drop(self.seats.remove(&player)),
            (kind::TICK, Came::Skipped(ticks)) => self.ticks += ticks,
            (kind::TICK, _) => self.ticks += 1,
            _ => {}
        }
        self.poison += u32::from(came == Came::Poison);
    }
}
