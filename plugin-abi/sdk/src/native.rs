//! The glue between a [`Game`] and the C contract: `extern "C"` functions, one per entry of the vtable.
//!
//! Each function: turns pointers into borrows, calls [`crate::play`], writes the reply into the host's sink. A panic never leaves
//! one: the worker is ended instead, and the supervisor restores its sessions elsewhere.
//!
//! What every SAFETY note below leans on is the header's promise, kept by the host (the worker): pointers are valid
//! until the function returns, `game` and `session` are what this file handed out, and no two functions run at a time.

use std::ffi::c_void;
use std::io::Write;
use std::mem::{MaybeUninit, size_of};
use std::panic::{AssertUnwindSafe, catch_unwind};

use croupier_abi as abi;

use crate::game::{Game, Player, Refusal};
use crate::play;
use crate::turn::{Facts, Turn};

mod host;
use host::CHost;

/// What `game` points to: the host, as far as it knows itself.
struct Runtime {
    host: abi::Host,
}

/// What `session` points to. Never of size zero, so that each session has an address of its own.
struct Session<G> {
    game: G,
    #[allow(dead_code)] // for whoever looks at a core dump
    id: u64,
}

/// The functions of the plugin whose game is `G`.
pub const fn vtable<G: Game>() -> abi::Vtable {
    abi::Vtable {
        struct_size: size_of::<abi::Vtable>() as u32,
        reserved: 0,
        init: Some(init),
        shutdown: Some(shutdown),
        get_extension: None,
        session_open: Some(session_open::<G>),
        session_restore: Some(session_restore::<G>),
        session_close: Some(session_close::<G>),
        player_join: Some(player_join::<G>),
        player_leave: Some(player_leave::<G>),
        action: Some(action::<G>),
        tick: Some(tick::<G>),
        suspend: None,
        resume: None,
        snapshot: Some(snapshot::<G>),
    }
}

/// The descriptor of a plugin; both texts are NUL-terminated.
pub const fn descriptor(name: &'static [u8], version: &'static [u8], state_version: u32) -> abi::Descriptor {
    abi::Descriptor {
        struct_size: size_of::<abi::Descriptor>() as u32,
        abi_minor: abi::ABI_MINOR,
        name: name.as_ptr().cast(),
        version: version.as_ptr().cast(),
        state_version,
        reserved: 0,
    }
}

/// The exported symbol's value.
pub const fn plugin(descriptor: &'static abi::Descriptor, vtable: &'static abi::Vtable) -> abi::Plugin {
    abi::Plugin { struct_size: size_of::<abi::Plugin>() as u32, reserved: 0, descriptor, vtable }
}

// ---------------------------------------------------------------- the vtable

unsafe extern "C" fn init(
    host: *const abi::Host,
    _settings: abi::Slice,
    game: *mut *mut c_void,
) -> abi::Status {
    guard("init", || {
        // SAFETY: the host passes its own struct, whose first member tells its size, and a place for one pointer.
        unsafe {
            let runtime = Box::new(Runtime { host: copy_sized::<abi::Host>(host) });
            game.write(Box::into_raw(runtime).cast());
        }
        abi::OK
    })
}

unsafe extern "C" fn shutdown(game: *mut c_void) {
    guard("shutdown", || {
        // SAFETY: `game` came from `init`, and the host calls nothing after this.
        drop(unsafe { Box::from_raw(game.cast::<Runtime>()) });
    });
}

unsafe extern "C" fn session_open<G: Game>(
    game: *mut c_void,
    turn: *const abi::Turn,
    config: abi::Slice,
    reply: *const abi::Sink,
    session: *mut *mut c_void,
) -> abi::Status {
    guard("session_open", || {
        // SAFETY: see the top of the file.
        let mut call = unsafe { Call::new(game, turn, reply) };
        // SAFETY: the host owns `config` until we return.
        let config = unsafe { config.as_bytes() };
        let id = call.facts.session;
        let opened = play::open::<G>(config, &mut Turn::new(call.facts, &mut call.host));
        let (state, bytes) = match opened {
            Ok(opened) => opened,
            Err(refusal) => return call.fail(&refusal),
        };
        let status = call.finish(Ok(bytes));
        if status == abi::OK {
            // SAFETY: the host gave a place for one pointer.
            unsafe { session.write(Box::into_raw(Box::new(Session { game: state, id })).cast()) };
        }
        status
    })
}

