//! Writes the report for people: verdicts first, then what was measured, part by part, each with its plots.

use std::fmt::Write;

use serde_json::Value;

use crate::Heading;
use crate::chart::{Unit, show};
use crate::crossover::{self, Measure};
use crate::line::{self, Lines};
use crate::plots::{self, Group, Plot};
use crate::verdict::{Row, Verdict};

/// Above that share of the machine, others disturbed the run: per cent of all cores.
const DISTURBED_PCT: f64 = 2.0;

/// The whole report.
pub fn write(lines: &Lines, plots: &[Plot], heading: &Heading) -> String {
    let mut out = String::from("# Performance report\n\n");
    about(&mut out, lines, heading);
    goals(&mut out, &lines.rows);
    part(&mut out, plots, Group::Latency, "Round trips, one in flight", |out| round_trips(out, lines));
    part(&mut out, plots, Group::Throughput, "Many in flight", |out| throughput(out, lines));
    figures(&mut out, lines);
    part(&mut out, plots, Group::Growth, "Growth", |_| ());
    part(&mut out, plots, Group::Kernels, "The same work, native and WASM", |out| kernels(out, lines));
    part(&mut out, plots, Group::Crossover, "From how much work on a native worker is faster", |out| {
        if lines.of("crossover").next().is_some() {
            out.push_str(
                "Workers and WASM were measured by two programs, one after the other: where two curves are nearly parallel, a hundredth of drift between \
                 them moves the crossing far.\n\n",
            );
        }
        crossings(out, lines);
    });
    versions(&mut out, lines);
    out
}

fn about(out: &mut String, lines: &Lines, heading: &Heading) {
    if let Some(machine) = lines.of("machine").next() {
        let (processor, kernel) = (line::text(machine, "processor"), line::text(machine, "kernel"));
        let _ = write!(out, "{processor}, {} cores, Linux {kernel}", machine["cores"]);
    }
    if !heading.date.is_empty() {
        let _ = write!(out, ", {}", heading.date);
    }
    out.push_str(
        ". Every figure is a median over rounds, in each of which everything that one program measures was measured in turn; in brackets its quartiles. The programs \
         (Croupier's turns with the bare ring and socket; the other ways; Croupier's turns with work in them; and so on) ran one after the other.\n",
    );
    if !heading.command.is_empty() {
        let _ = writeln!(out, "Measured by `{}`.", heading.command);
    }
    let mut disturbed = false;
    for noise in lines.of("noise") {
        let (others, stolen) = (line::number(noise, "others_pct"), line::number(noise, "stolen_pct"));
        disturbed |= others + stolen > DISTURBED_PCT;
        let by = line::text(noise, "by");
        let _ = writeln!(
            out,
            "While {by} measured, others used {others:.1} % of the machine and the hypervisor took {stolen:.1} %."
        );
    }
    if disturbed {
        out.push_str("\n**This run was disturbed: take its figures as a rough guide only.**\n");
    }
}

fn heading(out: &mut String, text: &str, columns: &[&str]) {
    if !text.is_empty() {
        let _ = write!(out, "\n## {text}\n");
    }
    if !columns.is_empty() {
        let _ = write!(out, "\n| {} |\n|{}\n", columns.join(" | "), " --- |".repeat(columns.len()));
    }
}

fn cells(out: &mut String, cells: &[String]) {
    let _ = writeln!(out, "| {} |", cells.join(" | "));
}

/// A heading, its table and its plots; nothing when there is neither.
fn part(out: &mut String, plots: &[Plot], group: Group, title: &str, table: impl Fn(&mut String)) {
    let mut body = String::new();
    table(&mut body);
    let plots: Vec<&Plot> = plots.iter().filter(|plot| plot.group == group).collect();
    if body.is_empty() && plots.is_empty() {
        return;
    }
    heading(out, title, &[]);
    out.push_str(&body);
    for plot in plots {
        let _ = write!(out, "\n![{}]({})\n", plot.title, plot.file);
    }
}

/// A number without more digits than it has.
fn plain(value: f64) -> String {
    show(value, Unit::Count)
}

fn time(line: &Value, field: &str) -> String {
    show(line::number(line, field), Unit::Time)
}

fn quartiles(spread: Option<[f64; 2]>, unit: Unit) -> String {
    spread.map_or_else(String::new, |[low, high]| format!(" ({}–{})", show(low, unit), show(high, unit)))
}

fn goals(out: &mut String, rows: &[Row]) {
    if rows.is_empty() {
        return;
    }
    let count = |wanted: Verdict| rows.iter().filter(|row| row.verdict() == wanted).count();
    heading(out, "Goals", &[]);
    let (met, missed, noisy) = (count(Verdict::Met), count(Verdict::Missed), count(Verdict::Noisy));
    let _ = write!(out, "\n{met} met, {missed} missed, {noisy} noisy (the goal lies inside the spread).\n");
    heading(out, "", &["what", "goal", "figure", "verdict"]);
    for row in rows {
        let figure = row.figure.map_or_else(|| "never".to_owned(), plain);
        let verdict = match row.verdict() {
            Verdict::Met => "met".to_owned(),
            other => format!("**{}**", other.name()),
        };
        let note = if row.note.is_empty() { String::new() } else { format!(" ({})", row.note) };
        cells(
            out,
            &[
                format!("{}{note}", row.name),
                format!("{} {} {}", row.kind.sign(), plain(row.goal), row.unit),
                format!("{figure}{}", quartiles(row.spread, Unit::Count)),
                verdict,
            ],
        );
    }
}

