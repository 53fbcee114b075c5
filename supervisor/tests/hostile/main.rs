//! Everybody around the supervisor is hostile: workers, clients, and whoever sends signals. It goes on, says why, and keeps nothing.

#[allow(dead_code, reason = "shared with the smoke tests, which need more of it")]
#[path = "../smoke/bench.rs"]
mod bench;
mod clients;
mod daemon;
mod ends;
mod impostor;
mod links;
mod nursery;
mod raw;
mod state;
