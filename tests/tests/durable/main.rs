//! Sessions with `durability = "disk"`: what was answered is there after the supervisor was killed, once, and nothing else is.
//!
//! * `kills`: `kill -9` of the supervisor in the middle of play.
//! * `ends`: planned stops, sessions that are lost, plugins that are gone.
//! * `parked`: what is in memory alone, over a planned stop.
//! * `disks`: full ones and damaged ones.

mod disks;
mod ends;
mod kills;
mod parked;

use croupier_client::Done;
use croupier_tests::{Daemon, Plugin, Setup};
use serde_json::Value;

const COUNT: &str = r#"{"do":"count"}"#;

fn reply(done: &Done) -> Value {
    serde_json::from_slice(&done.reply).expect("a reply in JSON")
}

/// A supervisor whose sessions are on the disk.
fn setup(plugins: &[Plugin]) -> Setup {
    let setup = plugins.iter().fold(Setup::new(), |setup, plugin| setup.plugin(*plugin));
    setup.config("[defaults]\ndurability = \"disk\"\nsnapshot_turns = 50")
}

fn daemon(plugins: &[Plugin]) -> Daemon {
    setup(plugins).start()
}
