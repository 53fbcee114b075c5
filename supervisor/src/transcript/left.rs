//! What an earlier supervisor left of a session's transcript: whether it ended, and how far it got.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use croupier_fair::chain::Record;
use croupier_fair::line::{Line, parse};

/// Bytes at the end of a file that are looked at.
const TAIL_BYTES: u64 = 256 << 10;

/// What there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// It ended.
    Finished,
    /// It did not.
    Begun {
        /// The last turn that was written; 0 when none can be made out.
        last_turn: u64,
    },
    /// Nothing is known.
    Nothing,
}

/// Looks at a session's transcript in a state directory.
pub(crate) fn last_turn(state_dir: Option<&Path>, session: u64) -> Left {
    let Some(dir) = state_dir.map(|dir| dir.join("transcripts")) else { return Left::Nothing };
    if dir.join(format!("{session}.jsonl")).exists() {
        return Left::Finished;
    }
    let Ok(mut file) = File::open(dir.join(format!("{session}.jsonl.part"))) else { return Left::Nothing };
    let mut tail = Vec::new();
    let len = file.metadata().map_or(0, |data| data.len());
    let read = file
        .seek(SeekFrom::Start(len.saturating_sub(TAIL_BYTES)))
        .and_then(|_| file.take(TAIL_BYTES).read_to_end(&mut tail));
    match read {
        Ok(_) => Left::Begun { last_turn: newest(&tail) },
        Err(_) => Left::Begun { last_turn: 0 },
    }
}

/// The last turn in the last whole line.
fn newest(tail: &[u8]) -> u64 {
    let Some(end) = tail.iter().rposition(|byte| *byte == b'\n') else { return 0 };
    let last = tail[..end].rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    match parse(last) {
        Ok(Line::Record(linked)) => match linked.record {
            Record::Turn(entry) => entry.seq,
            Record::Ticks(run) => run.last().map_or(0, |(seq, _)| seq),
        },
        _ => 0,
    }
}
