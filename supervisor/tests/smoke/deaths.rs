//! Workers that die in every way: the cause is named, the turn gets its due, and everybody else plays on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use croupier::SupervisorConfig;
use croupier::registry::PluginOptions;
use croupier_client::blocking::Session;
use croupier_client::{ClientError, Code, OpenOptions, Player, Push, Pushes, SessionId, What};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::bench::{Bench, faulty, start};

/// Longest wait for an event.
const PATIENCE: Duration = Duration::from_secs(20);

/// A deadline that is passed soon by a turn which never ends.
const IMPATIENT_MS: u32 = 300;
/// One that is not passed because others use the machine too.
const PATIENT_MS: u32 = 20_000;

fn bench() -> Bench {
    bench_with(PATIENT_MS)
}

fn bench_with(turn_wall_ms: u32) -> Bench {
    let options = PluginOptions {
        turn_wall_ms: Some(turn_wall_ms),
        load_wall_ms: Some(PATIENT_MS),
        ..PluginOptions::default()
    };
    let echo = Arc::new(|call: croupier::game::host_calls::HostCall| match &*call.args {
        b"\"no\"" => Err(-1),
        args => Ok(args.to_vec()),
    });
    let bench = start(SupervisorConfig::new().plugin("faulty", options).host_call("echo", echo));
    bench.client.load(faulty().to_str().expect("UTF-8")).expect("loads");
    bench
}

fn open(bench: &Bench) -> Session {
    bench.client.open("faulty", "{}", OpenOptions::default()).expect("opens")
}

fn act(table: &Session, action: &str) -> Result<String, ClientError> {
    table.act(Player(1), action).map(|done| String::from_utf8_lossy(&done.reply).into_owned())
}

/// Waits for an event of which `find` makes something.
fn wait_for<T>(events: &mut Pushes, find: impl Fn(&What) -> Option<T>) -> T {
    let due = Instant::now() + PATIENCE;
    loop {
        match events.wait_next_until(due).expect("the event comes in time") {
            Some(Ok(Push::Event(event))) => {
                if let Some(found) = find(&event.what) {
                    return found;
                }
            }
            Some(Ok(_)) => {}
            end => panic!("events ended: {end:?}"),
        }
    }
}

pub(crate) fn death(events: &mut Pushes) -> String {
    wait_for(events, |what| match what {
        What::WorkerDied { cause, .. } => Some(cause.clone()),
        _ => None,
    })
}

#[test]
fn deeds_that_kill_are_poison_and_their_cause_is_named() {
    let bench = bench();
    let mut events = bench.client.events().expect("events");
    let bystander = open(&bench);
    for (action, cause) in [
        (r#"{"do":"segv"}"#, "fault signal 11"),
        (r#"{"do":"abort"}"#, "fault signal 6"),
        (r#"{"do":"div0"}"#, "fault signal 8"),
        (r#"{"do":"exit","code":3}"#, "exited by itself with code 3"),
        (r#"{"do":"spin"}"#, "used up its CPU time"),
        (r#"{"do":"garbage"}"#, "broke the protocol"),
    ] {
        let table = open(&bench);
        let refused = act(&table, action).expect_err("kills its worker");
        assert_eq!(refused.code(), Some(Code::Poison), "{action}: {refused}");
        for _ in 0..2 {
            let found = death(&mut events);
            assert!(found.starts_with(cause), "{action}: {found}");
        }
        assert!(act(&table, r#"{"do":"count"}"#).is_ok(), "{action}: the session goes on without the turn");
        assert!(act(&bystander, r#"{"do":"count"}"#).is_ok(), "{action}: another one does too");
    }
    bench.end();
}

#[test]
fn a_turn_that_waits_for_ever_is_never_called_poison() {
    let bench = bench_with(IMPATIENT_MS);
    let mut events = bench.client.events().expect("events");
    let (table, bystander) = (open(&bench), open(&bench));
    let held = act(&table, r#"{"do":"sleep","ms":600000}"#).expect_err("never ends");
    assert_eq!(held.code(), Some(Code::SessionHeld), "{held}");
    assert_eq!(death(&mut events), "passed its wall deadline without using the CPU");
    assert!(act(&bystander, r#"{"do":"count"}"#).is_ok());
    assert_eq!(bench.client.status().expect("status").poison, 0);
    let id = held.refusal().map(|refusal| refusal.session).expect("a session");
    let export = bench.client.export(SessionId(id)).expect("is exported");
    assert!(export.contains("sleep") && export.contains("unanswered"), "{export}");
    bench.client.drop_held(SessionId(id)).expect("is dropped");
    bench.end();
}

#[test]
fn host_calls_are_answered_refused_and_denied() {
    let bench = bench();
    let table = open(&bench);
    let echoed = act(&table, r#"{"do":"call","args":"hello"}"#).expect("is answered");
    assert!(echoed.contains("hello"), "{echoed}");
    assert!(act(&table, r#"{"do":"call","args":"no"}"#).is_err());
    let denied =
        act(&table, r#"{"do":"call","name":"wallet","args":1}"#).expect_err("not asked for in the manifest");
    assert_eq!(denied.code(), Some(Code::PluginRefused), "{denied}");
    bench.end();
}

#[test]
fn a_plugin_that_prints_a_flood_is_neither_blocked_nor_killed() {
    let bench = bench();
    let table = open(&bench);
    for _ in 0..5 {
        act(&table, r#"{"do":"print","times":2000,"text":"a line that is long enough to fill a pipe soon"}"#)
            .expect("prints");
    }
    assert_eq!(bench.client.status().expect("status").workers_lost, 0);
    bench.end();
}

#[test]
fn sessions_survive_a_restart_and_a_divergent_one_is_told() {
    let bench = bench();
    let mut events = bench.client.events().expect("events");
    let (table, liar) = (open(&bench), open(&bench));
    let before = act(&table, r#"{"do":"count"}"#).expect("counts");
    assert!(before.contains('1'), "{before}");
    act(&liar, r#"{"do":"diverge"}"#).expect("lies");
    let pid = bench.pid();
    bench.client.restart("faulty").expect("restarts");
    let after = act(&table, r#"{"do":"count"}"#).expect("counts on");
    assert!(after.contains('2'), "{after}");
    let due = Instant::now() + PATIENCE;
    while bench.pid() == pid {
        assert!(Instant::now() < due, "the old worker is still there");
        std::thread::sleep(Duration::from_millis(5));
    }
    let _ = act(&liar, r#"{"do":"count"}"#);
    wait_for(&mut events, |what| matches!(what, What::Diverged { .. }).then_some(()));
    bench.client.suspend("faulty").expect("suspends");
    let again = bench.client.suspend("faulty").expect_err("twice");
    assert_eq!(again.code(), Some(Code::WrongState), "{again}");
    bench.client.resume("faulty").expect("resumes");
    bench.shut_down();
}

#[test]
fn a_dropped_supervisor_leaves_no_process() {
    let bench = bench();
    let pid = Pid::from_raw(bench.pid() as i32);
    assert!(kill(pid, None::<Signal>).is_ok());
    drop(bench);
    let due = Instant::now() + PATIENCE;
    while kill(pid, None::<Signal>).is_ok() {
        assert!(Instant::now() < due, "the worker is still there");
        std::thread::sleep(Duration::from_millis(5));
    }
}