/// Half of the calls are faster than this where it is told how many are kept waiting. Nanoseconds.
const STALLS_BELOW_NS: f64 = 10_000.0;

fn round_trips(out: &mut String, lines: &Lines) {
    if lines.of("rtt").next().is_none() {
        return;
    }
    heading(
        out,
        "",
        &[
            "way",
            "peer's core",
            "bytes",
            "p50",
            "p99",
            "p99.9",
            "over 20 µs, a second",
            "CPU time, all processes",
        ],
    );
    let mut trips: Vec<&Value> = lines.of("rtt").collect();
    trips.sort_by(|a, b| line::number(a, "size").total_cmp(&line::number(b, "size")));
    for trip in trips {
        let p50 = format!("{}{}", time(trip, "p50_ns"), quartiles(line::spread(trip, "spread"), Unit::Time));
        // Where calls were timed in batches, a percentile is one of means, which a tail does not show in.
        let batched = line::number(trip, "batch") > 1.0;
        let tail = |field| if batched { "–".to_owned() } else { time(trip, field) };
        let cpu = if trip["cpu_ns"].is_null() { "–".to_owned() } else { time(trip, "cpu_ns") };
        // Where most take longer anyway it says nothing.
        let stalls = trip["stalls_per_s"].as_f64().filter(|_| line::number(trip, "p50_ns") < STALLS_BELOW_NS);
        let stalls = stalls.map_or_else(|| "–".to_owned(), |stalls| format!("{stalls:.0}"));
        let (who, core) = (line::text(trip, "who").to_owned(), line::text(trip, "core").to_owned());
        let size = trip["size"].to_string();
        cells(out, &[who, core, size, p50, tail("p99_ns"), tail("p999_ns"), stalls, cpu]);
    }
}

fn throughput(out: &mut String, lines: &Lines) {
    if lines.of("throughput").next().is_none() {
        return;
    }
    heading(out, "", &["way", "peer's core", "bytes", "best window", "calls a second", "CPU time a call"]);
    // The best window of each.
    let key = |line: &Value| [line["who"].clone(), line["core"].clone(), line["size"].clone()];
    let mut best: Vec<&Value> = Vec::new();
    for line in lines.of("throughput") {
        match best.iter_mut().find(|known| key(known) == key(line)) {
            Some(known) if line::number(line, "calls_per_s") > line::number(known, "calls_per_s") => {
                *known = line
            }
            Some(_) => {}
            None => best.push(line),
        }
    }
    best.sort_by(|a, b| line::number(a, "size").total_cmp(&line::number(b, "size")));
    for line in best {
        let spread = quartiles(line::spread(line, "spread"), Unit::Count);
        let rate = format!("{}{spread}", plain(line::number(line, "calls_per_s")));
        let cpu = if line["cpu_ns"].is_null() { "–".to_owned() } else { time(line, "cpu_ns") };
        let (who, core) = (line::text(line, "who").to_owned(), line::text(line, "core").to_owned());
        cells(out, &[who, core, line["size"].to_string(), line["window"].to_string(), rate, cpu]);
    }
}

