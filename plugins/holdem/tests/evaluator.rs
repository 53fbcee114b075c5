//! The evaluator against one that is too simple to be wrong, and against the published numbers of hands.

use std::collections::BTreeMap;

use holdem::cards::{Card, DECK_CARDS};
use holdem::evaluate::{Category, strength};
use proptest::prelude::*;
use proptest::sample::subsequence;

fn deck() -> Vec<Card> {
    (0..DECK_CARDS).filter_map(Card::from_index).collect()
}

/// Five cards, judged by sorting and counting: category, then ranks by how often they occur and how high they are.
fn naive_five(cards: &[Card]) -> (Category, Vec<u8>) {
    let mut counts = BTreeMap::new();
    for card in cards {
        *counts.entry(card.rank()).or_insert(0_u8) += 1;
    }
    let mut groups: Vec<(u8, u8)> = counts.into_iter().map(|(rank, count)| (count, rank)).collect();
    groups.sort_unstable_by(|a, b| b.cmp(a));
    let ranks: Vec<u8> = groups.iter().map(|group| group.1).collect();
    let shape: Vec<u8> = groups.iter().map(|group| group.0).collect();
    let flush = cards.iter().all(|card| card.suit() == cards[0].suit());
    let straight = match ranks[..] {
        [12, 3, 2, 1, 0] => Some(3),
        [high, .., low] if ranks.len() == 5 && high - low == 4 => Some(high),
        _ => None,
    };
    match (&shape[..], straight, flush) {
        (_, Some(top), true) => (Category::StraightFlush, vec![top]),
        ([4, 1], ..) => (Category::FourOfAKind, ranks),
        ([3, 2], ..) => (Category::FullHouse, ranks),
        (_, None, true) => (Category::Flush, ranks),
        (_, Some(top), false) => (Category::Straight, vec![top]),
        ([3, ..], ..) => (Category::ThreeOfAKind, ranks),
        ([2, 2, ..], ..) => (Category::TwoPair, ranks),
        ([2, ..], ..) => (Category::OnePair, ranks),
        _ => (Category::HighCard, ranks),
    }
}

/// Seven cards: the best of all 21 ways to leave two out.
fn naive(cards: &[Card]) -> (Category, Vec<u8>) {
    let mut best = None;
    for a in 0..cards.len() {
        for b in a + 1..cards.len() {
            let five: Vec<Card> =
                cards.iter().enumerate().filter(|(n, _)| *n != a && *n != b).map(|(_, card)| *card).collect();
            best = best.max(Some(naive_five(&five)));
        }
    }
    best.expect("seven cards make 21 hands")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn two_players_compare_as_the_naive_way_says(cards in subsequence(deck(), 9).prop_shuffle()) {
        let (first, second) = (&cards[..7], &cards[2..]);
        prop_assert_eq!(strength(first).cmp(&strength(second)), naive(first).cmp(&naive(second)));
        prop_assert_eq!(strength(first).category(), naive(first).0);
    }

    // Few ranks make many pairs, trips and full houses; one suit and a half makes flushes and straight flushes.
    #[test]
    fn rare_hands_compare_too(
        cards in prop_oneof![
            subsequence(deck()[..20].to_vec(), 9).prop_shuffle(),
            subsequence(deck().into_iter().filter(|card| card.suit() == 0 || card.rank() > 8).collect::<Vec<_>>(), 9).prop_shuffle(),
        ]
    ) {
        let (first, second) = (&cards[..7], &cards[2..]);
        prop_assert_eq!(strength(first).cmp(&strength(second)), naive(first).cmp(&naive(second)));
    }

    #[test]
    fn the_order_of_cards_does_not_matter(cards in subsequence(deck(), 7), other in Just(()).prop_perturb(|(), mut rng| rng.random::<u64>())) {
        let mut turned = cards.clone();
        turned.rotate_left((other % 7) as usize);
        prop_assert_eq!(strength(&cards), strength(&turned));
    }
}

/// All 2,598,960 hands of five: how many there are of each kind is in any book on poker.
#[test]
fn five_card_hands_are_as_many_as_published() {
    let deck = deck();
    let mut counts: BTreeMap<Category, u32> = BTreeMap::new();
    for a in 0..52 {
        for b in a + 1..52 {
            for c in b + 1..52 {
                for d in c + 1..52 {
                    for e in d + 1..52 {
                        let hand = [deck[a], deck[b], deck[c], deck[d], deck[e]];
                        *counts.entry(strength(&hand).category()).or_default() += 1;
                    }
                }
            }
        }
    }
    let published = [
        (Category::HighCard, 1_302_540),
        (Category::OnePair, 1_098_240),
        (Category::TwoPair, 123_552),
        (Category::ThreeOfAKind, 54_912),
        (Category::Straight, 10_200),
        (Category::Flush, 5_108),
        (Category::FullHouse, 3_744),
        (Category::FourOfAKind, 624),
        (Category::StraightFlush, 40),
    ];
    assert_eq!(counts.into_iter().collect::<Vec<_>>(), published);
}
