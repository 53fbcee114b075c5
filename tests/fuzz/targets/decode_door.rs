//! Bytes from a client, and bytes from a server: whatever decodes must encode to a message that decodes to
//! the same, and nothing may allocate much more than the body is long.
//!
//! Input: a frame kind, flags, then a body (the golden frames' bytes 4, 5 and 16 on).
#![no_main]

mod frugal;

use croupier_wire::door;
use croupier_wire::frame::{FRAME_BYTES_CEILING, HEADER_BYTES, Header, Kind};
use libfuzzer_sys::fuzz_target;

const MAX: u32 = FRAME_BYTES_CEILING;

fuzz_target!(|data: &[u8]| {
    let [kind, flags, body @ ..] = data else { return };
    let Some(kind) = Kind::from_byte(*kind) else { return };
    let len = (HEADER_BYTES + body.len()) as u32;
    let header = Header { len, kind, flags: *flags, version: door::DOOR_VERSION, call_id: 1 };
    let mut out = Vec::new();
    if let Ok(hello) = frugal::decode(body, || door::decode_client_hello(&header, body)) {
        door::put_client_hello(&mut out, &hello, MAX).expect("what was decoded can be encoded");
        assert_eq!(door::decode_client_hello(&header, &out[HEADER_BYTES..]), Ok(hello));
        out.clear();
    }
    if let Ok(hello) = frugal::decode(body, || door::decode_server_hello(&header, body)) {
        door::put_server_hello(&mut out, &hello, MAX).expect("what was decoded can be encoded");
        assert_eq!(door::decode_server_hello(&header, &out[HEADER_BYTES..]), Ok(hello));
        out.clear();
    }
    if let Ok(request) = frugal::decode(body, || door::decode_request(&header, body)) {
        door::put_request(&mut out, 1, &request, MAX).expect("what was decoded can be encoded");
        assert_eq!(door::decode_request(&header, &out[HEADER_BYTES..]), Ok(request));
        out.clear();
    }
    if let Ok(said) = frugal::decode(body, || door::decode_from_server(&header, body)) {
        match &said {
            door::FromServer::Reply(reply) => door::put_reply(&mut out, 1, reply, MAX),
            door::FromServer::Push(push) => door::put_push(&mut out, 1, push, MAX),
        }
        .expect("what was decoded can be encoded");
        assert_eq!(door::decode_from_server(&header, &out[HEADER_BYTES..]), Ok(said));
    }
});
