//! A link in shared memory: one byte stream each way between a supervisor and a worker, which do not trust each other.
//!
//! ```text
//!   memfd, sealed:  | words | supervisor ─▶ worker | worker ─▶ supervisor |
//!
//!   Sender    copies bytes in, publishes its head, wakes a reader that sleeps
//!   Receiver  copies bytes out, publishes its tail, wakes a writer that waits for room
//! ```
//!
//! It carries the same frames as the socket, as a stream, so that everything above it is the same for both. What it saves are system calls: while both sides
//! are awake, none is made.
//!
//! # What the other side can do
//! Everything in the memory can be written by the other process at any moment. Therefore each side keeps its own index to itself and only ever publishes copies; the other
//! side's index is read once, and must be no further than the ring is long ([`Nonsense`] otherwise); bytes are copied out once, and nothing looks at
//! them before they are in private memory; no reference to the shared bytes is ever made. A peer that writes nonsense can garble its own messages, which the frame decoder
//! is for, or be waited for in vain, which deadlines are for. The seals keep it from taking the memory away.
//!
//! # Sleeping
//! A side that finds nothing says how it wants to be woken ([`Sleep`]), looks once more, and sleeps. The other side publishes, and then looks whether anybody sleeps. Between
//! the two steps of each side is a full fence, so at least one of them sees the other (checked with loom, `tests/loom.rs`, with each fence and without it). A sleeper either waits in
//! the kernel (futex(2)) on the word that says so, which whoever wakes it clears, or on something else that the caller rings: the link's socket.

#![cfg_attr(not(loom), deny(unsafe_code))]

mod control;
mod cpu;
mod futex;
#[cfg(not(loom))]
mod memory;
#[cfg(loom)]
pub mod model;
pub mod planted;
mod receiver;
mod sender;
mod spin;

pub use control::{Bytes, Control, Lane, Sleep, Wake};
#[cfg(not(loom))]
pub use memory::{
    AdoptError, RING_BYTES_DEFAULT, RING_BYTES_MAX, RING_BYTES_MIN, Ring, Shared, adopt, create,
};
pub use receiver::{Receiver, Waited};
pub use sender::Sender;
pub use spin::Spin;

/// The other side's index is further than the ring is long, or goes back: it is not to be talked with any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the index of the ring's other side makes no sense: {index} beside our own {own}, in a ring of {bytes} bytes"
)]
pub struct Nonsense {
    /// What stands there.
    pub index: u32,
    /// Our own index.
    pub own: u32,
    /// The ring's length.
    pub bytes: u32,
}