fn figures(out: &mut String, lines: &Lines) {
    let mut groups: Vec<&str> = Vec::new();
    for group in lines.of("figure").map(|line| line::text(line, "group")) {
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    for group in groups {
        let mut title = group.to_owned();
        if let Some(first) = title.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        heading(out, &title, &["what", "figure"]);
        for line in lines.of("figure").filter(|line| line["group"] == group) {
            let spread = quartiles(line::spread(line, "spread"), Unit::Count);
            let figure =
                format!("{} {}{spread}", plain(line::number(line, "figure")), line::text(line, "unit"));
            cells(out, &[line::text(line, "name").to_owned(), figure]);
        }
    }
}

fn kernels(out: &mut String, lines: &Lines) {
    if lines.of("kernel").next().is_none() {
        return;
    }
    heading(out, "", &["kernel", "build", "a unit", "native = 1"]);
    for line in lines.of("kernel") {
        let unit =
            format!("{}{}", time(line, "ns_per_unit"), quartiles(line::spread(line, "spread"), Unit::Time));
        let ratio = format!("{:.2}", line::number(line, "ratio"));
        cells(out, &[line::text(line, "kernel").to_owned(), plots::build(line), unit, ratio]);
    }
}

fn crossings(out: &mut String, lines: &Lines) {
    let mut rows = Vec::new();
    for kernel in crossover::kernels(lines) {
        let latency = crossover::curves(lines, kernel, Measure::Latency);
        let cpu = crossover::curves(lines, kernel, Measure::Cpu);
        for (ours, native) in latency.iter().filter(|(who, _)| line::is_ours(who)) {
            for (theirs, wasm) in latency.iter().filter(|(who, _)| who.starts_with("wasm")) {
                let never = || "not within 100 µs".to_owned();
                let shown = |work: Option<f64>| work.map_or_else(never, |ns| show(ns, Unit::Time));
                let by_cpu = cpu
                    .get(ours)
                    .zip(cpu.get(theirs))
                    .map(|(native, wasm)| crossover::crossing(native, wasm));
                let crossing = crossover::crossing(native, wasm);
                let spread = crossing.best_ns.zip(crossing.worst_ns).map(|(best, worst)| [best, worst]);
                rows.push([
                    kernel.to_owned(),
                    ours.clone(),
                    theirs.clone(),
                    format!("{}{}", shown(crossing.work_ns), quartiles(spread, Unit::Time)),
                    shown(by_cpu.and_then(|crossing| crossing.work_ns)),
                ]);
            }
        }
    }
    if !rows.is_empty() {
        heading(out, "", &["kernel", "native", "WASM", "native is faster from", "uses less CPU time from"]);
        rows.iter().for_each(|row| cells(out, row));
    }
}

fn versions(out: &mut String, lines: &Lines) {
    if lines.of("version").next().is_some() {
        heading(out, "Versions", &[]);
        let all: Vec<String> = lines
            .of("version")
            .map(|line| {
                let (who, version, note) =
                    (line::text(line, "who"), line::text(line, "version"), line::text(line, "note"));
                if note.is_empty() { format!("{who} {version}") } else { format!("{who} {version} ({note})") }
            })
            .collect();
        let _ = write!(out, "\n{}.\n", all.join(", "));
    }
    if let Some(flags) = lines.of("flags").next() {
        let text = |name| line::text(flags, name);
        let _ = write!(
            out,
            "\nKernels: {}, `{}`; wide: `{}`; WASM: `{}`, vectors: `{}`.\n",
            text("clang"),
            text("common"),
            text("wide"),
            text("wasm"),
            text("simd")
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn markdown(text: &str) -> String {
        let lines = Lines::read(&[("a".to_owned(), text.to_owned())]).unwrap();
        let heading = Heading { date: "a day".to_owned(), command: "scripts/bench".to_owned() };
        write(&lines, &plots::all(&lines), &heading)
    }

    #[test]
    fn goals_come_with_their_verdicts() {
        let text = markdown(
            r#"{"row":"64 B","goal":1.6,"figure":1.25,"unit":"×","goal_kind":"at most","spread":[1.2,1.3],"note":"journal off"}"#,
        );
        assert!(text.contains("1 met, 0 missed, 0 noisy"), "{text}");
        assert!(text.contains("| 64 B (journal off) | ≤ 1.6 × | 1.25 (1.2–1.3) | met |"), "{text}");
        assert!(!text.contains("## Round trips"), "{text}");
    }

    #[test]
    fn a_disturbed_run_says_so() {
        let noise = |others: u32| {
            format!(r#"{{"bench":"noise","by":"peers","others_pct":{others},"stolen_pct":0.5}}"#)
        };
        assert!(markdown(&noise(40)).contains("This run was disturbed"));
        assert!(!markdown(&noise(1)).contains("This run was disturbed"));
    }

    #[test]
    fn tails_of_batches_are_not_told() {
        let line = |batch: u32| {
            format!(
                r#"{{"bench":"rtt","who":"dlopen","core":"in-process","size":64,"batch":{batch},"p50_ns":3,"p99_ns":4,"p999_ns":5,"spread":[2,4],"cpu_ns":3,"curve":[[0.5,3]]}}"#
            )
        };
        assert!(
            markdown(&line(64))
                .contains("| dlopen | in-process | 64 | 3 ns (2 ns–4 ns) | – | – | – | 3 ns |")
        );
        assert!(markdown(&line(1)).contains("| 3 ns (2 ns–4 ns) | 4 ns | 5 ns | – | 3 ns |"));
    }

    #[test]
    fn crossings_are_told_for_all_pairs() {
        let line = |who: &str, work: u32, ns: u32| {
            format!(
                r#"{{"bench":"crossover","kernel":"grid","who":"{who}","units":1,"work_ns":{work},"p50_ns":{ns},"cpu_ns":{ns}}}"#
            )
        };
        let text = [
            line("croupier, ring", 0, 300),
            line("croupier, ring", 1000, 1300),
            line("wasmtime", 0, 0),
            line("wasmtime", 1000, 4000),
            line("wasmtime, simd128", 0, 0),
            line("wasmtime, simd128", 1000, 1000),
        ];
        let text = markdown(&text.join("\n"));
        assert!(
            text.contains("| grid | croupier, ring | wasmtime | 100 ns (100 ns–100 ns) | 100 ns |"),
            "{text}"
        );
        assert!(text.contains("| wasmtime, simd128 | not within 100 µs | not within 100 µs |"), "{text}");
        assert!(text.contains("![A turn with work in it, grid: time](crossover-grid.svg)"), "{text}");
    }
}
