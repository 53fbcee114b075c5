//! A made-up world for one game: workers that are a few lines of code, a clock that is a number, deaths on command.
//!
//! The plugin in it: a session's state is a hash over everything that it was given; some payloads fail, some kill the worker.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{Hash, Hasher};

use croupier_core::action::{Action, Answered, KillReason, Notice, Run, ToWorker, TurnMessage, Wanted};
use croupier_core::event::{
    Answer, Cause, Event, Input, LiveSessions, Open, Options, Turn, TurnAnswer, WhenFull,
};
use croupier_core::ids::{CallId, ClientId, Now, Payload, PlayerId, RequestId, SessionId, WorkerId, kind};
use croupier_core::session::journal::chain;
use croupier_core::{Game, Refusal, Spec};
use croupier_fair::entry::{Entry, Verdict};
use croupier_fair::seed::ServerSeed;

pub(crate) const MS: u64 = 1_000_000;

/// What an action's payload makes the plugin do.
pub(crate) const COUNT: &[u8] = b"count";
pub(crate) const FAIL: &[u8] = b"fail";
pub(crate) const KILL: &[u8] = b"kill";
/// Succeeds once, and kills every worker that replays it.
pub(crate) const TRAP: &[u8] = b"trap";

type State = u64;

#[derive(Default)]
pub(crate) struct FakeWorker {
    pub(crate) inbox: VecDeque<(CallId, ToWorker)>,
    sessions: BTreeMap<SessionId, State>,
    pub(crate) loaded: bool,
    pub(crate) killed: Option<KillReason>,
}

pub(crate) struct World {
    pub(crate) game: Game,
    pub(crate) now: Now,
    pub(crate) workers: BTreeMap<WorkerId, FakeWorker>,
    pub(crate) answers: HashMap<RequestId, Result<Answered, Refusal>>,
    pub(crate) notices: Vec<Notice>,
    pub(crate) records: BTreeMap<SessionId, Vec<Entry>>,
    pub(crate) closed: Vec<SessionId>,
    pub(crate) last_request: u64,
    pub(crate) last_session: u64,
    pub(crate) stopped: bool,
    /// Sessions whose worker-side state was last seen, for the final comparison.
    pub(crate) seen: BTreeMap<SessionId, (u64, State)>,
    client_seqs: HashMap<SessionId, u64>,
    /// What each turn was given the first time: it must be the same every time.
    given: HashMap<(SessionId, u64), TurnMessage>,
    /// So many restores are refused.
    pub(crate) refuse_restores: u32,
    /// The plugin gives no snapshots.
    pub(crate) no_snapshots: bool,
}

fn digest(parts: impl Hash) -> u64 {
    let mut hash = std::hash::DefaultHasher::new();
    parts.hash(&mut hash);
    hash.finish()
}

/// The state after a turn; what a session must be at the end is folded from the records with this.
pub(crate) fn after(state: State, seq: u64, now_ns: u64, kind: u16, player: u64, payload: &[u8]) -> State {
    digest((state, seq, now_ns, kind, player, payload))
}

impl FakeWorker {
    pub(crate) fn holds_turn(&self, session: SessionId) -> bool {
        let ours = |turn: &TurnMessage| turn.session == session && turn.run == Run::First;
        self.inbox.iter().any(|(_, message)| matches!(message, ToWorker::Turn(turn) if ours(turn)))
    }
}

impl World {
    pub(crate) fn new(change: impl FnOnce(&mut Spec)) -> World {
        let mut spec = Spec::new("fake", [1; 32]);
        spec.snapshots.turns = 8;
        change(&mut spec);
        let mut world = World {
            game: Game::new(spec),
            now: Now { mono_ns: 1_000 * MS, wall_ns: 1_700_000_000_000 * MS },
            workers: BTreeMap::new(),
            answers: HashMap::new(),
            notices: Vec::new(),
            records: BTreeMap::new(),
            closed: Vec::new(),
            last_request: 0,
            last_session: 0,
            stopped: false,
            seen: BTreeMap::new(),
            client_seqs: HashMap::new(),
            given: HashMap::new(),
            refuse_restores: 0,
            no_snapshots: false,
        };
        let request = world.request();
        world.step(Event::Start { request });
        world.settle();
        assert_eq!(world.answers[&request], Ok(Answered::Ok));
        world
    }

    pub(crate) fn request(&mut self) -> RequestId {
        self.last_request += 1;
        RequestId(self.last_request)
    }

