//! The truth about one session, as everybody outside saw it: what was let out, to whom, and what the disk has of it.
//!
//! ```text
//!  sent by a client ─▶ on record (once, in order, its reply is the state folded from all records) ─▶ answered (as recorded)
//!                                    └─▶ outputs (those of the record, in order)
//! ```
//!
//! It is checked with every action that concerns the session, so a lie is found when it is told.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

use croupier_core::Refusal;
use croupier_core::action::{Answered, EndReason, Output, Run, TurnMessage};
use croupier_core::durable::Durability;
use croupier_core::event::HostKey;
use croupier_core::ids::{Payload, RequestId, SessionId, WorkerId, kind};
use croupier_fair::entry::{Effect, Entry, Verdict};

use crate::client::Client;
use crate::fake::{ASK_KILL, Given, KILL, State, TRAP, after, digest};

/// Counted deaths alone after which a turn is never tried again.
const KILLS_MAX: u32 = 2;
/// Records whose outcomes are kept for answers that come later.
const OUTCOMES_KEPT: u64 = 4_096;

/// One session.
pub(crate) struct Book {
    pub(crate) id: SessionId,
    pub(crate) durability: Durability,
    pub(crate) opened_ns: u64,
    pub(crate) tick_ns: u64,
    /// Its transcript has begun.
    pub(crate) begun: bool,
    /// Why and when it ended.
    pub(crate) ended: Option<(EndReason, u64)>,
    /// It ended while the supervisor was dead: nobody saw its last turns.
    pub(crate) cut_short: bool,
    /// The disk says that it has ended, and so will the core.
    pub(crate) may_close_again: bool,
    /// It is being parked: once that is answered, it must come back.
    pub(crate) is_promised: bool,
    /// Whoever opened it was told no.
    pub(crate) is_refused: bool,
    /// The last turn on record, and the state after it.
    pub(crate) seq: u64,
    pub(crate) state: State,
    /// The state after its opening, to which a session that keeps no state returns.
    opened_state: State,
    last_now_ns: u64,
    last_tick_ns: u64,
    /// Outcomes of the last turns on record.
    outcomes: BTreeMap<u64, u64>,
    pub(crate) poison: BTreeSet<u64>,
    /// Outputs that were let out; and those that records say must follow, with the turns that gave them.
    pub(crate) outputs: u64,
    expected: VecDeque<(u64, Effect)>,
    released: VecDeque<Output>,
    /// Permissions that turns used and did not have any more.
    pub(crate) denied: BTreeSet<(u64, String)>,
    /// What each turn was given when it was sent first, as a hash.
    given: BTreeMap<u64, u64>,
    /// Counted deaths while a turn was alone with its worker.
    pub(crate) kills: BTreeMap<u64, u32>,
    pub(crate) performed: HashSet<HostKey>,
    /// Host calls that may be performed once more: whoever asked first is dead.
    pub(crate) again: HashSet<HostKey>,
    pub(crate) clients: Vec<Client>,
    /// Requests that wait for an answer.
    pub(crate) waiting: BTreeMap<RequestId, (usize, u64)>,
    /// Its last turn on the disk, and turns that ask there.
    pub(crate) durable_seq: u64,
    pub(crate) asks_on_disk: BTreeSet<u64>,
    durable_epoch: u64,
    /// The worker that plays it, and the calls about it that are not answered.
    pub(crate) owner: Option<(WorkerId, u32)>,
    /// Things that happened to it that may be a reason to set it aside.
    pub(crate) trouble: u32,
    /// Workers that died while they were at it, for whatever reason.
    pub(crate) losses: u32,
    pub(crate) held: bool,
}

impl Book {
    pub(crate) fn new(id: SessionId, durability: Durability) -> Book {
        Book {
            id,
            durability,
            opened_ns: 0,
            tick_ns: 0,
            begun: false,
            ended: None,
            cut_short: false,
            may_close_again: false,
            is_promised: false,
            is_refused: false,
            seq: 0,
            state: 0,
            opened_state: 0,
            last_now_ns: 0,
            last_tick_ns: 0,
            outcomes: BTreeMap::new(),
            poison: BTreeSet::new(),
            outputs: 0,
            expected: VecDeque::new(),
            released: VecDeque::new(),
            denied: BTreeSet::new(),
            given: BTreeMap::new(),
            kills: BTreeMap::new(),
            performed: HashSet::new(),
            again: HashSet::new(),
            clients: Vec::new(),
            waiting: BTreeMap::new(),
            durable_seq: 0,
            asks_on_disk: BTreeSet::new(),
            durable_epoch: 0,
            owner: None,
            trouble: 0,
            losses: 0,
            held: false,
        }
    }

