//! From the queue to a worker: placing sessions, restoring them, numbering turns, sending them.
//!
//! ```text
//!  nowhere ──place──▶ restoring (snapshot, then turns on record) ──▶ at a worker ──▶ turns
//! ```
//!
//! While there are suspects, a serving worker plays the first of them alone, one turn at a time; everybody else waits. An outcast is
//! played the same way in the spare worker, and nobody waits.

use croupier_fair::entry::{Entry, Verdict};
use croupier_fair::seed::turn_seed;

use super::timers::Alarm;
use super::workers::{CallKind, Expect, Role};
use super::{Cx, Game};
use crate::action::{Action, EndReason, Run, ToWorker, TurnMessage, Wanted};
use crate::ids::{Payload, PlayerId, SessionId, WorkerId, kind};
use crate::lifecycle::State;
use crate::refusal::Refusal;
use crate::session::journal::{Body, RECORD_VERSION, Record};
use crate::session::ticker::Due;
use crate::session::{Flight, Home, Pending, Phase, Restoring, Seat, Session, Standing};
use crate::spec::Join;

/// Most calls that one session sends before the next session has its turn.
const BURST_MAX: usize = 16;
/// Most calls in flight on a worker while sessions are restored that nobody waits for.
const BACKGROUND_CALLS_MAX: usize = 32;

/// What came of trying to move a session on.
#[derive(PartialEq, Eq)]
enum Progress {
    /// Something was sent or decided; there may be more.
    Moved,
    /// Nothing to do until something happens to this session.
    Idle,
    /// The worker takes nothing more now.
    Blocked,
}

impl Game {
    /// Moves every session on that may have something to send, in the order in which they came.
    pub(super) fn run_ready(&mut self, cx: &mut Cx<'_>) {
        for first in [self.suspects.front().copied(), self.outcasts.front().copied()].into_iter().flatten() {
            self.run_session(cx, first);
        }
        if !self.suspects.is_empty() {
            return;
        }
        for _ in 0..self.ready.len() {
            if !self.any_room(self.spec.window_calls) {
                return;
            }
            let Some(id) = self.ready.pop_front() else { break };
            if let Some(session) = self.sessions.get_mut(&id) {
                session.is_ready = false;
            }
            if self.run_session(cx, id) != Progress::Idle {
                self.make_ready(id);
            }
        }
        // What nobody waits for is restored beside, a few at a time.
        for _ in 0..self.waiting.len() {
            if !self.any_room(BACKGROUND_CALLS_MAX.min(self.spec.window_calls)) {
                return;
            }
            let Some(id) = self.waiting.pop_front() else { break };
            if let Some(session) = self.sessions.get_mut(&id) {
                session.is_waiting = false;
            }
            if self.run_session(cx, id) != Progress::Idle {
                self.make_ready(id);
            }
        }
    }

    /// Whether some serving worker has fewer than `calls` calls in flight.
    fn any_room(&self, calls: usize) -> bool {
        self.workers
            .values()
            .any(|slot| slot.is_serving() && slot.role == Role::Serve && slot.calls.len() < calls)
    }

    fn run_session(&mut self, cx: &mut Cx<'_>, id: SessionId) -> Progress {
        for _ in 0..BURST_MAX {
            match self.advance(cx, id) {
                Progress::Moved => {}
                other => return other,
            }
        }
        Progress::Moved
    }

    /// One step of one session: place it, replay one record, or send one turn.
    fn advance(&mut self, cx: &mut Cx<'_>, id: SessionId) -> Progress {
        let Some(session) = self.sessions.get(&id) else { return Progress::Idle };
        if session.is_held() {
            return Progress::Idle;
        }
        match &session.home {
            Home::None => self.place(cx, id),
            Home::Restoring(restoring) => {
                let worker = restoring.worker;
                if self.may_send(worker, id, Alone::Session) {
                    self.replay_next(cx, id)
                } else {
                    Progress::Blocked
                }
            }
            Home::At(worker) => {
                let worker = *worker;
                if self.may_send(worker, id, Alone::Turn) {
                    self.send_next(cx, id, worker)
                } else {
                    Progress::Blocked
                }
            }
        }
    }

