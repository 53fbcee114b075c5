//! A stream cut anywhere gives the same frames, and the same error, as the stream in one piece; and the reader never holds much more than what came.
//!
//! Input: a number of bytes per receive, then the stream.
#![no_main]

use croupier_wire::frame::{FrameError, FrameReader, Header, READ_CHUNK_BYTES};
use libfuzzer_sys::fuzz_target;

const VERSION: u16 = 1;
const FRAME_BYTES_MAX: u32 = 1 << 20;

type Frames = (Vec<(Header, Vec<u8>)>, Option<FrameError>);

fn read(stream: &[u8], receive_bytes: usize) -> Frames {
    let mut reader = FrameReader::new(VERSION, FRAME_BYTES_MAX);
    let (mut frames, mut rest) = (Vec::new(), stream);
    loop {
        loop {
            match reader.next() {
                Ok(Some((header, body))) => {
                    assert_eq!(header.len as usize, 16 + body.len());
                    frames.push((header, body.to_vec()));
                }
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
        assert!(!reader.has_next());
        if rest.is_empty() {
            return (frames, None);
        }
        let space = reader.space();
        assert!(!space.is_empty() && space.len() <= READ_CHUNK_BYTES.max(2 * stream.len()));
        let n = receive_bytes.min(rest.len()).min(space.len());
        space[..n].copy_from_slice(&rest[..n]);
        reader.filled(n);
        rest = &rest[n..];
    }
}

fuzz_target!(|data: &[u8]| {
    let [receive_bytes, stream @ ..] = data else { return };
    assert_eq!(read(stream, usize::from(*receive_bytes) + 1), read(stream, usize::MAX));
});
