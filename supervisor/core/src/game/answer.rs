//! What workers answer, and what it means. Nothing that a worker says is believed beyond its own sessions.
//!
//! A worker answers in order: an answer to anything but its oldest call, or of the wrong kind, ends it.

use std::collections::BTreeMap;

use croupier_fair::entry::{Effect, Entry, Verdict};

use super::host_calls::settle_calls;
use super::patience::{E_INTERNAL, TurnWas};
use super::timers::Alarm;
use super::workers::{Call, CallKind, WorkerPhase};
use super::{Cx, Game};
use crate::action::{Action, Answered, Done, EndReason, KillReason, Notice};
use crate::event::{Answer, TurnAnswer};
use crate::ids::{CallId, SessionId, WorkerId, kind};
use crate::refusal::Refusal;
use crate::session::journal::{Body, RECORD_VERSION, Record, TickRun, TurnRecord};
use crate::session::keys::Outcome;
use crate::session::{Flight, Home, Phase, Standing};

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
        slot.restores -= usize::from(head.what.restores());
        slot.head_since_mono_ns = cx.now.mono_ns;
        slot.asides = 0;
        self.watch(worker);
        match (head.what, answer) {
            (CallKind::Init, Answer::Ok) => self.worker_serves(cx, worker),
            (CallKind::Init, Answer::Failed { text, .. }) => {
                self.kill(cx, worker, KillReason::Init(text));
            }
            (CallKind::Suspend, answer) => self.suspend_answered(cx, answer),
            (CallKind::Resume, _) => {}
            (CallKind::Shutdown, _) => self.kill(cx, worker, KillReason::Retired),
            (CallKind::Drop, _) | (CallKind::Ping, Answer::Ok) => {}
            (CallKind::Restore(id), Answer::Ok) => self.base_restored(worker, id),
            (CallKind::Restore(id), Answer::Failed { text, .. }) => self.restore_refused(cx, id, &text),
            (CallKind::Replay(id, expect), Answer::Done(done)) => {
                self.replayed(cx, worker, id, expect, &done);
            }
            (CallKind::Turn(id, seq), Answer::Done(done)) => {
                self.turn_answered(cx, worker, head, (id, seq), done)
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
            slot.restores += usize::from(head.what.restores());
            slot.calls.push_front(head);
        }
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
        if session.is_held() || session.flights.front().is_none_or(|flight| flight.seq != seq) {
            return;
        }
        let Some(mut flight) = session.flights.pop_front() else { return };
        let asked = session.snapshot_asked.take_if(|asked| *asked == seq).is_some();
        self.counts.turns += 1;
        if let Some(slot) = self.workers.get_mut(&worker) {
            slot.turns += 1;
        }
        self.breaker_saw(cx, id, if done.status == E_INTERNAL { TurnWas::Faulty } else { TurnWas::Sound });
        if settle_calls(&mut flight) || done.diverged {
            self.diverged(cx, id, seq);
        }
        self.journal_turn(id, &flight, &done);
        self.write_turn(cx, id, &flight, &done);
        self.record(cx, id, || entry(&flight, &done));
        self.let_out(cx, id, &flight, &done);
        cx.notice(Notice::TurnDone { session: id, seq, status: done.status });
        if self.settle_turn(cx, worker, id, &flight, &done) == Ends::Now {
            return;
        }
        if flight.snapshot_suspected {
            self.snapshot_convicted(cx);
        }
        if asked && (done.snapshot.is_some() || done.status >= 0) {
            self.snapshot_answered(cx, worker, (id, seq), done.snapshot);
        }
        self.settle_skips(cx, id);
        let Some(session) = self.sessions.get(&id) else { return };
        let cleared = session.trouble.standing != Standing::Clear
            && !session.flights.iter().any(|flight| flight.suspected);
        let has_more = session.has_more();
        if cleared {
            self.clear_suspicion(cx, id);
        }
        if has_more {
            self.make_ready(id);
        }
    }

    /// Whether a turn gave out only what its worker was told that its plugin may.
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
        if done.status > 0 {
            return Err(format!("answered a turn with the status {}, which there is not", done.status));
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

    /// A turn, as it ends, goes into the session's transcript, where one is kept.
    pub(super) fn record(&self, cx: &mut Cx<'_>, id: SessionId, entry: impl FnOnce() -> Entry) {
        if self.spec.transcripts {
            cx.act(Action::Record { session: id, entry: entry() });
        }
    }

    /// Outputs and the answer go out: the turn is on record. What the plugin may not give out any more is withheld: its worker was told otherwise, and
    /// did nothing wrong. Record and outcome hash keep it, because they are what the plugin answered, and what its replay must answer.
    fn let_out(&mut self, cx: &mut Cx<'_>, id: SessionId, flight: &Flight, done: &TurnAnswer) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let mut withheld = BTreeMap::new();
        for effect in &done.effects {
            if self.allowed.allows(effect) {
                let output = session.outputs.push(id, flight.seq, effect.clone(), self.spec.outputs_kept);
                cx.act(Action::Output(output));
            } else {
                *withheld.entry(permission(effect)).or_default() += 1;
            }
        }
        for (permission, count) in withheld {
            cx.notice(Notice::Denied { session: id, seq: flight.seq, permission, count });
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
            for request in session.keys.finish(key, &outcome) {
                cx.answer(request, outcome.clone().map(Answered::Done));
            }
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
                    let at = cx.now.mono_ns.saturating_add(session.idle_ns);
                    self.timers.set(at, Alarm::Idle(id));
                }
                cx.notice(Notice::SessionOpened { session: id, commit });
            }
            kind::JOIN if done.status < 0 => session.unseat(player, flight.seq),
            kind::JOIN => cx.notice(Notice::PlayerJoined { session: id, player }),
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
}

/// Whether a turn ended its session.
#[derive(PartialEq, Eq)]
enum Ends {
    Now,
    No,
}

/// What an effect needs, as it stands in manifests.
fn permission(effect: &Effect) -> String {
    match effect {
        Effect::Send { .. } => "send".to_owned(),
        Effect::Emit { topic, .. } => format!("emit:{topic}"),
    }
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
