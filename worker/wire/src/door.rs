//! Messages between a client and the supervisor, on both doors.
//!
//! Two Unix sockets speak this one vocabulary: the *control* socket (operators, mode 0600, peer uid checked) takes everything; the
//! *traffic* socket takes [`Request::Open`], [`Request::Turn`], [`Request::Follow`] and [`Request::Ping`].
//! The first frame each way is [`ClientHello`] and [`ServerHello`] (kind `0x51`); then any number of requests may be outstanding, each with a
//! call id of the client's choice (not 0), answered by exactly one [`Reply`] with that id, in any order.
//! A [`Request::Follow`] or [`Verb::Events`] is answered once and then by any number of [`Push`] frames with its id.
//!
//! Payloads (configs, profiles, actions, replies) are opaque bytes here: JSON or raw, as the plugin's manifest says.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// The version of this vocabulary, in every frame header on a door.
pub const DOOR_VERSION: u16 = 1;

/// Most requests that one connection may have outstanding; beyond, the supervisor reads no further until one is answered.
pub const OUTSTANDING_PER_CONNECTION_MAX: usize = 4096;

/// Says who connects.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ClientHello {
    /// [`DOOR_VERSION`] of the client.
    pub version: u16,
    /// The client's identity for idempotency: random for a new client, kept over reconnects.
    pub client_id: u64,
    /// Name and version of the program, for logs.
    pub program: String,
}

/// Says who answers.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ServerHello {
    /// [`DOOR_VERSION`] of the server.
    pub version: u16,
    /// Croupier's version.
    pub server: String,
    /// The supervisor's process id.
    pub pid: u32,
    /// Whether this is the control door.
    pub control: bool,
    /// The path of the traffic socket, told on the control door.
    pub traffic_socket: Option<String>,
    /// Longest frame that the server accepts, in bytes.
    pub frame_bytes_max: u32,
}

/// What a client asks.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Request {
    /// Open a session. Answered by [`Reply::Opened`].
    Open(Open),
    /// One turn of a session. Answered by [`Reply::Done`].
    Turn(Turn),
    /// Follow a session's output. Answered by [`Reply::Following`], then [`Push::Output`].
    Follow {
        /// The session's id.
        session: u64,
        /// The first output number wanted; 0 for "from now on".
        from: u64,
    },
    /// Answered by [`Reply::Pong`].
    Ping,
    /// An operator's verb; refused on the traffic door. Answered by [`Reply::Control`].
    Control(Verb),
}

/// What to do when a queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub enum WhenFull {
    /// Wait for room.
    #[default]
    Wait,
    /// Answer [`Code::Busy`] at once.
    Refuse,
}

/// Opens a session.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Open {
    /// The client's number for this open, from 1; a repeated one gets the first one's answer.
    pub client_seq: u64,
    /// The plugin's name.
    pub plugin: String,
    /// The session's config, JSON; checked against the plugin's schema.
    pub config: Vec<u8>,
    /// How the session is run.
    pub options: OpenOptions,
}

/// How a session is run. `None` means: as the plugin's manifest or the supervisor's config says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OpenOptions {
    /// Period of ticks in milliseconds; 0 for none.
    pub tick_ms: Option<u32>,
    /// The session is closed after this many milliseconds without a turn from outside; 0 for never.
    pub idle_timeout_ms: Option<u64>,
    /// Most turns that wait for the worker at a time, from 1.
    pub queue_max: Option<u32>,
    /// Reveal the server seed publicly at close even if the game hides information.
    pub reveal_public: bool,
}

/// One turn of a session.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Turn {
    /// The session's id.
    pub session: u64,
    /// The client's number for this turn in this session, from 1, at most 64 outstanding; a repeated one gets the first one's answer.
    pub client_seq: u64,
    /// What to do.
    pub input: Input,
    /// What to do when the session's queue is full.
    pub when_full: WhenFull,
    /// Give up waiting after this many milliseconds; 0 for never. A turn that has begun is finished all the same, and a repetition with the same
    /// key gets its answer.
    pub deadline_ms: u32,
}

/// What a turn does.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Input {
    /// A player takes a seat.
    Join {
        /// The player, from 1.
        player: u64,
        /// What the platform says of the player.
        profile: Vec<u8>,
        /// The player's contribution to the session's chance; up to 64 bytes, may be empty.
        client_seed: Vec<u8>,
    },
    /// A player leaves.
    Leave {
        /// The player.
        player: u64,
        /// Why, a short text.
        reason: Vec<u8>,
    },
    /// A player (0: the house) does something.
    Action {
        /// The player.
        player: u64,
        /// What, JSON or raw.
        payload: Vec<u8>,
    },
    /// An input of an open kind (6 and up), for plugins with the extension `croupier.input/1`.
    Other {
        /// `CROUPIER_TURN_*`, 6 or more.
        kind: u16,
        /// The player; 0 is the house.
        player: u64,
        /// What, JSON or raw.
        payload: Vec<u8>,
    },
    /// The session ends.
    Close,
}

