//! What a game wants done: the one closed list of actions that its driver performs, in order.

use croupier_fair::entry::Entry;
use croupier_fair::seed::ServerSeed;

use crate::event::{Cause, HostKey};
use crate::ids::{CallId, Payload, PlayerId, RequestId, SessionId, WorkerId};
use crate::refusal::Refusal;

/// Something to do.
#[derive(Debug, Clone)]
pub enum Action {
    /// Make a process and load the plugin into it. Leads to [`crate::Event::WorkerLoaded`] or [`crate::Event::WorkerDied`].
    Spawn {
        /// Its id.
        worker: WorkerId,
    },
    /// End a process. Always leads to [`crate::Event::WorkerDied`], also for a worker that is already dead and not yet reported.
    Kill {
        /// Which.
        worker: WorkerId,
        /// Why: becomes the cause of death. For [`KillReason::Deadline`] the driver looks at the CPU and says `Cpu` or `Deadline`.
        why: KillReason,
    },
    /// Send a message to a worker. Messages to one worker go out in the order of their actions.
    Send {
        /// Which.
        worker: WorkerId,
        /// The call's id.
        call: CallId,
        /// What.
        message: ToWorker,
    },
    /// Perform a host call; its permission was checked. Leads to [`crate::Event::HostAnswer`].
    HostCall {
        /// Names it for ever.
        key: HostKey,
        /// The call's name.
        name: String,
        /// Its arguments.
        args: Payload,
    },
    /// Answer a caller, exactly once.
    Answer {
        /// Whom.
        request: RequestId,
        /// With what.
        result: Result<Answered, Refusal>,
    },
    /// A turn's outcome is final: chain it into the session's transcript. In order of numbers within a session.
    Record {
        /// The session.
        session: SessionId,
        /// The turn.
        entry: Entry,
    },
    /// A session gave something out. In order of numbers within a session.
    Output(Output),
    /// Put this on the disk, behind what came before it; then tell [`crate::Event::Durable`].
    Journal(Box<crate::durable::Entry>),
    /// Tell whoever listens.
    Notice(Notice),
    /// The session's transcript begins.
    TranscriptOpen {
        /// The session.
        session: SessionId,
        /// The commitment to its seed.
        commit: [u8; 32],
        /// When it was opened.
        opened_ns: u64,
        /// Period of its ticks; 0 for none.
        tick_ns: u64,
    },
    /// The session's transcript ends; its seed may now be revealed, as its kind of game allows. Comes once more after the supervisor's death.
    TranscriptClose {
        /// The session.
        session: SessionId,
        /// The secret.
        seed: ServerSeed,
        /// Why it ended.
        reason: EndReason,
    },
    /// The game is unloaded and all its workers are gone; forget it.
    Stopped,
}

/// Why a worker is to be ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KillReason {
    /// It is not needed any more.
    Retired,
    /// It took longer than its deadline over one call.
    Deadline,
    /// It broke the protocol.
    Protocol(String),
    /// It refused to initialise.
    Init(String),
}

/// A message to a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToWorker {
    /// Initialise the plugin.
    Init {
        /// JSON.
        settings: Payload,
    },
    /// Play a turn.
    Turn(Box<TurnMessage>),
    /// Make a session from a snapshot.
    Restore {
        /// The session.
        session: SessionId,
        /// The snapshot's version.
        state_version: u32,
        /// The snapshot.
        snapshot: Payload,
    },
    /// Forget a session without a turn.
    Drop {
        /// The session.
        session: SessionId,
    },
    /// Tell the plugin that it is suspended.
    Suspend,
    /// Tell the plugin that it goes on.
    Resume,
    /// Are you there?
    Ping,
    /// The answer of a host call, with the turn's call id.
    CallAnswer(CallRecord),
    /// Drop all sessions, shut the plugin down, exit.
    Shutdown,
}

