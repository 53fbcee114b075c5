//! Runs of ticks are the same turns in fewer lines; a recording can be put away and taken up again; a replay gets every turn's seed.

use std::convert::Infallible;
use std::io::Cursor;

use croupier_fair::chain::{Chain, OutcomeChain, Record, TICK_RUN_MAX, outcome_sha256};
use croupier_fair::entry::{Entry, Verdict};
use croupier_fair::replay::{Given, Step, VerifyWithError, verify_with};
use croupier_fair::seed::{Mix, turn_seed};
use croupier_fair::transcript::{Reveal, TranscriptWriter};
use croupier_fair::verify::{Verified, VerifyOptions};
use proptest::prelude::*;

use crate::support::*;

fn steps(file: &[u8], options: &VerifyOptions) -> (Verified, Vec<Step>) {
    let mut steps = Vec::new();
    let verified = verify_with(Cursor::new(file), options, |step| {
        steps.push(step.clone());
        Ok::<(), Infallible>(())
    })
    .expect("nothing is wrong with it");
    (verified, steps)
}

/// What every played turn was given, computed turn by turn from the rules alone.
fn given(entries: &[Entry]) -> Vec<Given> {
    let mut mix = Mix::start(&seed().commit(SESSION));
    let mut given = Vec::new();
    for entry in entries {
        mix = mix.add(entry.seq, entry.player, &entry.client_seed);
        if matches!(entry.verdict, Verdict::Done { .. } | Verdict::Failed { .. }) {
            given.push(Given {
                seq: entry.seq,
                now_ns: entry.now_ns,
                seed: turn_seed(&seed(), SESSION, &mix, entry.seq),
            });
        }
    }
    given
}

proptest! {
    #[test]
    fn compressed_ticks_are_the_same_turns(entries in any_session()) {
        let file = transcript(header(), &entries, Reveal::Public(seed()));
        let (_, steps) = steps(&file, &VerifyOptions::default());
        let found: Vec<Given> = steps.iter().flat_map(|step| step.turns().collect::<Vec<_>>()).collect();
        prop_assert_eq!(found, given(&entries));
        let mut rest = entries.as_slice();
        for step in &steps {
            let (these, after) = match &step.record {
                Record::Turn(entry) => {
                    prop_assert_eq!(entry, &rest[0]);
                    rest.split_at(1)
                }
                Record::Ticks(run) => rest.split_at(run.count as usize),
            };
            let mut comparison = step.compare();
            let mut other = step.compare();
            for entry in these.iter().filter(|_| step.turns().next().is_some()) {
                comparison.add(&entry.verdict);
                other.add(&done("something else"));
            }
            prop_assert!(comparison.finish().is_ok());
            prop_assert_eq!(other.finish().is_ok(), step.turns().next().is_none());
            rest = after;
        }
        prop_assert!(rest.is_empty());
    }

    #[test]
    fn no_two_neighbouring_runs_could_have_been_one(entries in any_session()) {
        let (_, steps) = steps(&transcript(header(), &entries, Reveal::Public(seed())), &VerifyOptions::default());
        for pair in steps.windows(2) {
            if let (Record::Ticks(first), Record::Ticks(second)) = (&pair[0].record, &pair[1].record) {
                prop_assert_ne!(first.last().unwrap().1 + PERIOD_NS, second.first_now_ns);
            }
        }
    }

    #[test]
    fn a_recording_taken_up_again_writes_the_same(entries in any_session(), at: prop::sample::Index) {
        let at = at.index(entries.len());
        let (mut writer, mut file) = TranscriptWriter::new(header());
        for (i, entry) in entries.iter().enumerate() {
            if i == at {
                let kept = serde_json::to_vec(&writer).unwrap();
                writer = serde_json::from_slice(&kept).unwrap();
            }
            file.extend(writer.push(entry));
        }
        file.extend(writer.finish("closed", Reveal::Public(seed()), &server()).unwrap());
        prop_assert_eq!(file, transcript(header(), &entries, Reveal::Public(seed())));
    }

    #[test]
    fn a_run_flushed_early_still_verifies(entries in any_session(), at: prop::sample::Index) {
        let at = at.index(entries.len());
        let (mut writer, mut file) = TranscriptWriter::new(header());
        for (i, entry) in entries.iter().enumerate() {
            file.extend(writer.push(entry));
            if i == at {
                file.extend(writer.flush());
            }
        }
        file.extend(writer.finish("closed", Reveal::Public(seed()), &server()).unwrap());
        let (_, steps) = steps(&file, &VerifyOptions::default());
        let found: Vec<Given> = steps.iter().flat_map(|step| step.turns().collect::<Vec<_>>()).collect();
        prop_assert_eq!(found, given(&entries));
    }
}

#[test]
fn a_run_ends_at_its_bound() {
    let mut chain = Chain::new(&header());
    assert_eq!(chain.push(&turn(1, OPEN, 0, OPENED_NS, b"", done(""))).len(), 1);
    let tick = |i: u64| turn(2 + i, TICK, 0, OPENED_NS + i * PERIOD_NS, b"", done("same"));
    for i in 0..TICK_RUN_MAX {
        assert!(chain.push(&tick(i)).is_empty(), "tick {i} ended the run");
    }
    let ended = chain.push(&tick(TICK_RUN_MAX));
    let [Record::Ticks(run)] = &ended.iter().map(|linked| linked.record.clone()).collect::<Vec<_>>()[..]
    else {
        panic!("expected one run, got {ended:?}");
    };
    assert_eq!((run.first_seq, run.count), (2, TICK_RUN_MAX));
    let mut outcomes = OutcomeChain::new();
    (0..TICK_RUN_MAX).for_each(|_| outcomes.add(&outcome_sha256(&done("same"))));
    assert_eq!(run.outcomes, outcomes.value());
    assert_eq!(chain.turns(), TICK_RUN_MAX + 2);
}

#[test]
fn the_auditor_replays_what_others_cannot() {
    let file = transcript(header(), &everything(), sealed());
    assert!(steps(&file, &VerifyOptions::default()).1.is_empty());
    let options = VerifyOptions { auditor_secret: Some(auditor()), ..VerifyOptions::default() };
    let (_, steps) = steps(&file, &options);
    let found: Vec<Given> = steps.iter().flat_map(|step| step.turns().collect::<Vec<_>>()).collect();
    assert_eq!(found, given(&everything()));
}

#[test]
fn a_refused_step_names_its_line() {
    let file = transcript(header(), &everything(), Reveal::Public(seed()));
    let error = verify_with(Cursor::new(&file), &VerifyOptions::default(), |step| match &step.record {
        Record::Ticks(_) => Err("differs"),
        Record::Turn(_) => Ok(()),
    })
    .expect_err("the first run of ticks is refused");
    assert!(matches!(error, VerifyWithError::Step { line: 6, error: "differs" }), "{error}");
}
