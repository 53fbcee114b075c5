//! The async client. Its futures belong to no runtime; only the socket connection needs tokio (feature `tokio`).

use std::sync::Arc;

use croupier_wire::door::{
    AuditHead, ControlReply, Grants, JournalInfo, LiveSessions, OpenOptions, PluginInfo, Request,
    ServerHello, SessionDetail, SessionInfo, StatusInfo, TurnEvents, Verb, WorkerInfo,
};

use crate::core::Core;
use crate::session::take_key;
use crate::verbs::{finish, verb_methods};
use crate::{Backend, ClientError, ConnectOptions, Pushes, Session, SessionId};

/// A client of a supervisor, for tasks. Cheap to clone; clones are one client with one id.
#[derive(Clone)]
pub struct Client {
    core: Arc<Core>,
}

impl Client {
    /// Connects to a control or traffic socket. Call it within a tokio runtime; a task there serves the connection until the last clone of the
    /// client, its sessions and followers is gone.
    ///
    /// # Errors
    /// [`ClientError::Connect`] when nobody is there (tried once), [`ClientError::Protocol`] when it is not a supervisor,
    /// [`ClientError::Refused`] when it does not want us.
    #[cfg(feature = "tokio")]
    pub async fn connect(path: impl AsRef<std::path::Path>) -> Result<Client, ClientError> {
        Client::connect_with(path, ConnectOptions::default()).await
    }

    /// As [`connect`](Client::connect), with options.
    #[cfg(feature = "tokio")]
    pub async fn connect_with(
        path: impl AsRef<std::path::Path>,
        options: ConnectOptions,
    ) -> Result<Client, ClientError> {
        let pushes_max = options.pushes_max;
        let socket = crate::socket::tokio::TokioSocket::connect(path.as_ref(), options).await?;
        Ok(Client { core: Core::new(Arc::new(socket), pushes_max) })
    }

    /// A client of a supervisor in the same process.
    pub fn embedded(backend: Arc<dyn Backend>) -> Client {
        Client { core: Core::new(backend, ConnectOptions::default().pushes_max) }
    }

    /// Opens a session of a plugin. `config` is JSON, checked against the plugin's schema.
    pub async fn open(
        &self,
        plugin: &str,
        config: impl Into<Vec<u8>>,
        options: OpenOptions,
    ) -> Result<Session, ClientError> {
        let key = take_key!(async self.core, self.core.opens);
        let reply = self.core.open(key, plugin, config.into(), options).await?;
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

    verb_methods!(async);
}
