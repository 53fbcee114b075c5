//! How a session goes: callers are told, its transcript ends, and its answers are remembered for a while.

use std::collections::{BTreeMap, VecDeque};

use super::workers::CallKind;
use super::{Cx, Game};
use crate::action::{Action, EndReason, Notice, ToWorker};
use crate::ids::SessionId;
use crate::lifecycle::State;
use crate::refusal::Refusal;
use crate::session::keys::Keys;

/// Ended sessions whose answers are remembered, so that a repeated last turn still gets its answer.
const ENDED_REMEMBERED: usize = 4096;
/// Bytes of answers that are remembered of all of them.
const ENDED_BYTES_MAX: usize = 16 << 20;
/// How long they are remembered at most: longer than a client tries to get its connection back. Two minutes.
const ENDED_NS: u64 = 120 * 1_000_000_000;

/// The keys of sessions that have ended, the oldest forgotten first.
#[derive(Debug, Default)]
pub(super) struct Ended {
    keys: BTreeMap<SessionId, Keys>,
    order: VecDeque<Old>,
    bytes: usize,
}

#[derive(Debug)]
struct Old {
    session: SessionId,
    bytes: usize,
    since_mono_ns: u64,
}

impl Ended {
    pub(super) fn get(&self, session: SessionId) -> Option<&Keys> {
        self.keys.get(&session)
    }

    /// Sessions whose answers are remembered.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Bytes of the answers, roughly.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn remember(&mut self, session: SessionId, keys: Keys, now_mono_ns: u64) {
        let bytes = keys.bytes();
        self.keys.insert(session, keys);
        self.order.push_back(Old { session, bytes, since_mono_ns: now_mono_ns });
        self.bytes += bytes;
        self.forget_old(now_mono_ns);
    }

    /// Forgets what nobody will ask for any more, and what there is no room for.
    pub(super) fn forget_old(&mut self, now_mono_ns: u64) {
        while let Some(oldest) = self.order.front() {
            let too_much =
                self.order.len() > ENDED_REMEMBERED || (self.bytes > ENDED_BYTES_MAX && self.order.len() > 1);
            if !too_much && now_mono_ns.saturating_sub(oldest.since_mono_ns) < ENDED_NS {
                return;
            }
            self.keys.remove(&oldest.session);
            self.bytes -= oldest.bytes;
            self.order.pop_front();
        }
    }
}

impl Game {
    /// Refuses an open whose session never came to be.
    pub(super) fn refuse_open(&mut self, cx: &mut Cx<'_>, id: SessionId, refusal: Refusal) {
        if let Some(session) = self.sessions.get_mut(&id)
            && let Some(request) = session.open_request.take()
        {
            cx.answer(request, Err(refusal));
        }
        self.end(cx, id, EndReason::OpenRefused);
    }

    /// Takes a session out.
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
        self.write_ended(cx, &session, reason);
        let mut waiters = Vec::new();
        for key in session.queue.take_theirs() {
            waiters.extend(session.keys.forget(key));
        }
        for key in session.flights.iter().filter_map(|flight| flight.key) {
            waiters.extend(session.keys.take_waiters(key));
        }
        cx.answer_all(waiters, &Err(Refusal::SessionClosed(id)));
        // The last turn with an outcome: of sessions without state the journal has the opening alone.
        cx.notice(Notice::SessionEnded { session: id, reason, seq: session.recorded.last_seq });
        cx.act(Action::TranscriptClose { session: id, seed: session.seed, reason });
        if reason != EndReason::OpenRefused {
            self.ended.remember(id, session.keys, cx.now.mono_ns);
        }
        if self.state == State::Unloading {
            self.settle_unload(cx);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Done;
    use crate::ids::{ClientId, Payload, RequestId};

    /// The keys of a session that gave one answer of so many bytes.
    fn keys(reply_bytes: usize) -> Keys {
        let mut keys = Keys::default();
        keys.begin((ClientId(1), 1), 0, RequestId(1), 0, 1);
        let reply = Payload::from(vec![0; reply_bytes]);
        keys.finish((ClientId(1), 1), &Ok(Done { seq: 2, now_ns: 0, reply, retries: 0 }));
        keys
    }

    #[test]
    fn ended_sessions_are_remembered_up_to_a_count_up_to_bytes_and_for_a_while() {
        let mut ended = Ended::default();
        for id in 0..5000 {
            ended.remember(SessionId(id), keys(10), id);
        }
        assert_eq!(ended.keys.len(), ENDED_REMEMBERED);
        for id in 5000..5100 {
            ended.remember(SessionId(id), keys(1 << 20), id);
        }
        assert!(ended.keys.len() < 17 && ended.bytes <= ENDED_BYTES_MAX, "{}", ended.keys.len());
        assert!(ended.get(SessionId(5099)).is_some());
        ended.forget_old(5098 + ENDED_NS);
        assert_eq!(ended.keys.keys().copied().collect::<Vec<_>>(), [SessionId(5099)]);
        ended.forget_old(5099 + ENDED_NS);
        assert_eq!((ended.keys.len(), ended.order.len(), ended.bytes), (0, 0, 0));
    }
}
