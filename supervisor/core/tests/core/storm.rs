//! A storm: whatever happens in whatever order, nothing acknowledged is lost, nothing is played twice, everybody is answered once,
//! and when it is over everything that is not set aside goes on. Random ones are in `storms`.

use std::collections::BTreeMap;

use croupier_core::Refusal;
use croupier_core::action::{Answered, Notice};
use croupier_core::durable::Durability;
use croupier_core::event::{Cause, Event, LiveSessions, Options, Turn};
use croupier_core::ids::{ClientId, Payload, RequestId, SessionId, WorkerId, kind};
use croupier_core::policy::usage::Look;
use croupier_fair::entry::Verdict;

use crate::weather::{Fault, Knobs, Op, TurnOp};
use crate::world::{ASK_KILL, COUNT, FAIL, KILL, MS, World, turn};

/// Sessions among which most of the storm is.
const NEWEST: usize = 4;

/// A turn that was sent, perhaps several times.
struct Sent {
    turn: Turn,
    word: &'static [u8],
    requests: Vec<RequestId>,
    /// How often it was sent. What was refused, unheard, before the supervisor's death may be played when it is sent again.
    times: u32,
}

struct Storm {
    world: World,
    sessions: Vec<SessionId>,
    sent: Vec<Sent>,
    keys: BTreeMap<(SessionId, u64), u64>,
    /// Requests that are no turns.
    others: Vec<RequestId>,
    /// Deaths that count against the turn that ran.
    faults: u64,
    /// Other things that may set a session aside.
    troubles: u64,
    knobs: Knobs,
    durability: Durability,
}

impl Storm {
    fn new(knobs: Knobs, durability: Durability) -> Storm {
        let mut world = World::new(|spec| {
            knobs.apply(spec);
            spec.durability = durability;
        });
        world.faults.blurts = knobs.blurts;
        world.at_once = knobs.at_once;
        let troubles = u64::from(knobs.turn_wall_ms < 1_000);
        let mut storm = Storm {
            world,
            sessions: vec![],
            sent: vec![],
            keys: BTreeMap::new(),
            others: vec![],
            faults: 0,
            troubles,
            knobs,
            durability,
        };
        storm.open(COUNT, Options::default());
        storm
    }

    fn open(&mut self, config: &[u8], options: Options) {
        let (session, request) = self.world.open_with(config, options);
        self.others.push(request);
        if self.sessions.is_empty() || !self.world.answers.contains_key(&request) {
            self.sessions.push(session);
        }
    }

    /// One of the newest sessions, mostly: the others may be over.
    fn session(&self, at: usize) -> SessionId {
        let newest =
            if at.is_multiple_of(16) { self.sessions.len() } else { self.sessions.len().min(NEWEST) };
        self.sessions[self.sessions.len() - 1 - at / 16 % newest]
    }

    fn worker(&self, at: usize) -> Option<WorkerId> {
        let ids: Vec<_> = self.world.workers.keys().copied().collect();
        (!ids.is_empty()).then(|| ids[at % ids.len()])
    }

