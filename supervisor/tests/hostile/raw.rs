//! A client of the doors, byte by byte.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use croupier_wire::door::{
    ClientHello, DOOR_VERSION, FromServer, Input, Open, OpenOptions, Reply, Request, Turn, WhenFull,
    decode_from_server, put_client_hello, put_request,
};
use croupier_wire::frame::{FRAME_BYTES_CEILING, FrameReader, Kind};

/// Longest wait for a frame.
const PATIENCE: Duration = Duration::from_secs(60);

/// One connection.
pub(crate) struct Raw {
    pub(crate) stream: UnixStream,
    reader: FrameReader,
}

impl Raw {
    /// Connects and says nothing.
    pub(crate) fn silent(path: &Path) -> Raw {
        let stream = UnixStream::connect(path).expect("somebody listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        Raw { stream, reader: FrameReader::new(DOOR_VERSION, FRAME_BYTES_CEILING) }
    }

    /// Connects and shakes hands.
    pub(crate) fn connect(path: &Path, client_id: u64) -> Raw {
        let mut raw = Raw::silent(path);
        raw.bytes(&hello(client_id)).expect("is read");
        let (kind, _, _) = raw.frame().expect("a frame").expect("a hello");
        assert_eq!(kind, Kind::Handshake);
        raw
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    pub(crate) fn ask(&mut self, call: u64, request: &Request) {
        self.bytes(&frame(call, request)).expect("is read");
    }

    /// The next frame; none when the connection has ended.
    pub(crate) fn frame(&mut self) -> io::Result<Option<(Kind, u64, Vec<u8>)>> {
        loop {
            if let Some((header, body)) = self.reader.next().map_err(io::Error::other)? {
                return Ok(Some((header.kind, header.call_id, body.to_vec())));
            }
            match self.stream.read(self.reader.space()) {
                Ok(0) => return Ok(None),
                Ok(read) => self.reader.filled(read),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    /// The next reply or push with its call id; none when the connection has ended.
    pub(crate) fn said(&mut self) -> Option<(u64, FromServer)> {
        loop {
            if let Some((header, body)) = self.reader.next().expect("frames") {
                return Some((header.call_id, decode_from_server(&header, body).expect("a message")));
            }
            match self.stream.read(self.reader.space()) {
                Ok(0) => return None,
                Ok(read) => self.reader.filled(read),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("nothing is said: {error}"),
            }
        }
    }

    /// The next reply.
    pub(crate) fn reply(&mut self) -> (u64, Reply) {
        match self.said() {
            Some((call, FromServer::Reply(reply))) => (call, reply),
            other => panic!("no reply: {other:?}"),
        }
    }

    /// What the connection ended with: the last words, if any.
    pub(crate) fn last_words(&mut self) -> Option<String> {
        let mut last = None;
        while let Some((call, said)) = self.said() {
            if let (0, FromServer::Reply(Reply::Refused(refusal))) = (call, &said) {
                last = Some(refusal.text.clone());
            }
        }
        last
    }

    /// Opens a session.
    pub(crate) fn open(&mut self, plugin: &str) -> u64 {
        self.ask(1, &open(1, plugin));
        match self.reply() {
            (1, Reply::Opened { session, .. }) => session,
            other => panic!("not opened: {other:?}"),
        }
    }
}

pub(crate) fn hello(client_id: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let hello = ClientHello { version: DOOR_VERSION, client_id, program: "hostile".into() };
    put_client_hello(&mut bytes, &hello, FRAME_BYTES_CEILING).expect("fits");
    bytes
}

pub(crate) fn frame(call: u64, request: &Request) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_request(&mut bytes, call, request, FRAME_BYTES_CEILING).expect("fits");
    bytes
}

pub(crate) fn open(key: u64, plugin: &str) -> Request {
    Request::Open(Open {
        client_seq: key,
        plugin: plugin.into(),
        config: b"{}".to_vec(),
        options: OpenOptions::default(),
    })
}

pub(crate) fn act(session: u64, key: u64, action: &str) -> Request {
    Request::Turn(Turn {
        session,
        client_seq: key,
        input: Input::Action { player: 1, payload: action.into() },
        when_full: WhenFull::Wait,
        deadline_ms: 0,
    })
}
