//! Which plots there are: one per size, kernel and axis of growth that lines were found for.

use serde_json::Value;

use crate::chart::{self, Axis, Bar, Scale, Series, Unit};
use crate::crossover::{self, Measure};
use crate::line::{self, Lines};

/// A plot.
#[derive(Debug, Clone)]
pub struct Plot {
    /// Its file name.
    pub file: String,
    /// What stands above it.
    pub title: String,
    /// The heading of the report under which it stands.
    pub group: Group,
    /// The picture.
    pub svg: String,
}

/// Parts of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Round trips.
    Latency,
    /// Many in flight.
    Throughput,
    /// Time per unit of work.
    Kernels,
    /// Native or WASM.
    Crossover,
    /// More of everything.
    Growth,
}

/// All plots, in the report's order.
pub fn all(lines: &Lines) -> Vec<Plot> {
    let mut plots = latency(lines);
    plots.extend(throughput(lines));
    plots.extend(kernels(lines));
    plots.extend(crossovers(lines));
    plots.extend(growth(lines));
    plots
}

/// The values of a field, each once, in the order of the lines.
fn distinct<'a>(lines: impl Iterator<Item = &'a Value>, field: &str) -> Vec<&'a Value> {
    let mut values = Vec::new();
    for value in lines.map(|line| &line[field]) {
        if !values.contains(&value) {
            values.push(value);
        }
    }
    values
}

