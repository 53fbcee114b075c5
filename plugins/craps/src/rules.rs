//! The rules of one table: limits, odds, commission. They are the session's config.

use serde::{Deserialize, Serialize};

use crate::dice::Point;
use crate::error::Illegal;

/// Largest `unit`, in the smallest amount.
pub const UNIT_MAX: i64 = 1_000_000_000;
/// Largest `max_bet`. With [`ODDS_MULTIPLE_MAX`] and [`crate::table::BANKROLL_MAX`] it keeps every sum inside an `i64`.
pub const BET_MAX: i64 = 100_000_000_000;
/// Largest multiple of a bet that odds may be.
pub const ODDS_MULTIPLE_MAX: u32 = 100;

/// A session's config.
///
/// Amounts are whole numbers of whatever the platform counts in (cents, chips).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// The smallest chip. Bets are multiples of it, payouts and commissions are rounded down to it. Default 1.
    pub unit: i64,
    /// Smallest bet; odds may be smaller. Default 1.
    pub min_bet: i64,
    /// Largest bet on one place; odds may be larger. Default 1,000,000.
    pub max_bet: i64,
    /// Most odds, as a multiple of the bet, on 4 and 10, on 5 and 9, on 6 and 8. Laid odds may *win* that multiple.
    /// Default 3, 4, 5.
    pub odds: [u32; 3],
    /// What the field pays to one on a 2: 2 or 3. Default 2.
    pub field_two: u32,
    /// What the field pays to one on a 12: 2 or 3. Default 3.
    pub field_twelve: u32,
    /// When the 5 % commission of buy and lay bets is due. Default upfront.
    pub vig: Vig,
    /// Whether place, buy and hardway bets and the odds of come bets work on a come-out roll without being
    /// told to. Default off.
    pub come_out: ComeOut,
    /// Where the dice come from. Default random.
    pub dice: DiceFrom,
}

/// When the commission of buy and lay bets is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Vig {
    /// With the bet, whatever becomes of it; given back if the bet is taken down undecided.
    Upfront,
    /// Out of the winnings.
    OnWin,
}

/// What bets on numbers do on a come-out roll.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ComeOut {
    /// They rest.
    Off,
    /// They work.
    On,
}

/// Where the dice come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiceFrom {
    /// The turn's own chance.
    Random,
    /// The house says them, for tests and for replays of real games.
    Scripted,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            unit: 1,
            min_bet: 1,
            max_bet: 1_000_000,
            odds: [3, 4, 5],
            field_two: 2,
            field_twelve: 3,
            vig: Vig::Upfront,
            come_out: ComeOut::Off,
            dice: DiceFrom::Random,
        }
    }
}

impl Rules {
    /// Checks what a schema cannot: how the limits fit together.
    ///
    /// # Errors
    /// [`Illegal::Config`] names the member and its bounds.
    pub fn check(&self) -> Result<(), Illegal> {
        let config = |text: String| Err(Illegal::Config(text));
        if !(1..=UNIT_MAX).contains(&self.unit) {
            return config(format!("unit: {} is not between 1 and {UNIT_MAX}", self.unit));
        }
        if self.min_bet < self.unit || self.min_bet % self.unit != 0 {
            return config(format!(
                "min_bet: {} is not a positive multiple of unit {}",
                self.min_bet, self.unit
            ));
        }
        if self.max_bet < self.min_bet || self.max_bet > BET_MAX {
            return config(format!(
                "max_bet: {} is not between min_bet {} and {BET_MAX}",
                self.max_bet, self.min_bet
            ));
        }
        if self.odds.iter().any(|multiple| *multiple > ODDS_MULTIPLE_MAX) {
            return config(format!("odds: a multiple is over {ODDS_MULTIPLE_MAX}"));
        }
        for (name, pays) in [("field_two", self.field_two), ("field_twelve", self.field_twelve)] {
            if !(2..=3).contains(&pays) {
                return config(format!("{name}: {pays} is neither 2 nor 3"));
            }
        }
        Ok(())
    }

    /// The most odds on a number, as a multiple of the bet.
    pub fn odds_multiple(&self, point: Point) -> i64 {
        i64::from(self.odds[point.class()])
    }
}
