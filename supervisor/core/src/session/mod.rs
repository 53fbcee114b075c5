//! One session: who sits there, what waits, what is in flight, and what is on record.
//!
//! ```text
//!  request ─accept─▶ queue ─number─▶ flights ─answer─▶ journal
//!                    (may be refused)  (has number, time, seed; survives any worker)
//! ```
//!
//! This is data with small helpers; the game ([`crate::game`]) decides.

pub(crate) mod adopt;
pub(crate) mod all;
pub(crate) mod chance;
pub mod journal;
pub mod keys;
pub mod outputs;
pub(crate) mod parked;
pub(crate) mod queue;
pub(crate) mod recorded;
pub mod ticker;
pub mod waiters;

use std::collections::{BTreeMap, VecDeque};

use croupier_fair::seed::{Mix, ServerSeed};

use crate::action::{CallRecord, EndReason};
use crate::game::Move;
use crate::ids::{Payload, PlayerId, RequestId, SessionId, WorkerId};
use crate::line::Line;
use crate::policy::restart::DeathId;
use chance::Chance;
use journal::Journal;
use keys::{Key, Keys};
use outputs::Outputs;
use queue::Queue;
use recorded::Recorded;
use ticker::Ticker;

/// Everything about one session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) phase: Phase,
    pub(crate) home: Home,
    /// How often it was placed in a worker.
    pub(crate) epoch: u64,
    pub(crate) opened_ns: u64,
    pub(crate) seed: ServerSeed,
    pub(crate) chance: Chance,
    pub(crate) commit: [u8; 32],
    /// Who waits for the open turn.
    pub(crate) open_request: Option<RequestId>,
    pub(crate) mix: Mix,
    /// Who sits at the table, and the number of the join that brought them there.
    pub(crate) seats: BTreeMap<PlayerId, u64>,
    pub(crate) queue: Queue,
    pub(crate) queue_max: u32,
    pub(crate) flights: Line<Flight>,
    /// Numbers in `flights` that stand for ticks left out (and how many), not for turns.
    pub(crate) skips: VecDeque<(u64, u64)>,
    pub(crate) last_seq: u64,
    pub(crate) last_now_ns: u64,
    pub(crate) journal: Journal,
    /// What is known of it as of its last turn on record, whatever has a number since.
    pub(crate) recorded: Recorded,
    /// Its place on the disk; none when it need not survive the supervisor.
    pub(crate) shelf: Option<Shelf>,
    pub(crate) keys: Keys,
    pub(crate) outputs: Outputs,
    pub(crate) ticker: Option<Ticker>,
    /// The tick timer is armed for this wall time.
    pub(crate) tick_armed_ns: Option<u64>,
    pub(crate) idle_ns: u64,
    pub(crate) last_outside_mono_ns: u64,
    pub(crate) snapshot_mono_ns: u64,
    /// The turn whose reply shall bring a snapshot.
    pub(crate) snapshot_asked: Option<u64>,
    /// Turns and bytes since the newest snapshot when one was asked for in vain.
    pub(crate) snapshot_missed: (u64, usize),
    pub(crate) poison: u32,
    pub(crate) trouble: Trouble,
    /// It is to go on in another worker, or is on its way there.
    pub(crate) moving: Option<Move>,
    /// On which list of sessions that have something to send.
    pub(crate) listed: Listed,
    /// Already in the list of sessions that want their place in a worker back, for no reason that is urgent.
    pub(crate) is_waiting: bool,
    /// When it lost its last worker.
    pub(crate) lost_mono_ns: Option<u64>,
}

/// Where in the durable journal a session stands: numbers of entries.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shelf {
    /// Its first entry; 0 when it has none yet.
    pub(crate) opened_at: u64,
    /// Its newest entry.
    pub(crate) newest_at: u64,
    /// The entries of its previous and its newest snapshot; 0 for none.
    pub(crate) previous_snapshot_at: u64,
    pub(crate) newest_snapshot_at: u64,
}

/// Where a session is in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Its open turn has no outcome yet.
    Opening,
    /// Turns are played.
    Live,
    /// Its close turn is in flight.
    Closing(EndReason),
    /// Set aside for a person to look at.
    Held(String),
}

