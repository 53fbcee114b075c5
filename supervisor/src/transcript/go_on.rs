//! Going on with a transcript that an earlier supervisor began: its lines are read and chained again, and half a line at its end is cut off.

use std::fs::OpenOptions;
use std::io::{self, BufReader, Seek as _};
use std::path::Path;

use croupier_fair::chain::Record;
use croupier_fair::line::Line;
use croupier_fair::reader::{ReadError, Reader};
use croupier_fair::transcript::TranscriptWriter;

/// Longest line, in bytes: as verifiers read them.
const LINE_BYTES_MAX: u64 = 1 << 30;

/// What is there.
pub(super) enum There {
    /// Not one line: its supervisor died while it wrote the first. What there was is gone.
    Nothing,
    /// A transcript that goes on.
    Begun(Continued),
    /// A whole one: its supervisor died before it had its last name.
    Whole {
        /// Its bytes.
        written: u64,
    },
}

/// Where to go on.
pub(super) struct Continued {
    pub(super) writer: TranscriptWriter,
    /// The last turn that is there.
    pub(super) last_seq: u64,
    /// Bytes that are there.
    pub(super) written: u64,
    /// To be appended first.
    pub(super) bytes: Vec<u8>,
}

/// Reads what is there.
pub(super) fn go_on(path: &Path) -> io::Result<There> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let (mut lines, mut written, mut last_seq) = (Vec::new(), 0, 0);
    let mut reader = Reader::new(BufReader::new(&mut file), LINE_BYTES_MAX);
    loop {
        match reader.next_line() {
            Ok(None) | Err(ReadError::CutShort) => break,
            Ok(Some(line)) => {
                written += croupier_fair::line::render(&line).len() as u64;
                last_seq = last_turn(&line).unwrap_or(last_seq);
                lines.push(line);
            }
            Err(error) => return Err(io::Error::other(error.to_string())),
        }
    }
    if lines.is_empty() {
        std::fs::remove_file(path)?;
        return Ok(There::Nothing);
    }
    if matches!(lines.last(), Some(Line::Close { .. })) {
        return Ok(There::Whole { written });
    }
    let writer = TranscriptWriter::resume(lines)
        .ok_or_else(|| io::Error::other("its lines are no chain that has not ended"))?;
    if file.seek(io::SeekFrom::End(0))? > written {
        // Half a line, of a write that the supervisor died in.
        file.set_len(written)?;
    }
    Ok(There::Begun(Continued { writer, last_seq, written, bytes: Vec::new() }))
}

fn last_turn(line: &Line) -> Option<u64> {
    match line {
        Line::Record(linked) => match &linked.record {
            Record::Turn(entry) => Some(entry.seq),
            Record::Ticks(run) => run.last().map(|(seq, _)| seq),
        },
        Line::Header { .. } | Line::Close { .. } => None,
    }
}
