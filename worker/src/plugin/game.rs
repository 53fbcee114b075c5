//! The plugin's functions as safe methods: life-cycle, sessions, turns.
//!
//! ```text
//!   Loaded ── init ──▶ Initialized ── shutdown ──▶ Over
//!     └──── a failed init, or shutdown ──────────────┘
//! ```
//!
//! One `Game` per process, used by the game thread alone. The order of turns, suspension and what to do about failures are
//! the supervisor's affair.
#![allow(unsafe_code)] // calls into the plugin

use std::collections::HashMap;
use std::ffi::c_void;
use std::ptr;

use croupier_abi as abi;
use croupier_abi::{Slice, Status};
use croupier_wire::link::{FLAG_REPLAY, Turn};

use crate::fault::Fault;
use crate::plugin::desk::{Played, Playing};
use crate::plugin::host::HostState;
use crate::plugin::load::{Facts, Functions, GameFn, PayloadFn, input_function};
use crate::plugin::stdio::{self, Output, Stdio};

/// The plugin's own no, or its failure.
#[derive(Debug)]
pub(crate) struct Refused {
    /// A negative `CROUPIER_E_*`.
    pub(crate) status: i32,
    /// Why; may be empty.
    pub(crate) text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Loaded,
    Initialized,
    Over,
}

/// A plugin's session: a pointer that is the plugin's, to be handed back only.
#[derive(Clone, Copy)]
struct Session(*mut c_void);

/// The loaded plugin.
pub(crate) struct Game {
    state: State,
    host: &'static HostState,
    functions: Functions,
    facts: Facts,
    /// `croupier.input/1`, known after `init`.
    input: Option<PayloadFn>,
    /// What `init` stored: the plugin's, to be handed back only.
    game: *mut c_void,
    sessions: HashMap<u64, Session>,
    stdio: Stdio,
}

impl Game {
    pub(crate) fn new(host: &'static HostState, functions: Functions, facts: Facts, stdio: Stdio) -> Game {
        let (input, game, sessions) = (None, ptr::null_mut(), HashMap::new());
        Game { state: State::Loaded, host, functions, facts, input, game, sessions, stdio }
    }

    /// `abi_minor` of the plugin's descriptor.
    pub(crate) fn abi_minor(&self) -> u32 {
        self.facts.abi_minor
    }

    /// Whether the plugin has a `get_extension`.
    pub(crate) fn has_extensions(&self) -> bool {
        self.functions.get_extension.is_some()
    }

    /// Whether an `abi_stable` layout was compared.
    pub(crate) fn layout_checked(&self) -> bool {
        self.facts.layout_checked
    }

    /// Calls `init`.
    pub(crate) fn init(&mut self, settings: &[u8]) -> Result<Result<(), Refused>, Fault> {
        if self.state != State::Loaded {
            return Err(Fault::Unexpected { message: "Init", when: "for the second time" });
        }
        self.begin(None);
        let mut game = ptr::null_mut();
        // SAFETY: the function is the plugin's and is called as the header says: on the game thread, once, first; `host` lives for ever, the settings and
        // `game` for the time of the call.
        let status = unsafe { (self.functions.init)(self.host.host(), Slice::of(settings), &raw mut game) };
        let result = self.finish(status).map(drop);
        self.state = if result.is_ok() { State::Initialized } else { State::Over };
        if result.is_ok() {
            self.game = game;
            self.input = self.find_input();
        }
        Ok(result)
    }

    fn find_input(&self) -> Option<PayloadFn> {
        let get_extension = self.functions.get_extension?;
        // SAFETY: the plugin's function, after `init` and with the game that `init` gave; the id is a constant.
        input_function(unsafe { get_extension(self.game, abi::EXT_INPUT.as_ptr()) })
    }

    /// Plays a turn.
    pub(crate) fn turn(&mut self, call_id: u64, flags: u8, turn: &Turn<'_>) -> Result<Played, Fault> {
        let session = self.session_for(turn)?;
        let playing = if flags & FLAG_REPLAY == 0 { Playing::Live } else { Playing::Replay };
        self.show(if playing == Playing::Live { Output::Shown } else { Output::Hidden });
        self.host.desk(|desk, rules| desk.begin_turn(rules, call_id, playing, &turn.calls));
        let status = match session {
            None => self.open(turn),
            Some(session) => self.play(session, turn),
        };
        Ok(self.host.desk(|desk, _| desk.finish_turn(status)))
    }

