//! Does the chain hold? Reads the files as they lie there, without changing them.
//!
//! Found: every edited, dropped, added or swapped record, every torn one, every missing file. Not found without a head noted
//! elsewhere: records missing at the very end, and a chain that was written anew from some record on to its end.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use super::chain::{self, Hash, LINE_BYTES_MAX, Line, LineProblem};
use super::files;
use super::log::Tip;
use super::record::Happened;

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// The line in it, from 1; 0 when it is about the file as a whole.
    pub line: u64,
    /// The number of the record that should stand there.
    pub seq: u64,
    /// What is wrong.
    pub why: Why,
}

/// What can be wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// With one line.
    Line(LineProblem),
    /// Files before this one are missing, and the log does not say that they were deleted.
    Missing,
    /// The file's name promises another first record.
    Name,
    /// It is not the head that was noted.
    Head(String),
}

impl Problem {
    /// Whether it is just a record that was not written whole, at the end of its file.
    pub fn is_torn_tail(&self) -> bool {
        self.why == Why::Line(LineProblem::Torn)
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ", line {} (record {})", self.line, self.seq)?;
        }
        match &self.why {
            Why::Line(problem) => write!(f, ": {problem}"),
            Why::Missing => {
                write!(
                    f,
                    ": records before {} are missing, and the log does not say that they were deleted",
                    self.seq
                )
            }
            Why::Name => write!(f, ": its name does not fit its first record, {}", self.seq),
            Why::Head(why) => write!(f, ": {why}"),
        }
    }
}

/// What one file holds, up to the first problem.
#[derive(Debug, Default)]
pub struct FileCheck {
    /// The first record's `prev`.
    pub first_prev: Option<String>,
    /// The last good record.
    pub last: Option<Tip>,
    /// Good records.
    pub records: u64,
    /// Bytes of good records.
    pub bytes: u64,
    /// Bytes of a torn record at the end.
    pub torn: u64,
    /// What says that older files were deleted, the newest such record.
    pub pruned: Option<(u64, String)>,
    /// The first problem.
    pub problem: Option<Problem>,
}

/// Checks one file whose first record must have this number and, when it is known, this predecessor.
///
/// # Errors
/// When it cannot be read.
pub fn check_file(path: &Path, first_seq: u64, prev: Option<Hash>) -> io::Result<FileCheck> {
    let mut check = FileCheck::default();
    let each = |_: &Line| {};
    walk(path, first_seq, prev, &mut check, each)?;
    Ok(check)
}

/// As [`check_file`], and gives every good line to `each`.
pub(super) fn walk(
    path: &Path,
    first_seq: u64,
    prev: Option<Hash>,
    check: &mut FileCheck,
    mut each: impl FnMut(&Line),
) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(1 << 18, File::open(path)?);
    let (mut seq, mut prev, mut bytes) = (first_seq, prev, Vec::new());
    loop {
        bytes.clear();
        reader.by_ref().take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut bytes)?;
        if bytes.is_empty() {
            return Ok(());
        }
        let whole = bytes.len() < LINE_BYTES_MAX || bytes.ends_with(b"\n");
        let too_long = || LineProblem::Malformed(format!("it is longer than {LINE_BYTES_MAX} bytes"));
        let read = if whole { chain::read(&bytes) } else { Err(too_long()) };
        let read = read.and_then(|(line, hash)| {
            chain::follows(
                &line,
                seq,
                prev.unwrap_or_else(|| Hash::from_hex(&line.prev).unwrap_or(Hash([0; 32]))),
            )?;
            Ok((line, hash))
        });
        let (line, hash) = match read {
            Ok(read) => read,
            Err(problem) => {
                if problem == LineProblem::Torn {
                    check.torn = bytes.len() as u64;
                }
                let line = check.records + 1;
                check.problem = Some(Problem { file: path.to_owned(), line, seq, why: Why::Line(problem) });
                return Ok(());
            }
        };
        check.first_prev.get_or_insert_with(|| line.prev.clone());
        if let Some(Happened::Pruned { through_seq, through_hash }) = line.happened() {
            check.pruned = Some((through_seq, through_hash));
        }
        each(&line);
        check.records += 1;
        check.bytes += bytes.len() as u64;
        check.last = Some(Tip { seq, hash });
        (seq, prev) = (seq + 1, Some(hash));
    }
}

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Files.
    pub files: u64,
    /// Good records, up to the first problem.
    pub records: u64,
    /// The number of the first one; 1 unless older ones were deleted.
    pub first_seq: u64,
    /// The newest good record; number 0 when there is none.
    pub head: Tip,
    /// The first problem.
    pub problem: Option<Problem>,
}

/// Verifies a whole log.
///
/// # Errors
/// When it cannot be read.
pub fn verify(dir: &Path) -> io::Result<Report> {
    verify_each(dir, |_| {})
}

/// As [`verify`], and gives every good line to `each`, up to the first problem.
///
/// # Errors
/// When it cannot be read.
pub fn verify_each(dir: &Path, mut each: impl FnMut(&Line)) -> io::Result<Report> {
    let all = files(dir)?;
    let first_seq = all.first().map_or(1, |(first, _)| *first);
    let start = Tip { seq: first_seq.saturating_sub(1), hash: Hash::genesis() };
    let mut report = Report { files: all.len() as u64, records: 0, first_seq, head: start, problem: None };
    let mut begins = None;
    let mut pruned = None;
    let mut prev = (first_seq == 1).then(Hash::genesis);
    for (named, path) in &all {
        let next = report.head.seq + 1;
        if *named != next {
            let why = if *named > next { Why::Missing } else { Why::Name };
            report.problem = Some(Problem { file: path.clone(), line: 0, seq: *named, why });
            return Ok(report);
        }
        let mut check = FileCheck::default();
        walk(path, next, prev, &mut check, &mut each)?;
        begins = begins.or_else(|| check.first_prev.clone().map(|prev| (path.clone(), prev)));
        pruned = check.pruned.or(pruned);
        report.records += check.records;
        report.head = check.last.unwrap_or(report.head);
        prev = check.last.map(|last| last.hash).or(prev);
        if check.problem.is_some() {
            report.problem = check.problem;
            return Ok(report);
        }
    }
    if let (Some((file, prev)), true) = (begins, first_seq > 1)
        && pruned != Some((first_seq - 1, prev))
    {
        report.problem = Some(Problem { file, line: 0, seq: first_seq, why: Why::Missing });
    }
    Ok(report)
}

/// Whether the log still holds the record that was noted as its head. Gives the problem, if there is one.
///
/// # Errors
/// When it cannot be read.
pub fn check_head(dir: &Path, noted: Tip) -> io::Result<Option<Problem>> {
    let mut next_prev = None;
    let report = verify_each(dir, |line| {
        if line.seq == noted.seq + 1 {
            next_prev = Some(line.prev.clone());
        }
    })?;
    let held = if report.head.seq == noted.seq {
        Some(report.head.hash == noted.hash)
    } else {
        next_prev.map(|prev| prev == noted.hash.to_string())
    };
    let why = match held {
        Some(true) => return Ok(None),
        Some(false) => {
            format!("record {} is not the one that was noted: the chain was written anew", noted.seq)
        }
        None => format!(
            "it ends at record {}: records up to {}, which was noted, are missing",
            report.head.seq, noted.seq
        ),
    };
    Ok(Some(Problem { file: dir.to_owned(), line: 0, seq: noted.seq, why: Why::Head(why) }))
}
