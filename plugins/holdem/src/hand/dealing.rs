//! The dealer's part: hole cards and the board.

use super::{BOARD_CARDS, Hand, RuleError, Stage, ToAct};
use crate::cards::{Card, CardSet};
use crate::seat::Place;

/// Board cards after the flop.
const FLOP_CARDS: usize = 3;

impl Hand {
    /// How many board cards complete the street that is due next: 3, 1 or, with a full board, 0.
    #[must_use]
    pub fn board_due(&self) -> usize {
        match self.board.len() {
            dealt if dealt < FLOP_CARDS => FLOP_CARDS - dealt,
            dealt => usize::from(dealt < BOARD_CARDS),
        }
    }

    /// The next player who lacks hole cards.
    #[must_use]
    pub fn hole_due(&self) -> Option<Place> {
        self.places().find(|place| self.seat(*place).hole.missing() > 0)
    }

    pub(super) fn deal_hole(&mut self, place: Place, cards: &[Option<Card>]) -> Result<(), RuleError> {
        self.check_seat(place)?;
        if self.stage != Stage::Holes {
            return Err(RuleError::HolesOver);
        }
        let due = self.seat(place).hole.missing();
        if due == 0 {
            return Err(RuleError::HoleFull(place));
        }
        if cards.is_empty() || cards.len() > due {
            return Err(RuleError::DealSize { dealt: cards.len(), due });
        }
        check_new(self.known_cards(), cards.iter().copied().flatten())?;
        for card in cards {
            self.seat_mut(place).hole.take(*card);
        }
        if self.hole_due().is_none() {
            self.start_betting();
        }
        Ok(())
    }

    /// Turns board cards. Also accepted while hands are still to be shown (an all-in before the river), and after a hand that ended by a
    /// muck before the river: then they change nothing but the board.
    pub(super) fn deal_board(&mut self, cards: &[Card]) -> Result<(), RuleError> {
        self.pass_idle_players();
        match (self.stage, self.to_act()) {
            (Stage::Holes, _) => return Err(self.holes_missing()),
            (Stage::Betting, ToAct::Player(place)) => return Err(RuleError::BoardNotDue(place)),
            (Stage::Done, _) if !self.ended_by_muck() => return Err(RuleError::HandOver),
            _ => {}
        }
        let due = self.board_due();
        if due == 0 {
            return Err(RuleError::BoardFull);
        }
        if cards.is_empty() || cards.len() > due {
            return Err(RuleError::DealSize { dealt: cards.len(), due });
        }
        check_new(self.known_cards(), cards.iter().copied())?;
        self.board.extend_from_slice(cards);
        if cards.len() < due {
            return Ok(());
        }
        match self.stage {
            Stage::Board => self.start_betting(),
            Stage::Showdown => self.settle_if_all_is_known()?,
            Stage::Holes | Stage::Betting | Stage::Done => {}
        }
        Ok(())
    }

    pub(super) fn holes_missing(&self) -> RuleError {
        RuleError::HolesMissing(self.hole_due().unwrap_or(Place(0)))
    }
}

fn check_new(mut known: CardSet, cards: impl Iterator<Item = Card>) -> Result<(), RuleError> {
    for card in cards {
        if !known.insert(card) {
            return Err(RuleError::CardTwice(card));
        }
    }
    Ok(())
}
