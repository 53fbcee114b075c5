//! Connections that break.

use croupier_client::{
    ClientError, ConnectOptions, Input, OpenOptions, Output, OutputTo, Player, Push, Reply, Request,
    StatusInfo, Verb,
};

use crate::both;
use crate::fake::{Door, Fake, done, fast};

fn options() -> ConnectOptions {
    fast(50)
}

both! {
    what_is_unanswered_is_sent_again_with_the_same_keys_in_the_old_order,
    |door: Door| {
        let mut first = door.accept();
        first.open(5);
        let asked: Vec<_> = (0..4).map(|_| first.turn()).collect();
        first.reply(asked[1].0, &Reply::Done(done(2, b"two")));
        let client_id = first.hello.client_id;
        drop(first);
        let mut second = door.accept();
        assert_eq!(second.hello.client_id, client_id, "a client keeps its id");
        for (_, before) in [&asked[0], &asked[2], &asked[3]] {
            let (id, again) = second.turn();
            assert_eq!(again, *before, "the same key and the same body");
            second.reply(id, &Reply::Done(done(again.client_seq, b"again")));
        }
        let (id, next) = second.turn();
        assert_eq!(next.client_seq, 5);
        second.reply(id, &Reply::Done(done(5, b"")));
    },
    |client, _options| {
        let session = step!(client.open("craps", "{}", OpenOptions::default())).expect("opened");
        let mut pending = Vec::new();
        for n in 0..4u8 {
            pending.push(step!(session.begin(Input::Action { player: 1, payload: vec![n] })));
        }
        let mut replies = Vec::new();
        for pending in pending {
            let done = croupier_client::done(answer!(pending).expect("an answer")).expect("a turn");
            replies.push(String::from_utf8(done.reply).expect("text"));
        }
        assert_eq!(replies, ["again", "two", "again", "again"]);
        assert_eq!(step!(session.act(Player(1), "{}")).expect("goes on").seq, 5);
    }
}

both! {
    a_verb_that_changes_something_is_not_sent_twice,
    |door: Door| {
        let mut first = door.accept();
        assert!(matches!(first.request(), (_, Request::Control(Verb::Load { .. }))));
        drop(first);
        let mut second = door.accept();
        let (id, request) = second.request();
        assert_eq!(request, Request::Ping, "not the load again");
        second.reply(id, &Reply::Pong);
    },
    |client, _options| {
        let error = step!(client.load("/x.so")).expect_err("nobody knows");
        assert!(matches!(error, ClientError::Uncertain { verb: "load", .. }), "{error}");
        step!(client.ping()).expect("the connection is made again");
    }
}

both! {
    a_question_is_asked_again,
    |door: Door| {
        let mut first = door.accept();
        first.request();
        drop(first);
        let mut second = door.accept();
        let (id, request) = second.request();
        assert_eq!(request, Request::Control(Verb::Status));
        second.reply(id, &Reply::Control(croupier_client::ControlReply::Status(status())));
    },
    |client, _options| {
        assert_eq!(step!(client.status()).expect("an answer"), status());
    }
}

both! {
    a_follower_goes_on_where_it_was,
    |door: Door| {
        let output = |number| {
            Push::Output(Output { session: 9, number, seq: 1, to: OutputTo::Topic("table".into()), bytes: vec![] })
        };
        let mut first = door.accept();
        let (id, _) = first.request();
        first.reply(id, &Reply::Following { next: 11 });
        first.push(id, &output(11));
        first.push(id, &output(12));
        drop(first);
        let mut second = door.accept();
        let (id, request) = second.request();
        assert_eq!(request, Request::Follow { session: 9, from: 13 });
        second.reply(id, &Reply::Following { next: 13 });
        second.push(id, &output(13));
        second.push(id, &Push::End);
    },
    |client, _options| {
        let mut pushes = step!(client.session(croupier_client::SessionId(9)).follow(0)).expect("followed");
        let mut numbers = Vec::new();
        while let Some(push) = next!(pushes) {
            if let Push::Output(output) = push.expect("a push") {
                numbers.push(output.number);
            }
        }
        assert_eq!(numbers, [11, 12, 13]);
    }
}

both! {
    when_nobody_comes_back_all_is_lost_and_says_where,
    |door: Door| {
        let mut first = door.accept();
        first.turn();
    },
    |client, _options| {
        let session = client.session(croupier_client::SessionId(1));
        let error = step!(session.act(Player(1), "{}")).expect_err("nobody answers");
        assert!(matches!(error, ClientError::Lost { attempts: 50, .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("door.sock") && text.contains("same key"), "{text}");
    }
}

both! {
    a_supervisor_that_hangs_up_each_time_is_given_up,
    |door: Door| {
        for _ in 0..51 {
            door.accept();
        }
    },
    |client, _options| {
        let error = step!(client.ping()).expect_err("nobody answers");
        assert!(matches!(error, ClientError::Lost { .. }), "{error}");
    }
}

#[test]
fn nobody_at_the_socket_is_told_with_path_and_advice() {
    let path = std::path::Path::new("/nonexistent/croupier.sock");
    let error = croupier_client::blocking::Client::connect(path).err().expect("nobody is there");
    let text = error.to_string();
    assert!(text.contains("/nonexistent/croupier.sock") && text.contains("start the supervisor"), "{text}");
}

fn status() -> StatusInfo {
    StatusInfo {
        version: "1".into(),
        pid: 1,
        uptime_ms: 2,
        plugins: 3,
        plugins_down: 0,
        sessions: 4,
        held: 0,
        workers: 5,
        turns: 6,
        workers_lost: 7,
        workers_lost_mid_turn: 7,
        retries: 8,
        poison: 0,
        traffic_socket: None,
        state_dir: None,
    }
}
