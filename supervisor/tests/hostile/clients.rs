//! Clients that break the rules of the doors: each loses its own connection at most, and nobody else notices.

use std::io::Write as _;
use std::time::Duration;

use croupier_client::blocking::Client;
use croupier_client::{Code, Player, SessionId};
use croupier_wire::door::{DOOR_VERSION, FromServer, Push, Reply, Request, Verb};
use croupier_wire::frame::{HEADER_BYTES, Header, Kind};

use crate::daemon::{Daemon, Setup, wait_for};
use crate::raw::{Raw, act, frame, hello};

/// A frame whose header says `len`, whatever the body.
fn header(len: u32, kind: Kind, flags: u8, version: u16, call_id: u64, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_BYTES];
    Header { len, kind, flags, version, call_id }.put(&mut bytes);
    bytes.extend_from_slice(body);
    bytes
}

fn whole(kind: Kind, flags: u8, version: u16, call_id: u64, body: &[u8]) -> Vec<u8> {
    header((HEADER_BYTES + body.len()) as u32, kind, flags, version, call_id, body)
}

#[test]
fn nonsense_gets_one_refusal_and_the_end_of_its_connection() {
    let daemon = Setup::new().config("workers_ahead = 0\n").start();
    let before = daemon.descriptors();
    let ping: &[u8] = &[3];
    let mut unknown_kind = whole(Kind::Control, 0, DOOR_VERSION, 1, ping);
    unknown_kind[4] = 0x77;
    let mut other_hello = hello(1);
    other_hello[HEADER_BYTES] = 2;
    for (bytes, words) in [
        (vec![0xff; 100], "frame version 65535"),
        (unknown_kind, "unknown frame kind 0x77"),
        (whole(Kind::Control, 0, 9, 1, ping), "frame version 9"),
        (whole(Kind::Control, 0, DOOR_VERSION, 0, ping), "call id 0"),
        (whole(Kind::Control, 1, DOOR_VERSION, 1, ping), "flags 0x01"),
        (whole(Kind::Data, 0, DOOR_VERSION, 1, ping), "in a frame of kind Data"),
        (whole(Kind::Control, 0, DOOR_VERSION, 1, &[3, 3]), "left over"),
        (whole(Kind::Control, 0, DOOR_VERSION, 1, &[99]), "makes no sense"),
        (header(3, Kind::Control, 0, DOOR_VERSION, 1, &[]), "shorter than its own header"),
        (header(1 << 30, Kind::Control, 0, DOOR_VERSION, 1, &[]), "over the limit of 8388608"),
        (hello(2), "call id 0"),
    ] {
        let mut raw = Raw::connect(&daemon.traffic(), 7);
        raw.bytes(&bytes).expect("is read");
        let last = raw.last_words().unwrap_or_default();
        assert!(last.contains(words), "{words}: {last}");
    }
    for (bytes, words) in [
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "frame version"),
        (frame(1, &Request::Ping), "no hello"),
        (other_hello, "speaks version 2"),
        (header(1 << 20, Kind::Handshake, 0, DOOR_VERSION, 0, &[]), "over the limit of 16384"),
        (whole(Kind::Handshake, 0, DOOR_VERSION, 0, &[1, 1, 252, 255, 255, 255, 127]), "no hello"),
    ] {
        let mut raw = Raw::silent(&daemon.traffic());
        raw.bytes(&bytes).expect("is read");
        let last = raw.last_words().unwrap_or_default();
        assert!(last.contains(words), "{words}: {last}");
    }
    daemon.player().ping().expect("others are served");
    wait_for("the connections' end", || (daemon.descriptors() <= before).then_some(()));
    daemon.end();
}

#[test]
fn half_a_frame_and_half_a_hello_are_not_waited_for() {
    let daemon = Daemon::start();
    let mut greeted = Raw::connect(&daemon.traffic(), 7);
    greeted.bytes(&header(8 << 20, Kind::Data, 0, DOOR_VERSION, 1, &[1])).expect("is read");
    let mut dripping = Raw::silent(&daemon.traffic());
    let drip = std::thread::spawn(move || {
        for byte in hello(1) {
            // The end of the connection ends this.
            if dripping.bytes(&[byte]).is_err() {
                return true;
            }
            std::thread::sleep(Duration::from_secs(1));
        }
        false
    });
    let last = greeted.last_words().expect("is told");
    assert!(last.contains("did not arrive whole within 10s"), "{last}");
    assert!(drip.join().expect("no panic"), "the hello was dripped to its end");
    daemon.end();
}

