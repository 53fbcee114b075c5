//! What a roll does to a bet, and what a win pays: pure, over whole numbers, the only place that knows odds.
//!
//! THE ROUNDING RULE. A win is `amount × numerator ÷ denominator`, rounded *down* to a whole `unit`. A commission is
//! 5 % of a buy bet's amount, or of a lay bet's winnings, rounded *down* to a whole `unit`, but at least one `unit`.
//! Rounding is per bet and per decision; nothing is carried over. A bet that is a multiple of the odds' denominator
//! (and of 20 units of commission) loses nothing to it.

use crate::dice::{Dice, Point};
use crate::rules::{Rules, Vig};
use crate::spot::{OneRoll, Spot};

/// What a roll does to a bet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Stays,
    /// It moves to its number.
    Moves(Spot),
    /// It wins this many times its amount.
    Wins(Ratio),
    /// It loses.
    Loses,
    /// It is given back.
    Pushes,
}

/// Odds: `num` to `den`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ratio {
    /// What is won …
    pub num: i64,
    /// … for each of these.
    pub den: i64,
}

const fn to(num: i64, den: i64) -> Ratio {
    Ratio { num, den }
}

/// True odds against 4 and 10, 5 and 9, 6 and 8 before a seven.
const TRUE_ODDS: [Ratio; 3] = [to(2, 1), to(3, 2), to(6, 5)];
/// What place bets pay.
const PLACE_ODDS: [Ratio; 3] = [to(9, 5), to(7, 5), to(7, 6)];

/// True odds for taking a number.
pub fn true_odds(point: Point) -> Ratio {
    TRUE_ODDS[point.class()]
}

/// True odds for laying against a number.
pub fn lay_odds(point: Point) -> Ratio {
    let Ratio { num, den } = TRUE_ODDS[point.class()];
    to(den, num)
}

/// What `dice` do to a working bet on `spot` while `point` is on.
pub fn decide(spot: Spot, point: Option<Point>, dice: Dice, rules: &Rules) -> Verdict {
    let total = dice.total();
    match spot {
        Spot::Pass => point.map_or_else(|| come_out(total), |p| number_first(p, total, to(1, 1))),
        Spot::DontPass => point.map_or_else(|| dont_come_out(total), |p| seven_first(p, total, to(1, 1))),
        Spot::Come => moved(come_out(total), total, Spot::ComeOn),
        Spot::DontCome => moved(dont_come_out(total), total, Spot::DontComeOn),
        Spot::ComeOn(p) => number_first(p, total, to(1, 1)),
        Spot::DontComeOn(p) => seven_first(p, total, to(1, 1)),
        Spot::PassOdds => point.map_or(Verdict::Stays, |p| number_first(p, total, true_odds(p))),
        Spot::DontPassOdds => point.map_or(Verdict::Stays, |p| seven_first(p, total, lay_odds(p))),
        Spot::ComeOdds(p) | Spot::Buy(p) => number_first(p, total, true_odds(p)),
        Spot::DontComeOdds(p) | Spot::Lay(p) => seven_first(p, total, lay_odds(p)),
        Spot::Place(p) => number_first(p, total, PLACE_ODDS[p.class()]),
        Spot::Hard(p) => hard(p, dice),
        Spot::Field => field(total, rules),
        Spot::AnySeven => next_roll(total == 7, to(4, 1)),
        Spot::AnyCraps => next_roll(matches!(total, 2 | 3 | 12), to(7, 1)),
        Spot::Number(n) => next_roll(total == n.number(), one_roll_odds(n)),
        Spot::Horn => horn(total),
    }
}

fn come_out(total: u8) -> Verdict {
    match total {
        7 | 11 => Verdict::Wins(to(1, 1)),
        2 | 3 | 12 => Verdict::Loses,
        _ => Verdict::Stays,
    }
}