    fn play(&mut self, op: Op) {
        match op {
            Op::Open => self.open(COUNT, Options::default()),
            Op::OpenWith { tick_ms, idle_ms, queue_max } => {
                let options = Options {
                    tick_ns: Some(tick_ms * MS),
                    idle_ns: Some(idle_ms * MS),
                    queue_max: Some(queue_max),
                    durability: None,
                };
                self.open(COUNT, options);
            }
            Op::OpenBadly(config) => self.open(config, Options::default()),
            Op::Turn(op, times) => (0..times).for_each(|_| self.turn(op.clone())),
            Op::Repeat(at) if !self.sent.is_empty() => {
                let at = at % self.sent.len();
                let request = self.world.submit(self.sent[at].turn.clone());
                self.sent[at].requests.push(request);
                self.sent[at].times += 1;
            }
            Op::Cancel(at) if !self.sent.is_empty() => {
                let sent = &self.sent[at % self.sent.len()];
                self.world.cancel(sent.requests[0], sent.turn.session);
            }
            Op::Work(at, n) => {
                for _ in 0..n {
                    if let Some(worker) = self.worker(at) {
                        self.world.work(worker);
                    }
                }
            }
            Op::Die(at, cause) => {
                if let Some(worker) = self.worker(at) {
                    self.faults += u64::from(cause.counts());
                    self.troubles += u64::from(cause == Cause::Deadline);
                    self.world.die(worker, cause);
                }
            }
            Op::Hostile(at, how) => {
                if let Some(worker) = self.worker(at) {
                    self.faults += 1;
                    self.world.be_hostile(worker, how);
                }
            }
            Op::Violate(at) => {
                if let Some(worker) = self.worker(at) {
                    self.world.step(Event::Violated { worker, what: "openat".to_owned() });
                }
            }
            Op::Look(at, rss_bytes) => {
                if let Some(worker) = self.worker(at) {
                    let look = Look { rss_bytes, throttled_us: Some(rss_bytes) };
                    self.world.step(Event::LookedAt { worker, look });
                }
            }
            Op::AnswerHost => {
                self.world.answer_host();
            }
            Op::Pass(ms) => self.world.pass(ms),
            Op::Clock(ms) => {
                self.world.now.wall_ns = self.world.now.wall_ns.saturating_add_signed(ms * MS as i64);
            }
            Op::Fault(fault) => self.fault(fault),
            Op::Sync(count) => self.world.sync(count),
            Op::Crash(lucky) => self.crash(lucky),
            other => self.operate(other),
        }
        self.start_again();
        self.check_standbys();
    }

    /// A standby holds no sessions and plays nothing, and there are never too many.
    fn check_standbys(&self) {
        let view = self.world.game.view();
        let standbys = view.workers.iter().filter(|worker| worker.state == "standby");
        for standby in standbys.clone() {
            let pings = usize::from(self.knobs.ping_ms > 0);
            assert!(standby.sessions == 0 && standby.in_flight <= pings, "{standby:?}");
        }
        assert!(standbys.count() <= self.knobs.standbys as usize, "{view:?}");
    }

    /// The supervisor dies and comes back; clients send again what was not answered, with the same keys.
    fn crash(&mut self, lucky: usize) {
        let (knobs, durability) = (self.knobs, self.durability);
        let lost = self.world.crash(lucky, |spec| {
            knobs.apply(spec);
            spec.durability = durability;
        });
        let is_lost = |request: &RequestId| lost.binary_search(request).is_ok();
        self.others.retain(|request| !is_lost(request));
        let world = &self.world;
        self.sessions.retain(|session| world.opened.contains_key(session));
        for at in 0..self.sent.len() {
            if !self.sent[at].requests.iter().any(is_lost) {
                continue;
            }
            self.sent[at].requests.retain(|request| !is_lost(request));
            let again = self.world.submit(self.sent[at].turn.clone());
            self.sent[at].requests.push(again);
            self.sent[at].times += 1;
        }
        if self.sessions.is_empty() {
            self.open(COUNT, Options::default());
        }
    }

    /// An unloaded game is loaded again.
    fn start_again(&mut self) {
        if std::mem::take(&mut self.world.stopped) {
            let request = self.world.start();
            self.others.push(request);
        }
    }

    fn operate(&mut self, op: Op) {
        let request = match op {
            Op::Restart => self.world.restart(),
            Op::Scale(replicas) => self.world.scale(replicas),
            Op::Suspend => self.world.suspend(),
            Op::Release => self.world.release(),
            Op::Resume => self.world.resume(),
            Op::Unload(sessions) => self.world.unload(sessions),
            Op::DropHeld(at) => self.world.drop_held(self.session(at)),
            _ => return,
        };
        self.others.push(request);
    }

    fn turn(&mut self, op: TurnOp) {
        let session = self.session(op.session);
        let seq = self.keys.entry((session, op.client)).or_default();
        *seq += 1;
        let mut payload = op.word.to_vec();
        payload.extend_from_slice(format!("#{}-{}-{seq}", session.0, op.client).as_bytes());
        let turn = Turn {
            client: ClientId(op.client),
            when_full: op.when_full,
            no_room: false,
            deadline_mono_ns: op.deadline_ms.map(|ms| self.world.now.mono_ns + ms * MS),
            ..turn(session, *seq, (op.kind, op.player, &payload))
        };
        let request = self.world.submit(turn.clone());
        self.sent.push(Sent { turn, word: op.word, requests: vec![request], times: 1 });
    }

