//! The chain: one hash that depends on every turn of a session, in order.
//!
//! ```text
//!  h_0 = SHA-256("croupier/transcript/1" ‖ canonical(header))
//!  h_i = SHA-256(h_{i-1} ‖ canonical(record i))
//!
//!  push(turn)  ─▶ record                         tick, tick, tick … ─▶ (one pending run) ─▶ record, when something else comes
//! ```
//!
//! Everything is chained: turns that failed, turns skipped as poison, skipped time. A run of ticks becomes one record; its ticks' outcomes
//! are chained inside it. Holds one pending run and a hash, whatever the session's length. Not a file: see [`crate::transcript`].

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::canon::{Canon, Sink};
use crate::entry::{Effect, Entry, Verdict};
use crate::text::hex_bytes;

/// The version of the canonical encoding and of the file.
pub const FORMAT_VERSION: u32 = 1;
/// Most ticks in one record.
pub const TICK_RUN_MAX: u64 = 1_000_000;

/// `CROUPIER_TURN_OPEN`.
pub(crate) const KIND_OPEN: u16 = 0;
/// `CROUPIER_TURN_JOIN`.
pub(crate) const KIND_JOIN: u16 = 1;
/// `CROUPIER_TURN_TICK`.
pub(crate) const KIND_TICK: u16 = 4;
/// `CROUPIER_TURN_CLOSE`.
pub(crate) const KIND_CLOSE: u16 = 5;

/// What is known of a session before its first turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// [`FORMAT_VERSION`] of whoever wrote it.
    pub format: u32,
    /// The session's id.
    pub session: u64,
    /// The plugin's name.
    pub plugin: String,
    /// The plugin's version.
    pub plugin_version: String,
    /// blake3 of the plugin's file: which binary played.
    #[serde(with = "hex_bytes")]
    pub digest: [u8; 32],
    /// The plugin's state version.
    pub state_version: u32,
    /// The commitment to the server seed ([`crate::seed::ServerSeed::commit`]).
    #[serde(with = "hex_bytes")]
    pub commit: [u8; 32],
    /// When the session opened, nanoseconds since the Unix epoch; no turn is earlier.
    pub opened_ns: u64,
    /// The game hides information from its players (cards in hand).
    pub hidden_information: bool,
    /// Period of ticks in nanoseconds; 0 for none.
    pub tick_period_ns: u64,
    /// The server's ed25519 public key, with which the transcript will be signed.
    #[serde(with = "hex_bytes")]
    pub server_key: [u8; 32],
}

impl Header {
    /// `h_0`.
    pub fn hash(&self) -> [u8; 32] {
        Canon::hash(b"croupier/transcript/1")
            .u32(self.format)
            .u64(self.session)
            .bytes(self.plugin.as_bytes())
            .bytes(self.plugin_version.as_bytes())
            .bare(&self.digest)
            .u32(self.state_version)
            .bare(&self.commit)
            .u64(self.opened_ns)
            .u8(u8::from(self.hidden_information))
            .u64(self.tick_period_ns)
            .bare(&self.server_key)
            .digest()
    }
}

/// Consecutive ticks that the plugin accepted, exactly one period apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TickRun {
    /// The first tick's turn number; the others follow without a gap.
    pub first_seq: u64,
    /// How many ticks, from 1 to [`TICK_RUN_MAX`].
    pub count: u64,
    /// The first tick's time, nanoseconds since the Unix epoch.
    pub first_now_ns: u64,
    /// Nanoseconds from tick to tick.
    pub period_ns: u64,
    /// The ticks' outcomes, chained by [`OutcomeChain`].
    #[serde(with = "hex_bytes")]
    pub outcomes: [u8; 32],
}

impl TickRun {
    /// The last tick's number and time; `None` when they do not fit into 64 bits (then the run is forged).
    pub fn last(&self) -> Option<(u64, u64)> {
        let steps = self.count.checked_sub(1)?;
        let seq = self.first_seq.checked_add(steps)?;
        let now_ns = self.first_now_ns.checked_add(self.period_ns.checked_mul(steps)?)?;
        Some((seq, now_ns))
    }

    fn start(entry: &Entry, period_ns: u64) -> TickRun {
        let mut outcomes = OutcomeChain::new();
        outcomes.add(&outcome_sha256(&entry.verdict));
        TickRun {
            first_seq: entry.seq,
            count: 1,
            first_now_ns: entry.now_ns,
            period_ns,
            outcomes: outcomes.value(),
        }
    }

    /// Takes the tick if it is the next of this run.
    fn take(&mut self, entry: &Entry) -> bool {
        let next =
            self.last().and_then(|(seq, now)| Some((seq.checked_add(1)?, now.checked_add(self.period_ns)?)));
        if self.count == TICK_RUN_MAX || next != Some((entry.seq, entry.now_ns)) {
            return false;
        }
        let mut outcomes = OutcomeChain(self.outcomes);
        outcomes.add(&outcome_sha256(&entry.verdict));
        self.outcomes = outcomes.value();
        self.count += 1;
        true
    }
}

/// Chains the outcomes of a run's ticks: `c_0 = SHA-256("croupier/ticks/1")`, `c_i = SHA-256(c_{i-1} ‖ outcome i)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutcomeChain([u8; 32]);

impl OutcomeChain {
    /// No tick yet.
    #[allow(clippy::new_without_default)]
    pub fn new() -> OutcomeChain {
        OutcomeChain(Canon::hash(b"croupier/ticks/1").digest())
    }

