//! What seven cards are worth: the best five of them, as one number that compares.
//!
//! Each suit is a mask of thirteen ranks. Ranks held twice, three and four times fall out of a few ands and ors of the four masks, so no
//! table and no loop over the 21 hands of five is needed (about ten nanoseconds a hand). A naive evaluator that does try all 21
//! stands in `tests/evaluator.rs` and agrees. Who wins what: see `pots`.

use std::fmt;

use crate::cards::Card;

/// The kinds of hands, from the worst to the best.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Category {
    /// Nothing of the below.
    HighCard,
    /// Two of a rank.
    OnePair,
    /// Two pairs.
    TwoPair,
    /// Three of a rank.
    ThreeOfAKind,
    /// Five ranks in a row; the ace counts high or, in A2345, low.
    Straight,
    /// Five of a suit.
    Flush,
    /// Three of a rank and two of another.
    FullHouse,
    /// Four of a rank.
    FourOfAKind,
    /// A straight in one suit; the royal flush is its highest.
    StraightFlush,
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HighCard => "high card",
            Self::OnePair => "one pair",
            Self::TwoPair => "two pair",
            Self::ThreeOfAKind => "three of a kind",
            Self::Straight => "straight",
            Self::Flush => "flush",
            Self::FullHouse => "full house",
            Self::FourOfAKind => "four of a kind",
            Self::StraightFlush => "straight flush",
        })
    }
}

/// How good a hand is: the greater wins, equals split. Compares category first, then ranks in the order that poker compares them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Strength {
    category: Category,
    /// Up to five ranks of four bits each, the one that counts most in the highest bits.
    ranks: u32,
}

impl Strength {
    /// Puts a strength together from its category and the ranks that break ties, the most important first (at most five).
    #[must_use]
    pub fn new(category: Category, ranks: &[u8]) -> Self {
        let mut packed = 0;
        for place in 0..5 {
            packed = packed << 4 | u32::from(ranks.get(place).copied().unwrap_or(0));
        }
        Self { category, ranks: packed }
    }

    /// The kind of hand.
    #[must_use]
    pub fn category(self) -> Category {
        self.category
    }
}

/// The strength of the best five of these cards, which are distinct; five to seven of them make sense.
#[must_use]
pub fn strength(cards: &[Card]) -> Strength {
    let mut suits = [0_u16; 4];
    for card in cards {
        suits[usize::from(card.suit())] |= 1 << card.rank();
    }
    let [c, d, h, s] = suits;
    let any = c | d | h | s;
    let twice = (c & d) | (h & s) | ((c | d) & (h | s));
    let thrice = (c & d & (h | s)) | (h & s & (c | d));
    let four = c & d & h & s;

    // With at most seven cards only one suit can hold five, and a flush excludes four of a kind and full houses no more than it loses to them.
    let flush = suits.into_iter().find(|suit| suit.count_ones() >= 5);
    if let Some(top) = flush.and_then(straight_top) {
        return Strength::new(Category::StraightFlush, &[top]);
    }
    if four != 0 {
        let quads = top_rank(four);
        return Strength::new(Category::FourOfAKind, &[quads, top_rank(without(any, quads))]);
    }
    if thrice != 0 {
        let trips = top_rank(thrice);
        let pairs = without(twice, trips);
        if pairs != 0 {
            return Strength::new(Category::FullHouse, &[trips, top_rank(pairs)]);
        }
    }
    if let Some(suit) = flush {
        return with_kickers(Category::Flush, &[], suit);
    }
    if let Some(top) = straight_top(any) {
        return Strength::new(Category::Straight, &[top]);
    }
    if thrice != 0 {
        let trips = top_rank(thrice);
        return with_kickers(Category::ThreeOfAKind, &[trips], without(any, trips));
    }
    if twice == 0 {
        return with_kickers(Category::HighCard, &[], any);
    }
    let high = top_rank(twice);
    let rest = without(twice, high);
    if rest == 0 {
        return with_kickers(Category::OnePair, &[high], without(any, high));
    }
    let low = top_rank(rest);
    Strength::new(Category::TwoPair, &[high, low, top_rank(without(without(any, high), low))])
}

/// How many kickers a category compares.
fn kicker_count(category: Category) -> usize {
    match category {
        Category::ThreeOfAKind => 2,
        Category::OnePair => 3,
        _ => 5,
    }
}

fn with_kickers(category: Category, leading: &[u8], mut rest: u16) -> Strength {
    let mut ranks = [0; 5];
    ranks[..leading.len()].copy_from_slice(leading);
    let end = leading.len() + kicker_count(category);
    for slot in &mut ranks[leading.len()..end.min(5)] {
        *slot = top_rank(rest);
        rest = without(rest, *slot);
    }
    Strength::new(category, &ranks)
}

/// The highest rank in the mask; 0 for an empty one.
fn top_rank(mask: u16) -> u8 {
    // The logarithm of a u16 is below 16.
    mask.checked_ilog2().unwrap_or(0) as u8
}

fn without(mask: u16, rank: u8) -> u16 {
    mask & !(1 << rank)
}

/// The highest rank of the best straight in the mask.
fn straight_top(mask: u16) -> Option<u8> {
    // One place up, with the ace below the deuce too.
    let wheel = mask << 1 | mask >> 12 & 1;
    let runs = wheel & wheel << 1 & wheel << 2 & wheel << 3 & wheel << 4;
    (runs != 0).then(|| top_rank(runs) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cards::parse_cards;

    fn of(text: &str) -> Strength {
        let cards: Vec<Card> = parse_cards(text).unwrap().into_iter().flatten().collect();
        strength(&cards)
    }

    #[test]
    fn each_kind_beats_the_one_before() {
        let ladder = [
            ("AcKdJh9s7c5d3h", Category::HighCard),
            ("2c2dAhKs9c7d5h", Category::OnePair),
            ("2c2d3h3s9c7dKh", Category::TwoPair),
            ("2c2d2hAsKc9d7h", Category::ThreeOfAKind),
            ("Ac2d3h4s5cKdKh", Category::Straight),
            ("2c3c4c5c7cAdAh", Category::Flush),
            ("2c2d2h3s3cAdKh", Category::FullHouse),
            ("2c2d2h2s3c3d3h", Category::FourOfAKind),
            ("Ac2c3c4c5cAdAh", Category::StraightFlush),
        ];
        for pair in ladder.windows(2) {
            assert!(of(pair[0].0) < of(pair[1].0), "{pair:?}");
        }
        for (cards, category) in ladder {
            assert_eq!(of(cards).category(), category, "{cards}");
        }
    }

    #[test]
    fn ties_are_broken_as_poker_does() {
        assert!(of("Ac2d3h4s5c9dJh") < of("2d3h4s5c6c9dJh"), "the wheel is the lowest straight");
        assert!(of("KcQdJhTs9c2d2h") < of("AcKdQhJsTc2d2h"));
        assert!(of("AcAdKhKsQc2d2h") < of("AcAdKhKs2c2dAh"), "three pairs play two and the kicker");
        assert_eq!(of("AcAdKhKsQcQdJh"), of("AcAhKhKsQcQs2h"), "the third pair is a kicker like any");
        assert_eq!(of("2c3d7hJsQcKdAh").category(), Category::HighCard, "no wrap round the ace");
        assert_eq!(of("9c9d9h8s8c8d2h"), of("9c9d9h8s8cKd2h"), "two trips make a full house");
    }
}
