//! Messages between the supervisor and one worker.
//!
//! A worker answers strictly in the order in which it was asked: the reply to a call carries the call's id in the frame
//! header, and the oldest unanswered call is always the next to be answered. Anything else is a protocol error
//! and ends the worker. Unsolicited frames ([`FromWorker::Log`]) carry call id 0; a [`FromWorker::HostCall`] carries the id of the turn
//! that makes it.
//!
//! ```text
//! supervisor                         worker
//!   Hello + memfd (SCM_RIGHTS) ───▶   copy nothing, dlopen, check the symbol
//!   ◀─── Welcome                      (life-cycle: Loaded)
//!   Init ───▶  ◀─── Ok                (Initialized)
//!   Turn, Restore, Snapshot, Drop …   (Running)
//!   Shutdown ───▶ ◀─── Ok, then EOF
//! ```
//!
//! Frame kinds: [`Hello`](ToWorker::Hello) and [`Welcome`](FromWorker::Welcome) are `0x51`; turns, their replies and
//! host calls `0x52`; a [`Fault`](FromWorker::Fault) is `0x54`; all else is `0x53`.

use bincode::{BorrowDecode, Encode};

mod frames;

pub use frames::{decode_from_worker, decode_to_worker};

/// The version of this vocabulary, in every frame header on a link.
pub const LINK_VERSION: u16 = 1;

/// Frame flag of a [`ToWorker::Turn`]: the turn's snapshot is wanted in the same reply.
pub const FLAG_SNAPSHOT: u8 = 1;
/// Frame flag of a [`ToWorker::Turn`]: a replay. Output is suppressed, host calls are answered from
/// [`Turn::calls`], and the reply holds only the status and the outcome hash.
pub const FLAG_REPLAY: u8 = 2;

/// What one worker may use of the link; part of [`Hello`]. Bytes and counts, all inclusive maxima.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, BorrowDecode)]
pub struct Limits {
    /// Longest frame either side may send, header included.
    pub frame_bytes: u32,
    /// Longest reply of one turn.
    pub reply_bytes: u32,
    /// Longest snapshot of one session.
    pub snapshot_bytes: u32,
    /// Most sends, emits and host calls of one turn together.
    pub effects_per_turn: u32,
    /// Longest single send, emit, or host-call argument or answer.
    pub effect_bytes: u32,
}

/// First message on a link; the plugin's sealed memfd travels beside it as the only descriptor.
#[derive(Debug, Clone, PartialEq, Eq, Encode, BorrowDecode)]
pub struct Hello<'a> {
    /// [`LINK_VERSION`] of the supervisor.
    pub version: u16,
    /// The worker's id, for its own log lines.
    pub worker: u64,
    /// The plugin's name as in its manifest.
    pub plugin: &'a str,
    /// The plugin's version as in its manifest.
    pub plugin_version: &'a str,
    /// The snapshots' version as in its manifest.
    pub state_version: u32,
    /// Limits that the worker keeps, and the supervisor checks again.
    pub limits: Limits,
    /// Granted permissions: `send`, `emit:TOPIC`, `call:NAME`, `threads`.
    pub permissions: Vec<&'a str>,
    /// Pages of address space and heap that the worker wastes before it loads the plugin, so that two workers with
    /// different values surely have different address layouts. 0 in service.
    pub layout_shift_pages: u32,
}

/// The answer of a host call, as performed or as recorded.
#[derive(Debug, Clone, PartialEq, Eq, Encode, BorrowDecode)]
pub struct CallAnswer<'a> {
    /// xxh3 of the call's name and arguments (see [`crate::outcome::call_hash`]); a replay that asks otherwise diverges.
    pub asked: u64,
    /// 0, or the negative status that the plugin gets.
    pub status: i32,
    /// What is written to the plugin's sink.
    pub answer: &'a [u8],
}

