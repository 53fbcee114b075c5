//! A supervisor for tests: it speaks the door's language and does what the test tells it, connection by connection.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::Duration;

use croupier_client::{ConnectOptions, Done, Push, Reconnect, Reply, Request, ServerHello};
use croupier_wire::door::{
    ClientHello, DOOR_VERSION, Turn, decode_client_hello, decode_request, put_push, put_reply,
    put_server_hello,
};
use croupier_wire::frame::{FRAME_BYTES_DEFAULT, FrameReader};

pub(crate) struct Fake {
    pub(crate) path: PathBuf,
    _directory: tempfile::TempDir,
    thread: JoinHandle<()>,
}

pub(crate) struct Door {
    listener: UnixListener,
}

pub(crate) struct Connection {
    stream: UnixStream,
    reader: FrameReader,
    pub(crate) hello: ClientHello,
}

impl Fake {
    /// Runs `script` on a thread of its own, with the listening socket.
    pub(crate) fn start(script: impl FnOnce(Door) + Send + 'static) -> Fake {
        let directory = tempfile::tempdir().expect("a directory for the socket");
        let path = directory.path().join("door.sock");
        let listener = UnixListener::bind(&path).expect("bind the socket");
        let thread = std::thread::spawn(move || script(Door { listener }));
        Fake { path, _directory: directory, thread }
    }

    /// Waits for the script's end, so that its assertions count.
    pub(crate) fn end(self) {
        self.thread.join().expect("the fake supervisor's script holds");
    }
}

impl Door {
    pub(crate) fn accept_raw(&self) -> UnixStream {
        self.listener.accept().expect("accept").0
    }

    pub(crate) fn accept(&self) -> Connection {
        self.accept_limited(FRAME_BYTES_DEFAULT)
    }

    pub(crate) fn accept_limited(&self, frame_bytes_max: u32) -> Connection {
        let mut stream = self.accept_raw();
        let mut reader = FrameReader::new(DOOR_VERSION, FRAME_BYTES_DEFAULT);
        let hello = loop {
            if let Some((header, body)) = reader.next().expect("a frame") {
                break decode_client_hello(&header, body).expect("a hello");
            }
            let n = stream.read(reader.space()).expect("read");
            assert_ne!(n, 0, "the client went away before its hello");
            reader.filled(n);
        };
        let mut frame = Vec::new();
        let server = ServerHello {
            version: DOOR_VERSION,
            server: "fake".into(),
            pid: 1,
            control: true,
            traffic_socket: Some("/nowhere/traffic.sock".into()),
            frame_bytes_max,
        };
        put_server_hello(&mut frame, &server, FRAME_BYTES_DEFAULT).expect("encode");
        stream.write_all(&frame).expect("write the hello");
        Connection { stream, reader, hello }
    }
}

impl Connection {
    /// The next request; `None` when the client has gone.
    pub(crate) fn try_request(&mut self) -> Option<(u64, Request)> {
        loop {
            if let Some((header, body)) = self.reader.next().expect("a frame") {
                return Some((header.call_id, decode_request(&header, body).expect("a request")));
            }
            match self.stream.read(self.reader.space()).expect("read") {
                0 => return None,
                n => self.reader.filled(n),
            }
        }
    }

    pub(crate) fn request(&mut self) -> (u64, Request) {
        self.try_request().expect("the client is still there")
    }

    pub(crate) fn turn(&mut self) -> (u64, Turn) {
        match self.request() {
            (id, Request::Turn(turn)) => (id, turn),
            other => panic!("a turn was expected, not {other:?}"),
        }
    }

    /// Whether nothing comes for a while.
    pub(crate) fn is_quiet(&mut self, patience: Duration) -> bool {
        assert!(!self.reader.has_next());
        self.stream.set_read_timeout(Some(patience)).expect("set a timeout");
        let read = self.stream.read(self.reader.space());
        self.stream.set_read_timeout(None).expect("unset the timeout");
        match read {
            Ok(n) => {
                self.reader.filled(n);
                false
            }
            Err(_) => true,
        }
    }

    pub(crate) fn reply(&mut self, id: u64, reply: &Reply) {
        let mut frame = Vec::new();
        put_reply(&mut frame, id, reply, FRAME_BYTES_DEFAULT).expect("encode");
        self.send(&frame);
    }

    pub(crate) fn push(&mut self, id: u64, push: &Push) {
        let mut frame = Vec::new();
        put_push(&mut frame, id, push, FRAME_BYTES_DEFAULT).expect("encode");
        self.send(&frame);
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("write");
    }

    /// Answers the next request, an open, with this session id.
    pub(crate) fn open(&mut self, session: u64) {
        let (id, request) = self.request();
        assert!(matches!(request, Request::Open(_)), "an open was expected, not {request:?}");
        self.reply(id, &Reply::Opened { session, commit: [7; 32], done: done(0, b"{}") });
    }
}

pub(crate) fn done(seq: u64, reply: &[u8]) -> Done {
    Done { seq, now_ns: 1, reply: reply.to_vec(), retries: 0 }
}

/// Options that reconnect fast, so that a test that fails does not take long.
pub(crate) fn fast(attempts: u32) -> ConnectOptions {
    let reconnect =
        Reconnect { attempts, delay: Duration::from_millis(1), delay_max: Duration::from_millis(5) };
    ConnectOptions { reconnect, ..ConnectOptions::default() }
}
