//! Crash reports from real crashes: what a backtrace says, what a forged one is worth, and what gdb makes of it.
//!
//! The crashes are in `crasher.c` and the faulty plugin. As root those that an ordinary user's supervisor may see otherwise run a second time as one.

mod backtraces;
mod debugger;
mod forged;
mod mutants;
#[path = "../trust/real.rs"]
#[allow(dead_code, reason = "shared with tests of other things")]
mod real;
mod table;
