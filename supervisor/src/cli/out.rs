//! Standard output: JSON or tables. Knows that pipes close, and that plugins' words may hold escape sequences.

use std::fmt::Write as _;
use std::io::{self, ErrorKind, IsTerminal as _, StdoutLock, Write};

use serde::Serialize;

use super::fail::{Failure, Stop};

/// For whom we write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A person.
    Human,
    /// A program.
    Json,
}

/// Standard output, buffered.
pub(crate) struct Out {
    form: Form,
    stdout: io::BufWriter<StdoutLock<'static>>,
}

impl Out {
    pub(crate) fn new(form: Form) -> Out {
        Out { form, stdout: io::BufWriter::new(io::stdout().lock()) }
    }

    pub(crate) fn form(&self) -> Form {
        self.form
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        self.stdout.write_all(bytes).map_err(stop)
    }

    /// A line for a person. Control characters are made visible.
    pub(crate) fn line(&mut self, line: &str) -> Result<(), Stop> {
        self.bytes(printable(line).as_bytes())?;
        self.bytes(b"\n")
    }

    /// As [`Out::line`]; in red, on a terminal.
    pub(crate) fn alarm(&mut self, line: &str) -> Result<(), Stop> {
        if !io::stdout().is_terminal() || std::env::var_os("NO_COLOR").is_some() {
            return self.line(line);
        }
        self.bytes(format!("\x1b[31m{}\x1b[0m\n", printable(line)).as_bytes())
    }

    /// One JSON value on a line of its own.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<(), Stop> {
        let mut text = serde_json::to_vec(value)
            .map_err(|error| Failure::new("internal", format!("cannot write JSON: {error}"), ""))?;
        text.push(b'\n');
        self.bytes(&text)
    }

    pub(crate) fn flush(&mut self) -> Result<(), Stop> {
        self.stdout.flush().map_err(stop)
    }
}

fn stop(error: io::Error) -> Stop {
    match error.kind() {
        ErrorKind::BrokenPipe => Stop::PipeClosed,
        _ => Failure::new("output", format!("cannot write to standard output: {error}"), "").into(),
    }
}

/// Words from elsewhere without control characters: what a plugin says must not drive an operator's terminal.
pub(crate) fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => safe.push(c),
            c if c.is_control() => safe.extend(c.escape_unicode()),
            c => safe.push(c),
        }
    }
    safe
}

/// Columns that long texts are broken into: as many as any terminal has.
pub(crate) const WIDTH: usize = 80;

/// A text behind a head, broken at spaces, and all of it under its own beginning. A word that is longer than a line stays whole.
pub(crate) fn hanging(head: &str, text: &str) -> Vec<String> {
    let indent = head.chars().count();
    let mut lines = vec![head.to_owned()];
    let mut used = indent;
    for word in printable(text).split(' ').filter(|word| !word.is_empty()) {
        let (length, last) = (word.chars().count(), lines.last_mut().expect("the head"));
        if used == indent {
            last.push_str(word);
            used += length;
        } else if used + 1 + length <= WIDTH {
            last.push(' ');
            last.push_str(word);
            used += 1 + length;
        } else {
            lines.push(format!("{:indent$}{word}", ""));
            used = indent + length;
        }
    }
    lines
}

/// Where a column's text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    /// For words.
    Left,
    /// For numbers.
    Right,
}

/// An aligned table: a head, then rows.
pub(crate) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(columns: &[(&'static str, Align)]) -> Table {
        Table { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// A row of as many cells as there are columns.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let mut cells: Vec<String> = cells.into_iter().map(|cell| printable(&cell)).collect();
        cells.resize(self.columns.len(), String::new());
        self.rows.push(cells);
    }

    /// The lines, without spaces at their ends.
    pub(crate) fn lines(&self) -> Vec<String> {
        let head: Vec<String> = self.columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|column| {
                let cells = std::iter::once(&head).chain(&self.rows);
                cells.map(|row| row[column].chars().count()).max().unwrap_or(0)
            })
            .collect();
        std::iter::once(&head).chain(&self.rows).map(|row| self.aligned(row, &widths)).collect()
    }

    fn aligned(&self, row: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for ((cell, width), (_, align)) in row.iter().zip(widths).zip(&self.columns) {
            let _ = match align {
                Align::Left => write!(line, "{cell:<width$}  "),
                Align::Right => write!(line, "{cell:>width$}  "),
            };
        }
        line.trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_hang_under_their_beginning() {
        let text = "word ".repeat(30) + &"x".repeat(100) + " end";
        let lines = hanging("landlock  ok  ", &text);
        assert!(
            lines[0].starts_with("landlock  ok  word word") && lines[1].starts_with("              word")
        );
        let long: Vec<&String> = lines.iter().filter(|line| line.chars().count() > WIDTH).collect();
        assert!(long.len() == 1 && long[0].trim_start() == "x".repeat(100), "{lines:#?}");
        assert_eq!(lines.join(" ").split_whitespace().count(), 2 + 30 + 2, "nothing is lost");
        assert_eq!(hanging("bell  ", "a\u{7}"), ["bell  a\\u{7}"]);
    }

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&[("NAME", Align::Left), ("TURNS", Align::Right), ("FAULT", Align::Left)]);
        table.row(["craps".into(), "7".into(), String::new()]);
        table.row(["é".into(), "1234567".into(), "bell\u{7}".into()]);
        assert_eq!(table.lines(), ["NAME     TURNS  FAULT", "craps        7", "é      1234567  bell\\u{7}"]);
    }
}
