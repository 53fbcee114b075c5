//! Walks through a transcript once, from the header to the closing line, and checks each line against those before it.
//!
//! ```text
//!  begin ─▶ header ok ─▶ next: record, record, … ─▶ close ─▶ end of file
//! ```
//!
//! Both readings of a verification are such walks: the first to find the seed, the second to play. Knows no keys and opens no seed.

use std::io::BufRead;

use crate::chain::{
    FORMAT_VERSION, Header, KIND_CLOSE, KIND_JOIN, KIND_OPEN, Linked, Record, TICK_RUN_MAX, TickRun, link,
};
use crate::entry::{Entry, Verdict};
use crate::line::Line;
use crate::problem::Problem;
use crate::reader::Reader;
use crate::report::Counts;
use crate::seed::{CLIENT_SEED_BYTES_MAX, Mix};
use crate::transcript::Close;

/// What comes next.
pub(crate) enum Item {
    /// A record; the walk's mix is the one of its turns.
    Record(Record),
    /// The closing line; nothing follows it.
    Close { close: Close, signature: [u8; 64] },
}

/// Where the session stands.
#[derive(PartialEq, Eq)]
enum Phase {
    Unopened,
    Open,
    Ended,
}

pub(crate) struct Walk<R> {
    reader: Reader<R>,
    header: Header,
    hash: [u8; 32],
    phase: Phase,
    last_seq: u64,
    last_now_ns: u64,
    mix: Mix,
    counts: Counts,
}

/// A problem and the line that it was found in.
pub(crate) struct At {
    pub(crate) line: u64,
    pub(crate) problem: Problem,
}

impl<R: BufRead> Walk<R> {
    /// Reads and checks the header.
    pub(crate) fn begin(input: R, line_bytes_max: u64) -> Result<Walk<R>, At> {
        let mut reader = Reader::new(input, line_bytes_max);
        let header =
            read_header(&mut reader).map_err(|problem| At { line: reader.line().max(1), problem })?;
        Ok(Walk {
            hash: header.hash(),
            phase: Phase::Unopened,
            last_seq: 0,
            last_now_ns: header.opened_ns,
            mix: Mix::start(&header.commit),
            counts: Counts::default(),
            header,
            reader,
        })
    }

    /// The next record, or the closing line.
    pub(crate) fn next(&mut self) -> Result<Item, At> {
        self.advance().map_err(|problem| At { line: self.reader.line(), problem })
    }

    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    pub(crate) fn line(&self) -> u64 {
        self.reader.line()
    }

    pub(crate) fn hash(&self) -> [u8; 32] {
        self.hash
    }