/// Ours first, and thick.
fn series<'a>(
    lines: impl Iterator<Item = &'a Value>,
    mut points: impl FnMut(&'a Value) -> Vec<(f64, f64, Option<[f64; 2]>)>,
) -> Vec<Series> {
    let mut all: Vec<Series> = Vec::new();
    for line in lines {
        let who = line::text(line, "who");
        let name = match line::text(line, "core") {
            "same" => format!("{who} (same core)"),
            _ => who.to_owned(),
        };
        let new = points(line);
        match all.iter_mut().find(|one| one.name == name) {
            Some(known) => known.points.extend(new),
            None => all.push(Series { name, points: new, bold: line::is_ours(who) }),
        }
    }
    for one in &mut all {
        one.points.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    all.retain(|one| !one.points.is_empty());
    all.sort_by_key(|one| !one.bold);
    all
}

fn latency(lines: &Lines) -> Vec<Plot> {
    let mut plots = Vec::new();
    for size in distinct(lines.of("rtt"), "size") {
        for (same, place) in
            [(false, "caller and peer on two cores, or in-process"), (true, "both on one core")]
        {
            let wanted =
                lines.of("rtt").filter(|line| line["size"] == *size && (line["core"] == "same") == same);
            let curve = |line: &Value| {
                let pairs = line["curve"].as_array().into_iter().flatten();
                pairs.filter_map(|pair| Some((pair[0].as_f64()?, pair[1].as_f64()?, None))).collect()
            };
            let series = series(wanted, curve);
            if series.is_empty() {
                continue;
            }
            let title = format!("Round trip of {size} bytes, one in flight: {place}");
            let x = Axis { title: "percentile".to_owned(), scale: Scale::Nines, unit: Unit::Share };
            let y = Axis { title: "time".to_owned(), scale: Scale::Log, unit: Unit::Time };
            let end = if same { "-same-core" } else { "" };
            let svg = chart::lines(&title, &x, &y, &series);
            plots.push(Plot { file: format!("latency-{size}{end}.svg"), title, group: Group::Latency, svg });
        }
    }
    plots
}

fn throughput(lines: &Lines) -> Vec<Plot> {
    let mut plots = Vec::new();
    for size in distinct(lines.of("throughput"), "size") {
        let wanted = lines.of("throughput").filter(|line| line["size"] == *size);
        let point = |line: &Value| {
            let rate = line::number(line, "calls_per_s");
            vec![(line::number(line, "window"), rate, line::spread(line, "spread"))]
        };
        let title = format!("Calls of {size} bytes a second, by how many may be in flight");
        let x = Axis { title: "in flight".to_owned(), scale: Scale::Log2, unit: Unit::Count };
        let y = Axis { title: "calls a second".to_owned(), scale: Scale::Log, unit: Unit::Count };
        let svg = chart::lines(&title, &x, &y, &series(wanted, point));
        plots.push(Plot { file: format!("throughput-{size}.svg"), title, group: Group::Throughput, svg });
    }
    plots
}

/// A kernel line's builder in a few words.
pub fn build(line: &Value) -> String {
    let vectors = match line::text(line, "vectors") {
        "baseline" | "none" => String::new(),
        vectors => format!(", {vectors}"),
    };
    let interrupt = match line::text(line, "interrupt") {
        "none" | "plain" => String::new(),
        interrupt => format!(", {interrupt}"),
    };
    format!("{}{vectors}{interrupt}", line::text(line, "who"))
}

fn kernels(lines: &Lines) -> Option<Plot> {
    let bars: Vec<Bar> = lines
        .of("kernel")
        .map(|line| Bar {
            group: line::text(line, "kernel").to_owned(),
            name: build(line),
            value: line::number(line, "ratio"),
        })
        .collect();
    let title = "The same work, beside native code of the machine's baseline".to_owned();
    let svg = chart::bars(&title, "time, native = 1: less is better", &bars);
    (!bars.is_empty()).then(|| Plot { file: "kernels.svg".to_owned(), title, group: Group::Kernels, svg })
}

fn crossovers(lines: &Lines) -> Vec<Plot> {
    let mut plots = Vec::new();
    for kernel in crossover::kernels(lines) {
        for (measure, end, what) in [(Measure::Latency, "", "time"), (Measure::Cpu, "-cpu", "CPU time")] {
            let (figure, spread) = measure.fields();
            let wanted = lines.of("crossover").filter(|line| line["kernel"] == kernel);
            let point = |line: &Value| {
                let ns = line::number(line, figure);
                vec![(line::number(line, "work_ns"), ns, line::spread(line, spread))]
            };
            let title = format!("A turn with work in it, {kernel}: {what}");
            let x = Axis {
                title: "work in the turn, as native code does it in-process".to_owned(),
                scale: Scale::Log,
                unit: Unit::Time,
            };
            let y = Axis { title: format!("{what} of a turn"), scale: Scale::Log, unit: Unit::Time };
            let svg = chart::lines(&title, &x, &y, &series(wanted, point));
            let file = format!("crossover-{kernel}{end}.svg");
            plots.push(Plot { file, title, group: Group::Crossover, svg });
        }
    }
    plots
}

fn growth(lines: &Lines) -> Vec<Plot> {
    let mut plots = Vec::new();
    for what in distinct(lines.of("growth"), "what") {
        let what = what.as_str().unwrap_or_default();
        let wanted = lines.of("growth").filter(|line| line["what"] == what);
        let unit = lines.of("growth").find(|line| line["what"] == what).map(|line| line::text(line, "unit"));
        let point = |line: &Value| {
            vec![(line::number(line, "x"), line::number(line, "y"), line::spread(line, "spread"))]
        };
        let title = format!("More {what}");
        let x = Axis { title: what.to_owned(), scale: Scale::Log, unit: Unit::Count };
        let y = Axis { title: unit.unwrap_or_default().to_owned(), scale: Scale::Log, unit: Unit::Count };
        let svg = chart::lines(&title, &x, &y, &series(wanted, point));
        let file = format!("growth-{}.svg", what.replace(|c: char| !c.is_ascii_alphanumeric(), "-"));
        plots.push(Plot { file, title, group: Group::Growth, svg });
    }
    plots
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(text: &str) -> Vec<String> {
        let lines = Lines::read(&[("a".to_owned(), text.to_owned())]).unwrap();
        all(&lines).into_iter().map(|plot| plot.file).collect()
    }

    #[test]
    fn there_is_a_plot_for_what_was_measured() {
        let rtt = |core: &str, size: u32| {
            format!(
                r#"{{"bench":"rtt","who":"a","core":"{core}","size":{size},"p50_ns":1,"p99_ns":2,"p999_ns":3,"curve":[[0.5,1],[0.99,2]]}}"#
            )
        };
        let text = [
            rtt("other", 64),
            rtt("same", 64),
            rtt("in-process", 1024),
            r#"{"bench":"throughput","who":"a","core":"other","size":64,"window":8,"calls_per_s":9}"#.to_owned(),
            r#"{"bench":"kernel","kernel":"k","who":"a","vectors":"wide","interrupt":"none","ns_per_unit":1,"ratio":1}"#
                .to_owned(),
            r#"{"bench":"crossover","kernel":"k","who":"a","units":1,"work_ns":0,"p50_ns":1,"cpu_ns":1}"#.to_owned(),
            r#"{"bench":"growth","what":"idle sessions","who":"croupier","unit":"µs","x":1,"y":2}"#.to_owned(),
        ];
        assert_eq!(
            files(&text.join("\n")),
            [
                "latency-64.svg",
                "latency-64-same-core.svg",
                "latency-1024.svg",
                "throughput-64.svg",
                "kernels.svg",
                "crossover-k.svg",
                "crossover-k-cpu.svg",
                "growth-idle-sessions.svg",
            ]
        );
        assert!(files("").is_empty());
    }

    #[test]
    fn ours_comes_first_and_points_are_in_order() {
        let line = |who: &str, window: u32| {
            let text = format!(
                r#"{{"bench":"throughput","who":"{who}","core":"other","size":64,"window":{window},"calls_per_s":9}}"#
            );
            serde_json::from_str::<Value>(&text).unwrap()
        };
        let lines = [line("tonic", 8), line("croupier, ring", 64), line("tonic", 1)];
        let all = series(lines.iter(), |line| vec![(line::number(line, "window"), 1.0, None)]);
        let names: Vec<&str> = all.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["croupier, ring", "tonic"]);
        assert_eq!(all[1].points.iter().map(|point| point.0).collect::<Vec<_>>(), [1.0, 8.0]);
    }
}