/// One turn on its way to a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnMessage {
    /// The session.
    pub session: SessionId,
    /// The turn's number.
    pub seq: u64,
    /// The turn's time.
    pub now_ns: u64,
    /// The turn's seed.
    pub seed: [u8; 32],
    /// `CROUPIER_TURN_*`.
    pub kind: u16,
    /// Who acts.
    pub player: PlayerId,
    /// Config, profile, reason or action.
    pub payload: Payload,
    /// Host-call answers on record.
    pub calls: Vec<CallRecord>,
    /// First run or replay.
    pub run: Run,
    /// Whether its snapshot is wanted in the same reply.
    pub snapshot: Wanted,
}

/// First run or replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run {
    /// The outcome is not known yet (a first run, or a retry after a death).
    First,
    /// The outcome is known; output is suppressed.
    Replay,
}

/// Whether a snapshot is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Yes.
    Yes,
    /// No.
    No,
}

/// A host call on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRecord {
    /// Hash of its name and arguments.
    pub asked: u64,
    /// 0, or the negative status.
    pub status: i32,
    /// What the plugin got.
    pub answer: Payload,
}

/// What a caller gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answered {
    /// The verb was carried out.
    Ok,
    /// The session is open.
    Opened {
        /// Its id.
        session: SessionId,
        /// The commitment to its seed.
        commit: [u8; 32],
        /// The open turn.
        done: Done,
    },
    /// The turn was played and recorded.
    Done(Done),
}

/// A turn that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// Its number.
    pub seq: u64,
    /// Its time.
    pub now_ns: u64,
    /// Its reply.
    pub reply: Payload,
    /// How often it was sent again.
    pub retries: u32,
}

/// One message or event that a session gave out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The session.
    pub session: SessionId,
    /// 1, 2, 3 … within the session.
    pub number: u64,
    /// The turn.
    pub seq: u64,
    /// What, and to whom.
    pub effect: croupier_fair::entry::Effect,
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum EndReason {
    /// A close turn from outside.
    Closed,
    /// Nobody played for too long.
    Idle,
    /// Its plugin was unloaded.
    Unloaded,
    /// Its open turn was refused or poison.
    OpenRefused,
    /// An operator dropped it while held.
    Dropped,
}

impl EndReason {
    /// The word for it in events and transcripts.
    pub fn word(self) -> &'static str {
        match self {
            EndReason::Closed => "closed",
            EndReason::Idle => "idle",
            EndReason::Unloaded => "unloaded",
            EndReason::OpenRefused => "open-refused",
            EndReason::Dropped => "dropped",
        }
    }
}

