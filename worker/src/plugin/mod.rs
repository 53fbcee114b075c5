//! Everything that touches the plugin's code and memory.
//!
//! ```text
//!   memfd ──▶ load ──▶ Symbols (checked copies of the plugin's structs)
//!                └───▶ Game: calls the plugin      ◀── serve/
//!                        │ Desk: what the running call may do, and what it put out
//!   plugin ──▶ host ─────┘
//! ```
//!
//! * [`memfd`]: takes descriptors off the messages beside which they come, and checks the seals of the plugin's.
//! * [`mod@load`]: opens the library, checks the symbol, the structs, the descriptor and the `abi_stable` layout.
//! * [`game`]: the plugin's functions as safe methods.
//! * [`desk`]: the state of the running call. No unsafe code.
//! * [`host`]: the functions that the plugin calls.
//! * [`stdio`]: what the plugin prints.
//!
//! The plugin shares this process, so none of this is a defence against a hostile plugin: that is the supervisor's and the jail's
//! business. It is a defence against mistakes on both sides.

mod desk;
mod game;
mod host;
mod load;
mod memfd;
mod stdio;

pub(crate) use desk::Played;
pub(crate) use game::{Game, Refused};
pub(crate) use load::{Source, load};
pub(crate) use memfd::{only, receive};
