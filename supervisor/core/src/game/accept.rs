//! Requests from outside: checked, deduplicated by key, and put into the session's queue.
//!
//! Nothing here has a number yet: whatever is refused here leaves no trace.

use std::collections::{BTreeMap, VecDeque};
use std::hash::Hasher;

use croupier_fair::seed::{CLIENT_SEED_BYTES_MAX, Mix};
use xxhash_rust::xxh3::Xxh3;

use super::timers::Alarm;
use super::{Cx, Game};
use crate::action::{Action, Answered, EndReason};
use crate::durable::Durability;
use crate::event::{Input, Open, Turn, WhenFull};
use crate::ids::{Payload, PlayerId, RequestId, SessionId, kind};
use crate::lifecycle::{State, Step};
use crate::line::Line;
use crate::refusal::Refusal;
use crate::session::chance::Chance;
use crate::session::journal::Journal;
use crate::session::keys::{Begin, Key, Keys, WINDOW};
use crate::session::outputs::Outputs;
use crate::session::queue::{Pending, Queue};
use crate::session::recorded::Recorded;
use crate::session::ticker::Ticker;
use crate::session::{Flight, Home, Phase, Session, Trouble};

impl Game {
    pub(super) fn open(&mut self, cx: &mut Cx<'_>, open: Open) {
        if let Err(refusal) = self.may_open() {
            return cx.answer(open.request, Err(refusal));
        }
        if let Err(rest_ns) = self.breaker.admit(cx.now.mono_ns, &self.spec.breaker) {
            return cx.answer(open.request, Err(Refusal::Resting { rest_ns }));
        }
        self.ended.forget_old(cx.now.mono_ns);
        let id = open.session;
        let session = self.new_session(cx, open);
        cx.act(Action::TranscriptOpen {
            session: id,
            commit: session.commit,
            opened_ns: session.opened_ns,
            tick_ns: session.ticker.map_or(0, |ticker| ticker.period_ns()),
        });
        self.sessions.insert(id, session);
        self.make_ready(id);
    }

    fn may_open(&self) -> Result<(), Refusal> {
        if let Some(reason) = &self.down {
            return Err(Refusal::Down { reason: reason.clone() });
        }
        self.state.check(Step::Open)?;
        let max = self.spec.sessions_max;
        if self.sessions.len() >= max { Err(Refusal::TooManySessions { max }) } else { Ok(()) }
    }

    fn new_session(&self, cx: &Cx<'_>, open: Open) -> Session {
        let commit = open.seed.commit(open.session.0);
        let mix = Mix::start(&commit);
        let opened_ns = cx.now.wall_ns;
        let mut chance = Chance::new(&open.seed, open.session);
        let seed = chance.seed(&mix, 1);
        let journal = match open.options.durability.unwrap_or(self.spec.durability) {
            Durability::None => Journal::of_opening(),
            Durability::Process | Durability::Disk => Journal::default(),
        };
        let first = Flight::of_house(kind::OPEN, 1, opened_ns, (seed, mix), open.config);
        Session {
            id: open.session,
            phase: Phase::Opening,
            home: Home::None,
            epoch: 0,
            opened_ns,
            chance,
            seed: open.seed,
            commit,
            open_request: Some(open.request),
            mix,
            seats: BTreeMap::new(),
            queue: Queue::default(),
            queue_max: open.options.queue_max.unwrap_or(self.spec.queue_max).max(1),
            flights: Line::of(first),
            skips: VecDeque::new(),
            last_seq: 1,
            last_now_ns: opened_ns,
            journal,
            recorded: Recorded::new(opened_ns, mix),
            shelf: self.shelf(open.options.durability),
            keys: Keys::default(),
            outputs: Outputs::default(),
            ticker: Ticker::new(opened_ns, open.options.tick_ns.unwrap_or(self.spec.tick_ns)),
            tick_armed_ns: None,
            idle_ns: open.options.idle_ns.unwrap_or(self.spec.idle_ns),
            last_outside_mono_ns: cx.now.mono_ns,
            snapshot_mono_ns: cx.now.mono_ns,
            snapshot_asked: None,
            moving: None,
            snapshot_missed: (0, 0),
            poison: 0,
            trouble: Trouble::default(),
            listed: Default::default(),
            is_waiting: false,
            lost_mono_ns: None,
        }
    }

