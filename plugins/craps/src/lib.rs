//! Casino craps, the whole table, as a Croupier plugin.
//!
//! Several players, each with a bankroll brought at join (`{"bankroll": 1000}`), bet against the house. The dice go
//! round the table: the first to come has them first, and a seven-out passes them on. The shooter or the house
//! (player 0) rolls. All amounts are whole numbers; nothing is ever a fraction.
//!
//! # Bets
//!
//! | kind | number | pays | decided by |
//! | --- | --- | --- | --- |
//! | `pass` | | 1:1 | come-out: 7, 11 win, 2, 3, 12 lose; then the point wins, 7 loses |
//! | `dont_pass` | | 1:1 | the reverse; 12 on the come-out is barred: it pushes |
//! | `come`, `dont_come` | | 1:1 | as the line bets, with the next roll as their come-out; they move to their number |
//! | `pass_odds`, `come_odds` | (4 5 6 8 9 10) | 2:1, 3:2, 6:5 | with the bet that they stand behind |
//! | `dont_pass_odds`, `dont_come_odds` | (4 5 6 8 9 10) | 1:2, 2:3, 5:6 | likewise |
//! | `place` | 4 5 6 8 9 10 | 9:5, 7:5, 7:6 | the number before a 7 |
//! | `buy` | 4 5 6 8 9 10 | 2:1, 3:2, 6:5, less 5 % of the bet | the number before a 7 |
//! | `lay` | 4 5 6 8 9 10 | 1:2, 2:3, 5:6, less 5 % of the win | a 7 before the number |
//! | `field` | | 1:1; 2 pays 2:1, 12 pays 3:1 | next roll: 2, 3, 4, 9, 10, 11, 12 win |
//! | `hard` | 4 6 8 10 | 7:1 (4, 10), 9:1 (6, 8) | the pair before a 7 and before the number another way |
//! | `any_seven` | | 4:1 | next roll |
//! | `any_craps` | | 7:1 | next roll: 2, 3, 12 |
//! | `number` | 2 3 11 12 | 30:1 (2, 12), 15:1 (3, 11) | next roll |
//! | `horn` | | a quarter each on 2, 3, 11, 12 | next roll |
//!
//! # House rules
//!
//! - **Decided bets come down.** A win returns the bet with its winnings to the bankroll. *Standing* bets are made again
//!   before each roll when it is their time and their place is empty.
//! - **Rounding**: a win is rounded *down* to a whole `unit`; a commission too, but it is at least one `unit`. See [`payout`].
//! - **Commission** on buy and lay bets is 5 %, paid with the bet and given back only if the bet is taken down undecided
//!   (`"vig":"upfront"`, the default), or taken out of the winnings (`"vig":"on_win"`).
//! - **Off on the come-out**: place, buy and hardway bets and the odds of come bets rest on a come-out roll (config `come_out`),
//!   lay bets and laid odds work. A player may turn each `on` (works always), `off`, or back to `auto`. Odds that rest go
//!   back when the bet that they stand behind is decided.
//! - **Odds** are at most 3, 4, 5 times the bet on 4 and 10, 5 and 9, 6 and 8 (config `odds`); laid odds may *win* that much.
//! - **Taking down**: all but contract bets, which are pass once a point is on, and come bets that moved to their number. The don't
//!   bets may be taken down, not put up late. Odds come down with their bet.
//! - **Leaving**: bets that may be taken down are paid out, contract bets are left to the house. At close every bet is given back.
//! - There are no put bets, no big 6 and 8; the shooter may roll without a bet.
//!
//! # Actions
//!
//! See [`action::Action`]. With `"dice":"scripted"` the house says the dice; otherwise they come from the turn's chance, two
//! `die()` a roll. `{"rolls":10000}` plays many rolls in one turn and answers with exact sums for each bet.
//!
//! Not here: who the players are and where their money comes from; the platform says so at join and hears at leave and close.
#![forbid(unsafe_code)]

pub mod action;
pub mod dice;
pub mod error;
pub mod game;
mod legal;
pub mod payout;
pub mod rules;
pub mod seat;
pub mod spot;
pub mod table;
pub mod tally;

pub use game::Craps;

croupier_sdk::export!(Craps, name: "craps", manifest: "../plugin.toml");
