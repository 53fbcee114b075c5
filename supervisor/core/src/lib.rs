//! One game: its sessions, their turns, and what happens when a worker dies, as a state machine.
//!
//! ```text
//!            Event ──▶ Game::step(now, event, &mut actions) ──▶ Action
//! ```
//!
//! Nothing here does I/O, knows the time or is random: time, randomness and everything that happened are arguments, and
//! everything that should be done is a returned [`Action`]. The supervisor drives this crate with real processes and sockets;
//! tests drive it with made-up ones.
//!
//! * [`Game`]: the owner of all state of one plugin. One `step` per event.
//! * [`Event`], [`Action`], [`Refusal`]: the whole boundary.
//! * [`Spec`]: the limits that it goes by.
//! * [`durable`]: what a session that must survive its supervisor writes down, and how it comes back from that.
//! * [`policy`]: restarts, the circuit breaker, health: small pure deciders.
//! * [`open_keys`]: idempotency of opens, over all games.
//! * `few`, `line`: a map and a queue for what is mostly one.
#![forbid(unsafe_code)]

pub mod action;
pub mod durable;
pub mod event;
mod few;
pub mod game;
pub mod ids;
pub mod lifecycle;
mod line;
pub mod open_keys;
pub mod planted;
pub mod policy;
pub mod refusal;
pub mod session;
pub mod spec;
pub mod views;

pub use action::Action;
pub use event::Event;
pub use game::Game;
pub use refusal::Refusal;
pub use spec::Spec;