    /// The place of a client, which may be new.
    pub(crate) fn client(&mut self, id: u64) -> usize {
        let known = self.clients.iter().position(|client| client.id == id);
        known.unwrap_or_else(|| {
            self.clients.push(Client::new(id));
            self.clients.len() - 1
        })
    }

    /// Its transcript begins.
    pub(crate) fn begin(&mut self, opened_ns: u64, tick_ns: u64) {
        assert!(!self.begun, "session {} began twice", self.id);
        (self.begun, self.opened_ns, self.tick_ns, self.last_tick_ns) = (true, opened_ns, tick_ns, opened_ns);
    }

    /// Whether its turns must be on the disk before anybody sees them.
    pub(crate) fn is_durable(&self) -> bool {
        self.durability == Durability::Disk
    }

    /// A turn is on record for everybody to see.
    pub(crate) fn record(&mut self, entry: &Entry) {
        let id = self.id;
        assert_eq!(entry.seq, self.seq + 1, "records of session {id} have a gap");
        // An open that was refused need not be anywhere.
        let is_session = entry.kind != kind::OPEN || matches!(entry.verdict, Verdict::Done { .. });
        if self.is_durable() && is_session {
            assert!(
                entry.seq <= self.durable_seq,
                "turn {} of {id} is let out and the disk has {}",
                entry.seq,
                self.durable_seq
            );
        }
        self.seq = entry.seq;
        self.check_time(entry);
        let given = Given {
            seq: entry.seq,
            now_ns: entry.now_ns,
            kind: entry.kind,
            player: entry.player,
            payload: &entry.payload,
            calls: entry.calls.clone(),
        };
        match &entry.verdict {
            Verdict::Done { reply, effects } => {
                self.state = after(self.state, &given);
                assert_eq!(
                    **reply,
                    self.state.to_le_bytes(),
                    "turn {} of {id} was played in another world than its records'",
                    entry.seq
                );
                let denied = &self.denied;
                let allowed =
                    effects.iter().filter(|effect| !denied.contains(&(entry.seq, permission(effect))));
                self.expected.extend(allowed.map(|effect| (entry.seq, effect.clone())));
            }
            Verdict::Failed { .. } => self.state = after(self.state, &given),
            Verdict::Poison => {
                let kills = self.kills.get(&entry.seq).copied().unwrap_or_default();
                assert!(
                    kills >= KILLS_MAX,
                    "turn {} of {id} is called poison after {kills} kills",
                    entry.seq
                );
                self.poison.insert(entry.seq);
            }
            Verdict::Skipped { ticks } => assert!(*ticks > 0, "no ticks were left out"),
        }
        if entry.kind == kind::OPEN {
            self.opened_state = self.state;
        }
        self.outcomes.insert(entry.seq, outcome(&entry.verdict));
        if self.outcomes.len() as u64 > OUTCOMES_KEPT {
            self.outcomes.pop_first();
        }
        self.kills.retain(|seq, _| *seq > entry.seq);
        self.performed.retain(|key| key.seq > entry.seq);
        self.asks_on_disk.retain(|seq| *seq > entry.seq);
        self.note_mark(entry);
    }

    /// Time runs forward, and ticks keep theirs.
    fn check_time(&mut self, entry: &Entry) {
        assert!(entry.now_ns >= self.last_now_ns, "time runs backwards in {}", self.id);
        self.last_now_ns = entry.now_ns;
        if entry.kind == kind::TICK && !matches!(entry.verdict, Verdict::Skipped { .. }) {
            assert!(entry.now_ns > self.last_tick_ns, "two ticks of {} at one time", self.id);
            assert_eq!(
                (entry.now_ns - self.opened_ns) % self.tick_ns,
                0,
                "a tick of {} off its time",
                self.id
            );
            self.last_tick_ns = entry.now_ns;
        }
    }

    /// A turn with a mark is on record once, in the order in which its client sent it.
    fn note_mark(&mut self, entry: &Entry) {
        let Some((client, client_seq)) = mark(&entry.payload) else { return };
        let client = self.clients.iter_mut().find(|known| known.id == client).expect("a client of ours");
        client.recorded(self.id, client_seq, entry);
    }

