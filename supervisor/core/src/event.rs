//! What can happen to a game: the one closed list of events that its state machine takes.

use croupier_fair::seed::ServerSeed;

use crate::ids::{CallId, ClientId, Payload, PlayerId, RequestId, SessionId, WorkerId};
use crate::spec::Grants;

/// Something happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// Bring the game up: spawn a worker, load, initialise, run. Answered when it runs or cannot.
    Start {
        /// Who asked.
        request: RequestId,
    },
    /// Write down what is in memory alone, to be adopted by the next supervisor. Answered when the disk has it.
    Park {
        /// Who asked.
        request: RequestId,
    },
    /// Let turns wait, and tell the plugin.
    Suspend {
        /// Who asked.
        request: RequestId,
    },
    /// Go on.
    Resume {
        /// Who asked.
        request: RequestId,
    },
    /// Replace the workers by fresh ones; sessions go on. Also lifts "down".
    Restart {
        /// Who asked.
        request: RequestId,
    },
    /// Change how many workers serve: sessions are spread over them, or move together, while they are played.
    Scale {
        /// Who asked.
        request: RequestId,
        /// How many, 1 to [`crate::game::REPLICAS_MAX`].
        replicas: u32,
    },
    /// Lift a quarantine, forgive the deaths and close the breaker.
    Release {
        /// Who asked.
        request: RequestId,
    },
    /// Take the game down. Answered when the last worker is gone; then [`crate::Action::Stopped`].
    Unload {
        /// Who asked.
        request: RequestId,
        /// What to do with live sessions.
        sessions: LiveSessions,
    },
    /// Forget a held session for good.
    DropHeld {
        /// Who asked.
        request: RequestId,
        /// Which.
        session: SessionId,
    },
    /// What the plugin may give out and call from now on. Never more than its spec's grants: those are what its workers were told and go on being told,
    /// so that turns on record still replay. What is not allowed any more is withheld or answered `DENIED`, and told in [`crate::action::Notice::Denied`].
    Permit {
        /// What is still allowed.
        grants: Grants,
    },
    /// Open a session. (Repeated opens are told apart by the driver with [`crate::open_keys::OpenKeys`].)
    Open(Open),
    /// A turn from outside.
    Turn(Turn),
    /// A caller went away: answer nobody. A turn that was accepted is played all the same.
    Cancel {
        /// Who.
        request: RequestId,
        /// Where it waited.
        session: SessionId,
    },
    /// The worker's process runs and has loaded the plugin (its `Welcome` came).
    WorkerLoaded {
        /// Which.
        worker: WorkerId,
    },
    /// An answer came from a worker, decoded and within the limits.
    Answer {
        /// Which.
        worker: WorkerId,
        /// To which call, as the worker claims.
        call: CallId,
        /// What.
        answer: Answer,
    },
    /// The running turn of a worker asks the platform.
    HostCall {
        /// Which worker.
        worker: WorkerId,
        /// Of which call, as the worker claims.
        call: CallId,
        /// 0, 1, 2 … within the turn, as the worker claims.
        index: u32,
        /// The call's name.
        name: String,
        /// Its arguments.
        args: Payload,
        /// Hash of name and arguments.
        asked: u64,
    },
    /// A worker says that it refused its running turn a permission by itself. Nothing depends on it but what is told in [`crate::action::Notice::RefusedInside`].
    RefusedInside {
        /// Which worker.
        worker: WorkerId,
        /// Of which call, as the worker claims.
        call: CallId,
        /// What the turn would have needed, as the worker claims.
        permission: String,
        /// How often, as the worker claims.
        count: u32,
    },
    /// The platform answered a [`crate::Action::HostCall`].
    HostAnswer {
        /// As in the action.
        key: HostKey,
        /// 0, or a negative status for the plugin.
        status: i32,
        /// What the plugin gets.
        answer: Payload,
    },
    /// A worker's process was looked at from outside, as is done from time to time.
    LookedAt {
        /// Which.
        worker: WorkerId,
        /// What was seen.
        look: crate::policy::usage::Look,
    },
    /// A worker was refused what it may not do, by something that it cannot deceive: a system call by its jail.
    Violated {
        /// Which.
        worker: WorkerId,
        /// What, in a few words.
        what: String,
    },
    /// A worker's process has ended, and everything that it wrote before was fed in. Its pid is reaped.
    WorkerDied {
        /// Which.
        worker: WorkerId,
        /// Why.
        cause: Cause,
    },
    /// Everything up to this entry is on the disk for good.
    Durable {
        /// The entry's number.
        at: u64,
    },
    /// The supervisor is about to end: sessions of which nothing is kept, so that nothing could be parked, are closed with a turn each.
    CloseStateless,
    /// Whether the disk has room for what sessions write down by themselves. There is room until the first of these.
    Room {
        /// What there is.
        room: Room,
    },
    /// A session comes back from the disk. Before [`Event::Start`], once for each.
    Adopt {
        /// Which.
        session: SessionId,
        /// What is known of it, in order, with the numbers of the entries.
        changes: Vec<(u64, crate::durable::Change)>,
    },
    /// Time passed: [`crate::Game::next_wake`] was reached.
    Wake,
}

/// Room on the disk for what nobody asked for: ticks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Room {
    /// Enough.
    #[default]
    Enough,
    /// None: what is left is for what makes room.
    None,
}