    fn fault(&mut self, fault: Fault) {
        let faults = &mut self.world.faults;
        match fault {
            Fault::RefuseRestore => faults.refuse_restores += 1,
            Fault::NoSnapshots => faults.no_snapshots = true,
            Fault::Snapshots => faults.no_snapshots = false,
            Fault::SnapshotKills => faults.snapshot_kills += 1,
            Fault::ScratchKills => faults.scratch_kills += 1,
            Fault::Lie => faults.lies += 1,
            Fault::Fickle => faults.fickle = true,
        }
        self.troubles += u64::from(matches!(fault, Fault::RefuseRestore | Fault::Lie | Fault::Fickle));
        self.faults += u64::from(matches!(fault, Fault::SnapshotKills | Fault::ScratchKills));
    }

    /// Lets the storm end, and looks at what is left.
    fn finish(mut self) {
        let resume = self.world.resume();
        self.others.push(resume);
        self.calm();
        // Deaths that were on their way may have been the ones too many.
        let resume = self.world.resume();
        self.others.push(resume);
        self.start_again();
        self.calm();
        self.check_turns();
        for request in &self.others {
            assert!(self.world.answers.contains_key(request), "request {request} hangs");
        }
        self.check_innocence();
        self.world.check_states();
        self.check_life();
        self.unload();
    }

    /// Sessions that tick never come to rest: a bounded time is given to everything else.
    fn calm(&mut self) {
        for _ in 0..600 {
            self.world.settle_now();
            self.world.pass(10);
        }
        self.world.settle_now();
    }

    /// Every caller has an answer, the same for the same key, and it is what the records say.
    fn check_turns(&self) {
        let mut in_order: BTreeMap<(SessionId, ClientId), u64> = BTreeMap::new();
        for sent in &self.sent {
            let mut outcome: Option<&Result<Answered, Refusal>> = None;
            let mut refused_early = 0;
            for request in &sent.requests {
                if self.world.cancelled.contains(request) {
                    continue;
                }
                let answer = self.world.answers.get(request);
                let answer = answer.unwrap_or_else(|| panic!("request {request} hangs: {:?}", sent.turn));
                match answer {
                    Ok(_) | Err(Refusal::Plugin { .. } | Refusal::Poison { .. }) => {
                        assert!(
                            outcome.is_none_or(|known| known == answer),
                            "one key, two answers: {:?}: {outcome:?}, {answer:?}",
                            sent.turn
                        );
                        outcome = Some(answer);
                    }
                    Err(
                        Refusal::Deadline { seq: None }
                        | Refusal::Busy { .. }
                        | Refusal::UnknownPlayer { .. },
                    ) => {
                        refused_early += 1;
                    }
                    _ => {}
                }
            }
            if refused_early == sent.requests.len() {
                assert!(
                    !self.is_on_record(sent.turn.session, &sent.turn.input.payload),
                    "refused, and played"
                );
            }
            if let Some(outcome) = outcome {
                self.check_outcome(sent, outcome);
                let (Ok(Answered::Done(done)), 1) = (outcome, sent.times) else { continue };
                let last = in_order.entry((sent.turn.session, sent.turn.client)).or_default();
                assert!(
                    done.seq > *last,
                    "turns of one client changed their order: {:?} is {done:?}, after {last}",
                    sent.turn
                );
                *last = done.seq;
            }
        }
    }

    fn is_on_record(&self, session: SessionId, payload: &Payload) -> bool {
        self.world.records.get(&session).into_iter().flatten().any(|entry| entry.payload == *payload)
    }

