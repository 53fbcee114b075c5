//! How much a game holds in memory, counted: all that could pile up. Reads only.

use std::mem::size_of;

use super::Game;
use crate::session::journal::{Body, Record, Snapshot};
use crate::session::{Flight, Session};
use crate::views::Holds;

impl Game {
    /// Counts everything that could pile up. Takes as long as there is much of it.
    pub fn holds(&self) -> Holds {
        let mut holds = Holds {
            workers: self.workers.len(),
            calls: self.workers.values().map(|slot| slot.calls.len()).sum(),
            alarms: self.timers.len(),
            kept_back: self.gate.len(),
            listed: self.workers.values().map(|slot| slot.ready.len()).sum::<usize>()
                + self.placing.len()
                + self.waiting.len()
                + self.suspects.len()
                + self.outcasts.len(),
            ended: self.ended.len(),
            bytes: self.ended.bytes(),
            ..Holds::default()
        };
        self.sessions.values().for_each(|session| count(session, &mut holds));
        holds
    }
}

fn count(session: &Session, holds: &mut Holds) {
    holds.sessions += 1;
    holds.queued += session.queue.len();
    holds.flights += session.flights.len();
    holds.records += session.journal.records().len();
    holds.outputs += session.outputs.kept().count();
    holds.answers += session.keys.answers().count();
    holds.clients += session.keys.clients().count();
    holds.waiting += session.keys.waiting();
    holds.seats += session.seats.len();
    let snapshots = [session.journal.previous(), session.journal.newest()];
    let snapshots: usize = snapshots.into_iter().flatten().map(snapshot_bytes).sum();
    let records: usize = session.journal.records().iter().map(record_bytes).sum();
    holds.bytes += size_of::<Session>()
        + snapshots
        + records
        + session.flights.len() * size_of::<Flight>()
        + session.keys.bytes()
        + session.outputs.bytes();
}

fn snapshot_bytes(snapshot: &Snapshot) -> usize {
    size_of::<Snapshot>() + snapshot.bytes.len()
}

fn record_bytes(record: &Record) -> usize {
    size_of::<Record>()
        + match &record.body {
            Body::Turn(turn) | Body::Poison(turn) => {
                turn.payload.len() + turn.calls.iter().map(|call| 32 + call.answer.len()).sum::<usize>()
            }
            Body::Ticks(_) | Body::Skipped { .. } => 0,
        }
}
