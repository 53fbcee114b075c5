//! Tests of the transcript as a whole: golden files, forgeries, edits, replays, and a second implementation of the checks.

mod chaining;
mod forgeries;
mod golden;
mod keys;
mod second;
mod support;
mod tamper;
mod vectors;
