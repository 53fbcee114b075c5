//! The ring over real memory: bytes come as they went, both sides wait for each other, and whatever the other side writes, nothing worse than [`Nonsense`] or garbage comes of it.
//!
//! The hostile side writes to the memory as a file, at any place: what it can do is what pwrite(2) can. Cases are random; a failure prints its input, and proptest's seed
//! replays it (`PROPTEST_RNG_SEED`).
#![cfg(not(loom))]

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicBool, Ordering};

use croupier_ring::{AdoptError, RING_BYTES_MIN, Ring, Sleep, Waited, Wake, adopt, create};
use proptest::prelude::*;
use rustix::fs::{MemfdFlags, SealFlags};

const BYTES: u32 = RING_BYTES_MIN;
/// Where things are in the memory, as a hostile side finds out: bytes.
const WORDS_BYTES: u64 = 4096;
const LINE_BYTES: u64 = 128;
const LINES: u64 = 6;
/// The words of a direction.
const HEAD: u64 = 0;
const TAIL: u64 = 1;
/// The directions.
const TO_WORKER: u64 = 0;
const FROM_WORKER: u64 = 1;

/// A ring with both its sides, and its memory.
struct Table {
    ours: Ring,
    theirs: Ring,
    memory: File,
}

fn table() -> Table {
    let (fd, ours) = create(BYTES).expect("memory");
    let theirs = adopt(&fd, BYTES).expect("our own");
    Table { ours, theirs, memory: File::from(fd) }
}

impl Table {
    fn set(&self, direction: u64, word: u64, to: u32) {
        let at = (direction * LINES + word) * LINE_BYTES;
        self.memory.write_all_at(&to.to_le_bytes(), at).expect("writable");
    }

    fn get(&self, direction: u64, word: u64) -> u32 {
        let mut bytes = [0; 4];
        self.memory.read_exact_at(&mut bytes, (direction * LINES + word) * LINE_BYTES).expect("readable");
        u32::from_le_bytes(bytes)
    }
}

/// A byte that says where in the stream it stands.
fn byte(at: usize) -> u8 {
    (at % 251) as u8
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Any sizes of sends and receives, many times around the end.
    #[test]
    fn bytes_come_as_they_went(sizes in prop::collection::vec((0usize..6000, 0usize..6000), 1..60)) {
        let Table { mut ours, mut theirs, .. } = table();
        let (mut sent, mut received) = (0, 0);
        for (send, receive) in sizes {
            let bytes: Vec<u8> = (sent..sent + send).map(byte).collect();
            let (n, _) = ours.sender.send(&bytes).expect("sense");
            prop_assert!(n <= send && (n == send || sent + n - received <= BYTES as usize));
            sent += n;
            let mut into = vec![0xff; receive];
            let (n, _) = theirs.receiver.recv(&mut into).expect("sense");
            // It takes what it knows of first, and looks for more when that is nothing.
            prop_assert!(n <= receive.min(sent - received) && (n > 0) == (receive.min(sent - received) > 0));
            for (offset, got) in into[..n].iter().enumerate() {
                prop_assert_eq!(*got, byte(received + offset));
            }
            prop_assert!(into[n..].iter().all(|rest| *rest == 0xff), "what is behind is not touched");
            received += n;
        }
        let _ = theirs.receiver.release();
        prop_assert_eq!(ours.sender.send(&vec![0; 2 * BYTES as usize]).expect("sense").0, BYTES as usize - (sent - received));
    }

    /// Words of any value at any moment: sense or not, never a panic, and never more than there is room for.
    #[test]
    fn any_words_are_sense_or_nonsense(ops in prop::collection::vec((0u8..6, 0u64..2, 0u64..LINES, any::<u32>(), -3i32..3, 0usize..5000), 1..60)) {
        let mut table = table();
        let mut space = vec![0; BYTES as usize];
        for (op, direction, word, absolute, near, bytes) in ops {
            match op {
                0 => table.set(direction, word, absolute),
                1 => {
                    let old = table.get(direction, word);
                    table.set(direction, word, old.wrapping_add_signed(near));
                }
                2 => {
                    if let Ok((n, _)) = table.ours.receiver.recv(&mut space[..bytes.min(BYTES as usize)]) {
                        prop_assert!(n <= bytes);
                    }
                }
                3 => {
                    if let Ok((n, _)) = table.ours.sender.send(&space[..bytes.min(BYTES as usize)]) {
                        prop_assert!(n <= bytes);
                    }
                }
                4 => {
                    let _ = table.ours.receiver.arm(Sleep::ForBell);
                    let _ = table.ours.sender.arm(Sleep::ForBell);
                }
                _ => {
                    let Ring { receiver, spin, .. } = &mut table.ours;
                    let _ = receiver.spin(spin);
                    receiver.disarm();
                }
            }
        }
    }
}

