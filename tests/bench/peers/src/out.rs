//! The output: one JSON object a line. README.md says what the fields mean.

use std::fs::File;
use std::io::{BufWriter, Write, stdout};
use std::path::Path;

use serde_json::Value;

use crate::Fault;

/// Where lines go.
pub(crate) struct Out {
    to: Box<dyn Write>,
}

impl Out {
    /// To a file, which is made anew, or to the standard output.
    pub(crate) fn open(file: Option<&Path>) -> Result<Self, Fault> {
        let to: Box<dyn Write> = match file {
            Some(path) => {
                let fault = |error| Fault::new(format!("{} cannot be written", path.display()), error);
                Box::new(BufWriter::new(File::create(path).map_err(fault)?))
            }
            None => Box::new(stdout()),
        };
        Ok(Self { to })
    }

    /// One line, at once: what was measured is kept if the next thing fails.
    pub(crate) fn line(&mut self, value: &Value) -> Result<(), Fault> {
        let fault = |error| Fault::new("the output cannot be written", error);
        writeln!(self.to, "{value}").and_then(|()| self.to.flush()).map_err(fault)
    }
}