/// Something that others may want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The game runs for the first time.
    Loaded,
    /// The game is unloaded.
    Unloaded,
    /// Turns wait.
    Suspended,
    /// Turns go on.
    Resumed,
    /// Workers do not come up.
    Down {
        /// Why.
        reason: String,
    },
    /// An operator lifted what kept the game down.
    Released,
    /// Too many turns failed: for a while nobody is let in.
    BreakerOpened {
        /// Failed turns.
        failed: u32,
        /// Of so many.
        turns: u32,
    },
    /// Everybody is let in again.
    BreakerClosed,
    /// A worker serves.
    WorkerReady {
        /// Which.
        worker: WorkerId,
    },
    /// A standby is warm: it serves as soon as it is needed.
    StandbyReady {
        /// Which.
        worker: WorkerId,
    },
    /// A worker died (not when we asked for it).
    WorkerDied {
        /// Which.
        worker: WorkerId,
        /// Why.
        cause: Cause,
        /// Turns that it left unanswered.
        turns: u32,
        /// Restores and replays that it left unanswered.
        restores: u32,
    },
    /// A worker uses more than this share of its memory limit.
    MemoryHigh {
        /// Which.
        worker: WorkerId,
        /// The share.
        percent: u64,
        /// What it uses.
        rss_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// A worker has used more memory in each of ten minutes than in the one before, and there are no more sessions to explain it.
    MemoryGrows {
        /// Which.
        worker: WorkerId,
        /// By how much in all.
        bytes: u64,
        /// What it uses.
        rss_bytes: u64,
    },
    /// A worker's cgroup keeps it from the CPU.
    Throttled {
        /// Which.
        worker: WorkerId,
        /// For how many percent of the time.
        percent: u64,
    },
    /// A worker broke its bounds. Of many in a short time only the first are told.
    Violation {
        /// Which.
        worker: WorkerId,
        /// How.
        what: String,
    },
    /// The plugin broke its bounds too often: its turns wait until an operator resumes it.
    SuspendedFor {
        /// Why.
        reason: String,
    },
    /// A session opened.
    SessionOpened {
        /// Which.
        session: SessionId,
        /// The commitment to its seed.
        commit: [u8; 32],
    },
    /// A session ended.
    SessionEnded {
        /// Which.
        session: SessionId,
        /// Why.
        reason: EndReason,
        /// Its last turn.
        seq: u64,
    },
    /// A session came back from the disk.
    SessionAdopted {
        /// Which.
        session: SessionId,
        /// Its last turn.
        seq: u64,
    },
    /// What the disk has of a session makes no session; it is left as it is.
    SessionUnreadable {
        /// Which.
        session: SessionId,
        /// Why.
        reason: String,
    },
    /// A session was set aside.
    SessionHeld {
        /// Which.
        session: SessionId,
        /// Why.
        reason: String,
    },
    /// A session was restored after a loss or a restart.
    SessionRestored {
        /// Which.
        session: SessionId,
        /// Where.
        worker: WorkerId,
        /// Turns replayed.
        replayed: u64,
        /// Time since it lost its last worker.
        pause_ns: u64,
    },
    /// A session went from one worker to another while both lived.
    SessionMoved {
        /// Which.
        session: SessionId,
        /// From where.
        from: WorkerId,
        /// To where.
        to: WorkerId,
        /// Turns replayed.
        replayed: u64,
        /// Time in which nothing of it was played.
        pause_ns: u64,
    },
    /// It shall be served by so many workers from now on.
    Scaled {
        /// How many.
        replicas: u32,
    },
    /// A replayed turn answered differently.
    Diverged {
        /// The session.
        session: SessionId,
        /// The turn.
        seq: u64,
    },
    /// The plugin's snapshots cannot be restored; sessions keep their whole journal from now on.
    SnapshotsDistrusted {
        /// Why.
        reason: String,
    },
    /// A turn used a permission that its plugin does not have, or not any more. The use came to nothing.
    Denied {
        /// The session.
        session: SessionId,
        /// The turn.
        seq: u64,
        /// The permission as it stands in manifests: `send`, `emit:TOPIC`, `call:NAME`.
        permission: String,
        /// How often in this turn.
        count: u64,
    },
    /// A worker says that a turn wanted a permission that its plugin does not have, and that it refused it. Its word alone: a hostile plugin can leave it
    /// out or make it up, but only about its own turns.
    RefusedInside {
        /// The session.
        session: SessionId,
        /// The turn.
        seq: u64,
        /// The permission, as the worker says.
        permission: String,
        /// How often in this turn, as the worker says.
        count: u32,
    },
    /// A turn was called poison.
    Poison {
        /// The session.
        session: SessionId,
        /// The turn.
        seq: u64,
        /// Who sent it.
        player: PlayerId,
    },
    /// A player joined.
    PlayerJoined {
        /// The session.
        session: SessionId,
        /// Who.
        player: PlayerId,
    },
    /// A player left.
    PlayerLeft {
        /// The session.
        session: SessionId,
        /// Who.
        player: PlayerId,
    },
    /// A turn was played.
    TurnDone {
        /// The session.
        session: SessionId,
        /// The turn.
        seq: u64,
        /// 0, or the plugin's negative status.
        status: i32,
    },
}
