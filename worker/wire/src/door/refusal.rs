//! The kinds of no. Codes are for programs and stable; texts are for people.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

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