    /// An output is let out.
    pub(crate) fn output(&mut self, output: Output) {
        assert_eq!(output.number, self.outputs + 1, "outputs of session {} have a gap", self.id);
        self.outputs = output.number;
        self.released.push_back(output);
    }

    /// A step is over: what it let out is what the records say.
    pub(crate) fn settle_outputs(&mut self) {
        let denied = &self.denied;
        while let Some(output) = self.released.pop_front() {
            let expected = loop {
                let next = self.expected.pop_front();
                match next {
                    Some((seq, effect)) if denied.contains(&(seq, permission(&effect))) => {}
                    other => break other,
                }
            };
            assert_eq!(
                expected,
                Some((output.seq, output.effect)),
                "an output of session {} that is not due",
                self.id
            );
        }
        self.expected.retain(|(seq, effect)| !denied.contains(&(*seq, permission(effect))));
        let seq = self.seq;
        self.denied.retain(|(of, _)| *of > seq);
        assert!(self.expected.is_empty(), "outputs of session {} are missing: {:?}", self.id, self.expected);
    }

    /// A turn is sent to a worker: it is what it was, and not one that is over.
    pub(crate) fn sent(&mut self, turn: &TurnMessage) {
        let hash = digest((turn.now_ns, turn.seed, turn.kind, turn.player, &turn.payload));
        let first = *self.given.entry(turn.seq).or_insert(hash);
        assert_eq!(first, hash, "turn {} of {} is not what it was", turn.seq, self.id);
        assert!(
            !self.poison.contains(&turn.seq),
            "turn {} of {} is poison and tried again",
            turn.seq,
            self.id
        );
        if turn.run == Run::Replay && self.durability == Durability::None {
            assert_eq!(turn.kind, kind::OPEN, "nothing else of session {} is kept", self.id);
            self.state = self.opened_state;
        }
        if turn.run == Run::First {
            assert!(turn.seq > self.seq, "turn {} of {} is on record and played anew", turn.seq, self.id);
            let kills = self.kills.get(&turn.seq).copied().unwrap_or_default();
            assert!(
                kills < KILLS_MAX,
                "turn {} of {} killed {kills} workers and is tried again",
                turn.seq,
                self.id
            );
        }
    }

    /// A call about it goes to `worker`. `is_over` says whether another worker is as good as dead.
    pub(crate) fn goes_to(&mut self, worker: WorkerId, is_over: impl Fn(WorkerId) -> bool) {
        match &mut self.owner {
            Some((owner, calls)) if *owner == worker => *calls += 1,
            Some((owner, calls)) if *calls > 0 && !is_over(*owner) => {
                panic!("session {} is in worker {owner} and in worker {worker}", self.id)
            }
            owner => *owner = Some((worker, 1)),
        }
    }

    /// A call about it is answered, by `worker`.
    pub(crate) fn came_from(&mut self, worker: WorkerId) {
        if let Some((owner, calls)) = &mut self.owner
            && *owner == worker
        {
            *calls = calls.saturating_sub(1);
        }
    }

    /// Its worker is dead.
    pub(crate) fn lost(&mut self, worker: WorkerId) {
        self.owner = self.owner.filter(|(owner, _)| *owner != worker);
    }

    /// The platform is asked, once.
    pub(crate) fn perform(&mut self, key: HostKey) {
        assert!(key.seq > self.seq, "{key:?} of a turn on record is performed");
        if self.is_durable() {
            let knows = self.asks_on_disk.contains(&key.seq);
            assert!(knows, "{key:?} is performed, and the disk knows nothing of it");
        }
        let again = self.again.remove(&key);
        assert!(self.performed.insert(key) || again, "{key:?} is performed twice");
    }

    /// What is on the disk of it.
    pub(crate) fn on_disk(&mut self, change: &croupier_core::durable::Change) {
        use croupier_core::durable::Change;
        let epoch = match change {
            Change::Played(played) => {
                self.durable_seq = self.durable_seq.max(played.turn.seq);
                played.epoch
            }
            Change::Asking(asking) => {
                self.asks_on_disk.insert(asking.turn.seq);
                return;
            }
            Change::Parked(parked) => {
                self.durable_seq = self.durable_seq.max(parked.side.last_seq);
                parked.side.epoch
            }
            Change::Snapshot(kept) => kept.side.epoch,
            _ => return,
        };
        assert!(epoch >= self.durable_epoch, "session {} has an owner of an earlier epoch", self.id);
        self.durable_epoch = epoch;
    }

