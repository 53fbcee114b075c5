//! Reads lines. Strict where a mistake would lose a figure, indifferent to fields that it does not know.

use std::fmt;

use serde_json::Value;

use crate::verdict::{GoalKind, Row};

/// A kind of line and the fields that it must have.
const KINDS: [(&str, &[&str], &[&str]); 11] = [
    ("rtt", &["who", "core"], &["size", "p50_ns", "p99_ns", "p999_ns"]),
    ("throughput", &["who", "core"], &["size", "window", "calls_per_s"]),
    ("kernel", &["kernel", "who", "vectors", "interrupt"], &["ns_per_unit", "ratio"]),
    ("work", &["kernel"], &["id", "units", "native_ns"]),
    ("crossover", &["kernel", "who"], &["units", "work_ns", "p50_ns", "cpu_ns"]),
    ("growth", &["what", "who", "unit"], &["x", "y"]),
    ("figure", &["group", "name", "unit"], &["figure"]),
    ("machine", &["processor", "kernel"], &["cores"]),
    ("version", &["who", "version"], &[]),
    ("flags", &["clang", "common"], &[]),
    ("noise", &["by"], &["others_pct", "stolen_pct"]),
];

/// A line that cannot be used: where it stands and why.
#[derive(Debug, PartialEq, Eq)]
pub struct LineError {
    file: String,
    line: usize,
    why: String,
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.why)
    }
}

impl std::error::Error for LineError {}

/// What was read, in its order.
#[derive(Debug, Default)]
pub struct Lines {
    /// Lines with goals.
    pub rows: Vec<Row>,
    series: Vec<Value>,
}

impl Lines {
    /// Reads files, each with its name.
    pub fn read(files: &[(String, String)]) -> Result<Self, LineError> {
        let mut all = Self::default();
        for (file, text) in files {
            for (n, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
                all.add(line).map_err(|why| LineError { file: file.clone(), line: n + 1, why })?;
            }
        }
        Ok(all)
    }

    fn add(&mut self, line: &str) -> Result<(), String> {
        let value: Value = serde_json::from_str(line).map_err(|error| format!("not JSON: {error}"))?;
        if value.get("row").is_some() {
            let row = row(&value)?;
            if self.rows.iter().any(|known| known.name == row.name) {
                return Err(format!("the row `{}` stands there twice", row.name));
            }
            self.rows.push(row);
            return Ok(());
        }
        let bench = value["bench"].as_str().ok_or("neither `row` nor `bench`")?;
        let Some((_, texts, numbers)) = KINDS.iter().find(|(kind, ..)| *kind == bench) else {
            let known: Vec<&str> = KINDS.iter().map(|(kind, ..)| *kind).collect();
            return Err(format!("`{bench}` is no bench that is known: {}", known.join(", ")));
        };
        if let Some(name) = texts.iter().find(|name| !value[**name].is_string()) {
            return Err(format!("a line of `{bench}` must have the text `{name}`"));
        }
        if let Some(name) = numbers.iter().find(|name| finite(&value[**name]).is_none()) {
            return Err(format!("a line of `{bench}` must have the number `{name}`"));
        }
        self.series.push(value);
        Ok(())
    }

    /// The lines of one bench.
    pub fn of<'a>(&'a self, bench: &'a str) -> impl Iterator<Item = &'a Value> {
        self.series.iter().filter(move |line| line["bench"] == bench)
    }
}

fn row(value: &Value) -> Result<Row, String> {
    let text = |name: &str| value[name].as_str().map(str::to_owned);
    let number =
        |name: &str| finite(&value[name]).ok_or_else(|| format!("a row must have the number `{name}`"));
    let kind = match value["goal_kind"].as_str() {
        Some("at most") => GoalKind::AtMost,
        Some("at least") => GoalKind::AtLeast,
        _ => return Err("`goal_kind` must be `at most` or `at least`".to_owned()),
    };
    let spread = spread(value, "spread");
    if value.get("spread").is_some_and(|given| !given.is_null()) && spread.is_none() {
        return Err("`spread` must be two numbers, the smaller one first".to_owned());
    }
    Ok(Row {
        name: text("row").ok_or("`row` must be a text")?,
        goal: number("goal")?,
        figure: Some(number("figure")?),
        unit: text("unit").ok_or("a row must have a `unit`")?,
        kind,
        spread,
        command: text("command").unwrap_or_default(),
        note: text("note").unwrap_or_default(),
    })
}

fn finite(value: &Value) -> Option<f64> {
    value.as_f64().filter(|number| number.is_finite())
}

/// A number of a line, 0 when it is not there.
pub fn number(line: &Value, name: &str) -> f64 {
    finite(&line[name]).unwrap_or(0.0)
}

/// A text of a line, empty when it is not there.
pub fn text<'a>(line: &'a Value, name: &str) -> &'a str {
    line[name].as_str().unwrap_or_default()
}

/// A spread of a line.
pub fn spread(line: &Value, name: &str) -> Option<[f64; 2]> {
    match line[name].as_array()?.as_slice() {
        [low, high] => Some([finite(low)?, finite(high)?]).filter(|[low, high]| low <= high),
        _ => None,
    }
}

/// Whether it is one of ours.
pub fn is_ours(who: &str) -> bool {
    who.starts_with("croupier")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Lines, String> {
        Lines::read(&[("a".to_owned(), text.to_owned())]).map_err(|error| error.to_string())
    }

    #[test]
    fn rows_and_series_are_told_apart() {
        let lines = read(concat!(
            r#"{"row":"r","goal":2,"figure":1.5,"unit":"x","goal_kind":"at most","spread":[1,2]}"#,
            "\n\n",
            r#"{"bench":"noise","by":"peers","others_pct":1,"stolen_pct":0,"new":[1]}"#,
        ))
        .unwrap();
        assert_eq!(lines.rows.len(), 1);
        assert_eq!(lines.rows[0].spread, Some([1.0, 2.0]));
        assert_eq!(lines.of("noise").count(), 1);
        assert_eq!(lines.of("rtt").count(), 0);
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let row = r#"{"row":"r","goal":2,"figure":1,"unit":"x","goal_kind":"at most"}"#;
        for (text, why) in [
            ("{}", "a:1: neither `row` nor `bench`"),
            ("\n{", "a:2: not JSON"),
            (r#"{"bench":"rrt"}"#, "`rrt` is no bench"),
            (r#"{"bench":"noise","by":"a","others_pct":"1"}"#, "the number `others_pct`"),
            (r#"{"bench":"version","who":"a"}"#, "the text `version`"),
            (r#"{"row":"r","goal":2,"figure":1,"unit":"x"}"#, "`goal_kind`"),
            (r#"{"row":"r","goal":2,"unit":"x","goal_kind":"at most"}"#, "`figure`"),
            (
                r#"{"row":"r","goal":2,"figure":1,"unit":"x","goal_kind":"at most","spread":[2,1]}"#,
                "`spread`",
            ),
            (&format!("{row}\n{row}"), "a:2: the row `r` stands there twice"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
