//! A supervisor in this very process, played by an ordinary thread.
//!
//! ```sh
//! make -C plugins/dice
//! cargo run -p croupier --example embedded_blocking -- plugins/dice/libdice.so
//! ```

use std::error::Error;
use std::path::{Path, PathBuf};

use croupier::{Supervisor, SupervisorConfig};
use croupier_client::blocking::Client;
use croupier_client::{OpenOptions, Player};

fn main() -> Result<(), Box<dyn Error>> {
    let plugin = std::env::args_os().nth(1).ok_or("usage: embedded_blocking path/to/libdice.so")?;
    let plugin = PathBuf::from(plugin).canonicalize()?;
    // The supervisor's own work (processes, deadlines) runs on a runtime; this thread needs none.
    let runtime = tokio::runtime::Runtime::new()?;
    let supervisor = Supervisor::start(config(), runtime.handle().clone())?;
    let result = play(&Client::embedded(supervisor.backend()), &plugin);
    // Also after an error: no worker is left behind.
    runtime.block_on(supervisor.shutdown());
    result
}

/// Cargo puts examples into a directory of their own, beside which the worker lies; elsewhere it is found beside the program.
fn config() -> SupervisorConfig {
    match std::env::var_os("CROUPIER_WORKER") {
        Some(worker) => SupervisorConfig::new().worker_binary(worker),
        None => SupervisorConfig::new(),
    }
}

fn play(client: &Client, plugin: &Path) -> Result<(), Box<dyn Error>> {
    let info = client.load(plugin.to_str().ok_or("the path is not UTF-8")?)?;
    println!("{} {} runs in process {:?}", info.name, info.version, info.workers);
    let table = client.open(&info.name, r#"{"stack":100}"#, OpenOptions::default())?;
    table.join(Player(1), "{}")?;
    for round in 1..=5 {
        table.act(Player(1), r#"{"bet":"over","amount":10}"#)?;
        let rolled = table.act(Player(1), r#"{"roll":true}"#)?;
        println!("round {round}: {}", String::from_utf8_lossy(&rolled.reply));
    }
    let closed = table.close()?;
    println!("closed after {} turns", closed.seq);
    Ok(())
}
