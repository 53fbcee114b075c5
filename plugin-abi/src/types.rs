//! The structs of `croupier_plugin.h` and `ext/input.h`, field by field. The header documents what each means.

use core::ffi::{c_char, c_void};

use crate::{PlayerId, Status, TurnKind};

/// Bytes that somebody else owns. `ptr` may be NULL when `len` is 0.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "layout", derive(abi_stable::StableAbi))]
pub struct Slice {
    /// The first byte.
    pub ptr: *const u8,
    /// How many bytes.
    pub len: usize,
}

impl Slice {
    /// No bytes.
    pub const EMPTY: Slice = Slice { ptr: core::ptr::null(), len: 0 };

    /// The bytes of `bytes`; valid as long as that borrow.
    pub const fn of(bytes: &[u8]) -> Slice {
        Slice { ptr: bytes.as_ptr(), len: bytes.len() }
    }

    /// The bytes themselves.
    ///
    /// # Safety
    /// Whoever made the slice guarantees that `ptr` points to `len` readable bytes (or that `len` is 0) which nobody changes
    /// during `'a`.
    pub const unsafe fn as_bytes<'a>(self) -> &'a [u8] {
        if self.ptr.is_null() || self.len == 0 {
            return &[];
        }
        // SAFETY: the caller guarantees `len` readable, unchanging bytes at `ptr`; NULL was handled above.
        unsafe { core::slice::from_raw_parts(self.ptr, self.len) }
    }
}

/// Where output goes.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "layout", derive(abi_stable::StableAbi))]
pub struct Sink {
    /// The first argument of `write`.
    pub ctx: *mut c_void,
    /// Appends bytes: all of them, or none and [`crate::E_TOO_BIG`]. `[call]`
    pub write: Option<unsafe extern "C" fn(ctx: *mut c_void, data: *const u8, len: usize) -> Status>,
}

/// One input of a session.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "layout", derive(abi_stable::StableAbi))]
pub struct Turn {
    /// Size of this struct as the host knows it, in bytes.
    pub struct_size: u32,
    /// `TURN_*`.
    pub kind: TurnKind,
    /// None yet: ignore.
    pub flags: u16,
    /// The session's id.
    pub session: u64,
    /// The turn's number in its session, from 1.
    pub seq: u64,
    /// The turn's time, nanoseconds since the Unix epoch.
    pub now_ns: u64,
    /// The turn's own seed: the only source of chance.
    pub seed: [u8; 32],
    /// Who acts.
    pub player: PlayerId,
}

/// What the host offers to a plugin.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "layout", derive(abi_stable::StableAbi))]
pub struct Host {
    /// Size of this struct as the host knows it, in bytes.
    pub struct_size: u32,
    /// The host's [`crate::ABI_MINOR`].
    pub abi_minor: u32,
    /// The first argument of every function here.
    pub ctx: *mut c_void,
    /// An optional part of the host by id, or NULL. `[any]`
    pub get_extension: Option<unsafe extern "C" fn(ctx: *mut c_void, id: *const c_char) -> *const c_void>,
    /// Says why the function that is about to return an error fails. `[call]`
    pub fail: Option<unsafe extern "C" fn(ctx: *mut c_void, text: Slice)>,
    /// A log line. `[any]`
    pub log: Option<unsafe extern "C" fn(ctx: *mut c_void, level: i32, text: Slice)>,
    /// A message to a player or to all. `[call]`
    pub send: Option<unsafe extern "C" fn(ctx: *mut c_void, to: PlayerId, message: Slice) -> Status>,
    /// An event for whoever follows a topic. `[call]`
    pub emit: Option<unsafe extern "C" fn(ctx: *mut c_void, topic: Slice, event: Slice) -> Status>,
    /// Asks the platform something by name. `[call]`
    pub call: Option<
        unsafe extern "C" fn(ctx: *mut c_void, name: Slice, args: Slice, answer: *const Sink) -> Status,
    >,
}

/// Facts of a plugin that must agree with its manifest.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "layout", derive(abi_stable::StableAbi))]
pub struct Descriptor {
    /// Size of this struct, in bytes.
    pub struct_size: u32,
    /// [`crate::ABI_MINOR`] of the header that the plugin was built with.
    pub abi_minor: u32,
    /// NUL-terminated, static.
    pub name: *const c_char,
    /// NUL-terminated, static.
    pub version: *const c_char,
    /// Of the snapshots that the plugin writes.
    pub state_version: u32,
    /// 0.
    pub reserved: u32,
}

