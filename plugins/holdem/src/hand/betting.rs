//! Betting rounds: who acts, what a call costs, and which raises are allowed.
//!
//! A raise must be at least as large as the largest bet or raise of the street so far, and the minimum bet at least; all-in may be
//! less. Such a short all-in does not reopen the betting: who has acted may raise again only when the bets since then add up to a full raise
//! (TDA rule 47).

use super::{BOARD_CARDS, Hand, RuleError, Stage};
use crate::chips::Chips;
use crate::seat::{Place, Standing};

/// Where a player may raise to, in chips of this street.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RaiseBounds {
    /// The least: a full raise, or all-in when the stack holds less.
    pub min: Chips,
    /// The most: all-in.
    pub max: Chips,
}

impl Hand {
    /// What the player who is to act must add to call; all-in when the stack holds less.
    #[must_use]
    pub fn call_cost(&self, place: Place) -> Chips {
        let seat = self.seat(place);
        self.highest_bet().saturating_sub(seat.bet).min(seat.stack)
    }

    /// Where the player who is to act may raise to.
    ///
    /// # Errors
    /// When the player may not raise at all; the error says why.
    pub fn raise_bounds(&self, place: Place) -> Result<RaiseBounds, RuleError> {
        self.check_seat(place)?;
        let seat = self.seat(place);
        let highest = self.highest_bet();
        let facing = highest.saturating_sub(seat.bet);
        if seat.acted && facing < self.full_raise {
            return Err(RuleError::NotReopened(place));
        }
        if seat.stack <= facing {
            return Err(RuleError::Covered(place));
        }
        let answerable = self.places().any(|other| {
            let other_seat = self.seat(other);
            other != place && other_seat.is_live() && other_seat.stack + other_seat.bet > highest
        });
        if !answerable {
            return Err(RuleError::NobodyToCall(place));
        }
        let max = seat.stack + seat.bet;
        Ok(RaiseBounds { min: max.min(highest + self.full_raise), max })
    }

    pub(super) fn fold(&mut self, place: Place) -> Result<(), RuleError> {
        self.check_turn(place)?;
        self.seat_mut(place).standing = Standing::Folded;
        self.pass_turn();
        Ok(())
    }

    pub(super) fn call(&mut self, place: Place) -> Result<(), RuleError> {
        self.check_turn(place)?;
        let cost = self.call_cost(place);
        let seat = self.seat_mut(place);
        seat.wager(cost);
        seat.acted = true;
        self.pass_turn();
        Ok(())
    }

    pub(super) fn raise_to(&mut self, place: Place, to: Chips) -> Result<(), RuleError> {
        self.check_turn(place)?;
        let RaiseBounds { min, max } = self.raise_bounds(place)?;
        if to < min || to > max {
            return Err(RuleError::Amount { place, to, min, max });
        }
        self.full_raise = self.full_raise.max(to - self.highest_bet());
        let seat = self.seat_mut(place);
        seat.wager(to - seat.bet);
        seat.acted = true;
        self.opener = place;
        let others: Vec<Place> = self.places_from(place).skip(1).collect();
        self.queue = others.into_iter().filter(|other| self.can_act(*other)).collect();
        Ok(())
    }

    /// Begins the betting of a street: left of the highest blind before the flop, left of the button after it.
    pub(super) fn start_betting(&mut self) {
        self.stage = Stage::Betting;
        self.full_raise = self.min_bet;
        for seat in &mut self.seats {
            seat.acted = false;
        }
        let highest = self.highest_bet();
        let last = self.places().filter(|place| self.seat(*place).bet == highest).last().unwrap_or(Place(0));
        self.opener = self.places_from(last).nth(1).unwrap_or(Place(0));
        let order: Vec<Place> = self.places_from(self.opener).collect();
        self.queue =
            order.into_iter().filter(|place| self.can_act(*place) && self.can_lose(*place)).collect();
        let matched = self.queue.iter().all(|place| self.seat(*place).bet >= highest);
        if self.queue.is_empty() || (self.queue.len() == 1 && matched) {
            self.end_betting();
        }
    }

    /// Ends the betting when nobody left to act has anything to decide (nothing to call, nobody to raise), so that a dealer need not wait for checks
    /// that mean nothing: hand histories have or leave out such checks.
    pub(super) fn pass_idle_players(&mut self) {
        let idle = |place: &Place| {
            self.call_cost(*place).is_zero()
                && matches!(self.raise_bounds(*place), Err(RuleError::NobodyToCall(_)))
        };
        if self.stage == Stage::Betting && self.queue.iter().all(idle) {
            self.end_betting();
        }
    }

    fn check_turn(&self, place: Place) -> Result<(), RuleError> {
        self.check_seat(place)?;
        match self.stage {
            Stage::Holes => return Err(self.holes_missing()),
            Stage::Board => return Err(RuleError::BoardDue(self.board_due())),
            Stage::Showdown => return Err(RuleError::BettingOver),
            Stage::Done => return Err(RuleError::HandOver),
            Stage::Betting => {}
        }
        match self.queue.first() {
            Some(first) if *first == place => Ok(()),
            _ if !self.seat(place).is_live() => Err(RuleError::Out(place)),
            Some(first) => Err(RuleError::NotYourTurn { place, to_act: *first }),
            None => Err(RuleError::BettingOver),
        }
    }

    fn can_act(&self, place: Place) -> bool {
        let seat = self.seat(place);
        seat.is_live() && !seat.stack.is_zero()
    }

    /// Whether anybody else could make the player put in more.
    fn can_lose(&self, place: Place) -> bool {
        let others = self.places().filter(|other| *other != place);
        let live = others.map(|other| self.seat(other)).filter(|seat| seat.is_live());
        live.map(|seat| seat.bet + seat.stack).max().is_some_and(|reach| reach > self.seat(place).bet)
    }

    fn pass_turn(&mut self) {
        self.queue.remove(0);
        if self.queue.is_empty() || self.live_count() == 1 {
            self.end_betting();
        }
    }

    fn end_betting(&mut self) {
        self.queue.clear();
        self.collect();
        if self.live_count() == 1 {
            self.pay_the_last();
            return;
        }
        let with_chips = self.places().filter(|place| self.can_act(*place)).count();
        let betting_is_over = with_chips <= 1 || self.board.len() == BOARD_CARDS;
        self.stage = if betting_is_over { Stage::Showdown } else { Stage::Board };
    }
}
