//! What a worker is told before Hello: in which order, how often, and in how many pieces. What the layers hold is shown elsewhere, with a supervisor.

mod common;

use std::io::{IoSlice, Write as _};
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

use common::{Said, Worker, confine};
use croupier_ring::RING_BYTES_DEFAULT;
use croupier_wire::confine::{Confine, ToBlank, layer};
use croupier_wire::link::FaultCode;
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

const PREPARE: ToBlank = ToBlank::Prepare { layers: layer::PRIVILEGES };

/// Whether it can gain no privileges any more.
fn is_prepared(worker: &Worker) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", worker.pid())).expect("it runs");
    status.lines().any(|line| line.split_whitespace().eq(["NoNewPrivs:", "1"]))
}

#[test]
fn a_worker_that_waits_for_its_plugin_is_prepared() {
    let mut worker = Worker::start_blank();
    assert!(!is_prepared(&worker));
    worker.tell(&[PREPARE]);
    let from = Instant::now();
    while !is_prepared(&worker) {
        assert!(from.elapsed() < Duration::from_secs(20), "it is not prepared");
        std::thread::sleep(Duration::from_millis(1));
    }
    let confined = worker.confine(&[ToBlank::Confine(confine(layer::PRIVILEGES))]);
    assert_eq!(confined.layers, layer::PRIVILEGES, "what is on already is told, too");
}

#[test]
fn both_messages_may_come_at_once_or_in_pieces() {
    let last = ToBlank::Confine(confine(layer::PRIVILEGES));
    let mut worker = Worker::start_blank();
    assert_eq!(worker.confine(&[PREPARE, last]).layers, layer::PRIVILEGES);
    assert!(is_prepared(&worker));

    let mut worker = Worker::start_blank();
    let mut frames = Vec::new();
    PREPARE.put(&mut frames).expect("fits");
    last.put(&mut frames).expect("fits");
    let (head, tail) = frames.split_at(frames.len() - 1);
    for byte in head {
        worker.link.write_all(&[*byte]).expect("it listens");
    }
    worker.link.write_all(tail).expect("it listens");
    assert_eq!(worker.confine(&[]).layers, layer::PRIVILEGES);
}

/// As the socket glues them together when the worker is late: the ring's memory is beside the second of them.
#[test]
fn the_ring_comes_with_both_messages_or_with_the_second() {
    let (memory, _ring) = croupier_ring::create(RING_BYTES_DEFAULT).expect("memory");
    let last = ToBlank::Confine(Confine { ring_bytes: RING_BYTES_DEFAULT, ..confine(layer::PRIVILEGES) });
    for parts in [&[&[PREPARE, last][..]][..], &[&[PREPARE], &[last]]] {
        let mut worker = Worker::start_blank();
        for part in parts {
            let mut frames = Vec::new();
            part.iter().for_each(|told| told.put(&mut frames).expect("fits"));
            let descriptors = [memory.as_raw_fd()];
            let beside = [ControlMessage::ScmRights(&descriptors)];
            let beside = if part.contains(&last) { &beside[..] } else { &[] };
            let head = [IoSlice::new(&frames)];
            sendmsg::<()>(worker.link.as_raw_fd(), &head, beside, MsgFlags::empty(), None)
                .expect("it listens");
        }
        assert_eq!(worker.confine(&[]).layers, layer::PRIVILEGES);
    }
}

#[test]
fn nothing_is_prepared_twice_and_no_limits_ahead() {
    for told in [[PREPARE, PREPARE], [PREPARE, ToBlank::Prepare { layers: 0 }]] {
        let mut worker = Worker::start_blank();
        worker.tell(&told);
        refused(worker);
    }
    for layers in [layer::RLIMITS, layer::SECCOMP | layer::PRIVILEGES, layer::NAMESPACES, 1 << 31] {
        let mut worker = Worker::start_blank();
        worker.tell(&[ToBlank::Prepare { layers }]);
        refused(worker);
    }
}

fn refused(mut worker: Worker) {
    let (_, said) = worker.hear();
    let Said::Fault { code, text } = said else { panic!("{said:?}") };
    assert_eq!(code, FaultCode::Protocol, "{text}");
    assert!(text.contains("Prepare came twice, or for other layers"), "{text}");
    assert_eq!(worker.end().0.code(), Some(1));
}
