//! What is encoded is decoded as the same value, for random messages of every kind.

mod common;

use common::random::Random;
use common::{MAX, VERSION};
use croupier_wire::door::{self, FromServer};
use croupier_wire::frame::{FrameError, FrameReader, Header};
use croupier_wire::link;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn link_messages(seed: u64, pool in ".{0,200}", call_id: u64) {
        let mut random = Random::new(seed, &pool);
        let (down, up) = (random.downward(), random.upward());
        let mut out = Vec::new();
        down.put(&mut out, down.flags(), call_id, MAX)?;
        up.put(&mut out, call_id, MAX)?;

        let mut reader = FrameReader::new(VERSION, MAX);
        let mut frames = receive(&mut reader, &out)?.into_iter();
        let (header, body) = frames.next().expect("whole");
        prop_assert_eq!((header.kind, header.flags, header.call_id), (down.kind(), down.flags(), call_id));
        prop_assert_eq!(link::decode_to_worker(&header, &body)?, down);
        let (header, body) = frames.next().expect("whole");
        prop_assert_eq!((header.kind, header.flags, header.call_id), (up.kind(), 0, call_id));
        prop_assert_eq!(link::decode_from_worker(&header, &body)?, up);
        prop_assert_eq!(frames.next(), None);
        prop_assert!(!reader.is_partial());
    }

    #[test]
    fn door_messages(seed: u64, pool in ".{0,200}", call_id in 1u64..) {
        let mut random = Random::new(seed, &pool);
        let (hello, welcome) = (random.client_hello(), random.server_hello());
        let (request, reply, push) = (random.request(), random.reply(), random.push());
        let mut out = Vec::new();
        door::put_client_hello(&mut out, &hello, MAX)?;
        door::put_server_hello(&mut out, &welcome, MAX)?;
        door::put_request(&mut out, call_id, &request, MAX)?;
        door::put_reply(&mut out, call_id, &reply, MAX)?;
        door::put_push(&mut out, call_id, &push, MAX)?;

        let mut reader = FrameReader::new(VERSION, MAX);
        let mut frames = receive(&mut reader, &out)?.into_iter();
        let (header, body) = frames.next().expect("whole");
        prop_assert_eq!(door::decode_client_hello(&header, &body)?, hello);
        let (header, body) = frames.next().expect("whole");
        prop_assert_eq!(door::decode_server_hello(&header, &body)?, welcome);
        let (header, body) = frames.next().expect("whole");
        prop_assert_eq!(header.call_id, call_id);
        prop_assert_eq!(door::decode_request(&header, &body)?, request);
        let (header, body) = frames.next().expect("whole");
        prop_assert_eq!(door::decode_from_server(&header, &body)?, FromServer::Reply(reply));
        let (header, body) = frames.next().expect("whole");
        prop_assert_eq!(door::decode_from_server(&header, &body)?, FromServer::Push(push));
    }

    /// However the stream is cut, the same frames come out.
    #[test]
    fn any_cut_of_the_stream(seed: u64, pool in ".{0,3000}", cuts in prop::collection::vec(1usize..5000, 1..20)) {
        let mut random = Random::new(seed, &pool);
        let mut out = Vec::new();
        let sent: Vec<_> = (0..20).map(|_| random.upward()).collect();
        for (id, message) in sent.iter().enumerate() {
            message.put(&mut out, id as u64, MAX)?;
        }
        let mut reader = FrameReader::new(VERSION, MAX);
        let (mut at, mut got) = (0, 0);
        for cut in cuts.iter().cycle() {
            let piece = &out[at..(at + cut).min(out.len())];
            at += piece.len();
            for (header, body) in receive(&mut reader, piece)? {
                prop_assert_eq!(header.call_id, got as u64);
                prop_assert_eq!(&link::decode_from_worker(&header, &body)?, &sent[got]);
                got += 1;
            }
            if at == out.len() {
                break;
            }
        }
        prop_assert_eq!(got, sent.len());
        prop_assert!(!reader.is_partial());
    }
}

/// Receives `bytes` as a socket would, as much at a time as there is space, and takes out the frames as they are whole.
fn receive(reader: &mut FrameReader, mut bytes: &[u8]) -> Result<Vec<(Header, Vec<u8>)>, FrameError> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let space = reader.space();
        assert!(!space.is_empty(), "{} bytes are left", bytes.len());
        let n = space.len().min(bytes.len());
        space[..n].copy_from_slice(&bytes[..n]);
        reader.filled(n);
        bytes = &bytes[n..];
        while let Some((header, body)) = reader.next()? {
            frames.push((header, body.to_vec()));
        }
    }
    Ok(frames)
}