    /// Whether `worker` takes another call of session `id` now.
    fn may_send(&self, worker: WorkerId, id: SessionId, alone: Alone) -> bool {
        let Some(slot) = self.workers.get(&worker) else { return false };
        if !slot.is_serving() || slot.calls.len() >= self.spec.window_calls {
            return false;
        }
        let first = match slot.role {
            Role::Serve if self.suspects.is_empty() => return true,
            Role::Serve => self.suspects.front(),
            Role::Probe => self.outcasts.front(),
        };
        first == Some(&id)
            && match alone {
                Alone::Turn => slot.calls.is_empty(),
                Alone::Session => slot.calls.iter().all(|call| call.what.session() == Some(id)),
            }
    }

    /// Chooses a worker for a session that is nowhere, and begins to restore it there.
    fn place(&mut self, cx: &mut Cx<'_>, id: SessionId) -> Progress {
        let Some(session) = self.sessions.get(&id) else { return Progress::Idle };
        if cx.now.mono_ns < session.trouble.not_before_mono_ns {
            return Progress::Idle;
        }
        let role = if session.trouble.standing == Standing::Outcast { Role::Probe } else { Role::Serve };
        let best = self
            .workers
            .values()
            .filter(|slot| slot.role == role && slot.is_serving())
            .min_by_key(|slot| slot.sessions.len())
            .map(|slot| slot.id);
        match best {
            Some(worker) if self.may_send(worker, id, Alone::Turn) || self.is_calm(worker) => {
                self.begin_restore(cx, id, worker);
                Progress::Moved
            }
            _ => Progress::Blocked,
        }
    }

    /// Whether sessions may be restored in `worker` beside each other.
    fn is_calm(&self, worker: WorkerId) -> bool {
        self.suspects.is_empty()
            && self.workers.get(&worker).is_some_and(|slot| {
                slot.role == Role::Serve && slot.is_serving() && slot.calls.len() < self.spec.window_calls
            })
    }

    fn begin_restore(&mut self, cx: &mut Cx<'_>, id: SessionId, worker: WorkerId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.epoch += 1;
        if let Some(slot) = self.workers.get_mut(&worker) {
            slot.sessions.insert(id);
        }
        if session.journal.is_empty() {
            session.home = Home::At(worker);
            return;
        }
        let record = session.journal.replay_from();
        let snapshot = session.journal.newest().cloned();
        session.home = Home::Restoring(Restoring {
            worker,
            record,
            tick: 0,
            base_pending: snapshot.is_some(),
            unanswered: usize::from(snapshot.is_some()),
            replayed: 0,
            chained: 0,
        });
        if let Some(snapshot) = snapshot {
            let message = ToWorker::Restore {
                session: id,
                state_version: snapshot.state_version,
                snapshot: snapshot.bytes,
            };
            self.send(cx, worker, CallKind::Restore(id), message);
        }
    }

    /// Sends the next turn on record; or, when all are sent and answered, lets the session live there.
    fn replay_next(&mut self, cx: &mut Cx<'_>, id: SessionId) -> Progress {
        let Some(session) = self.sessions.get_mut(&id) else { return Progress::Idle };
        let Some((worker, message, expect)) = next_replay(session) else {
            return self.settle_restore(cx, id);
        };
        self.send(cx, worker, CallKind::Replay(id, expect), ToWorker::Turn(Box::new(message)));
        Progress::Moved
    }