    /// One more tick, by its [`outcome_sha256`].
    pub fn add(&mut self, outcome: &[u8; 32]) {
        self.0 = Sha256::new().chain_update(self.0).chain_update(outcome).finalize().into();
    }

    /// The hash of all ticks so far.
    pub fn value(&self) -> [u8; 32] {
        self.0
    }
}

/// What is chained in one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// One turn.
    Turn(Entry),
    /// A run of ticks.
    Ticks(TickRun),
}

/// A record and the running hash after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linked {
    /// The record.
    pub record: Record,
    /// `h_i`.
    pub hash: [u8; 32],
}

/// SHA-256 of what came of a turn: status and text, or reply and effects, with lengths.
///
/// This is what a replayed turn is compared by, and what stands for the outcome in the chain.
pub fn outcome_sha256(verdict: &Verdict) -> [u8; 32] {
    let canon = Canon::hash(b"croupier/outcome/1");
    match verdict {
        Verdict::Done { reply, effects } => {
            let canon = canon.u8(0).bytes(reply).u64(effects.len() as u64);
            effects.iter().fold(canon, put_effect)
        }
        Verdict::Failed { status, text } => canon.u8(1).i32(*status).bytes(text.as_bytes()),
        Verdict::Poison => canon.u8(2),
        Verdict::Skipped { ticks } => canon.u8(3).u64(*ticks),
    }
    .digest()
}

fn put_effect<S: Sink>(canon: Canon<S>, effect: &Effect) -> Canon<S> {
    match effect {
        Effect::Send { to, message } => canon.u8(0).u64(*to).bytes(message),
        Effect::Emit { topic, event } => canon.u8(1).bytes(topic.as_bytes()).bytes(event),
    }
}

/// `h_i` from `h_{i-1}` and the record.
pub fn link(previous: &[u8; 32], record: &Record) -> [u8; 32] {
    let canon = Canon::hash(previous);
    match record {
        Record::Turn(entry) => {
            let canon = canon
                .u8(1)
                .u64(entry.seq)
                .u16(entry.kind)
                .u64(entry.player)
                .u64(entry.now_ns)
                .bytes(&entry.payload)
                .bytes(&entry.client_seed)
                .u64(entry.calls.len() as u64);
            let canon =
                entry.calls.iter().fold(canon, |canon, (status, answer)| canon.i32(*status).bytes(answer));
            canon.bare(&outcome_sha256(&entry.verdict))
        }
        Record::Ticks(run) => canon
            .u8(2)
            .u64(run.first_seq)
            .u64(run.count)
            .u64(run.first_now_ns)
            .u64(run.period_ns)
            .bare(&run.outcomes),
    }
    .digest()
}

/// The running chain of one session: small, and serializable, so that a recording survives a hand-over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    #[serde(with = "hex_bytes")]
    hash: [u8; 32],
    tick_period_ns: u64,
    records: u64,
    turns: u64,
    pending: Option<TickRun>,
}

impl Chain {
    /// The chain at `h_0`.
    pub fn new(header: &Header) -> Chain {
        Chain {
            hash: header.hash(),
            tick_period_ns: header.tick_period_ns,
            records: 0,
            turns: 0,
            pending: None,
        }
    }

    /// Takes a record that was linked before, as it stands in a file. Says whether it follows.
    pub fn take(&mut self, linked: &Linked) -> bool {
        let follows = self.pending.is_none() && link(&self.hash, &linked.record) == linked.hash;
        if follows {
            self.hash = linked.hash;
            self.records += 1;
            self.turns += match &linked.record {
                Record::Turn(_) => 1,
                Record::Ticks(run) => run.count,
            };
        }
        follows
    }

    /// Takes the next turn. Returns the records that are complete by it: none while a run of ticks grows, at most two (the run, then
    /// the turn that ended it). Turns are chained as they come: an order that is wrong is found by verification, not here.
    pub fn push(&mut self, entry: &Entry) -> Vec<Linked> {
        self.turns += 1;
        if !self.is_plain_tick(entry) {
            let mut done: Vec<Linked> = self.flush().into_iter().collect();
            done.push(self.link(Record::Turn(entry.clone())));
            return done;
        }
        if self.pending.as_mut().is_some_and(|run| run.take(entry)) {
            return Vec::new();
        }
        let ended = self.flush();
        self.pending = Some(TickRun::start(entry, self.tick_period_ns));
        ended.into_iter().collect()
    }

    /// Ends a pending run of ticks, if there is one. For the close, and before a pause in which the pending run could be lost.
    pub fn flush(&mut self) -> Option<Linked> {
        let run = self.pending.take()?;
        Some(self.link(Record::Ticks(run)))
    }

    /// The running hash, without a pending run of ticks.
    pub fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// Records so far, without a pending run of ticks.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Turns so far, each tick of a run counted.
    pub fn turns(&self) -> u64 {
        self.turns
    }

    fn link(&mut self, record: Record) -> Linked {
        self.hash = link(&self.hash, &record);
        self.records += 1;
        Linked { record, hash: self.hash }
    }

    /// A tick of which nothing is lost when only its number, its time and its outcome's hash are kept.
    fn is_plain_tick(&self, entry: &Entry) -> bool {
        entry.kind == KIND_TICK
            && self.tick_period_ns > 0
            && entry.player == 0
            && entry.payload.is_empty()
            && entry.client_seed.is_empty()
            && entry.calls.is_empty()
            && matches!(entry.verdict, Verdict::Done { .. })
    }
}
