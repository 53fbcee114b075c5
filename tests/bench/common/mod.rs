//! What the benchmarks share: a supervisor to play with, bare transports to compare with, processors to run on, and figures.
#![allow(dead_code, reason = "each benchmark takes what it needs")]

pub(crate) mod bare;
pub(crate) mod cpu_time;
pub(crate) mod figures;
pub(crate) mod house;
pub(crate) mod pinned;
pub(crate) mod play;