/// One turn of one session.
#[derive(Debug, Clone, PartialEq, Eq, Encode, BorrowDecode)]
pub struct Turn<'a> {
    /// The session's id.
    pub session: u64,
    /// The turn's number in its session, from 1.
    pub seq: u64,
    /// The turn's time, nanoseconds since the Unix epoch.
    pub now_ns: u64,
    /// The turn's seed.
    pub seed: [u8; 32],
    /// `CROUPIER_TURN_*`.
    pub kind: u16,
    /// Who acts; 0 is the house.
    pub player: u64,
    /// Config, profile, reason or action, by kind.
    pub payload: &'a [u8],
    /// Host-call answers on record, in order; used up before anything is asked anew (a retried or replayed turn).
    pub calls: Vec<CallAnswer<'a>>,
}

/// One session's tick among the [`Ticks`](ToWorker::Ticks) of many: a [`Turn`] of the house without payload, played for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, BorrowDecode)]
pub struct Tick {
    /// The session's id.
    pub session: u64,
    /// The turn's number in its session.
    pub seq: u64,
    /// The turn's time, nanoseconds since the Unix epoch.
    pub now_ns: u64,
    /// The turn's seed.
    pub seed: [u8; 32],
}

/// Most bytes that a [`Tick`] takes in a frame.
pub const TICK_BYTES_MAX: usize = 3 * 9 + 32;

/// What the supervisor says.
#[derive(Debug, Clone, PartialEq, Eq, Encode, BorrowDecode)]
pub enum ToWorker<'a> {
    /// Load the plugin that comes beside this message. Answered by [`FromWorker::Welcome`].
    Hello(Hello<'a>),
    /// Call the plugin's `init` with these settings (JSON). Answered by [`FromWorker::Ok`] or [`FromWorker::Failed`].
    Init {
        /// The operator's settings for this plugin, a JSON object.
        settings: &'a [u8],
    },
    /// Play a turn. Answered by [`FromWorker::Done`]. An `open` makes the session, a `close` ends it.
    Turn(Turn<'a>),
    /// Make a session from a snapshot. Answered by [`FromWorker::Ok`] or [`FromWorker::Failed`].
    Restore {
        /// The session's id.
        session: u64,
        /// The version of `snapshot`.
        state_version: u32,
        /// Bytes that the plugin wrote.
        snapshot: &'a [u8],
    },
    /// Write a session's snapshot. Answered by [`FromWorker::Snapshot`] or [`FromWorker::Failed`].
    Snapshot {
        /// The session's id.
        session: u64,
    },
    /// Forget a session without a turn (it moved, or was held). Answered by [`FromWorker::Ok`], known or not.
    Drop {
        /// The session's id.
        session: u64,
    },
    /// Call the plugin's `suspend`. Answered by [`FromWorker::Ok`] or [`FromWorker::Failed`].
    Suspend,
    /// Call the plugin's `resume`. Answered by [`FromWorker::Ok`] or [`FromWorker::Failed`].
    Resume,
    /// Are you there? Answered by [`FromWorker::Ok`].
    Ping,
    /// The answer to a [`FromWorker::HostCall`] of the running turn, with the turn's call id.
    CallAnswer(CallAnswer<'a>),
    /// Drop all sessions, call `shutdown`, answer [`FromWorker::Ok`], exit 0.
    Shutdown,
    /// Play ticks, in order. Each is answered by a [`FromWorker::Done`] of its own: the first with the frame's call id, each of the others with the next one.
    Ticks {
        /// At least one.
        ticks: Vec<Tick>,
    },
}

/// To whom a turn's output goes.
#[derive(Debug, Clone, PartialEq, Eq, Encode, BorrowDecode)]
pub enum Effect<'a> {
    /// `host->send`: to a player, or to all with `u64::MAX`.
    Send {
        /// The player.
        to: u64,
        /// The message.
        message: &'a [u8],
    },
    /// `host->emit`.
    Emit {
        /// The topic.
        topic: &'a str,
        /// The event.
        event: &'a [u8],
    },
}

/// What a turn answered.
#[derive(Debug, Clone, PartialEq, Eq, Encode, BorrowDecode)]
pub struct Done<'a> {
    /// 0, or the negative status of a failed turn.
    pub status: i32,
    /// The reply; empty on failure, and on replay.
    pub reply: &'a [u8],
    /// The text of `host->fail`; empty on success, and on replay.
    pub error: &'a str,
    /// Sends and emits in order; none on failure, and on replay.
    pub effects: Vec<Effect<'a>>,
    /// The outcome hash ([`crate::outcome::outcome_hash`]); trusted for telling divergence only, never for evidence.
    pub outcome: u64,
    /// The snapshot after the turn, when [`FLAG_SNAPSHOT`] asked for it and the plugin gave one.
    pub snapshot: Option<&'a [u8]>,
    /// A replay asked for other host calls than recorded.
    pub diverged: bool,
}

