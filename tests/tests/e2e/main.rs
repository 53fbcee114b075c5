//! End to end, with the real binaries: what Croupier promises, each promise as a test.
//!
//! Each test starts a supervisor of its own, so they run side by side. See `croupier_tests` for the harness.
#![forbid(unsafe_code)]

mod c_path;
mod craps;
mod cycles;
mod daemons;
mod determinism;
mod embedded;
mod errors;
mod fairness;
mod hands;
mod held;
mod kills;
mod lifecycle;
mod logs;
mod patience;
mod poison;
mod replicas;
mod standby;
mod turns;
mod watch;

use croupier_client::{ClientError, Code, Done, Refusal};
use serde_json::Value;

/// A reply as JSON.
#[track_caller]
fn reply(done: &Done) -> Value {
    serde_json::from_slice(&done.reply).expect("a reply in JSON")
}

/// The refusal that was expected.
#[track_caller]
fn refusal<T>(result: Result<T, ClientError>) -> Refusal {
    match result {
        Err(ClientError::Refused(refusal)) => refusal,
        Err(other) => panic!("a refusal was expected, not {other:?}"),
        Ok(_) => panic!("a refusal was expected, but it was done"),
    }
}

/// The code of the refusal that was expected.
#[track_caller]
fn code<T>(result: Result<T, ClientError>) -> Code {
    refusal(result).code
}
