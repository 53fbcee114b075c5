//! Peers that lie: random bytes, cut and overlong bodies, lengths that promise the moon.

mod common;

use common::{MAX, Sample, VERSION, WAYS, samples, try_decode};
use croupier_wire::codec::{CLAIM_PER_BYTE, CLAIM_SLACK, DecodeError, EncodeError};
use croupier_wire::door::{self, ControlReply, Reply};
use croupier_wire::frame::{
    FIRST_CHUNK_BYTES, FRAME_BYTES_CEILING, FrameError, FrameReader, HEADER_BYTES, Header, Kind,
    READ_CHUNK_BYTES,
};
use croupier_wire::link::{self, CallAnswer, Done, Effect, FromWorker, ToWorker};
use proptest::prelude::*;

const KINDS: [Kind; 4] = [Kind::Handshake, Kind::Data, Kind::Control, Kind::Error];

fn header(kind: Kind, flags: u8, body: &[u8]) -> Header {
    Header { len: (body.len() + HEADER_BYTES) as u32, kind, flags, version: VERSION, call_id: 1 }
}

/// What decoding may allocate at most: the claim, and vectors that were filled once being grown or turned into an error text.
fn allocation_max(body: &[u8]) -> u64 {
    (body.len() * CLAIM_PER_BYTE + CLAIM_SLACK + 1024) as u64
}

