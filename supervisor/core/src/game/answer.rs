//! What workers answer, and what it means. Nothing that a worker says is believed beyond its own sessions.
//!
//! A worker answers in order: an answer to anything but its oldest call, or of the wrong kind, ends it.

use croupier_fair::entry::{Effect, Entry, Verdict};

use super::timers::Alarm;
use super::workers::{Call, CallKind, Expect, WorkerPhase};
use super::{Cx, Game};
use crate::action::{Action, Answered, CallRecord, Done, EndReason, KillReason, Notice, ToWorker};
use crate::event::{Answer, HostKey, TurnAnswer};
use crate::ids::{CallId, Payload, SessionId, WorkerId, kind};
use crate::lifecycle::State;
use crate::refusal::Refusal;
use crate::session::journal::{Body, RECORD_VERSION, Record, Snapshot, TickRun, TurnRecord, chain};
use crate::session::keys::Outcome;
use crate::session::{Flight, Home, Phase, Seat, Standing};

/// `CROUPIER_E_DENIED`: the manifest does not ask for the permission, or it was not granted.
const E_DENIED: i32 = -6;
/// Of the snapshots, one in this many is restored once for a try; the first one always.
const VERIFY_EVERY: u64 = 256;
/// Snapshots that may fail their try before none is trusted any more.
const VERIFY_FAILURES_MAX: u32 = 2;
/// Sets the id under which a snapshot is tried apart from all session ids.
const SCRATCH: u64 = 1 << 63;

impl Game {
    pub(super) fn answered(&mut self, cx: &mut Cx<'_>, worker: WorkerId, call: CallId, answer: Answer) {
        let Some(slot) = self.workers.get_mut(&worker) else { return };
        if slot.phase == WorkerPhase::Dying {
            return;
        }
        if slot.calls.front().is_none_or(|head| head.id != call) {
            let why = format!("answered call {call}, which is not its oldest one");
            return self.kill(cx, worker, KillReason::Protocol(why));
        }
        let Some(head) = slot.calls.pop_front() else { return };
        slot.head_since_mono_ns = cx.now.mono_ns;
        self.watch(worker);
        match (head.what, answer) {
            (CallKind::Init, Answer::Ok) => self.worker_serves(cx, worker),
            (CallKind::Init, Answer::Failed { text, .. }) => {
                self.kill(cx, worker, KillReason::Init(text));
            }
            (CallKind::Suspend, answer) => self.suspend_answered(cx, answer),
            (CallKind::Resume, _) => self.settle_resume(cx, Ok(())),
            (CallKind::Shutdown, _) => self.kill(cx, worker, KillReason::Retired),
            (CallKind::Drop, _) => {}
            (CallKind::Restore(id), Answer::Ok) => self.base_restored(cx, worker, id),
            (CallKind::Restore(id), Answer::Failed { text, .. }) => self.restore_refused(cx, id, &text),
            (CallKind::Replay(id, expect), Answer::Done(done)) => {
                self.replayed(cx, worker, id, expect, &done);
            }
            (CallKind::Turn(id, seq), Answer::Done(done)) => {
                self.turn_answered(cx, worker, head, (id, seq), *done)
            }
            (CallKind::Verify(id, seq), Answer::Ok) => self.verified(cx, worker, id, seq),
            (CallKind::Verify(id, seq), Answer::Failed { text, .. }) => {
                self.verify_failed(cx, id, seq, &text);
            }
            (_, _) => {
                self.unanswer(worker, head);
                let why = format!("answered call {call} with something else than was asked");
                return self.kill(cx, worker, KillReason::Protocol(why));
            }
        }
        self.retire_if_drained(cx, worker);
        self.watch(worker);
    }

    /// The answer was no answer: the call counts as unanswered.
    fn unanswer(&mut self, worker: WorkerId, head: Call) {
        if let Some(slot) = self.workers.get_mut(&worker) {
            slot.calls.push_front(head);
        }
    }

