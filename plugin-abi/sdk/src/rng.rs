//! The turn's chance: ChaCha20 keyed with the turn's seed. docs/CHANCE.md writes down, with test vectors, how its
//! words become numbers, so that anybody can compute a game's draws from a revealed seed.
//!
//! Not here: where the seed comes from (docs/FAIRNESS.md).

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng};

/// Sides of a die.
const DIE_SIDES: u32 = 6;

/// The chance of one turn. Same seed, same draws, for ever: the algorithm is part of the contract.
///
/// The stream of 32-bit words `w0, w1, w2 …` is ChaCha20's key stream (20 rounds, key = the seed, 64-bit block counter from 0, 64-bit
/// nonce 0), read as little-endian words. Every function takes whole words from the front, and none buffers any.
#[derive(Debug, Clone)]
pub struct Rng(ChaCha20Rng);

impl Rng {
    /// The chance of the turn with this seed. In a game take [`crate::Turn::rng`]; this is for tools and tests.
    pub fn from_seed(seed: [u8; 32]) -> Rng {
        Rng(ChaCha20Rng::from_seed(seed))
    }

    /// The next word.
    pub fn u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// The next two words; the first is the lower half.
    pub fn u64(&mut self) -> u64 {
        let low = u64::from(self.u32());
        let high = u64::from(self.u32());
        high << 32 | low
    }

    /// A number from 0 to `n - 1`, each equally likely.
    ///
    /// With `limit` the greatest multiple of `n` that is not above 2³²: takes words until one is below `limit`, and returns that word
    /// modulo `n`. At least one word is taken, even for `n = 1`.
    ///
    /// # Panics
    /// When `n` is 0: there is no such number.
    pub fn below(&mut self, n: u32) -> u32 {
        assert!(n > 0, "below(0): there is no number from 0 to -1");
        let limit = (1u64 << 32) / u64::from(n) * u64::from(n);
        loop {
            let word = self.u32();
            if u64::from(word) < limit {
                return word % n;
            }
        }
    }

    /// A die: `below(6) + 1`.
    pub fn die(&mut self) -> u8 {
        (self.below(DIE_SIDES) + 1) as u8
    }

    /// Shuffles, each order equally likely: for `i` from the last index down to 1, `j = below(i + 1)`, swap elements `i` and `j`
    /// (Fisher–Yates).
    ///
    /// # Panics
    /// When there are more than 2³² − 1 elements.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            let bound = u32::try_from(i + 1).expect("a shuffle takes at most 2^32 - 1 elements");
            items.swap(i, self.below(bound) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Display;

    use super::*;

    const PAGE: &str = include_str!("../../../docs/CHANCE.md");

    fn draws<T: Display>(seed: [u8; 32], count: usize, mut draw: impl FnMut(&mut Rng) -> T) -> String {
        let mut rng = Rng::from_seed(seed);
        let drawn: Vec<String> = (0..count).map(|_| draw(&mut rng).to_string()).collect();
        drawn.join(" ")
    }

    /// One line of vectors, computed by the code.
    fn compute(seed: [u8; 32], name: &str, count: usize) -> String {
        let (draw, argument) = name.split_once(' ').unwrap_or((name, "0"));
        let argument: u32 = argument.parse().unwrap();
        match draw {
            "words" => draws(seed, count, |rng| format!("{:08x}", rng.u32())),
            "u64" => draws(seed, count, |rng| format!("{:016x}", rng.u64())),
            "dice" => draws(seed, count, Rng::die),
            "below" => draws(seed, count, |rng| rng.below(argument)),
            "shuffle" => {
                let mut items: Vec<u32> = (0..argument).collect();
                Rng::from_seed(seed).shuffle(&mut items);
                items.iter().map(u32::to_string).collect::<Vec<_>>().join(" ")
            }
            other => panic!("docs/CHANCE.md has vectors for {other:?}, which this test does not know"),
        }
    }

    #[test]
    fn the_page_tells_the_truth() {
        let block = PAGE.split("```text\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        let mut seed = [0; 32];
        let mut checked = 0;
        for line in block.lines() {
            if let Some(hex) = line.strip_prefix("seed ") {
                hex::decode_to_slice(hex, &mut seed).unwrap();
                continue;
            }
            // "below 52: 6 4 …" and "dice 1 1 …".
            let (name, vector) = line.split_once(": ").or_else(|| line.split_once(' ')).unwrap();
            assert_eq!(
                compute(seed, name, vector.split(' ').count()),
                vector,
                "{name} of seed {}",
                hex::encode(seed)
            );
            checked += 1;
        }
        assert_eq!(checked, 14, "two seeds with seven lines each");
    }

    #[test]
    fn the_stream_is_rfc_8439s() {
        // RFC 8439, appendix A.1, test vector 1: the first bytes of the block with key 0, nonce 0, counter 0.
        let mut rng = Rng::from_seed([0; 32]);
        let bytes: Vec<u8> = (0..4).flat_map(|_| rng.u32().to_le_bytes()).collect();
        assert_eq!(hex::encode(bytes), "76b8e0ada0f13d90405d6ae55386bd28");
    }

    #[test]
    fn below_one_takes_a_word() {
        let (mut one, mut other) = (Rng::from_seed([3; 32]), Rng::from_seed([3; 32]));
        assert_eq!(one.below(1), 0);
        other.u32();
        assert_eq!(one.u32(), other.u32());
    }

    #[test]
    #[should_panic(expected = "there is no number")]
    fn below_zero_is_a_bug() {
        Rng::from_seed([0; 32]).below(0);
    }

    #[test]
    fn short_shuffles_take_nothing() {
        let mut rng = Rng::from_seed([0; 32]);
        rng.shuffle::<u8>(&mut []);
        rng.shuffle(&mut [1]);
        assert_eq!(rng.u32(), 0xade0_b876);
    }
}
