//! Rows with goals, and whether they are met.

use serde_json::{Value, json};

/// On which side of the goal it is good to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoalKind {
    /// The less the better.
    AtMost,
    /// The more the better.
    AtLeast,
}

impl GoalKind {
    /// As lines say it.
    pub fn name(self) -> &'static str {
        match self {
            GoalKind::AtMost => "at most",
            GoalKind::AtLeast => "at least",
        }
    }

    /// The sign that stands before a goal.
    pub fn sign(self) -> &'static str {
        match self {
            GoalKind::AtMost => "≤",
            GoalKind::AtLeast => "≥",
        }
    }
}

/// What is said of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// All of the spread is on the good side.
    Met,
    /// All of it is on the other.
    Missed,
    /// The goal lies inside the spread.
    Noisy,
}

impl Verdict {
    /// As the summary says it.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Met => "met",
            Verdict::Missed => "missed",
            Verdict::Noisy => "noisy",
        }
    }
}

/// A figure with a goal.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What is measured.
    pub name: String,
    /// What it should be.
    pub goal: f64,
    /// What it is: the median over rounds. `None`: there is no such thing (a crossover that never comes); missed.
    pub figure: Option<f64>,
    /// Of goal, figure and spread.
    pub unit: String,
    /// On which side of the goal it is good to be.
    pub kind: GoalKind,
    /// First and third quartile over rounds.
    pub spread: Option<[f64; 2]>,
    /// How to measure it again; may be empty.
    pub command: String,
    /// Anything else; may be empty.
    pub note: String,
}

impl Row {
    /// Decides.
    pub fn verdict(&self) -> Verdict {
        let Some(figure) = self.figure else { return Verdict::Missed };
        let good = |value: f64| match self.kind {
            GoalKind::AtMost => value <= self.goal,
            GoalKind::AtLeast => value >= self.goal,
        };
        let [low, high] = self.spread.unwrap_or([figure, figure]);
        match (good(low), good(high), good(figure)) {
            (true, true, true) => Verdict::Met,
            (false, false, false) => Verdict::Missed,
            _ => Verdict::Noisy,
        }
    }

    /// As it stands in the summary.
    pub fn summary(&self) -> Value {
        json!({
            "name": self.name, "goal": self.goal, "figure": self.figure, "unit": self.unit,
            "verdict": self.verdict().name(), "goal_kind": self.kind.name(), "spread": self.spread,
            "command": self.command, "note": self.note,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(kind: GoalKind, figure: f64, spread: Option<[f64; 2]>) -> Verdict {
        let text = String::new;
        let (name, unit, command, note) = (text(), text(), text(), text());
        Row { name, goal: 10.0, figure: Some(figure), unit, kind, spread, command, note }.verdict()
    }

    #[test]
    fn a_spread_around_the_goal_is_noise() {
        assert_eq!(verdict(GoalKind::AtMost, 9.0, Some([8.0, 10.0])), Verdict::Met);
        assert_eq!(verdict(GoalKind::AtMost, 9.0, Some([8.0, 10.1])), Verdict::Noisy);
        assert_eq!(verdict(GoalKind::AtMost, 11.0, Some([9.9, 12.0])), Verdict::Noisy);
        assert_eq!(verdict(GoalKind::AtMost, 11.0, Some([10.1, 12.0])), Verdict::Missed);
        assert_eq!(verdict(GoalKind::AtLeast, 11.0, Some([10.0, 12.0])), Verdict::Met);
        assert_eq!(verdict(GoalKind::AtLeast, 11.0, Some([9.0, 12.0])), Verdict::Noisy);
        assert_eq!(verdict(GoalKind::AtLeast, 9.0, Some([8.0, 9.5])), Verdict::Missed);
    }

    #[test]
    fn without_a_spread_the_figure_decides() {
        assert_eq!(verdict(GoalKind::AtMost, 10.0, None), Verdict::Met);
        assert_eq!(verdict(GoalKind::AtLeast, 9.9, None), Verdict::Missed);
    }

    #[test]
    fn what_does_not_exist_meets_no_goal() {
        let text = String::new;
        let (name, unit, command, note) = (text(), text(), text(), text());
        let row =
            Row { name, goal: 1.0, figure: None, unit, kind: GoalKind::AtMost, spread: None, command, note };
        assert_eq!(row.verdict(), Verdict::Missed);
        assert_eq!(row.summary()["figure"], Value::Null);
    }
}
