//! The Rust mirror of `croupier_plugin.h`, the contract between Croupier and native game plugins.
//!
//! The header is the truth and its comments are the documentation; this crate only repeats its layout, and
//! `tests/layout.rs` compares the two with the help of a C compiler. Plugin authors want `croupier-sdk` instead.
//!
//! Not here: anything that calls a plugin (the worker does) or that is a plugin (the SDK helps).
//!
//! Every function pointer is an `Option`: a struct that came from the other side may hold NULL anywhere. All pointers are borrowed for
//! the time that the header states.
#![no_std]
#![allow(unsafe_code)] // the mirror of a C contract: raw pointers, `unsafe` function types, `Sync` for constant data

#[cfg(feature = "layout")]
extern crate std;

#[cfg(feature = "layout")]
pub mod layout;
mod types;

pub use types::*;

use core::ffi::CStr;

/// The major version of the contract; part of [`PLUGIN_SYMBOL`].
pub const ABI_MAJOR: u32 = 1;
/// The minor version of the contract in this crate.
pub const ABI_MINOR: u32 = 0;

/// The data symbol that a plugin exports: a [`Plugin`].
pub const PLUGIN_SYMBOL: &CStr = c"croupier_plugin_v1";
/// The data symbol by which a Rust plugin also exports its `abi_stable` layout. See the feature `layout`.
pub const LAYOUT_SYMBOL: &CStr = c"croupier_abi_layout_v1";
/// The ELF section that holds the manifest.
pub const MANIFEST_SECTION: &str = ".croupier";
/// Id of the extension by which a plugin takes turns of the open kinds: an [`ExtInput`].
pub const EXT_INPUT: &CStr = c"croupier.input/1";

/// What a function returns: [`OK`], or one of the negative `E_*`.
pub type Status = i32;
/// Done.
pub const OK: Status = 0;
/// The rules of the game forbid it.
pub const E_REFUSED: Status = -1;
/// The payload, config or snapshot makes no sense.
pub const E_BAD_INPUT: Status = -2;
/// This plugin, or this host, does not know the kind, name or extension.
pub const E_UNSUPPORTED: Status = -3;
/// The plugin itself is at fault.
pub const E_INTERNAL: Status = -4;
/// From sinks and host functions: over a limit; nothing was written.
pub const E_TOO_BIG: Status = -5;
/// From host functions: the permission is not asked for or was not granted.
pub const E_DENIED: Status = -6;
/// From host functions: only allowed while a turn is running.
pub const E_NO_TURN: Status = -7;

/// What a turn is. The set is open.
pub type TurnKind = u16;
/// Enters through `session_open`.
pub const TURN_OPEN: TurnKind = 0;
/// Enters through `player_join`.
pub const TURN_JOIN: TurnKind = 1;
/// Enters through `player_leave`.
pub const TURN_LEAVE: TurnKind = 2;
/// Enters through `action`.
pub const TURN_ACTION: TurnKind = 3;
/// Enters through `tick`.
pub const TURN_TICK: TurnKind = 4;
/// Enters through `session_close`.
pub const TURN_CLOSE: TurnKind = 5;
/// Reserved; enters through [`EXT_INPUT`].
pub const TURN_EVENT: TurnKind = 6;
/// Reserved; enters through [`EXT_INPUT`].
pub const TURN_COMMAND: TurnKind = 7;
/// Reserved; enters through [`EXT_INPUT`].
pub const TURN_RESULT: TurnKind = 8;
/// Reserved; enters through [`EXT_INPUT`].
pub const TURN_MESSAGE: TurnKind = 9;
/// Reserved; enters through [`EXT_INPUT`].
pub const TURN_ADMIN: TurnKind = 10;

/// Who a turn is for, or who a message goes to. Players are numbered from 1.
pub type PlayerId = u64;
/// The table itself: the dealer, the platform.
pub const HOUSE: PlayerId = 0;
/// Everybody, for [`Host::send`].
pub const ALL_PLAYERS: PlayerId = u64::MAX;

/// Log level: error.
pub const LOG_ERROR: i32 = 1;
/// Log level: warning.
pub const LOG_WARN: i32 = 2;
/// Log level: information.
pub const LOG_INFO: i32 = 3;
/// Log level: for debugging.
pub const LOG_DEBUG: i32 = 4;
