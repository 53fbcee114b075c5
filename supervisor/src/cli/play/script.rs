//! A play script, read and checked whole before anything is played, and kept small: the payloads' bytes one after the other, and 32 bytes a line.
//!
//! ```text
//!   lines ──▶ per session name: its steps in order ──▶ step: line, verb, player, where its payload is
//! ```
//!
//! Whether a line may stand where it does (`act` before `open`, `open` twice) is decided here, from the script alone.

use std::collections::HashMap;
use std::io::{self, BufRead};
use std::ops::Range;

use super::line::{Does, Line, LineError, parse};

/// Problems shown before the rest is only counted.
const PROBLEMS_MAX: usize = 20;

/// A checked script.
#[derive(Debug, Default)]
pub(super) struct Script {
    bytes: Vec<u8>,
    tables: Vec<Table>,
    extras: Vec<Extra>,
    steps: u64,
}

/// All that happens under one session name.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: Box<str>,
    pub(super) steps: Vec<Step>,
}

/// One line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    payload_at: u64,
    pub(super) player: u64,
    payload_len: u32,
    pub(super) line: u32,
    extra: u32,
    pub(super) verb: Verb,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Open,
    Join,
    Act,
    Leave,
    Expect,
    Close,
}

/// What few lines have, or many alike; kept once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Extra {
    /// The plugin of an `open`.
    pub(super) plugin: String,
    /// The options of an `open`, JSON.
    pub(super) options: String,
    /// The seed of a `join`, the reason of a `leave`.
    pub(super) bytes: Vec<u8>,
    /// The refusal that is expected.
    pub(super) error: Option<String>,
}

/// Why a script cannot be played. Nothing was.
#[derive(Debug)]
pub(super) enum ScriptError {
    /// It cannot be read.
    Io(io::Error),
    /// It holds no line.
    Empty,
    /// Lines are wrong; the first [`PROBLEMS_MAX`], and how many there are.
    Lines(Vec<String>, usize),
}

impl Script {
    /// Reads and checks a script, line by line.
    pub(super) fn read(mut from: impl BufRead) -> Result<Script, ScriptError> {
        let mut reader = Reader::default();
        let (mut line, mut number) = (Vec::new(), 0u32);
        loop {
            line.clear();
            if from.read_until(b'\n', &mut line).map_err(ScriptError::Io)? == 0 {
                break;
            }
            number = number.saturating_add(1);
            if line.iter().any(|byte| !byte.is_ascii_whitespace()) {
                reader.line(number, &line);
            }
        }
        reader.end()
    }

    pub(super) fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// All lines.
    pub(super) fn steps(&self) -> u64 {
        self.steps
    }

    /// A step's config, profile, action or expected reply, as written.
    pub(super) fn payload(&self, step: &Step) -> &[u8] {
        let from = usize::try_from(step.payload_at).unwrap_or(usize::MAX);
        self.bytes.get(from..from.saturating_add(step.payload_len as usize)).unwrap_or_default()
    }

    pub(super) fn extra(&self, step: &Step) -> &Extra {
        &self.extras[step.extra as usize]
    }
}

/// Where a session name stands while the script is read; the number is the line that brought it there.
#[derive(Debug, Clone, Copy)]
enum Stand {
    /// It was opened, but only with a refusal as expected outcome.
    Refused(u32),
    Open(u32),
    Closed(u32),
}

#[derive(Default)]
struct Reader {
    script: Script,
    names: HashMap<Box<str>, usize>,
    stands: Vec<Stand>,
    extras: HashMap<Extra, u32>,
    problems: Vec<String>,
    problem_count: usize,
}

impl Reader {
    fn line(&mut self, number: u32, line: &[u8]) {
        let result = parse(line).map_err(|error: LineError| error.to_string());
        if let Err(problem) = result.and_then(|line| self.take(number, line)) {
            self.problem_count += 1;
            if self.problems.len() < PROBLEMS_MAX {
                self.problems.push(format!("line {number}: {problem}"));
            }
        }
    }

    fn take(&mut self, number: u32, line: Line<'_>) -> Result<(), String> {
        let Line { session, does, error } = line;
        let verb = does.verb();
        let table = self.stand(number, &session, verb, error.is_some())?;
        let mut extra = Extra { error, ..Extra::default() };
        let (player, payload) = match does {
            Does::Open { plugin, config, options } => {
                (extra.plugin, extra.options) = (plugin, options.to_owned());
                (0, config)
            }
            Does::Join { player, profile, seed } => {
                extra.bytes = seed;
                (player, profile)
            }
            Does::Act { player, action } => (player, action),
            Does::Leave { player, reason } => {
                extra.bytes = reason.into_bytes();
                (player, "")
            }
            Does::Expect { reply } => (0, reply),
            Does::Close => (0, ""),
        };
        let Range { start, end } = self.keep(payload.as_bytes());
        let payload_len =
            u32::try_from(end - start).map_err(|_| "the payload is longer than 4 GiB".to_owned())?;
        let extra = self.extra(extra)?;
        let step = Step { payload_at: start as u64, player, payload_len, line: number, extra, verb };
        self.script.tables[table].steps.push(step);
        self.script.steps += 1;
        Ok(())
    }