    /// All records are sent; when all are answered, the session is at home.
    fn settle_restore(&mut self, cx: &mut Cx<'_>, id: SessionId) -> Progress {
        let Some(session) = self.sessions.get_mut(&id) else { return Progress::Idle };
        let Home::Restoring(restoring) = &session.home else { return Progress::Idle };
        if restoring.unanswered > 0 {
            return Progress::Idle;
        }
        let (worker, replayed) = (restoring.worker, restoring.replayed);
        session.home = Home::At(worker);
        session.trouble.replay_kills = 0;
        session.trouble.replay_losses = 0;
        let lost = session.lost_mono_ns.take().unwrap_or(cx.now.mono_ns);
        let pause_ns = cx.now.mono_ns.saturating_sub(lost);
        let proven = session.trouble.standing != Standing::Clear
            && !session.flights.iter().any(|flight| flight.suspected);
        cx.act(Action::Notice(crate::action::Notice::SessionRestored {
            session: id,
            worker,
            replayed,
            pause_ns,
        }));
        if proven {
            self.clear_suspicion(cx, id);
        }
        Progress::Moved
    }

    /// Sends the oldest turn that is not in the worker, or numbers the next one.
    fn send_next(&mut self, cx: &mut Cx<'_>, id: SessionId, worker: WorkerId) -> Progress {
        let Some(session) = self.sessions.get_mut(&id) else { return Progress::Idle };
        if session.sent() >= self.spec.flights_max {
            return Progress::Idle;
        }
        if session.unsent().is_none() {
            // A plugin that is suspended finishes what has a number, and gets nothing new. What is suspected is settled first.
            let plays = matches!(self.state, State::Running | State::Unloading);
            if !plays || session.trouble.standing != Standing::Clear {
                return Progress::Idle;
            }
            match self.number_next(cx, id) {
                Numbered::Flight => {}
                Numbered::Settled => return Progress::Moved,
                Numbered::Nothing => return Progress::Idle,
            }
        }
        self.send_flight(cx, id, worker)
    }

    fn send_flight(&mut self, cx: &mut Cx<'_>, id: SessionId, worker: WorkerId) -> Progress {
        let snapshot = self.wants_snapshot(cx, id);
        let Some(session) = self.sessions.get_mut(&id) else { return Progress::Idle };
        let Some(flight) = session.unsent() else { return Progress::Idle };
        flight.sent = true;
        flight.asking = None;
        let message = TurnMessage {
            session: id,
            seq: flight.seq,
            now_ns: flight.now_ns,
            seed: flight.seed,
            kind: flight.kind,
            player: flight.player,
            payload: flight.payload.clone(),
            calls: flight.calls.clone(),
            run: Run::First,
            snapshot,
        };
        let seq = flight.seq;
        if snapshot == Wanted::Yes {
            session.snapshot_asked = Some(seq);
        }
        self.send(cx, worker, CallKind::Turn(id, seq), ToWorker::Turn(Box::new(message)));
        Progress::Moved
    }

    /// Whether the next turn's reply shall carry a snapshot. Sessions are spread, so that they are not all written at once.
    fn wants_snapshot(&self, cx: &Cx<'_>, id: SessionId) -> Wanted {
        let Some(session) = self.sessions.get(&id) else { return Wanted::No };
        let closing = session.flights.iter().any(|flight| flight.kind == kind::CLOSE);
        if session.snapshot_asked.is_some() || self.snapshots.distrusted || closing {
            return Wanted::No;
        }
        let policy = self.spec.snapshots;
        let unanswered = session.flights.len() as u64;
        let turns = session.journal.turns_since() + unanswered;
        let spread = if session.journal.newest().is_none() { id.0 % (policy.turns / 2).max(1) } else { 0 };
        let old = cx.now.mono_ns.saturating_sub(session.snapshot_mono_ns) >= policy.age_ns && turns > 1;
        let due = self.diverges
            || turns >= policy.turns.saturating_sub(spread).max(1)
            || session.journal.bytes_since() >= policy.bytes
            || old;
        if due { Wanted::Yes } else { Wanted::No }
    }