    pub(crate) fn step(&mut self, event: Event) {
        let mut actions = Vec::new();
        self.game.step(self.now, event, &mut actions);
        for action in actions {
            self.perform(action);
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Spawn { worker } => {
                self.workers.insert(worker, FakeWorker::default());
            }
            Action::Kill { worker, why } => {
                self.workers.get_mut(&worker).expect("kills only what lives").killed = Some(why);
            }
            Action::Send { worker, call, message } => {
                if let ToWorker::Turn(turn) = &message {
                    self.check_given(turn);
                }
                self.workers
                    .get_mut(&worker)
                    .expect("sends only to what lives")
                    .inbox
                    .push_back((call, message));
            }
            Action::Answer { request, result } => {
                let before = self.answers.insert(request, result);
                assert!(before.is_none(), "request {request} was answered twice");
            }
            Action::Record { session, entry } => {
                let records = self.records.entry(session).or_default();
                let expected = records.last().map_or(1, |last| last.seq + 1);
                assert_eq!(entry.seq, expected, "records of session {session} have a gap");
                records.push(entry);
            }
            Action::Notice(notice) => self.notices.push(notice),
            Action::TranscriptClose { session, .. } => self.closed.push(session),
            Action::Stopped => self.stopped = true,
            Action::HostCall { .. } | Action::Output(_) | Action::TranscriptOpen { .. } => {}
        }
    }

    /// Number, time, seed and payload of a turn never change, however often it is sent.
    fn check_given(&mut self, turn: &TurnMessage) {
        let plain = TurnMessage { run: Run::First, snapshot: Wanted::No, ..turn.clone() };
        let first = self.given.entry((turn.session, turn.seq)).or_insert_with(|| plain.clone());
        assert_eq!(*first, plain, "a turn is not what it was");
    }

    pub(crate) fn open(&mut self) -> (SessionId, RequestId) {
        self.open_with(COUNT, Options::default())
    }

    pub(crate) fn open_with(&mut self, config: &[u8], options: Options) -> (SessionId, RequestId) {
        self.last_session += 1;
        let session = SessionId(self.last_session);
        let request = self.request();
        let seed = ServerSeed::from_bytes([self.last_session as u8; 32]);
        self.step(Event::Open(Open { request, session, config: Payload::from(config), seed, options }));
        (session, request)
    }

    pub(crate) fn turn(&mut self, session: SessionId, kind: u16, player: u64, payload: &[u8]) -> RequestId {
        let seq = self.client_seqs.entry(session).or_default();
        *seq += 1;
        let client_seq = *seq;
        self.turn_as(session, client_seq, kind, player, payload)
    }

    pub(crate) fn turn_as(
        &mut self,
        session: SessionId,
        client_seq: u64,
        kind: u16,
        player: u64,
        payload: &[u8],
    ) -> RequestId {
        self.submit(session, client_seq, (kind, player, payload), None)
    }

    /// An action whose caller waits at most so long.
    pub(crate) fn act_by(&mut self, session: SessionId, payload: &[u8], ms: u64) -> RequestId {
        let seq = self.client_seqs.entry(session).or_default();
        *seq += 1;
        let client_seq = *seq;
        let deadline = self.now.mono_ns + ms * MS;
        self.submit(session, client_seq, (kind::ACTION, 0, payload), Some(deadline))
    }

    fn submit(
        &mut self,
        session: SessionId,
        client_seq: u64,
        (kind, player, payload): (u16, u64, &[u8]),
        deadline_mono_ns: Option<u64>,
    ) -> RequestId {
        let request = self.request();
        let input = Input {
            kind,
            player: PlayerId(player),
            payload: Payload::from(payload),
            client_seed: Payload::from([]),
        };
        self.step(Event::Turn(Turn {
            request,
            session,
            client: ClientId(1),
            client_seq,
            input,
            when_full: WhenFull::Wait,
            deadline_mono_ns,
        }));
        request
    }

    pub(crate) fn act(&mut self, session: SessionId, payload: &[u8]) -> RequestId {
        self.turn(session, kind::ACTION, 0, payload)
    }

    pub(crate) fn unload(&mut self, sessions: LiveSessions) -> RequestId {
        let request = self.request();
        self.step(Event::Unload { request, sessions });
        request
    }

    pub(crate) fn pass(&mut self, ms: u64) {
        self.now.mono_ns += ms * MS;
        self.now.wall_ns += ms * MS;
        self.step(Event::Wake);
    }

    pub(crate) fn die(&mut self, worker: WorkerId, cause: Cause) {
        if self.workers.remove(&worker).is_some() {
            self.step(Event::WorkerDied { worker, cause });
        }
    }

