//! No-limit Texas hold'em as a Croupier plugin, built as `libholdem.so`: one session is one hand for two to ten players.
//!
//! It takes and gives the poker hand history notation (PHH), so a recorded hand can be played action by action. README.md tells players and
//! operators how; here is the map:
//!
//! | module | what it knows |
//! | --- | --- |
//! | [`game`] | turns, seeds, messages: the only part that knows Croupier |
//! | [`config`], [`notation`], [`reply`], [`mod@unit`] | text and numbers in, text and numbers out |
//! | [`hand`] | the rules: a state in, a move, a state out |
//! | [`pots`], [`evaluate`], [`cards`], [`chips`], [`seat`] | what the rules are made of |

#![forbid(unsafe_code)]

pub mod cards;
pub mod chips;
pub mod config;
pub mod evaluate;
pub mod game;
pub mod hand;
pub mod notation;
pub mod pots;
pub mod reply;
pub mod seat;
pub mod unit;

pub use game::Holdem;

croupier_sdk::export!(Holdem, name: "holdem", manifest: "../plugin.toml");
