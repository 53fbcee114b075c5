//! A session's seeds, the next one made ahead: whoever waits for a turn need not wait for its seed as well.

use croupier_fair::seed::{Mix, ServerSeed, TurnSeeds};

use crate::ids::SessionId;

/// See the module.
pub(crate) struct Chance {
    seeds: TurnSeeds,
    /// Made ahead: of this turn, after these contributions.
    next: Option<(u64, Mix, [u8; 32])>,
}

impl std::fmt::Debug for Chance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Chance(hidden)")
    }
}

impl Chance {
    pub(crate) fn new(seed: &ServerSeed, session: SessionId) -> Chance {
        Chance { seeds: seed.turns(session.0), next: None }
    }

    /// See [`super::Session::fetch`].
    pub(crate) fn fetch(&self) {
        std::hint::black_box(self.next.map(|(seq, ..)| seq));
    }

    /// The seed of turn `seq`.
    pub(crate) fn seed(&mut self, mix: &Mix, seq: u64) -> [u8; 32] {
        match self.next.take() {
            Some((of, after, seed)) if of == seq && after == *mix => seed,
            _ => self.seeds.of(mix, seq),
        }
    }

    /// The seed of a turn that was played before.
    pub(crate) fn again(&self, mix: &Mix, seq: u64) -> [u8; 32] {
        self.seeds.of(mix, seq)
    }

    /// Makes the seed of turn `seq` ahead, unless it is there.
    pub(crate) fn prepare(&mut self, mix: &Mix, seq: u64) {
        if !matches!(&self.next, Some((of, after, _)) if *of == seq && after == mix) {
            self.next = Some((seq, *mix, self.seeds.of(mix, seq)));
        }
    }
}

#[cfg(test)]
mod tests {
    use croupier_fair::seed::turn_seed;

    use super::*;

    #[test]
    fn what_is_made_ahead_counts_for_its_turn_and_its_contributions_alone() {
        let server = ServerSeed::from_bytes([9; 32]);
        let (first, joined) = (Mix([1; 32]), Mix([2; 32]));
        let mut chance = Chance::new(&server, SessionId(5));
        let want = |mix, seq| turn_seed(&server, 5, mix, seq);
        assert_eq!(chance.seed(&first, 2), want(&first, 2));
        chance.prepare(&first, 3);
        assert_eq!(chance.seed(&joined, 3), want(&joined, 3), "somebody contributed since");
        chance.prepare(&joined, 4);
        assert_eq!(chance.seed(&joined, 5), want(&joined, 5));
        chance.prepare(&joined, 6);
        chance.prepare(&joined, 6);
        assert_eq!(chance.again(&first, 3), want(&first, 3));
        assert_eq!(chance.seed(&joined, 6), want(&joined, 6));
    }
}
