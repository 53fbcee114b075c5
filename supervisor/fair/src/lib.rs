//! Provably fair chance.
//!
//! ```text
//!  open   server seed s (32 random bytes)      commit = SHA-256("croupier/commit/1" ‖ session ‖ s), published at once
//!  join   player p contributes c               mix'   = SHA-256("croupier/mix/1" ‖ mix ‖ seq ‖ p ‖ len c ‖ c)
//!  turn   number n                             seed   = HMAC-SHA-256(s, "croupier/turn/1" ‖ session ‖ mix ‖ n)
//!  close  s is revealed (or sealed to an auditor)
//! ```
//!
//! Nothing here does I/O or knows time: randomness and keys are arguments. docs/FAIRNESS.md says who could still cheat, and how.
#![forbid(unsafe_code)]

pub mod entry;
pub mod seed;