    /// Gives the next input a number, a time and a seed: a tick that is due, or the oldest turn in the queue.
    fn number_next(&mut self, cx: &mut Cx<'_>, id: SessionId) -> Numbered {
        let Some(session) = self.sessions.get_mut(&id) else { return Numbered::Nothing };
        if matches!(session.phase, Phase::Opening | Phase::Closing(_)) {
            return Numbered::Nothing;
        }
        if let Some(ticker) = session.ticker {
            match ticker.due(cx.now.wall_ns, self.spec.catch_up_ticks) {
                Due::Tick(at) => {
                    number_tick(session, at);
                    return Numbered::Flight;
                }
                Due::Skip(ticks) => {
                    self.skip_ticks(cx, id, ticks);
                    return Numbered::Settled;
                }
                Due::NotBefore(at) if session.tick_armed_ns != Some(at) => {
                    session.tick_armed_ns = Some(at);
                    let wait = at - cx.now.wall_ns;
                    self.timers.set(cx.now.mono_ns + wait, Alarm::Tick(id));
                }
                Due::NotBefore(_) => {}
            }
        }
        let Some(pending) = session.queue.pop_front() else { return Numbered::Nothing };
        if let Err(refusal) = seat_check(session, &pending, &self.spec) {
            let waiters = pending.key.map(|key| session.keys.forget(key)).unwrap_or_default();
            cx.answer_all(waiters, &Err(refusal));
            return Numbered::Settled;
        }
        number_pending(session, pending, cx.now.wall_ns);
        Numbered::Flight
    }

    /// Leaves out late ticks, on record.
    fn skip_ticks(&mut self, cx: &mut Cx<'_>, id: SessionId, ticks: u64) {
        // It takes its place behind the turns in flight, and is recorded when they all have their outcome.
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if let Some(ticker) = &mut session.ticker {
            ticker.advance(ticks);
        }
        session.last_seq += 1;
        session.last_now_ns = session.last_now_ns.max(cx.now.wall_ns);
        let (seq, now_ns) = (session.last_seq, session.last_now_ns);
        session.flights.push_back(Flight {
            sent: true,
            kind: kind::TICK,
            ..new_flight(session, seq, now_ns, Payload::from([]))
        });
        session.skips.push_back((seq, ticks));
        self.settle_skips(cx, id);
    }

    /// Records skips whose turns before them all have their outcome.
    pub(super) fn settle_skips(&mut self, cx: &mut Cx<'_>, id: SessionId) {
        let digest = self.digest.clone();
        let Some(session) = self.sessions.get_mut(&id) else { return };
        while let (Some(flight), Some((seq, ticks))) =
            (session.flights.front(), session.skips.front().copied())
            && flight.seq == seq
        {
            let now_ns = flight.now_ns;
            session.flights.pop_front();
            session.skips.pop_front();
            let body = Body::Skipped { seq, now_ns, ticks };
            let epoch = session.epoch;
            session.journal.push(Record { version: RECORD_VERSION, digest: digest.clone(), epoch, body });
            cx.act(Action::Record {
                session: id,
                entry: Entry {
                    seq,
                    kind: kind::TICK,
                    player: PlayerId::HOUSE.0,
                    now_ns,
                    payload: Payload::from([]),
                    client_seed: Payload::from([]),
                    calls: Vec::new(),
                    verdict: Verdict::Skipped { ticks },
                },
            });
        }
    }
}

/// How alone a session that is tried alone must be for its next call.
#[derive(Clone, Copy)]
enum Alone {
    /// Nothing at all may be in flight.
    Turn,
    /// Nothing of anybody else's may be in flight.
    Session,
}

/// What came of numbering.
enum Numbered {
    Flight,
    Settled,
    Nothing,
}

fn new_flight(session: &Session, seq: u64, now_ns: u64, payload: Payload) -> Flight {
    Flight {
        seq,
        kind: kind::ACTION,
        player: PlayerId::HOUSE,
        now_ns,
        seed: turn_seed(&session.seed, session.id.0, &session.mix, seq),
        mix: session.mix,
        payload,
        client_seed: Payload::from([]),
        key: None,
        calls: Vec::new(),
        asking: None,
        sent: false,
        retries: 0,
        suspected: false,
        alone_deaths: 0,
        alone_kills: 0,
    }
}

fn number_tick(session: &mut Session, at: u64) {
    if let Some(ticker) = &mut session.ticker {
        ticker.advance(1);
    }
    session.last_seq += 1;
    session.last_now_ns = session.last_now_ns.max(at);
    let flight = Flight {
        kind: kind::TICK,
        ..new_flight(session, session.last_seq, session.last_now_ns, Payload::from([]))
    };
    session.flights.push_back(flight);
}

