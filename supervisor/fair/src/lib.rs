//! Provably fair chance.
//!
//! ```text
//!  open   server seed s (32 random bytes)      commit = SHA-256("croupier/commit/1" ‖ session ‖ s), published at once
//!  join   player p contributes c               mix'   = SHA-256("croupier/mix/1" ‖ mix ‖ seq ‖ p ‖ len c ‖ c)
//!  turn   number n                             seed   = HMAC-SHA-256(s, "croupier/turn/1" ‖ session ‖ mix ‖ n)
//!  close  s is revealed (or sealed to an auditor)
//! ```
//!
//! Every turn, as it ends, goes into the session's transcript: a chain of hashes ([`chain`]) kept as JSON lines ([`transcript`]) and
//! signed at close. [`verify`](mod@verify) reads one and lists what holds, what fails and what could not be checked; [`replay`] hands out the turns
//! and their seeds to whoever plays them again.
//!
//! Nothing here does I/O or knows time: randomness and keys are arguments. docs/FAIRNESS.md says who could still cheat, and how.
#![forbid(unsafe_code)]

mod canon;
pub mod chain;
pub mod entry;
pub mod keys;
pub mod line;
pub mod problem;
pub mod reader;
pub mod replay;
pub mod report;
pub mod seal;
pub mod seed;
mod text;
pub mod transcript;
pub mod verify;
mod walk;