/// Ours is at 100 in both directions; each of these is nonsense, also the second time, and a good index afterwards is sense again.
#[test]
fn every_index_that_makes_no_sense_is_refused() {
    let start = || {
        let mut table = table();
        assert_eq!(table.theirs.sender.send(&[1; 100]).expect("sense").0, 100);
        assert_eq!(table.ours.receiver.recv(&mut [0; 200]).expect("sense").0, 100);
        assert_eq!(table.ours.sender.send(&[1; 100]).expect("sense").0, 100);
        table
    };
    for head in [101 + BYTES, 99, 0, u32::MAX, 100 + (1 << 31), 100u32.wrapping_sub(BYTES)] {
        let mut table = start();
        table.set(FROM_WORKER, HEAD, head);
        for _ in 0..2 {
            let nonsense = table.ours.receiver.recv(&mut [0; 8]).expect_err("no sense");
            assert_eq!((nonsense.index, nonsense.own, nonsense.bytes), (head, 100, BYTES));
            assert!(
                table.ours.receiver.arm(Sleep::ForBell).is_err() && table.ours.receiver.has_bytes().is_err()
            );
            assert!(table.ours.receiver.wait().is_err(), "and nobody waits");
        }
        table.set(FROM_WORKER, HEAD, 100 + BYTES);
        assert!(table.ours.receiver.has_bytes().expect("sense"));
    }
    // A tail is looked at when there is no room.
    let all = [2; BYTES as usize];
    for tail in [101, u32::MAX, 100u32.wrapping_sub(BYTES + 1), 100 + (1 << 31)] {
        let mut table = start();
        table.set(TO_WORKER, TAIL, tail);
        for _ in 0..2 {
            let nonsense = table.ours.sender.send(&all).expect_err("no sense");
            assert_eq!((nonsense.index, nonsense.own), (tail, 100));
            assert!(table.ours.sender.arm(Sleep::ForBell).is_err() && table.ours.sender.wait().is_err());
        }
    }
    let mut table = start();
    table.set(TO_WORKER, TAIL, 60);
    assert_eq!(table.ours.sender.send(&all).expect("sense").0, all.len() - 40);
    table.set(TO_WORKER, TAIL, 59);
    assert!(table.ours.sender.send(&all).is_err(), "a tail that goes back");
}

/// What the other side has said of its head is not taken back: bytes that were seen to be there are read, whatever the word says meanwhile.
#[test]
fn a_head_that_goes_back_gives_no_room_for_more() {
    let mut table = table();
    assert_eq!(table.theirs.sender.send(&[7; 100]).expect("sense").0, 100);
    assert_eq!(table.ours.receiver.recv(&mut [0; 40]).expect("sense").0, 40);
    table.set(FROM_WORKER, HEAD, 50);
    assert_eq!(table.ours.receiver.recv(&mut [0; 100]).expect("known").0, 60);
    assert!(table.ours.receiver.recv(&mut [0; 100]).is_err());
}

#[test]
fn memory_that_is_no_ring_is_not_adopted() {
    let memory = |bytes: u64, seals: SealFlags| -> OwnedFd {
        let fd = rustix::fs::memfd_create("ring-test", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING);
        let fd = fd.expect("memory");
        rustix::fs::ftruncate(&fd, bytes).expect("empty memory");
        rustix::fs::fcntl_add_seals(&fd, seals).expect("allowed");
        fd
    };
    let whole = WORDS_BYTES + 2 * u64::from(BYTES);
    let both = SealFlags::SHRINK | SealFlags::GROW;
    assert!(adopt(&memory(whole, both), BYTES).is_ok());
    for seals in [SealFlags::empty(), SealFlags::SHRINK, SealFlags::GROW] {
        assert!(matches!(adopt(&memory(whole, seals), BYTES), Err(AdoptError::Unsealed)), "{seals:?}");
    }
    for bytes in [0, whole - 1, whole + 1, whole / 2] {
        let refused = adopt(&memory(bytes, both), BYTES);
        assert!(
            matches!(refused, Err(AdoptError::Length { found, wanted }) if (found, wanted) == (bytes, whole))
        );
    }
    for bytes in [0, 1, BYTES - 1, BYTES + 1, BYTES / 2, 3 * BYTES, 1 << 31, u32::MAX] {
        let refused = adopt(&memory(whole, both), bytes);
        assert!(matches!(refused, Err(AdoptError::Size(size)) if size == bytes), "{bytes}");
        assert!(matches!(create(bytes), Err(AdoptError::Size(size)) if size == bytes), "{bytes}");
    }
    assert!(matches!(
        adopt(&File::open("/dev/null").expect("it is there").into(), BYTES),
        Err(AdoptError::Kernel(_))
    ));
}