fn number_pending(session: &mut Session, pending: Pending, wall_ns: u64) {
    let input = pending.input;
    session.last_seq += 1;
    session.last_now_ns = session.last_now_ns.max(wall_ns);
    if input.kind == kind::JOIN {
        session.seats.insert(input.player, Seat::Joining);
        session.mix = session.mix.add(session.last_seq, input.player.0, &input.client_seed);
    }
    if input.kind == kind::LEAVE {
        session.seats.remove(&input.player);
    }
    if input.kind == kind::CLOSE {
        session.phase = Phase::Closing(pending.end.unwrap_or(EndReason::Closed));
    }
    let flight = Flight {
        kind: input.kind,
        player: input.player,
        client_seed: input.client_seed,
        key: pending.key,
        ..new_flight(session, session.last_seq, session.last_now_ns, input.payload)
    };
    session.flights.push_back(flight);
}

/// Whether the player may do this now. Checked when the turn is numbered, so that a join just before counts.
fn seat_check(session: &Session, pending: &Pending, spec: &crate::spec::Spec) -> Result<(), Refusal> {
    let player = pending.input.player;
    let seated = session.seats.contains_key(&player);
    match pending.input.kind {
        kind::JOIN if seated => Err(Refusal::AlreadyJoined { player, session: session.id }),
        kind::JOIN if session.seats.len() >= spec.players_max as usize => {
            Err(Refusal::TableFull { session: session.id, max: spec.players_max })
        }
        kind::LEAVE if !seated => Err(Refusal::UnknownPlayer { player, session: session.id }),
        kind::JOIN | kind::LEAVE | kind::CLOSE => Ok(()),
        _ if player == PlayerId::HOUSE || seated => Ok(()),
        _ if spec.join == Join::Optional && player != PlayerId::ALL => Ok(()),
        _ => Err(Refusal::UnknownPlayer { player, session: session.id }),
    }
}

/// The next turn on record that a session being restored has to be given.
fn next_replay(session: &mut Session) -> Option<(WorkerId, TurnMessage, Expect)> {
    let Home::Restoring(restoring) = &mut session.home else { return None };
    if restoring.base_pending {
        return None;
    }
    loop {
        let record = session.journal.records().get(restoring.record)?;
        let (turn, expect) = match &record.body {
            Body::Poison(_) | Body::Skipped { .. } => {
                restoring.record += 1;
                continue;
            }
            Body::Turn(turn) => {
                restoring.record += 1;
                restoring.base_pending = turn.kind == kind::OPEN;
                let message = TurnMessage {
                    session: session.id,
                    seq: turn.seq,
                    now_ns: turn.now_ns,
                    seed: turn.seed,
                    kind: turn.kind,
                    player: turn.player,
                    payload: turn.payload.clone(),
                    calls: turn.calls.clone(),
                    run: Run::Replay,
                    snapshot: Wanted::No,
                };
                (message, Expect::Outcome { seq: turn.seq, outcome: turn.outcome })
            }
            Body::Ticks(run) => {
                let seq = run.first_seq + restoring.tick;
                let message = TurnMessage {
                    session: session.id,
                    seq,
                    now_ns: run.first_now_ns + restoring.tick * run.period_ns,
                    seed: turn_seed(&session.seed, session.id.0, &run.mix, seq),
                    kind: kind::TICK,
                    player: PlayerId::HOUSE,
                    payload: Payload::from([]),
                    calls: Vec::new(),
                    run: Run::Replay,
                    snapshot: Wanted::No,
                };
                restoring.tick += 1;
                let last = (restoring.tick == run.count).then_some(run.outcome);
                if last.is_some() {
                    restoring.record += 1;
                    restoring.tick = 0;
                }
                (message, Expect::Tick { seq, last })
            }
        };
        restoring.unanswered += 1;
        restoring.replayed += 1;
        return Some((restoring.worker, turn, expect));
    }
}