    /// Lets one worker do one thing. Says whether it had anything to do.
    pub(crate) fn work(&mut self, id: WorkerId) -> bool {
        let Some(worker) = self.workers.get_mut(&id) else { return false };
        if let Some(why) = worker.killed.take() {
            let cause = match why {
                KillReason::Retired => Cause::Asked,
                KillReason::Deadline => Cause::Deadline,
                KillReason::Protocol(why) => Cause::Protocol(why),
                KillReason::Init(why) => Cause::Start(why),
            };
            self.die(id, cause);
            return true;
        }
        if !worker.loaded {
            worker.loaded = true;
            self.step(Event::WorkerLoaded { worker: id });
            return true;
        }
        let Some((call, message)) = worker.inbox.pop_front() else { return false };
        match self.play(id, message) {
            Some(answer) => self.step(Event::Answer { worker: id, call, answer }),
            None => self.die(id, Cause::Fault { signal: 11 }),
        }
        true
    }

    fn play(&mut self, id: WorkerId, message: ToWorker) -> Option<Answer> {
        let worker = self.workers.get_mut(&id)?;
        Some(match message {
            ToWorker::Turn(turn) => {
                let mut answer = play_turn(worker, &mut self.seen, &turn)?;
                answer.snapshot = answer.snapshot.filter(|_| !self.no_snapshots);
                Answer::Done(Box::new(answer))
            }
            ToWorker::Restore { .. } if self.refuse_restores > 0 => {
                self.refuse_restores -= 1;
                Answer::Failed { status: -2, text: "I do not know this".to_owned() }
            }
            ToWorker::Restore { session, snapshot, .. } => {
                let state = u64::from_le_bytes(snapshot.as_ref().try_into().expect("a snapshot of ours"));
                assert!(worker.sessions.insert(session, state).is_none(), "{session} restored twice");
                Answer::Ok
            }
            ToWorker::Drop { session } => {
                worker.sessions.remove(&session);
                Answer::Ok
            }
            ToWorker::Init { .. } | ToWorker::Suspend | ToWorker::Resume | ToWorker::Shutdown => Answer::Ok,
            ToWorker::CallAnswer(_) => panic!("nobody asked"),
        })
    }

    /// Lets everybody work until nobody has anything to do, and time pass where something waits for it.
    pub(crate) fn settle(&mut self) {
        for _ in 0..100_000 {
            let ids: Vec<WorkerId> = self.workers.keys().copied().collect();
            let mut busy = false;
            for id in ids {
                busy |= self.work(id);
            }
            if busy {
                continue;
            }
            // Only wait for what comes soon: retries and respawns, not deadlines.
            match self.game.next_wake() {
                Some(at) if at <= self.now.mono_ns + 3_000 * MS => {
                    let ms = at.saturating_sub(self.now.mono_ns).div_ceil(MS);
                    self.pass(ms);
                }
                _ => return,
            }
        }
        panic!("the world does not settle");
    }

    /// Lets everybody work until nobody has anything to do now.
    pub(crate) fn settle_now(&mut self) {
        loop {
            let ids: Vec<WorkerId> = self.workers.keys().copied().collect();
            if !ids.into_iter().fold(false, |busy, id| self.work(id) | busy) {
                return;
            }
        }
    }

    /// What each session's state must be, folded from its records; compared with what workers hold.
    pub(crate) fn check_states(&self) {
        for (id, (seq, state)) in &self.seen {
            let mut expected = 0;
            for entry in self.records.get(id).into_iter().flatten() {
                if matches!(entry.verdict, Verdict::Done { .. } | Verdict::Failed { .. }) && entry.seq <= *seq
                {
                    expected =
                        after(expected, entry.seq, entry.now_ns, entry.kind, entry.player, &entry.payload);
                }
            }
            assert_eq!(*state, expected, "session {id} is not what its records say");
        }
    }
}

fn play_turn(
    worker: &mut FakeWorker,
    seen: &mut BTreeMap<SessionId, (u64, State)>,
    turn: &TurnMessage,
) -> Option<TurnAnswer> {
    let replay = turn.run == Run::Replay;
    if &*turn.payload == KILL || (&*turn.payload == TRAP && replay) {
        return None;
    }
    let state = match turn.kind {
        kind::OPEN => 0,
        _ => *worker.sessions.get(&turn.session).expect("turns only for sessions that are there"),
    };
    let next = after(state, turn.seq, turn.now_ns, turn.kind, turn.player.0, &turn.payload);
    let status = if &*turn.payload == FAIL { -1 } else { 0 };
    if turn.kind == kind::CLOSE || (turn.kind == kind::OPEN && status < 0) {
        worker.sessions.remove(&turn.session);
    } else {
        worker.sessions.insert(turn.session, next);
    }
    seen.insert(turn.session, (turn.seq, next));
    let outcome = chain(next, status as u64);
    Some(TurnAnswer {
        status,
        reply: Payload::from(next.to_le_bytes()),
        error: if status < 0 { "as you wished".to_owned() } else { String::new() },
        effects: Vec::new(),
        claimed: outcome,
        seen: outcome,
        snapshot: (turn.snapshot == Wanted::Yes).then(|| Payload::from(next.to_le_bytes())),
        diverged: false,
    })
}
