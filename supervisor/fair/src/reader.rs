//! Reads a transcript line by line, from anything that is read in order. Holds one line, of a bounded length, and never the file.
//!
//! Checks only that each line is exactly as it is written by [`crate::line::render`]; what the lines say is checked by [`crate::verify`].

use std::io::{BufRead, Read as _};

use thiserror::Error;

use crate::line::{Line, parse, render};

/// Longest line unless asked for otherwise, in bytes: eight times the default frame of a link, whose turn and reply a line holds.
pub const LINE_BYTES_DEFAULT: u64 = 64 << 20;

/// Why a line could not be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The input failed.
    #[error("the transcript could not be read: {0}")]
    Io(#[from] std::io::Error),
    /// The line is longer than allowed.
    #[error(
        "the line is longer than {max} bytes: no turn is that long, unless the server's frame limit was raised; then raise the limit here"
    )]
    TooLong {
        /// The limit.
        max: u64,
    },
    /// The input ends inside a line.
    #[error("the file ends in the middle of this line: it was cut, or is still being written")]
    CutShort,
    /// The line is not of a transcript.
    #[error("this is no line of a transcript ({0}): the line was changed, or the file is something else")]
    Malformed(String),
    /// It means something, but is written in another way than a transcript is.
    #[error(
        "the line is not written as a transcript writes it (spacing, order of members, upper case or escapes): it was changed after it was written"
    )]
    NotCanonical,
}

/// Reads the lines of a transcript.
pub struct Reader<R> {
    input: R,
    line: u64,
    line_bytes_max: u64,
    buffer: Vec<u8>,
}

impl<R: BufRead> Reader<R> {
    /// Reads from `input`, lines of at most `line_bytes_max` bytes.
    pub fn new(input: R, line_bytes_max: u64) -> Reader<R> {
        Reader { input, line: 0, line_bytes_max, buffer: Vec::new() }
    }

    /// The number of the line read last, from 1; 0 before the first.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// The next line, or `None` at the end.
    pub fn next_line(&mut self) -> Result<Option<Line>, ReadError> {
        self.buffer.clear();
        let cap = self.line_bytes_max.saturating_add(1);
        let read = (&mut self.input).take(cap).read_until(b'\n', &mut self.buffer)?;
        if read == 0 {
            return Ok(None);
        }
        self.line += 1;
        if self.buffer.len() as u64 > self.line_bytes_max {
            return Err(ReadError::TooLong { max: self.line_bytes_max });
        }
        let Some(text) = self.buffer.strip_suffix(b"\n") else {
            return Err(ReadError::CutShort);
        };
        let line = parse(text).map_err(ReadError::Malformed)?;
        if render(&line) != self.buffer {
            return Err(ReadError::NotCanonical);
        }
        Ok(Some(line))
    }

    /// Gives the input back.
    pub fn into_inner(self) -> R {
        self.input
    }
}
