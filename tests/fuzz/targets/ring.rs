//! A ring whose other side writes what it likes wherever it likes, between any two steps of ours: through the supervisor's own end of it, with frames, limits and rate. Nothing
//! panics, no step takes for ever, and the memory that it makes us take is in proportion to what it wrote.
//!
//! Input: steps of one byte and their operands; see `step`.
#![no_main]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::os::unix::net::UnixStream;

use croupier::worker::link::{Looked, SocketLink};
use croupier::worker::port::{Port, Ready, Received};
use croupier::worker::ring::ways;
use croupier_ring::{RING_BYTES_MIN, create};
use croupier_wire::link::{FromWorker, Limits, ToWorker};
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits = Limits {
    frame_bytes: 64 << 10,
    reply_bytes: 1 << 10,
    snapshot_bytes: 4 << 10,
    effects_per_turn: 16,
    effect_bytes: 1 << 10,
};
const BYTES: u32 = RING_BYTES_MIN;
/// Where things are in the memory: bytes.
const WORDS_BYTES: u64 = 4096;
const LINE_BYTES: u64 = 128;
/// Words of one direction.
const LINES: u64 = 6;
/// The words of both directions.
const WORDS: u64 = 2 * LINES;
const HEAD: u64 = LINES;
const TAIL: u64 = LINES + 1;
/// Bytes per second that are borne: no input has as many.
const LINK_BYTES_PER_S: u64 = 1 << 40;
/// Bytes that a port takes by itself: its reader's chunk, and what waits to go out.
const OWN_BYTES: u64 = 512 << 10;
/// What one byte of an input may make us take at the most: it can have a ring full of old bytes read once more.
const BYTES_PER_BYTE: u64 = 4096;

struct Rig {
    port: Port,
    memory: File,
    bell: UnixStream,
    /// Nothing that comes later may be taken.
    broken: bool,
    /// The next thread that has looked lets the link rest.
    rests: bool,
}

impl Rig {
    fn new() -> Rig {
        let (fd, ring) = create(BYTES).expect("memory");
        let (ours, bell) = UnixStream::pair().expect("a socket pair");
        bell.set_nonblocking(true).expect("ours");
        let link = SocketLink::new(ours).expect("ours");
        let port = Port::new(ways(ring, link), LIMITS, LINK_BYTES_PER_S);
        Rig { port, memory: File::from(fd), bell, broken: false, rests: false }
    }

    fn word(&self, word: u64) -> u32 {
        let mut bytes = [0; 4];
        self.memory.read_exact_at(&mut bytes, word * LINE_BYTES).expect("readable");
        u32::from_le_bytes(bytes)
    }

    fn set(&self, word: u64, to: u32) {
        self.memory.write_all_at(&to.to_le_bytes(), word * LINE_BYTES).expect("writable");
    }

    /// As an honest worker would, as far as there is room.
    fn append(&self, bytes: &[u8]) {
        let (head, tail) = (self.word(HEAD), self.word(TAIL));
        let room = BYTES.saturating_sub(head.wrapping_sub(tail)) as usize;
        let bytes = &bytes[..bytes.len().min(room)];
        let start = WORDS_BYTES + u64::from(BYTES);
        for (byte, at) in bytes.iter().zip(0..) {
            let at = start + u64::from(head.wrapping_add(at) % BYTES);
            self.memory.write_all_at(&[*byte], at).expect("writable");
        }
        self.set(HEAD, head.wrapping_add(bytes.len() as u32));
    }

    fn receive(&mut self) {
        let mut taken = 0;
        let received = self.port.receive((), |(), _, _| { taken += 1; Ok(()) }, |()| ());
        assert!(!self.broken || (taken == 0 && received == Received::Ended), "{taken} taken of a broken link: {received:?}");
        self.broken |= matches!(received, Received::Broken(_));
    }

    fn arm(&mut self) {
        match self.port.arm() {
            Ready::Receive(Received::Broken(_)) => self.broken = true,
            ready => assert!(!self.broken || ready == Ready::Receive(Received::Ended), "{ready:?}"),
        }
    }

