//! Write a Croupier game plugin in safe Rust.
//!
//! A plugin is a crate of type `cdylib` with a type that implements [`Game`], a manifest `plugin.toml`, and one line of
//! [`export!`]. No `unsafe`, no threads, no I/O: the game decides, Croupier does the rest.
//!
//! # A whole game
//!
//! High card: players bet on red or black, the house turns a card over. `Cargo.toml`:
//!
//! ```toml
//! [lib]
//! crate-type = ["cdylib", "rlib"]   # the plugin; and a library, so that files in tests/ can use it
//!
//! [dependencies]
//! croupier-sdk = "0.1"
//! serde = { version = "1", features = ["derive"] }
//! ```
//!
//! `plugin.toml`, the manifest: what Croupier may know without running the plugin.
//!
//! ```toml
#![doc = include_str!("../tests/highcard/plugin.toml")]
//! ```
//!
//! `src/lib.rs`:
//!
//! ```
//! #![forbid(unsafe_code)]
//! use croupier_sdk::{Anything, Decimal, DetMap, Game, Player, Refusal, Turn};
//! use serde::{Deserialize, Serialize};
//!
//! /// One table. Everything that must survive a crash is in here.
//! #[derive(Serialize, Deserialize)]
//! struct HighCard {
//!     max_bet: Decimal,
//!     stacks: DetMap<Player, Decimal>,
//!     bets: DetMap<Player, (Colour, Decimal)>,
//! }
//!
//! #[derive(Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Config {
//!     max_bet: Decimal,
//! }
//!
//! /// In JSON: `{"bet":{"on":"red","amount":2.50}}` and `"turn_over"`.
//! #[derive(Deserialize)]
//! #[serde(rename_all = "snake_case", deny_unknown_fields)]
//! enum Action {
//!     Bet { on: Colour, amount: Decimal },
//!     TurnOver,
//! }
//!
//! #[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
//! #[serde(rename_all = "snake_case")]
//! enum Colour {
//!     Red,
//!     Black,
//! }
//!
//! #[derive(Serialize)]
//! struct Reply {
//!     stacks: DetMap<Player, Decimal>,
//! }
//!
//! impl Game for HighCard {
//!     type Config = Config;
//!     type Profile = Anything;
//!     type Action = Action;
//!     type Reply = Reply;
//!
//!     fn open(config: Config, _turn: &mut Turn<'_>) -> Result<(Self, Reply), Refusal> {
//!         let table = HighCard { max_bet: config.max_bet, stacks: DetMap::new(), bets: DetMap::new() };
//!         let reply = table.reply();
//!         Ok((table, reply))
//!     }
//!
//!     fn join(&mut self, player: Player, _: Anything, _turn: &mut Turn<'_>) -> Result<Reply, Refusal> {
//!         self.stacks.insert(player, Decimal::from(100));
//!         Ok(self.reply())
//!     }
//!
//!     fn leave(&mut self, player: Player, _turn: &mut Turn<'_>) -> Result<Reply, Refusal> {
//!         self.bets.remove(&player);
//!         self.stacks.remove(&player);
//!         Ok(self.reply())
//!     }
//!
//!     fn action(&mut self, player: Player, action: Action, turn: &mut Turn<'_>) -> Result<Reply, Refusal> {
//!         match action {
//!             Action::Bet { on, amount } => self.bet(player, on, amount)?,
//!             Action::TurnOver if player.is_house() => self.turn_over(turn)?,
//!             Action::TurnOver => return Err(Refusal::rule("only the house turns the card over")),
//!         }
//!         Ok(self.reply())
//!     }
//!
//!     fn close(&mut self, _turn: &mut Turn<'_>) -> Result<Reply, Refusal> {
//!         Ok(self.reply())
//!     }
//! }
//!
//! impl HighCard {
//!     // Check everything, then change something: a refused turn leaves no trace.
//!     fn bet(&mut self, player: Player, on: Colour, amount: Decimal) -> Result<(), Refusal> {
//!         let stack = self.stacks.get(&player).ok_or_else(|| Refusal::rule("take a seat first"))?;
//!         if !amount.is_positive() || amount > self.max_bet || amount > *stack {
//!             return Err(Refusal::rule(format!("bet more than 0, at most {} and your stack", self.max_bet)));
//!         }
//!         self.bets.insert(player, (on, amount));
//!         Ok(())
//!     }
//!
//!     fn turn_over(&mut self, turn: &mut Turn<'_>) -> Result<(), Refusal> {
//!         // Cards 0 to 25 are red. The only source of chance is the turn.
//!         let card = turn.rng().below(52);
//!         let colour = if card < 26 { Colour::Red } else { Colour::Black };
//!         turn.send(Player::ALL, &card)?;
//!         for (player, (on, amount)) in std::mem::take(&mut self.bets) {
//!             let Some(stack) = self.stacks.get_mut(&player) else { continue };
//!             *stack += if on == colour { amount } else { -amount };
//!         }
//!         Ok(())
//!     }
//!
//!     fn reply(&self) -> Reply {
//!         Reply { stacks: self.stacks.clone() }
//!     }
//! }
//!
//! # /* The manifest stands elsewhere when this example is compiled as a test.
//! croupier_sdk::export!(HighCard, name: "highcard", manifest: "../plugin.toml");
//! # */
//! # croupier_sdk::export!(HighCard, name: "highcard",
//! #     manifest: concat!(env!("CARGO_MANIFEST_DIR"), "/tests/highcard/plugin.toml"));
//!
//! // A test, in tests/table.rs:
//! use croupier_sdk::serde_json::json;
//! use croupier_sdk::testing::Table;
//!
//! let mut table = Table::<HighCard>::open(json!({ "max_bet": 10 }), 7)?;
//! table.join(1)?;
//! let refused = table.act(1, json!({ "bet": { "on": "red", "amount": 10.01 } })).unwrap_err();
//! assert_eq!(refused.text(), "bet more than 0, at most 10 and your stack");
//! table.act(1, json!({ "bet": { "on": "red", "amount": 0.10 } }))?;
//! let reply = table.act(0, json!("turn_over"))?;
//! assert!(reply["stacks"]["1"] == json!(100.1) || reply["stacks"]["1"] == json!(99.9));
//! # Ok::<(), croupier_sdk::Refusal>(())
//! ```
//!
//! Build, look, load, play:
//!
//! ```sh
//! cargo build --release
//! croupier check target/release/libhighcard.so
//! croupier load  target/release/libhighcard.so
//! croupier play  script.jsonl
//! ```
//!
//! # What Croupier expects of a game
//!
//! **It is deterministic.** A worker may die at any time. A fresh one then takes the session's last snapshot and plays the turns since
//! again; every reply and the state must come out the same. So a game looks at its state, its arguments and its [`Turn`], and at nothing else:
//!
//! | instead of | use |
//! | --- | --- |
//! | `SystemTime`, `Instant` | [`Turn::now_ns`] |
//! | `rand`, `getrandom` | [`Turn::rng`]; [docs/CHANCE.md](https://example.invalid/croupier/docs/CHANCE.md) writes it down |
//! | `HashMap`, `HashSet` | [`DetMap`], [`DetSet`] |
//! | `f32`, `f64` for money | [`Decimal`] |
//! | threads, files, the environment, global variables | the state; [`Turn::call`] for what the platform knows |
//!
//! `plugins/clippy.toml` has this table as a list of disallowed types and methods. Put it beside your `Cargo.toml` and run
//! `cargo clippy -- -D warnings`.
//!
//! **It does not panic.** A panic ends the worker with all its sessions, and they move to a fresh one; the turn that does it twice is
//! called poison, and is skipped. Return a [`Refusal`] for whatever a player can cause. What panics quietly: indexing, `unwrap`, overflow of
//! integers in debug builds (and wrong money without a panic in release builds), and the operators of [`Decimal`].
//!
//! **A refused turn is a turn.** It is recorded and replayed. State that was changed before the refusal stays changed.
//!
//! **Its state is one value** that serde can write and read: see [`Game`].
//!
//! # Snapshots and versions
//!
//! A snapshot is `Self` in postcard encoding, with [`Game::STATE_VERSION`] beside it. When you change the state's types, raise the version in code and manifest, keep the old types,
//! and convert in [`Game::migrate`]; the sessions at the tables then move to the new plugin in mid-game.
//!
//! # Testing
//!
//! [`testing::Table`] plays a session in-process and checks after each turn that it replays to the same outcome; [`testing::replay_check`] does
//! so for a script. `croupier check --determinism SCRIPT` does it in two real workers with different address layouts.
//!
//! # What is not here
//!
//! Turns of the open kinds (event, command, result, message, admin), raw payloads, and settings at `init` are in the C contract, not yet
//! in this trait.
#![allow(unsafe_code)] // in `native` and the export macro alone: the two places that speak the C contract

mod decimal;
mod export;
mod game;
mod manifest;
mod native;
mod play;
mod rng;
pub mod testing;
mod turn;

pub use decimal::{Decimal, DecimalError, SCALE_MAX};
pub use game::{Game, Player, Refusal};
pub use rng::Rng;
pub use turn::{Level, Turn};

pub use serde;
/// Accepts any payload and ignores it: for a `Config` or `Profile` that the game does not care about.
pub use serde::de::IgnoredAny as Anything;
pub use serde_json;
/// A map with an order: iterates the same way everywhere. Use it instead of `HashMap`.
pub use std::collections::BTreeMap as DetMap;
/// A set with an order: iterates the same way everywhere. Use it instead of `HashSet`.
pub use std::collections::BTreeSet as DetSet;

/// For [`export!`] alone.
#[doc(hidden)]
pub mod __private {
    pub use crate::manifest::{c_text, number, same, value};
    pub use crate::native::{descriptor, plugin, vtable};
    pub use croupier_abi as abi;
}
