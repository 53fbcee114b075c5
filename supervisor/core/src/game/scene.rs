//! What a worker was at when it died. Reads only; asked before the death is taken in.

use super::Game;
use super::workers::{CallKind, Expect};
use crate::ids::{Payload, PlayerId, SessionId, WorkerId, kind};
use crate::session::journal::{Body, Record, TickRun};
use crate::session::{Flight, Session};
use crate::views::{CallView, Case, CaseTurn, Scene};

/// Turns of a case; with more there is none.
const CASE_TURNS_MAX: usize = 100_000;

impl Game {
    /// What this worker has not answered, and what it takes to run into the oldest of it again.
    pub fn scene(&self, worker: WorkerId) -> Option<Scene> {
        let calls = &self.workers.get(&worker)?.calls;
        let case = calls.front().and_then(|head| self.case(head.what));
        Some(Scene { calls: calls.iter().map(|call| view(call.what)).collect(), case })
    }

    fn case(&self, head: CallKind) -> Option<Case> {
        let session = self.sessions.get(&head.session()?)?;
        // Up to this turn; 0 for none: the restore itself.
        let last = match head {
            CallKind::Turn(_, seq) => seq,
            CallKind::Replay(_, Expect::Outcome { seq, .. } | Expect::Tick { seq, .. }) => seq,
            _ => 0,
        };
        let journal = &session.journal;
        let mut turns = Vec::new();
        for record in journal.records().iter().skip(journal.replay_from()) {
            if record.first_seq() > last || turns.len() > CASE_TURNS_MAX {
                break;
            }
            case_turns(session, record, last, &mut turns);
        }
        if let CallKind::Turn(..) = head {
            turns.extend(session.flights.iter().find(|flight| flight.seq == last).map(case_flight));
        }
        let snapshot = journal.newest().map(|snapshot| (snapshot.seq, snapshot.bytes.clone()));
        (turns.len() <= CASE_TURNS_MAX).then_some(Case { session: session.id, snapshot, turns })
    }
}

fn case_turns(session: &Session, record: &Record, last: u64, turns: &mut Vec<CaseTurn>) {
    match &record.body {
        Body::Poison(_) | Body::Skipped { .. } => {}
        Body::Turn(turn) => turns.push(CaseTurn {
            seq: turn.seq,
            kind: turn.kind,
            player: turn.player,
            now_ns: turn.now_ns,
            seed: turn.seed,
            payload: turn.payload.clone(),
            calls: turn.calls.clone(),
            outcome: Some(turn.outcome),
        }),
        Body::Ticks(run) => {
            let room = (CASE_TURNS_MAX + 1).saturating_sub(turns.len()) as u64;
            let count = run.count.min(last + 1 - run.first_seq).min(room);
            turns.extend((0..count).map(|tick| case_tick(session, run, tick)));
        }
    }
}

fn case_tick(session: &Session, run: &TickRun, tick: u64) -> CaseTurn {
    let seq = run.first_seq + tick;
    CaseTurn {
        seq,
        kind: kind::TICK,
        player: PlayerId::HOUSE,
        now_ns: run.first_now_ns + tick * run.period_ns,
        seed: session.chance.again(&run.mix, seq),
        payload: Payload::default(),
        calls: Vec::new(),
        outcome: None,
    }
}

fn case_flight(flight: &Flight) -> CaseTurn {
    CaseTurn {
        seq: flight.seq,
        kind: flight.kind,
        player: flight.player,
        now_ns: flight.now_ns,
        seed: flight.seed,
        payload: flight.payload.clone(),
        calls: flight.calls.clone(),
        outcome: None,
    }
}

fn view(what: CallKind) -> CallView {
    let (word, seq): (_, Option<u64>) = match what {
        CallKind::Init => ("init", None),
        CallKind::Suspend => ("suspend", None),
        CallKind::Resume => ("resume", None),
        CallKind::Shutdown => ("shutdown", None),
        CallKind::Drop => ("drop", None),
        CallKind::Ping => ("ping", None),
        CallKind::Restore(_) => ("restore", None),
        CallKind::Replay(_, Expect::Outcome { seq, .. } | Expect::Tick { seq, .. }) => ("replay", Some(seq)),
        CallKind::Turn(_, seq) => ("turn", Some(seq)),
        CallKind::Verify(_, seq) => ("try-snapshot", Some(seq)),
    };
    let session: Option<SessionId> = what.session();
    CallView { what: word, session, seq }
}
