//! Where a bet can lie: every place of the layout has one dense index, so a player's bets are an array.
//! Not what a bet pays: see `payout.rs`.

use serde::{Deserialize, Serialize};

use crate::dice::Point;

/// How many places the layout has.
pub const SPOTS: usize = 60;

/// A place of the layout. A player has at most one bet on each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum Spot {
    /// The pass line.
    Pass,
    /// The don't pass bar.
    DontPass,
    /// Odds behind the pass line.
    PassOdds,
    /// Odds laid behind don't pass.
    DontPassOdds,
    /// A come bet that has moved to its number.
    ComeOn(Point),
    /// A don't come bet that has moved behind its number.
    DontComeOn(Point),
    /// Odds on a come bet.
    ComeOdds(Point),
    /// Odds laid on a don't come bet.
    DontComeOdds(Point),
    /// The number before a seven, at the house's odds.
    Place(Point),
    /// The number before a seven, at true odds for a commission.
    Buy(Point),
    /// A seven before the number, at true odds for a commission.
    Lay(Point),
    /// 2, 3, 4, 9, 10, 11 or 12 on the next roll.
    Field,
    /// The number as a pair before a seven and before the number any other way (4, 6, 8, 10).
    Hard(Point),
    /// 7 on the next roll.
    AnySeven,
    /// 2, 3 or 12 on the next roll.
    AnyCraps,
    /// Exactly this total on the next roll (2, 3, 11, 12).
    Number(OneRoll),
    /// A quarter each on 2, 3, 11 and 12, next roll.
    Horn,
    /// The come box: a come bet before its first roll.
    Come,
    /// The don't come box.
    DontCome,
}

/// A total that can be bet on for the next roll alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OneRoll {
    /// 2.
    Two,
    /// 3.
    Three,
    /// 11.
    Eleven,
    /// 12.
    Twelve,
}

impl OneRoll {
    /// All of them, in order.
    pub const ALL: [OneRoll; 4] = [OneRoll::Two, OneRoll::Three, OneRoll::Eleven, OneRoll::Twelve];

    /// 2, 3, 11 or 12.
    pub const fn number(self) -> u8 {
        match self {
            OneRoll::Two => 2,
            OneRoll::Three => 3,
            OneRoll::Eleven => 11,
            OneRoll::Twelve => 12,
        }
    }

    fn from_number(number: u8) -> Option<OneRoll> {
        OneRoll::ALL.into_iter().find(|one| one.number() == number)
    }
}

/// What a bet is called in actions and replies; with a number where the kind has several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is explained at the Spot of the same name")]
pub enum Kind {
    Pass,
    DontPass,
    PassOdds,
    DontPassOdds,
    Come,
    DontCome,
    ComeOdds,
    DontComeOdds,
    Place,
    Buy,
    Lay,
    Field,
    Hard,
    AnySeven,
    AnyCraps,
    Number,
    Horn,
}

const HARD: [Point; 4] = [Point::Four, Point::Six, Point::Eight, Point::Ten];

impl Spot {
    /// Every place, at its index. The come boxes are last: a roll settles places in this order, so a bet that
    /// moves from a box to its number finds that number empty.
    pub const ALL: [Spot; SPOTS] = layout();

    /// 0 to `SPOTS - 1`; part of the snapshot's format.
    pub const fn index(self) -> usize {
        match self {
            Spot::Pass => 0,
            Spot::DontPass => 1,
            Spot::PassOdds => 2,
            Spot::DontPassOdds => 3,
            Spot::ComeOn(p) => 4 + p as usize,
            Spot::DontComeOn(p) => 10 + p as usize,
            Spot::ComeOdds(p) => 16 + p as usize,
            Spot::DontComeOdds(p) => 22 + p as usize,
            Spot::Place(p) => 28 + p as usize,
            Spot::Buy(p) => 34 + p as usize,
            Spot::Lay(p) => 40 + p as usize,
            Spot::Field => 46,
            Spot::Hard(Point::Four) => 47,
            Spot::Hard(Point::Six) => 48,
            Spot::Hard(Point::Eight) => 49,
            Spot::Hard(_) => 50,
            Spot::AnySeven => 51,
            Spot::AnyCraps => 52,
            Spot::Number(n) => 53 + n as usize,
            Spot::Horn => 57,
            Spot::Come => 58,
            Spot::DontCome => 59,
        }
    }