/// The bar is 12: it pushes.
fn dont_come_out(total: u8) -> Verdict {
    match total {
        7 | 11 => Verdict::Loses,
        2 | 3 => Verdict::Wins(to(1, 1)),
        12 => Verdict::Pushes,
        _ => Verdict::Stays,
    }
}

fn moved(verdict: Verdict, total: u8, on: fn(Point) -> Spot) -> Verdict {
    match (verdict, Point::from_number(total)) {
        (Verdict::Stays, Some(point)) => Verdict::Moves(on(point)),
        (other, _) => other,
    }
}

fn number_first(point: Point, total: u8, odds: Ratio) -> Verdict {
    match total {
        7 => Verdict::Loses,
        n if n == point.number() => Verdict::Wins(odds),
        _ => Verdict::Stays,
    }
}

fn seven_first(point: Point, total: u8, odds: Ratio) -> Verdict {
    match total {
        7 => Verdict::Wins(odds),
        n if n == point.number() => Verdict::Loses,
        _ => Verdict::Stays,
    }
}

fn hard(point: Point, dice: Dice) -> Verdict {
    let odds = if point.class() == 0 { to(7, 1) } else { to(9, 1) };
    match dice.total() {
        7 => Verdict::Loses,
        n if n == point.number() && dice.is_pair() => Verdict::Wins(odds),
        n if n == point.number() => Verdict::Loses,
        _ => Verdict::Stays,
    }
}

fn field(total: u8, rules: &Rules) -> Verdict {
    match total {
        2 => Verdict::Wins(to(i64::from(rules.field_two), 1)),
        12 => Verdict::Wins(to(i64::from(rules.field_twelve), 1)),
        3 | 4 | 9 | 10 | 11 => Verdict::Wins(to(1, 1)),
        _ => Verdict::Loses,
    }
}

fn next_roll(hit: bool, odds: Ratio) -> Verdict {
    if hit { Verdict::Wins(odds) } else { Verdict::Loses }
}

fn one_roll_odds(number: OneRoll) -> Ratio {
    match number {
        OneRoll::Two | OneRoll::Twelve => to(30, 1),
        OneRoll::Three | OneRoll::Eleven => to(15, 1),
    }
}

/// One quarter wins at its one-roll odds, three quarters lose: 30 − 3 or 15 − 3 to 4.
fn horn(total: u8) -> Verdict {
    match total {
        2 | 12 => Verdict::Wins(to(27, 4)),
        3 | 11 => Verdict::Wins(to(12, 4)),
        _ => Verdict::Loses,
    }
}

/// What `amount` wins at `odds`, by the rounding rule.
///
/// `amount` is at most [`crate::rules::BET_MAX`] × [`crate::rules::ODDS_MULTIPLE_MAX`] × 2 = 2 × 10^13 and `num` at most 30, so the product fits.
pub fn win(amount: i64, odds: Ratio, unit: i64) -> i64 {
    floor_to(amount * odds.num / odds.den, unit)
}

/// The commission on a bet, by the rounding rule; 0 for bets without one.
pub fn commission(spot: Spot, amount: i64, unit: i64) -> i64 {
    let on = match spot {
        Spot::Buy(_) => amount,
        Spot::Lay(point) => win(amount, lay_odds(point), unit),
        _ => return 0,
    };
    floor_to(on / 20, unit).max(unit)
}

/// What a bet on `spot` costs beyond its amount when it is made.
pub fn commission_upfront(spot: Spot, amount: i64, rules: &Rules) -> i64 {
    match rules.vig {
        Vig::Upfront => commission(spot, amount, rules.unit),
        Vig::OnWin => 0,
    }
}

/// What a winning bet on `spot` brings beyond its amount.
pub fn winnings(spot: Spot, amount: i64, odds: Ratio, rules: &Rules) -> i64 {
    let won = win(amount, odds, rules.unit);
    match rules.vig {
        Vig::Upfront => won,
        Vig::OnWin => won - commission(spot, amount, rules.unit).min(won),
    }
}

fn floor_to(amount: i64, unit: i64) -> i64 {
    amount - amount % unit
}
