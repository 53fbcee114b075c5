//! Host calls: what a running turn asks the platform, and what the platform answers.
//!
//! ```text
//!  worker asks ─▶ asking ─▶ performed outside ─▶ answer on record ─▶ to the worker, if one still waits
//! ```
//!
//! A call is performed once, whatever becomes of the worker that asked: its answer is recorded with the turn, and a retried turn is
//! answered by index. Other arguments than the first time are divergence: the plugin is told off, not the player.

use super::workers::{Call, CallKind, WorkerPhase};
use super::{Cx, Game};
use crate::action::{Action, CallRecord, KillReason, Notice, ToWorker};
use crate::event::HostKey;
use crate::ids::{CallId, Payload, SessionId, WorkerId};
use crate::session::{Asking, Flight};

/// `CROUPIER_E_DENIED`: the manifest does not ask for the permission, or it was not granted.
const E_DENIED: i32 = -6;
/// Most host calls of one turn. The worker keeps the plugin's own limit, which is far lower; this is for one that does not.
const HOST_CALLS_MAX: usize = 65_536;
/// Most refusals that a worker may tell of in one turn; an honest one keeps to fewer.
const ASIDES_MAX: u32 = 16;

/// What to do with a question.
enum Ask {
    /// It has its answer already.
    Known(CallRecord),
    /// It is being performed: the worker waits.
    Pending,
    /// Nobody asked it before.
    Fresh,
}

impl Game {
    pub(super) fn host_called(
        &mut self,
        cx: &mut Cx<'_>,
        worker: WorkerId,
        (call, index): (CallId, u32),
        (name, args, asked): (String, Payload, u64),
    ) {
        let Some(slot) = self.workers.get(&worker) else { return };
        if slot.phase == WorkerPhase::Dying {
            return;
        }
        let head = slot.calls.front().copied().filter(|head| head.id == call);
        let Some(Call { id, what: CallKind::Turn(session, seq) }) = head else {
            let why = format!("made a host call for call {call}, which is not the running turn");
            return self.kill(cx, worker, KillReason::Protocol(why));
        };
        let Some(known) = self.sessions.get_mut(&session) else { return };
        let Some(flight) = known.flights.iter_mut().find(|flight| flight.seq == seq) else { return };
        if flight.told != index as usize || flight.asking.is_some_and(|asking| asking.waits) {
            let why = format!("made host call {index} out of order");
            return self.kill(cx, worker, KillReason::Protocol(why));
        }
        let (ask, diverged) = look_up(flight, asked);
        match ask {
            Ask::Known(record) => {
                flight.told += 1;
                cx.act(Action::Send { worker, call: id, message: ToWorker::CallAnswer(record) });
            }
            Ask::Pending => {}
            Ask::Fresh if flight.calls.len() >= HOST_CALLS_MAX => {
                let why = format!("made more than {HOST_CALLS_MAX} host calls in one turn");
                return self.kill(cx, worker, KillReason::Protocol(why));
            }
            Ask::Fresh if self.allowed.call.contains(&name) => {
                flight.asking = Some(Asking { asked, waits: true });
                flight.has_asked = true;
                self.write_asking(cx, session, seq);
                cx.act(Action::HostCall { key: HostKey { session, seq, index }, name, args });
            }
            Ask::Fresh => {
                let record = CallRecord { asked, status: E_DENIED, answer: Payload::default() };
                flight.calls.push(record.clone());
                flight.told += 1;
                cx.act(Action::Send { worker, call: id, message: ToWorker::CallAnswer(record) });
                cx.notice(Notice::Denied { session, seq, permission: format!("call:{name}"), count: 1 });
            }
        }
        if diverged {
            self.diverged(cx, session, seq);
        }
    }

    /// A worker's word about its running turn: told, and no more. So many of them and no more, or telling would be all that we do.
    pub(super) fn refused_inside(
        &mut self,
        cx: &mut Cx<'_>,
        worker: WorkerId,
        call: CallId,
        (permission, count): (String, u32),
    ) {
        let Some(slot) = self.workers.get_mut(&worker) else { return };
        if slot.phase == WorkerPhase::Dying {
            return;
        }
        slot.asides += 1;
        let head = slot.calls.front().copied().filter(|head| head.id == call);
        let Some(Call { what: CallKind::Turn(session, seq), .. }) = head else {
            let why = format!("told of a refusal in call {call}, which is not the running turn");
            return self.kill(cx, worker, KillReason::Protocol(why));
        };
        if slot.asides > ASIDES_MAX {
            let why = format!("told of more than {ASIDES_MAX} refusals in one turn");
            return self.kill(cx, worker, KillReason::Protocol(why));
        }
        cx.notice(Notice::RefusedInside { session, seq, permission, count });
    }

    pub(super) fn host_answered(&mut self, cx: &mut Cx<'_>, key: HostKey, status: i32, answer: Payload) {
        let Some(session) = self.sessions.get_mut(&key.session) else { return };
        let at = session.worker();
        let Some(flight) = session.flights.iter_mut().find(|flight| flight.seq == key.seq) else { return };
        if flight.calls.len() != key.index as usize {
            return;
        }
        let Some(asking) = flight.asking.take() else { return };
        let record = CallRecord { asked: asking.asked, status, answer };
        flight.calls.push(record.clone());
        let running = at.and_then(|worker| self.workers.get(&worker)).and_then(|slot| {
            let head = slot.calls.front()?;
            (head.what == CallKind::Turn(key.session, key.seq)).then_some((slot.id, head.id))
        });
        if let Some((worker, call)) = running.filter(|_| asking.waits) {
            flight.told += 1;
            cx.act(Action::Send { worker, call, message: ToWorker::CallAnswer(record) });
        }
    }

    /// A turn was not what it was before: from now on a snapshot is taken with every turn, so that little is replayed.
    pub(super) fn diverged(&mut self, cx: &mut Cx<'_>, session: SessionId, seq: u64) {
        self.diverges = true;
        cx.notice(Notice::Diverged { session, seq });
    }
}

/// Finds what is known of the question that the running worker asks next; and says whether it was another one the first time.
///
/// A worker ends when it is answered to something else than it asked; and what counts for replays is what the run asked that had an
/// outcome. So the latest question takes the first one's place.
fn look_up(flight: &mut Flight, asked: u64) -> (Ask, bool) {
    if let Some(record) = flight.calls.get_mut(flight.told) {
        let first = std::mem::replace(&mut record.asked, asked);
        return (Ask::Known(record.clone()), first != asked);
    }
    if let Some(asking) = &mut flight.asking {
        let first = std::mem::replace(asking, Asking { asked, waits: true }).asked;
        return (Ask::Pending, first != asked);
    }
    (Ask::Fresh, false)
}

/// A turn has its outcome: what an earlier run asked and this one did not is no part of it. Says whether there was any.
pub(super) fn settle_calls(flight: &mut Flight) -> bool {
    let is_more = flight.calls.len() > flight.told || flight.asking.is_some();
    flight.calls.truncate(flight.told);
    is_more
}