#[test]
fn nobody_can_make_a_ring_longer_or_shorter_or_lift_its_seals() {
    let table = table();
    for bytes in [0, WORDS_BYTES, 1 << 20] {
        assert_eq!(rustix::fs::ftruncate(&table.memory, bytes), Err(rustix::io::Errno::PERM));
    }
    assert_eq!(rustix::fs::fcntl_add_seals(&table.memory, SealFlags::WRITE), Err(rustix::io::Errno::PERM));
}

/// Bytes of a stream through a ring that is far shorter, both sides sleeping in the kernel.
const STREAM_BYTES: usize = 3 << 20;

#[test]
fn two_threads_wait_for_each_other_in_the_kernel() {
    let Table { ours, theirs, .. } = table();
    let (mut sender, mut receiver) = (ours.sender, theirs.receiver);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let (mut sent, mut size) = (0, 1);
            while sent < STREAM_BYTES {
                size = (size * 7 + 3) % 9000;
                let bytes: Vec<u8> = (sent..(sent + size).min(STREAM_BYTES)).map(byte).collect();
                let mut rest = &bytes[..];
                while !rest.is_empty() {
                    let (n, _) = sender.send(rest).expect("sense");
                    rest = &rest[n..];
                    if !rest.is_empty() {
                        sender.wait().expect("sense");
                    }
                }
                sent += bytes.len();
            }
            sender.go();
        });
        let (mut received, mut into) = (0, [0; 3000]);
        loop {
            let over = receiver.is_over();
            let (n, _) = receiver.recv(&mut into).expect("sense");
            for (offset, got) in into[..n].iter().enumerate() {
                assert_eq!(*got, byte(received + offset), "byte {}", received + offset);
            }
            received += n;
            if n == 0 && over {
                break;
            }
            if n == 0 {
                let (_, wake): (Waited, Wake) = receiver.wait().expect("sense");
                assert_eq!(wake, Wake::Done, "nobody waits for a bell");
            }
        }
        assert_eq!(received, STREAM_BYTES);
    });
}

/// Rounds with memory that changes meanwhile, at least.
const ROUNDS: usize = 200_000;

/// Somebody writes over words and bytes for as long as we use them.
#[test]
fn memory_that_changes_meanwhile_gives_garbage_or_nonsense_and_no_more() {
    let mut table = table();
    let writer = table.memory.try_clone().expect("a descriptor");
    let done = AtomicBool::new(false);
    let (mut taken, mut refused, mut garbage) = (0, 0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut n: u32 = 1;
            while !done.load(Ordering::Relaxed) {
                n = n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let at = (u64::from(n >> 8) % (2 * LINES)) * LINE_BYTES;
                let value = if n & 1 == 0 { n } else { n % (2 * BYTES) };
                writer.write_all_at(&value.to_le_bytes(), at).expect("writable");
                let bytes = [n as u8; 64];
                writer
                    .write_all_at(&bytes, WORDS_BYTES + u64::from(n) % (2 * u64::from(BYTES) - 64))
                    .expect("writable");
            }
        });
        let (mut space, mut round) = ([0; 1000], 0);
        // On a busy machine the other thread may not run for a while.
        while round < ROUNDS || taken == 0 || refused == 0 || garbage == 0 {
            round += 1;
            match table.ours.receiver.recv(&mut space) {
                Ok((n, _)) => {
                    assert!(n <= space.len());
                    taken += n;
                    garbage += space[..n].iter().filter(|byte| **byte != 0).count();
                }
                Err(_) => refused += 1,
            }
            refused += usize::from(table.ours.sender.send(&space[..round % 1000]).is_err());
            let _ = table.ours.receiver.arm(Sleep::ForBell);
            let _ = table.ours.sender.arm(Sleep::ForBell);
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(table.ours.sender.send(&[]).map(|(n, _)| n), Ok(0), "nothing is broken on our side");
}