#[test]
fn the_traffic_socket_takes_no_verbs() {
    let daemon = Daemon::start();
    let mut raw = Raw::connect(&daemon.traffic(), 7);
    for verb in [Verb::Status, Verb::Shutdown, Verb::Restart { plugin: "faulty".into() }] {
        raw.ask(5, &Request::Control(verb));
        let (call, reply) = raw.reply();
        assert!(matches!(&reply, Reply::Refused(refusal) if refusal.code == Code::NotAllowed), "{reply:?}");
        assert_eq!(call, 5);
    }
    raw.ask(6, &Request::Ping);
    assert_eq!(raw.reply(), (6, Reply::Pong));
    daemon.end();
}

#[test]
fn a_follow_that_is_refused_is_refused_and_nothing_more() {
    let daemon = Daemon::start();
    let mut raw = Raw::connect(&daemon.traffic(), 7);
    for call in 1..50 {
        raw.ask(call, &Request::Follow { session: 999, from: 0 });
        let (answered, reply) = raw.reply();
        assert!(answered == call && matches!(reply, Reply::Refused(_)), "{reply:?}");
        // Nothing but this comes.
        raw.ask(1000 + call, &Request::Ping);
        assert_eq!(raw.reply(), (1000 + call, Reply::Pong));
    }
    let client = daemon.player();
    let session = client.open("faulty", "{}", Default::default()).expect("opens");
    session.close().expect("closes");
    let closed = session.follow(0).err().expect("is over");
    assert_eq!(closed.code(), Some(Code::SessionClosed), "{closed}");
    client.ping().expect("the connection is of use");
    daemon.end();
}

#[test]
fn a_call_id_is_followed_once() {
    let daemon = Daemon::start();
    let mut raw = Raw::connect(&daemon.traffic(), 7);
    let session = raw.open("faulty");
    raw.ask(5, &Request::Follow { session, from: 0 });
    assert_eq!(raw.reply(), (5, Reply::Following { next: 1 }));
    raw.ask(5, &Request::Follow { session, from: 0 });
    let last = raw.last_words().expect("is told");
    assert!(last.contains("call id 5 is used for following already"), "{last}");
    daemon.end();
}

