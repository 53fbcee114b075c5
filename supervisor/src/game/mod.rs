//! Drives one plugin's state machine ([`croupier_core::Game`]) with real processes.
//!
//! ```text
//!  callers ─┐                        ┌─▶ frames to workers
//!  workers ─┼─ events ─▶ step ─ actions ─▶ spawns, kills, host calls
//!  clock   ─┘        (one lock)      └─▶ answers, notices, outputs, transcripts
//! ```
//!
//! * [`driver`]: the lock, and one step.
//! * `turns`: turns on their way in.
//! * `perform`: what each action means.
//! * `pump`: from a worker's frames to events; any thread may pump.
//! * `attend`: the one task per worker: start, readiness, deadlines, death.
//! * `budget`: CPU time of one turn.
//! * `watch`: looks at workers from outside.
//! * `slot`: one worker as the driver sees it.
//! * `verbs`: what operators ask of a game. `views`: what can be seen of it.
//! * [`rights`]: permissions, and what was revoked since the load.
//! * `rest`: planned stops, and loads that come to nothing.
//! * `notices`: the core's notices as events for the outside.
//! * [`context`]: what all games of a supervisor share.
//! * [`host_calls`]: who answers plugins' questions.
//! * [`transcripts`]: where turns are recorded for verification.
//!
//! No lock is held across an await. Lock order: a port's input, then the game, then everything else.

mod attend;
mod budget;
pub mod context;
pub mod driver;
pub mod hearing;
pub mod host_calls;
mod notices;
mod perform;
mod pump;
mod rest;
pub mod rights;
mod slot;
pub mod transcripts;
mod turns;
mod verbs;
mod views;
mod watch;

pub(crate) use attend::hello_frame;
pub use driver::GameDriver;
pub(crate) use pump::fault_text;
pub use turns::Asked;
