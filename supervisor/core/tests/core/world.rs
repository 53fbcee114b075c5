//! A made-up world for one game: made-up workers, a platform that answers when told to, a clock that is a number, deaths on command.
//!
//! What must always hold is checked as it happens (see also `checks`): every request is answered once, every turn is given the same way
//! each time, every host call is performed once, records and outputs have no gaps.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use croupier_core::action::{Action, Answered, CallRecord, EndReason, KillReason, Notice, Run, Wanted};
use croupier_core::action::{Output, ToWorker, TurnMessage};
use croupier_core::event::{
    Answer, Cause, Event, HostKey, Input, LiveSessions, Open, Options, Turn, WhenFull,
};
use croupier_core::ids::{CallId, ClientId, Now, Payload, PlayerId, RequestId, SessionId, WorkerId, kind};
use croupier_core::policy::restart::RestartPolicy;
use croupier_core::{Game, Refusal, Spec};
use croupier_fair::entry::Entry;
use croupier_fair::seed::ServerSeed;

use crate::disk::Disk;
pub(crate) use crate::fake::{ASK, ASK_KILL, COUNT, DENIED, FAIL, KILL, SEND, TRAP};
use crate::fake::{Deed, FakeWorker, Faults, State, digest};

pub(crate) const MS: u64 = 1_000_000;

/// A session as its transcript has it.
#[derive(Default)]
pub(crate) struct Opened {
    pub(crate) opened_ns: u64,
    pub(crate) tick_ns: u64,
    pub(crate) ended: Option<EndReason>,
}

pub(crate) struct World {
    pub(crate) game: Game,
    pub(crate) now: Now,
    pub(crate) workers: BTreeMap<WorkerId, FakeWorker>,
    pub(crate) answers: HashMap<RequestId, Result<Answered, Refusal>>,
    pub(crate) cancelled: BTreeSet<RequestId>,
    pub(crate) notices: Vec<Notice>,
    pub(crate) records: BTreeMap<SessionId, Vec<Entry>>,
    pub(crate) outputs: BTreeMap<SessionId, Vec<Output>>,
    pub(crate) opened: BTreeMap<SessionId, Opened>,
    pub(crate) closed: Vec<SessionId>,
    pub(crate) last_request: u64,
    pub(crate) last_session: u64,
    pub(crate) stopped: bool,
    /// Sessions whose worker-side state was last seen, for the final comparison.
    pub(crate) seen: BTreeMap<SessionId, (u64, State)>,
    client_seqs: HashMap<SessionId, u64>,
    /// What each turn was given the first time: it must be the same every time.
    pub(crate) given: HashMap<(SessionId, u64), TurnMessage>,
    /// Host calls that the platform is performing, and all that it ever performed.
    pub(crate) questions: VecDeque<HostKey>,
    pub(crate) performed: HashSet<HostKey>,
    pub(crate) faults: Faults,
    pub(crate) disk: Disk,
    /// Sessions that ended just before the supervisor died: nobody saw their last turns.
    pub(crate) cut_short: BTreeSet<SessionId>,
    /// Everything that the game had done, pings apart.
    deeds: u64,
    /// So many of the workers' words and of turns are heard in one step, at the most; 0 is one, too.
    pub(crate) at_once: usize,
    /// What is to be heard with the next event.
    pub(crate) heard: Vec<Event>,
}

impl World {
    pub(crate) fn new(change: impl FnOnce(&mut Spec)) -> World {
        let mut world = World::unloaded(change);
        let request = world.start();
        world.settle();
        assert_eq!(world.answers[&request], Ok(Answered::Ok));
        world
    }

