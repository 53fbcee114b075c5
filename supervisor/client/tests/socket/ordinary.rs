//! Things going well.

use croupier_client::{
    Code, ConnectOptions, Input, OpenOptions, Output, OutputTo, Player, Push, Refusal, Reply, Request, WINDOW,
};
use std::time::Duration;

use crate::both;
use crate::fake::{Door, Fake, done, fast};

fn options() -> ConnectOptions {
    fast(0)
}

both! {
    a_round_trip,
    |door: Door| {
        let mut client = door.accept();
        client.open(5);
        for expected in 1..=3 {
            let (id, turn) = client.turn();
            assert_eq!((turn.session, turn.client_seq), (5, expected));
            let text = format!("{:?}", turn.input);
            client.reply(id, &Reply::Done(done(expected, text.as_bytes())));
        }
        assert!(client.try_request().is_none());
    },
    |client, _options| {
        let session = step!(client.open("craps", "{}", OpenOptions::default())).expect("opened");
        assert_eq!(session.opened().expect("opened here").commit, [7; 32]);
        let joined = step!(session.join(Player(3), "{}")).expect("joined");
        assert!(String::from_utf8_lossy(&joined.reply).starts_with("Join"));
        let acted = step!(session.act(Player(3), "{\"roll\":1}")).expect("acted");
        assert_eq!(acted.seq, 2);
        let closed = step!(session.close()).expect("closed");
        assert_eq!(closed.reply, b"Close");
    }
}

both! {
    a_refusal_is_an_error_that_keeps_its_code,
    |door: Door| {
        let mut client = door.accept();
        let (id, _) = client.request();
        let refusal = Refusal {
            code: Code::UnknownPlugin,
            plugin: "nope".into(),
            session: 0,
            seq: 0,
            status: 0,
            text: "no plugin `nope` is loaded".into(),
            hint: "load it".into(),
        };
        client.reply(id, &Reply::Refused(refusal));
    },
    |client, _options| {
        let error = step!(client.open("nope", "{}", OpenOptions::default())).err().expect("refused");
        assert_eq!(error.code(), Some(Code::UnknownPlugin));
        assert_eq!(error.to_string(), "no plugin `nope` is loaded (load it)");
    }
}

both! {
    answers_in_any_order,
    |door: Door| {
        let mut client = door.accept();
        let mut asked: Vec<_> = (0..10).map(|_| client.turn()).collect();
        asked.reverse();
        for (id, turn) in asked {
            client.reply(id, &Reply::Done(done(turn.client_seq, &turn.client_seq.to_le_bytes())));
        }
    },
    |client, _options| {
        let session = client.session(croupier_client::SessionId(1));
        let mut pending = Vec::new();
        for _ in 0..10 {
            pending.push(step!(session.begin(Input::Close)));
        }
        for (key, pending) in (1u64..).zip(pending) {
            assert_eq!(pending.key(), key);
            let reply = answer!(pending).expect("an answer");
            assert_eq!(reply, Reply::Done(done(key, &key.to_le_bytes())));
        }
    }
}

both! {
    no_more_than_a_window_is_outstanding,
    |door: Door| {
        let mut client = door.accept();
        let asked: Vec<_> = (0..WINDOW).map(|_| client.turn()).collect();
        assert!(client.is_quiet(Duration::from_millis(60)), "one more than the window was sent");
        // Not the oldest one: that gives no room yet.
        client.reply(asked[1].0, &Reply::Done(done(2, b"")));
        assert!(client.is_quiet(Duration::from_millis(60)), "a key was sent that the supervisor would call too new");
        client.reply(asked[0].0, &Reply::Done(done(1, b"")));
        let (id, turn) = client.turn();
        assert_eq!(turn.client_seq, WINDOW + 1);
        client.reply(id, &Reply::Done(done(3, b"last")));
    },
    |client, _options| {
        let session = client.session(croupier_client::SessionId(1));
        let mut pending = Vec::new();
        for _ in 0..WINDOW {
            pending.push(step!(session.begin(Input::Close)));
        }
        let last = step!(session.act(Player(1), "{}")).expect("after there was room");
        assert_eq!(last.reply, b"last");
    }
}

