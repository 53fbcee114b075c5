//! Main pot and side pots, and how a pot is shared.
//!
//! A pot is a slice of what everybody put in, cut at each amount that somebody put in at most, together with the players who can win it. Pure
//! arithmetic: who has the best cards is decided by the caller.

use crate::chips::Chips;
use crate::seat::Place;

/// What one player put into the middle.
#[derive(Clone, Copy, Debug)]
pub struct Stake {
    /// Who.
    pub place: Place,
    /// Chips put in, without dead antes.
    pub amount: Chips,
    /// Whether the player can still win.
    pub claim: Claim,
}

/// Whether a player can still win.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Claim {
    /// Neither folded nor mucked.
    Live,
    /// Folded or mucked: the chips stay, the claim is gone.
    Gone,
}

/// A pot and those who can win it, in the order of their places.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pot {
    /// Chips in it; never zero.
    pub amount: Chips,
    /// Who can win it; never empty.
    pub players: Vec<Place>,
}

/// Cuts what was put in into the main pot and side pots. `dead` (antes that buy no claim) goes to the main pot, for all live players.
///
/// Slices that the same players can win are one pot. A slice that nobody is left to win (all who put that much in folded or mucked) goes with the pot below it, or, where there is
/// none, to all who are left: chips never vanish.
#[must_use]
pub fn pots(stakes: &[Stake], dead: Chips) -> Vec<Pot> {
    let live_at = |level: Chips| -> Vec<Place> {
        stakes.iter().filter(|s| s.claim == Claim::Live && s.amount >= level).map(|s| s.place).collect()
    };
    let mut pots: Vec<Pot> = Vec::new();
    let mut push = |amount: Chips, players: Vec<Place>| {
        if amount.is_zero() {
            return;
        }
        match pots.last_mut() {
            Some(below) if players.is_empty() || below.players == players => below.amount += amount,
            // Nothing lies below, and who put this in is gone: it belongs to who is left.
            None if players.is_empty() => pots.push(Pot { amount, players: live_at(Chips::ZERO) }),
            _ => pots.push(Pot { amount, players }),
        }
    };
    push(dead, live_at(Chips::ZERO));
    let mut levels: Vec<Chips> = stakes.iter().map(|s| s.amount).collect();
    levels.sort_unstable();
    levels.dedup();
    let mut below = Chips::ZERO;
    for level in levels {
        let slice = stakes.iter().map(|s| s.amount.min(level).saturating_sub(below)).sum();
        push(slice, live_at(level));
        below = level;
    }
    pots
}

/// Shares an amount between winners, given in the order of their places. What does not divide evenly is paid out chip by chip to the first of
/// them, from the button's left on.
///
/// An empty list of winners gets nothing.
#[must_use]
pub fn shares(amount: Chips, winners: &[Place]) -> Vec<(Place, Chips)> {
    let count = winners.len() as u64;
    let Some(each) = amount.0.checked_div(count) else { return Vec::new() };
    let odd = amount.0 % count;
    winners.iter().zip(0..).map(|(place, n)| (*place, Chips(each + u64::from(n < odd)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stake(place: u8, amount: u64, claim: Claim) -> Stake {
        Stake { place: Place(place), amount: Chips(amount), claim }
    }

    fn cut(stakes: &[(u64, Claim)], dead: u64) -> Vec<(u64, Vec<u8>)> {
        let stakes: Vec<Stake> =
            stakes.iter().zip(0..).map(|((amount, claim), n)| stake(n, *amount, *claim)).collect();
        pots(&stakes, Chips(dead))
            .into_iter()
            .map(|pot| (pot.amount.0, pot.players.into_iter().map(|place| place.0).collect()))
            .collect()
    }

    #[test]
    fn each_all_in_makes_a_side_pot() {
        use Claim::{Gone, Live};
        let stakes = [(50, Live), (100, Live), (200, Live), (200, Live), (30, Gone)];
        assert_eq!(cut(&stakes, 0), [(230, vec![0, 1, 2, 3]), (150, vec![1, 2, 3]), (200, vec![2, 3])]);
    }

    #[test]
    fn a_folded_stake_makes_no_pot_of_its_own() {
        use Claim::{Gone, Live};
        assert_eq!(cut(&[(100, Live), (100, Live), (40, Gone)], 0), [(240, vec![0, 1])]);
    }

    #[test]
    fn dead_antes_are_for_everybody() {
        use Claim::Live;
        // The first player had just a part of the ante: may win all antes, nothing else.
        assert_eq!(cut(&[(0, Live), (100, Live), (100, Live)], 25), [(25, vec![0, 1, 2]), (200, vec![1, 2])]);
        assert_eq!(cut(&[(100, Live), (100, Live)], 25), [(225, vec![0, 1])]);
    }

    #[test]
    fn chips_without_a_claimant_fall_to_the_pot_below() {
        use Claim::{Gone, Live};
        assert_eq!(cut(&[(50, Live), (100, Gone), (100, Gone)], 0), [(250, vec![0])]);
    }

    #[test]
    fn antes_of_those_who_folded_go_to_the_one_who_paid_none() {
        use Claim::{Gone, Live};
        assert_eq!(cut(&[(1, Gone), (0, Live), (1, Gone)], 0), [(2, vec![1])]);
        assert_eq!(cut(&[(1, Gone), (0, Live), (2, Gone), (0, Live)], 0), [(3, vec![1, 3])]);
    }

    #[test]
    fn odd_chips_go_to_the_first_places() {
        let winners = [Place(1), Place(3), Place(4)];
        let paid: Vec<u64> = shares(Chips(11), &winners).into_iter().map(|(_, chips)| chips.0).collect();
        assert_eq!(paid, [4, 4, 3]);
        assert!(shares(Chips(11), &[]).is_empty());
    }
}