    fn suspend_answered(&mut self, cx: &mut Cx<'_>, answer: Answer) {
        if let Answer::Failed { status, text } = answer {
            // The plugin does not want to: the operator is told, and may resume.
            return self.settle_suspend(cx, Err(Refusal::Plugin { seq: 0, status, text }));
        }
        self.settle_suspend(cx, Ok(()));
    }

    fn base_restored(&mut self, _cx: &mut Cx<'_>, worker: WorkerId, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if let Home::Restoring(restoring) = &mut session.home
            && restoring.worker == worker
        {
            restoring.base_pending = false;
            restoring.unanswered -= 1;
            self.snapshots.verified += 1;
            self.make_ready(id);
        }
    }

    /// The plugin refuses its own snapshot: the one before is tried, and then the whole journal; else the session is held.
    fn restore_refused(&mut self, cx: &mut Cx<'_>, id: SessionId, text: &str) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if let Some(worker) = session.worker()
            && let Some(slot) = self.workers.get_mut(&worker)
        {
            slot.sessions.remove(&id);
        }
        session.home = Home::None;
        if session.journal.drop_newest() {
            self.make_ready(id);
        } else {
            self.hold(cx, id, format!("the plugin refuses to restore its own snapshot: {text}"));
        }
    }

    fn replayed(
        &mut self,
        cx: &mut Cx<'_>,
        worker: WorkerId,
        id: SessionId,
        expect: Expect,
        done: &TurnAnswer,
    ) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let Home::Restoring(restoring) = &mut session.home else { return };
        if restoring.worker != worker {
            return;
        }
        restoring.base_pending = false;
        restoring.unanswered -= 1;
        let (seq, same) = match expect {
            Expect::Outcome { seq, outcome } => (seq, done.claimed == outcome),
            Expect::Tick { seq, last } => {
                restoring.chained = chain(restoring.chained, done.claimed);
                let same = last.is_none_or(|outcome| std::mem::take(&mut restoring.chained) == outcome);
                (seq, same)
            }
        };
        if seq == 1 && done.status < 0 {
            return self.hold(cx, id, "its open turn succeeded once and fails on replay".to_owned());
        }
        if !same || done.diverged {
            self.diverges = true;
            cx.notice(Notice::Diverged { session: id, seq });
        }
        self.make_ready(id);
    }

    /// A turn's first outcome: it is recorded, and then everybody is told.
    fn turn_answered(
        &mut self,
        cx: &mut Cx<'_>,
        worker: WorkerId,
        head: Call,
        (id, seq): (SessionId, u64),
        done: TurnAnswer,
    ) {
        if let Err(why) = self.check_effects(&done) {
            self.unanswer(worker, head);
            return self.kill(cx, worker, KillReason::Protocol(why));
        }
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if session.flights.front().is_none_or(|flight| flight.seq != seq) {
            return;
        }
        let Some(flight) = session.flights.pop_front() else { return };
        self.counts.turns += 1;
        self.journal_turn(id, &flight, &done);
        cx.act(Action::Record { session: id, entry: entry(&flight, &done) });
        self.release(cx, id, &flight, &done);
        cx.notice(Notice::TurnDone { session: id, seq, status: done.status });
        if self.settle_turn(cx, worker, id, &flight, &done) == Ends::Now {
            return;
        }
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let asked = session.snapshot_asked.take_if(|asked| *asked == seq).is_some();
        match done.snapshot {
            Some(bytes) => self.take_snapshot(cx, worker, id, seq, bytes),
            None if asked && done.status >= 0 => self.distrust(cx, "the plugin gave none when asked"),
            None => {}
        }
        self.settle_skips(cx, id);
        let Some(session) = self.sessions.get(&id) else { return };
        let cleared = session.trouble.standing != Standing::Clear
            && !session.flights.iter().any(|flight| flight.suspected);
        if cleared {
            self.clear_suspicion(cx, id);
        }
        self.make_ready(id);
    }

    /// Whether a turn gave out only what its plugin may.
    fn check_effects(&self, done: &TurnAnswer) -> Result<(), String> {
        for effect in &done.effects {
            match effect {
                Effect::Send { .. } if !self.spec.grants.send => {
                    return Err("sent a message without the permission \"send\"".to_owned());
                }
                Effect::Emit { topic, .. } if !self.spec.grants.emit.contains(topic) => {
                    return Err(format!("emitted on {topic:?} without the permission"));
                }
                Effect::Send { .. } | Effect::Emit { .. } => {}
            }
        }
        if done.status < 0 && !done.effects.is_empty() {
            return Err("a failed turn gave something out".to_owned());
        }
        Ok(())
    }

    fn journal_turn(&mut self, id: SessionId, flight: &Flight, done: &TurnAnswer) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let period = session.ticker.map(|ticker| ticker.period_ns());
        if let (kind::TICK, true, Some(period_ns)) = (flight.kind, flight.calls.is_empty(), period) {
            let tick = TickRun {
                first_seq: flight.seq,
                count: 1,
                first_now_ns: flight.now_ns,
                period_ns,
                mix: flight.mix,
                outcome: done.seen,
            };
            return session.journal.push_tick(&self.digest, session.epoch, tick);
        }
        let body = Body::Turn(TurnRecord {
            seq: flight.seq,
            kind: flight.kind,
            player: flight.player,
            now_ns: flight.now_ns,
            seed: flight.seed,
            payload: flight.payload.clone(),
            calls: flight.calls.clone(),
            outcome: done.seen,
        });
        let digest = self.digest.clone();
        session.journal.push(Record { version: RECORD_VERSION, digest, epoch: session.epoch, body });
    }

    /// Outputs and the answer go out: the turn is on record.
    fn release(&mut self, cx: &mut Cx<'_>, id: SessionId, flight: &Flight, done: &TurnAnswer) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        for effect in &done.effects {
            let output = session.outputs.push(id, flight.seq, effect.clone(), self.spec.outputs_kept);
            cx.act(Action::Output(output));
        }
        let outcome: Outcome = if done.status < 0 {
            Err(Refusal::Plugin { seq: flight.seq, status: done.status, text: done.error.clone() })
        } else {
            Ok(Done {
                seq: flight.seq,
                now_ns: flight.now_ns,
                reply: done.reply.clone(),
                retries: flight.retries,
            })
        };
        if let Some(key) = flight.key {
            let waiters = session.keys.finish(key, &outcome);
            cx.answer_all(waiters, &outcome.clone().map(Answered::Done));
        }
        if flight.kind == kind::OPEN
            && let Some(request) = session.open_request.take()
        {
            let commit = session.commit;
            cx.answer(request, outcome.map(|done| Answered::Opened { session: id, commit, done }));
        }
    }

    /// What a turn means for the session itself, by its kind.
    fn settle_turn(
        &mut self,
        cx: &mut Cx<'_>,
        worker: WorkerId,
        id: SessionId,
        flight: &Flight,
        done: &TurnAnswer,
    ) -> Ends {
        let Some(session) = self.sessions.get_mut(&id) else { return Ends::Now };
        let player = flight.player;
        match flight.kind {
            kind::OPEN if done.status < 0 => {
                self.left_worker(worker, id);
                self.end(cx, id, EndReason::OpenRefused);
                return Ends::Now;
            }
            kind::OPEN => {
                session.phase = Phase::Live;
                let commit = session.commit;
                if session.idle_ns > 0 {
                    self.timers.set(cx.now.mono_ns + session.idle_ns, Alarm::Idle(id));
                }
                cx.notice(Notice::SessionOpened { session: id, commit });
            }
            kind::JOIN if done.status < 0 => {
                session.seats.remove(&player);
            }
            kind::JOIN => {
                session.seats.insert(player, Seat::Taken);
                cx.notice(Notice::PlayerJoined { session: id, player });
            }
            kind::LEAVE => cx.notice(Notice::PlayerLeft { session: id, player }),
            kind::CLOSE => {
                let reason = match &session.phase {
                    Phase::Closing(reason) => *reason,
                    _ => EndReason::Closed,
                };
                self.left_worker(worker, id);
                self.end(cx, id, reason);
                return Ends::Now;
            }
            _ => {}
        }
        Ends::No
    }

    /// The worker has freed the session by itself.
    fn left_worker(&mut self, worker: WorkerId, id: SessionId) {
        if let Some(slot) = self.workers.get_mut(&worker) {
            slot.sessions.remove(&id);
        }
        if let Some(session) = self.sessions.get_mut(&id) {
            session.home = Home::None;
        }
    }

    fn take_snapshot(&mut self, cx: &mut Cx<'_>, worker: WorkerId, id: SessionId, seq: u64, bytes: Payload) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.snapshot_mono_ns = cx.now.mono_ns;
        let state_version = self.spec.state_version;
        let digest = self.digest.clone();
        session.journal.push_snapshot(Snapshot { seq, bytes: bytes.clone(), state_version, digest });
        self.snapshots.taken += 1;
        let sampled = self.snapshots.verified == 0 || self.snapshots.taken.is_multiple_of(VERIFY_EVERY);
        if sampled && self.suspects.is_empty() {
            let message =
                ToWorker::Restore { session: SessionId(id.0 | SCRATCH), state_version, snapshot: bytes };
            self.send(cx, worker, CallKind::Verify(id, seq), message);
        } else if self.snapshots.verified > 0 {
            session.journal.prune();
        }
    }

    fn verified(&mut self, cx: &mut Cx<'_>, worker: WorkerId, id: SessionId, seq: u64) {
        self.snapshots.verified += 1;
        let scratch = SessionId(id.0 | SCRATCH);
        self.send(cx, worker, CallKind::Drop, ToWorker::Drop { session: scratch });
        if let Some(session) = self.sessions.get_mut(&id)
            && session.journal.newest().is_some_and(|newest| newest.seq == seq)
        {
            session.journal.prune();
        }
    }

    /// A snapshot could not be restored, or killed the worker that tried: it is forgotten, and soon none is taken any more.
    pub(super) fn verify_failed(&mut self, cx: &mut Cx<'_>, id: SessionId, seq: u64, reason: &str) {
        if let Some(session) = self.sessions.get_mut(&id)
            && session.journal.newest().is_some_and(|newest| newest.seq == seq)
        {
            session.journal.drop_newest();
        }
        self.distrust(cx, reason);
    }

    /// One more thing is wrong with the plugin's snapshots. Past a bound none is taken any more, and journals are kept whole.
    fn distrust(&mut self, cx: &mut Cx<'_>, reason: &str) {
        self.snapshots.failures += 1;
        if self.snapshots.failures >= VERIFY_FAILURES_MAX && !self.snapshots.distrusted {
            self.snapshots.distrusted = true;
            cx.notice(Notice::SnapshotsDistrusted { reason: reason.to_owned() });
        }
    }

    pub(super) fn host_called(
        &mut self,
        cx: &mut Cx<'_>,
        worker: WorkerId,
        (call, index): (CallId, u32),
        (name, args, asked): (String, Payload, u64),
    ) {
        let head = self.workers.get(&worker).and_then(|slot| slot.calls.front()).copied();
        let Some(Call { id, what: CallKind::Turn(session, seq) }) = head.filter(|head| head.id == call)
        else {
            let why = format!("made a host call for call {call}, which is not the running turn");
            return self.kill(cx, worker, KillReason::Protocol(why));
        };
        let Some(known) = self.sessions.get_mut(&session) else { return };
        let Some(flight) = known.flights.iter_mut().find(|flight| flight.seq == seq) else { return };
        if flight.calls.len() != index as usize || flight.asking.is_some() {
            let why = format!("made host call {index} out of order");
            return self.kill(cx, worker, KillReason::Protocol(why));
        }
        if self.spec.grants.call.contains(&name) {
            flight.asking = Some(asked);
            let key = HostKey { session, seq, index };
            cx.act(Action::HostCall { key, name, args });
        } else {
            let record = CallRecord { asked, status: E_DENIED, answer: Payload::from([]) };
            flight.calls.push(record.clone());
            cx.act(Action::Send { worker, call: id, message: ToWorker::CallAnswer(record) });
        }
    }

    pub(super) fn host_answered(&mut self, cx: &mut Cx<'_>, key: HostKey, status: i32, answer: Payload) {
        let Some(session) = self.sessions.get_mut(&key.session) else { return };
        let at = session.worker();
        let Some(flight) = session.flights.iter_mut().find(|flight| flight.seq == key.seq) else { return };
        if flight.calls.len() != key.index as usize {
            return;
        }
        let Some(asked) = flight.asking.take() else { return };
        let record = CallRecord { asked, status, answer };
        flight.calls.push(record.clone());
        let running = at.and_then(|worker| self.workers.get(&worker)).and_then(|slot| {
            let head = slot.calls.front()?;
            (head.what == CallKind::Turn(key.session, key.seq)).then_some((slot.id, head.id))
        });
        if let Some((worker, call)) = running {
            cx.act(Action::Send { worker, call, message: ToWorker::CallAnswer(record) });
        }
    }

    /// Refuses an open whose session never came to be.
    pub(super) fn refuse_open(&mut self, cx: &mut Cx<'_>, id: SessionId, refusal: Refusal) {
        if let Some(session) = self.sessions.get_mut(&id)
            && let Some(request) = session.open_request.take()
        {
            cx.answer(request, Err(refusal));
        }
        self.end(cx, id, EndReason::OpenRefused);
    }

    /// Takes a session out: callers are told, its transcript ends, its answers are remembered for a while.
    pub(super) fn end(&mut self, cx: &mut Cx<'_>, id: SessionId, reason: EndReason) {
        self.clear_suspicion(cx, id);
        let Some(mut session) = self.sessions.remove(&id) else { return };
        if let Some(worker) = session.worker()
            && self
                .workers
                .get_mut(&worker)
                .is_some_and(|slot| slot.sessions.remove(&id) && slot.is_serving())
        {
            self.send(cx, worker, CallKind::Drop, ToWorker::Drop { session: id });
        }
        let mut waiters = Vec::new();
        for key in session.queue.iter().filter_map(|pending| pending.key) {
            waiters.extend(session.keys.forget(key));
        }
        for key in session.flights.iter().filter_map(|flight| flight.key) {
            waiters.extend(session.keys.take_waiters(key));
        }
        cx.answer_all(waiters, &Err(Refusal::SessionClosed(id)));
        let seq = session.journal.records().back().map_or(session.last_seq, Record::last_seq);
        cx.notice(Notice::SessionEnded { session: id, reason, seq });
        cx.act(Action::TranscriptClose { session: id, seed: session.seed, reason });
        if reason != EndReason::OpenRefused {
            self.ended.remember(id, session.keys);
        }
        if self.state == State::Unloading {
            self.settle_unload(cx);
        }
    }
}

/// Whether a turn ended its session.
#[derive(PartialEq, Eq)]
enum Ends {
    Now,
    No,
}

/// The transcript's line for a turn.
fn entry(flight: &Flight, done: &TurnAnswer) -> Entry {
    let verdict = if done.status < 0 {
        Verdict::Failed { status: done.status, text: done.error.clone() }
    } else {
        Verdict::Done { reply: done.reply.clone(), effects: done.effects.clone() }
    };
    super::death::entry_with(flight, verdict)
}