    /// A client is answered about its turn.
    pub(crate) fn answered(&mut self, client: usize, client_seq: u64, answer: &Result<Answered, Refusal>) {
        let (id, cut_short) = (self.id, self.cut_short);
        let outcome = match answer {
            Ok(Answered::Done(done)) => Some((done.seq, digest((0u8, &done.reply)))),
            Err(Refusal::Plugin { seq, .. }) => Some((*seq, 1)),
            Err(Refusal::Poison { seq }) => Some((*seq, 2)),
            Err(Refusal::NoRoom) => {
                let sent = self.clients[client].sent.get(&client_seq);
                assert!(
                    sent.is_none_or(|sent| sent.seq.is_none()),
                    "turn {client_seq} of a client of {id} is on record, and it was told that it was not played"
                );
                None
            }
            Err(_) => None,
            Ok(other) => panic!("{other:?} is no answer to a turn"),
        };
        let known = outcome.and_then(|(seq, _)| self.outcomes.get(&seq).copied());
        if let (Some((seq, what)), false) = (outcome, cut_short) {
            // A poison tick, leave or close has no record, and its session is held.
            let is_held = matches!(answer, Err(Refusal::Poison { .. })) && self.held;
            let forgotten = self.seq >= seq + OUTCOMES_KEPT;
            assert!(
                known == Some(what) || is_held || (known.is_none() && forgotten),
                "the answer {answer:?} is not what is on record of {id}"
            );
        }
        self.clients[client].answered(id, client_seq, outcome.map(|_| answer));
    }

    /// Whether a turn of it kills its worker by what it says.
    pub(crate) fn is_deadly(payload: &[u8]) -> bool {
        [KILL, ASK_KILL, TRAP].iter().any(|word| payload.starts_with(word))
    }

    /// The supervisor died, and this came back from the disk: what was promised is there.
    pub(crate) fn came_back(&mut self, last: u64, asking: &[u64]) {
        assert!(self.seq <= last, "turn {} of {} was let out, and the disk has {last}", self.seq, self.id);
        (self.durable_seq, self.asks_on_disk) = (last, asking.iter().copied().collect());
        self.given.retain(|seq, _| *seq <= last || asking.contains(seq));
        self.kills.clear();
        self.denied.clear();
        self.owner = None;
        self.waiting.clear();
        for key in &self.performed {
            assert!(key.seq <= last || asking.contains(&key.seq), "{key:?} was performed and is nowhere");
        }
        self.again = self.performed.clone();
    }

    /// A line that nobody was told of before the supervisor died.
    pub(crate) fn line(&mut self, entry: &Entry) {
        if entry.seq <= self.seq {
            let known = self.outcomes.get(&entry.seq).copied();
            let same = known.is_none_or(|known| known == outcome(&entry.verdict));
            return assert!(same, "turn {} of {} is another one on the disk", entry.seq, self.id);
        }
        if entry.verdict == Verdict::Poison {
            self.kills.insert(entry.seq, KILLS_MAX);
        }
        self.record(entry);
    }
}

/// What an effect needs, as it stands in manifests.
fn permission(effect: &Effect) -> String {
    match effect {
        Effect::Send { .. } => "send".to_owned(),
        Effect::Emit { topic, .. } => format!("emit:{topic}"),
    }
}

/// An outcome in a number: answers must agree with it.
fn outcome(verdict: &Verdict) -> u64 {
    match verdict {
        Verdict::Done { reply, .. } => digest((0u8, reply)),
        Verdict::Failed { .. } => 1,
        Verdict::Poison => 2,
        Verdict::Skipped { .. } => 3,
    }
}

/// A client and its number, from a payload's mark `#client-number`.
pub(crate) fn mark(payload: &Payload) -> Option<(u64, u64)> {
    let at = payload.iter().position(|byte| *byte == b'#')?;
    let text = std::str::from_utf8(&payload[at + 1..]).ok()?;
    let (client, seq) = text.split_once('-')?;
    Some((client.parse().ok()?, seq.parse().ok()?))
}