/// Decodes as everything it could be, and measures.
fn decode_all_ways(body: &[u8]) {
    for way in WAYS {
        for kind in KINDS {
            for flags in [0, 1, 3] {
                let header = header(kind, flags, body);
                let used = allocation_counter::measure(|| drop(try_decode(way, &header, body)));
                assert!(
                    used.bytes_total <= allocation_max(body),
                    "{way:?}: {} bytes allocated for a body of {}: {body:?}",
                    used.bytes_total,
                    body.len(),
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn random_bodies_neither_panic_nor_allocate(body in prop::collection::vec(any::<u8>(), 0..200)) {
        decode_all_ways(&body);
    }

    #[test]
    fn bent_messages_neither_panic_nor_allocate(
        which in any::<prop::sample::Index>(),
        bends in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let samples = samples();
        let mut body = samples[which.index(samples.len())].body().to_vec();
        for (at, byte) in bends {
            if !body.is_empty() {
                let at = at.index(body.len());
                body[at] = byte;
            }
        }
        decode_all_ways(&body);
    }

    #[test]
    fn random_streams_end_in_an_error_or_wait(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let mut reader = FrameReader::new(VERSION, 4096);
        reader.space()[..bytes.len()].copy_from_slice(&bytes);
        reader.filled(bytes.len());
        while let Ok(Some((header, body))) = reader.next() {
            prop_assert_eq!(header.len as usize, body.len() + HEADER_BYTES);
        }
    }
}

/// A length of 2^40 (and others) at every place of every message: nobody allocates for it.
#[test]
fn lengths_that_promise_the_moon() {
    for sample in samples() {
        for at in 0..sample.body().len() {
            for claim in [300, 70_000, 1 << 24, u64::from(u32::MAX), 1 << 40, u64::MAX] {
                let mut body = sample.body()[..at].to_vec();
                body.push(253); // bincode's mark for "a u64 follows"
                body.extend_from_slice(&claim.to_le_bytes());
                body.extend_from_slice(&sample.body()[at + 1..]);
                let header = header(sample.header().kind, sample.header().flags, &body);
                let used = allocation_counter::measure(|| drop(try_decode(sample.way, &header, &body)));
                assert!(
                    used.bytes_total <= allocation_max(&body),
                    "{} at {at} claiming {claim}: {} bytes allocated for {}",
                    sample.name,
                    used.bytes_total,
                    body.len()
                );
            }
        }
    }
}

#[test]
fn a_moon_sized_list_is_refused_by_name() {
    // FromWorker::Done: variant 3, status 0, no reply, no error, then the number of effects.
    let mut body = vec![3, 0, 0, 0, 253];
    body.extend_from_slice(&(1u64 << 40).to_le_bytes());
    let header = header(Kind::Data, 0, &body);
    assert_eq!(link::decode_from_worker(&header, &body), Err(DecodeError::Overclaim { body: body.len() }));
}

#[test]
fn a_message_cut_anywhere_is_refused() {
    for sample in samples() {
        for len in 0..sample.body().len() {
            let body = &sample.body()[..len];
            let result = try_decode(sample.way, &sample.header(), body);
            assert!(
                matches!(result, Err(DecodeError::Malformed { .. } | DecodeError::Overclaim { .. })),
                "{} cut to {len} bytes: {result:?}",
                sample.name
            );
        }
    }
}

#[test]
fn trailing_bytes_are_refused() {
    for sample in samples() {
        let body = [sample.body(), &[0]].concat();
        assert_eq!(
            try_decode(sample.way, &sample.header(), &body),
            Err(DecodeError::Trailing),
            "{}",
            sample.name
        );
    }
}

#[test]
fn messages_come_in_frames_of_their_kind_and_flags_only() {
    for sample in samples() {
        let good = sample.header();
        for kind in KINDS.into_iter().filter(|kind| *kind != good.kind) {
            let result = try_decode(sample.way, &Header { kind, ..good }, sample.body());
            assert!(
                matches!(result, Err(DecodeError::WrongKind { .. })),
                "{} as {kind:?}: {result:?}",
                sample.name
            );
        }
        let result = try_decode(sample.way, &Header { flags: good.flags | 0x80, ..good }, sample.body());
        assert!(result.is_err(), "{} with an unknown flag", sample.name);
    }
    let ping: Vec<Sample> = samples().into_iter().filter(|s| s.name == "door-request-ping").collect();
    let anonymous = Header { call_id: 0, ..ping[0].header() };
    assert_eq!(door::decode_request(&anonymous, ping[0].body()), Err(DecodeError::NoCallId));
}

/// The densest honest messages, so that nobody honest is refused as claiming too much.
#[test]
fn honest_messages_stay_inside_the_claim() {
    let empty = CallAnswer { asked: 0, status: 0, answer: b"" };
    let turn = link::Turn {
        session: 0,
        seq: 0,
        now_ns: 0,
        seed: [0; 32],
        kind: 0,
        player: 0,
        payload: b"",
        calls: vec![empty; 10_000],
    };
    let done = Done {
        status: 0,
        reply: b"",
        error: "",
        effects: vec![Effect::Emit { topic: "", event: b"" }; 10_000],
        outcome: 0,
        snapshot: None,
        diverged: false,
    };
    let mut down = Vec::new();
    ToWorker::Turn(turn.clone()).put(&mut down, 0, 1, MAX).expect("fits");
    assert_eq!(
        link::decode_to_worker(&common::header_of(&down), &down[HEADER_BYTES..]),
        Ok(ToWorker::Turn(turn))
    );
    let mut up = Vec::new();
    FromWorker::Done(done.clone()).put(&mut up, 1, MAX).expect("fits");
    assert_eq!(
        link::decode_from_worker(&common::header_of(&up), &up[HEADER_BYTES..]),
        Ok(FromWorker::Done(done))
    );

    for reply in dense_replies() {
        let reply = Reply::Control(reply);
        let mut out = Vec::new();
        door::put_reply(&mut out, 1, &reply, MAX).expect("fits");
        assert_eq!(door::decode_reply(&common::header_of(&out), &out[HEADER_BYTES..]), Ok(reply));
    }
}

/// Lists of elements with nothing in them: the most memory per byte.
fn dense_replies() -> Vec<ControlReply> {
    let plugin = door::PluginInfo {
        name: String::new(),
        version: String::new(),
        digest: String::new(),
        path: String::new(),
        state: String::new(),
        fault: None,
        game: String::new(),
        description: String::new(),
        sessions: 0,
        held: 0,
        workers: vec![],
        turns: 0,
        workers_lost: 0,
        poison: 0,
        health: String::new(),
        standbys: 0,
        standbys_wanted: 0,
        replicas: 0,
        replicas_wanted: 0,
        moved: 0,
    };
    let session = door::SessionInfo {
        session: 0,
        plugin: String::new(),
        state: String::new(),
        players: 0,
        seq: 0,
        pending: 0,
        opened_ns: 0,
    };
    let worker = door::WorkerInfo {
        worker: 0,
        plugin: String::new(),
        pid: 0,
        state: String::new(),
        sessions: 0,
        in_flight: 0,
        age_ms: 0,
        rss_kib: 0,
        cpu_ms: 0,
        isolation: String::new(),
        turns: 0,
    };
    let detail = door::SessionDetail {
        info: session.clone(),
        players: vec![0; 10_000],
        held_reason: None,
        digest: String::new(),
        commit: String::new(),
        ..common::door_samples::session_detail()
    };
    vec![
        ControlReply::Plugins(vec![plugin; 10_000]),
        ControlReply::Sessions(vec![session; 10_000]),
        ControlReply::Workers(vec![worker; 10_000]),
        ControlReply::Session(Box::new(detail)),
    ]
}

#[test]
fn headers_are_limited() {
    let good = Header { len: 100, kind: Kind::Data, flags: 7, version: VERSION, call_id: 9 };
    let mut bytes = [0; HEADER_BYTES];
    good.put(&mut bytes);
    assert_eq!(Header::parse(&bytes, VERSION, 100), Ok(good));
    assert_eq!(Header::parse(&bytes, VERSION, 99), Err(FrameError::TooLong { len: 100, max: 99 }));
    assert_eq!(Header::parse(&bytes, 2, 100), Err(FrameError::WrongVersion { found: VERSION, expected: 2 }));
    for len in 0..HEADER_BYTES as u32 {
        Header { len, ..good }.put(&mut bytes);
        assert_eq!(Header::parse(&bytes, VERSION, 100), Err(FrameError::TooShort { len }));
    }
    for kind in (0..=255).filter(|kind| !(0x51..=0x54).contains(kind)) {
        good.put(&mut bytes);
        bytes[4] = kind;
        assert_eq!(Header::parse(&bytes, VERSION, 100), Err(FrameError::UnknownKind { kind }));
    }
}

#[test]
fn frames_over_the_limit_are_not_written() {
    let mut out = vec![1, 2, 3];
    let message = FromWorker::Snapshot { snapshot: &[0; 100] };
    let len = HEADER_BYTES as u32 + 1 + 1 + 100;
    assert_eq!(message.put(&mut out, 0, len - 1), Err(EncodeError::TooLong { max: len - 1 }));
    assert_eq!(message.put(&mut out, 0, 3), Err(EncodeError::TooLong { max: 3 }));
    assert_eq!(out, [1, 2, 3]);
    assert_eq!(message.put(&mut out, 0, len), Ok(()));
    assert_eq!(out.len(), 3 + len as usize);
}

/// A header of the longest frame there is, and then nothing: the reader keeps its first chunk.
#[test]
fn a_long_header_alone_makes_nobody_allocate() {
    let mut reader = FrameReader::new(VERSION, FRAME_BYTES_CEILING);
    let header =
        Header { len: FRAME_BYTES_CEILING, kind: Kind::Data, flags: 0, version: VERSION, call_id: 0 };
    let used = allocation_counter::measure(|| {
        header.put(reader.space());
        reader.filled(HEADER_BYTES);
        assert_eq!(reader.next(), Ok(None));
        assert!(reader.is_partial());
        let _ = reader.space();
    });
    assert_eq!(used.bytes_max, FIRST_CHUNK_BYTES as u64);
}

/// A frame of several chunks arrives, the buffer having grown with it, at most to the frame; then it is given back.
#[test]
fn a_long_frame_grows_the_buffer_as_it_comes() {
    let snapshot = vec![5; 3 << 20];
    let mut frame = Vec::new();
    FromWorker::Snapshot { snapshot: &snapshot }.put(&mut frame, 1, MAX).expect("fits");
    let mut reader = FrameReader::new(VERSION, MAX);
    let mut at = 0;
    while at < frame.len() {
        let space = reader.space();
        assert!(space.len() <= READ_CHUNK_BYTES.max(2 * at), "grown to {} after {at} bytes", space.len());
        let n = space.len().min(frame.len() - at);
        space[..n].copy_from_slice(&frame[at..at + n]);
        reader.filled(n);
        at += n;
        assert_eq!(reader.is_partial(), at < frame.len());
        if at < frame.len() {
            assert_eq!(reader.next(), Ok(None));
        }
    }
    let (header, body) = reader.next().expect("good").expect("whole");
    assert_eq!(link::decode_from_worker(&header, body), Ok(FromWorker::Snapshot { snapshot: &snapshot }));
    assert_eq!(reader.space().len(), READ_CHUNK_BYTES);
}

/// One that is never filled stays small; one that is grows to a chunk, and no further.
#[test]
fn the_buffer_grows_with_what_comes_at_once() {
    let mut frame = Vec::new();
    FromWorker::Ok.put(&mut frame, 1, MAX).expect("fits");
    let mut reader = FrameReader::new(VERSION, MAX);
    for _ in 0..10_000 {
        let space = reader.space();
        assert!(space.len() <= FIRST_CHUNK_BYTES);
        space[..frame.len()].copy_from_slice(&frame);
        reader.filled(frame.len());
        assert!(matches!(reader.next(), Ok(Some(_))));
    }
    let many = frame.repeat(READ_CHUNK_BYTES);
    let (mut at, mut receives) = (0, 0);
    while at < many.len() {
        let space = reader.space();
        assert!(!space.is_empty() && space.len() <= READ_CHUNK_BYTES);
        let n = space.len().min(many.len() - at);
        space[..n].copy_from_slice(&many[at..at + n]);
        reader.filled(n);
        (at, receives) = (at + n, receives + 1);
        while reader.next().expect("good").is_some() {}
    }
    assert!(receives <= many.len() / READ_CHUNK_BYTES + 4, "{receives} receives");
}

#[test]
fn a_reader_says_the_same_error_for_ever() {
    let mut reader = FrameReader::new(VERSION, 100);
    reader.space()[..HEADER_BYTES].fill(0xff);
    reader.filled(HEADER_BYTES);
    let error = Err(FrameError::WrongVersion { found: 0xffff, expected: VERSION });
    assert_eq!(reader.next(), error);
    assert!(!reader.is_partial());
    assert_eq!(reader.next(), error);
}
