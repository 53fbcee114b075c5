//! How patient the supervisor is with a plugin that dies or fails often; and how an operator lifts what came of it.

use croupier_client::{Code, OpenOptions, Player, What};
use croupier_tests::{Daemon, Plugin, Setup, Watch, wait_for};
use serde_json::json;

use super::{refusal, reply};

const COUNT: &str = r#"{"do":"count"}"#;
const BROKEN: &str = r#"{"do":"broken"}"#;

fn health(daemon: &Daemon) -> (String, String) {
    let plugins = daemon.client().plugins(Some("faulty")).expect("it is loaded");
    (plugins[0].health.clone(), plugins[0].fault.clone().unwrap_or_default())
}

#[test]
fn a_plugin_that_is_not_to_be_restarted_waits_for_its_operator_with_its_sessions() {
    let daemon =
        Setup::new().plugin(Plugin::Faulty).config("[plugins.faulty]\nrestart = \"temporary\"").start();
    let watch = Watch::start(&daemon);
    let table = daemon.open(Plugin::Faulty, "{}");
    assert_eq!(reply(&table.act(Player(1), COUNT).expect("it counts"))["count"], json!(1));
    assert_eq!(health(&daemon).0, "healthy");
    daemon.kill_worker_of(Plugin::Faulty);
    wait_for("the plugin to be down", || (health(&daemon).0 == "critical").then_some(()));
    let refused = refusal(table.act(Player(1), COUNT));
    assert_eq!(refused.code, Code::PluginDown, "{refused:?}");
    assert!(refused.text.contains("temporary") && refused.hint.contains("croupier release"), "{refused:?}");
    assert!(daemon.workers(Some(Plugin::Faulty)).is_empty());
    let _ = daemon.cli(["release", "faulty"]).exits(0);
    assert_eq!(reply(&table.act(Player(1), COUNT).expect("it goes on"))["count"], json!(2));
    let (kind, _) = daemon.refused(["release", "faulty"]);
    assert_eq!(kind, "wrong-state", "there is nothing to release");
    let seen = watch.events();
    assert!(seen.iter().any(|event| matches!(event.what, What::PluginDown { .. })));
    assert!(seen.iter().any(|event| matches!(event.what, What::PluginReleased)));
}

#[test]
fn a_plugin_that_fails_often_is_given_a_rest_and_let_in_again() {
    let config = "[plugins.faulty]\nbreaker_turns = 10\nbreaker_rest_ms = 300";
    let daemon = Setup::new().plugin(Plugin::Faulty).config(config).start();
    let table = daemon.open(Plugin::Faulty, "{}");
    let client = daemon.player();
    let rested = wait_for("the breaker to open", || {
        let refused = refusal(table.act(Player(1), BROKEN));
        (refused.code == Code::Busy).then_some(refused)
    });
    assert!(rested.text.contains("given a rest") && rested.text.contains("try again in"), "{rested:?}");
    assert_eq!(health(&daemon).0, "warning");
    let opened = refusal(client.open("faulty", "{}", OpenOptions::default()).map(drop));
    assert_eq!(opened.code, Code::Busy);
    // After the rest a few are let in, and succeed.
    wait_for("turns to succeed", || table.act(Player(1), COUNT).ok());
    wait_for("the breaker to close", || {
        let _ = table.act(Player(1), COUNT);
        (health(&daemon).0 == "healthy").then_some(())
    });
}

#[test]
fn many_kills_from_outside_and_many_poison_turns_quarantine_nobody() {
    let daemon = Setup::new()
        .plugin(Plugin::Faulty)
        .config("[plugins.faulty]\ndeaths_max = 1\npoison_max = 100")
        .start();
    let (villain, victim) = (daemon.open(Plugin::Faulty, "{}"), daemon.open(Plugin::Faulty, "{}"));
    for round in 1..=6 {
        assert_eq!(refusal(villain.act(Player(1), r#"{"do":"segv"}"#)).code, Code::Poison);
        daemon.kill_worker_of(Plugin::Faulty);
        assert_eq!(reply(&victim.act(Player(1), COUNT).expect("it plays"))["count"], json!(round));
    }
    assert_ne!(health(&daemon).0, "critical");
}