    pub(crate) fn unloaded(change: impl FnOnce(&mut Spec)) -> World {
        let mut spec = World::spec();
        change(&mut spec);
        World {
            game: Game::new(spec),
            now: Now { mono_ns: 1_000 * MS, wall_ns: 1_700_000_000_000 * MS },
            workers: BTreeMap::new(),
            answers: HashMap::new(),
            cancelled: BTreeSet::new(),
            notices: Vec::new(),
            records: BTreeMap::new(),
            outputs: BTreeMap::new(),
            opened: BTreeMap::new(),
            closed: Vec::new(),
            last_request: 0,
            last_session: 0,
            stopped: false,
            seen: BTreeMap::new(),
            client_seqs: HashMap::new(),
            given: HashMap::new(),
            questions: VecDeque::new(),
            performed: HashSet::new(),
            faults: Faults::default(),
            disk: Disk::default(),
            cut_short: BTreeSet::new(),
            deeds: 0,
            at_once: 0,
            heard: Vec::new(),
        }
    }

    pub(crate) fn spec() -> Spec {
        let mut spec = Spec::new("fake", [1; 32]);
        (spec.snapshots.turns, spec.snapshots.turns_min) = (8, u64::MAX);
        spec.grants.send = true;
        spec.grants.emit.insert("table".to_owned());
        spec.grants.call.insert("bank".to_owned());
        // They make time pass as they like; those that are about pings have them.
        spec.watch.ping_every_ns = 0;
        // Tests let workers die far more often than anybody would bear.
        spec.restart = RestartPolicy { deaths_max: u32::MAX, pause_max_ns: 0, ..RestartPolicy::default() };
        spec
    }

    pub(crate) fn request(&mut self) -> RequestId {
        self.last_request += 1;
        RequestId(self.last_request)
    }

    pub(crate) fn step(&mut self, event: Event) {
        self.heard.push(event);
        self.hear();
    }

    /// What was heard becomes a step, together with whatever comes with it.
    pub(crate) fn hear(&mut self) {
        if self.heard.is_empty() {
            return;
        }
        let mut actions = Vec::new();
        self.game.step_all(self.now, std::mem::take(&mut self.heard), &mut actions);
        for action in actions {
            self.perform(action);
        }
    }

    /// A worker's word, or a turn: heard now, or with others.
    fn say(&mut self, event: Event) {
        self.heard.push(event);
        if self.heard.len() >= self.at_once {
            self.hear();
        }
    }

