//! A session from what the disk has of it: the changes since it was opened, folded in order.
//!
//! Whatever had a number and no outcome is not there, and never was for anybody: nothing of it was let out. The one exception are turns that
//! asked the platform: they keep their number, time and seed, and go on asking under the same name.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use croupier_fair::entry::Effect;
use croupier_fair::seed::{Mix, ServerSeed};

use super::chance::Chance;
use super::journal::{Body, Journal, Newest, RECORD_VERSION, Record, Snapshot, TickRun, TurnRecord};
use super::keys::{Keys, Outcome};
use super::outputs::Outputs;
use super::queue::Queue;
use super::recorded::Recorded;
use super::ticker::Ticker;
use super::{Flight, Home, Phase, Session, Shelf, Trouble};
use crate::action::{CallRecord, Done, EndReason};
use crate::durable::{self, Change, Kept, KeyOnRecord, Opened, Played, Verdict};
use crate::ids::{ClientId, Now, PlayerId, SessionId, kind};
use crate::line::Line;
use crate::planted::{self, Bug};
use crate::refusal::Refusal;

/// What came of folding.
pub(crate) enum Adopted {
    /// It goes on.
    Session(Box<Session>),
    /// Nobody was ever told that it is open.
    NeverOpen(Box<Session>),
    /// Its last turn is on the disk, and that it ended with it is not.
    Over(Box<Session>),
    /// It has ended; its answers are remembered.
    Ended(Box<durable::Ended>, Box<Keys>),
}

/// What does not change while folding.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) now: Now,
    pub(crate) outputs_kept: usize,
}

/// Folds a session.
///
/// # Errors
/// What makes no sense about it.
pub(crate) fn adopt(
    id: SessionId,
    changes: Vec<(u64, Change)>,
    bounds: Bounds,
) -> Result<Adopted, &'static str> {
    let mut changes = changes.into_iter();
    let first = changes.next().ok_or("nothing is there")?;
    let (at, opened) = match first {
        (at, Change::Opened(opened)) => (at, opened),
        (_, Change::Ended(ended)) => return Ok(gone(ended, bounds.now)),
        _ => return Err("it does not begin with its opening"),
    };
    let mut session = begin(id, at, &opened, bounds.now);
    let (mut over, mut parked) = (false, false);
    for (at, change) in changes {
        if let Change::Ended(ended) = change {
            return Ok(gone(ended, bounds.now));
        }
        if let Some(shelf) = &mut session.shelf {
            shelf.newest_at = at;
        }
        match &change {
            Change::Played(played) => over = ends(played),
            Change::Parked(_) => parked = true,
            _ => {}
        }
        fold(&mut session, at, change, bounds)?;
    }
    // Nothing, or what was written ahead of a session that was to be parked.
    let begins = session.flights.front().is_some_and(|flight| flight.seq == 1);
    if session.journal.is_empty() && !begins {
        return Ok(Adopted::NeverOpen(Box::new(session)));
    }
    session.settle();
    if !session.journal.is_empty() && !session.journal.has_base(Newest::Counts) {
        session.phase = Phase::Held("nothing is left that it could be restored from".to_owned());
    }
    if parked {
        // It was in memory alone, and is again.
        session.shelf = None;
    }
    if over {
        return Ok(Adopted::Over(Box::new(session)));
    }
    Ok(Adopted::Session(Box::new(session)))
}

fn gone(ended: Box<durable::Ended>, now: Now) -> Adopted {
    let mut keys = Keys::default();
    ended.answers.iter().for_each(|answer| remember(&mut keys, answer, now));
    Adopted::Ended(ended, Box::new(keys))
}