/// What a plugin offers. Mandatory: `init`, `shutdown`, `session_open`, `session_restore`, `session_close`, `action`, `snapshot`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "layout", derive(abi_stable::StableAbi))]
pub struct Vtable {
    /// Size of this struct, in bytes.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Once, first. `[game]`
    pub init:
        Option<unsafe extern "C" fn(host: *const Host, settings: Slice, game: *mut *mut c_void) -> Status>,
    /// Once, last. `[game]`
    pub shutdown: Option<unsafe extern "C" fn(game: *mut c_void)>,
    /// An optional part of the plugin by id, or NULL. `[any]`
    pub get_extension: Option<unsafe extern "C" fn(game: *mut c_void, id: *const c_char) -> *const c_void>,
    /// A new session. `[call]`
    pub session_open: Option<
        unsafe extern "C" fn(
            game: *mut c_void,
            turn: *const Turn,
            config: Slice,
            reply: *const Sink,
            session: *mut *mut c_void,
        ) -> Status,
    >,
    /// A session from a snapshot. `[call]`
    pub session_restore: Option<
        unsafe extern "C" fn(
            game: *mut c_void,
            session_id: u64,
            state_version: u32,
            snapshot: Slice,
            session: *mut *mut c_void,
        ) -> Status,
    >,
    /// Ends a session and frees it; `turn` and `reply` are NULL when it only leaves this worker. `[call]`
    pub session_close: Option<
        unsafe extern "C" fn(
            game: *mut c_void,
            session: *mut c_void,
            turn: *const Turn,
            reply: *const Sink,
        ) -> Status,
    >,
    /// A player takes a seat. `[call]`
    pub player_join: Option<
        unsafe extern "C" fn(
            game: *mut c_void,
            session: *mut c_void,
            turn: *const Turn,
            profile: Slice,
            reply: *const Sink,
        ) -> Status,
    >,
    /// A player leaves. `[call]`
    pub player_leave: Option<
        unsafe extern "C" fn(
            game: *mut c_void,
            session: *mut c_void,
            turn: *const Turn,
            reason: Slice,
            reply: *const Sink,
        ) -> Status,
    >,
    /// A player does something. `[call]`
    pub action: Option<
        unsafe extern "C" fn(
            game: *mut c_void,
            session: *mut c_void,
            turn: *const Turn,
            payload: Slice,
            reply: *const Sink,
        ) -> Status,
    >,
    /// Time passes. `[call]`
    pub tick: Option<
        unsafe extern "C" fn(
            game: *mut c_void,
            session: *mut c_void,
            turn: *const Turn,
            reply: *const Sink,
        ) -> Status,
    >,
    /// The operator suspends the plugin. NULL: nothing to do. `[game]`
    pub suspend: Option<unsafe extern "C" fn(game: *mut c_void) -> Status>,
    /// The operator resumes the plugin. NULL: nothing to do. `[game]`
    pub resume: Option<unsafe extern "C" fn(game: *mut c_void) -> Status>,
    /// Writes a session's whole state. `[call]`
    pub snapshot:
        Option<unsafe extern "C" fn(game: *mut c_void, session: *mut c_void, out: *const Sink) -> Status>,
}

/// What the symbol [`crate::PLUGIN_SYMBOL`] is.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "layout", derive(abi_stable::StableAbi))]
pub struct Plugin {
    /// Size of this struct, in bytes.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// The plugin's facts.
    pub descriptor: *const Descriptor,
    /// The plugin's functions.
    pub vtable: *const Vtable,
}

/// The extension [`crate::EXT_INPUT`].
#[repr(C)]
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "layout", derive(abi_stable::StableAbi))]
pub struct ExtInput {
    /// Size of this struct, in bytes.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// A turn of an open kind. `[call]`
    pub input: Option<
        unsafe extern "C" fn(
            game: *mut c_void,
            session: *mut c_void,
            turn: *const Turn,
            payload: Slice,
            reply: *const Sink,
        ) -> Status,
    >,
}

// SAFETY: a plugin's statics of these types are constant data that points to other constant data (the author's duty, as the
// header says "static"); nothing in them is written to after the object was loaded.
unsafe impl Sync for Descriptor {}
// SAFETY: as for `Descriptor`.
unsafe impl Sync for Plugin {}
