//! Bytes from a worker, and bytes to a worker: whatever decodes must encode to a message that decodes to
//! the same, and nothing may allocate much more than the body is long.
//!
//! Input: a frame kind, flags, then a body (the golden frames' bytes 4, 5 and 16 on).
#![no_main]

mod frugal;

use croupier_wire::frame::{FRAME_BYTES_CEILING, HEADER_BYTES, Header, Kind};
use croupier_wire::link::{LINK_VERSION, decode_from_worker, decode_to_worker};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [kind, flags, body @ ..] = data else { return };
    let Some(kind) = Kind::from_byte(*kind) else { return };
    let len = (HEADER_BYTES + body.len()) as u32;
    let header = Header { len, kind, flags: *flags, version: LINK_VERSION, call_id: 1 };
    let mut out = Vec::new();
    if let Ok(message) = frugal::decode(body, || decode_to_worker(&header, body)) {
        message.put(&mut out, header.flags, 1, FRAME_BYTES_CEILING).expect("what was decoded can be encoded");
        assert_eq!(decode_to_worker(&header, &out[HEADER_BYTES..]).as_ref(), Ok(&message));
        out.clear();
    }
    if let Ok(message) = frugal::decode(body, || decode_from_worker(&header, body)) {
        message.put(&mut out, 1, FRAME_BYTES_CEILING).expect("what was decoded can be encoded");
        assert_eq!(decode_from_worker(&header, &out[HEADER_BYTES..]).as_ref(), Ok(&message));
    }
});