fn begin(id: SessionId, at: u64, opened: &Opened, now: Now) -> Session {
    let seed = ServerSeed::from_bytes(opened.seed);
    let commit = seed.commit(id.0);
    let mix = Mix::start(&commit);
    Session {
        id,
        phase: Phase::Opening,
        home: Home::None,
        epoch: 0,
        opened_ns: opened.opened_ns,
        chance: Chance::new(&seed, id),
        seed,
        commit,
        open_request: None,
        mix,
        seats: BTreeMap::new(),
        queue: Queue::default(),
        queue_max: opened.queue_max,
        flights: Line::default(),
        skips: VecDeque::new(),
        last_seq: 0,
        last_now_ns: opened.opened_ns,
        journal: Journal::default(),
        recorded: Recorded::new(opened.opened_ns, mix),
        shelf: Some(Shelf { opened_at: at, newest_at: at, ..Shelf::default() }),
        keys: Keys::default(),
        outputs: Outputs::default(),
        ticker: Ticker::new(opened.opened_ns, opened.tick_ns),
        tick_armed_ns: None,
        idle_ns: opened.idle_ns,
        last_outside_mono_ns: now.mono_ns,
        snapshot_mono_ns: now.mono_ns,
        snapshot_asked: None,
        moving: None,
        snapshot_missed: (0, 0),
        poison: 0,
        trouble: Trouble::default(),
        listed: Default::default(),
        is_waiting: false,
        lost_mono_ns: Some(now.mono_ns),
    }
}

/// Whether a session ends with this turn.
fn ends(played: &Played) -> bool {
    match played.turn.kind {
        kind::CLOSE => !matches!(played.verdict, Verdict::Poison),
        kind::OPEN => !matches!(played.verdict, Verdict::Done { .. }),
        _ => false,
    }
}

fn fold(session: &mut Session, at: u64, change: Change, bounds: Bounds) -> Result<(), &'static str> {
    match change {
        Change::Opened(_) => return Err("it is opened twice"),
        Change::Played(played) => play(session, *played, bounds)?,
        Change::Asking(asking) => ask(session, *asking, bounds.now),
        Change::Snapshot(kept) => take_snapshot(session, at, *kept, bounds),
        Change::SnapshotDropped => {
            session.journal.drop_newest();
            session.shelf = session.shelf.map(Shelf::drop_newest);
        }
        Change::Pruned { .. } => {}
        Change::Held { reason } => session.phase = Phase::Held(reason),
        Change::Ended(_) => {}
        Change::Parked(parked) => {
            if session.recorded.last_seq > 0 {
                return Err("it was parked after it had been written down");
            }
            session.journal = super::parked::back(parked.snapshots, parked.records);
            session.phase = Phase::Live;
            let key = |flight: &Flight| flight.key.and_then(|key| Some((key, session.keys.body(key)?)));
            let running: Vec<_> = session.flights.iter().filter_map(key).collect();
            take_side(session, parked.side, bounds);
            for (key, body) in running {
                session.keys.resume(key, body, bounds.now.mono_ns);
            }
        }
    }
    Ok(())
}

fn play(session: &mut Session, played: Played, bounds: Bounds) -> Result<(), &'static str> {
    let Played { digest, epoch, turn, key, verdict, outputs } = played;
    if turn.seq != session.recorded.last_seq + 1 {
        return Err("a turn is missing");
    }
    session.flights.retain(|flight| flight.seq != turn.seq);
    session.epoch = session.epoch.max(epoch);
    session.recorded.apply(&turn, (&verdict).into());
    if let Some(key) = key.filter(|_| !planted::is(Bug::KeysForgotten)) {
        let answer = durable::Answer { key, seq: turn.seq, now_ns: turn.now_ns, verdict: verdict.clone() };
        remember(&mut session.keys, &answer, bounds.now);
    }
    for effect in outputs {
        session.outputs.push(session.id, turn.seq, effect.into(), bounds.outputs_kept);
    }
    if turn.kind == kind::OPEN {
        session.phase = Phase::Live;
    }
    let period_ns = session.ticker.map_or(0, |ticker| ticker.period_ns());
    push(&mut session.journal, Arc::new(digest), epoch, turn, &verdict, period_ns);
    Ok(())
}

