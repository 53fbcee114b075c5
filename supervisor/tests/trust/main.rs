//! What the operator can rely on, end to end with the real binary: the audit log, permissions, signatures, crash reports.

mod audit;
mod crashes;
mod grants;
#[allow(dead_code, reason = "shared with tests of other things")]
mod real;
mod signatures;