/// What the supervisor answers.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Reply {
    /// The session is open.
    Opened {
        /// Its id.
        session: u64,
        /// SHA-256 commitment to the session's server seed (see docs/FAIRNESS.md).
        commit: [u8; 32],
        /// The open turn's reply.
        done: Done,
    },
    /// The turn was played and recorded.
    Done(Done),
    /// Following from this output number on.
    Following {
        /// The number of the next output.
        next: u64,
    },
    /// Here.
    Pong,
    /// The verb was carried out.
    Control(ControlReply),
    /// No.
    Refused(Refusal),
}

/// A turn that succeeded.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Done {
    /// The turn's number.
    pub seq: u64,
    /// The turn's time, nanoseconds since the Unix epoch.
    pub now_ns: u64,
    /// The plugin's reply.
    pub reply: Vec<u8>,
    /// How often the turn was sent again because its worker died; 0 almost always.
    pub retries: u32,
}

/// Frames that come without being asked for each time, after a [`Request::Follow`] or [`Verb::Events`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Push {
    /// Output of a session.
    Output(Output),
    /// Something happened in the supervisor.
    Event(Event),
    /// The follower was too slow and `lost` pushes were dropped; follow again from where you were.
    Lagged {
        /// How many.
        lost: u64,
    },
    /// The session ended; nothing more comes.
    End,
}

/// One message or event that a session gave out.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Output {
    /// The session's id.
    pub session: u64,
    /// 1, 2, 3 … within the session.
    pub number: u64,
    /// The turn that gave it out.
    pub seq: u64,
    /// To whom.
    pub to: OutputTo,
    /// What.
    pub bytes: Vec<u8>,
}

/// To whom output goes.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum OutputTo {
    /// One player.
    Player(u64),
    /// Every player.
    All,
    /// Whoever follows the topic.
    Topic(String),
}

/// Why the supervisor says no.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Refusal {
    /// What kind of no; stable, for programs.
    pub code: Code,
    /// The plugin concerned; empty when none is.
    pub plugin: String,
    /// The session concerned; 0 when none is.
    pub session: u64,
    /// The turn concerned; 0 when none is or it was never numbered.
    pub seq: u64,
    /// The plugin's own status for [`Code::PluginRefused`]; otherwise 0.
    pub status: i32,
    /// What happened, a sentence.
    pub text: String,
    /// What to do next, a sentence; may be empty.
    pub hint: String,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)?;
        if !self.hint.is_empty() {
            write!(f, " ({})", self.hint)?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}

/// The kinds of no. Kinds are only ever added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// No plugin of that name is loaded.
    UnknownPlugin,
    /// No such session, or it ended longer ago than is remembered.
    UnknownSession,
    /// The player has not joined this session.
    UnknownPlayer,
    /// The player has already joined this session.
    AlreadyJoined,
    /// The table has its maximum of players.
    TableFull,
    /// The plugin is not in a state that allows this.
    WrongState,
    /// The config does not fit the plugin's schema.
    BadConfig,
    /// The payload is not what the manifest promises (JSON).
    BadPayload,
    /// The plugin does not take this kind of turn.
    Unsupported,
    /// The session's queue is full and the caller did not want to wait.
    Busy,
    /// The caller's deadline passed.
    Deadline,
    /// This key was used for another request.
    KeyReused,
    /// This key is older than the window that is remembered.
    KeyExpired,
    /// The session has its maximum of clients.
    TooManyClients,
    /// The plugin has its maximum of sessions.
    TooManySessions,
    /// Something is over a size limit.
    TooBig,
    /// The plugin answered the turn with an error; the turn is recorded.
    PluginRefused,
    /// The turn killed its worker twice while alone in flight, and is skipped.
    Poison,
    /// The session is set aside for an operator.
    SessionHeld,
    /// The session has ended.
    SessionClosed,
    /// The session was lost with a supervisor; `seq` is its last known turn.
    SessionLost,
    /// The plugin's workers do not come up.
    PluginDown,
    /// Output older than the window was asked for; `seq` is the oldest number there is.
    Gone,
    /// A permission is missing.
    Denied,
    /// A frame made no sense; the connection ends.
    Protocol,
    /// The supervisor is going down.
    ShuttingDown,
    /// A plugin file was refused; the text says why.
    BadPlugin,
    /// A plugin of that name is already loaded.
    AlreadyLoaded,
    /// The verb needs the control socket.
    NotAllowed,
    /// A fault of the supervisor itself.
    Internal,
}

