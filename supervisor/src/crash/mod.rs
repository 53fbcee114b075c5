//! Crash reports: one folder per death of a worker, in `state_dir/crashes/<id>/`.
//!
//! ```text
//!  death ─▶ scene (under the game's lock) ─▶ queue (bounded) ─▶ one thread: report.json, maps.txt, replay.json ─▶ keep the newest N
//!                                                                                                   └─▶ croupier crash ID --replay
//! ```
//!
//! Everything in a report is from outside the dead process: the kernel's word, the manifest, the journal. What the worker said itself, and what was read from its memory (registers,
//! backtrace), stands under `untrusted`.
//!
//! **`replay.json` is as secret as the table**: it holds the session's state (hidden cards) and its turns' seeds, never the server seed. Folders are 0700,
//! files 0600; docs/FAIRNESS.md says what follows.
//!
//! * [`report`]: what a report says.
//! * [`case`]: what it takes to run into the crash again, as a file.
//! * [`kernel`]: what the kernel's log says of a fault.
//! * [`said`]: what a faulted thread shows: registers and a backtrace. [`mod@unwind`] finds the frames, [`image`] reads the files, [`tables`] their unwind tables.
//! * [`folder`]: the folders, and how many are kept.
//! * [`writer`]: the thread.
//! * [`replay`]: running into it again. [`mod@debug`]: with a debugger attached.

pub mod case;
pub mod debug;
pub mod folder;
pub mod image;
pub mod kernel;
mod queue;
pub mod replay;
pub mod report;
pub mod said;
pub mod tables;
pub mod unwind;
pub mod writer;

pub use report::Report;
pub use writer::{CrashOptions, Crashes, KeepReplay};