/// What `unload` does with live sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveSessions {
    /// Refuse to unload while there are any.
    Refuse,
    /// Close them with a turn each.
    Close,
}

/// Opens a session.
#[derive(Debug, Clone)]
pub struct Open {
    /// Who asked.
    pub request: RequestId,
    /// Its id, fresh.
    pub session: SessionId,
    /// Its config, checked against the schema by the driver.
    pub config: Payload,
    /// Its secret: 32 bytes of the operating system's randomness.
    pub seed: ServerSeed,
    /// How it is run; `None` means as the spec says.
    pub options: Options,
}

/// How a session is run; `None` means as the spec says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Period of ticks; 0 for none.
    pub tick_ns: Option<u64>,
    /// Idle time-out; 0 for never.
    pub idle_ns: Option<u64>,
    /// Most accepted turns that wait.
    pub queue_max: Option<u32>,
    /// What the session survives.
    pub durability: Option<crate::durable::Durability>,
}

/// A turn from outside.
#[derive(Debug, Clone)]
pub struct Turn {
    /// Who asked.
    pub request: RequestId,
    /// Which session.
    pub session: SessionId,
    /// The client, for idempotency.
    pub client: ClientId,
    /// The client's number for this turn in this session, from 1.
    pub client_seq: u64,
    /// What to do.
    pub input: Input,
    /// What to do when the queue is full.
    pub when_full: WhenFull,
    /// There is no room to write it down: only one that was accepted before is answered.
    pub no_room: bool,
    /// Give up waiting at this time of the monotonic clock.
    pub deadline_mono_ns: Option<u64>,
}

/// What a turn does.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Input {
    /// `CROUPIER_TURN_*`; join, leave, action, close, or 6 and up.
    pub kind: u16,
    /// Who acts.
    pub player: PlayerId,
    /// Profile, reason, action; empty for close.
    pub payload: Payload,
    /// A join's contribution to chance; empty otherwise.
    pub client_seed: Payload,
}

/// What to do when a queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// Wait for room.
    Wait,
    /// Refuse with `Busy`.
    Refuse,
}

/// A worker's answer.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Done, with nothing to tell.
    Ok,
    /// The plugin refused.
    Failed {
        /// A negative status.
        status: i32,
        /// Why.
        text: String,
    },
    /// A turn's answer.
    Done(TurnAnswer),
    /// A snapshot.
    Snapshot(Payload),
}

/// What a turn answered.
#[derive(Debug, Clone)]
pub struct TurnAnswer {
    /// 0, or the negative status of a failed turn.
    pub status: i32,
    /// The reply.
    pub reply: Payload,
    /// The text of a failed turn.
    pub error: String,
    /// Sends and emits in order.
    pub effects: Vec<croupier_fair::entry::Effect>,
    /// The outcome hash that the worker claims; meaningful for a replay.
    pub claimed: u64,
    /// The outcome hash of what is in this answer, computed by the driver; meaningful for a first run.
    pub seen: u64,
    /// The snapshot, if one was wanted and given.
    pub snapshot: Option<Payload>,
    /// A replay asked for other host calls than recorded.
    pub diverged: bool,
}

/// Names one host call for ever: the key under which the platform may remember its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HostKey {
    /// The session.
    pub session: SessionId,
    /// The turn.
    pub seq: u64,
    /// 0, 1, 2 … within the turn.
    pub index: u32,
}

/// Why a worker died.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// A fault signal (SEGV, BUS, ILL, FPE, ABRT, TRAP, SYS).
    Fault {
        /// The signal's number.
        signal: i32,
    },
    /// It exited by itself.
    Exit {
        /// The exit code.
        code: i32,
    },
    /// It used up its CPU time, or ran on past a wall deadline.
    Cpu,
    /// Its own memory limit ended it.
    Memory,
    /// It broke the protocol and was killed for it.
    Protocol(String),
    /// A wall deadline passed without CPU use, and it was killed for it.
    Deadline,
    /// A signal from outside: KILL, TERM, STOP and a deadline …
    External {
        /// The signal's number.
        signal: i32,
    },
    /// We asked for it: unload, restart, a probe that is done.
    Asked,
    /// It could not be started, or the plugin could not be loaded.
    Start(String),
}

impl Cause {
    /// Whether the turn that was running can have caused it.
    pub fn counts(&self) -> bool {
        match self {
            Cause::Fault { .. } | Cause::Exit { .. } | Cause::Cpu | Cause::Memory | Cause::Protocol(_) => {
                true
            }
            Cause::Deadline | Cause::External { .. } | Cause::Asked | Cause::Start(_) => false,
        }
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Cause::Fault { signal } => write!(f, "fault signal {signal}"),
            Cause::Exit { code } => write!(f, "exited by itself with code {code}"),
            Cause::Cpu => f.write_str("used up its CPU time"),
            Cause::Memory => f.write_str("used up its memory"),
            Cause::Protocol(why) => write!(f, "broke the protocol: {why}"),
            Cause::Deadline => f.write_str("passed its wall deadline without using the CPU"),
            Cause::External { signal } => write!(f, "killed from outside by signal {signal}"),
            Cause::Asked => f.write_str("ended as asked"),
            Cause::Start(why) => write!(f, "did not start: {why}"),
        }
    }
}
