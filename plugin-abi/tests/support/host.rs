//! A small host in this process: drives a plugin through its vtable as a worker does, and writes down what the plugin says.
//!
//! Not the worker: no limits, no jail, no journal.
#![allow(unsafe_code, dead_code, unreachable_pub)] // it calls a C vtable; each test takes what it needs

use std::ffi::c_void;

use croupier_abi as abi;

/// What the plugin did with the host since it was last asked.
#[derive(Debug, Default)]
pub struct Heard {
    pub failed: Option<String>,
    pub logged: Vec<(i32, String)>,
    pub sent: Vec<(u64, Vec<u8>)>,
    pub emitted: Vec<(String, Vec<u8>)>,
    /// Answers to calls, last one first; none left means `E_UNSUPPORTED`.
    pub answers: Vec<Vec<u8>>,
    /// What `send` and `emit` return.
    pub effects_status: abi::Status,
}

/// What a turn came to.
pub type Outcome = Result<Vec<u8>, (abi::Status, String)>;

/// A game of one plugin.
pub struct Driver {
    pub vtable: abi::Vtable,
    game: *mut c_void,
    heard: Box<Heard>,
    /// Referred to by the plugin until shutdown.
    _host: Box<abi::Host>,
    /// Longest reply or snapshot, in bytes.
    pub sink_max: usize,
}

/// A session of a [`Driver`].
#[derive(Clone, Copy)]
pub struct Session(*mut c_void);

impl Session {
    pub fn as_ptr(self) -> *mut c_void {
        self.0
    }
}

/// A turn with these facts.
pub fn turn(kind: u16, player: u64, seq: u64, seed: [u8; 32]) -> abi::Turn {
    abi::Turn {
        struct_size: size_of::<abi::Turn>() as u32,
        kind,
        flags: 0,
        session: 7,
        seq,
        now_ns: seq * 1_000_000,
        seed,
        player,
    }
}

struct Bounded {
    bytes: Vec<u8>,
    max: usize,
}

impl Driver {
    /// Calls the plugin's `init`.
    ///
    /// # Safety
    /// `plugin` is a plugin's exported data, in a library that stays loaded.
    pub unsafe fn new(plugin: *const abi::Plugin) -> Driver {
        // SAFETY: the caller's; both pointers are static data of the plugin.
        let vtable = unsafe { *(*plugin).vtable };
        let mut heard = Box::new(Heard::default());
        let host = Box::new(abi::Host {
            struct_size: size_of::<abi::Host>() as u32,
            abi_minor: abi::ABI_MINOR,
            ctx: (&raw mut *heard).cast(),
            get_extension: None,
            fail: Some(fail),
            log: Some(log),
            send: Some(send),
            emit: Some(emit),
            call: Some(call),
        });
        let mut game = std::ptr::null_mut();
        // SAFETY: a plugin's own function with the arguments that the header asks for.
        let status = unsafe { vtable.init.unwrap()(&raw const *host, abi::Slice::of(b"{}"), &mut game) };
        assert_eq!(status, abi::OK);
        Driver { vtable, game, heard, _host: host, sink_max: 1 << 20 }
    }

    pub fn heard(&mut self) -> &mut Heard {
        &mut self.heard
    }

    pub fn open(
        &mut self,
        seed: [u8; 32],
        config: &[u8],
    ) -> Result<(Session, Vec<u8>), (abi::Status, String)> {
        let mut session = std::ptr::null_mut();
        let turn = turn(abi::TURN_OPEN, 0, 1, seed);
        let (open, game) = (self.vtable.session_open.unwrap(), self.game);
        let reply = self.with_sink(|sink| {
            // SAFETY: as the header asks; everything outlives the call.
            unsafe { open(game, &turn, abi::Slice::of(config), sink, &mut session) }
        })?;
        assert!(!session.is_null(), "an open session is not NULL");
        Ok((Session(session), reply))
    }

    pub fn restore(&mut self, version: u32, snapshot: &[u8]) -> Result<Session, (abi::Status, String)> {
        let mut session = std::ptr::null_mut();
        let (restore, game) = (self.vtable.session_restore.unwrap(), self.game);
        self.with_sink(|_| {
            // SAFETY: as the header asks; everything outlives the call.
            unsafe { restore(game, 7, version, abi::Slice::of(snapshot), &mut session) }
        })?;
        assert!(!session.is_null(), "a restored session is not NULL");
        Ok(Session(session))
    }

    /// Joins, leaves, acts or ticks.
    pub fn play(&mut self, session: Session, turn: &abi::Turn, payload: &[u8]) -> Outcome {
        let (vtable, game, payload) = (self.vtable, self.game, abi::Slice::of(payload));
        self.with_sink(|sink| {
            // SAFETY: as the header asks; the session is one of this plugin, everything outlives the call.
            unsafe {
                match turn.kind {
                    abi::TURN_JOIN => vtable.player_join.unwrap()(game, session.0, turn, payload, sink),
                    abi::TURN_LEAVE => vtable.player_leave.unwrap()(game, session.0, turn, payload, sink),
                    abi::TURN_ACTION => vtable.action.unwrap()(game, session.0, turn, payload, sink),
                    abi::TURN_TICK => vtable.tick.unwrap()(game, session.0, turn, sink),
                    kind => panic!("no function for turn kind {kind}"),
                }
            }
        })
    }

