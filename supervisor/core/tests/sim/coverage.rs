//! Which event met which state how often: three tables, of plugins, of workers, and of sessions.
//!
//! A cell that stays empty is either on the list of those that cannot be reached, with the reason, or the run has not been long or wild enough.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::station::Awaited;
use crate::unreachable::{Expected, expected};

/// What is reached less often is told of: the next change may lose it.
const RARE: u64 = 10;

/// Events that concern a whole plugin.
pub(crate) const PLUGIN_EVENTS: [&str; 14] = [
    "start", "park", "suspend", "resume", "restart", "scale", "release", "unload", "permit", "open", "adopt",
    "durable", "room", "wake",
];
/// States of a plugin, from its life-cycle.
pub(crate) const PLUGIN_STATES: [&str; 8] =
    ["unloaded", "starting", "loaded", "initialized", "running", "suspended", "unloading", "down"];

/// What reaches the supervisor about a worker.
pub(crate) const WORKER_EVENTS: [&str; 11] = [
    "loaded",
    "ok",
    "failed",
    "done",
    "snapshot",
    "host-call",
    "refused",
    "crash",
    "killed",
    "asked",
    "no-start",
];
/// States of a worker: what it is for, and what it has been asked longest.
pub(crate) const WORKER_ROLES: [&str; 5] = ["starting", "serving", "standby", "probing", "retiring"];
/// What it may have been asked.
pub(crate) const WORKER_CALLS: [&str; 11] =
    ["-", "init", "turn", "replay", "restore", "try", "suspend", "resume", "drop", "ping", "shutdown"];

/// Events that concern one session.
pub(crate) const SESSION_EVENTS: [&str; 9] =
    ["turn", "cancel", "drop", "played", "replayed", "restored", "asks", "told", "worker-died"];
/// States of a session; `over` is one that ended lately, `none` one that never was or is forgotten.
pub(crate) const SESSION_STATES: [&str; 7] =
    ["none", "opening", "live", "restoring", "closing", "held", "over"];

/// One table.
#[derive(Clone)]
pub(crate) struct Table {
    name: &'static str,
    rows: Vec<String>,
    columns: &'static [&'static str],
    counts: Vec<u64>,
}

impl Table {
    fn new(name: &'static str, rows: Vec<String>, columns: &'static [&'static str]) -> Table {
        let counts = vec![0; rows.len() * columns.len()];
        Table { name, rows, columns, counts }
    }

    fn count(&mut self, row: usize, column: usize) {
        self.counts[row * self.columns.len() + column] += 1;
    }

    fn add(&mut self, other: &Table) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(sum, count)| *sum += count);
    }

    /// Row, column and count of each cell.
    fn cells(&self) -> impl Iterator<Item = (String, &'static str, u64)> + '_ {
        let cell = |(at, count): (usize, &u64)| {
            let (row, column) = (at / self.columns.len(), at % self.columns.len());
            (format!("{} {}", self.name, self.rows[row]), self.columns[column], *count)
        };
        self.counts.iter().enumerate().map(cell)
    }

    fn show(&self, out: &mut String) {
        let width = self.rows.iter().map(String::len).max().unwrap_or(0).max(self.name.len());
        let _ = write!(out, "\n{:width$}", self.name);
        for column in self.columns {
            let _ = write!(out, " {column:>11}");
        }
        for (row, name) in self.rows.iter().enumerate() {
            let _ = write!(out, "\n{name:width$}");
            for column in 0..self.columns.len() {
                let word = match self.counts[row * self.columns.len() + column] {
                    0 if matches!(
                        expected(&format!("{} {name}", self.name), self.columns[column]),
                        Expected::Never(_)
                    ) =>
                    {
                        "-".to_owned()
                    }
                    0 => ".".to_owned(),
                    count => count.to_string(),
                };
                let _ = write!(out, " {word:>11}");
            }
        }
        out.push('\n');
    }
}

/// All tables.
#[derive(Clone)]
pub(crate) struct Coverage {
    plugin: Table,
    worker: Table,
    session: Table,
}

fn place(list: &[&str], word: &str) -> usize {
    list.iter().position(|known| *known == word).unwrap_or_else(|| panic!("no row or column for {word:?}"))
}

