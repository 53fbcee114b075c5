//! Exact fractions, and the published figures.
#![allow(dead_code, reason = "each test file uses a part")]

use std::cmp::Ordering;
use std::ops::{Add, Div, Mul, Neg, Sub};

use serde::Deserialize;

/// An exact fraction in lowest terms, denominator positive. Panics on overflow rather than be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Q {
    num: i128,
    den: i128,
}

impl Q {
    pub(crate) const ZERO: Q = Q { num: 0, den: 1 };
    pub(crate) const ONE: Q = Q { num: 1, den: 1 };

    pub(crate) fn new(num: i128, den: i128) -> Q {
        assert!(den != 0, "a fraction over nothing");
        let by = gcd(num.unsigned_abs(), den.unsigned_abs()) as i128 * den.signum();
        Q { num: num / by, den: den / by }
    }

    pub(crate) fn int(number: i64) -> Q {
        Q::new(i128::from(number), 1)
    }

    pub(crate) fn parse(text: &str) -> Q {
        let (num, den) = text.split_once('/').unwrap_or((text, "1"));
        Q::new(num.parse().expect("a whole numerator"), den.parse().expect("a whole denominator"))
    }

    pub(crate) fn to_f64(self) -> f64 {
        self.num as f64 / self.den as f64
    }

    /// In percent, rounded half up to two places, as the books print it.
    pub(crate) fn percent(self) -> String {
        let hundredths = (self.num * 20_000 + self.den).div_euclid(2 * self.den);
        format!("{}.{:02}", hundredths / 100, hundredths % 100)
    }
}

impl Default for Q {
    fn default() -> Q {
        Q::ZERO
    }
}

impl std::fmt::Display for Q {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.den == 1 { write!(f, "{}", self.num) } else { write!(f, "{}/{}", self.num, self.den) }
    }
}

fn gcd(a: u128, b: u128) -> u128 {
    if b == 0 { a.max(1) } else { gcd(b, a % b) }
}

fn product(a: i128, b: i128) -> i128 {
    a.checked_mul(b).expect("a fraction outgrew 128 bits")
}

impl Add for Q {
    type Output = Q;
    fn add(self, other: Q) -> Q {
        let by = gcd(self.den.unsigned_abs(), other.den.unsigned_abs()) as i128;
        let num = product(self.num, other.den / by)
            .checked_add(product(other.num, self.den / by))
            .expect("a fraction outgrew 128 bits");
        Q::new(num, product(self.den / by, other.den))
    }
}

impl Neg for Q {
    type Output = Q;
    fn neg(self) -> Q {
        Q { num: -self.num, den: self.den }
    }
}

impl Sub for Q {
    type Output = Q;
    fn sub(self, other: Q) -> Q {
        self + -other
    }
}

impl Mul for Q {
    type Output = Q;
    fn mul(self, other: Q) -> Q {
        let (a, b) = (Q::new(self.num, other.den), Q::new(other.num, self.den));
        Q { num: product(a.num, b.num), den: product(a.den, b.den) }
    }
}

impl Div for Q {
    type Output = Q;
    fn div(self, other: Q) -> Q {
        let (a, b) = (Q::new(self.num, other.num), Q::new(other.den, self.den));
        Q::new(product(a.num, b.num), product(a.den, b.den))
    }
}

impl PartialOrd for Q {
    fn partial_cmp(&self, other: &Q) -> Option<Ordering> {
        Some((*self - *other).num.cmp(&0))
    }
}

/// One line of `published.json`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Published {
    /// The bet's name, as in the manifest.
    pub(crate) bet: String,
    /// The house's edge per bet made, ties counted as bets, commissions counted as staked: an exact fraction.
    pub(crate) edge: String,
    /// The same in percent as the source prints it.
    pub(crate) percent: String,
    /// Variance of the player's net win per unit staked, where one decision says nothing about the next.
    pub(crate) variance: Option<String>,
    /// What differs from the default rules.
    pub(crate) rules: serde_json::Value,
    /// Who says so.
    pub(crate) source: String,
}

pub(crate) fn published() -> Vec<Published> {
    serde_json::from_str(include_str!("../published.json")).expect("published.json is well-formed")
}