/// Into the journal in memory, as when it was played first.
fn push(
    journal: &mut Journal,
    digest: Arc<[u8; 32]>,
    epoch: u64,
    turn: durable::Turn,
    verdict: &Verdict,
    period_ns: u64,
) {
    let outcome = match verdict {
        Verdict::Done { outcome, .. } | Verdict::Failed { outcome, .. } => *outcome,
        Verdict::Poison | Verdict::Skipped { .. } => 0,
    };
    if turn.kind == kind::TICK
        && turn.calls.is_empty()
        && matches!(verdict, Verdict::Done { .. } | Verdict::Failed { .. })
    {
        let tick = TickRun {
            first_seq: turn.seq,
            count: 1,
            first_now_ns: turn.now_ns,
            period_ns,
            mix: Mix(turn.mix),
            outcome,
        };
        return journal.push_tick(&digest, epoch, tick);
    }
    let body = match verdict {
        Verdict::Skipped { ticks } => Body::Skipped { seq: turn.seq, now_ns: turn.now_ns, ticks: *ticks },
        Verdict::Poison => Body::Poison(record(turn, outcome)),
        Verdict::Done { .. } | Verdict::Failed { .. } => Body::Turn(record(turn, outcome)),
    };
    journal.push(Record { version: RECORD_VERSION, digest, epoch, body });
}

pub(super) fn record(turn: durable::Turn, outcome: u64) -> TurnRecord {
    TurnRecord {
        seq: turn.seq,
        kind: turn.kind,
        player: PlayerId(turn.player),
        now_ns: turn.now_ns,
        seed: turn.seed,
        payload: turn.payload,
        calls: calls(turn.calls),
        outcome,
    }
}

fn calls(calls: Vec<(u64, i32, crate::ids::Payload)>) -> Vec<CallRecord> {
    calls.into_iter().map(|(asked, status, answer)| CallRecord { asked, status, answer }).collect()
}

/// A turn that asked the platform and has no outcome.
fn ask(session: &mut Session, asking: durable::Asking, now: Now) {
    let durable::Asking { turn, key } = asking;
    session.flights.retain(|flight| flight.seq != turn.seq);
    if let Some((client, seq, body)) = key {
        session.keys.resume((ClientId(client), seq), body, now.mono_ns);
    }
    session.flights.push_back(Flight {
        player: PlayerId(turn.player),
        client_seed: turn.client_seed,
        key: key.map(|(client, seq, _)| (ClientId(client), seq)),
        calls: calls(turn.calls),
        has_asked: true,
        ..Flight::of_house(turn.kind, turn.seq, turn.now_ns, (turn.seed, Mix(turn.mix)), turn.payload)
    });
}

fn take_snapshot(session: &mut Session, at: u64, kept: Kept, bounds: Bounds) {
    let Kept { seq, bytes, state_version, digest, side } = kept;
    session.journal.push_snapshot(Snapshot { seq, bytes, state_version, digest: Arc::new(digest) });
    session.shelf = session.shelf.map(|shelf| shelf.snapshot(at));
    session.phase = match &session.phase {
        Phase::Opening => Phase::Live,
        other => other.clone(),
    };
    // Else nothing is known only from here.
    if session.recorded.last_seq != side.last_seq {
        take_side(session, side, bounds);
    }
}

fn take_side(session: &mut Session, side: durable::Side, bounds: Bounds) {
    session.epoch = session.epoch.max(side.epoch);
    session.recorded = Recorded {
        last_seq: side.last_seq,
        last_now_ns: side.last_now_ns,
        mix: Mix(side.mix),
        seats: side.seats.into_iter().map(|(player, seq)| (PlayerId(player), seq)).collect(),
        ticks: side.ticks,
        poison: side.poison,
    };
    session.keys = Keys::default();
    side.answers.iter().for_each(|answer| remember(&mut session.keys, answer, bounds.now));
    let kept = side.outputs.into_iter().map(|(seq, effect)| (seq, effect.into()));
    session.outputs = Outputs::resume(session.id, side.last_output, kept);
}

