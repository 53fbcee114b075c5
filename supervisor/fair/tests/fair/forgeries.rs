//! Transcripts that a dishonest server could write itself, with a chain and a signature that hold: each is found, by line and by name.

use std::io::Cursor;

use croupier_fair::chain::{Header, Linked, Record, TickRun, link};
use croupier_fair::entry::{Entry, Verdict};
use croupier_fair::keys::ServerKey;
use croupier_fair::line::{Line, parse, render};
use croupier_fair::problem::Problem;
use croupier_fair::reader::ReadError;
use croupier_fair::report::{CheckVerdict, Part};
use croupier_fair::seal::AuditorSecret;
use croupier_fair::seed::ServerSeed;
use croupier_fair::transcript::{Reveal, TranscriptWriter};
use croupier_fair::verify::{VerifyError, VerifyOptions, verify};

use crate::support::*;

fn refused(file: &[u8], options: &VerifyOptions) -> VerifyError {
    let error = verify(Cursor::new(file), options).expect_err("it is forged");
    let part = error.problem.part();
    assert_eq!(error.report.check(part).verdict, CheckVerdict::Failed, "{error}");
    assert!(!error.report.nothing_failed());
    error
}

/// Writes the turns as a server would and names what is found: line and problem.
macro_rules! found {
    ($entries:expr, $line:expr, $problem:pat) => {
        let error =
            refused(&transcript(header(), &$entries, Reveal::Public(seed())), &VerifyOptions::default());
        assert!(matches!(error.problem, $problem), "{error:?}");
        assert_eq!(error.line, $line, "{error}");
    };
}

fn opened(more: impl IntoIterator<Item = Entry>) -> Vec<Entry> {
    let mut entries = vec![turn(1, OPEN, 0, OPENED_NS, b"{}", done("{}"))];
    entries.extend(more);
    entries
}

fn act(seq: u64, now_ns: u64) -> Entry {
    turn(seq, ACTION, 1, now_ns, b"", done(""))
}

#[test]
fn turns_in_an_impossible_order_are_found() {
    let now = OPENED_NS;
    found!(opened([act(3, now)]), 3, Problem::OutOfOrder { expected: 2, found: 3 });
    found!(opened([act(2, now), act(2, now)]), 4, Problem::OutOfOrder { expected: 3, found: 2 });
    found!([act(1, now)], 2, Problem::FirstNotOpen);
    found!([turn(1, TICK, 0, now, b"", done(""))], 2, Problem::FirstNotOpen);
    found!(opened([turn(2, OPEN, 0, now, b"", done(""))]), 3, Problem::SecondOpen);
    found!(opened([turn(2, CLOSE, 0, now, b"", done("")), act(3, now)]), 4, Problem::AfterEnd);
    found!([turn(1, OPEN, 0, now, b"", Verdict::Poison), act(2, now)], 3, Problem::AfterEnd);
    found!(opened([act(2, now - 1)]), 3, Problem::TimeBackwards { .. });
    found!([turn(1, OPEN, 0, now - 1, b"", done(""))], 2, Problem::TimeBackwards { .. });
}

#[test]
fn a_close_that_the_plugin_refused_does_not_end_the_session() {
    let refusal = Verdict::Failed { status: -1, text: "not yet".to_owned() };
    let entries = opened([turn(2, CLOSE, 0, OPENED_NS, b"", refusal), act(3, OPENED_NS)]);
    check(&transcript(header(), &entries, Reveal::Public(seed()))).expect("it may go on");
}

#[test]
fn contributions_out_of_place_are_found() {
    let with = |mut entry: Entry, bytes: usize| {
        entry.client_seed = vec![7; bytes].into();
        entry
    };
    let join = || turn(2, JOIN, 1, OPENED_NS, b"", done(""));
    check(&transcript(header(), &opened([with(join(), 64)]), Reveal::Public(seed())))
        .expect("64 bytes are allowed");
    found!(opened([with(join(), 65)]), 3, Problem::ClientSeedTooLong { bytes: 65 });
    found!(opened([with(act(2, OPENED_NS), 1)]), 3, Problem::ClientSeedOutsideJoin);
}

