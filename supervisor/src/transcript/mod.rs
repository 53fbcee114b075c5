//! Transcripts on disk: one file per session, and the keys that they are signed and sealed with.
//!
//! ```text
//!  games ──open, record, close──▶ bounded queue ──▶ one thread ──▶ state_dir/transcripts/SESSION.jsonl.part
//!                                                                     └─ at close ─▶ SESSION.jsonl
//! ```
//!
//! * `disk`: files appended to whole, and never written over.
//! * [`files`]: the thread, its buffers, and how many files are kept.
//! * [`keys`]: the server's signing key and the auditor's public key.
//!
//! What a line says and how it is chained is [`croupier_fair`]'s business.

mod disk;
pub mod files;
mod go_on;
pub mod keys;
mod left;

pub(crate) use left::{Left, last_turn};