impl Coverage {
    pub(crate) fn new() -> Coverage {
        let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let workers = WORKER_ROLES
            .iter()
            .flat_map(|role| WORKER_CALLS.iter().map(move |call| format!("{role} {call}")));
        Coverage {
            plugin: Table::new("plugin", words(&PLUGIN_STATES), &PLUGIN_EVENTS),
            worker: Table::new("worker", workers.collect(), &WORKER_EVENTS),
            session: Table::new("session", words(&SESSION_STATES), &SESSION_EVENTS),
        }
    }

    pub(crate) fn plugin(&mut self, state: &str, event: &str) {
        self.plugin.count(place(&PLUGIN_STATES, state), place(&PLUGIN_EVENTS, event));
    }

    pub(crate) fn worker(&mut self, role: &str, call: Option<Awaited>, event: &str) {
        let row = place(&WORKER_ROLES, role) * WORKER_CALLS.len() + place(&WORKER_CALLS, call_word(call));
        self.worker.count(row, place(&WORKER_EVENTS, event));
    }

    pub(crate) fn session(&mut self, state: &str, event: &str) {
        self.session.count(place(&SESSION_STATES, state), place(&SESSION_EVENTS, event));
    }

    pub(crate) fn add(&mut self, other: &Coverage) {
        self.plugin.add(&other.plugin);
        self.worker.add(&other.worker);
        self.session.add(&other.session);
    }

    fn cells(&self) -> impl Iterator<Item = (String, &'static str, u64)> + '_ {
        [&self.plugin, &self.worker, &self.session].into_iter().flat_map(Table::cells)
    }

    /// For people.
    pub(crate) fn show(&self) -> String {
        let mut out = String::new();
        [&self.plugin, &self.worker, &self.session].into_iter().for_each(|table| table.show(&mut out));
        out
    }

    /// Cells that were reached, that can be reached, and that must be.
    pub(crate) fn reached(&self) -> (usize, usize, usize) {
        let of = |row: &str, column| expected(row, column);
        let can = self.cells().filter(|(row, column, _)| !matches!(of(row, column), Expected::Never(_)));
        let must = self.cells().filter(|(row, column, _)| of(row, column) == Expected::Often);
        (self.cells().filter(|(.., count)| *count > 0).count(), can.count(), must.count())
    }

    /// Cells that must be reached and hardly are.
    pub(crate) fn rare(&self) -> Vec<String> {
        let is_rare = |(row, column, count): &(String, &str, u64)| {
            *count < RARE && expected(row, column) == Expected::Often
        };
        self.cells()
            .filter(is_rare)
            .map(|(row, column, count)| format!("{row} × {column}: {count}"))
            .collect()
    }

    /// Cells that were not reached and need not be, by reason.
    pub(crate) fn why_not(&self) -> BTreeMap<&'static str, Vec<String>> {
        let mut why: BTreeMap<_, Vec<String>> = BTreeMap::new();
        for (row, column, count) in self.cells() {
            if let (0, Expected::Never(reason) | Expected::Seldom(reason)) = (count, expected(&row, column)) {
                why.entry(reason).or_default().push(format!("{row} × {column}"));
            }
        }
        why
    }

    /// Cells that should have been reached and were not, and the other way round.
    pub(crate) fn surprises(&self) -> Vec<String> {
        let surprise =
            |(row, column, count): (String, &'static str, u64)| match (count, expected(&row, column)) {
                (0, Expected::Often) => Some(format!("{row} × {column} was not reached")),
                (1.., Expected::Never(why)) => {
                    Some(format!("{row} × {column} was reached, and should not be: {why}"))
                }
                _ => None,
            };
        self.cells().filter_map(surprise).collect()
    }
}

fn call_word(call: Option<Awaited>) -> &'static str {
    match call {
        None => "-",
        Some(Awaited::Init) => "init",
        Some(Awaited::Turn(..)) => "turn",
        Some(Awaited::Replay(_)) => "replay",
        Some(Awaited::Restore(_)) => "restore",
        Some(Awaited::Try) => "try",
        Some(Awaited::Suspend) => "suspend",
        Some(Awaited::Resume) => "resume",
        Some(Awaited::Drop) => "drop",
        Some(Awaited::Ping) => "ping",
        Some(Awaited::Shutdown) => "shutdown",
    }
}
