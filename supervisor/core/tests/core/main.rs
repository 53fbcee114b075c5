//! The core in a made-up world: cases, and random storms.

mod game;
mod storm;
mod world;
