//! A supervisor that makes no sense.

use std::io::{Read, Write};

use croupier_client::{ClientError, Code, ConnectOptions, Player, Push, Refusal, Reply};
use croupier_wire::door::{DOOR_VERSION, put_reply};
use croupier_wire::frame::{FRAME_BYTES_DEFAULT, Header, Kind};

use crate::both;
use crate::fake::{Door, Fake, fast};

fn options() -> ConnectOptions {
    fast(3)
}

fn header(len: u32, version: u16) -> [u8; 16] {
    let mut bytes = [0; 16];
    Header { len, kind: Kind::Data, flags: 0, version, call_id: 1 }.put(&mut bytes);
    bytes
}

both! {
    nonsense_ends_the_connection_and_the_next_call_makes_a_new_one,
    |door: Door| {
        // What is sent, and a part of what the client says of it.
        let bad: [Vec<u8>; 4] = [
            header(20, DOOR_VERSION).into_iter().chain([0xff; 4]).collect(), // a body that is no reply
            header(u32::MAX, DOOR_VERSION).to_vec(),                         // far too long
            header(16, 99).to_vec(),                                         // another version
            b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        ];
        for bytes in bad {
            let mut client = door.accept();
            client.request();
            client.send(&bytes);
        }
        let mut client = door.accept();
        let (id, _) = client.request();
        client.reply(id + 1, &Reply::Pong); // an answer to nothing
        let mut client = door.accept();
        let (id, _) = client.request();
        client.push(id, &Push::End); // nothing is followed
        let mut client = door.accept();
        let (id, _) = client.request();
        client.reply(id, &Reply::Pong);
    },
    |client, _options| {
        for _ in 0..6 {
            let error = step!(client.ping()).expect_err("no answer");
            assert!(matches!(error, ClientError::Protocol { .. }), "{error}");
            assert!(error.to_string().contains("door.sock"), "{error}");
        }
        step!(client.ping()).expect("a client is not spoilt by what it met");
    }
}

both! {
    an_answer_of_the_wrong_kind,
    |door: Door| {
        let mut client = door.accept();
        let (id, _) = client.request();
        client.reply(id, &Reply::Pong);
    },
    |client, _options| {
        let session = client.session(croupier_client::SessionId(1));
        let error = step!(session.act(Player(1), "{}")).expect_err("no turn");
        assert!(matches!(error, ClientError::WrongReply { .. }), "{error}");
    }
}

both! {
    last_words_reach_whoever_waits,
    |door: Door| {
        let mut client = door.accept();
        client.request();
        client.reply(0, &Reply::Refused(refusal("call id 0 is not allowed")));
    },
    |client, _options| {
        let error = step!(client.ping()).expect_err("refused");
        assert_eq!(error.code(), Some(Code::Protocol));
    }
}

both! {
    a_request_that_is_too_big_is_not_sent,
    |door: Door| {
        let mut client = door.accept_limited(1 << 10);
        let (id, turn) = client.turn();
        assert_eq!(turn.client_seq, 2);
        client.reply(id, &Reply::Done(crate::fake::done(1, b"")));
    },
    |client, _options| {
        let session = client.session(croupier_client::SessionId(1));
        let error = step!(session.act(Player(1), vec![0; 2000])).expect_err("too big");
        assert!(matches!(error, ClientError::TooBig { max: 1024 }), "{error}");
        step!(session.act(Player(1), vec![0; 500])).expect("this one fits");
    }
}

#[test]
fn a_refusal_or_nonsense_instead_of_a_hello() {
    let fake = Fake::start(|door| {
        let mut refuse = Vec::new();
        put_reply(&mut refuse, 0, &Reply::Refused(refusal("not you")), FRAME_BYTES_DEFAULT).expect("encode");
        for bytes in [refuse, b"SSH-2.0-OpenSSH_9.9 and some more\r\n".to_vec()] {
            let mut stream = door.accept_raw();
            let _ = stream.read(&mut [0; 1024]).expect("the client's hello");
            stream.write_all(&bytes).expect("write");
        }
        drop(door.accept_raw());
    });
    let connect =
        || croupier_client::blocking::Client::connect_with(&fake.path, options()).err().expect("no hello");
    let refused = connect();
    assert!(refused.to_string().contains("not you"), "{refused}");
    let nonsense = connect();
    assert!(matches!(nonsense, ClientError::Protocol { .. }), "{nonsense}");
    let gone = connect();
    assert!(matches!(gone, ClientError::Connect { .. }), "{gone}");
    fake.end();
}

fn refusal(text: &str) -> Refusal {
    Refusal {
        code: Code::Protocol,
        plugin: String::new(),
        session: 0,
        seq: 0,
        status: 0,
        text: text.into(),
        hint: String::new(),
    }
}
