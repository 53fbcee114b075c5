//! Where a native worker becomes faster than WASM in-process: from how much work a turn on.
//!
//! ```text
//!   time of ▲        ╱ wasm = work × slower
//!   a turn  │     ╱
//!           │  ╱___╱── native = work + the way to the worker
//!           │╱__╱
//!           ╱───┴──────▶ work of a turn
//! ```

use std::collections::BTreeMap;

use serde_json::Value;

use crate::line::{self, Lines};
use crate::verdict::{GoalKind, Row};

/// The kernel that has a goal, what is compared, and the goal in microseconds of work.
const GOAL: (&str, &str, &str, f64) = ("particles", "croupier, ring", "wasmtime", 1.0);

/// What a curve is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// The median time of a turn.
    Latency,
    /// CPU time of a turn, of all processes that take part.
    Cpu,
}

impl Measure {
    /// The fields of a line: the figure and its spread.
    pub fn fields(self) -> (&'static str, &'static str) {
        match self {
            Measure::Latency => ("p50_ns", "spread"),
            Measure::Cpu => ("cpu_ns", "cpu_spread"),
        }
    }
}

/// Time of a turn by the work in it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Curve {
    points: Vec<Point>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Point {
    work_ns: f64,
    ns: f64,
    low: f64,
    high: f64,
}

/// Which edge of its spread a curve is taken at.
#[derive(Clone, Copy)]
enum Edge {
    Low,
    Median,
    High,
}

impl Point {
    fn at(&self, edge: Edge) -> f64 {
        match edge {
            Edge::Low => self.low,
            Edge::Median => self.ns,
            Edge::High => self.high,
        }
    }
}

/// The amount of work from which on native code is faster, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Crossing {
    /// By the medians; `None`: not within what was measured.
    pub work_ns: Option<f64>,
    /// With every figure at its better and at its worse quartile for native code.
    pub best_ns: Option<f64>,
    /// See `best_ns`.
    pub worst_ns: Option<f64>,
}

/// The curves of a kernel by who plays it.
pub fn curves(lines: &Lines, kernel: &str, measure: Measure) -> BTreeMap<String, Curve> {
    let mut curves: BTreeMap<String, Curve> = BTreeMap::new();
    let (figure, spread) = measure.fields();
    for line in lines.of("crossover").filter(|line| line["kernel"] == kernel) {
        let ns = line::number(line, figure);
        let [low, high] = line::spread(line, spread).unwrap_or([ns, ns]);
        let point = Point { work_ns: line::number(line, "work_ns"), ns, low, high };
        curves.entry(line::text(line, "who").to_owned()).or_default().points.push(point);
    }
    for curve in curves.values_mut() {
        curve.points.sort_by(|a, b| a.work_ns.total_cmp(&b.work_ns));
    }
    curves
}

