//! Makes a report of what the benchmarks measured: Markdown, a JSON summary and SVG plots, from files of JSON lines. Pure; `main.rs` reads and writes.
//!
//! ```text
//!  JSON lines ─▶ line ─▶ rows ─▶ verdict ─▶ summary.json          {"rows":[{name, goal, figure, unit, verdict, …}], …}
//!                   └──▶ series ─▶ crossover, beside, plots ─▶ chart ─▶ *.svg
//!                                      └────────────────────────▶ REPORT.md
//! ```
//!
//! # The lines
//!
//! One JSON object each. A line with `row` has a goal; every other line has a `bench`, and its kind is one of those below. Another is an
//! error: what was measured must not get lost for a typing error. Fields that are not named here are allowed and ignored. Times are in nanoseconds; a
//! `spread` is `[first quartile, third quartile]` over rounds and may be left out. `who` is what a plot's legend says; those
//! that begin with `croupier` are drawn thick and first.
//!
//! | line | fields |
//! | --- | --- |
//! | goal | `row` (its name, once), `goal`, `figure`, `unit`, `goal_kind` (`at most` or `at least`), `spread`; `command` (how to measure it again), `note` |
//! | `rtt` | `who`, `core` (`in-process`, `other`, `same`), `size`, `p50_ns`, `p99_ns`, `p999_ns`, `spread` (of p50), `cpu_ns` (per call, both processes), `stalls_per_s` (calls over 20 µs, for each second of calling), `curve`: `[[share, ns], …]`, `batch` |
//! | `throughput` | `who`, `core`, `size`, `window`, `calls_per_s`, `spread`, `cpu_ns` |
//! | `kernel` | `kernel`, `who`, `vectors`, `interrupt`, `ns_per_unit`, `spread`, `ratio` (to native code of the machine's baseline) |
//! | `work` | `kernel`, `id`, `units`, `native_ns`: a work point, which everybody who measures a crossover takes |
//! | `crossover` | `kernel`, `who`, `units`, `work_ns` (of the work point), `p50_ns`, `spread`, `cpu_ns`, `cpu_spread` |
//! | `growth` | `what` (the axis: `sessions`), `who`, `x`, `y`, `unit` (of y), `spread` |
//! | `figure` | `group` (a heading: `start-up`), `name`, `figure`, `unit`, `spread`: anything that has neither goal nor plot |
//! | `machine` | `processor`, `cores`, `kernel` |
//! | `version` | `who`, `version`, `note` |
//! | `flags` | `clang`, `common`, `wide`, `wasm`, `simd`: how the kernels were built |
//! | `noise` | `by` (which bench), `others_pct`, `stolen_pct`: what the machine did beside, in per cent of all cores |
//!
//! # Verdicts
//!
//! `met` and `missed` when the whole spread is on one side of the goal, `noisy` when the goal lies inside it: then a quieter or longer run is
//! needed before anybody may say either. Goals that need the lines of two programs (crossovers, and others' round trips beside ours) are made here.
#![forbid(unsafe_code)]

pub mod beside;
pub mod chart;
pub mod crossover;
pub mod line;
pub mod markdown;
pub mod plots;
pub mod verdict;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use line::{LineError, Lines};

/// All that a run came to.
#[derive(Debug)]
pub struct Report {
    /// The report for people.
    pub markdown: String,
    /// The summary for programs.
    pub summary: Value,
    /// Plots by file name.
    pub plots: BTreeMap<String, String>,
}

/// What the report is headed with and cannot be read from lines.
#[derive(Debug, Clone, Default)]
pub struct Heading {
    /// When it was measured.
    pub date: String,
    /// The command that measures it again.
    pub command: String,
}

/// Makes the report of all lines of all files together; each file comes with its name, for errors.
pub fn report(files: &[(String, String)], heading: &Heading) -> Result<Report, LineError> {
    let mut lines = Lines::read(files)?;
    let made = [beside::rows(&lines), crossover::rows(&lines)];
    lines.rows.extend(made.into_iter().flatten());
    let plots = plots::all(&lines);
    let rows: Vec<Value> = lines.rows.iter().map(verdict::Row::summary).collect();
    let count = |wanted: verdict::Verdict| lines.rows.iter().filter(|row| row.verdict() == wanted).count();
    let summary = json!({
        "rows": rows,
        "met": count(verdict::Verdict::Met),
        "missed": count(verdict::Verdict::Missed),
        "noisy": count(verdict::Verdict::Noisy),
        "machine": lines.of("machine").next(),
        "noise": lines.of("noise").collect::<Vec<_>>(),
        "date": heading.date,
    });
    let markdown = markdown::write(&lines, &plots, heading);
    let plots = plots.into_iter().map(|plot| (plot.file, plot.svg)).collect();
    Ok(Report { markdown, summary, plots })
}
