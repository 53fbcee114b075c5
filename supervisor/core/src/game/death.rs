//! What a worker's death means for its sessions.
//!
//! ```text
//!  unanswered turn ──▶ suspect ──alone, dies──▶ outcast ──alone in a spare, dies──▶ poison
//!                         └──answered──▶ clear ◀──answered──┘   (deaths that it can have caused: 2)
//!  unanswered replay, counted death ──▶ outcast ──alone in a spare, counted death──▶ session held
//! ```
//!
//! A death that the turn cannot have caused (a signal from outside, a wall deadline without CPU use) never counts: the turn is
//! tried again, with growing pauses; after the first signals from outside not even alone. An acknowledged turn is never skipped.

use std::collections::VecDeque;

use croupier_fair::entry::{Entry, Verdict};

use super::patience::TurnWas;
use super::timers::Alarm;
use super::workers::{Call, CallKind, Role};
use super::{Cx, Game};
use crate::action::{Answered, Notice, ToWorker};
use crate::durable;
use crate::event::Cause;
use crate::ids::{SessionId, WorkerId, kind};
use crate::policy::restart::{Class, Finding};
use crate::refusal::Refusal;
use crate::session::journal::{Body, RECORD_VERSION, Record, TurnRecord};
use crate::session::{Flight, Home, Phase, Standing};

/// Counted deaths while alone in flight that make a turn poison.
const POISON_KILLS: u32 = 2;
/// Counted deaths during its replay, the last one alone in a spare worker, that make a session held.
const HELD_KILLS: u32 = 2;
/// Uncounted deaths during its replay after which a session is replayed alone.
const REPLAY_LOSSES_MAX: u32 = 3;
/// Wall deadlines without CPU use, while alone, after which a session is held: somebody must look at it.
const HANGS_MAX: u32 = 5;
/// Deaths from outside that a turn may have been in flight at before it is tried alone.
const LOSSES_FORGIVEN: u32 = 2;
/// The first pause before a turn that died uncounted while alone is tried again; it doubles up to about a second.
const RETRY_NS_MIN: u64 = 1_000_000;

impl Game {
    pub(super) fn worker_died(&mut self, cx: &mut Cx<'_>, worker: WorkerId, cause: Cause) {
        let Some(slot) = self.workers.remove(&worker) else { return };
        if slot.role == Role::Standby {
            return self.standby_died(cx, &slot, &cause);
        }
        self.violated_by_dying(cx, worker, &slot.calls, &cause);
        self.doubt_snapshots(cx, &slot.calls, &cause);
        for id in &slot.sessions {
            self.lose_home(cx, *id, worker);
        }
        if cause != Cause::Asked {
            self.count_death(cx, worker, &slot.calls, &cause);
            self.blame(cx, slot.role, &slot.calls, &cause);
        }
        if slot.served && self.is_fresh(worker) {
            self.refresh(cx, worker);
        }
        if !slot.served && !slot.retired {
            self.start_failed(cx, (worker, slot.role), &cause);
        } else if cause != Cause::Asked {
            self.bear(cx, worker, &cause);
        }
        self.settle_unload(cx);
        self.hottest_ready(slot.sessions);
    }

