//! Sessions into fresh workers: the snapshot, then the turns on record, their outcomes compared.
//!
//! ```text
//!  nowhere ──place──▶ base pending (snapshot, or open turn) ──▶ replaying ──all answered──▶ at home
//!                        └──snapshot refused: the one before, the whole journal, or held
//! ```

use super::dispatch::{Alone, Progress};
use super::workers::{CallKind, Expect, Role, Worker};
use super::{Cx, Game};
use crate::action::{Action, Notice, Run, ToWorker, TurnMessage, Wanted};
use crate::event::TurnAnswer;
use crate::ids::{Payload, PlayerId, SessionId, WorkerId, kind};
use crate::planted::{self, Bug};
use crate::session::journal::{Body, Newest, chain};
use crate::session::{Home, Restoring, Session, Standing};

/// How many sessions a call counts for that a worker has to answer, when one is chosen that is given another session.
const CALL_WEIGHT: usize = 8;

impl Game {
    /// Chooses a worker for a session that is nowhere, and begins to restore it there.
    pub(super) fn place(&mut self, cx: &mut Cx<'_>, id: SessionId) -> Progress {
        let Some(session) = self.sessions.get(&id) else { return Progress::Idle };
        if cx.now.mono_ns < session.trouble.not_before_mono_ns {
            return Progress::Idle;
        }
        let (standing, is_urgent) = (session.trouble.standing, session.is_urgent());
        let fits = |slot: &&Worker| match standing {
            Standing::Clear => self.takes_in(slot, is_urgent),
            Standing::Suspect => self.is_trying(slot.id),
            Standing::Outcast => slot.role == Role::Probe && slot.takes_turns(),
        };
        // One that has much to answer may have stopped answering.
        let load = |slot: &&Worker| (slot.leaves, slot.sessions.len() + CALL_WEIGHT * slot.calls.len());
        let best = self.workers.values().filter(fits).min_by_key(load).map(|slot| slot.id);
        match best {
            Some(worker) if standing == Standing::Clear || self.may_send(worker, id, Alone::Turn) => {
                self.begin_restore(cx, id, worker);
                Progress::Moved
            }
            _ => Progress::Blocked,
        }
    }

    pub(super) fn begin_restore(&mut self, cx: &mut Cx<'_>, id: SessionId, worker: WorkerId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.epoch += 1;
        session.moving = session.moving.filter(|on| on.left && on.to == worker);
        if let Some(slot) = self.workers.get_mut(&worker) {
            slot.sessions.insert(id);
        }
        if session.journal.is_empty() || planted::is(Bug::RouteBeforeRestore) {
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

    /// Sends the next turn on record, unless nobody waits for the session and the worker has enough to restore; or, when all are sent and answered, lets the session live there.
    pub(super) fn replay_next(&mut self, cx: &mut Cx<'_>, id: SessionId) -> Progress {
        let Some(session) = self.sessions.get_mut(&id) else { return Progress::Idle };
        let busy = |worker| {
            self.workers.get(&worker).is_some_and(|slot| slot.restores >= self.spec.background_calls)
        };
        if let Home::Restoring(restoring) = &session.home
            && !restoring.base_pending
            && restoring.record < session.journal.records().len()
            && !session.is_awaited()
            && busy(restoring.worker)
        {
            // Whoever is waited for would be behind it, too. An answer of that worker brings us here again.
            return Progress::Blocked;
        }
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
        session.trouble.replay_hangs = 0;
        let lost = session.lost_mono_ns.take().unwrap_or(cx.now.mono_ns);
        let pause_ns = cx.now.mono_ns.saturating_sub(lost);
        let proven = session.trouble.standing != Standing::Clear
            && !session.flights.iter().any(|flight| flight.suspected);
        match session.moving.take() {
            Some(on) => {
                self.counts.moved += 1;
                cx.notice(Notice::SessionMoved {
                    session: id,
                    from: on.from,
                    to: worker,
                    replayed,
                    pause_ns,
                });
            }
            None => cx.notice(Notice::SessionRestored { session: id, worker, replayed, pause_ns }),
        }
        if proven {
            self.clear_suspicion(cx, id);
        }
        Progress::Moved
    }

    /// The session exists in the worker: its turns on record may follow.
    pub(super) fn base_restored(&mut self, worker: WorkerId, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if let Home::Restoring(restoring) = &mut session.home
            && restoring.worker == worker
        {
            restoring.base_pending = false;
            restoring.unanswered = restoring.unanswered.saturating_sub(1);
            self.snapshots.verified += 1;
            self.make_ready(id);
        }
    }

    /// The plugin refuses its own snapshot: the one before is tried, and then the whole journal; else the session is held, with that snapshot: a person
    /// may know what to do with it, and without it there would be nothing.
    pub(super) fn restore_refused(&mut self, cx: &mut Cx<'_>, id: SessionId, text: &str) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if let Some(worker) = session.worker()
            && let Some(slot) = self.workers.get_mut(&worker)
        {
            slot.sessions.remove(&id);
        }
        session.home = Home::None;
        let has_another = session.journal.has_base(Newest::Worthless);
        self.restore_failed(cx, text);
        if has_another {
            self.drop_snapshot(cx, id);
            self.make_ready(id);
        } else {
            self.hold(cx, id, format!("the plugin refuses to restore its own snapshot: {text}"));
        }
    }

    pub(super) fn replayed(
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
        restoring.unanswered = restoring.unanswered.saturating_sub(1);
        let (seq, same) = match expect {
            Expect::Outcome { seq, outcome } => (seq, done.claimed == outcome),
            Expect::Tick { seq, last } => {
                restoring.chained = chain(restoring.chained, done.claimed);
                let same = last.is_none_or(|outcome| std::mem::take(&mut restoring.chained) == outcome);
                (seq, same)
            }
        };
        if planted::is(Bug::OutputsOfReplays) {
            for effect in &done.effects {
                let output = session.outputs.push(id, seq, effect.clone(), self.spec.outputs_kept);
                cx.act(Action::Output(output));
            }
        }
        if seq == 1 && done.status < 0 {
            return self.hold(cx, id, "its open turn succeeded once and fails on replay".to_owned());
        }
        if !same || done.diverged {
            self.diverged(cx, id, seq);
        }
        self.make_ready(id);
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
                    seed: session.chance.again(&run.mix, seq),
                    kind: kind::TICK,
                    player: PlayerId::HOUSE,
                    payload: Payload::default(),
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
