//! The client of a Croupier supervisor: one API, blocking and async, of a daemon over its sockets or of a supervisor embedded in the
//! same process.
//!
//! ```text
//!   Client / blocking::Client        keys, windows, the verbs
//!            │ Backend               submit(request, slot), follow(request, slot, sink)
//!   ┌────────┴─────────┐
//!   sockets            an embedded supervisor (implements [`Backend`] itself)
//! ```
//!
//! * Every turn has a key: the client's id and a number per session. A request that was not answered because the connection broke is sent
//!   again *with the same key*, so it is played at most once, however often it is sent.
//! * At most [`WINDOW`] turns of a session are outstanding; a further one waits.
//! * Dropping a future or a [`Pending`] gives up the answer, never the turn: a turn that was submitted is played.
//!
//! ```no_run
//! # fn main() -> Result<(), croupier_client::ClientError> {
//! use croupier_client::{OpenOptions, Player, blocking::Client};
//!
//! let client = Client::connect("/run/croupier/traffic.sock")?;
//! let table = client.open("craps", "{}", OpenOptions::default())?;
//! table.join(Player(1), r#"{"stack":100}"#)?;
//! let done = table.act(Player(1), r#"{"bet":"pass","amount":5}"#)?;
//! println!("turn {}: {}", done.seq, String::from_utf8_lossy(&done.reply));
//! table.close()?;
//! # Ok(())
//! # }
//! ```
//!
//! It knows the wire and nothing of the supervisor's inside, and forbids unsafe code.
#![forbid(unsafe_code)]

mod backend;
mod client;
mod core;
mod error;
mod ids;
mod options;
mod pushes;
mod replies;
mod session;
mod slot;
mod socket;
mod verbs;
mod watched;
mod window;

pub mod blocking;

pub use crate::core::done;
pub use backend::{Backend, Help, Wait};
pub use client::Client;
pub use error::ClientError;
pub use ids::{ClientId, Player, SessionId};
pub use options::{ConnectOptions, Reconnect, TurnOptions, default_control_socket};
pub use pushes::{PushBudget, PushSink, Pushes};
pub use replies::{Replied, Replies};
pub use session::{Opened, Session};
pub use slot::{Pending, ReplySlot};
pub use window::WINDOW;

pub use croupier_wire::door::{
    AuditHead, Code, ControlReply, Done, Durability, Event, Grant, Grants, Input, JournalInfo, LiveSessions,
    OpenOptions, Output, OutputTo, PluginInfo, Push, Refusal, Reply, Request, ServerHello, SessionDetail,
    SessionInfo, StatusInfo, TurnEvents, Verb, What, WhenFull, WorkerInfo,
};