/// Which list a session is on that has something to send. An entry of another list is out of date.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listed {
    /// On none.
    #[default]
    No,
    /// Of those that are in no worker.
    Placing,
    /// Of this worker's.
    At(WorkerId),
}

/// Where a session's state is.
#[derive(Debug)]
pub(crate) enum Home {
    /// In no worker: only snapshot and journal.
    None,
    /// On its way into a worker.
    Restoring(Restoring),
    /// In this worker.
    At(WorkerId),
}

/// How far a restore has come.
#[derive(Debug)]
pub(crate) struct Restoring {
    pub(crate) worker: WorkerId,
    /// The next record to send, and the next tick inside it.
    pub(crate) record: usize,
    pub(crate) tick: u64,
    /// The session does not exist there yet: its snapshot, or its open turn, is not answered.
    pub(crate) base_pending: bool,
    /// Calls sent and not answered.
    pub(crate) unanswered: usize,
    pub(crate) replayed: u64,
    /// The chained outcome of the run of ticks that is being replayed.
    pub(crate) chained: u64,
}

/// What is known against a session, and where it is therefore tried.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    pub(crate) standing: Standing,
    /// Counted deaths while this session was being replayed.
    pub(crate) replay_kills: u32,
    /// Uncounted deaths while this session was being replayed.
    pub(crate) replay_losses: u32,
    /// Wall deadlines without CPU use while a turn was alone, in a row; and while it was being replayed alone.
    pub(crate) hangs: u32,
    pub(crate) replay_hangs: u32,
    /// Not tried again before this time.
    pub(crate) not_before_mono_ns: u64,
    /// Deaths that it may have caused, and has been neither cleared nor convicted of.
    pub(crate) deaths: Vec<DeathId>,
}

/// Where a session is tried next.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Anywhere, beside others.
    #[default]
    Clear,
    /// Left a turn unanswered in a dead worker: one at a time in a serving worker.
    Suspect,
    /// Left one unanswered while alone: in a spare worker of its own.
    Outcast,
}

/// A numbered turn without an outcome yet. Number, time and seed never change, however often it is sent.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) seq: u64,
    pub(crate) kind: u16,
    pub(crate) player: PlayerId,
    pub(crate) now_ns: u64,
    pub(crate) seed: [u8; 32],
    pub(crate) mix: Mix,
    pub(crate) payload: Payload,
    pub(crate) client_seed: Payload,
    pub(crate) key: Option<Key>,
    /// Host calls that are answered, in order.
    pub(crate) calls: Vec<CallRecord>,
    /// It has asked the platform, now or before the supervisor's death: it keeps its number whatever dies.
    pub(crate) has_asked: bool,
    /// The host call that is being performed; it may outlive the worker that asked.
    pub(crate) asking: Option<Asking>,
    /// How many of `calls` the worker that plays the turn knows.
    pub(crate) told: usize,
    pub(crate) sent: bool,
    pub(crate) retries: u32,
    /// Left unanswered by a dead worker, and not answered since.
    pub(crate) suspected: bool,
    /// Deaths while it was the only call in flight; and those that it can have caused.
    pub(crate) alone_deaths: u32,
    pub(crate) alone_kills: u32,
    /// It died, alone and by its own doing, when its reply was to bring a snapshot: perhaps that was why.
    pub(crate) snapshot_suspected: bool,
}

/// A host call between question and answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asking {
    /// The hash of its name and arguments.
    pub(crate) asked: u64,
    /// A worker waits for the answer, and shall get it; otherwise it is only recorded.
    pub(crate) waits: bool,
}

impl Flight {
    /// A turn of the house that was never sent. `chance` is its seed, and what the players had contributed to it.
    pub(crate) fn of_house(
        kind: u16,
        seq: u64,
        now_ns: u64,
        chance: ([u8; 32], Mix),
        payload: Payload,
    ) -> Flight {
        let (seed, mix) = chance;
        Flight {
            seq,
            kind,
            player: PlayerId::HOUSE,
            now_ns,
            seed,
            mix,
            payload,
            client_seed: Payload::default(),
            key: None,
            calls: Vec::new(),
            has_asked: false,
            asking: None,
            told: 0,
            sent: false,
            retries: 0,
            suspected: false,
            alone_deaths: 0,
            alone_kills: 0,
            snapshot_suspected: false,
        }
    }
}