both! {
    a_follower_reads_until_the_end,
    |door: Door| {
        let mut client = door.accept();
        let (id, request) = client.request();
        assert_eq!(request, Request::Follow { session: 9, from: 4 });
        client.reply(id, &Reply::Following { next: 4 });
        for number in 4..6 {
            let output = Output { session: 9, number, seq: 1, to: OutputTo::All, bytes: vec![1] };
            client.push(id, &Push::Output(output));
        }
        client.push(id, &Push::End);
    },
    |client, _options| {
        let session = client.session(croupier_client::SessionId(9));
        let mut pushes = step!(session.follow(4)).expect("followed");
        let mut numbers = Vec::new();
        while let Some(push) = next!(pushes) {
            match push.expect("a push") {
                Push::Output(output) => numbers.push(output.number),
                Push::End => numbers.push(0),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(numbers, [4, 5, 0]);
    }
}

both! {
    the_server_tells_about_itself,
    |door: Door| {
        door.accept();
    },
    |client, _options| {
        let server = client.server().expect("a hello");
        assert_eq!(server.traffic_socket.as_deref(), Some("/nowhere/traffic.sock"));
    }
}

both! {
    two_sides_that_both_write_much_get_unstuck,
    |door: Door| {
        let mut client = door.accept();
        for _ in 0..40 {
            let (id, turn) = client.turn();
            client.reply(id, &Reply::Done(done(turn.client_seq, &vec![1; 1 << 20])));
        }
    },
    |client, _options| {
        let session = client.session(croupier_client::SessionId(1));
        let mut pending = Vec::new();
        for _ in 0..40 {
            pending.push(step!(session.begin(Input::Action { player: 1, payload: vec![2; 1 << 20] })));
        }
        let mut bytes = 0;
        for pending in pending {
            let done = croupier_client::done(answer!(pending).expect("an answer")).expect("a turn");
            bytes += done.reply.len();
        }
        assert_eq!(bytes, 40 << 20);
    }
}

#[test]
fn many_threads_share_one_connection() {
    const THREADS: u64 = 8;
    const TURNS: u64 = 200;
    let fake = Fake::start(|door| {
        let mut client = door.accept();
        let mut kept = None;
        let mut left = [TURNS; THREADS as usize];
        for count in 0..THREADS * TURNS {
            let (id, turn) = client.turn();
            left[turn.session as usize - 1] -= 1;
            // One thread may be slower than all others together, and then nobody else asks.
            let others = left.iter().enumerate().any(|(at, left)| at as u64 + 1 != turn.session && *left > 0);
            let reply = Reply::Done(done(turn.client_seq, &turn.session.to_le_bytes()));
            // Every other answer is held back until the next request has come, as long as somebody else can still ask.
            if count % 2 == 0 && others && kept.is_none() {
                kept = Some((id, reply));
                continue;
            }
            client.reply(id, &reply);
            if let Some((id, reply)) = kept.take() {
                client.reply(id, &reply);
            }
        }
        if let Some((id, reply)) = kept.take() {
            client.reply(id, &reply);
        }
    });
    let client = croupier_client::blocking::Client::connect(&fake.path).expect("connect");
    std::thread::scope(|scope| {
        for session in 1..=THREADS {
            let session = client.session(croupier_client::SessionId(session));
            scope.spawn(move || {
                for key in 1..=TURNS {
                    let done = session.act(Player(1), "{}").expect("an answer");
                    assert_eq!((done.seq, done.reply), (key, session.id().0.to_le_bytes().to_vec()));
                }
            });
        }
    });
    drop(client);
    fake.end();
}