unsafe extern "C" fn session_restore<G: Game>(
    game: *mut c_void,
    session_id: u64,
    state_version: u32,
    snapshot: abi::Slice,
    session: *mut *mut c_void,
) -> abi::Status {
    guard("session_restore", || {
        // SAFETY: see the top of the file.
        let host = CHost(unsafe { &(*game.cast::<Runtime>()).host });
        // SAFETY: the host owns `snapshot` until we return.
        match play::restore::<G>(state_version, unsafe { snapshot.as_bytes() }) {
            Ok(state) => {
                let place = Box::new(Session { game: state, id: session_id });
                // SAFETY: the host gave a place for one pointer.
                unsafe { session.write(Box::into_raw(place).cast()) };
                abi::OK
            }
            Err(refusal) => host.fail(&refusal),
        }
    })
}

unsafe extern "C" fn session_close<G: Game>(
    game: *mut c_void,
    session: *mut c_void,
    turn: *const abi::Turn,
    reply: *const abi::Sink,
) -> abi::Status {
    guard("session_close", || {
        // SAFETY: `session` came from `session_open` or `session_restore` of the same `G`, and the host forgets it with this call.
        let mut session = unsafe { Box::from_raw(session.cast::<Session<G>>()) };
        if turn.is_null() {
            return abi::OK;
        }
        // SAFETY: see the top of the file.
        let mut call = unsafe { Call::new(game, turn, reply) };
        let result = play::close(&mut session.game, &mut Turn::new(call.facts, &mut call.host));
        call.finish(result)
    })
}

unsafe extern "C" fn player_join<G: Game>(
    game: *mut c_void,
    session: *mut c_void,
    turn: *const abi::Turn,
    profile: abi::Slice,
    reply: *const abi::Sink,
) -> abi::Status {
    guard("player_join", || {
        // SAFETY: see the top of the file; the host owns `profile` until we return.
        unsafe {
            run::<G>(game, session, turn, reply, |state, turn| play::join(state, profile.as_bytes(), turn))
        }
    })
}

unsafe extern "C" fn player_leave<G: Game>(
    game: *mut c_void,
    session: *mut c_void,
    turn: *const abi::Turn,
    _reason: abi::Slice,
    reply: *const abi::Sink,
) -> abi::Status {
    guard("player_leave", || {
        // SAFETY: see the top of the file.
        unsafe { run::<G>(game, session, turn, reply, |state, turn| play::leave(state, turn)) }
    })
}

unsafe extern "C" fn action<G: Game>(
    game: *mut c_void,
    session: *mut c_void,
    turn: *const abi::Turn,
    payload: abi::Slice,
    reply: *const abi::Sink,
) -> abi::Status {
    guard("action", || {
        // SAFETY: see the top of the file; the host owns `payload` until we return.
        unsafe {
            run::<G>(game, session, turn, reply, |state, turn| play::action(state, payload.as_bytes(), turn))
        }
    })
}

unsafe extern "C" fn tick<G: Game>(
    game: *mut c_void,
    session: *mut c_void,
    turn: *const abi::Turn,
    reply: *const abi::Sink,
) -> abi::Status {
    guard("tick", || {
        // SAFETY: see the top of the file.
        unsafe { run::<G>(game, session, turn, reply, |state, turn| play::tick(state, turn)) }
    })
}

unsafe extern "C" fn snapshot<G: Game>(
    game: *mut c_void,
    session: *mut c_void,
    out: *const abi::Sink,
) -> abi::Status {
    guard("snapshot", || {
        // SAFETY: see the top of the file.
        let (host, session) =
            unsafe { (CHost(&(*game.cast::<Runtime>()).host), &*session.cast::<Session<G>>()) };
        match play::snapshot(&session.game) {
            // SAFETY: the host passes its own sink.
            Ok(bytes) => unsafe { write_out(&host, out, &bytes, "snapshot", "limits.snapshot_bytes") },
            Err(refusal) => host.fail(&refusal),
        }
    })
}

// ---------------------------------------------------------------- one call