    fn check_outcome(&self, sent: &Sent, outcome: &Result<Answered, Refusal>) {
        let deadly = [KILL, ASK_KILL].contains(&sent.word);
        match outcome {
            Ok(Answered::Done(done)) => {
                assert!(sent.word != FAIL && !deadly);
                self.world.check_done(sent.turn.session, done);
            }
            Err(Refusal::Poison { .. }) => {
                assert!(deadly || self.faults >= 2, "an innocent turn is poison");
            }
            Err(Refusal::Plugin { .. }) => assert_eq!(sent.word, FAIL),
            other => panic!("no answer to a turn: {other:?}"),
        }
    }

    /// Nobody is punished for what others did.
    fn check_innocence(&self) {
        let deadly = |session: &SessionId, seq: u64| {
            let records = self.world.records.get(session).into_iter().flatten();
            records
                .filter(|entry| entry.seq == seq)
                .any(|entry| entry.payload.starts_with(KILL) || entry.payload.starts_with(ASK_KILL))
        };
        let innocent =
            self.world.notices.iter().filter(
                |notice| matches!(notice, Notice::Poison { session, seq, .. } if !deadly(session, *seq)),
            );
        // A poison close has no record, and its session is held.
        let closes = self.world.count(|notice| matches!(notice, Notice::SessionHeld { reason, .. } if reason.contains("a tick, leave or close")));
        assert!(innocent.count() <= self.faults as usize / 2 + closes, "innocent turns are poison");
        if self.faults == 0 && self.troubles == 0 {
            for notice in &self.world.notices {
                match notice {
                    Notice::SessionHeld { reason, .. } => {
                        let deserved =
                            reason.contains("were poison") || reason.contains("a tick, leave or close");
                        assert!(deserved, "held: {reason}");
                    }
                    Notice::Diverged { .. } => panic!("diverged"),
                    _ => {}
                }
            }
        }
    }

    /// Every session that is neither over nor held still plays.
    fn check_life(&mut self) {
        let down = self.world.game.view().down.is_some();
        if down {
            self.world.restart();
            self.calm();
        }
        let views = self.world.game.session_views(usize::MAX);
        let alive = views.iter().filter(|view| view.state != "held");
        let probes: Vec<_> = alive
            .map(|view| {
                let turn = turn(view.session, 1, (kind::ACTION, 0, COUNT));
                (view.clone(), self.world.submit(Turn { client: ClientId(1_000), ..turn }))
            })
            .collect();
        self.calm();
        for (view, request) in probes {
            match &self.world.answers.get(&request) {
                Some(Ok(Answered::Done(done))) => self.world.check_done(view.session, done),
                Some(Err(Refusal::SessionClosed(_) | Refusal::TooManyClients { .. })) => {}
                Some(Err(Refusal::Held { .. })) if self.troubles + self.faults > 0 => {}
                // What the storm left the plugin to do wrong may be more than is borne.
                Some(Err(Refusal::Down { .. })) if self.knobs.deaths_max < u32::MAX => {}
                other => panic!("session {view:?} is stuck: {other:?}"),
            }
        }
        self.world.check_states();
    }

    /// What is held is dropped, and everything goes home.
    fn unload(mut self) {
        for _ in 0..3 {
            for view in self.world.game.session_views(usize::MAX) {
                if view.state == "held" {
                    let request = self.world.drop_held(view.session);
                    self.world.sync(usize::MAX);
                    assert_eq!(self.world.answers[&request], Ok(Answered::Ok));
                }
            }
            let request = self.world.unload(LiveSessions::Close);
            self.calm();
            match &self.world.answers[&request] {
                Ok(Answered::Ok) => break,
                Err(Refusal::HasSessions { .. }) => {}
                other => panic!("no unload: {other:?}"),
            }
        }
        assert!(self.world.workers.is_empty() && self.world.stopped, "{:?}", self.world.game.view());
        for (session, opened) in &self.world.opened {
            assert!(opened.ended.is_some(), "session {session} never ended");
        }
        let records = self.world.records.values().flatten();
        let skipped = records.filter(|entry| matches!(entry.verdict, Verdict::Skipped { ticks: 0 }));
        assert_eq!(skipped.count(), 0);
    }
}

pub(crate) fn run(knobs: Knobs, durability: Durability, ops: Vec<Op>) {
    let mut storm = Storm::new(knobs, durability);
    for op in ops {
        storm.play(op);
    }
    storm.finish();
}
