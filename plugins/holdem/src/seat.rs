//! A seat of the table: a player's chips, cards and standing in the hand.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::cards::Card;
use crate::chips::Chips;

/// The most players of a hand.
pub const PLAYERS_MAX: usize = 10;
/// The fewest players of a hand.
pub const PLAYERS_MIN: usize = 2;
/// Cards dealt to each player.
pub const HOLE_CARDS: usize = 2;

/// A player's place, counted from 0 at the button's left. Written `p1`, `p2`, … as in PHH, and player 1, 2, … of the session.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Place(pub u8);

impl Place {
    /// Where the player stands in lists of players.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The player's number in the session, from 1.
    #[must_use]
    pub fn number(self) -> u64 {
        u64::from(self.0) + 1
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}", self.number())
    }
}

/// Whether a player is still in the hand.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Standing {
    /// Can win.
    Playing,
    /// Gave up while chips were bet.
    Folded,
    /// Gave up at the showdown, without showing.
    Mucked,
}

/// What a player did at the showdown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Show {
    /// Nothing yet.
    Pending,
    /// Both cards lie open.
    Open,
    /// Neither shown nor mucked (PHH: `sm ????`): wins only against players who show nothing either.
    Closed,
}

/// A player's hole cards, as far as they are dealt and known.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hole {
    cards: [Option<Card>; HOLE_CARDS],
    dealt: u8,
}

impl Hole {
    /// How many cards are still to be dealt.
    #[must_use]
    pub fn missing(self) -> usize {
        HOLE_CARDS - usize::from(self.dealt)
    }

    /// Takes a card, known or not; false when there are two already.
    pub fn take(&mut self, card: Option<Card>) -> bool {
        let Some(slot) = self.cards.get_mut(usize::from(self.dealt)) else { return false };
        *slot = card;
        self.dealt += 1;
        true
    }

    /// The cards that are known.
    pub fn known(self) -> impl Iterator<Item = Card> {
        self.cards.into_iter().flatten()
    }

    /// Both cards, when both are known.
    #[must_use]
    pub fn both(self) -> Option<[Card; HOLE_CARDS]> {
        match self.cards {
            [Some(a), Some(b)] => Some([a, b]),
            _ => None,
        }
    }

    /// Puts a card that turns out to be here in the place of an unknown one; false when no unknown one is left.
    pub fn learn(&mut self, card: Card) -> bool {
        match self.cards.iter_mut().take(usize::from(self.dealt)).find(|slot| slot.is_none()) {
            Some(slot) => {
                *slot = Some(card);
                true
            }
            None => false,
        }
    }
}

/// One player in the hand.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Seat {
    /// Chips behind: not in the middle.
    pub stack: Chips,
    /// Chips bet on this street.
    pub bet: Chips,
    /// Chips put in on earlier streets, antes that buy a claim among them.
    pub put_in: Chips,
    /// Chips won.
    pub won: Chips,
    /// Hole cards dealt so far.
    pub hole: Hole,
    /// In the hand or not.
    pub standing: Standing,
    /// What was shown.
    pub show: Show,
    /// Acted on this street, of free will.
    pub acted: bool,
}

impl Seat {
    /// A seat before the hand begins.
    #[must_use]
    pub fn new(stack: Chips) -> Self {
        Self {
            stack,
            bet: Chips::ZERO,
            put_in: Chips::ZERO,
            won: Chips::ZERO,
            hole: Hole::default(),
            standing: Standing::Playing,
            show: Show::Pending,
            acted: false,
        }
    }

    /// Whether the player can still win.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.standing == Standing::Playing
    }

    /// Moves up to `amount` from the stack to the bet of this street.
    pub fn wager(&mut self, amount: Chips) {
        let amount = amount.min(self.stack);
        self.stack -= amount;
        self.bet += amount;
    }
}