    /// The session's state is gone with the worker; what has a number will be sent again.
    fn lose_home(&mut self, cx: &mut Cx<'_>, id: SessionId, worker: WorkerId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if session.worker() != Some(worker) {
            return;
        }
        session.home = Home::None;
        session.moving = None;
        session.snapshot_asked = None;
        session.lost_mono_ns.get_or_insert(cx.now.mono_ns);
        let skips = &session.skips;
        for flight in session.flights.iter_mut().filter(|flight| flight.sent) {
            if skips.iter().any(|(seq, _)| *seq == flight.seq) {
                continue;
            }
            flight.sent = false;
            // What it asked is still being performed, and recorded when it is answered.
            if let Some(asking) = &mut flight.asking {
                asking.waits = false;
            }
            flight.retries += 1;
            self.counts.retries += 1;
        }
    }

    pub(super) fn count_death(
        &mut self,
        cx: &mut Cx<'_>,
        worker: WorkerId,
        calls: &VecDeque<Call>,
        cause: &Cause,
    ) {
        let turns = calls.iter().filter(|call| matches!(call.what, CallKind::Turn(..))).count() as u32;
        let restores = calls
            .iter()
            .filter(|call| matches!(call.what, CallKind::Restore(_) | CallKind::Replay(..)))
            .count() as u32;
        self.counts.workers_lost += 1;
        self.counts.workers_lost_mid_turn += u64::from(turns > 0);
        cx.notice(Notice::WorkerDied { worker, cause: cause.clone(), turns, restores });
    }

    /// Finds out who may have caused it, and decides where each of them is tried next.
    fn blame(&mut self, cx: &mut Cx<'_>, role: Role, calls: &VecDeque<Call>, cause: &Cause) {
        let counted = cause.counts();
        let mut sessions: Vec<SessionId> = Vec::new();
        for call in calls {
            if let Some(id) = call.what.suspect()
                && !sessions.contains(&id)
            {
                sessions.push(id);
            }
        }
        let death =
            Class::of(cause).and_then(|class| self.restarts.died(cx.now.mono_ns, class, sessions.len()));
        for id in &sessions {
            self.suspect(cx, *id, death);
            let turns = calls.iter().filter(|call| matches!(call.what, CallKind::Turn(of, _) if of == *id));
            let alone = sessions.len() == 1;
            let verdict = if turns.clone().next().is_some() {
                self.blame_turns(*id, calls, Blame { alone: alone && calls.len() == 1, counted, cause })
            } else {
                self.blame_replay(*id, role, Blame { alone, counted, cause })
            };
            self.carry_out(cx, *id, verdict);
        }
    }

    /// Turns without an outcome were in flight.
    fn blame_turns(&mut self, id: SessionId, calls: &VecDeque<Call>, blame: Blame<'_>) -> Verdicts {
        let Some(session) = self.sessions.get_mut(&id) else { return Verdicts::Nothing };
        if session.is_held() {
            return Verdicts::Nothing;
        }
        // A turn that waits for the platform's answer does not hang by its own fault.
        let asks = session.flights.iter().any(|flight| flight.asking.is_some());
        let hung = blame.alone && *blame.cause == Cause::Deadline && !asks;
        session.trouble.hangs += u32::from(hung);
        if session.trouble.hangs >= HANGS_MAX {
            return Verdicts::Hold(format!(
                "a turn passed its wall deadline {HANGS_MAX} times without using the CPU"
            ));
        }
        if self.is_forgiven(id, calls, blame.cause) {
            return Verdicts::Nothing;
        }
        let Some(session) = self.sessions.get_mut(&id) else { return Verdicts::Nothing };
        let mut verdict = Verdicts::Suspect;
        for flight in session.flights.iter_mut() {
            let unanswered = calls.iter().any(|call| call.what == CallKind::Turn(id, flight.seq));
            if !unanswered {
                continue;
            }
            flight.suspected = true;
            if blame.alone {
                flight.alone_deaths += 1;
                flight.alone_kills += u32::from(blame.counted);
                verdict = if flight.alone_kills >= POISON_KILLS {
                    Verdicts::Poison(flight.seq)
                } else if blame.counted {
                    Verdicts::Outcast(0)
                } else {
                    Verdicts::Outcast(RETRY_NS_MIN << flight.alone_deaths.min(10))
                };
            }
        }
        if verdict == Verdicts::Suspect && session.trouble.standing == Standing::Outcast {
            verdict = Verdicts::Outcast(0);
        }
        verdict
    }

    /// Whether a death from outside makes nobody a suspect: nobody can have caused it, so nobody need be tried alone, and the next worker plays
    /// all of them beside each other. A turn that was there too often all the same is looked at: what makes the kernel short of memory is killed
    /// from outside too.
    fn is_forgiven(&self, id: SessionId, calls: &VecDeque<Call>, cause: &Cause) -> bool {
        let Some(session) = self.sessions.get(&id) else { return false };
        let unanswered =
            |flight: &&Flight| calls.iter().any(|call| call.what == CallKind::Turn(id, flight.seq));
        matches!(cause, Cause::External { .. })
            && session.trouble.standing == Standing::Clear
            && session.flights.iter().filter(unanswered).all(|flight| flight.retries <= LOSSES_FORGIVEN)
    }

    /// Turns on record were being replayed.
    fn blame_replay(&mut self, id: SessionId, role: Role, blame: Blame<'_>) -> Verdicts {
        let Some(session) = self.sessions.get_mut(&id) else { return Verdicts::Nothing };
        if session.is_held() {
            return Verdicts::Nothing;
        }
        let trouble = &mut session.trouble;
        trouble.replay_hangs += u32::from(blame.alone && *blame.cause == Cause::Deadline);
        if trouble.replay_hangs >= HANGS_MAX {
            return Verdicts::Hold(format!("its replay passed the wall deadline {HANGS_MAX} times"));
        }
        if blame.counted {
            trouble.replay_kills += 1;
            let alone_in_spare = role == Role::Probe && blame.alone;
            if alone_in_spare && trouble.replay_kills >= HELD_KILLS {
                return Verdicts::Hold(format!("its replay kills the worker ({})", blame.cause));
            }
            return Verdicts::Outcast(0);
        }
        trouble.replay_losses += 1;
        if trouble.replay_losses >= REPLAY_LOSSES_MAX {
            return Verdicts::Outcast(RETRY_NS_MIN << trouble.replay_losses.min(10));
        }
        match trouble.standing {
            Standing::Clear => Verdicts::Nothing,
            Standing::Suspect => Verdicts::Suspect,
            Standing::Outcast => Verdicts::Outcast(0),
        }
    }

    fn carry_out(&mut self, cx: &mut Cx<'_>, id: SessionId, verdict: Verdicts) {
        match verdict {
            Verdicts::Nothing => self.found(cx, id, Finding::Innocent),
            Verdicts::Suspect => self.set_standing(id, Standing::Suspect),
            Verdicts::Outcast(pause_ns) => {
                self.set_standing(id, Standing::Outcast);
                if pause_ns > 0
                    && let Some(session) = self.sessions.get_mut(&id)
                {
                    let at = cx.now.mono_ns.saturating_add(pause_ns);
                    session.trouble.not_before_mono_ns = at;
                    self.timers.set(at, Alarm::Retry(id));
                }
            }
            Verdicts::Poison(seq) => self.poison(cx, id, seq),
            Verdicts::Hold(reason) => self.hold(cx, id, reason),
        }
    }

    /// Puts a session at the end of the list on which it is tried alone.
    fn set_standing(&mut self, id: SessionId, standing: Standing) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.trouble.standing = standing;
        self.suspects.retain(|suspect| *suspect != id);
        self.outcasts.retain(|outcast| *outcast != id);
        match standing {
            Standing::Clear => {}
            Standing::Suspect => self.suspects.push_back(id),
            Standing::Outcast => self.outcasts.push_back(id),
        }
    }

    /// Skips a turn for good, on record; or, where skipping would leave the table in a lie, sets the session aside.
    fn poison(&mut self, cx: &mut Cx<'_>, id: SessionId, seq: u64) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let Some(at) = session.flights.iter().position(|flight| flight.seq == seq) else { return };
        let Some(flight) = session.flights.remove(at) else { return };
        self.counts.poison += 1;
        self.breaker_saw(cx, id, TurnWas::Faulty);
        self.found(cx, id, Finding::Guilty);
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.poison += 1;
        let poisoned = session.poison;
        let notice = Notice::Poison { session: id, seq, player: flight.player };
        let refusal = Refusal::Poison { seq };
        if matches!(flight.kind, kind::TICK | kind::LEAVE | kind::CLOSE) {
            // Without an outcome: the turn stays where it is, for a person to look at.
            let key = flight.key;
            session.flights.insert(at, flight);
            let waiters = key.map(|key| session.keys.take_waiters(key)).unwrap_or_default();
            self.hold(cx, id, format!("turn {seq} (a tick, leave or close) kills its worker"));
            cx.answer_all(waiters, &Err(refusal));
            return cx.notice(notice);
        }
        if flight.kind == kind::JOIN {
            session.unseat(flight.player, flight.seq);
        }
        let digest = self.digest.clone();
        let body = Body::Poison(poison_record(&flight));
        session.journal.push(Record { version: RECORD_VERSION, digest, epoch: session.epoch, body });
        if flight.kind != kind::OPEN || self.is_on_disk(id) {
            self.write_verdict(cx, id, &flight, durable::Verdict::Poison, Vec::new());
        }
        // Told, like everything, only when it is on record.
        cx.notice(notice);
        if let Some(key) = flight.key
            && let Some(session) = self.sessions.get_mut(&id)
        {
            let waiters = session.keys.finish(key, &Err(refusal.clone()));
            cx.answer_all(waiters, &Err::<Answered, _>(refusal.clone()));
        }
        self.record(cx, id, || entry_with(&flight, Verdict::Poison));
        if flight.kind == kind::OPEN {
            return self.refuse_open(cx, id, refusal);
        }
        self.settle_skips(cx, id);
        if poisoned > self.spec.poison_max {
            return self.hold(cx, id, format!("{poisoned} of its turns were poison"));
        }
        // What it left behind is tried in the spare worker once more: the session is restored there before it is let back.
        self.set_standing(id, Standing::Outcast);
    }

    /// Sets a session aside, whole, for a person to look at.
    pub(super) fn hold(&mut self, cx: &mut Cx<'_>, id: SessionId, reason: String) {
        self.found(cx, id, Finding::Guilty);
        self.clear_suspicion(cx, id);
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let refusal = Refusal::Held { session: id, reason: reason.clone() };
        if matches!(session.phase, Phase::Opening) {
            return self.refuse_open(cx, id, refusal);
        }
        session.phase = Phase::Held(reason.clone());
        self.write_held(cx, id, &reason);
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let mut waiters = Vec::new();
        for key in std::mem::take(&mut session.queue).take_theirs() {
            waiters.extend(session.keys.forget(key));
        }
        for key in session.flights.iter().filter_map(|flight| flight.key) {
            waiters.extend(session.keys.take_waiters(key));
        }
        let at = session.worker();
        session.home = Home::None;
        session.moving = None;
        cx.answer_all(waiters, &Err(refusal));
        cx.notice(Notice::SessionHeld { session: id, reason });
        if let Some(worker) = at
            && self
                .workers
                .get_mut(&worker)
                .is_some_and(|slot| slot.sessions.remove(&id) && slot.is_serving())
        {
            self.send(cx, worker, CallKind::Drop, ToWorker::Drop { session: id });
        }
        self.unload_is_off(cx);
    }
}

