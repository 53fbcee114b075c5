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

mod control;
mod event;
mod frames;
mod refusal;
mod session;

pub use control::{
    AuditHead, ControlReply, Grant, Grants, JournalInfo, LiveSessions, PluginInfo, SessionDetail,
    SessionInfo, StatusInfo, TurnEvents, Verb, WorkerInfo,
};
pub use event::{Event, What};
pub use frames::{
    FLAG_PUSH, FromServer, decode_client_hello, decode_from_server, decode_push, decode_reply,
    decode_request, decode_server_hello, put_client_hello, put_push, put_reply, put_request,
    put_server_hello,
};
pub use refusal::{Code, Refusal};
pub use session::{Done, Durability, Input, Open, OpenOptions, Output, OutputTo, Turn, WhenFull};

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
    /// As [`Request::Open`], and says what the session is to survive.
    OpenDurable(Open, Durability),
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
