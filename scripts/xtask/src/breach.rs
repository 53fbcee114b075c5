//! One line of the result: where, which rule, what to do.

use std::fmt;

/// A rule that is broken somewhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Breach {
    /// Relative to the repository.
    pub(crate) file: String,
    /// From 1.
    pub(crate) line: usize,
    /// The rule's name.
    pub(crate) rule: &'static str,
    /// What to do.
    pub(crate) advice: String,
}

impl Breach {
    pub(crate) fn new(file: &str, line: usize, rule: &'static str, advice: impl Into<String>) -> Breach {
        Breach { file: file.to_owned(), line, rule, advice: advice.into() }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.file, self.line, self.rule, self.advice)
    }
}