    pub(super) fn accept(&mut self, cx: &mut Cx<'_>, turn: Turn) {
        let (request, id) = (turn.request, turn.session);
        let is_full = |session: &Session| session.queue.len() >= session.queue_max as usize;
        if self.sessions.get(&id).is_some_and(is_full) {
            // Perhaps with turns that came at once with this one, and only have to go on.
            self.run_ready(cx);
        }
        let answer = self.try_accept(cx, turn);
        let is_said_again =
            matches!(answer, Ok(Some(_)) | Err(Refusal::Plugin { .. } | Refusal::Poison { .. }));
        let is_over = matches!(answer, Err(Refusal::Held { .. })) || self.ended.get(id).is_some();
        if is_said_again || is_over {
            // The same answer as before, or that it is over: perhaps the disk does not have it yet, and after a death it would not be so.
            cx.behind = match self.sessions.get(&id) {
                Some(session) => session.shelf.map(|shelf| shelf.newest_at),
                None => Some(self.gate.written()),
            };
        }
        match answer {
            Ok(None) => {}
            Ok(Some(outcome)) => cx.answer(request, Ok(outcome)),
            Err(refusal) => cx.answer(request, Err(refusal)),
        }
    }

    /// Puts a turn into its session's queue; or says what it answered before.
    fn try_accept(&mut self, cx: &mut Cx<'_>, turn: Turn) -> Result<Option<Answered>, Refusal> {
        let id = turn.session;
        let key = (turn.client, turn.client_seq);
        let body = hash(&turn.input);
        let Some(session) = self.sessions.get_mut(&id) else { return self.ended_before(id, key, body) };
        if let Phase::Held(reason) = &session.phase {
            let refusal = Refusal::Held { session: id, reason: reason.clone() };
            let outcome = session.keys.finished(key, body).unwrap_or(Err(refusal));
            return outcome.map(|done| Some(Answered::Done(done)));
        }
        let max = self.spec.clients_max;
        match session.keys.begin(key, body, turn.request, cx.now.mono_ns, max) {
            Begin::Fresh => {}
            Begin::Waiting if let Some(reason) = &self.down => {
                session.keys.leave(turn.request);
                return Err(Refusal::Down { reason: reason.clone() });
            }
            Begin::Waiting => {
                set_patience(&mut self.timers, &turn);
                return Ok(None);
            }
            Begin::Answered(outcome) => return outcome.map(|done| Some(Answered::Done(done))),
            Begin::Reused => {
                return Err(Refusal::KeyReused { session: id, client_seq: turn.client_seq });
            }
            Begin::Expired => {
                return Err(Refusal::KeyExpired { session: id, client_seq: turn.client_seq, window: WINDOW });
            }
            Begin::TooManyClients => return Err(Refusal::TooManyClients { session: id, max }),
        }
        let admitted = self.may_queue(id, &turn).and_then(|()| self.admit(cx, turn.input.kind));
        if let Err(refusal) = admitted {
            if let Some(session) = self.sessions.get_mut(&id) {
                session.keys.forget(key);
            }
            return Err(refusal);
        }
        set_patience(&mut self.timers, &turn);
        if let Some(session) = self.sessions.get_mut(&id) {
            session.last_outside_mono_ns = cx.now.mono_ns;
            session.queue.push(Pending { input: turn.input, key: Some(key), end: None });
        }
        self.make_ready(id);
        Ok(None)
    }

