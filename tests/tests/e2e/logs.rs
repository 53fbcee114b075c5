//! What plugins print and log: lines of the supervisor's log, with the plugin's name, not too many, and not twice.

use croupier_client::Player;
use croupier_tests::{Daemon, Plugin, Setup, wait_for};
use serde_json::json;

/// The lines of the log that have this in them.
fn lines(daemon: &Daemon, word: &str) -> Vec<String> {
    daemon.log().lines().filter(|line| line.contains(word)).map(str::to_owned).collect()
}

#[test]
fn standard_output_and_error_and_log_lines_carry_the_plugins_name() {
    let daemon = Daemon::with(&[Plugin::Faulty]);
    let session = daemon.open(Plugin::Faulty, "{}");
    session.act(Player(1), r#"{"do":"print","text":"marker-one"}"#).expect("it prints");
    session.act(Player(1), r#"{"do":"log","text":"marker-two"}"#).expect("it logs");
    let printed = wait_for("both printed lines", || {
        let found = lines(&daemon, "marker-one");
        (found.len() >= 2).then_some(found)
    });
    assert!(printed.iter().any(|line| line.contains("stdout line 0")), "{printed:?}");
    assert!(printed.iter().any(|line| line.contains("stderr line 0")), "{printed:?}");
    let logged = wait_for("the logged line", || {
        let found = lines(&daemon, "marker-two");
        (!found.is_empty()).then_some(found)
    });
    assert!(printed.iter().chain(&logged).all(|line| line.contains("faulty")), "{printed:?} {logged:?}");
}

#[test]
fn a_flood_of_lines_is_cut_and_counted() {
    let daemon = Setup::new().plugin(Plugin::Faulty).config("[plugins.faulty]\nlog_lines_per_s = 20").start();
    let session = daemon.open(Plugin::Faulty, "{}");
    session.act(Player(1), r#"{"do":"print","times":20000,"text":"flood"}"#).expect("it prints");
    session.act(Player(1), r#"{"do":"log","times":2000,"text":"torrent"}"#).expect("it logs");
    let said = wait_for("word of what is missing", || {
        let found = lines(&daemon, "suppressed");
        (!found.is_empty()).then_some(found)
    });
    assert!(said.iter().all(|line| line.contains("faulty")), "{said:?}");
    let (flood, torrent) = (lines(&daemon, "flood").len(), lines(&daemon, "torrent").len());
    println!("{flood} of 40000 printed and {torrent} of 2000 logged lines were shown");
    assert!(flood < 20_000 && torrent < 1000, "{flood} {torrent}");
}

#[test]
fn a_replay_prints_and_logs_nothing_again() {
    let daemon = Daemon::with(&[Plugin::Faulty]);
    let session = daemon.open(Plugin::Faulty, "{}");
    session.act(Player(1), r#"{"do":"print","text":"marker-one"}"#).expect("it prints");
    session.act(Player(1), r#"{"do":"log","text":"marker-two"}"#).expect("it logs");
    wait_for("the lines", || {
        (lines(&daemon, "marker-one").len() == 2 && lines(&daemon, "marker-two").len() == 1).then_some(())
    });
    for round in 1..=3 {
        daemon.kill_worker_of(Plugin::Faulty);
        session
            .act(Player(1), json!({ "do": "print", "text": format!("after-{round}") }).to_string())
            .expect("restored");
        wait_for("a line after the kill", || {
            (lines(&daemon, &format!("after-{round}")).len() == 2).then_some(())
        });
    }
    assert_eq!(lines(&daemon, "marker-one").len(), 2, "{}", daemon.log());
    assert_eq!(lines(&daemon, "marker-two").len(), 1, "{}", daemon.log());
}

#[test]
fn the_log_can_be_json() {
    let daemon = Setup::new().plugin(Plugin::Craps).config("[log]\nformat = \"json\"").start();
    let log = daemon.log();
    assert!(!log.is_empty());
    for line in log.lines() {
        let line: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(line["level"].is_string(), "{line}");
    }
}
