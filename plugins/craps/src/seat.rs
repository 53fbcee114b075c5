//! One player's seat: bankroll, bets on the layout, standing bets. Not the rules: see `table.rs`.

use serde::{Deserialize, Serialize};

use crate::spot::{SPOTS, Spot};

/// One bet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Stake {
    /// What is at risk; 0 is no bet.
    pub amount: i64,
    /// Commission paid upfront, beside the amount.
    pub vig: i64,
    /// Whether the player turned the bet on or off.
    pub working: Working,
}

impl Stake {
    /// All that lies on the table for this bet.
    pub fn total(&self) -> i64 {
        self.amount + self.vig
    }
}

/// Whether a bet works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Working {
    /// As the table's rules say.
    #[default]
    Auto,
    /// Always, on come-out rolls too.
    On,
    /// Never, until turned on again.
    Off,
}

/// A player's bets, one a place. A snapshot holds just the places that have one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Vec<(Spot, Stake)>", from = "Vec<(Spot, Stake)>")]
pub struct Bets([Stake; SPOTS]);

impl Default for Bets {
    fn default() -> Bets {
        Bets([Stake::default(); SPOTS])
    }
}

impl Bets {
    /// The bet on a place; its amount is 0 when there is none.
    pub fn on(&self, spot: Spot) -> Stake {
        self.0[spot.index()]
    }

    /// Puts a bet on a place, over whatever is there.
    pub(crate) fn put(&mut self, spot: Spot, stake: Stake) {
        self.0[spot.index()] = stake;
    }

    /// Takes a place's bet.
    pub(crate) fn take(&mut self, spot: Spot) -> Stake {
        std::mem::take(&mut self.0[spot.index()])
    }

    /// The places with a bet, in the order in which they are settled.
    pub fn iter(&self) -> impl Iterator<Item = (Spot, Stake)> + '_ {
        Spot::ALL.into_iter().zip(self.0).filter(|(_, stake)| stake.amount > 0)
    }
}

impl From<Bets> for Vec<(Spot, Stake)> {
    fn from(bets: Bets) -> Vec<(Spot, Stake)> {
        bets.iter().collect()
    }
}

impl From<Vec<(Spot, Stake)>> for Bets {
    fn from(list: Vec<(Spot, Stake)>) -> Bets {
        let mut bets = Bets::default();
        for (spot, stake) in list {
            bets.put(spot, stake);
        }
        bets
    }
}

/// A bet that is made again before each roll where it is allowed and its place is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Where.
    pub spot: Spot,
    /// How much.
    pub amount: i64,
}

/// One player at the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seat {
    /// The player's id.
    pub player: u64,
    /// What the player can still bet.
    pub bankroll: i64,
    /// What lies on the layout.
    pub bets: Bets,
    /// What is bet again and again, in this order.
    pub standing: Vec<Standing>,
}

impl Seat {
    /// What the player has on the layout, commissions included.
    pub fn on_table(&self) -> i64 {
        self.bets.iter().map(|(_, stake)| stake.total()).sum()
    }
}
