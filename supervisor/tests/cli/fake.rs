//! A supervisor that knows one plugin, `craps`, which says back what it is told.
//!
//! Actions: `"refuse"` is refused by the plugin, `"die"` ends the supervisor, anything else is echoed. A `join` says that it was sent again once.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use croupier_wire::door::{
    Code, ControlReply, DOOR_VERSION, Done, Event, Input, Push, Refusal, Reply, Request, ServerHello,
    StatusInfo, Verb, What, decode_client_hello, decode_request, put_push, put_reply, put_server_hello,
};
use croupier_wire::frame::{FRAME_BYTES_DEFAULT, FrameReader, Header};

pub(crate) struct Fake {
    directory: tempfile::TempDir,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    requests: AtomicU64,
    sessions: AtomicU64,
    statuses: AtomicU64,
    is_dead: AtomicBool,
}

impl Fake {
    pub(crate) fn start() -> Fake {
        let directory = tempfile::tempdir().expect("a directory for the socket");
        let path = directory.path().join("control.sock");
        let listener = UnixListener::bind(&path).expect("bind the socket");
        let state = Arc::new(State::default());
        let shared = state.clone();
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if shared.is_dead.load(Ordering::SeqCst) {
                    return;
                }
                let (state, path) = (shared.clone(), path.clone());
                std::thread::spawn(move || serve(stream, &state, path));
            }
        });
        Fake { directory, state }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("control.sock")
    }

    /// Requests so far.
    pub(crate) fn requests(&self) -> u64 {
        self.state.requests.load(Ordering::SeqCst)
    }
}

/// Serves one connection until it ends.
fn serve(mut stream: UnixStream, state: &State, path: PathBuf) {
    let mut reader = FrameReader::new(DOOR_VERSION, FRAME_BYTES_DEFAULT);
    let mut out = Vec::new();
    let Some((header, body)) = receive(&mut stream, &mut reader) else { return };
    decode_client_hello(&header, &body).expect("a hello");
    let hello = ServerHello {
        version: DOOR_VERSION,
        server: "fake".into(),
        pid: 1,
        control: true,
        traffic_socket: path.to_str().map(str::to_owned),
        frame_bytes_max: FRAME_BYTES_DEFAULT,
    };
    put_server_hello(&mut out, &hello, FRAME_BYTES_DEFAULT).expect("encode");
    let _ = stream.write_all(&out);
    while let Some((header, body)) = receive(&mut stream, &mut reader) {
        let request = decode_request(&header, &body).expect("a request");
        state.requests.fetch_add(1, Ordering::SeqCst);
        let is_events = matches!(request, Request::Control(Verb::Events { .. }));
        let reply = answer(request, state, &path);
        if state.is_dead.load(Ordering::SeqCst) {
            return;
        }
        out.clear();
        put_reply(&mut out, header.call_id, &reply, FRAME_BYTES_DEFAULT).expect("encode");
        if stream.write_all(&out).is_err() {
            return;
        }
        if is_events {
            return gossip(stream, header.call_id);
        }
    }
}

/// Events for ever.
fn gossip(mut stream: UnixStream, call: u64) {
    let event = Event { at_ns: 0, plugin: "craps".into(), what: What::PluginResumed };
    let mut frame = Vec::new();
    put_push(&mut frame, call, &Push::Event(event), FRAME_BYTES_DEFAULT).expect("encode");
    while stream.write_all(&frame).is_ok() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn receive(stream: &mut UnixStream, reader: &mut FrameReader) -> Option<(Header, Vec<u8>)> {
    loop {
        if let Some((header, body)) = reader.next().expect("a frame") {
            return Some((header, body.to_vec()));
        }
        match stream.read(reader.space()) {
            Ok(0) | Err(_) => return None,
            Ok(n) => reader.filled(n),
        }
    }
}

fn answer(request: Request, state: &State, path: &Path) -> Reply {
    match request {
        Request::OpenDurable(open, _) => answer(Request::Open(open), state, path),
        Request::Ping => Reply::Pong,
        Request::Open(open) if open.plugin != "craps" => Reply::Refused(unknown(&open.plugin)),
        Request::Open(open) => Reply::Opened {
            session: state.sessions.fetch_add(1, Ordering::SeqCst) + 1,
            commit: [7; 32],
            done: done(0, 0, &format!("{{\"opened\":{}}}", text(&open.config))),
        },
        Request::Turn(turn) => match turn.input {
            Input::Action { player, payload } => act(player, &text(&payload), turn.session, state, path),
            Input::Join { .. } => Reply::Done(done(1, 1, "{}")),
            Input::Leave { .. } | Input::Other { .. } => Reply::Done(done(1, 0, "{}")),
            Input::Close => Reply::Done(done(2, 0, r#"{"closed":true}"#)),
        },
        Request::Control(Verb::Status) => Reply::Control(ControlReply::Status(status(state))),
        Request::Control(Verb::Export { session }) => {
            Reply::Control(ControlReply::Export(format!("{{\"session\":{session}}}")))
        }
        Request::Control(Verb::Suspend { plugin }) => Reply::Refused(unknown(&plugin)),
        Request::Control(_) | Request::Follow { .. } => Reply::Control(ControlReply::Ok),
    }
}

fn act(player: u64, action: &str, session: u64, state: &State, path: &Path) -> Reply {
    match action {
        "\"die\"" => {
            state.is_dead.store(true, Ordering::SeqCst);
            let _ = std::fs::remove_file(path);
            Reply::Pong
        }
        "\"refuse\"" => Reply::Refused(Refusal {
            code: Code::PluginRefused,
            plugin: "craps".into(),
            session,
            seq: 3,
            status: -2,
            text: "the table says no".into(),
            hint: String::new(),
        }),
        action => Reply::Done(done(2, 0, &format!("{{\"player\":{player},\"echo\":{action}}}"))),
    }
}

fn done(seq: u64, retries: u32, reply: &str) -> Done {
    Done { seq, now_ns: 1, reply: reply.as_bytes().to_vec(), retries }
}

fn unknown(plugin: &str) -> Refusal {
    Refusal {
        code: Code::UnknownPlugin,
        plugin: plugin.to_owned(),
        session: 0,
        seq: 0,
        status: 0,
        text: format!("no plugin `{plugin}` is loaded"),
        hint: "load it with `croupier load`".into(),
    }
}

/// Three workers are lost between one status and the next.
fn status(state: &State) -> StatusInfo {
    let lost = 3 * state.statuses.fetch_add(1, Ordering::SeqCst);
    StatusInfo {
        version: "1".into(),
        pid: 1,
        uptime_ms: 2,
        plugins: 1,
        plugins_down: 0,
        sessions: 4,
        held: 0,
        workers: 5,
        turns: 6,
        workers_lost: lost,
        workers_lost_mid_turn: lost,
        retries: 0,
        poison: 0,
        traffic_socket: None,
        state_dir: None,
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