    /// The place that a kind and a number name; `None` when there is no such place.
    pub fn named(kind: Kind, number: Option<u8>) -> Option<Spot> {
        let point = number.and_then(Point::from_number);
        match (kind, number) {
            (Kind::Pass, None) => Some(Spot::Pass),
            (Kind::DontPass, None) => Some(Spot::DontPass),
            (Kind::PassOdds, None) => Some(Spot::PassOdds),
            (Kind::DontPassOdds, None) => Some(Spot::DontPassOdds),
            (Kind::Come, None) => Some(Spot::Come),
            (Kind::DontCome, None) => Some(Spot::DontCome),
            (Kind::Field, None) => Some(Spot::Field),
            (Kind::AnySeven, None) => Some(Spot::AnySeven),
            (Kind::AnyCraps, None) => Some(Spot::AnyCraps),
            (Kind::Horn, None) => Some(Spot::Horn),
            (Kind::Come, Some(_)) => point.map(Spot::ComeOn),
            (Kind::DontCome, Some(_)) => point.map(Spot::DontComeOn),
            (Kind::ComeOdds, Some(_)) => point.map(Spot::ComeOdds),
            (Kind::DontComeOdds, Some(_)) => point.map(Spot::DontComeOdds),
            (Kind::Place, Some(_)) => point.map(Spot::Place),
            (Kind::Buy, Some(_)) => point.map(Spot::Buy),
            (Kind::Lay, Some(_)) => point.map(Spot::Lay),
            (Kind::Hard, Some(_)) => point.filter(|p| HARD.contains(p)).map(Spot::Hard),
            (Kind::Number, Some(n)) => OneRoll::from_number(n).map(Spot::Number),
            _ => None,
        }
    }

    /// What the place is called in actions and replies.
    pub fn kind(self) -> Kind {
        match self {
            Spot::Pass => Kind::Pass,
            Spot::DontPass => Kind::DontPass,
            Spot::PassOdds => Kind::PassOdds,
            Spot::DontPassOdds => Kind::DontPassOdds,
            Spot::Come | Spot::ComeOn(_) => Kind::Come,
            Spot::DontCome | Spot::DontComeOn(_) => Kind::DontCome,
            Spot::ComeOdds(_) => Kind::ComeOdds,
            Spot::DontComeOdds(_) => Kind::DontComeOdds,
            Spot::Place(_) => Kind::Place,
            Spot::Buy(_) => Kind::Buy,
            Spot::Lay(_) => Kind::Lay,
            Spot::Field => Kind::Field,
            Spot::Hard(_) => Kind::Hard,
            Spot::AnySeven => Kind::AnySeven,
            Spot::AnyCraps => Kind::AnyCraps,
            Spot::Number(_) => Kind::Number,
            Spot::Horn => Kind::Horn,
        }
    }

    /// The number beside the kind, where the place has one.
    pub fn number(self) -> Option<u8> {
        match self {
            Spot::ComeOn(p)
            | Spot::DontComeOn(p)
            | Spot::ComeOdds(p)
            | Spot::DontComeOdds(p)
            | Spot::Place(p)
            | Spot::Buy(p)
            | Spot::Lay(p)
            | Spot::Hard(p) => Some(p.number()),
            Spot::Number(n) => Some(n.number()),
            _ => None,
        }
    }

    /// The place whose bet this one's bet is odds on.
    pub fn flat(self) -> Option<Spot> {
        match self {
            Spot::PassOdds => Some(Spot::Pass),
            Spot::DontPassOdds => Some(Spot::DontPass),
            Spot::ComeOdds(p) => Some(Spot::ComeOn(p)),
            Spot::DontComeOdds(p) => Some(Spot::DontComeOn(p)),
            _ => None,
        }
    }

