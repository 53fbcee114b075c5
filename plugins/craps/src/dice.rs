//! Two dice and what they show. Not where they come from: see `game.rs`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One throw of two dice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dice {
    a: u8,
    b: u8,
}

impl Dice {
    /// Two faces, 1 to 6 each; `None` for anything else.
    pub fn new(a: u8, b: u8) -> Option<Dice> {
        ((1..=6).contains(&a) && (1..=6).contains(&b)).then_some(Dice { a, b })
    }

    /// All 36 throws, each as likely as any other.
    pub fn all() -> impl Iterator<Item = Dice> {
        (1..=6).flat_map(|a| (1..=6).map(move |b| Dice { a, b }))
    }

    /// The two faces.
    pub fn faces(self) -> [u8; 2] {
        [self.a, self.b]
    }

    /// The sum, 2 to 12.
    pub fn total(self) -> u8 {
        self.a + self.b
    }

    /// Both faces the same.
    pub fn is_pair(self) -> bool {
        self.a == self.b
    }
}

impl fmt::Display for Dice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.a, self.b)
    }
}

/// A number that can be the point, or that a bet can stand on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Point {
    /// 4: three ways.
    Four,
    /// 5: four ways.
    Five,
    /// 6: five ways.
    Six,
    /// 8: five ways.
    Eight,
    /// 9: four ways.
    Nine,
    /// 10: three ways.
    Ten,
}

impl Point {
    /// All of them, in order.
    pub const ALL: [Point; 6] = [Point::Four, Point::Five, Point::Six, Point::Eight, Point::Nine, Point::Ten];

    /// The point with this number, if it is one.
    pub const fn from_number(number: u8) -> Option<Point> {
        match number {
            4 => Some(Point::Four),
            5 => Some(Point::Five),
            6 => Some(Point::Six),
            8 => Some(Point::Eight),
            9 => Some(Point::Nine),
            10 => Some(Point::Ten),
            _ => None,
        }
    }

    /// 4, 5, 6, 8, 9 or 10.
    pub const fn number(self) -> u8 {
        match self {
            Point::Four => 4,
            Point::Five => 5,
            Point::Six => 6,
            Point::Eight => 8,
            Point::Nine => 9,
            Point::Ten => 10,
        }
    }

    /// 0 for 4 and 10, 1 for 5 and 9, 2 for 6 and 8: numbers with the same chance share their payouts.
    pub const fn class(self) -> usize {
        match self {
            Point::Four | Point::Ten => 0,
            Point::Five | Point::Nine => 1,
            Point::Six | Point::Eight => 2,
        }
    }
}
