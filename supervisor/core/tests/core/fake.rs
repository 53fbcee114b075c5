//! A made-up worker: strict about its orders, and with a plugin of a few lines in it.
//!
//! The plugin's state is a hash over everything that it was given. What a turn does is the first word of its payload, up to a `#`:
//! see [`Deed`].

use std::collections::{BTreeMap, VecDeque};
use std::hash::{Hash, Hasher};

use croupier_core::action::{CallRecord, KillReason, Run, ToWorker, TurnMessage, Wanted};
use croupier_core::event::TurnAnswer;
use croupier_core::ids::{CallId, Payload, SessionId, kind};
use croupier_core::session::journal::chain;
use croupier_fair::entry::Effect;

/// What a payload makes the plugin do.
pub(crate) const COUNT: &[u8] = b"count";
pub(crate) const FAIL: &[u8] = b"fail";
pub(crate) const KILL: &[u8] = b"kill";
/// Succeeds once, and kills every worker that replays it.
pub(crate) const TRAP: &[u8] = b"trap";
/// Sends to everybody, and emits on "table".
pub(crate) const SEND: &[u8] = b"send";
/// Makes two host calls.
pub(crate) const ASK: &[u8] = b"ask";
/// Makes one host call, and kills the worker when it has its answer.
pub(crate) const ASK_KILL: &[u8] = b"ask-kill";
/// Fails by the plugin's own fault.
pub(crate) const ERR: &[u8] = b"err";
/// Makes a host call that is not granted.
pub(crate) const DENIED: &[u8] = b"denied";

pub(crate) type State = u64;

/// Ids with this bit are copies on which snapshots are tried.
pub(crate) const SCRATCH: u64 = 1 << 63;

/// What the plugin in a worker does wrong, for a while.
#[derive(Default, Clone)]
pub(crate) struct Faults {
    /// So many restores are refused.
    pub(crate) refuse_restores: u32,
    /// It gives no snapshots.
    pub(crate) no_snapshots: bool,
    /// It gives snapshots that nobody asked for, and that are rubbish.
    pub(crate) blurts: bool,
    /// Making so many snapshots kills the worker.
    pub(crate) snapshot_kills: u32,
    /// Trying so many snapshots kills the worker.
    pub(crate) scratch_kills: u32,
    /// So many replays answer differently.
    pub(crate) lies: u32,
    /// A retried turn asks something else.
    pub(crate) fickle: bool,
    /// Its snapshots are longer by so many bytes.
    pub(crate) snapshot_padding: usize,
    /// Every turn but a close fails by the plugin's own fault.
    pub(crate) internal: bool,
}

#[derive(Default)]
pub(crate) struct FakeWorker {
    pub(crate) inbox: VecDeque<(CallId, ToWorker)>,
    pub(crate) sessions: BTreeMap<SessionId, State>,
    pub(crate) loaded: bool,
    pub(crate) killed: Option<KillReason>,
    /// The turn that waits for the platform, and the hash of what it asked.
    pub(crate) asking: Option<(CallId, TurnMessage, u64)>,
    suspended: bool,
}

/// What a worker does with one message.
pub(crate) enum Deed {
    Ok,
    Failed,
    Done(TurnAnswer),
    /// Asks the platform: the index, the name, and the hash of what it asks.
    Ask(u32, &'static str, u64),
    Die,
}

pub(crate) fn digest(parts: impl Hash) -> u64 {
    let mut hash = std::hash::DefaultHasher::new();
    parts.hash(&mut hash);
    hash.finish()
}

/// One turn, as far as it changes the state.
#[derive(Hash)]
pub(crate) struct Given<'a> {
    pub(crate) seq: u64,
    pub(crate) now_ns: u64,
    pub(crate) kind: u16,
    pub(crate) player: u64,
    pub(crate) payload: &'a [u8],
    pub(crate) calls: Vec<(i32, Payload)>,
}

/// The state after a turn; what a session must be at the end is folded from the records with this.
pub(crate) fn after(state: State, given: &Given<'_>) -> State {
    digest((state, given))
}

fn word(payload: &[u8]) -> &[u8] {
    payload.split(|byte| *byte == b'#').next().unwrap_or_default()
}

/// What a turn gives out.
fn effects(payload: &[u8], state: State) -> Vec<Effect> {
    if word(payload) != SEND {
        return Vec::new();
    }
    let message = Payload::from(state.to_le_bytes());
    vec![
        Effect::Send { to: u64::MAX, message: message.clone() },
        Effect::Emit { topic: "table".to_owned(), event: message },
    ]
}

/// The host calls of a turn.
fn asks(payload: &[u8]) -> &'static [&'static str] {
    match word(payload) {
        word if word == ASK => &["bank", "bank"],
        word if word == ASK_KILL => &["bank"],
        word if word == DENIED => &["vault"],
        _ => &[],
    }
}

impl FakeWorker {
    pub(crate) fn holds_turn(&self, session: SessionId) -> bool {
        let ours = |turn: &TurnMessage| turn.session == session && turn.run == Run::First;
        self.inbox.iter().any(|(_, message)| matches!(message, ToWorker::Turn(turn) if ours(turn)))
            || self.asking.as_ref().is_some_and(|(_, turn, _)| ours(turn))
    }