    /// The turn's session; `None` for an open.
    fn session_for(&self, turn: &Turn<'_>) -> Result<Option<Session>, Fault> {
        self.expect_initialized("Turn")?;
        let known = self.sessions.get(&turn.session).copied();
        match (turn.kind, known) {
            (abi::TURN_OPEN, None) => Ok(None),
            (abi::TURN_OPEN, Some(_)) => {
                Err(Fault::SessionExists { message: "an open turn", session: turn.session })
            }
            (_, Some(session)) => Ok(Some(session)),
            (_, None) => Err(Fault::UnknownSession { message: "a turn", session: turn.session }),
        }
    }

    fn open(&mut self, turn: &Turn<'_>) -> Status {
        let abi_turn = abi_turn(turn);
        let mut session = ptr::null_mut();
        // SAFETY: the plugin's function on the game thread after `init`; all arguments live for the time of the call, the sink for ever.
        let status = unsafe {
            (self.functions.session_open)(
                self.game,
                &raw const abi_turn,
                Slice::of(turn.payload),
                self.host.sink(),
                &raw mut session,
            )
        };
        if status != abi::OK {
            return status;
        }
        if session.is_null() {
            self.complain("session_open succeeded without storing a session");
            return abi::E_INTERNAL;
        }
        self.sessions.insert(turn.session, Session(session));
        status
    }

    fn play(&mut self, session: Session, turn: &Turn<'_>) -> Status {
        match turn.kind {
            abi::TURN_JOIN => self.play_payload(self.functions.player_join, session, turn, abi::OK),
            abi::TURN_LEAVE => self.play_payload(self.functions.player_leave, session, turn, abi::OK),
            abi::TURN_ACTION => {
                self.play_payload(Some(self.functions.action), session, turn, abi::E_UNSUPPORTED)
            }
            abi::TURN_TICK => self.tick(session, turn),
            abi::TURN_CLOSE => self.close(session, turn),
            _ => self.play_payload(self.input, session, turn, abi::E_UNSUPPORTED),
        }
    }

    /// Calls `function`, or returns `when_missing`.
    fn play_payload(
        &self,
        function: Option<PayloadFn>,
        session: Session,
        turn: &Turn<'_>,
        when_missing: Status,
    ) -> Status {
        let Some(function) = function else {
            return self.missing(turn, when_missing);
        };
        let abi_turn = abi_turn(turn);
        // SAFETY: the plugin's function on the game thread; `session` is one that the plugin gave and has not freed; all else lives for the
        // time of the call, the sink for ever.
        unsafe {
            function(self.game, session.0, &raw const abi_turn, Slice::of(turn.payload), self.host.sink())
        }
    }

    fn tick(&self, session: Session, turn: &Turn<'_>) -> Status {
        let Some(tick) = self.functions.tick else {
            return self.missing(turn, abi::E_UNSUPPORTED);
        };
        let abi_turn = abi_turn(turn);
        // SAFETY: as in `play_payload`.
        unsafe { tick(self.game, session.0, &raw const abi_turn, self.host.sink()) }
    }

    fn close(&mut self, session: Session, turn: &Turn<'_>) -> Status {
        self.sessions.remove(&turn.session);
        let abi_turn = abi_turn(turn);
        // SAFETY: as in `play_payload`; the plugin frees the session whatever it returns, and the table has just forgotten it.
        unsafe { (self.functions.session_close)(self.game, session.0, &raw const abi_turn, self.host.sink()) }
    }

    fn missing(&self, turn: &Turn<'_>, status: Status) -> Status {
        if status != abi::OK {
            self.complain(&format!("the plugin does not take turns of kind {}", turn.kind));
        }
        status
    }

    /// Says on the plugin's behalf why the running call fails.
    fn complain(&self, text: &str) {
        self.host.desk(|desk, _| desk.fail(text.as_bytes()));
    }

    /// Makes a session from a snapshot.
    pub(crate) fn restore(
        &mut self,
        id: u64,
        state_version: u32,
        snapshot: &[u8],
    ) -> Result<Result<(), Refused>, Fault> {
        self.expect_initialized("Restore")?;
        if self.sessions.contains_key(&id) {
            return Err(Fault::SessionExists { message: "Restore", session: id });
        }
        self.begin(None);
        let mut session = ptr::null_mut();
        // SAFETY: the plugin's function on the game thread after `init`; the arguments live for the time of the call.
        let mut status = unsafe {
            (self.functions.session_restore)(
                self.game,
                id,
                state_version,
                Slice::of(snapshot),
                &raw mut session,
            )
        };
        if status == abi::OK && session.is_null() {
            self.complain("session_restore succeeded without storing a session");
            status = abi::E_INTERNAL;
        }
        let result = self.finish(status).map(drop);
        if result.is_ok() {
            self.sessions.insert(id, Session(session));
        }
        Ok(result)
    }

