//! Plugins that attack: each behaviour in a worker of its own, jailed as in service, with a neighbour plugin in the same supervisor that must not notice.
//!
//! The attacks are in `attack.c`. A case says which layer stops it: the call that the warden refuses, the error that the filter or a limit gives by itself, or how the worker ends.
//! Everything that could harm the machine if it succeeded is tried in a form that cannot (signal 0, NULL arguments) or is bounded by the worker's limits.
//!
//! As root the suite runs a second time as an ordinary user.

mod arena;
mod cases;
mod outside;
mod zygote;
