//! The supervisor of Croupier, as a library: native game plugins, each in worker processes of its own.
//!
//! ```text
//!   callers ──Request──▶ Supervisor ──▶ GameDriver (one per plugin) ──frames──▶ worker process
//!                            │              │ drives croupier_core::Game
//!                            │              └─▶ transcripts, events, followers
//!                            └─ registry: what was verified is what runs
//! ```
//!
//! * [`Supervisor`], [`SupervisorConfig`]: start one in your own process; [`croupier_client::Client::embedded`] talks to it.
//! * [`game`]: drives one plugin's state machine: events in, actions out.
//! * [`jail`]: what confines workers, and who decides on the system calls that they are refused.
//! * [`journal`]: what must survive the supervisor, on the disk.
//! * [`worker`]: processes, links, frames, deaths.
//! * [`registry`]: plugin files, verified once and kept sealed.
//! * [`solo`]: one worker outside any supervisor, for checks and replays.
//! * [`doctor`]: what this kernel can do for us.
//!
//! The supervisor never maps a plugin's code: it reads the file, and workers run it.
#![forbid(unsafe_code)]

pub mod audit;
pub mod clock;
pub mod config;
pub mod crash;
pub mod dates;
pub mod doctor;
pub mod doors;
pub mod entropy;
pub mod events;
pub mod export;
pub mod game;
pub mod jail;
pub mod journal;
pub mod record;
pub mod refusals;
pub mod registry;
pub mod serve;
pub mod solo;
pub mod supervisor;
pub mod transcript;
pub mod worker;

pub use supervisor::{Supervisor, SupervisorConfig};

/// Locks, also when another thread panicked while it held the lock: every owner keeps its state whole between two statements.
pub(crate) fn lock<T: ?Sized>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