    /// A session's whole state.
    pub(crate) fn snapshot(&mut self, id: u64) -> Result<Result<Vec<u8>, Refused>, Fault> {
        self.expect_initialized("Snapshot")?;
        let unknown = Fault::UnknownSession { message: "Snapshot", session: id };
        let session = self.sessions.get(&id).copied().ok_or(unknown)?;
        self.begin(Some(self.host.rules().limits.snapshot_bytes));
        Ok(self.write_snapshot(session))
    }

    /// The snapshot right after a turn, as quiet as the turn was. `None`: the turn ended the session, or the plugin refused (and the log says why).
    pub(crate) fn snapshot_after(&mut self, id: u64) -> Option<Vec<u8>> {
        let session = self.sessions.get(&id).copied()?;
        let max = self.host.rules().limits.snapshot_bytes;
        self.host.desk(|desk, _| desk.begin_other(Some(max)));
        let written = self.write_snapshot(session);
        if let Err(refused) = &written {
            let text = format!("session {id}: no snapshot: status {}: {}", refused.status, refused.text);
            self.host.log(abi::LOG_WARN, &text);
        }
        written.ok()
    }

    fn write_snapshot(&mut self, session: Session) -> Result<Vec<u8>, Refused> {
        // SAFETY: as in `play_payload`.
        let status = unsafe { (self.functions.snapshot)(self.game, session.0, self.host.sink()) };
        self.finish(status)
    }

    /// Forgets a session, if it is there, without a turn.
    pub(crate) fn drop_session(&mut self, id: u64) {
        let Some(session) = self.sessions.remove(&id) else { return };
        self.begin(None);
        // SAFETY: as in `close`; NULL for turn and reply is how the header says that the session only leaves.
        let status =
            unsafe { (self.functions.session_close)(self.game, session.0, ptr::null(), ptr::null()) };
        // It is gone whatever the plugin says.
        let _ = self.finish(status);
    }

    /// Calls `suspend`, if there is one.
    pub(crate) fn suspend(&mut self) -> Result<Result<(), Refused>, Fault> {
        self.expect_initialized("Suspend")?;
        Ok(self.call_game(self.functions.suspend))
    }

    /// Calls `resume`, if there is one.
    pub(crate) fn resume(&mut self) -> Result<Result<(), Refused>, Fault> {
        self.expect_initialized("Resume")?;
        Ok(self.call_game(self.functions.resume))
    }

    fn call_game(&mut self, function: Option<GameFn>) -> Result<(), Refused> {
        let Some(function) = function else { return Ok(()) };
        self.begin(None);
        // SAFETY: the plugin's function on the game thread after `init`, with the game that `init` gave.
        let status = unsafe { function(self.game) };
        self.finish(status).map(drop)
    }

    /// Closes all sessions and calls `shutdown`.
    pub(crate) fn shutdown(&mut self) {
        if self.state == State::Initialized {
            let mut ids: Vec<u64> = self.sessions.keys().copied().collect();
            ids.sort_unstable();
            for id in ids {
                self.drop_session(id);
            }
            self.begin(None);
            // SAFETY: the plugin's function, once, last, with every session closed.
            unsafe { (self.functions.shutdown)(self.game) };
            let _ = self.finish(abi::OK);
        }
        self.state = State::Over;
        stdio::flush();
    }

    fn expect_initialized(&self, message: &'static str) -> Result<(), Fault> {
        match self.state {
            State::Initialized => Ok(()),
            State::Loaded | State::Over => {
                Err(Fault::Unexpected { message, when: "while the plugin is not initialized" })
            }
        }
    }

    /// A call that is not a turn begins.
    fn begin(&mut self, sink_bytes_max: Option<u32>) {
        self.show(Output::Shown);
        self.host.desk(|desk, _| desk.begin_other(sink_bytes_max));
    }

    fn finish(&mut self, status: Status) -> Result<Vec<u8>, Refused> {
        let finished = self.host.desk(|desk, _| desk.finish_other(status));
        finished.map_err(|(status, text)| Refused { status, text })
    }

    fn show(&mut self, output: Output) {
        self.stdio.set(output);
        self.host.set_quiet(output == Output::Hidden);
    }
}

fn abi_turn(turn: &Turn<'_>) -> abi::Turn {
    abi::Turn {
        struct_size: size_of::<abi::Turn>() as u32,
        kind: turn.kind,
        flags: 0,
        session: turn.session,
        seq: turn.seq,
        now_ns: turn.now_ns,
        seed: turn.seed,
        player: turn.player,
    }
}
