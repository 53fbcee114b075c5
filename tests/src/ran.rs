//! What a command said, and how it ended.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::artifacts::artifacts;

/// A `croupier` command that has ended.
#[derive(Debug)]
pub struct Ran {
    /// What was run, for messages.
    pub line: String,
    /// The exit code; -1 when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Ran {
    /// Runs `croupier` with these arguments, and with `--socket` when one is given.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn croupier<S: AsRef<OsStr>>(socket: Option<&Path>, arguments: impl IntoIterator<Item = S>) -> Ran {
        let mut command = Command::new(artifacts().croupier());
        // Nothing of the surroundings counts: not even a log level.
        command.env_remove("CROUPIER_LOG").stdin(Stdio::null());
        command.args(arguments);
        if let Some(socket) = socket {
            command.arg("--socket").arg(socket);
        }
        let line = format!("{command:?}");
        Ran::new(line, &command.output().expect("croupier starts"))
    }

    fn new(line: String, output: &Output) -> Ran {
        Ran {
            line,
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Checks the exit code.
    ///
    /// # Panics
    /// When it is another.
    #[must_use]
    #[track_caller]
    pub fn exits(self, code: i32) -> Ran {
        assert_eq!(self.code, code, "{self}");
        self
    }

    /// Standard output as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON: {error}\n{self}"))
    }

    /// What it says about a failure with `--json`: code, text, hint.
    ///
    /// # Panics
    /// When it did not fail, or says nothing.
    #[track_caller]
    pub fn error(&self) -> (String, String) {
        assert_eq!(self.code, 1, "{self}");
        let json = self.json();
        let error = json.get("error").unwrap_or_else(|| panic!("no error in it\n{self}"));
        let member = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        (member("code"), member("text"))
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\n  exit {}\n  stdout: {}\n  stderr: {}", self.line, self.code, self.stdout, self.stderr)
    }
}

/// Whether a JSON document has all that `part` has, members of objects being optional in `part`.
pub fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(name, value)| whole.get(name).is_some_and(|found| contains(found, value)))
        }
        _ => whole == part,
    }
}