    /// Whether a fresh turn may enter its session's queue.
    fn may_queue(&self, id: SessionId, turn: &Turn) -> Result<(), Refusal> {
        if let Some(reason) = &self.down {
            return Err(Refusal::Down { reason: reason.clone() });
        }
        if turn.no_room {
            return Err(Refusal::NoRoom);
        }
        let session = self.sessions.get(&id).ok_or(Refusal::UnknownSession(id))?;
        if matches!(session.phase, Phase::Closing(_)) || self.state == State::Unloading {
            return Err(Refusal::SessionClosed(id));
        }
        match turn.input.kind {
            kind::OPEN | kind::TICK => return Err(Refusal::KindNotAllowed { kind: turn.input.kind }),
            kind::JOIN if matches!(turn.input.player, PlayerId::HOUSE | PlayerId::ALL) => {
                return Err(Refusal::NotAPlayer { player: turn.input.player });
            }
            _ => {}
        }
        let len = turn.input.client_seed.len();
        if len > CLIENT_SEED_BYTES_MAX {
            return Err(Refusal::ClientSeedTooLong { len, max: CLIENT_SEED_BYTES_MAX });
        }
        let room = match turn.when_full {
            WhenFull::Refuse => session.queue_max as usize,
            WhenFull::Wait => session.queue_max as usize + self.spec.lobby_max as usize,
        };
        if session.queue.len() >= room {
            return Err(Refusal::Busy { session: id, max: session.queue_max });
        }
        Ok(())
    }

    /// The session is gone; a repeated turn still gets the answer that it got then.
    fn ended_before(&self, id: SessionId, key: Key, body: u64) -> Result<Option<Answered>, Refusal> {
        match self.ended.get(id) {
            None => Err(Refusal::UnknownSession(id)),
            Some(keys) => match keys.finished(key, body) {
                Some(outcome) => outcome.map(|done| Some(Answered::Done(done))),
                None => Err(Refusal::SessionClosed(id)),
            },
        }
    }

    /// A caller went away.
    pub(super) fn cancel(&mut self, request: RequestId, id: SessionId) {
        self.gate.withdraw(request);
        if let Some(session) = self.sessions.get_mut(&id) {
            session.keys.leave(request);
        }
    }

    /// A caller's deadline passed. A turn that nobody waits for any more and that has no number yet is taken back.
    pub(super) fn patience_ended(&mut self, cx: &mut Cx<'_>, id: SessionId, request: RequestId) {
        if let Some(seq) = self.gate.withdraw(request) {
            // Played, and not on the disk yet.
            return cx.answer(request, Err(Refusal::Deadline { seq }));
        }
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let Some((key, others)) = session.keys.leave(request) else { return };
        let flying = session.flights.iter().find(|flight| flight.key == Some(key)).map(|flight| flight.seq);
        if flying.is_none() && others == 0 {
            session.queue.withdraw(key);
            session.keys.forget(key);
        }
        cx.answer(request, Err(Refusal::Deadline { seq: flying }));
    }

    pub(super) fn check_idle(&mut self, cx: &mut Cx<'_>, id: SessionId) {
        let Some(session) = self.sessions.get(&id) else { return };
        if session.idle_ns == 0 || session.phase != Phase::Live {
            return;
        }
        let waiting = session.queue.has_theirs() || session.flights.iter().any(|flight| flight.key.is_some());
        // Who cannot play is not idle.
        let barred = self.state == State::Suspended || self.down.is_some();
        let since = if waiting || barred { cx.now.mono_ns } else { session.last_outside_mono_ns };
        let at = since.saturating_add(session.idle_ns);
        if cx.now.mono_ns >= at {
            self.enqueue_close(id, EndReason::Idle);
        } else {
            self.timers.set(at, Alarm::Idle(id));
        }
    }

    /// The supervisor itself closes a session, behind what is queued.
    pub(super) fn enqueue_close(&mut self, id: SessionId, reason: EndReason) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let input = Input {
            kind: kind::CLOSE,
            player: PlayerId::HOUSE,
            payload: Payload::default(),
            client_seed: Payload::default(),
        };
        session.queue.push(Pending { input, key: None, end: Some(reason) });
        self.make_ready(id);
    }
}

fn set_patience(timers: &mut super::timers::Timers, turn: &Turn) {
    if let Some(at) = turn.deadline_mono_ns {
        timers.set(at, Alarm::Deadline(turn.session, turn.request));
    }
}

/// What a key stands for: two requests with the same key must agree in this.
fn hash(input: &Input) -> u64 {
    let mut hash = Xxh3::new();
    std::hash::Hash::hash(input, &mut hash);
    hash.finish()
}