/// The circumstances of a death, as far as one session is concerned.
#[derive(Clone, Copy)]
struct Blame<'a> {
    /// Nothing else was in flight.
    alone: bool,
    /// The turn can have caused it.
    counted: bool,
    cause: &'a Cause,
}

/// What is decided about a session.
#[derive(Debug, PartialEq, Eq)]
enum Verdicts {
    Nothing,
    /// Tried alone in a serving worker.
    Suspect,
    /// Tried alone in a spare worker, after this many nanoseconds.
    Outcast(u64),
    /// This turn is skipped.
    Poison(u64),
    /// The session is set aside.
    Hold(String),
}

fn poison_record(flight: &Flight) -> TurnRecord {
    TurnRecord {
        seq: flight.seq,
        kind: flight.kind,
        player: flight.player,
        now_ns: flight.now_ns,
        seed: flight.seed,
        payload: flight.payload.clone(),
        calls: flight.calls.clone(),
        outcome: 0,
    }
}

/// The transcript's line for a turn with this verdict.
pub(super) fn entry_with(flight: &Flight, verdict: Verdict) -> Entry {
    Entry {
        seq: flight.seq,
        kind: flight.kind,
        player: flight.player.0,
        now_ns: flight.now_ns,
        payload: flight.payload.clone(),
        client_seed: flight.client_seed.clone(),
        calls: flight.calls.iter().map(|call| (call.status, call.answer.clone())).collect(),
        verdict,
    }
}