#[test]
fn followers_who_never_read_cost_a_bounded_amount_of_memory_and_hold_nobody_up() {
    let daemon = Daemon::start();
    let table = daemon.player().open("faulty", "{}", Default::default()).expect("opens");
    let session = table.id().0;
    let before = daemon.rss_kib();
    let mut deaf: Vec<Raw> = (0..2).map(|id| Raw::connect(&daemon.traffic(), id)).collect();
    for raw in &mut deaf {
        for call in 1..=500 {
            raw.ask(call, &Request::Follow { session, from: 0 });
        }
        for call in 1..=500 {
            assert_eq!(raw.reply(), (call, Reply::Following { next: 1 }));
        }
    }
    // 32 outputs of 60 kB for 1,000 followers each: 2 GB, if somebody kept them.
    let text = "x".repeat(60_000);
    for _ in 0..2 {
        let action = format!(r#"{{"do":"send","to":1,"times":16,"text":"{text}"}}"#);
        table.act(Player(1), action).expect("is played");
    }
    let grown = daemon.rss_kib().saturating_sub(before) / 1024;
    assert!(grown < 300, "{grown} MiB more");
    // Who reads at last learns that something is missing.
    let mut lagged = false;
    for _ in 0..200_000 {
        match deaf[0].said() {
            Some((_, FromServer::Push(Push::Lagged { lost }))) => {
                lagged = lost > 0;
                break;
            }
            Some(_) => {}
            None => break,
        }
    }
    assert!(lagged);
    drop(deaf);
    daemon.end();
}

#[test]
fn a_client_that_floods_is_read_no_further_than_there_is_room() {
    let daemon = Daemon::start();
    let operator = daemon.operator();
    let table = daemon.player().open("faulty", "{}", Default::default()).expect("opens");
    operator.suspend("faulty").expect("suspends");
    let mut raw = Raw::connect(&daemon.traffic(), 7);
    raw.stream.set_write_timeout(Some(Duration::from_secs(2))).expect("a timeout");
    let payload = format!(r#"{{"do":"echo","value":"{}"}}"#, "x".repeat(1_000_000));
    let mut written = 0;
    for key in 1..=500 {
        let bytes = frame(key, &act(table.id().0, key, &payload));
        if raw.stream.write_all(&bytes).is_err() {
            break;
        }
        written += bytes.len();
    }
    assert!(written < 64 << 20, "{written} bytes were taken though nothing was answered");
    drop(raw);
    operator.resume("faulty").expect("resumes");
    table.act(Player(1), r#"{"do":"count"}"#).expect("others play on");
    daemon.end();
}

#[test]
fn ten_thousand_requests_at_once_are_answered_each_once() {
    let daemon = Daemon::start();
    let mut raw = Raw::connect(&daemon.traffic(), 7);
    let mut sending = raw.stream.try_clone().expect("a descriptor");
    let writer = std::thread::spawn(move || {
        let bytes: Vec<u8> = (1..=10_000).flat_map(|call| frame(call, &Request::Ping)).collect();
        sending.write_all(&bytes).expect("is read");
    });
    let mut answered: Vec<u64> = (0..10_000).map(|_| raw.reply().0).collect();
    writer.join().expect("no panic");
    answered.sort_unstable();
    assert!(answered.into_iter().eq(1..=10_000));
    daemon.end();
}

#[test]
fn who_breaks_off_in_the_middle_loses_nothing_that_was_accepted() {
    let daemon = Setup::new().config("workers_ahead = 0\n").start();
    let before = daemon.descriptors();
    let table = daemon.player().open("faulty", "{}", Default::default()).expect("opens");
    let session = table.id().0;
    for client in 1..=20 {
        let mut raw = Raw::connect(&daemon.traffic(), client);
        let mut bytes: Vec<u8> =
            (1..=50).flat_map(|key| frame(key, &act(session, key, r#"{"do":"count"}"#))).collect();
        // The 51st only in half.
        let half = frame(51, &act(session, 51, r#"{"do":"count"}"#));
        bytes.extend_from_slice(&half[..half.len() / 2]);
        raw.bytes(&bytes).expect("is read");
        // Answered once, so all of it was read.
        raw.reply();
    }
    // The same client again, with the same keys: what was played is answered, what was not is played, nothing twice.
    for client in 1..=20 {
        let mut raw = Raw::connect(&daemon.traffic(), client);
        for key in 1..=50 {
            raw.ask(key, &act(session, key, r#"{"do":"count"}"#));
            assert!(matches!(raw.reply(), (call, Reply::Done(_)) if call == key));
        }
    }
    let done = table.act(Player(1), r#"{"do":"count"}"#).expect("is played");
    let reply = String::from_utf8_lossy(&done.reply).into_owned();
    assert!(reply.contains(r#""count":1001"#), "{reply}");
    wait_for("the connections' end", || (daemon.descriptors() <= before + 1).then_some(()));
    daemon.end();
}

#[test]
fn connections_are_bounded_so_that_a_fresh_worker_always_comes_up() {
    let daemon = Setup::new().before("ulimit -n 128").start();
    // A quarter of the descriptors for each socket.
    let crowd: Vec<Raw> = (0..32).map(|id| Raw::connect(&daemon.traffic(), id)).collect();
    let mut late = Raw::silent(&daemon.traffic());
    let last = late.last_words().expect("is told");
    assert!(last.contains("its maximum of 32 connections"), "{last}");
    // Operators have a socket of their own, and workers their descriptors.
    let operator = daemon.operator();
    let worker = operator.workers().expect("workers")[0].pid;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(worker as i32), nix::sys::signal::Signal::SIGKILL)
        .expect("a worker");
    wait_for("a fresh worker", || {
        let workers = operator.workers().expect("workers");
        workers.iter().any(|fresh| fresh.pid != worker && fresh.state == "serving").then_some(())
    });
    drop(crowd);
    let there = wait_for("room", || Client::connect(daemon.traffic()).ok());
    there.ping().expect("is served");
    daemon.end();
}

#[test]
fn a_client_id_may_come_in_twice_and_numbers_its_requests_once() {
    let daemon = Daemon::start();
    let (mut one, mut other) = (Raw::connect(&daemon.traffic(), 7), Raw::connect(&daemon.traffic(), 7));
    let session = one.open("faulty");
    // The same open: the same session.
    assert_eq!(other.open("faulty"), session);
    one.ask(2, &act(session, 1, r#"{"do":"count"}"#));
    other.ask(2, &act(session, 1, r#"{"do":"count"}"#));
    assert_eq!(one.reply(), other.reply());
    other.ask(3, &act(session, 1, r#"{"do":"draw"}"#));
    let (_, reply) = other.reply();
    assert!(matches!(&reply, Reply::Refused(refusal) if refusal.code == Code::KeyReused), "{reply:?}");
    let detail = daemon.operator().session_detail(SessionId(session)).expect("is there");
    assert_eq!(detail.info.seq, 2);
    daemon.end();
}
