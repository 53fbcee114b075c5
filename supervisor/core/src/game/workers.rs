//! A game's set of workers: what each one is for, and which calls it has not answered.
//!
//! ```text
//!  Spawning ──loaded──▶ Initializing ──init ok──▶ Serving ──▶ Draining ──▶ Leaving ──▶ (dead)
//!      └───────────────────┴──────────────────────┴── Dying (killed, death not reported yet)
//! ```
//!
//! A worker answers in the order in which it was asked, so its calls are a queue.

use std::collections::{BTreeSet, VecDeque};

use crate::ids::{CallId, SessionId, WorkerId};
use crate::policy::usage::Usage;

/// One worker.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) id: WorkerId,
    pub(crate) phase: WorkerPhase,
    pub(crate) role: Role,
    pub(crate) calls: VecDeque<Call>,
    pub(crate) last_call: u64,
    /// How many of `calls` bring sessions back.
    pub(crate) restores: usize,
    /// What it has said of its oldest call that nothing depends on.
    pub(crate) asides: u32,
    pub(crate) sessions: BTreeSet<SessionId>,
    /// Sessions in it, or on their way to it, that may have something to send.
    pub(crate) ready: VecDeque<SessionId>,
    /// Since when the oldest call is the oldest.
    pub(crate) head_since_mono_ns: u64,
    /// When the alarm for its oldest call goes off, if one is set.
    pub(crate) alarmed: Option<u64>,
    pub(crate) spawned_mono_ns: u64,
    /// It came as far as serving.
    pub(crate) served: bool,
    /// Its sessions are moved to others; then it goes.
    pub(crate) leaves: bool,
    /// Turns that it has answered.
    pub(crate) turns: u64,
    /// It was ended before it came to serve, because nobody needs it any more.
    pub(crate) retired: bool,
    /// The plugin in it was told that it is suspended.
    pub(crate) told_suspended: bool,
    /// What was seen of it from outside.
    pub(crate) usage: Usage,
}

/// Where a worker is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WorkerPhase {
    /// Its process is on its way.
    Spawning,
    /// The plugin is loaded, and `init` was called.
    Initializing,
    /// It plays.
    Serving,
    /// It answers what it has, and gets nothing more.
    Draining,
    /// It was told to shut down.
    Leaving,
    /// It is being killed.
    Dying,
}

/// What a worker is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Any session.
    Serve,
    /// One session at a time that is suspected of killing workers.
    Probe,
    /// None, until it takes the place of one that serves: see `standby`. Serving, it is warm.
    Standby,
}

/// A call that is not answered yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    pub(crate) id: CallId,
    pub(crate) what: CallKind,
}

/// What was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallKind {
    Init,
    Suspend,
    Resume,
    Shutdown,
    Drop,
    /// Whether it is there.
    Ping,
    /// Restore from the newest snapshot.
    Restore(SessionId),
    /// Replay of a turn on record.
    Replay(SessionId, Expect),
    /// A turn without an outcome yet.
    Turn(SessionId, u64),
    /// A try whether the snapshot after this turn snapshot can be restored, beside the session itself.
    Verify(SessionId, u64),
}

/// What a replayed turn must answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// This turn's outcome.
    Outcome { seq: u64, outcome: u64 },
    /// One tick of a run; the chained outcome after the last one.
    Tick { seq: u64, last: Option<u64> },
}

impl Worker {
    pub(crate) fn new(id: WorkerId, role: Role, now_mono_ns: u64) -> Worker {
        Worker {
            id,
            phase: WorkerPhase::Spawning,
            role,
            calls: VecDeque::new(),
            last_call: 0,
            restores: 0,
            asides: 0,
            sessions: BTreeSet::new(),
            ready: VecDeque::new(),
            head_since_mono_ns: now_mono_ns,
            alarmed: None,
            spawned_mono_ns: now_mono_ns,
            served: false,
            leaves: false,
            turns: 0,
            retired: false,
            told_suspended: false,
            usage: Usage::default(),
        }
    }

    /// Whether it may become, or is, a worker that serves.
    pub(crate) fn is_coming(&self) -> bool {
        matches!(self.phase, WorkerPhase::Spawning | WorkerPhase::Initializing | WorkerPhase::Serving)
            && !self.leaves
    }

    /// Whether it is one of the replicas that serve, and stays.
    pub(crate) fn serves(&self) -> bool {
        self.role == Role::Serve && self.is_serving() && !self.leaves
    }

    pub(crate) fn is_serving(&self) -> bool {
        self.phase == WorkerPhase::Serving
    }

    /// Whether it may be given turns, first or again: never between suspend and resume.
    pub(crate) fn takes_turns(&self) -> bool {
        self.is_serving() && !self.told_suspended
    }

    /// The words for its phase.
    pub(crate) fn word(&self) -> &'static str {
        match (self.phase, self.role) {
            (WorkerPhase::Spawning | WorkerPhase::Initializing, _) => "starting",
            (WorkerPhase::Serving, Role::Serve) if self.leaves => "retiring",
            (WorkerPhase::Serving, Role::Serve) => "serving",
            (WorkerPhase::Serving, Role::Probe) => "probing",
            (WorkerPhase::Serving, Role::Standby) => "standby",
            (WorkerPhase::Draining | WorkerPhase::Leaving | WorkerPhase::Dying, _) => "retiring",
        }
    }
}

impl CallKind {
    /// The session at whose door a death is laid. A try of a snapshot is the snapshot's own affair.
    pub(crate) fn suspect(&self) -> Option<SessionId> {
        if matches!(self, CallKind::Verify(..)) { None } else { self.session() }
    }

    /// Whether it is part of a session's way into the worker.
    pub(crate) fn restores(&self) -> bool {
        matches!(self, CallKind::Restore(_) | CallKind::Replay(..))
    }

    /// The session that it is about.
    pub(crate) fn session(&self) -> Option<SessionId> {
        match self {
            CallKind::Restore(session)
            | CallKind::Replay(session, _)
            | CallKind::Turn(session, _)
            | CallKind::Verify(session, _) => Some(*session),
            CallKind::Init
            | CallKind::Suspend
            | CallKind::Resume
            | CallKind::Shutdown
            | CallKind::Drop
            | CallKind::Ping => None,
        }
    }
}
