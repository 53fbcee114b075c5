//! The two doors: sockets on which clients come in.
//!
//! ```text
//!  control.sock (0600, peer uid) ─┐
//!                                 ├─▶ connection: frames ◀─▶ Backend of the supervisor
//!  traffic.sock (own mode) ───────┘
//! ```
//!
//! * [`connection`]: one client, whatever door it came through.
//! * [`control`], [`traffic`]: the listeners.
//! * [`path`]: taking a socket's path without taking it from somebody who lives.
//!
//! They hold no state of sessions: a connection that breaks loses nothing but its answers, and those can be asked for again by key.

pub mod connection;
pub mod control;
pub mod path;
pub mod traffic;

use std::path::PathBuf;
use std::sync::Arc;

use croupier_client::Backend;
use croupier_wire::door::{DOOR_VERSION, ServerHello};
use tokio::sync::Semaphore;

use crate::supervisor::Supervisor;

/// Connections at a time, on one door; fewer where the system gives fewer descriptors.
pub const CONNECTIONS_MAX: usize = 4096;

/// Gives each client that comes in a backend of its own, with the client's id.
pub trait Reception: Send + Sync {
    /// The backend for the client with this id.
    fn backend(&self, client_id: u64) -> Arc<dyn Backend>;
}

impl Reception for Supervisor {
    fn backend(&self, client_id: u64) -> Arc<dyn Backend> {
        self.backend_for(client_id)
    }
}

/// What all connections of one door share.
#[derive(Clone)]
pub struct Door {
    /// Who serves.
    pub reception: Arc<dyn Reception>,
    /// Control, or traffic alone.
    pub side: Side,
    /// The traffic socket, told on the control door.
    pub traffic_socket: Option<PathBuf>,
    /// Longest frame, header included.
    pub frame_bytes_max: u32,
    /// Most connections at a time.
    pub connections_max: usize,
    /// Room for connections.
    pub room: Arc<Semaphore>,
}

/// Which door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Takes everything.
    Control,
    /// Takes sessions and turns.
    Traffic,
}

impl Door {
    /// The first frame that a client gets.
    fn hello(&self) -> ServerHello {
        let told = match self.side {
            Side::Control => self.traffic_socket.as_ref().map(|path| path.display().to_string()),
            Side::Traffic => None,
        };
        ServerHello {
            version: DOOR_VERSION,
            server: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            control: self.side == Side::Control,
            traffic_socket: told,
            frame_bytes_max: self.frame_bytes_max,
        }
    }
}
