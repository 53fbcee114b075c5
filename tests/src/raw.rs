//! A connection on which anything can be sent, sense or nonsense.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use croupier_wire::door::{self, ClientHello, DOOR_VERSION, FromServer, Refusal, Reply, Request};
use croupier_wire::frame::{FRAME_BYTES_DEFAULT, FrameReader};

use crate::PATIENCE;

/// A connection below the client.
#[derive(Debug)]
pub struct Raw {
    stream: UnixStream,
    reader: FrameReader,
}

impl Raw {
    /// Connects, and says nothing yet.
    ///
    /// # Panics
    /// When nobody listens. So for all here, when the other side does something unheard of.
    pub fn connect(path: &Path) -> Raw {
        let stream = UnixStream::connect(path).expect("somebody listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket has a time-out");
        Raw { stream, reader: FrameReader::new(DOOR_VERSION, FRAME_BYTES_DEFAULT) }
    }

    /// Connects and exchanges hellos.
    pub fn greeted(path: &Path) -> Raw {
        Raw::greeted_as(path, 7)
    }

    /// Connects as this client and exchanges hellos.
    pub fn greeted_as(path: &Path, client_id: u64) -> Raw {
        let mut raw = Raw::connect(path);
        raw.hello(DOOR_VERSION, client_id);
        let (header, body) = raw.frame().expect("an answer to the hello");
        door::decode_server_hello(&header, &body).expect("a hello");
        raw
    }

    /// Says hello as a client of this version.
    pub fn hello(&mut self, version: u16, client_id: u64) {
        let hello = ClientHello { version, client_id, program: "raw".into() };
        let mut out = Vec::new();
        door::put_client_hello(&mut out, &hello, FRAME_BYTES_DEFAULT).expect("a small frame");
        self.send(&out);
    }

    /// Sends bytes. What the other side does not take any more is lost.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Sends requests, and these bytes behind them, in one write.
    pub fn requests<'a>(&mut self, requests: impl IntoIterator<Item = (u64, &'a Request)>, behind: &[u8]) {
        let mut out = Vec::new();
        for (call_id, request) in requests {
            door::put_request(&mut out, call_id, request, FRAME_BYTES_DEFAULT).expect("a small frame");
        }
        out.extend_from_slice(behind);
        self.send(&out);
    }

    /// Sends a request.
    pub fn request(&mut self, call_id: u64, request: &Request) {
        let mut out = Vec::new();
        door::put_request(&mut out, call_id, request, FRAME_BYTES_DEFAULT).expect("a small frame");
        self.send(&out);
    }

    /// Sends a reply, which only a server does.
    pub fn reply(&mut self, call_id: u64, reply: &Reply) {
        let mut out = Vec::new();
        door::put_reply(&mut out, call_id, reply, FRAME_BYTES_DEFAULT).expect("a small frame");
        self.send(&out);
    }

    /// The next message; `None` when the other side has closed.
    pub fn receive(&mut self) -> Option<(u64, FromServer)> {
        let (header, body) = self.frame()?;
        Some((header.call_id, door::decode_from_server(&header, &body).expect("a message of a server")))
    }

    /// The refusal that comes next, and the end of the connection after it.
    #[track_caller]
    pub fn last_words(&mut self) -> Refusal {
        let refusal = match self.receive() {
            Some((_, FromServer::Reply(Reply::Refused(refusal)))) => refusal,
            other => panic!("a refusal was expected, not {other:?}"),
        };
        assert!(self.receive().is_none(), "the connection ends");
        refusal
    }

    fn frame(&mut self) -> Option<(croupier_wire::frame::Header, Vec<u8>)> {
        loop {
            if let Some((header, body)) = self.reader.next().expect("whole frames") {
                return Some((header, body.to_vec()));
            }
            match self.stream.read(self.reader.space()) {
                Ok(0) => return None,
                Ok(n) => self.reader.filled(n),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("nothing came for {PATIENCE:?}: {error}"),
            }
        }
    }
}