/// What the worker says. Everything in it is untrusted.
#[derive(Debug, Clone, PartialEq, Eq, Encode, BorrowDecode)]
pub enum FromWorker<'a> {
    /// The plugin is loaded and its symbol checked.
    Welcome {
        /// [`LINK_VERSION`] of the worker.
        version: u16,
        /// `abi_minor` of the plugin's descriptor.
        abi_minor: u32,
        /// The plugin has a `get_extension`. Whether `croupier.input/1` is among its extensions shows only after `init`: a turn of an open kind
        /// is answered with `CROUPIER_E_UNSUPPORTED` when it is not.
        has_extensions: bool,
        /// The plugin exported an `abi_stable` layout and it was compared.
        layout_checked: bool,
    },
    /// Done, with nothing to tell.
    Ok,
    /// The plugin (or the loader) refused: status and text.
    Failed {
        /// A negative `CROUPIER_E_*`.
        status: i32,
        /// Why, for a person.
        text: &'a str,
    },
    /// The answer to a turn.
    Done(Done<'a>),
    /// The answer to [`ToWorker::Snapshot`].
    Snapshot {
        /// The plugin's bytes.
        snapshot: &'a [u8],
    },
    /// The running turn asks the platform. The worker goes on when the [`ToWorker::CallAnswer`] with the turn's call id comes; frames that were
    /// sent before it wait for their turn.
    HostCall {
        /// 0, 1, 2 … within the turn.
        index: u32,
        /// The call's name.
        name: &'a str,
        /// Its arguments.
        args: &'a [u8],
    },
    /// `host->log`.
    Log {
        /// `CROUPIER_LOG_*`.
        level: u8,
        /// The line.
        text: &'a str,
    },
    /// The worker cannot go on and says why before it exits (kind `0x54`): a plugin that does not load, a frame that does not decode.
    Fault {
        /// What went wrong.
        code: FaultCode,
        /// The details, for a person.
        text: &'a str,
    },
    /// The running turn wanted a permission that it does not have, and the worker itself refused it: what is said between a turn's last host call and
    /// its [`Done`], with the turn's call id. For the record only: a hostile plugin can have it left out, or make it up.
    Refused {
        /// What it would have needed, as in a manifest.
        permission: &'a str,
        /// How often in this turn.
        count: u32,
    },
}

/// Most [`FromWorker::Refused`] of one turn.
pub const REFUSALS_PER_TURN_MAX: usize = 16;
/// Longest [`FromWorker::Refused::permission`], in bytes.
pub const PERMISSION_BYTES_MAX: usize = 272;

/// Why a worker gave up by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, BorrowDecode)]
pub enum FaultCode {
    /// No usable memfd came with [`Hello`].
    NoPlugin,
    /// `dlopen` failed.
    Dlopen,
    /// The symbol `croupier_plugin_v1` is missing.
    NoSymbol,
    /// The plugin was built for another ABI, or its structs are too small or inconsistent.
    BadAbi,
    /// A mandatory function pointer is NULL.
    MissingFunction,
    /// The descriptor differs from the manifest.
    ManifestMismatch,
    /// The `abi_stable` layout differs.
    LayoutMismatch,
    /// A frame from the supervisor could not be understood.
    Protocol,
    /// The worker's own set-up failed (limits, descriptors).
    Setup,
}