fn remember(keys: &mut Keys, answer: &durable::Answer, now: Now) {
    let (client, seq, body) = answer.key;
    keys.remember((ClientId(client), seq), body, outcome(answer), now.mono_ns);
}

fn outcome(answer: &durable::Answer) -> Outcome {
    let seq = answer.seq;
    match &answer.verdict {
        Verdict::Done { reply, retries, .. } => {
            Ok(Done { seq, now_ns: answer.now_ns, reply: reply.clone(), retries: *retries })
        }
        Verdict::Failed { status, text, .. } => {
            Err(Refusal::Plugin { seq, status: *status, text: text.clone() })
        }
        // A tick that was left out has no key; a record that says otherwise is no reason to fail.
        Verdict::Poison | Verdict::Skipped { .. } => Err(Refusal::Poison { seq }),
    }
}

/// An answer that is remembered, for the disk.
pub(crate) fn answer(key: KeyOnRecord, outcome: &Outcome) -> Option<durable::Answer> {
    let (seq, now_ns, verdict) = match outcome {
        Ok(done) => {
            let verdict = Verdict::Done { reply: done.reply.clone(), retries: done.retries, outcome: 0 };
            (done.seq, done.now_ns, verdict)
        }
        Err(Refusal::Plugin { seq, status, text }) => {
            (*seq, 0, Verdict::Failed { status: *status, text: text.clone(), outcome: 0 })
        }
        Err(Refusal::Poison { seq }) => (*seq, 0, Verdict::Poison),
        Err(_) => return None,
    };
    Some(durable::Answer { key, seq, now_ns, verdict })
}

impl Session {
    /// The fold is done: what follows from the recorded facts.
    fn settle(&mut self) {
        let recorded = &self.recorded;
        if let Some(ticker) = &mut self.ticker {
            ticker.advance(recorded.ticks);
        }
        (self.last_seq, self.last_now_ns) = (recorded.last_seq, recorded.last_now_ns);
        (self.mix, self.seats, self.poison) = (recorded.mix, recorded.seats.clone(), recorded.poison);
        if planted::is(Bug::PoisonForgotten) {
            self.poison = 0;
        }
        // A turn that asked has changed the session when it was numbered.
        for flight in self.flights.iter() {
            self.last_seq = self.last_seq.max(flight.seq);
            self.last_now_ns = self.last_now_ns.max(flight.now_ns);
            self.mix = flight.mix;
            match flight.kind {
                kind::JOIN => drop(self.seats.insert(flight.player, flight.seq)),
                kind::LEAVE => drop(self.seats.remove(&flight.player)),
                kind::TICK => {
                    if let Some(ticker) = &mut self.ticker {
                        ticker.advance(1);
                    }
                }
                kind::CLOSE if self.phase == Phase::Live => self.phase = Phase::Closing(EndReason::Closed),
                _ => {}
            }
        }
    }
}

impl Shelf {
    /// Entry `at` is a snapshot.
    pub(crate) fn snapshot(self, at: u64) -> Shelf {
        Shelf { previous_snapshot_at: self.newest_snapshot_at, newest_snapshot_at: at, ..self }
    }

    /// The newest snapshot is worth nothing.
    pub(crate) fn drop_newest(self) -> Shelf {
        Shelf { newest_snapshot_at: self.previous_snapshot_at, previous_snapshot_at: 0, ..self }
    }
}

impl From<durable::Effect> for Effect {
    fn from(effect: durable::Effect) -> Effect {
        match effect {
            durable::Effect::Send { to, message } => Effect::Send { to, message },
            durable::Effect::Emit { topic, event } => Effect::Emit { topic, event },
        }
    }
}

impl From<&Effect> for durable::Effect {
    fn from(effect: &Effect) -> durable::Effect {
        match effect {
            Effect::Send { to, message } => durable::Effect::Send { to: *to, message: message.clone() },
            Effect::Emit { topic, event } => {
                durable::Effect::Emit { topic: topic.clone(), event: event.clone() }
            }
        }
    }
}
