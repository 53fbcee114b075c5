//! Figures: medians over rounds, with quartiles beside them, against goals. Told as a table, and as lines for the report (`tests/bench/report`).

use std::fs::File;
use std::io::Write as _;

use serde_json::{Value, json};

/// One thing that was measured, round by round.
#[derive(Default)]
pub(crate) struct Figure {
    p50: Vec<u64>,
    p99: Vec<u64>,
    p999: Vec<u64>,
    /// Of all rounds.
    all: Vec<u64>,
}

/// Whatever is this late was kept waiting by the machine: an interrupt, a processor taken away. Nanoseconds.
const STALL_NS: u64 = 20_000;

/// Shares of all times, for a curve.
const SHARES: [usize; 13] = [1, 100, 250, 500, 750, 900, 950, 975, 990, 995, 998, 999, 1000];

/// A median over rounds, and its quartiles.
#[derive(Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) quartiles: [f64; 2],
}

/// A goal for how many times something else a figure may be.
#[derive(Clone, Copy)]
pub(crate) enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

impl Figure {
    /// Takes one round's times, in nanoseconds.
    pub(crate) fn round(&mut self, mut times: Vec<u64>) {
        times.sort_unstable();
        self.p50.push(percentile(&times, 500));
        self.p99.push(percentile(&times, 990));
        self.p999.push(percentile(&times, 999));
        self.all.append(&mut times);
    }

    /// Which share of all took how long at most: `[[share, ns], …]`.
    pub(crate) fn curve(&self) -> Vec<[f64; 2]> {
        let mut all = self.all.clone();
        all.sort_unstable();
        SHARES.iter().map(|share| [*share as f64 / 1e3, percentile(&all, *share) as f64]).collect()
    }

    pub(crate) fn p50(&self) -> Spread {
        spread(self.p50.iter().map(|ns| *ns as f64))
    }

    pub(crate) fn p99(&self) -> Spread {
        spread(self.p99.iter().map(|ns| *ns as f64))
    }

    pub(crate) fn p999(&self) -> Spread {
        spread(self.p999.iter().map(|ns| *ns as f64))
    }

    /// How many took over 20 µs, for each second of all that was measured: what the machine does by the clock comes to the same for whoever is measured.
    pub(crate) fn stalls_per_s(&self) -> f64 {
        let stalls = self.all.iter().filter(|ns| **ns > STALL_NS).count();
        stalls as f64 / (self.all.iter().sum::<u64>() as f64 / 1e9)
    }

    /// How many times the other it is, compared round by round.
    pub(crate) fn over(&self, other: &Figure) -> Spread {
        ratios(&self.p50, &other.p50)
    }

    /// As [`Figure::over`], of the rarest.
    pub(crate) fn p999_over(&self, other: &Figure) -> Spread {
        ratios(&self.p999, &other.p999)
    }

    /// How far out the tail is.
    pub(crate) fn p99_over_p50(&self) -> Spread {
        ratios(&self.p99, &self.p50)
    }
}

fn ratios(ours: &[u64], theirs: &[u64]) -> Spread {
    spread(ours.iter().zip(theirs).map(|(ours, theirs)| *ours as f64 / *theirs as f64))
}

/// The median and the quartiles of what rounds came to.
pub(crate) fn spread(rounds: impl Iterator<Item = f64>) -> Spread {
    let mut rounds: Vec<f64> = rounds.collect();
    rounds.sort_by(f64::total_cmp);
    let at = |percent: usize| rounds.get(rounds.len() * percent / 100).copied().unwrap_or(f64::NAN);
    Spread { median: at(50), quartiles: [at(25), at(75)] }
}

fn percentile(sorted: &[u64], permille: usize) -> u64 {
    sorted.get((sorted.len() * permille / 1000).min(sorted.len().saturating_sub(1))).copied().unwrap_or(0)
}

/// Where lines for the report go, if anywhere.
pub(crate) struct Lines(Option<File>);

impl Lines {
    /// To the file that follows `--out`, behind what is there.
    pub(crate) fn of(words: &[String]) -> Lines {
        let file = words.iter().position(|word| word == "--out").and_then(|at| words.get(at + 1));
        let open = |path: &String| {
            File::options().create(true).append(true).open(path).expect("--out can be written")
        };
        Lines(file.map(open))
    }

    /// One line.
    pub(crate) fn say(&mut self, line: &Value) {
        if let Some(file) = &mut self.0 {
            writeln!(file, "{line}").expect("--out can be written");
        }
    }

    /// A figure with a goal. Says how it came out.
    pub(crate) fn row(
        &mut self,
        name: &str,
        goal: Goal,
        figure: Spread,
        unit: &str,
        command: &str,
    ) -> String {
        let (goal, kind, met) = match goal {
            Goal::AtMost(goal) => (goal, "at most", figure.median <= goal),
            Goal::AtLeast(goal) => (goal, "at least", figure.median >= goal),
        };
        self.say(
            &json!({ "row": name, "goal": goal, "figure": figure.median, "unit": unit, "goal_kind": kind,
            "spread": figure.quartiles, "command": command }),
        );
        format!("{kind} {goal}: {}", if met { "met" } else { "missed" })
    }
}
