//! The blocking client: the same calls as [`crate::Client`], on the calling thread, without any runtime.
//!
//! Over a socket no reader thread exists: a thread that waits for its answer reads the connection itself, and hands out the answers of the others
//! that it meets on the way.

use std::path::Path;
use std::sync::Arc;

use croupier_wire::door::{
    AuditHead, ControlReply, Done, Grants, Input, JournalInfo, LiveSessions, OpenOptions, PluginInfo,
    Request, ServerHello, SessionDetail, SessionInfo, StatusInfo, TurnEvents, Verb, WorkerInfo,
};

use crate::core::{Closing, Core};
use crate::session::{session_methods, take_key, waits};
use crate::socket::blocking::BlockingSocket;
use crate::verbs::{finish, verb_methods};
use crate::window::Window;
use crate::{Backend, ClientError, ConnectOptions, Opened, Pending, Player, Pushes, SessionId, TurnOptions};

/// A client of a supervisor, for threads. Cheap to clone; clones are one client with one id.
#[derive(Clone)]
pub struct Client {
    core: Arc<Core>,
}

impl Client {
    /// Connects to a control or traffic socket.
    ///
    /// # Errors
    /// [`ClientError::Connect`] when nobody is there (tried once), [`ClientError::Protocol`] when it is not a supervisor,
    /// [`ClientError::Refused`] when it does not want us.
    pub fn connect(path: impl AsRef<Path>) -> Result<Client, ClientError> {
        Client::connect_with(path, ConnectOptions::default())
    }

    /// As [`connect`](Client::connect), with options.
    pub fn connect_with(path: impl AsRef<Path>, options: ConnectOptions) -> Result<Client, ClientError> {
        let pushes_max = options.pushes_max;
        let socket = BlockingSocket::connect(path.as_ref(), options)?;
        Ok(Client { core: Core::new(Arc::new(socket), pushes_max) })
    }

    /// A client of a supervisor in the same process.
    pub fn embedded(backend: Arc<dyn Backend>) -> Client {
        Client { core: Core::new(backend, ConnectOptions::default().pushes_max) }
    }

    /// Opens a session of a plugin. `config` is JSON, checked against the plugin's schema.
    pub fn open(
        &self,
        plugin: &str,
        config: impl Into<Vec<u8>>,
        options: OpenOptions,
    ) -> Result<Session, ClientError> {
        let key = take_key!(self.core, self.core.opens);
        let reply = self.core.open(key, plugin, config.into(), options).wait()?;
        let opened = crate::core::opened(reply)?;
        Ok(Session::new(self.core.clone(), opened.session, 1, Some(opened)))
    }

    /// A handle on a session that exists: opened by somebody else, or earlier by this client (whose keys then go on).
    pub fn session(&self, session: SessionId) -> Session {
        self.session_from(session, 1)
    }

    /// As [`session`](Client::session), for a client id that was used before in another process: `next_key` is the first key not yet used there.
    pub fn session_from(&self, session: SessionId, next_key: u64) -> Session {
        Session::new(self.core.clone(), session, next_key, None)
    }

    verb_methods!();
}

/// A session, for threads. Cheap to clone; clones share the session's keys.
#[derive(Clone)]
pub struct Session {
    core: Arc<Core>,
    id: SessionId,
    window: Arc<Window>,
    options: TurnOptions,
    opened: Option<Opened>,
}

impl Session {
    session_methods!();
}

impl Iterator for Pushes {
    type Item = Result<croupier_wire::door::Push, ClientError>;

    /// Blocks the calling thread; see [`Pushes::wait_next`].
    fn next(&mut self) -> Option<Self::Item> {
        self.wait_next()
    }
}
