//! A supervisor in the test's own process: the same client, no socket.

use std::sync::Arc;

use croupier::{Supervisor, SupervisorConfig};
use croupier_client::{Client, Code, LiveSessions, OpenOptions, Player, blocking};
use croupier_tests::{Plugin, artifacts, procs};
use serde_json::json;

use super::{code, reply};

fn supervisor(runtime: &tokio::runtime::Runtime) -> Supervisor {
    let config = SupervisorConfig::new().worker_binary(artifacts::artifacts().worker()).host_call(
        "echo",
        Arc::new(
            |call| if *call.args == *b"null" { Err(-1) } else { Ok([b"you said ", &call.args[..]].concat()) },
        ),
    );
    Supervisor::start(config, runtime.handle().clone()).expect("a supervisor")
}

fn path(plugin: Plugin) -> String {
    plugin.file().to_str().expect("UTF-8").to_owned()
}

#[test]
fn the_async_client_plays_at_a_supervisor_in_its_own_process_and_nothing_is_left_of_it() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let supervisor = supervisor(&runtime);
    runtime.block_on(async {
        let client = Client::embedded(supervisor.backend());
        client.load(&path(Plugin::Craps)).await.expect("craps");
        let table = client.open("craps", "{}", OpenOptions::default()).await.expect("a table");
        table.join(Player(1), r#"{"bankroll":100}"#).await.expect("a seat");
        for rolls in 1..=50_u64 {
            let done = table.act(Player(1), r#"{"roll":true}"#).await.expect("a roll");
            assert_eq!(reply(&done)["rolls"], json!(rolls));
        }
        assert_eq!(code(client.open("carps", "{}", OpenOptions::default()).await), Code::UnknownPlugin);
        let pid = client.workers().await.expect("workers")[0].pid;
        assert!(procs::signal_child(std::process::id(), pid, rustix::process::Signal::KILL));
        let done = table.act(Player(1), r#"{"roll":true}"#).await.expect("a roll after the worker's end");
        assert_eq!(reply(&done)["rolls"], json!(51));
        assert_eq!(client.status().await.expect("status").workers_lost, 1);
        table.close().await.expect("it closes");
        client.unload("craps", LiveSessions::Refuse).await.expect("unloaded");
        assert_eq!(client.workers().await.expect("workers").len(), 0);
        assert_eq!(supervisor.shutdown().await, 0);
    });
}

/// An operator who repeats a verb while the supervisor stops must not be told that what is on the disk is over.
#[test]
fn a_supervisor_that_has_stopped_says_so_and_not_that_there_is_no_such_session() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let supervisor = supervisor(&runtime);
    let client = blocking::Client::embedded(supervisor.backend());
    client.load(&path(Plugin::Faulty)).expect("faulty");
    let session = client.open("faulty", "{}", OpenOptions::default()).expect("a session");
    let id = session.id();
    let never = croupier_client::SessionId(id.0 + 1_000_000);
    assert_eq!(code(client.drop_held(never)), Code::UnknownSession, "while it serves, it knows");
    runtime.block_on(supervisor.shutdown());
    assert_eq!(code(client.drop_held(id)), Code::ShuttingDown);
    assert_eq!(code(client.export(id)), Code::ShuttingDown);
    assert_eq!(code(client.session_detail(id)), Code::ShuttingDown);
    assert_eq!(code(client.suspend("faulty")), Code::ShuttingDown);
    assert_eq!(code(session.act(Player(1), r#"{"do":"count"}"#)), Code::ShuttingDown);
}

#[test]
fn the_blocking_client_does_the_same_and_host_calls_are_answered_by_the_embedder() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let supervisor = supervisor(&runtime);
    let client = blocking::Client::embedded(supervisor.backend());
    client.load(&path(Plugin::Faulty)).expect("faulty");
    let session = client.open("faulty", "{}", OpenOptions::default()).expect("a session");
    let call = json!({ "do": "call", "name": "echo", "args": { "of": 12.50 }, "times": 2 }).to_string();
    let done = session.act(Player(1), call.as_str()).expect("an answer");
    assert_eq!(reply(&done)["answer"], json!(r#"you said {"of":12.5}"#));
    session.act(Player(1), r#"{"do":"call","name":"echo"}"#).expect_err("the embedder said no");
    session
        .act(Player(1), r#"{"do":"call","name":"wallet"}"#)
        .expect_err("nobody answers to that name, and it is not allowed");
    let pid = client.workers().expect("workers")[0].pid;
    assert!(procs::signal_child(std::process::id(), pid, rustix::process::Signal::KILL));
    let done =
        session.act(Player(1), r#"{"do":"count"}"#).expect("restored, with its answers from the record");
    assert_eq!(reply(&done)["count"], json!(1));
    drop(session);
    assert_eq!(runtime.block_on(supervisor.shutdown()), 0);
}
