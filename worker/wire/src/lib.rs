//! What crosses a socket, and nothing else: frames, the codec, and two vocabularies.
//!
//! ```text
//!   client ──door──▶ supervisor ──link──▶ worker
//!            frames of the same shape on both
//! ```
//!
//! * [`frame`]: the 16-byte header, its limits, and a decoder for a stream of frames.
//! * [`codec`]: the only place in Croupier that knows bincode. Bounded, borrowed, refuses trailing bytes.
//! * [`link`]: messages between the supervisor and one worker. The worker is hostile.
//! * [`door`]: messages between a client (traffic or control) and the supervisor.
//! * [`confine`]: what comes before: the worker's jail, and the process that makes workers.
//! * [`outcome`]: the hash by which a replayed turn is compared with its first run.
//!
//! It knows neither tokio nor the plugin ABI, does no I/O, and forbids unsafe code.
#![forbid(unsafe_code)]

pub mod build;
pub mod codec;
pub mod confine;
pub mod door;
pub mod frame;
pub mod link;
pub mod outcome;
mod reader;
