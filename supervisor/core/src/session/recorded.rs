//! What is known of a durable session as of its last turn on record. Turns with a number and without an outcome have changed the session
//! already; they have not changed this, and are not there when the session comes back from the disk.

use std::collections::BTreeMap;

use croupier_fair::seed::Mix;

use crate::durable::{Turn, Verdict};
use crate::ids::{PlayerId, kind};

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
    pub(crate) fn apply(&mut self, turn: &Turn, verdict: &Verdict) {
        self.last_seq = turn.seq;
        self.last_now_ns = self.last_now_ns.max(turn.now_ns);
        self.mix = Mix(turn.mix);
        let player = PlayerId(turn.player);
        match (turn.kind, verdict) {
            (kind::JOIN, Verdict::Done { .. }) => drop(self.seats.insert(player, turn.seq)),
            // Who left has left when the turn was numbered, whatever the plugin says to it.
            (kind::LEAVE, _) => drop(self.seats.remove(&player)),
            (kind::TICK, Verdict::Skipped { ticks }) => self.ticks += ticks,
            (kind::TICK, _) => self.ticks += 1,
            _ => {}
        }
        self.poison += u32::from(matches!(verdict, Verdict::Poison));
    }
}