    fn perform(&mut self, action: Action) {
        self.deeds += u64::from(!matches!(&action, Action::Send { message: ToWorker::Ping, .. }));
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
                let slot = self.workers.get_mut(&worker).expect("sends only to what lives");
                slot.inbox.push_back((call, message));
            }
            Action::Answer { request, result } => {
                assert!(!self.cancelled.contains(&request), "request {request} went away and was answered");
                let before = self.answers.insert(request, result);
                assert!(before.is_none(), "request {request} was answered twice");
            }
            Action::Record { session, entry } => {
                let records = self.records.entry(session).or_default();
                let expected = records.last().map_or(1, |last| last.seq + 1);
                assert_eq!(entry.seq, expected, "records of session {session} have a gap");
                records.push(entry);
            }
            Action::Output(output) => {
                let outputs = self.outputs.entry(output.session).or_default();
                assert_eq!(output.number, outputs.len() as u64 + 1, "outputs have a gap");
                outputs.push(output);
            }
            Action::Notice(notice) => self.notices.push(notice),
            Action::TranscriptOpen { session, opened_ns, tick_ns, .. } => {
                let before = self.opened.insert(session, Opened { opened_ns, tick_ns, ended: None });
                assert!(before.is_none(), "session {session} began twice");
            }
            Action::TranscriptClose { session, reason, .. } => {
                let Some(opened) = self.opened.get_mut(&session) else {
                    return assert_eq!(reason, EndReason::OpenRefused, "ends only what began");
                };
                let before = opened.ended.replace(reason);
                assert!(before.is_none() || self.disk.closes_again(session), "session {session} ended twice");
                self.closed.push(session);
            }
            Action::HostCall { key, name, .. } => {
                assert_eq!(name, "bank", "only what is granted");
                let again = self.disk.again.remove(&key);
                assert!(self.performed.insert(key) || again, "{key:?} is performed twice");
                self.questions.push_back(key);
            }
            Action::Journal(entry) => self.disk.take(*entry),
            Action::Stopped => self.stopped = true,
        }
    }

    /// Number, time, seed and payload of a turn never change, however often it is sent; host calls are only added.
    fn check_given(&mut self, turn: &TurnMessage) {
        let plain = TurnMessage { run: Run::First, snapshot: Wanted::No, ..turn.clone() };
        let first = self.given.entry((turn.session, turn.seq)).or_insert_with(|| plain.clone());
        let answers = |calls: &[CallRecord]| -> Vec<(i32, Payload)> {
            calls.iter().map(|call| (call.status, call.answer.clone())).collect()
        };
        assert!(answers(&plain.calls).starts_with(&answers(&first.calls)), "a host call's answer changed");
        first.calls.clone_from(&plain.calls);
        assert_eq!(*first, plain, "a turn is not what it was");
    }

    pub(crate) fn start(&mut self) -> RequestId {
        let request = self.request();
        self.step(Event::Start { request });
        request
    }

    pub(crate) fn suspend(&mut self) -> RequestId {
        let request = self.request();
        self.step(Event::Suspend { request });
        request
    }

    pub(crate) fn resume(&mut self) -> RequestId {
        let request = self.request();
        self.step(Event::Resume { request });
        request
    }

    pub(crate) fn restart(&mut self) -> RequestId {
        let request = self.request();
        self.step(Event::Restart { request });
        request
    }

    pub(crate) fn scale(&mut self, replicas: u32) -> RequestId {
        let request = self.request();
        self.step(Event::Scale { request, replicas });
        request
    }

    pub(crate) fn release(&mut self) -> RequestId {
        let request = self.request();
        self.step(Event::Release { request });
        request
    }

    pub(crate) fn unload(&mut self, sessions: LiveSessions) -> RequestId {
        let request = self.request();
        self.step(Event::Unload { request, sessions });
        request
    }

    pub(crate) fn drop_held(&mut self, session: SessionId) -> RequestId {
        let request = self.request();
        self.step(Event::DropHeld { request, session });
        request
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

    /// A turn of client 1 with its next number.
    fn next_turn(&mut self, session: SessionId, (kind, player, payload): (u16, u64, &[u8])) -> Turn {
        let seq = self.client_seqs.entry(session).or_default();
        *seq += 1;
        let client_seq = *seq;
        turn(session, client_seq, (kind, player, payload))
    }

    pub(crate) fn turn(&mut self, session: SessionId, kind: u16, player: u64, payload: &[u8]) -> RequestId {
        let turn = self.next_turn(session, (kind, player, payload));
        self.submit(turn)
    }

    pub(crate) fn turn_as(
        &mut self,
        session: SessionId,
        client_seq: u64,
        kind: u16,
        player: u64,
        payload: &[u8],
    ) -> RequestId {
        self.submit(turn(session, client_seq, (kind, player, payload)))
    }

    pub(crate) fn act(&mut self, session: SessionId, payload: &[u8]) -> RequestId {
        self.turn(session, kind::ACTION, 0, payload)
    }

    /// An action whose caller waits at most so long.
    pub(crate) fn act_by(&mut self, session: SessionId, payload: &[u8], ms: u64) -> RequestId {
        let turn = self.next_turn(session, (kind::ACTION, 0, payload));
        let deadline = self.now.mono_ns + ms * MS;
        self.submit(Turn { deadline_mono_ns: Some(deadline), ..turn })
    }

    /// Sends a turn in under a fresh request.
    pub(crate) fn submit(&mut self, turn: Turn) -> RequestId {
        let request = self.request();
        self.say(Event::Turn(Turn { request, ..turn }));
        request
    }

    /// The caller goes away.
    pub(crate) fn cancel(&mut self, request: RequestId, session: SessionId) {
        // It may be answered with what was said before.
        self.hear();
        if !self.answers.contains_key(&request) && self.cancelled.insert(request) {
            self.step(Event::Cancel { request, session });
        }
    }

    pub(crate) fn pass(&mut self, ms: u64) {
        self.now.mono_ns += ms * MS;
        self.now.wall_ns += ms * MS;
        self.step(Event::Wake);
    }

    pub(crate) fn die(&mut self, worker: WorkerId, cause: Cause) {
        // What it said before is heard before.
        self.hear();
        if self.workers.remove(&worker).is_some() {
            self.step(Event::WorkerDied { worker, cause });
        }
    }

    /// The platform answers its oldest question.
    pub(crate) fn answer_host(&mut self) -> bool {
        let Some(key) = self.questions.pop_front() else { return false };
        let answer = Payload::from(digest(key).to_le_bytes());
        self.step(Event::HostAnswer { key, status: 0, answer });
        true
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
        let Some((call, message)) = worker.next() else {
            let waits = !self.heard.is_empty();
            self.hear();
            return waits;
        };
        let about = match &message {
            ToWorker::Turn(turn) => Some((turn.session, turn.seq)),
            _ => None,
        };
        let deed = worker.play(call, message, &mut self.faults);
        if let (Deed::Done(done), Some((session, seq))) = (&deed, about) {
            let state = u64::from_le_bytes(done.reply.as_ref().try_into().expect("a reply of ours"));
            self.seen.insert(session, (seq, state));
        }
        self.do_deed(id, call, deed);
        true
    }

    fn do_deed(&mut self, worker: WorkerId, call: CallId, deed: Deed) {
        let answer = match deed {
            Deed::Ok => Answer::Ok,
            Deed::Failed => Answer::Failed { status: -2, text: "I do not know this".to_owned() },
            Deed::Done(done) => Answer::Done(done),
            Deed::Ask(index, name, asked) => {
                let (name, args) = (name.to_owned(), Payload::from([]));
                return self.say(Event::HostCall { worker, call, index, name, args, asked });
            }
            Deed::Die => return self.die(worker, Cause::Fault { signal: 11 }),
        };
        self.say(Event::Answer { worker, call, answer });
    }

    /// Lets everybody work until nobody has anything to do, and time pass where something waits for it.
    pub(crate) fn settle(&mut self) {
        // Pings go on for ever.
        let (mut deeds, mut quiet_since) = (self.deeds, self.now.mono_ns);
        for _ in 0..100_000 {
            self.settle_now();
            if std::mem::replace(&mut deeds, self.deeds) != self.deeds {
                quiet_since = self.now.mono_ns;
            }
            if self.now.mono_ns > quiet_since + 3_000 * MS {
                return;
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
            self.settle_now_with(|_, _| true);
            if !self.disk.waiting.is_empty() {
                self.sync(usize::MAX);
            } else if !self.answer_host() {
                return;
            }
        }
    }

    /// Lets these workers work, and the platform not, until none has anything to do now.
    pub(crate) fn settle_now_with(&mut self, works: impl Fn(&World, WorkerId) -> bool) {
        for _ in 0..1_000_000 {
            let ids: Vec<WorkerId> = self.workers.keys().copied().collect();
            let mut busy = false;
            for id in ids {
                busy |= self.workers.contains_key(&id) && works(self, id) && self.work(id);
            }
            if !busy && self.heard.is_empty() {
                return;
            }
            if !busy {
                self.hear();
            }
        }
        panic!("the workers do not come to rest");
    }
}

/// A turn of client 1. Its request is given when it is sent.
pub(crate) fn turn(session: SessionId, client_seq: u64, (kind, player, payload): (u16, u64, &[u8])) -> Turn {
    Turn {
        request: RequestId(0),
        session,
        client: ClientId(1),
        client_seq,
        input: Input {
            kind,
            player: PlayerId(player),
            payload: Payload::from(payload),
            client_seed: Payload::from([]),
        },
        when_full: WhenFull::Wait,
        no_room: false,
        deadline_mono_ns: None,
    }
}