    /// Whether this verb may come here in its session; gives the session's place.
    fn stand(&mut self, number: u32, name: &str, verb: Verb, expects_refusal: bool) -> Result<usize, String> {
        let known = self.names.get(name).copied();
        let stand = known.map(|place| self.stands[place]);
        let after = match (verb, stand) {
            (Verb::Open, Some(Stand::Open(line))) => {
                return Err(format!("session `{name}` is open already, since line {line}"));
            }
            (Verb::Open, _) if expects_refusal => Stand::Refused(number),
            (Verb::Open, _) => Stand::Open(number),
            (_, None) => return Err(format!("session `{name}` is unknown: open it first")),
            (_, Some(Stand::Refused(line))) => {
                return Err(format!(
                    "session `{name}` is not open: line {line} expects that opening it is refused"
                ));
            }
            (Verb::Close, Some(Stand::Open(line))) if expects_refusal => Stand::Open(line),
            (Verb::Close, Some(Stand::Open(_))) => Stand::Closed(number),
            (_, Some(stand @ Stand::Open(_))) | (Verb::Expect, Some(stand)) => stand,
            (_, Some(Stand::Closed(line))) => {
                return Err(format!("session `{name}` is not open: it was closed on line {line}"));
            }
        };
        Ok(match known {
            Some(place) => {
                self.stands[place] = after;
                place
            }
            None => {
                self.names.insert(name.into(), self.stands.len());
                self.stands.push(after);
                self.script.tables.push(Table { name: name.into(), steps: Vec::new() });
                self.stands.len() - 1
            }
        })
    }

    fn keep(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.script.bytes.len();
        self.script.bytes.extend_from_slice(bytes);
        start..self.script.bytes.len()
    }

    fn extra(&mut self, extra: Extra) -> Result<u32, String> {
        if let Some(place) = self.extras.get(&extra) {
            return Ok(*place);
        }
        let place = u32::try_from(self.extras.len()).map_err(|_| "too many different lines".to_owned())?;
        self.script.extras.push(extra.clone());
        self.extras.insert(extra, place);
        Ok(place)
    }

    fn end(self) -> Result<Script, ScriptError> {
        if self.problem_count > 0 {
            return Err(ScriptError::Lines(self.problems, self.problem_count));
        }
        if self.script.steps == 0 {
            return Err(ScriptError::Empty);
        }
        Ok(self.script)
    }
}

impl Does<'_> {
    fn verb(&self) -> Verb {
        match self {
            Does::Open { .. } => Verb::Open,
            Does::Join { .. } => Verb::Join,
            Does::Act { .. } => Verb::Act,
            Does::Leave { .. } => Verb::Leave,
            Does::Expect { .. } => Verb::Expect,
            Does::Close => Verb::Close,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(script: &str) -> Vec<String> {
        match Script::read(script.as_bytes()) {
            Ok(_) => vec![],
            Err(ScriptError::Lines(problems, count)) => {
                assert_eq!(count, problems.len());
                problems
            }
            Err(other) => vec![format!("{other:?}")],
        }
    }

    #[test]
    fn sessions_are_sorted_out_and_payloads_kept_as_written() {
        let script = "{\"open\":\"a\",\"plugin\":\"p\",\"config\":{\"x\":1.50}}\n\n\
                      {\"open\":\"b\",\"plugin\":\"p\"}\n\
                      {\"act\":\"a\",\"player\":7,\"action\":[1, 2]}\n\
                      {\"close\":\"b\"}\n\
                      {\"open\":\"b\",\"plugin\":\"q\"}";
        let script = Script::read(script.as_bytes()).expect("a good script");
        assert_eq!(script.steps(), 5);
        let told: Vec<String> = script
            .tables()
            .iter()
            .flat_map(|table| table.steps.iter().map(move |step| (table, step)))
            .map(|(table, step)| {
                let payload = String::from_utf8_lossy(script.payload(step));
                format!(
                    "{} {} {:?} {} {payload}{}",
                    step.line,
                    table.name,
                    step.verb,
                    step.player,
                    script.extra(step).plugin
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                "1 a Open 0 {\"x\":1.50}p",
                "4 a Act 7 [1, 2]",
                "3 b Open 0 {}p",
                "5 b Close 0 ",
                "6 b Open 0 {}q"
            ]
        );
        assert_eq!(std::mem::size_of::<Step>(), 32);
    }

    #[test]
    fn lines_out_of_place_are_named() {
        let script = "{\"act\":\"a\",\"player\":1,\"action\":1}\n\
                      {\"open\":\"a\",\"plugin\":\"p\"}\n\
                      {\"open\":\"a\",\"plugin\":\"p\"}\n\
                      {\"close\":\"a\"}\n\
                      {\"expect\":\"a\",\"reply\":{}}\n\
                      {\"leave\":\"a\",\"player\":1}\n\
                      {\"open\":\"b\",\"plugin\":\"p\",\"error\":\"denied\"}\n\
                      {\"close\":\"b\"}\n\
                      what\n";
        assert_eq!(
            problems(script),
            [
                "line 1: session `a` is unknown: open it first",
                "line 3: session `a` is open already, since line 2",
                "line 6: session `a` is not open: it was closed on line 4",
                "line 8: session `b` is not open: line 7 expects that opening it is refused",
                "line 9: not a JSON object: expected value at column 1",
            ]
        );
    }

    #[test]
    fn a_refused_close_leaves_the_session_open_and_an_empty_script_is_an_error() {
        let script =
            "{\"open\":\"a\",\"plugin\":\"p\"}\n{\"close\":\"a\",\"error\":\"no\"}\n{\"close\":\"a\"}\n";
        assert_eq!(problems(script), [""; 0]);
        assert_eq!(problems("\n \n"), ["Empty"]);
    }

    #[test]
    fn many_problems_are_counted_and_some_shown() {
        let script = "x\n".repeat(100);
        match Script::read(script.as_bytes()) {
            Err(ScriptError::Lines(shown, 100)) => assert_eq!(shown.len(), PROBLEMS_MAX),
            other => panic!("{other:?}"),
        }
    }
}