    /// A thread that looks itself.
    fn help(&mut self) {
        let lent = self.port.lend().expect("nobody else does");
        assert!(self.port.lend().is_none(), "one thread at a time");
        let there = lent.has_bytes();
        let received = there.then(|| self.port.receive((), |(), _, _| Ok(()), |()| ()));
        lent.learn(if there { Looked::Came } else { Looked::InVain });
        let more = if self.rests {
            lent.rest();
            self.port.rouse()
        } else {
            lent.give_back()
        };
        self.rests = !self.rests;
        self.broken |= matches!(received, Some(Received::Broken(_)));
        if more {
            self.receive();
        }
    }
}

/// One step; gives the rest of the input.
fn step<'a>(rig: &mut Rig, which: u8, rest: &'a [u8]) -> &'a [u8] {
    match (which % 10, rest) {
        // Any word becomes anything.
        (0, [word, a, b, c, d, rest @ ..]) => {
            rig.set(u64::from(*word) % WORDS, u32::from_le_bytes([*a, *b, *c, *d]));
            rest
        }
        // Any word, a little beside what it is, or about a ring's length.
        (1, [word, by, rest @ ..]) => {
            let word = u64::from(*word) % WORDS;
            let far = if by % 3 == 0 { BYTES } else { 0 };
            rig.set(word, rig.word(word).wrapping_add(far).wrapping_add_signed(i32::from(by.cast_signed()) / 4));
            rest
        }
        // Any byte of the memory.
        (2, [low, high, length, rest @ ..]) => {
            let (bytes, rest) = rest.split_at(usize::from(*length).min(rest.len()));
            let end = WORDS_BYTES + 2 * u64::from(BYTES) - bytes.len() as u64;
            rig.memory.write_all_at(bytes, u64::from(u16::from_le_bytes([*low, *high])) % end).expect("writable");
            rest
        }
        // Bytes as they should come, and a frame.
        (3, [length, rest @ ..]) => {
            let (bytes, rest) = rest.split_at(usize::from(*length).min(rest.len()));
            rig.append(bytes);
            rest
        }
        (4, [call, rest @ ..]) => {
            let mut frame = Vec::new();
            FromWorker::Ok.put(&mut frame, (*call).into(), LIMITS.frame_bytes).expect("fits");
            rig.append(&frame);
            rest
        }
        (5, rest) => {
            rig.receive();
            rest
        }
        (6, rest) => {
            rig.arm();
            rest
        }
        (7, rest) => {
            if !rig.broken {
                rig.help();
            }
            rest
        }
        // What goes out waits where there is no room.
        (8, [length, rest @ ..]) => {
            let snapshot = vec![7; usize::from(*length) * 8];
            let message = ToWorker::Restore { session: 1, state_version: 1, snapshot: &snapshot };
            rig.port.put(&message, 0, 1).expect("fits");
            rig.port.flush();
            rest
        }
        // The bell, and what it was rung with.
        (9, [length, rest @ ..]) => {
            let _ = rig.bell.write(&vec![1; usize::from(*length) * 16]);
            let _ = rig.bell.read(&mut [0; 64]);
            rest
        }
        _ => &[],
    }
}

fn run(data: &[u8]) {
    let mut rig = Rig::new();
    let mut rest = data;
    while let [which, operands @ ..] = rest {
        rest = step(&mut rig, *which, operands);
    }
    // However it was: what comes last is taken, or is not, and that is that.
    rig.receive();
    rig.arm();
}

fuzz_target!(|data: &[u8]| {
    let used = allocation_counter::measure(|| run(data));
    let max = OWN_BYTES + data.len() as u64 * BYTES_PER_BYTE;
    assert!(used.bytes_max <= max, "{} bytes at a time for an input of {}", used.bytes_max, data.len());
    assert_eq!(used.bytes_current, 0, "something of the input is left");
});
