//! Adds up what became of bets over many rolls, bet by bet as the manifest names them. Exact whole numbers.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::spot::{SPOTS, Spot};
use crate::table::{Decision, Outcome};

/// What became of the bets of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Line {
    /// Bets decided: won, lost and pushed.
    pub resolved: u64,
    /// Bets won.
    pub won: u64,
    /// Bets lost.
    pub lost: u64,
    /// Bets given back.
    pub pushed: u64,
    /// All that lay on them, commissions included.
    pub staked: i128,
    /// All that came back. The house's win is `staked - paid`.
    pub paid: i128,
}

/// One line for each family of bets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// By place; families are joined when it is written.
    lines: [Line; SPOTS],
    /// How often each total came, from 2.
    totals: [u64; 11],
}

impl Default for Tally {
    fn default() -> Tally {
        Tally { lines: [Line::default(); SPOTS], totals: [0; 11] }
    }
}

impl Tally {
    /// Counts a decided bet.
    pub fn count(&mut self, decision: Decision) {
        let line = &mut self.lines[decision.spot.index()];
        line.resolved += 1;
        match decision.outcome {
            Outcome::Won => line.won += 1,
            Outcome::Lost => line.lost += 1,
            Outcome::Pushed => line.pushed += 1,
        }
        // Ten thousand rolls of the largest bets could outgrow an i64.
        line.staked += i128::from(decision.staked);
        line.paid += i128::from(decision.paid);
    }

    /// Counts a roll.
    pub fn count_roll(&mut self, total: u8) {
        self.totals[usize::from(total) - 2] += 1;
    }

    /// The families that have decided bets, by name, in the layout's order.
    pub fn families(&self) -> Vec<(&'static str, Line)> {
        let mut families: Vec<(&'static str, Line)> = Vec::new();
        for (spot, line) in Spot::ALL.into_iter().zip(self.lines).filter(|(_, line)| line.resolved > 0) {
            match families.iter_mut().find(|(name, _)| *name == spot.family()) {
                Some((_, sum)) => sum.add(line),
                None => families.push((spot.family(), line)),
            }
        }
        families
    }

    /// How often each total came.
    pub fn totals(&self) -> Totals {
        Totals(self.totals)
    }
}

impl Line {
    fn add(&mut self, other: Line) {
        self.resolved += other.resolved;
        self.won += other.won;
        self.lost += other.lost;
        self.pushed += other.pushed;
        self.staked += other.staked;
        self.paid += other.paid;
    }
}

/// How often each total came; written as `{"2":…, …, "12":…}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals([u64; 11]);

impl Serialize for Totals {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (total, count) in (2..).zip(self.0) {
            map.serialize_entry(&total.to_string(), &count)?;
        }
        map.end()
    }
}
