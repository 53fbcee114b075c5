//! A session's journal as it lies on the disk while no supervisor runs, and back.

use std::sync::Arc;

use croupier_fair::seed::Mix;

use super::adopt::record;
use super::journal::{Body, Journal, RECORD_VERSION, Record, Snapshot, TickRun, TurnRecord};
use crate::durable::{OnRecord, Recorded, Shot, Turn};
use crate::ids::Payload;

/// What is written.
pub(crate) fn out(journal: &Journal) -> ([Option<Shot>; 2], Vec<OnRecord>) {
    let shots = [journal.previous().map(shot), journal.newest().map(shot)];
    (shots, journal.records().iter().map(on_record).collect())
}

/// What was written.
pub(crate) fn back(shots: [Option<Shot>; 2], records: Vec<OnRecord>) -> Journal {
    let [previous, newest] = shots.map(|shot| shot.map(snapshot));
    Journal::restore(previous, newest, records.into_iter().map(from_record).collect())
}

fn shot(snapshot: &Snapshot) -> Shot {
    let Snapshot { seq, bytes, state_version, digest } = snapshot;
    Shot { seq: *seq, bytes: bytes.clone(), state_version: *state_version, digest: **digest }
}

fn snapshot(shot: Shot) -> Snapshot {
    let Shot { seq, bytes, state_version, digest } = shot;
    Snapshot { seq, bytes, state_version, digest: Arc::new(digest) }
}

fn on_record(record: &Record) -> OnRecord {
    let what = match &record.body {
        Body::Turn(of) => Recorded::Turn(turn(of), of.outcome),
        Body::Poison(of) => Recorded::Poison(turn(of)),
        Body::Ticks(run) => Recorded::Ticks {
            first_seq: run.first_seq,
            count: run.count,
            first_now_ns: run.first_now_ns,
            period_ns: run.period_ns,
            mix: run.mix.0,
            outcome: run.outcome,
        },
        Body::Skipped { seq, now_ns, ticks } => {
            Recorded::Skipped { seq: *seq, now_ns: *now_ns, ticks: *ticks }
        }
    };
    OnRecord { digest: *record.digest, epoch: record.epoch, what }
}

/// A contribution to chance has been made, and what it was made to is not needed to play the turn again.
fn turn(of: &TurnRecord) -> Turn {
    Turn {
        seq: of.seq,
        kind: of.kind,
        player: of.player.0,
        now_ns: of.now_ns,
        seed: of.seed,
        payload: of.payload.clone(),
        client_seed: Payload::default(),
        mix: [0; 32],
        calls: of.calls.iter().map(|call| (call.asked, call.status, call.answer.clone())).collect(),
    }
}

fn from_record(on: OnRecord) -> Record {
    let body = match on.what {
        Recorded::Turn(turn, outcome) => Body::Turn(record(turn, outcome)),
        Recorded::Poison(turn) => Body::Poison(record(turn, 0)),
        Recorded::Ticks { first_seq, count, first_now_ns, period_ns, mix, outcome } => {
            Body::Ticks(TickRun { first_seq, count, first_now_ns, period_ns, mix: Mix(mix), outcome })
        }
        Recorded::Skipped { seq, now_ns, ticks } => Body::Skipped { seq, now_ns, ticks },
    };
    Record { version: RECORD_VERSION, digest: Arc::new(on.digest), epoch: on.epoch, body }
}