/// A transcript whose second record is this run.
fn with_run(run: TickRun) -> Vec<u8> {
    let (_, mut file) = TranscriptWriter::new(header());
    let open = Record::Turn(opened([]).remove(0));
    let first = link(&header().hash(), &open);
    file.extend(render(&Line::Record(Linked { record: open, hash: first })));
    let record = Record::Ticks(run);
    let hash = link(&first, &record);
    file.extend(render(&Line::Record(Linked { record, hash })));
    file
}

#[test]
fn impossible_runs_of_ticks_are_found() {
    let run =
        TickRun { first_seq: 2, count: 3, first_now_ns: OPENED_NS, period_ns: PERIOD_NS, outcomes: [0; 32] };
    let problem = |run: TickRun| {
        let error = refused(&with_run(run), &VerifyOptions::default());
        assert_eq!(error.line, 3, "{error}");
        error.problem
    };
    assert!(matches!(problem(run.clone()), Problem::NoClose), "the run itself is fine");
    assert!(matches!(problem(TickRun { count: 0, ..run.clone() }), Problem::RunLength { count: 0 }));
    assert!(matches!(problem(TickRun { count: 1_000_001, ..run.clone() }), Problem::RunLength { .. }));
    assert!(matches!(problem(TickRun { period_ns: 1, ..run.clone() }), Problem::RunPeriod { found: 1, .. }));
    assert!(matches!(problem(TickRun { first_now_ns: u64::MAX, ..run.clone() }), Problem::Overflow));
    assert!(matches!(
        problem(TickRun { first_seq: 1, ..run.clone() }),
        Problem::OutOfOrder { expected: 2, found: 1 }
    ));
    assert!(matches!(problem(TickRun { first_now_ns: 0, ..run }), Problem::TimeBackwards { .. }));
}

#[test]
fn an_exchanged_seed_is_found() {
    let other = ServerSeed::from_bytes([9; 32]);
    let error = refused(
        &transcript(header(), &everything(), Reveal::Public(other.clone())),
        &VerifyOptions::default(),
    );
    assert!(matches!(error.problem, Problem::Commit { .. }), "{error}");

    let auditor_public = auditor().public();
    let sealed = Reveal::Sealed { sealed: auditor_public.seal(&other, [1; 32]), auditor: auditor_public };
    let options = VerifyOptions { auditor_secret: Some(auditor()), ..VerifyOptions::default() };
    let error = refused(&transcript(header(), &everything(), sealed), &options);
    assert!(matches!(error.problem, Problem::Commit { .. }), "{error}");
}

#[test]
fn a_seal_for_nobody_is_found() {
    let auditor_public = auditor().public();
    let broken = Reveal::Sealed { sealed: vec![0; 80], auditor: auditor_public };
    let file = transcript(header(), &everything(), broken);
    let options = VerifyOptions { auditor_secret: Some(auditor()), ..VerifyOptions::default() };
    assert!(matches!(refused(&file, &options).problem, Problem::Seal(_)));
    let options = VerifyOptions { auditor_secret: Some(AuditorSecret::from_bytes([5; 32])), ..options };
    assert!(matches!(refused(&file, &options).problem, Problem::OtherAuditor { .. }));
}

#[test]
fn another_key_or_commitment_than_published_is_found() {
    let file = transcript(header(), &everything(), Reveal::Public(seed()));
    let other = ServerKey::from_bytes(&[1; 32]).public();
    let options = VerifyOptions { expected_server_key: Some(other), ..VerifyOptions::default() };
    let error = refused(&file, &options);
    assert!(matches!(error.problem, Problem::UnexpectedServerKey { .. }) && error.line == 1, "{error}");
    let options = VerifyOptions { expected_commit: Some([1; 32]), ..VerifyOptions::default() };
    let error = refused(&file, &options);
    assert!(matches!(error.problem, Problem::UnexpectedCommit { .. }) && error.line == 1, "{error}");
}

