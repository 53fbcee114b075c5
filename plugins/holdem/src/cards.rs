//! Cards, sets of cards and their notation: `Tc` is the ten of clubs, `??` a card that nobody told us.
//!
//! The notation is that of the poker hand history format (PHH): a rank of `23456789TJQKA`, then a suit of `cdhs`, several cards
//! joined without a separator. What hands are worth: see `evaluate`.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Cards in a deck.
pub const DECK_CARDS: u8 = 52;
/// The most cards that one notation may name: more than any action of hold'em deals at once.
pub const NOTATION_CARDS_MAX: usize = 7;

const RANKS: &[u8; 13] = b"23456789TJQKA";
const SUITS: &[u8; 4] = b"cdhs";

/// One of the 52 cards: four times the rank (0 = deuce … 12 = ace) plus the suit (0 = clubs, diamonds, hearts, 3 = spades).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Card(u8);

impl Card {
    /// The card with this number, 0 to 51; `None` beyond.
    #[must_use]
    pub fn from_index(index: u8) -> Option<Self> {
        (index < DECK_CARDS).then_some(Self(index))
    }

    /// The card's number, 0 to 51.
    #[must_use]
    pub fn index(self) -> u8 {
        self.0
    }

    /// 0 for the deuce up to 12 for the ace.
    #[must_use]
    pub fn rank(self) -> u8 {
        self.0 / 4
    }

    /// 0 clubs, 1 diamonds, 2 hearts, 3 spades.
    #[must_use]
    pub fn suit(self) -> u8 {
        self.0 % 4
    }
}

impl fmt::Display for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rank = char::from(RANKS[usize::from(self.rank())]);
        let suit = char::from(SUITS[usize::from(self.suit())]);
        write!(f, "{rank}{suit}")
    }
}

impl fmt::Debug for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<u8> for Card {
    type Error = CardError;

    fn try_from(index: u8) -> Result<Self, CardError> {
        Self::from_index(index).ok_or(CardError::Index(index))
    }
}

impl From<Card> for u8 {
    fn from(card: Card) -> u8 {
        card.0
    }
}

/// Why a text names no cards.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CardError {
    /// No such number.
    #[error("there is no card number {0}: cards are numbered 0 to 51")]
    Index(u8),
    /// Not pairs of rank and suit.
    #[error(
        "\"{0}\" names no cards: write a rank of 23456789TJQKA and a suit of cdhs for each, as in TcQc, or ?? for an unknown card"
    )]
    Notation(String),
    /// Longer than any deal.
    #[error("{0} cards at once: no action of hold'em deals or shows more than {NOTATION_CARDS_MAX}")]
    TooMany(usize),
}

/// Reads cards as PHH writes them; `None` is an unknown card, `??`.
///
/// # Errors
/// When the text is not made of pairs of rank and suit, or names more than [`NOTATION_CARDS_MAX`] cards.
pub fn parse_cards(text: &str) -> Result<Vec<Option<Card>>, CardError> {
    let bytes = text.as_bytes();
    if bytes.len() / 2 > NOTATION_CARDS_MAX {
        return Err(CardError::TooMany(bytes.len() / 2));
    }
    let bad = || CardError::Notation(text.to_owned());
    if bytes.is_empty() || !bytes.len().is_multiple_of(2) {
        return Err(bad());
    }
    bytes.chunks_exact(2).map(|pair| parse_card(pair[0], pair[1]).ok_or_else(bad)).collect()
}

fn parse_card(rank: u8, suit: u8) -> Option<Option<Card>> {
    if (rank, suit) == (b'?', b'?') {
        return Some(None);
    }
    let rank = RANKS.iter().position(|r| *r == rank)?;
    let suit = SUITS.iter().position(|s| *s == suit)?;
    let index = u8::try_from(rank * 4 + suit).ok()?;
    Card::from_index(index).map(Some)
}

/// Cards in PHH notation, joined: `7d5h9d`.
#[must_use]
pub fn format_cards(cards: &[Card]) -> String {
    cards.iter().map(Card::to_string).collect()
}

/// A set of cards, one bit each.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct CardSet(u64);

impl CardSet {
    /// Adds a card; false when it was there already.
    pub fn insert(&mut self, card: Card) -> bool {
        let bit = 1 << card.0;
        let new = self.0 & bit == 0;
        self.0 |= bit;
        new
    }

    /// Whether the card is in the set.
    #[must_use]
    pub fn contains(self, card: Card) -> bool {
        self.0 & (1 << card.0) != 0
    }

    /// The cards of the deck that are not in the set, in the order of their numbers.
    #[must_use]
    pub fn others(self) -> Vec<Card> {
        (0..DECK_CARDS).map(Card).filter(|card| !self.contains(*card)).collect()
    }
}

impl FromIterator<Card> for CardSet {
    fn from_iter<I: IntoIterator<Item = Card>>(cards: I) -> Self {
        let mut set = Self::default();
        for card in cards {
            set.insert(card);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_card_is_written_and_read_the_same() {
        for index in 0..DECK_CARDS {
            let card = Card::from_index(index).unwrap();
            assert_eq!(parse_cards(&card.to_string()), Ok(vec![Some(card)]));
        }
        assert_eq!(Card::from_index(52), None);
    }

    #[test]
    fn cards_are_joined_and_may_be_unknown() {
        let cards = parse_cards("Tc??2s").unwrap();
        assert_eq!(cards.len(), 3);
        assert_eq!(cards[0].unwrap().to_string(), "Tc");
        assert_eq!(cards[1], None);
        assert_eq!(cards[2].unwrap().index(), 3);
    }

    #[test]
    fn other_texts_are_no_cards() {
        for text in ["", "T", "Tx", "1c", "tc", "T?", "?c", "TcQ", "é", "Tc Qc"] {
            assert!(matches!(parse_cards(text), Err(CardError::Notation(_))), "{text}");
        }
        assert_eq!(parse_cards(&"?".repeat(16)), Err(CardError::TooMany(8)));
    }

    #[test]
    fn a_set_knows_what_is_left() {
        let mut set: CardSet = [Card(0), Card(51)].into_iter().collect();
        assert!(!set.insert(Card(51)));
        assert!(set.insert(Card(7)));
        assert_eq!(set.others().len(), 49);
        assert!(!set.others().contains(&Card(7)));
    }
}
