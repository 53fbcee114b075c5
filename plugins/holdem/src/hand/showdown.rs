//! The showdown: hands are shown or mucked, and the pots go to the best of those that lie open.
//!
//! Players show in the order that poker asks for (who raised last shows first), but any order is taken: hand histories keep the order in which it
//! happened. Nothing is paid out before all have shown or mucked and the board is complete.

use super::{BOARD_CARDS, Hand, RuleError, Shown, Stage, ToAct};
use crate::cards::Card;
use crate::evaluate::{Strength, strength};
use crate::pots::{Pot, shares};
use crate::seat::{HOLE_CARDS, Place, Show, Standing};

impl Hand {
    /// What the player's best five cards are worth; `None` unless the hole cards lie open and the board is complete.
    #[must_use]
    pub fn open_strength(&self, place: Place) -> Option<Strength> {
        let seat = self.seats.get(place.index())?;
        if seat.show != Show::Open || self.board.len() != BOARD_CARDS {
            return None;
        }
        let [a, b] = seat.hole.both()?;
        let [c, d, e, f, g] = *<&[Card; BOARD_CARDS]>::try_from(&self.board[..]).ok()?;
        Some(strength(&[a, b, c, d, e, f, g]))
    }

    /// Whether the hand ended before the river because all but one mucked.
    #[must_use]
    pub(super) fn ended_by_muck(&self) -> bool {
        self.stage == Stage::Done && self.seats.iter().any(|seat| seat.standing == Standing::Mucked)
    }

    pub(super) fn next_to_show(&self) -> Option<Place> {
        self.places_from(self.opener).find(|place| {
            let seat = self.seat(*place);
            seat.is_live() && seat.show == Show::Pending
        })
    }

    pub(super) fn show(&mut self, place: Place, shown: &Shown) -> Result<(), RuleError> {
        self.check_showdown(place)?;
        match shown {
            Shown::Cards(cards) => self.lay_open(place, cards)?,
            Shown::AsDealt => self.lay_open_as_dealt(place)?,
        }
        self.settle_if_all_is_known()
    }

    pub(super) fn muck(&mut self, place: Place) -> Result<(), RuleError> {
        self.check_showdown(place)?;
        if self.stage == Stage::Done {
            // Everybody else gave up: the winner need not show.
            return Ok(());
        }
        if self.seat(place).show == Show::Open {
            return Err(RuleError::ShownAlready(place));
        }
        self.seat_mut(place).standing = Standing::Mucked;
        match self.live_count() {
            1 => {
                self.pay_the_last();
                Ok(())
            }
            _ => self.settle_if_all_is_known(),
        }
    }

    pub(super) fn open_all(&mut self) -> Result<(), RuleError> {
        self.pass_idle_players();
        self.check_stage()?;
        if self.stage == Stage::Done {
            return Err(RuleError::HandOver);
        }
        while let Some(place) = self.next_to_show() {
            self.lay_open_as_dealt(place)?;
        }
        self.settle_if_all_is_known()
    }

    pub(super) fn settle_if_all_is_known(&mut self) -> Result<(), RuleError> {
        if self.stage == Stage::Showdown && self.board.len() == BOARD_CARDS && self.next_to_show().is_none() {
            let pots = self.pots();
            for pot in &pots {
                self.pay_the_best(pot)?;
            }
            self.stage = Stage::Done;
        }
        Ok(())
    }

    /// Gives everything to the only player left.
    pub(super) fn pay_the_last(&mut self) {
        for pot in self.pots() {
            self.pay(&pot, &pot.players);
        }
        self.stage = Stage::Done;
    }

    fn check_stage(&self) -> Result<(), RuleError> {
        match (self.stage, self.to_act()) {
            (Stage::Holes, _) => Err(self.holes_missing()),
            (Stage::Board, _) => Err(RuleError::BoardDue(self.board_due())),
            (Stage::Betting, ToAct::Player(to_act)) => Err(RuleError::NoShowdown(to_act)),
            (Stage::Betting | Stage::Showdown | Stage::Done, _) => Ok(()),
        }
    }

    fn check_showdown(&mut self, place: Place) -> Result<(), RuleError> {
        self.check_seat(place)?;
        self.pass_idle_players();
        self.check_stage()?;
        match self.seat(place).is_live() {
            true => Ok(()),
            false => Err(RuleError::Out(place)),
        }
    }

    fn lay_open_as_dealt(&mut self, place: Place) -> Result<(), RuleError> {
        let seat = self.seat_mut(place);
        if seat.hole.both().is_none() {
            return Err(RuleError::UnknownCards(place));
        }
        seat.show = Show::Open;
        Ok(())
    }

    /// Lays these cards open. Cards that the table was not told when they were dealt become known.
    fn lay_open(&mut self, place: Place, cards: &[Option<Card>]) -> Result<(), RuleError> {
        if cards.is_empty() || cards.len() > HOLE_CARDS {
            return Err(RuleError::DealSize { dealt: cards.len(), due: HOLE_CARDS });
        }
        let mut in_play = self.known_cards();
        let mut seat = *self.seat(place);
        for (index, card) in cards.iter().enumerate() {
            let Some(card) = *card else { continue };
            if cards[..index].contains(&Some(card)) {
                return Err(RuleError::CardTwice(card));
            }
            let dealt = self.seat(place).hole.known().any(|own| own == card);
            if !dealt && !in_play.insert(card) {
                return Err(RuleError::CardTwice(card));
            }
            if !dealt && !seat.hole.learn(card) {
                return Err(RuleError::OtherCards(place));
            }
        }
        let all_named = cards.iter().flatten().count() == HOLE_CARDS;
        if all_named {
            seat.show = Show::Open;
        } else if seat.show == Show::Pending {
            seat.show = Show::Closed;
        }
        *self.seat_mut(place) = seat;
        Ok(())
    }

    fn pay_the_best(&mut self, pot: &Pot) -> Result<(), RuleError> {
        if let [only] = pot.players[..] {
            self.pay(pot, &[only]);
            return Ok(());
        }
        let best = pot.players.iter().filter_map(|place| self.open_strength(*place)).max();
        let Some(best) = best else {
            return Err(RuleError::Undecided(pot.players[0], pot.players[1]));
        };
        let winners: Vec<Place> =
            pot.players.iter().copied().filter(|place| self.open_strength(*place) == Some(best)).collect();
        self.pay(pot, &winners);
        Ok(())
    }

    fn pay(&mut self, pot: &Pot, winners: &[Place]) {
        for (place, share) in shares(pot.amount, winners) {
            let seat = self.seat_mut(place);
            seat.stack += share;
            seat.won += share;
        }
    }
}
