//! What a player may say and what the table answers, as JSON. Not what it means: see `game.rs`.

use std::fmt;

use croupier_sdk::DetMap;
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::dice::Dice;
use crate::error::Illegal;
use crate::seat::{Seat, Stake, Standing, Working};
use crate::spot::{Kind, Spot};
use crate::table::{Call, Decision, Outcome};
use crate::tally::{Line, Totals};

/// What a player brings.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// What the player can bet, a whole number.
    pub bankroll: i64,
}

/// What a player, or the house (player 0), does.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// `{"bet":{"kind":"place","number":6,"amount":12}}`: makes a bet, or adds to one.
    Bet(Order),
    /// `{"odds":{"kind":"come","number":5,"amount":20}}`: odds on a pass, don't pass, come or don't come bet.
    Odds(Order),
    /// `{"remove":{"kind":"place","number":6}}`: takes a bet down; with `amount`, that much of it.
    Remove(Removal),
    /// `{"turn":{"kind":"hard","number":8,"to":"on"}}`: turns a bet `on`, `off`, or back to `auto`.
    Turn(Switch),
    /// `{"standing":[{"kind":"pass","amount":10}, …]}`: bets to be made again before each roll; `[]` for none.
    Standing(Vec<Order>),
    /// `{"roll":true}` by the shooter or the house; `{"roll":[3,4]}` by the house where dice are scripted.
    Roll(Throw),
    /// `{"rolls":1000}` by the house: that many rolls in one turn, answered with sums.
    Rolls(u32),
    /// `"show"`: nothing but the answer.
    Show,
}

/// A bet in words.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Which bet.
    pub kind: Kind,
    /// On which number, for kinds that have several.
    #[serde(default)]
    pub number: Option<u8>,
    /// How much more.
    pub amount: i64,
}

impl Order {
    /// The place that is meant.
    pub(crate) fn spot(&self) -> Result<Spot, Illegal> {
        named(self.kind, self.number)
    }

    /// The place of the odds that are meant, whether they are called by the bet's name or by their own.
    pub(crate) fn odds_spot(&self) -> Result<Spot, Illegal> {
        let spot = self.spot()?;
        if spot.flat().is_some() {
            return Ok(spot);
        }
        spot.odds().ok_or(Illegal::NoSuchOdds { kind: self.kind, number: self.number })
    }

    pub(crate) fn standing(&self) -> Result<Standing, Illegal> {
        Ok(Standing { spot: self.spot()?, amount: self.amount })
    }
}

/// A bet to take down.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Removal {
    /// Which bet.
    pub kind: Kind,
    /// On which number.
    #[serde(default)]
    pub number: Option<u8>,
    /// How much of it; all, if absent.
    #[serde(default)]
    pub amount: Option<i64>,
}

/// A bet to turn on or off.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Switch {
    /// Which bet.
    pub kind: Kind,
    /// On which number.
    #[serde(default)]
    pub number: Option<u8>,
    /// What it shall do.
    pub to: Working,
}

/// The place that a kind and a number name.
pub(crate) fn named(kind: Kind, number: Option<u8>) -> Result<Spot, Illegal> {
    Spot::named(kind, number).ok_or(Illegal::NoSuchBet { kind, number })
}

/// How dice are thrown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Throw {
    /// By chance.
    Random,
    /// As said.
    Scripted(Dice),
}

impl<'de> Deserialize<'de> for Throw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Throw, D::Error> {
        deserializer.deserialize_any(ThrowVisitor)
    }
}

struct ThrowVisitor;

impl<'de> Visitor<'de> for ThrowVisitor {
    type Value = Throw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true, or two faces from 1 to 6 as in [3,4]")
    }

    fn visit_bool<E: de::Error>(self, roll: bool) -> Result<Throw, E> {
        if roll { Ok(Throw::Random) } else { Err(E::invalid_value(de::Unexpected::Bool(false), &self)) }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut faces: A) -> Result<Throw, A::Error> {
        let (a, b, more) = (
            faces.next_element::<u8>()?,
            faces.next_element::<u8>()?,
            faces.next_element::<de::IgnoredAny>()?.is_some(),
        );
        match (a, b, more) {
            (Some(a), Some(b), false) => Dice::new(a, b)
                .map(Throw::Scripted)
                .ok_or_else(|| de::Error::custom(format!("{a} and {b} are no dice"))),
            _ => Err(de::Error::custom("two faces are needed, as in [3,4]")),
        }
    }
}