    /// The next message that it can do something about.
    pub(crate) fn next(&mut self) -> Option<(CallId, ToWorker)> {
        let Some((call, mut turn, asked)) = self.asking.take() else { return self.inbox.pop_front() };
        let answer = self.inbox.iter().position(|(_, message)| matches!(message, ToWorker::CallAnswer(_)));
        let Some((of, ToWorker::CallAnswer(record))) = answer.and_then(|at| self.inbox.remove(at)) else {
            self.asking = Some((call, turn, asked));
            return None;
        };
        assert_eq!(of, call, "an answer for a call that does not run");
        assert_eq!(record.asked, asked, "an answer to something else");
        turn.calls.push(record);
        Some((call, ToWorker::Turn(Box::new(turn))))
    }

    pub(crate) fn play(&mut self, call: CallId, message: ToWorker, faults: &mut Faults) -> Deed {
        match message {
            ToWorker::Turn(turn) => {
                assert!(!self.suspended, "a turn for a plugin that is suspended");
                self.play_turn(call, *turn, faults)
            }
            ToWorker::Restore { session, snapshot, .. } => self.restore(session, &snapshot, faults),
            ToWorker::Drop { session } => {
                self.sessions.remove(&session);
                Deed::Ok
            }
            ToWorker::Suspend => {
                assert!(!std::mem::replace(&mut self.suspended, true), "suspended twice");
                Deed::Ok
            }
            ToWorker::Resume => {
                assert!(std::mem::take(&mut self.suspended), "resumed, and was not suspended");
                Deed::Ok
            }
            ToWorker::Init { .. } | ToWorker::Ping | ToWorker::Shutdown => Deed::Ok,
            ToWorker::CallAnswer(_) => panic!("nobody asked"),
        }
    }

    fn restore(&mut self, session: SessionId, snapshot: &[u8], faults: &mut Faults) -> Deed {
        assert!(!self.suspended, "a restore in a plugin that is suspended");
        if session.0 & SCRATCH != 0 && faults.scratch_kills > 0 {
            faults.scratch_kills -= 1;
            return Deed::Die;
        }
        if faults.refuse_restores > 0 {
            faults.refuse_restores -= 1;
            return Deed::Failed;
        }
        let state = u64::from_le_bytes(snapshot[..8].try_into().expect("a snapshot of ours"));
        assert!(self.sessions.insert(session, state).is_none(), "{session} restored twice");
        Deed::Ok
    }

    fn play_turn(&mut self, call: CallId, turn: TurnMessage, faults: &mut Faults) -> Deed {
        let asked_for = asks(&turn.payload);
        if turn.calls.len() < asked_for.len() {
            assert_eq!(turn.run, Run::First, "a replay has its answers on record");
            let index = turn.calls.len();
            let mut asked = asked(&turn, index);
            if std::mem::take(&mut faults.fickle) {
                asked ^= 1;
            }
            self.asking = Some((call, turn, asked));
            return Deed::Ask(index as u32, asked_for[index], asked);
        }
        let doing = word(&turn.payload);
        if doing == KILL || doing == ASK_KILL || (doing == TRAP && turn.run == Run::Replay) {
            return Deed::Die;
        }
        let done = self.done(&turn, faults);
        if done.snapshot.is_some() && turn.snapshot == Wanted::Yes && faults.snapshot_kills > 0 {
            faults.snapshot_kills -= 1;
            return Deed::Die;
        }
        Deed::Done(done)
    }

    fn done(&mut self, turn: &TurnMessage, faults: &mut Faults) -> TurnAnswer {
        let state = match turn.kind {
            kind::OPEN => {
                assert!(!self.sessions.contains_key(&turn.session), "{} opened twice", turn.session);
                0
            }
            _ => *self.sessions.get(&turn.session).expect("turns only for sessions that are there"),
        };
        let next = after(state, &Given::of(turn));
        let status = match word(&turn.payload) {
            word if word == FAIL => -1,
            word if word == ERR => -4,
            _ if faults.internal && turn.kind != kind::CLOSE => -4,
            _ => 0,
        };
        if turn.kind == kind::CLOSE || (turn.kind == kind::OPEN && status < 0) {
            self.sessions.remove(&turn.session);
        } else {
            self.sessions.insert(turn.session, next);
        }
        let wanted = turn.snapshot == Wanted::Yes && !faults.no_snapshots;
        let rubbish = faults.blurts && turn.snapshot == Wanted::No;
        let lies = turn.run == Run::Replay && faults.lies > 0;
        faults.lies -= u32::from(lies);
        let outcome = chain(next, status as u64) ^ u64::from(lies);
        TurnAnswer {
            status,
            reply: Payload::from(next.to_le_bytes()),
            error: if status < 0 { "as you wished".to_owned() } else { String::new() },
            effects: if status < 0 { Vec::new() } else { effects(&turn.payload, next) },
            claimed: outcome,
            seen: outcome,
            snapshot: match (wanted, rubbish) {
                (true, _) => {
                    let mut bytes = next.to_le_bytes().to_vec();
                    bytes.resize(bytes.len() + faults.snapshot_padding, 0);
                    Some(Payload::from(bytes))
                }
                (_, true) => Some(Payload::from(*b"rubbish")),
                _ => None,
            },
            diverged: false,
        }
    }
}

impl<'a> Given<'a> {
    fn of(turn: &'a TurnMessage) -> Given<'a> {
        Given {
            seq: turn.seq,
            now_ns: turn.now_ns,
            kind: turn.kind,
            player: turn.player.0,
            payload: &turn.payload,
            calls: turn
                .calls
                .iter()
                .map(|CallRecord { status, answer, .. }| (*status, answer.clone()))
                .collect(),
        }
    }
}

/// The hash of what a turn asks.
fn asked(turn: &TurnMessage, index: usize) -> u64 {
    digest((turn.session, turn.seq, index))
}