    pub fn snapshot(&mut self, session: Session) -> Outcome {
        let (snapshot, game) = (self.vtable.snapshot.unwrap(), self.game);
        // SAFETY: as the header asks.
        self.with_sink(|sink| unsafe { snapshot(game, session.0, sink) })
    }

    pub fn close(&mut self, session: Session, seq: u64) -> Outcome {
        let (close, game) = (self.vtable.session_close.unwrap(), self.game);
        let turn = turn(abi::TURN_CLOSE, 0, seq, [0; 32]);
        // SAFETY: as the header asks; the session is not used after this by the tests.
        self.with_sink(|sink| unsafe { close(game, session.0, &turn, sink) })
    }

    /// Ends a session without a turn.
    pub fn drop_session(&mut self, session: Session) {
        let (close, game) = (self.vtable.session_close.unwrap(), self.game);
        // SAFETY: the header allows NULL for both when a session only leaves the worker.
        let status = unsafe { close(game, session.0, std::ptr::null(), std::ptr::null()) };
        assert_eq!(status, abi::OK);
    }

    /// Calls the plugin's `shutdown`.
    pub fn shutdown(self) {
        // SAFETY: the last call.
        unsafe { self.vtable.shutdown.unwrap()(self.game) };
    }

    fn with_sink(&mut self, call: impl FnOnce(*const abi::Sink) -> abi::Status) -> Outcome {
        let mut bounded = Bounded { bytes: Vec::new(), max: self.sink_max };
        let sink = abi::Sink { ctx: (&raw mut bounded).cast(), write: Some(write) };
        self.heard.failed = None;
        match call(&sink) {
            abi::OK => Ok(bounded.bytes),
            status => {
                assert!(status < 0, "a plugin returned the positive status {status}");
                Err((status, self.heard.failed.take().unwrap_or_default()))
            }
        }
    }
}

fn text(slice: abi::Slice) -> String {
    // SAFETY: the plugin owns the slice during the call.
    String::from_utf8(unsafe { slice.as_bytes() }.to_vec()).expect("UTF-8")
}

unsafe extern "C" fn write(ctx: *mut c_void, data: *const u8, len: usize) -> abi::Status {
    // SAFETY: `ctx` is the `Bounded` of `with_sink`, which waits; the plugin owns `data` during the call.
    let (bounded, data) = unsafe { (&mut *ctx.cast::<Bounded>(), abi::Slice { ptr: data, len }.as_bytes()) };
    if bounded.bytes.len() + data.len() > bounded.max {
        return abi::E_TOO_BIG;
    }
    bounded.bytes.extend_from_slice(data);
    abi::OK
}

fn heard<'a>(ctx: *mut c_void) -> &'a mut Heard {
    // SAFETY: `ctx` is the box of the `Driver`, which outlives the plugin's calls; the driver does not look at it meanwhile.
    unsafe { &mut *ctx.cast::<Heard>() }
}

unsafe extern "C" fn fail(ctx: *mut c_void, why: abi::Slice) {
    heard(ctx).failed = Some(text(why));
}

unsafe extern "C" fn log(ctx: *mut c_void, level: i32, line: abi::Slice) {
    heard(ctx).logged.push((level, text(line)));
}

unsafe extern "C" fn send(ctx: *mut c_void, to: u64, message: abi::Slice) -> abi::Status {
    // SAFETY: the plugin owns the slice during the call.
    heard(ctx).sent.push((to, unsafe { message.as_bytes() }.to_vec()));
    heard(ctx).effects_status
}

unsafe extern "C" fn emit(ctx: *mut c_void, topic: abi::Slice, event: abi::Slice) -> abi::Status {
    // SAFETY: the plugin owns the slice during the call.
    heard(ctx).emitted.push((text(topic), unsafe { event.as_bytes() }.to_vec()));
    heard(ctx).effects_status
}

unsafe extern "C" fn call(
    ctx: *mut c_void,
    _name: abi::Slice,
    _args: abi::Slice,
    answer: *const abi::Sink,
) -> abi::Status {
    match heard(ctx).answers.pop() {
        // SAFETY: the plugin's own sink, valid during this call. In two parts, for sinks join what they get.
        Some(bytes) => unsafe {
            let (first, second) = bytes.split_at(bytes.len() / 2);
            let sink = *answer;
            let write = sink.write.unwrap();
            assert_eq!(write(sink.ctx, first.as_ptr(), first.len()), abi::OK);
            write(sink.ctx, second.as_ptr(), second.len())
        },
        None => abi::E_UNSUPPORTED,
    }
}