/// What a turn answers. Members that a turn has nothing to say about are absent.
#[derive(Debug, Clone, Serialize)]
pub struct Reply {
    /// The point; null on a come-out roll.
    pub point: Option<u8>,
    /// Who has the dice; null at an empty table.
    pub shooter: Option<u64>,
    /// Rolls so far.
    pub rolls: u64,
    /// Bankrolls by player.
    pub bankrolls: DetMap<u64, i64>,
    /// What lies on the layout, by player.
    pub on_table: DetMap<u64, i64>,
    /// What the house has won so far, less what it lost.
    pub house: i128,
    /// The acting player's bets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bets: Option<Vec<BetLine>>,
    /// What came back from taking a bet down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub returned: Option<i64>,
    /// One roll.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roll: Option<RollLine>,
    /// Many rolls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub many: Option<ManyLine>,
    /// A leaver's money.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left: Option<LeftLine>,
    /// Everybody's money at close, by player.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paid: Option<DetMap<u64, i64>>,
}

/// One bet on the layout.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct BetLine {
    /// Which bet.
    pub kind: Kind,
    /// On which number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u8>,
    /// How much.
    pub amount: i64,
    /// Commission paid upfront, where there is one.
    #[serde(skip_serializing_if = "is_zero")]
    pub vig: i64,
    /// `on` or `off` where the player turned it so.
    #[serde(skip_serializing_if = "is_auto")]
    pub working: Working,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(amount: &i64) -> bool {
    *amount == 0
}

fn is_auto(working: &Working) -> bool {
    *working == Working::Auto
}

/// One roll and what it decided.
#[derive(Debug, Clone, Serialize)]
pub struct RollLine {
    /// The two faces.
    pub dice: [u8; 2],
    /// Their sum.
    pub total: u8,
    /// What the stickman calls.
    pub call: Call,
    /// The bets that were decided.
    pub results: Vec<ResultLine>,
}

/// What became of one bet.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ResultLine {
    /// Whose bet.
    pub player: u64,
    /// Which bet.
    pub kind: Kind,
    /// On which number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u8>,
    /// `won`, `lost` or `pushed`.
    pub outcome: Outcome,
    /// What lay there, commission included.
    pub staked: i64,
    /// What came back.
    pub paid: i64,
}

/// Many rolls, added up.
#[derive(Debug, Clone, Serialize)]
pub struct ManyLine {
    /// How many.
    pub rolled: u32,
    /// How often each total came.
    pub totals: Totals,
    /// What became of bets, by the names in the manifest.
    pub bets: DetMap<&'static str, Line>,
    /// How often the money did not reach for a standing bet.
    pub skipped: u64,
}

/// A leaver's money.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct LeftLine {
    /// Paid out in all.
    pub paid: i64,
    /// Bets taken down, a part of it.
    pub returned: i64,
    /// Contract bets left to the house.
    pub forfeited: i64,
}

impl BetLine {
    pub(crate) fn of(seat: &Seat) -> Vec<BetLine> {
        let line = |(spot, stake): (Spot, Stake)| BetLine {
            kind: spot.kind(),
            number: spot.number(),
            amount: stake.amount,
            vig: stake.vig,
            working: stake.working,
        };
        seat.bets.iter().map(line).collect()
    }
}

impl ResultLine {
    pub(crate) fn of(decision: Decision) -> ResultLine {
        let Decision { player, spot, outcome, staked, paid } = decision;
        ResultLine { player, kind: spot.kind(), number: spot.number(), outcome, staked, paid }
    }
}