/// The kernels that have curves, in the order of their lines.
pub fn kernels(lines: &Lines) -> Vec<&str> {
    let mut names = Vec::new();
    for name in lines.of("crossover").map(|line: &Value| line::text(line, "kernel")) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Where native code overtakes for good.
pub fn crossing(native: &Curve, wasm: &Curve) -> Crossing {
    Crossing {
        work_ns: overtakes(native, Edge::Median, wasm, Edge::Median),
        best_ns: overtakes(native, Edge::Low, wasm, Edge::High),
        worst_ns: overtakes(native, Edge::High, wasm, Edge::Low),
    }
}

/// The work from which on `native` is never above `wasm` again; straight lines between points that both have.
fn overtakes(native: &Curve, native_edge: Edge, wasm: &Curve, wasm_edge: Edge) -> Option<f64> {
    let shared: Vec<(f64, f64)> = native
        .points
        .iter()
        .filter_map(|point| {
            let other = wasm.points.iter().find(|other| other.work_ns == point.work_ns)?;
            Some((point.work_ns, point.at(native_edge) - other.at(wasm_edge)))
        })
        .collect();
    let last_behind = shared.iter().rposition(|(_, behind)| *behind > 0.0);
    match last_behind {
        None => shared.first().map(|(work, _)| *work),
        Some(at) => {
            let (&(from, behind), &(to, ahead)) = (shared.get(at)?, shared.get(at + 1)?);
            Some(from + (to - from) * behind / (behind - ahead))
        }
    }
}

/// The rows that need the lines of both ends.
pub fn rows(lines: &Lines) -> Vec<Row> {
    let (kernel, ours, theirs, goal) = GOAL;
    let curves = curves(lines, kernel, Measure::Latency);
    let (Some(native), Some(wasm)) = (curves.get(ours), curves.get(theirs)) else { return Vec::new() };
    let crossing = crossing(native, wasm);
    let us = |ns: f64| ns / 1e3;
    // Where the worse edge never crosses, the spread goes on as far as was measured.
    let most = wasm.points.last().map_or(0.0, |point| point.work_ns);
    let worst = crossing.worst_ns.unwrap_or(most);
    let spread = crossing.work_ns.and(crossing.best_ns).map(|best| [us(best), us(worst)]);
    vec![Row {
        name: format!("crossover against wasmtime in-process, {kernel}"),
        goal,
        figure: crossing.work_ns.map(us),
        unit: "µs of work".to_owned(),
        kind: GoalKind::AtMost,
        spread,
        command: "scripts/bench --only peers".to_owned(),
        note: "baseline builds of both; for vectors see the curves".to_owned(),
    }]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(points: &[(f64, f64)]) -> Curve {
        let point = |&(work_ns, ns): &(f64, f64)| Point { work_ns, ns, low: ns * 0.9, high: ns * 1.1 };
        Curve { points: points.iter().map(point).collect() }
    }

    #[test]
    fn lines_cross_between_points() {
        // native = 300 + work; wasm = 30 + 4 × work: equal at 90.
        let native = curve(&[(0.0, 300.0), (50.0, 350.0), (200.0, 500.0)]);
        let wasm = curve(&[(0.0, 30.0), (50.0, 230.0), (200.0, 830.0)]);
        let crossing = crossing(&native, &wasm);
        let work = crossing.work_ns.unwrap();
        assert!((work - 90.0).abs() < 1e-9, "{work}");
        assert!(crossing.best_ns.unwrap() < work && crossing.worst_ns.unwrap() > work);
    }

    #[test]
    fn it_may_be_at_once_or_never() {
        let (fast, slow) = (curve(&[(0.0, 1.0), (9.0, 2.0)]), curve(&[(0.0, 5.0), (9.0, 6.0)]));
        assert_eq!(crossing(&fast, &slow).work_ns, Some(0.0));
        assert_eq!(crossing(&slow, &fast).work_ns, None);
        assert_eq!(crossing(&curve(&[]), &fast).work_ns, None);
    }

    #[test]
    fn only_the_last_crossing_counts() {
        let wasm = curve(&[(0.0, 10.0), (1.0, 10.0), (2.0, 10.0), (3.0, 10.0)]);
        let native = curve(&[(0.0, 20.0), (1.0, 9.0), (2.0, 12.0), (3.0, 8.0)]);
        assert_eq!(crossing(&native, &wasm).work_ns, Some(2.5));
    }

    #[test]
    fn the_row_needs_both_ends() {
        let line = |who: &str, work: f64, ns: f64| {
            format!(
                r#"{{"bench":"crossover","kernel":"particles","who":"{who}","units":1,"work_ns":{work},"p50_ns":{ns},"cpu_ns":1}}"#
            )
        };
        let wasm = [line("wasmtime", 0.0, 40.0), line("wasmtime", 100.0, 800.0)].join("\n");
        let ours = [line("croupier, ring", 0.0, 400.0), line("croupier, ring", 100.0, 500.0)].join("\n");
        let read = |text: String| Lines::read(&[("a".to_owned(), text)]).unwrap();
        assert!(rows(&read(wasm.clone())).is_empty());
        let row = &rows(&read(format!("{wasm}\n{ours}")))[0];
        assert!((row.figure.unwrap() - 0.054_545).abs() < 1e-4, "{row:?}");
        assert_eq!(row.verdict(), crate::verdict::Verdict::Met);
    }
}
