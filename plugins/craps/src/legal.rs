//! Which bets may be made, added to and taken down, and when. Pure: asks, never changes anything.

use crate::dice::Point;
use crate::error::Illegal;
use crate::payout::{commission_upfront, lay_odds, true_odds, win};
use crate::rules::Rules;
use crate::seat::{Seat, Stake};
use crate::spot::Spot;
use crate::table::BANKROLL_MAX;

/// Bets that stay until they are decided, because the player's best moment is behind them.
pub(crate) fn is_contract(spot: Spot, point: Option<Point>) -> bool {
    match spot {
        Spot::Pass => point.is_some(),
        Spot::ComeOn(_) => true,
        _ => false,
    }
}

/// The bet that would lie on `spot` after `amount` more, if the rules allow it now.
pub(crate) fn legal_bet(
    rules: &Rules,
    point: Option<Point>,
    seat: &Seat,
    spot: Spot,
    amount: i64,
) -> Result<Stake, Illegal> {
    match spot {
        Spot::Pass | Spot::DontPass if point.is_some() => return Err(Illegal::OnlyComeOut(spot)),
        Spot::Come | Spot::DontCome if point.is_none() => return Err(Illegal::OnlyPoint(spot)),
        _ => {}
    }
    check_step(spot, amount, rules)?;
    let old = seat.bets.on(spot);
    let would = old.amount.saturating_add(amount);
    match spot.flat() {
        Some(flat) => {
            let behind = seat.bets.on(flat).amount;
            let on = odds_point(spot, point).filter(|_| behind > 0).ok_or(Illegal::NoFlat(spot))?;
            let max = odds_limit(rules, flat, on, behind);
            if would > max {
                return Err(Illegal::OverMaximum { spot, would, max });
            }
        }
        None => check_amount(rules, spot, would)?,
    }
    if wins_nothing(rules, point, spot, would) {
        return Err(Illegal::WinsNothing { spot, would });
    }
    let stake = Stake { amount: would, vig: commission_upfront(spot, would, rules), working: old.working };
    let cost = stake.total() - old.total();
    if cost > seat.bankroll {
        return Err(Illegal::Short { bankroll: seat.bankroll, cost });
    }
    if seat.bankroll > BANKROLL_MAX {
        return Err(Illegal::TooRich { max: BANKROLL_MAX });
    }
    Ok(stake)
}

/// What can be said of an amount without knowing the table's state.
pub(crate) fn check_amount(rules: &Rules, spot: Spot, amount: i64) -> Result<(), Illegal> {
    check_step(spot, amount, rules)?;
    match spot {
        Spot::ComeOn(_) | Spot::DontComeOn(_) => return Err(Illegal::MovesByItself),
        _ if spot.flat().is_some() => {}
        _ if amount < rules.min_bet => {
            return Err(Illegal::UnderMinimum { spot, would: amount, min: rules.min_bet });
        }
        _ if amount > rules.max_bet => {
            return Err(Illegal::OverMaximum { spot, would: amount, max: rules.max_bet });
        }
        _ => {}
    }
    Ok(())
}

/// A horn bet is four bets.
pub(crate) fn check_step(spot: Spot, amount: i64, rules: &Rules) -> Result<(), Illegal> {
    let step = if spot == Spot::Horn { 4 * rules.unit } else { rules.unit };
    if amount <= 0 || amount % step != 0 { Err(Illegal::Step { amount, step }) } else { Ok(()) }
}

/// Which number odds stand on.
pub(crate) fn odds_point(spot: Spot, point: Option<Point>) -> Option<Point> {
    match spot {
        Spot::ComeOdds(on) | Spot::DontComeOdds(on) => Some(on),
        _ => point,
    }
}

/// The most odds behind `flat`: the multiple of it, or when laying, what wins that multiple.
pub(crate) fn odds_limit(rules: &Rules, flat: Spot, on: Point, behind: i64) -> i64 {
    let most = behind * rules.odds_multiple(on);
    match flat {
        Spot::DontPass | Spot::DontComeOn(_) => win(most, true_odds(on), rules.unit),
        _ => most,
    }
}

/// Laying so little that the rounding rule eats the win.
pub(crate) fn wins_nothing(rules: &Rules, point: Option<Point>, spot: Spot, amount: i64) -> bool {
    match spot {
        Spot::Lay(on) => win(amount, lay_odds(on), rules.unit) == 0,
        Spot::DontPassOdds | Spot::DontComeOdds(_) => {
            odds_point(spot, point).is_some_and(|on| win(amount, lay_odds(on), rules.unit) == 0)
        }
        _ => false,
    }
}

/// The bet that is left after a part is taken, if it is a legal one.
pub(crate) fn left_after(
    rules: &Rules,
    point: Option<Point>,
    seat: &Seat,
    spot: Spot,
    amount: i64,
) -> Result<Stake, Illegal> {
    let stake = seat.bets.on(spot);
    check_step(spot, amount, rules)?;
    let left = stake.amount.saturating_sub(amount);
    let least = if spot.flat().is_some() { rules.unit } else { rules.min_bet };
    let odds = spot.odds().map_or(0, |odds| seat.bets.on(odds).amount);
    let on = match spot {
        Spot::ComeOn(on) | Spot::DontComeOn(on) => Some(on),
        _ => point,
    };
    let legal = left >= least
        && !wins_nothing(rules, point, spot, left)
        && (odds == 0 || on.is_none_or(|on| odds <= odds_limit(rules, spot, on, left)));
    if !legal {
        return Err(Illegal::Leaves { spot, amount, left });
    }
    Ok(Stake { amount: left, vig: commission_upfront(spot, left, rules), working: stake.working })
}
