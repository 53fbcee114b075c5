//! The core in a made-up world: cases, and random storms.

mod callers;
mod checks;
mod disk;
mod durable;
mod fake;
mod game;
mod grants;
mod host_calls;
mod hostile;
mod on_disk;
mod parking;
mod patience;
mod replicas;
mod snapshots;
mod standby;
mod stateless;
mod storm;
mod storms;
mod times;
mod watch;
mod weather;
mod world;