    /// The place of the odds on this place's bet.
    pub fn odds(self) -> Option<Spot> {
        match self {
            Spot::Pass => Some(Spot::PassOdds),
            Spot::DontPass => Some(Spot::DontPassOdds),
            Spot::ComeOn(p) => Some(Spot::ComeOdds(p)),
            Spot::DontComeOn(p) => Some(Spot::DontComeOdds(p)),
            _ => None,
        }
    }

    /// The name under which results are added up, the same as the bet's name in the manifest: a come bet is
    /// one bet from the box to its end, whatever number it moves to; odds are one bet over all numbers.
    pub fn family(self) -> &'static str {
        match self {
            Spot::Pass => "pass",
            Spot::DontPass => "dont_pass",
            Spot::PassOdds => "pass_odds",
            Spot::DontPassOdds => "dont_pass_odds",
            Spot::Come | Spot::ComeOn(_) => "come",
            Spot::DontCome | Spot::DontComeOn(_) => "dont_come",
            Spot::ComeOdds(_) => "come_odds",
            Spot::DontComeOdds(_) => "dont_come_odds",
            Spot::Place(p) => ["place_4", "place_5", "place_6", "place_8", "place_9", "place_10"][p as usize],
            Spot::Buy(p) => ["buy_4", "buy_5", "buy_6", "buy_8", "buy_9", "buy_10"][p as usize],
            Spot::Lay(p) => ["lay_4", "lay_5", "lay_6", "lay_8", "lay_9", "lay_10"][p as usize],
            Spot::Field => "field",
            Spot::Hard(p) => ["hard_4", "", "hard_6", "hard_8", "", "hard_10"][p as usize],
            Spot::AnySeven => "any_seven",
            Spot::AnyCraps => "any_craps",
            Spot::Number(n) => ["number_2", "number_3", "number_11", "number_12"][n as usize],
            Spot::Horn => "horn",
        }
    }
}

impl From<Spot> for u8 {
    fn from(spot: Spot) -> u8 {
        spot.index() as u8
    }
}

impl TryFrom<u8> for Spot {
    type Error = String;

    fn try_from(index: u8) -> Result<Spot, String> {
        Spot::ALL
            .get(usize::from(index))
            .copied()
            .ok_or_else(|| format!("there is no place {index} on the layout"))
    }
}

const fn layout() -> [Spot; SPOTS] {
    let mut all = [Spot::DontCome; SPOTS];
    let plain = [
        Spot::Pass,
        Spot::DontPass,
        Spot::PassOdds,
        Spot::DontPassOdds,
        Spot::Field,
        Spot::AnySeven,
        Spot::AnyCraps,
        Spot::Horn,
        Spot::Come,
    ];
    let mut i = 0;
    while i < plain.len() {
        all[plain[i].index()] = plain[i];
        i += 1;
    }
    let mut i = 0;
    while i < Point::ALL.len() {
        let p = Point::ALL[i];
        let on = [
            Spot::ComeOn(p),
            Spot::DontComeOn(p),
            Spot::ComeOdds(p),
            Spot::DontComeOdds(p),
            Spot::Place(p),
            Spot::Buy(p),
            Spot::Lay(p),
        ];
        let mut j = 0;
        while j < on.len() {
            all[on[j].index()] = on[j];
            j += 1;
        }
        i += 1;
    }
    let mut i = 0;
    while i < 4 {
        all[Spot::Hard(HARD[i]).index()] = Spot::Hard(HARD[i]);
        all[Spot::Number(OneRoll::ALL[i]).index()] = Spot::Number(OneRoll::ALL[i]);
        i += 1;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_at_its_index_and_has_a_name_of_its_own() {
        for (index, spot) in Spot::ALL.into_iter().enumerate() {
            assert_eq!(spot.index(), index, "{spot:?}");
            assert_eq!(Spot::named(spot.kind(), spot.number()), Some(spot));
            assert!(!spot.family().is_empty(), "{spot:?}");
        }
    }
}
