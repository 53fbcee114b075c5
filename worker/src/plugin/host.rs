//! The functions that the plugin calls. Each turns what C gave into Rust, and asks the [`Desk`].
//!
//! Functions tagged `[call]` work only on the game thread: the thread that loaded the plugin, and the only one on which the plugin is ever called.
//! From any other they return `CROUPIER_E_NO_TURN`. `log` and `get_extension` are `[any]`.
//!
//! Rust never unwinds into C: a panic in an `extern "C"` function ends the process (RFC 2945), and the supervisor restores the
//! sessions elsewhere.
#![allow(unsafe_code)] // called from C, with pointers from C

use std::cell::{Cell, RefCell};
use std::ffi::{c_char, c_void};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use croupier_abi as abi;
use croupier_abi::{Sink, Slice, Status};
use croupier_wire::link::FromWorker;

use crate::link::{Link, Outbox};
use crate::plugin::desk::{Answer, Desk, Rules, lossy};

/// Longest log line, in bytes; cut beyond.
const LOG_BYTES_MAX: usize = 4096;
/// Longest name of a host call, in bytes; no permission is longer.
const CALL_NAME_BYTES_MAX: usize = 256;

thread_local! {
    /// Whether this is the thread on which the plugin is called.
    static IS_GAME_THREAD: Cell<bool> = const { Cell::new(false) };
}

/// Something that only the game thread may touch.
struct GameCell<T>(RefCell<T>);

// SAFETY: `with` reaches the value on the game thread alone, and there is one such thread: `HostState::leak` makes it, once.
unsafe impl<T> Sync for GameCell<T> {}

impl<T> GameCell<T> {
    /// `None` on another thread, or when a call of the plugin comes back while the value is in use.
    fn with<R>(&self, use_it: impl FnOnce(&mut T) -> R) -> Option<R> {
        if !IS_GAME_THREAD.get() {
            return None;
        }
        self.0.try_borrow_mut().ok().map(|mut value| use_it(&mut value))
    }
}

/// What stands behind `croupier_host`. Lives as long as the process, so that even a plugin that keeps pointers too long reaches valid
/// memory.
pub(crate) struct HostState {
    host: abi::Host,
    sink: Sink,
    rules: Rules,
    desk: GameCell<Desk>,
    link: GameCell<Link>,
    outbox: Arc<Outbox>,
    /// Log lines are dropped: a turn is being replayed.
    is_quiet: AtomicBool,
}

impl HostState {
    /// Makes the one host of this process, and this thread the game thread.
    pub(crate) fn leak(link: &Link, rules: Rules) -> &'static HostState {
        IS_GAME_THREAD.set(true);
        let state = Box::into_raw(Box::new(HostState {
            host: abi::Host {
                struct_size: size_of::<abi::Host>() as u32,
                abi_minor: abi::ABI_MINOR,
                ctx: std::ptr::null_mut(),
                get_extension: Some(get_extension),
                fail: Some(fail),
                log: Some(log),
                send: Some(send),
                emit: Some(emit),
                call: Some(call),
            },
            sink: Sink { ctx: std::ptr::null_mut(), write: Some(write) },
            rules,
            desk: GameCell(RefCell::new(Desk::new())),
            link: GameCell(RefCell::new(link.clone())),
            outbox: Arc::clone(link.outbox()),
            is_quiet: AtomicBool::new(false),
        }));
        // SAFETY: `state` was allocated just now, is never freed, and nobody else knows of it before this function returns.
        unsafe {
            (*state).host.ctx = state.cast();
            (*state).sink.ctx = state.cast();
            &*state
        }
    }

    /// What `init` gets.
    pub(crate) fn host(&self) -> *const abi::Host {
        &raw const self.host
    }

    /// What functions with output get; closed unless the desk has it open.
    pub(crate) fn sink(&self) -> *const Sink {
        &raw const self.sink
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The desk, for the thread that calls the plugin.
    pub(crate) fn desk<R>(&self, use_it: impl FnOnce(&mut Desk, &Rules) -> R) -> R {
        self.desk
            .with(|desk| use_it(desk, &self.rules))
            .expect("between two calls of the plugin the desk is free")
    }

    /// Whether log lines are dropped from now on.
    pub(crate) fn set_quiet(&self, is_quiet: bool) {
        self.is_quiet.store(is_quiet, Ordering::Relaxed);
    }

    /// A log line for the supervisor, at once: the lines before a crash are the ones that are wanted.
    pub(crate) fn log(&self, level: i32, text: &str) {
        if self.is_quiet.load(Ordering::Relaxed) {
            return;
        }
        let level = level.clamp(abi::LOG_ERROR, abi::LOG_DEBUG) as u8;
        // A line that does not fit a frame is lost: the limit of frames is far above that of lines.
        let _ = self.outbox.put(&FromWorker::Log { level, text }, 0);
        self.outbox.flush();
    }
}

