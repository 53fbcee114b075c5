//! Figures: medians over rounds, with quartiles beside them, against a goal.

/// One thing that was measured, round by round.
#[derive(Default)]
pub(crate) struct Figure {
    p50: Vec<u64>,
    p99: Vec<u64>,
    p999: Vec<u64>,
}

/// A line of the report.
pub(crate) struct Row {
    name: String,
    p50: u64,
    quartiles: [u64; 2],
    p99: u64,
    p999: u64,
    ratio: f64,
    goal: Option<f64>,
}

impl Figure {
    /// Takes one round's times, in nanoseconds.
    pub(crate) fn round(&mut self, mut times: Vec<u64>) {
        times.sort_unstable();
        self.p50.push(percentile(&times, 500));
        self.p99.push(percentile(&times, 990));
        self.p999.push(percentile(&times, 999));
    }

    /// Median over the rounds' medians.
    pub(crate) fn p50(&self) -> u64 {
        median(&self.p50)
    }

    /// As a line, with a goal for how many times `bare` it may be.
    pub(crate) fn row(&self, name: &str, goal: Option<f64>, bare: u64) -> Row {
        let mut sorted = self.p50.clone();
        sorted.sort_unstable();
        Row {
            name: name.to_owned(),
            p50: self.p50(),
            quartiles: [percentile(&sorted, 250), percentile(&sorted, 750)],
            p99: median(&self.p99),
            p999: median(&self.p999),
            ratio: self.p50() as f64 / bare as f64,
            goal,
        }
    }
}

fn median(rounds: &[u64]) -> u64 {
    let mut sorted = rounds.to_vec();
    sorted.sort_unstable();
    percentile(&sorted, 500)
}

fn percentile(sorted: &[u64], permille: usize) -> u64 {
    sorted.get((sorted.len() * permille / 1000).min(sorted.len().saturating_sub(1))).copied().unwrap_or(0)
}

/// Prints a table.
pub(crate) fn say(title: &str, rows: &[Row]) {
    println!(
        "\n## {title}\n\n| what | p50 ns | quartiles | p99 | p99.9 | × bare | goal |\n|---|---|---|---|---|---|---|"
    );
    for row in rows {
        let goal = match row.goal {
            None => String::new(),
            Some(goal) if row.ratio <= goal => format!("≤ {goal}: met"),
            Some(goal) => format!("≤ {goal}: missed"),
        };
        println!(
            "| {} | {} | {}–{} | {} | {} | {:.2} | {goal} |",
            row.name, row.p50, row.quartiles[0], row.quartiles[1], row.p99, row.p999, row.ratio
        );
    }
}