    pub(crate) fn mix(&self) -> Mix {
        self.mix
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    fn advance(&mut self) -> Result<Item, Problem> {
        match self.reader.next_line()?.ok_or(Problem::NoClose)? {
            Line::Header { .. } => Err(Problem::SecondHeader),
            Line::Record(linked) => {
                self.record(&linked)?;
                Ok(Item::Record(linked.record))
            }
            Line::Close { close, signature } => {
                self.close(&close)?;
                Ok(Item::Close { close, signature })
            }
        }
    }

    fn record(&mut self, linked: &Linked) -> Result<(), Problem> {
        if self.phase == Phase::Ended {
            return Err(Problem::AfterEnd);
        }
        match &linked.record {
            Record::Turn(entry) => self.turn(entry)?,
            Record::Ticks(run) => self.ticks(run)?,
        }
        self.hash = link(&self.hash, &linked.record);
        self.counts.records += 1;
        if self.hash == linked.hash { Ok(()) } else { Err(Problem::Chain) }
    }

    fn turn(&mut self, entry: &Entry) -> Result<(), Problem> {
        self.number(entry.seq)?;
        match (self.last_seq, entry.kind) {
            (0, KIND_OPEN) => self.phase = Phase::Open,
            (0, _) => return Err(Problem::FirstNotOpen),
            (_, KIND_OPEN) => return Err(Problem::SecondOpen),
            _ => {}
        }
        self.time(entry.now_ns)?;
        self.last_seq = entry.seq;
        self.last_now_ns = entry.now_ns;
        self.counts.turns += 1;
        self.client_seed(entry)?;
        let done = matches!(entry.verdict, Verdict::Done { .. });
        if (entry.kind == KIND_OPEN && !done) || (entry.kind == KIND_CLOSE && done) {
            self.phase = Phase::Ended;
        }
        match entry.verdict {
            Verdict::Done { .. } => {}
            Verdict::Failed { .. } => self.counts.failed += 1,
            Verdict::Poison => self.counts.poison += 1,
            Verdict::Skipped { ticks } => {
                self.counts.skipped_ticks = self.counts.skipped_ticks.saturating_add(ticks)
            }
        }
        Ok(())
    }

    fn ticks(&mut self, run: &TickRun) -> Result<(), Problem> {
        if self.phase == Phase::Unopened {
            return Err(Problem::FirstNotOpen);
        }
        self.number(run.first_seq)?;
        if run.count == 0 || run.count > TICK_RUN_MAX {
            return Err(Problem::RunLength { count: run.count });
        }
        if run.period_ns == 0 || run.period_ns != self.header.tick_period_ns {
            return Err(Problem::RunPeriod { found: run.period_ns, expected: self.header.tick_period_ns });
        }
        self.time(run.first_now_ns)?;
        (self.last_seq, self.last_now_ns) = run.last().ok_or(Problem::Overflow)?;
        self.counts.turns += run.count;
        Ok(())
    }

    fn number(&self, found: u64) -> Result<(), Problem> {
        let expected = self.last_seq.checked_add(1).ok_or(Problem::Overflow)?;
        if found == expected { Ok(()) } else { Err(Problem::OutOfOrder { expected, found }) }
    }

    fn time(&self, found: u64) -> Result<(), Problem> {
        let previous = self.last_now_ns;
        if found < previous { Err(Problem::TimeBackwards { found, previous }) } else { Ok(()) }
    }

    /// A contribution counts from its own turn on, whatever came of the turn: the turn's seed was made with it.
    fn client_seed(&mut self, entry: &Entry) -> Result<(), Problem> {
        let bytes = entry.client_seed.len();
        if bytes == 0 {
            return Ok(());
        }
        if entry.kind != KIND_JOIN {
            return Err(Problem::ClientSeedOutsideJoin);
        }
        if bytes > CLIENT_SEED_BYTES_MAX {
            return Err(Problem::ClientSeedTooLong { bytes });
        }
        self.mix = self.mix.add(entry.seq, entry.player, &entry.client_seed);
        self.counts.client_seeds += 1;
        Ok(())
    }

    fn close(&mut self, close: &Close) -> Result<(), Problem> {
        let counts =
            [("records", close.records, self.counts.records), ("turns", close.turns, self.counts.turns)];
        for (what, stated, found) in counts {
            if stated != found {
                return Err(Problem::Count { what, stated, found });
            }
        }
        if close.final_hash != self.hash {
            return Err(Problem::FinalHash);
        }
        match self.reader.next_line() {
            Ok(None) => Ok(()),
            Ok(Some(_)) => Err(Problem::AfterClose),
            Err(error) => Err(error.into()),
        }
    }
}

fn read_header<R: BufRead>(reader: &mut Reader<R>) -> Result<Header, Problem> {
    match reader.next_line()?.ok_or(Problem::Empty)? {
        Line::Header { header, .. } if header.format != FORMAT_VERSION => {
            Err(Problem::Format { found: header.format })
        }
        Line::Header { header, hash } if header.hash() != hash => Err(Problem::HeaderHash),
        Line::Header { header, .. } => Ok(header),
        Line::Record(_) | Line::Close { .. } => Err(Problem::NoHeader),
    }
}