/// The host behind a `ctx` that came back from the plugin.
///
/// # Safety
/// `ctx` is the one that `croupier_host` and the sinks carry; the plugin's author guarantees that it is given back unchanged.
unsafe fn state<'a>(ctx: *mut c_void) -> &'a HostState {
    // SAFETY: `HostState::leak` put a pointer there that stays valid; it is only ever shared.
    unsafe { &*ctx.cast::<HostState>() }
}

/// The host has no extensions yet.
unsafe extern "C" fn get_extension(_ctx: *mut c_void, _id: *const c_char) -> *const c_void {
    std::ptr::null()
}

unsafe extern "C" fn fail(ctx: *mut c_void, text: Slice) {
    // SAFETY: the plugin gives `ctx` back unchanged and lends readable bytes for the time of this call (croupier_plugin.h, MEMORY).
    let (state, text) = unsafe { (state(ctx), text.as_bytes()) };
    state.desk.with(|desk| desk.fail(text));
}

unsafe extern "C" fn log(ctx: *mut c_void, level: i32, text: Slice) {
    // SAFETY: as in `fail`.
    let (state, text) = unsafe { (state(ctx), text.as_bytes()) };
    state.log(level, &lossy(text, LOG_BYTES_MAX));
}

unsafe extern "C" fn send(ctx: *mut c_void, to: abi::PlayerId, message: Slice) -> Status {
    // SAFETY: as in `fail`.
    let (state, message) = unsafe { (state(ctx), message.as_bytes()) };
    state.desk.with(|desk| desk.send(&state.rules, to, message)).unwrap_or(abi::E_NO_TURN)
}

unsafe extern "C" fn emit(ctx: *mut c_void, topic: Slice, event: Slice) -> Status {
    // SAFETY: as in `fail`.
    let (state, topic, event) = unsafe { (state(ctx), topic.as_bytes(), event.as_bytes()) };
    state.desk.with(|desk| desk.emit(&state.rules, topic, event)).unwrap_or(abi::E_NO_TURN)
}

unsafe extern "C" fn call(ctx: *mut c_void, name: Slice, args: Slice, answer: *const Sink) -> Status {
    // SAFETY: as in `fail`.
    let (state, name, args) = unsafe { (state(ctx), name.as_bytes(), args.as_bytes()) };
    let name = lossy(name, CALL_NAME_BYTES_MAX);
    let known = state.desk.with(|desk| desk.call(&state.rules, &name, args));
    let (status, bytes) = match known {
        None => return abi::E_NO_TURN,
        Some(Answer::Known(status, bytes)) => (status, bytes),
        Some(Answer::Ask { call_id, index, asked }) => state
            .link
            .with(|link| link.ask(call_id, index, &name, args, asked))
            .unwrap_or((abi::E_NO_TURN, Vec::new())),
    };
    if bytes.is_empty() || answer.is_null() {
        return status;
    }
    // SAFETY: the plugin lends a sink of its own for the time of this call.
    let sink = unsafe { *answer };
    let Some(write) = sink.write else { return abi::E_BAD_INPUT };
    // SAFETY: the plugin's own function with the plugin's own context; the bytes outlive the call. Nothing of the desk is borrowed meanwhile,
    // so the sink may call the host again.
    let written = unsafe { write(sink.ctx, bytes.as_ptr(), bytes.len()) };
    if written < 0 { written } else { status }
}

unsafe extern "C" fn write(ctx: *mut c_void, data: *const u8, len: usize) -> Status {
    // SAFETY: as in `fail`.
    let (state, data) = unsafe { (state(ctx), Slice { ptr: data, len }.as_bytes()) };
    state.desk.with(|desk| desk.write(data)).unwrap_or(abi::E_NO_TURN)
}
