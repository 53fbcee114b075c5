//! What can go wrong: always the end of the run, so one kind with a sentence is enough.

use std::fmt;

/// A sentence that says what failed and why.
#[derive(Debug)]
pub(crate) struct Fault(String);

impl Fault {
    pub(crate) fn new(what: impl fmt::Display, why: impl fmt::Display) -> Self {
        Self(format!("{what}: {why}"))
    }

    pub(crate) fn plain(what: impl fmt::Display) -> Self {
        Self(what.to_string())
    }

    /// With the whole chain of reasons, which this error prints on demand only.
    pub(crate) fn wasm(what: impl fmt::Display, why: &wasmtime::Error) -> Self {
        Self(format!("{what}: {why:#}"))
    }

    /// Says whose fault it is.
    pub(crate) fn of(self, who: &str) -> Self {
        Self(format!("{who}: {}", self.0))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