impl Session {
    /// Reads from all over it, so that what a turn needs of it comes from memory all at once, and not piece after piece as it is needed. Among many sessions that is most of what a turn
    /// takes.
    pub(crate) fn fetch(&self) {
        std::hint::black_box([
            self.last_seq,
            self.last_now_ns,
            self.epoch,
            self.idle_ns,
            self.snapshot_mono_ns,
            u64::from(self.queue_max),
            self.recorded.last_seq,
            self.journal.turns_since(),
            self.trouble.not_before_mono_ns,
            self.queue.len() as u64,
            self.flights.len() as u64,
            self.skips.len() as u64,
            self.outputs.last(),
            self.snapshot_asked.is_some().into(),
            self.tick_armed_ns.is_some().into(),
            self.lost_mono_ns.is_some().into(),
            self.moving.is_some().into(),
            self.open_request.is_some().into(),
            self.commit[0].into(),
            self.mix.0[0].into(),
        ]);
        self.chance.fetch();
        self.keys.fetch();
        self.journal.fetch();
    }

    /// Whether a turn of it waits, with or without a number.
    pub(crate) fn is_awaited(&self) -> bool {
        !self.queue.is_empty() || !self.flights.is_empty()
    }

    /// Whether it goes on at once: somebody waits for it, or it is in a worker, or on its way there.
    pub(crate) fn is_urgent(&self) -> bool {
        self.is_awaited() || !matches!(self.home, Home::None)
    }

    /// Whether it may have something to do without hearing of anything: a turn to send or to number, a tick, its way to another worker. One that is tried alone always may.
    pub(crate) fn has_more(&self) -> bool {
        !self.queue.is_empty()
            || self.flights.iter().any(|flight| !flight.sent)
            || self.ticker.is_some()
            || self.moving.is_some()
            || !matches!(self.home, Home::At(_))
            || self.trouble.standing != Standing::Clear
    }

    /// Whether it is set aside.
    pub(crate) fn is_held(&self) -> bool {
        matches!(self.phase, Phase::Held(_))
    }

    /// Whether a planned stop writes it down: it is in memory alone, has been opened, and has a state.
    pub(crate) fn is_parkable(&self) -> bool {
        self.shelf.is_none() && !self.is_stateless() && self.phase != Phase::Opening
    }

    /// Whether nothing is kept of it but its opening.
    pub(crate) fn is_stateless(&self) -> bool {
        self.journal.is_of_opening()
    }

    /// The worker that holds it, or is being given it.
    pub(crate) fn worker(&self) -> Option<WorkerId> {
        match &self.home {
            Home::None => None,
            Home::Restoring(restoring) => Some(restoring.worker),
            Home::At(worker) => Some(*worker),
        }
    }

    /// The first numbered turn that is not in the worker yet.
    pub(crate) fn unsent(&mut self) -> Option<&mut Flight> {
        self.flights.iter_mut().find(|flight| !flight.sent)
    }

    /// A join came to nothing: its player has no seat, unless by another join since.
    pub(crate) fn unseat(&mut self, player: PlayerId, joined_seq: u64) {
        if self.seats.get(&player) == Some(&joined_seq) {
            self.seats.remove(&player);
        }
    }

    /// Whether a worker has a turn of it to answer. Ticks that were left out have a number, and nobody answers them.
    pub(crate) fn is_at_work(&self) -> bool {
        let is_left_out = |seq| self.skips.iter().any(|(skip, _)| *skip == seq);
        self.flights.iter().any(|flight| flight.sent && !is_left_out(flight.seq))
    }

    /// Turns that were sent and not answered.
    pub(crate) fn sent(&self) -> usize {
        self.flights.iter().filter(|flight| flight.sent).count()
    }
}
