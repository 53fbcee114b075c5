//! Workers in cgroups with all controllers. Not among the tests that cargo runs by itself, because most machines give nobody any controllers to try: `tests/vm/run` boots a kernel for them.
//!
//! Run by hand, as in `cargo test -p croupier --test controllers`, they fail where a controller is missing.

#[path = "../smoke/ahead.rs"]
mod ahead;
#[path = "../smoke/bench.rs"]
#[allow(dead_code, reason = "shared with tests that use all of it")]
mod bench;
#[path = "../smoke/cgroups.rs"]
mod cgroups;
mod limits;