/// An operator's verb.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Verb {
    /// Load a plugin file. [`ControlReply::Plugins`] with the one.
    Load {
        /// Absolute path of the `.so`, as the supervisor sees it.
        path: String,
    },
    /// Unload a plugin; `force` ends its sessions.
    Unload {
        /// The plugin's name.
        plugin: String,
        /// What to do with live sessions.
        sessions: LiveSessions,
    },
    /// Suspend a plugin: its turns wait.
    Suspend {
        /// The plugin's name.
        plugin: String,
    },
    /// Resume it.
    Resume {
        /// The plugin's name.
        plugin: String,
    },
    /// Replace a plugin's workers by fresh ones; sessions go on.
    Restart {
        /// The plugin's name.
        plugin: String,
    },
    /// All plugins, or the one named. [`ControlReply::Plugins`].
    Plugins {
        /// Only this one.
        plugin: Option<String>,
    },
    /// Sessions, live and held. [`ControlReply::Sessions`].
    Sessions {
        /// Only this plugin's.
        plugin: Option<String>,
        /// At most this many, lowest ids first.
        limit: u32,
    },
    /// One session in detail. [`ControlReply::Session`].
    Session {
        /// The session's id.
        session: u64,
    },
    /// A held (or live) session as a JSON document: snapshot, turns since, binary's digest. [`ControlReply::Export`].
    Export {
        /// The session's id.
        session: u64,
    },
    /// Drops a held session for good.
    DropHeld {
        /// The session's id.
        session: u64,
    },
    /// The supervisor at a glance. [`ControlReply::Status`].
    Status,
    /// All workers. [`ControlReply::Workers`].
    Workers,
    /// Follow events from now on. [`ControlReply::Ok`], then [`Push::Event`].
    Events,
    /// Shut the supervisor down gracefully.
    Shutdown,
}

/// What `unload` does with live sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum LiveSessions {
    /// Refuse to unload while there are any.
    Refuse,
    /// Close them: a `close` turn each, then they are gone.
    Close,
}

/// What a verb answers.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum ControlReply {
    /// Done.
    Ok,
    /// Plugins.
    Plugins(Vec<PluginInfo>),
    /// Sessions.
    Sessions(Vec<SessionInfo>),
    /// One session.
    Session(Box<SessionDetail>),
    /// A JSON document.
    Export(String),
    /// The supervisor at a glance.
    Status(StatusInfo),
    /// Workers.
    Workers(Vec<WorkerInfo>),
}

/// One plugin.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct PluginInfo {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// blake3 of the file, hexadecimal.
    pub digest: String,
    /// Where it was loaded from.
    pub path: String,
    /// `loaded`, `initialized`, `running`, `suspended`.
    pub state: String,
    /// Why it does not run, if so.
    pub fault: Option<String>,
    /// Game type.
    pub game: String,
    /// One line on what it is.
    pub description: String,
    /// Live sessions.
    pub sessions: u64,
    /// Held sessions.
    pub held: u64,
    /// Process ids of its workers.
    pub workers: Vec<u32>,
    /// Turns played since load.
    pub turns: u64,
    /// Workers lost since load.
    pub workers_lost: u64,
    /// Poison turns since load.
    pub poison: u64,
}

/// One session in a list.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct SessionInfo {
    /// Id.
    pub session: u64,
    /// Plugin.
    pub plugin: String,
    /// `live`, `restoring`, `closing`, `held`.
    pub state: String,
    /// Players at the table.
    pub players: u32,
    /// Turns so far.
    pub seq: u64,
    /// Turns waiting or in flight.
    pub pending: u32,
    /// When it was opened, nanoseconds since the Unix epoch.
    pub opened_ns: u64,
}

/// One session in detail.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct SessionDetail {
    /// As in the list.
    pub info: SessionInfo,
    /// Why it is held, if so.
    pub held_reason: Option<String>,
    /// Ownership epoch: how often the session was moved or restored.
    pub epoch: u64,
    /// Digest of the binary that plays it, hexadecimal.
    pub digest: String,
    /// The server seed's commitment, hexadecimal.
    pub commit: String,
    /// Who sits at the table.
    pub players: Vec<u64>,
    /// The turn of the newest snapshot; 0 when there is none yet.
    pub snapshot_seq: u64,
    /// Bytes of the newest snapshot.
    pub snapshot_bytes: u64,
    /// Records in the journal.
    pub journal_records: u64,
    /// Number of the newest output.
    pub outputs: u64,
    /// Period of ticks in milliseconds; 0 for none.
    pub tick_ms: u32,
    /// Poison turns of this session.
    pub poison: u32,
}