/// What one call of a turn works with.
struct Call<'a> {
    facts: Facts,
    host: CHost<'a>,
    reply: *const abi::Sink,
}

impl<'a> Call<'a> {
    /// # Safety
    /// The caller got all three from the host, in one call, and uses the result in that call only.
    unsafe fn new(game: *mut c_void, turn: *const abi::Turn, reply: *const abi::Sink) -> Call<'a> {
        // SAFETY: `game` came from `init`, `turn` is the host's and its first member tells its size.
        let (host, turn) = unsafe { (CHost(&(*game.cast::<Runtime>()).host), copy_sized::<abi::Turn>(turn)) };
        let facts = Facts {
            session: turn.session,
            seq: turn.seq,
            now_ns: turn.now_ns,
            player: Player(turn.player),
            seed: turn.seed,
        };
        Call { facts, host, reply }
    }

    fn fail(&self, refusal: &Refusal) -> abi::Status {
        self.host.fail(refusal)
    }

    fn finish(&self, result: Result<Vec<u8>, Refusal>) -> abi::Status {
        match result {
            // SAFETY: `Call::new`'s caller vouches for the sink.
            Ok(bytes) => unsafe { write_out(&self.host, self.reply, &bytes, "reply", "limits.reply_bytes") },
            Err(refusal) => self.fail(&refusal),
        }
    }
}

/// Plays one turn of an open session.
///
/// # Safety
/// As [`Call::new`]; `session` is a session of `G`.
unsafe fn run<G: Game>(
    game: *mut c_void,
    session: *mut c_void,
    turn: *const abi::Turn,
    reply: *const abi::Sink,
    play: impl FnOnce(&mut G, &mut Turn<'_>) -> Result<Vec<u8>, Refusal>,
) -> abi::Status {
    // SAFETY: the caller's.
    let (mut call, session) = unsafe { (Call::new(game, turn, reply), &mut *session.cast::<Session<G>>()) };
    let result = play(&mut session.game, &mut Turn::new(call.facts, &mut call.host));
    call.finish(result)
}

/// # Safety
/// `sink` is the host's, valid during this call.
unsafe fn write_out(
    host: &CHost<'_>,
    sink: *const abi::Sink,
    bytes: &[u8],
    what: &str,
    limit: &str,
) -> abi::Status {
    // SAFETY: the caller vouches for the sink; its `ctx` goes with its `write`.
    let status = unsafe {
        match sink.as_ref().map(|sink| (sink.ctx, sink.write)) {
            Some((ctx, Some(write))) => write(ctx, bytes.as_ptr(), bytes.len()),
            _ => abi::E_INTERNAL,
        }
    };
    if status != abi::OK {
        let text = format!(
            "the {what} of {} bytes was not accepted (status {status}); see {limit} in the manifest",
            bytes.len()
        );
        return host.fail(&Refusal::with_status(status.min(-1), text));
    }
    abi::OK
}

// ---------------------------------------------------------------- helpers

/// Reads a struct of the host that may be shorter or longer than ours: what it does not cover is zero.
///
/// # Safety
/// `from` points to a struct whose first member is a `u32` with its size, of which so many bytes are readable. `T` is one of the mirror's
/// structs, for which all zeros is a value.
unsafe fn copy_sized<T: Copy>(from: *const T) -> T {
    let mut local = MaybeUninit::<T>::zeroed();
    // SAFETY: the caller's; `local` has room for `size_of::<T>()` bytes.
    unsafe {
        let size = from.cast::<u32>().read() as usize;
        std::ptr::copy_nonoverlapping(from.cast::<u8>(), local.as_mut_ptr().cast(), size.min(size_of::<T>()));
        local.assume_init()
    }
}

/// Runs a function of the vtable; a panic in it ends the process, for it must not cross into C, and what it left behind is not to be trusted.
fn guard<T>(function: &str, body: impl FnOnce() -> T) -> T {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(value) => value,
        Err(payload) => {
            // The panic hook has told what and where. A closed stderr is no reason to do anything else; nor is the payload's destructor.
            std::mem::forget(payload);
            let _ = writeln!(std::io::stderr(), "croupier-sdk: panic in {function}: this worker ends here");
            std::process::abort()
        }
    }
}
