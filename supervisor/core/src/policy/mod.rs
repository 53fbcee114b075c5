//! Small deciders without state of their own machines: what a plugin that fails is worth.
//!
//! * [`restart`]: whether, and when, a dead worker is replaced.
//! * [`breaker`]: whether a plugin that answers with faults is asked at all.
//! * [`health`]: one word for an operator.

pub mod breaker;
pub mod health;
pub mod restart;
