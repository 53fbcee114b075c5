//! Small deciders without state of their own machines: what a plugin that fails is worth.
//!
//! * [`restart`]: whether, and when, a dead worker is replaced.
//! * [`balance`]: which worker gives a session to which.
//! * [`breaker`]: whether a plugin that answers with faults is asked at all.
//! * [`conduct`]: whether a plugin that breaks its bounds is suspended.
//! * [`usage`]: what is worth telling of what a worker uses.
//! * [`health`]: one word for an operator.

pub mod balance;
pub mod breaker;
pub mod conduct;
pub mod health;
pub mod restart;
pub mod usage;