/// The transcript with its last line changed by `edit`, and the old signature.
fn reclosed(edit: impl FnOnce(&mut croupier_fair::transcript::Close)) -> Vec<u8> {
    let file = transcript(header(), &everything(), Reveal::Public(seed()));
    let start = file[..file.len() - 1].iter().rposition(|&byte| byte == b'\n').expect("there are lines") + 1;
    let Ok(Line::Close { mut close, signature }) = parse(&file[start..file.len() - 1]) else {
        panic!("the last line is the close");
    };
    edit(&mut close);
    let mut forged = file[..start].to_vec();
    forged.extend(render(&Line::Close { close, signature }));
    forged
}

#[test]
fn a_closing_line_that_lies_is_found() {
    let options = VerifyOptions::default();
    let problem =
        |edit: fn(&mut croupier_fair::transcript::Close)| refused(&reclosed(edit), &options).problem;
    assert!(matches!(
        problem(|close| close.turns += 1),
        Problem::Count { what: "turns", stated: 16, found: 15 }
    ));
    assert!(matches!(problem(|close| close.records = 0), Problem::Count { what: "records", stated: 0, .. }));
    assert!(matches!(problem(|close| close.final_hash[0] ^= 1), Problem::FinalHash));
    assert!(matches!(problem(|close| close.reason = "idle".to_owned()), Problem::Signature));
    assert!(matches!(problem(|close| close.reveal = Reveal::Withheld), Problem::Signature));
    assert!(matches!(problem(|close| close.server_key.0 = [3; 32]), Problem::OtherKey { .. }));
}

#[test]
fn what_is_no_transcript_is_refused_by_name() {
    let problem = |file: &[u8]| {
        let error = refused(file, &VerifyOptions::default());
        assert_eq!(error.line, 1, "{error}");
        error.problem
    };
    assert!(matches!(problem(b""), Problem::Empty));
    assert!(matches!(problem(b"hello\n"), Problem::Read(ReadError::Malformed(_))));
    assert!(matches!(problem(b"{}\n"), Problem::Read(ReadError::Malformed(_))));
    assert!(matches!(problem(b"{\"header\":{}"), Problem::Read(ReadError::CutShort)));
    let (_, first) = TranscriptWriter::new(header());
    assert!(matches!(problem(&first), Problem::NoClose));
    let (_, newer) = TranscriptWriter::new(Header { format: 2, ..header() });
    assert!(matches!(problem(&newer), Problem::Format { found: 2 }));
    let spaced = [b" ", first.as_slice()].concat();
    assert!(matches!(problem(&spaced), Problem::Read(ReadError::NotCanonical)));
    let options = VerifyOptions { line_bytes_max: first.len() as u64 - 1, ..VerifyOptions::default() };
    assert!(matches!(refused(&first, &options).problem, Problem::Read(ReadError::TooLong { .. })));

    let whole = transcript(header(), &everything(), Reveal::Public(seed()));
    let headless: Vec<u8> = whole[first.len()..].to_vec();
    assert!(matches!(problem(&headless), Problem::NoHeader));
    let twice = [first.as_slice(), whole.as_slice()].concat();
    let error = refused(&twice, &VerifyOptions::default());
    assert!(matches!(error.problem, Problem::SecondHeader) && error.line == 2, "{error}");
    let longer = [whole.as_slice(), first.as_slice()].concat();
    assert!(matches!(refused(&longer, &VerifyOptions::default()).problem, Problem::AfterClose));
}

#[test]
fn a_failed_verification_still_lists_every_check() {
    let error = refused(
        &transcript(header(), &opened([act(3, OPENED_NS)]), Reveal::Public(seed())),
        &VerifyOptions::default(),
    );
    assert_eq!(error.report.check(Part::Order).verdict, CheckVerdict::Failed);
    assert_eq!(error.report.check(Part::Signature).verdict, CheckVerdict::NotChecked);
    assert_eq!(error.report.counts.records, 1);
    assert!(error.to_string().starts_with("line 3: turn 3 stands where turn 2 is due"), "{error}");
}