/// One worker.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct WorkerInfo {
    /// Id.
    pub worker: u64,
    /// Plugin.
    pub plugin: String,
    /// Process id.
    pub pid: u32,
    /// `starting`, `serving`, `probing`, `retiring`.
    pub state: String,
    /// Sessions that it holds.
    pub sessions: u64,
    /// Calls in flight.
    pub in_flight: u32,
    /// Age in milliseconds.
    pub age_ms: u64,
    /// Resident memory in KiB, as sampled last.
    pub rss_kib: u64,
    /// CPU time used, milliseconds.
    pub cpu_ms: u64,
    /// What confines it, by layer.
    pub isolation: String,
}

/// The supervisor at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct StatusInfo {
    /// Croupier's version.
    pub version: String,
    /// Process id.
    pub pid: u32,
    /// Milliseconds since the start.
    pub uptime_ms: u64,
    /// Loaded plugins.
    pub plugins: u64,
    /// Plugins that do not run.
    pub plugins_down: u64,
    /// Live sessions.
    pub sessions: u64,
    /// Held sessions.
    pub held: u64,
    /// Workers alive.
    pub workers: u64,
    /// Turns played since the start.
    pub turns: u64,
    /// Workers lost since the start.
    pub workers_lost: u64,
    /// Workers lost with a turn in flight since the start.
    pub workers_lost_mid_turn: u64,
    /// Turns sent again since the start.
    pub retries: u64,
    /// Poison turns since the start.
    pub poison: u64,
    /// The traffic socket's path.
    pub traffic_socket: Option<String>,
    /// The directory of state.
    pub state_dir: Option<String>,
}

/// Something that happened. `at_ns` is nanoseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at_ns: u64,
    /// The plugin concerned; empty when none is.
    pub plugin: String,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// A plugin was loaded.
    PluginLoaded {
        /// Its version.
        version: String,
        /// Its digest, hexadecimal.
        digest: String,
    },
    /// A plugin was unloaded.
    PluginUnloaded,
    /// A plugin was suspended.
    PluginSuspended,
    /// A plugin was resumed.
    PluginResumed,
    /// A plugin's workers do not come up.
    PluginDown {
        /// Why.
        reason: String,
    },
    /// A worker serves.
    WorkerReady {
        /// Its id.
        worker: u64,
        /// Its process id.
        pid: u32,
    },
    /// A worker died.
    WorkerDied {
        /// Its id.
        worker: u64,
        /// Its process id.
        pid: u32,
        /// The cause, a few words.
        cause: String,
        /// Turns and restores that it left unanswered.
        unanswered: u32,
    },
    /// A session opened.
    SessionOpened {
        /// Its id.
        session: u64,
        /// Commitment to its server seed, hexadecimal.
        commit: String,
    },
    /// A session ended.
    SessionEnded {
        /// Its id.
        session: u64,
        /// `closed`, `idle`, `unloaded`, `open-refused`, `dropped`.
        reason: String,
        /// Its last turn.
        seq: u64,
    },
    /// A session was set aside.
    SessionHeld {
        /// Its id.
        session: u64,
        /// Why.
        reason: String,
    },
    /// A session was restored and replayed in a worker.
    SessionRestored {
        /// Its id.
        session: u64,
        /// The worker.
        worker: u64,
        /// Turns replayed.
        replayed: u64,
        /// Microseconds between the loss and the restored session.
        pause_us: u64,
    },
    /// A replayed turn answered differently from its first run.
    Diverged {
        /// The session.
        session: u64,
        /// The turn.
        seq: u64,
    },
    /// A turn was called poison.
    Poison {
        /// The session.
        session: u64,
        /// The turn.
        seq: u64,
        /// Who sent it; 0 is the house.
        player: u64,
    },
    /// A player joined.
    PlayerJoined {
        /// The session.
        session: u64,
        /// The player.
        player: u64,
    },
    /// A player left.
    PlayerLeft {
        /// The session.
        session: u64,
        /// The player.
        player: u64,
    },
    /// A turn was played. Only sent to followers that ask for turns.
    TurnDone {
        /// The session.
        session: u64,
        /// The turn.
        seq: u64,
        /// 0, or the plugin's negative status.
        status: i32,
    },
    /// The plugin emitted an event on a topic.
    Emitted {
        /// The session.
        session: u64,
        /// The topic.
        topic: String,
    },
}
