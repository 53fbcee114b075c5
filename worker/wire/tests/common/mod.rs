//! What the wire tests share: one frame of every message, and how to take a frame apart and put it together again.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]

pub mod door_samples;
pub mod link_samples;
pub mod random;

use croupier_wire::codec::DecodeError;
use croupier_wire::frame::{FRAME_BYTES_DEFAULT, HEADER_BYTES, Header};
use croupier_wire::{door, link};

/// Both vocabularies have version 1 now.
pub const VERSION: u16 = 1;
pub const MAX: u32 = FRAME_BYTES_DEFAULT;

/// Which decoder a frame belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    ToWorker,
    FromWorker,
    ClientHello,
    ServerHello,
    Request,
    FromServer,
}

pub const WAYS: [Way; 6] =
    [Way::ToWorker, Way::FromWorker, Way::ClientHello, Way::ServerHello, Way::Request, Way::FromServer];

/// One message in its frame.
pub struct Sample {
    pub name: String,
    pub way: Way,
    pub frame: Vec<u8>,
}

impl Sample {
    pub fn header(&self) -> Header {
        header_of(&self.frame)
    }
    pub fn body(&self) -> &[u8] {
        &self.frame[HEADER_BYTES..]
    }
}

pub fn header_of(frame: &[u8]) -> Header {
    Header::parse(frame.first_chunk().expect("a frame has a header"), VERSION, MAX).expect("a good header")
}

/// Decodes a body and encodes it again.
pub fn again(way: Way, header: &Header, body: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let mut out = Vec::new();
    let put = match way {
        Way::ToWorker => {
            link::decode_to_worker(header, body)?.put(&mut out, header.flags, header.call_id, MAX)
        }
        Way::FromWorker => link::decode_from_worker(header, body)?.put(&mut out, header.call_id, MAX),
        Way::ClientHello => door::put_client_hello(&mut out, &door::decode_client_hello(header, body)?, MAX),
        Way::ServerHello => door::put_server_hello(&mut out, &door::decode_server_hello(header, body)?, MAX),
        Way::Request => {
            door::put_request(&mut out, header.call_id, &door::decode_request(header, body)?, MAX)
        }
        Way::FromServer => match door::decode_from_server(header, body)? {
            door::FromServer::Reply(reply) => door::put_reply(&mut out, header.call_id, &reply, MAX),
            door::FromServer::Push(push) => door::put_push(&mut out, header.call_id, &push, MAX),
        },
    };
    put.expect("what was decoded fits a frame");
    Ok(out)
}

/// Decodes a body and throws the message away.
pub fn try_decode(way: Way, header: &Header, body: &[u8]) -> Result<(), DecodeError> {
    match way {
        Way::ToWorker => link::decode_to_worker(header, body).map(drop),
        Way::FromWorker => link::decode_from_worker(header, body).map(drop),
        Way::ClientHello => door::decode_client_hello(header, body).map(drop),
        Way::ServerHello => door::decode_server_hello(header, body).map(drop),
        Way::Request => door::decode_request(header, body).map(drop),
        Way::FromServer => door::decode_from_server(header, body).map(drop),
    }
}

/// A frame of every message, of both vocabularies.
pub fn samples() -> Vec<Sample> {
    let mut all = link_samples::samples();
    all.extend(door_samples::samples());
    all
}
