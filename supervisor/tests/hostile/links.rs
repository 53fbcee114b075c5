//! Workers that break the rules while they serve: each is ended with a named reason, its turn gets its due, and other plugins play on.

use std::time::{Duration, Instant};

use croupier::jail::plan::Transport;
use croupier::registry::PluginOptions;
use croupier::supervisor::config::IsolationOff;
use croupier::{Supervisor, SupervisorConfig};
use croupier_client::blocking::{Client, Session};
use croupier_client::{Code, OpenOptions, Player, Push, Pushes, What};
use croupier_manifest::manifest::Isolation;
use tokio::runtime::Runtime;

use crate::bench::{dice, faulty};
use crate::impostor::script;

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// A supervisor whose workers need not be jailed: impostors are not.
fn unjailed(options: PluginOptions) -> SupervisorConfig {
    // The impostors know the socket; what a hostile worker does to a ring is the jailed suite's.
    let options =
        PluginOptions { isolation: Some(Isolation::Off), transport: Some(Transport::Socket), ..options };
    SupervisorConfig::new().plugin_defaults(options).isolation_off(IsolationOff::Allowed)
}

/// A supervisor whose workers are impostors, with an honest plugin and one that is not.
struct Stage {
    runtime: Runtime,
    supervisor: Supervisor,
    client: Client,
    bystander: Session,
    table: Session,
    causes: Pushes,
    _dir: tempfile::TempDir,
}

impl Stage {
    fn of(deed: &str) -> Stage {
        let dir = tempfile::tempdir().expect("a directory");
        let worker = script(dir.path(), deed);
        let honest = dice(dir.path());
        let config = unjailed(PluginOptions::default()).worker_binary(worker).grace(Duration::from_secs(1));
        let runtime = Runtime::new().expect("a runtime");
        let supervisor = Supervisor::start(config, runtime.handle().clone()).expect("a supervisor");
        let client = Client::embedded(supervisor.backend());
        for file in [honest, faulty()] {
            client.load(file.to_str().expect("UTF-8")).expect("loads");
        }
        let open = |plugin| client.open(plugin, "{}", OpenOptions::default()).expect("opens");
        let (bystander, table) = (open("dice"), open("faulty"));
        bystander.join(Player(1), "{}").expect("a seat");
        let causes = client.events().expect("events");
        Stage { runtime, supervisor, client, bystander, table, causes, _dir: dir }
    }

    fn act(&self) -> Result<(), Code> {
        match self.table.act(Player(1), r#"{"do":"count"}"#) {
            Ok(_) => Ok(()),
            Err(error) => Err(error.code().unwrap_or_else(|| panic!("a refusal: {error}"))),
        }
    }

    /// Why the next worker died.
    fn cause(&mut self) -> String {
        let due = Instant::now() + PATIENCE;
        loop {
            match self.causes.wait_next_until(due).expect("a death in time") {
                Some(Ok(Push::Event(event))) => {
                    if let What::WorkerDied { cause, .. } = event.what {
                        return cause;
                    }
                }
                Some(Ok(_)) => {}
                end => panic!("events ended: {end:?}"),
            }
        }
    }

    fn bystander_plays(&self) {
        self.bystander.act(Player(1), "1").expect("the other plugin plays on");
    }

    fn end(self) {
        self.bystander_plays();
        self.runtime.block_on(self.supervisor.shutdown());
    }
}

/// A deed of a turn that is caught: its worker dies of `cause`, twice, and the turn is poison.
fn caught(deed: &str, cause: &str) {
    let mut stage = Stage::of(deed);
    assert_eq!(stage.act(), Err(Code::Poison), "{deed}");
    for _ in 0..2 {
        let found = stage.cause();
        assert!(found.contains(cause), "{deed}: {found}");
    }
    stage.end();
}

macro_rules! caught {
    ($($name:ident: $deed:literal is $cause:literal;)*) => {$(
        #[test]
        fn $name() {
            caught($deed, $cause);
        }
    )*};
}

caught! {
    an_answer_to_another_call: "wrong-call" is "which is not its oldest one";
    an_answer_to_no_call: "no-call" is "answered call 0";
    an_answer_of_the_wrong_kind: "wrong-kind" is "with something else than was asked";
    garbage: "garbage" is "broke the protocol: frame version 65535";
    a_length_bomb: "bomb" is "over the limit of";
    a_length_inside_a_message: "lengths" is "broke the protocol";
    a_reply_that_is_too_long: "big-reply" is "a reply in bytes of";
    too_many_effects: "effects" is "a number of effects of";
    a_topic_without_permission: "topic" is "emitted on \"secrets\" without the permission";
    a_storm_of_host_calls: "calls" is "a number of host calls of";
    host_calls_out_of_order: "call-order" is "made host call 5 out of order";
    a_flood_of_log_lines: "logs" is "it logged more than 64 MiB without answering";
    a_link_that_is_hung_up: "hangs-up" is "closed its link and lived on";
    a_child_that_keeps_everything_open: "leaves-a-child" is "exited by itself with code 3";
}

#[test]
fn an_answer_that_comes_twice_counts_once() {
    let mut stage = Stage::of("duplicate");
    assert_eq!(stage.act(), Ok(()));
    let cause = stage.cause();
    assert!(cause.contains("which is not its oldest one"), "{cause}");
    let table = stage.table.id();
    assert_eq!(stage.client.session_detail(table).expect("is there").info.seq, 2, "an open and an action");
    stage.end();
}

#[test]
fn a_worker_that_takes_nothing_is_ended_by_its_deadline_and_nobody_is_blamed() {
    let dir = tempfile::tempdir().expect("a directory");
    let options = PluginOptions { turn_wall_ms: Some(300), ..PluginOptions::default() };
    let config = unjailed(options).worker_binary(script(dir.path(), "deaf"));
    let runtime = Runtime::new().expect("a runtime");
    let supervisor = Supervisor::start(config, runtime.handle().clone()).expect("a supervisor");
    let client = Client::embedded(supervisor.backend());
    client.load(faulty().to_str().expect("UTF-8")).expect("loads");
    let table = client.open("faulty", "{}", OpenOptions::default()).expect("opens");
    let held = table.act(Player(1), "{}").expect_err("is never answered");
    assert_eq!(held.code(), Some(Code::SessionHeld), "{held}");
    assert_eq!(client.status().expect("status").poison, 0);
    runtime.block_on(supervisor.shutdown());
}

#[test]
fn who_prints_without_end_or_closes_its_pipes_plays_on() {
    for deed in ["prints", "closes-stdout"] {
        let stage = Stage::of(deed);
        for _ in 0..20 {
            assert_eq!(stage.act(), Ok(()), "{deed}");
            stage.bystander_plays();
        }
        assert_eq!(stage.client.status().expect("status").workers_lost, 0, "{deed}");
        stage.end();
    }
}

#[test]
fn who_says_hello_twice_never_serves() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = unjailed(PluginOptions::default()).worker_binary(script(dir.path(), "twice"));
    let runtime = Runtime::new().expect("a runtime");
    let supervisor = Supervisor::start(config, runtime.handle().clone()).expect("a supervisor");
    let refused = runtime.block_on(supervisor.load(&faulty())).expect_err("is refused");
    assert!(refused.text.contains("said hello twice"), "{refused}");
    runtime.block_on(supervisor.shutdown());
}
