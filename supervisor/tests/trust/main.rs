//! What the operator can rely on, end to end with the real binary: the audit log, permissions, signatures, crash reports.

mod audit;
mod crashes;
mod grants;
mod real;
mod signatures;
