//! A supervisor in this very process, played by tasks: many tables side by side, and somebody who listens.
//!
//! ```sh
//! make -C plugins/dice
//! cargo run -p croupier --example embedded_async -- plugins/dice/libdice.so
//! ```

use std::error::Error;
use std::path::PathBuf;

use croupier::{Supervisor, SupervisorConfig};
use croupier_client::{Client, ClientError, OpenOptions, Player, Push};
use tokio::task::JoinSet;

/// Tables at a time.
const TABLES: usize = 50;
/// Rounds at each.
const ROUNDS: usize = 20;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let plugin = std::env::args_os().nth(1).ok_or("usage: embedded_async path/to/libdice.so")?;
    let plugin = PathBuf::from(plugin).canonicalize()?;
    let config = match std::env::var_os("CROUPIER_WORKER") {
        Some(worker) => SupervisorConfig::new().worker_binary(worker),
        None => SupervisorConfig::new(),
    };
    let supervisor = Supervisor::start(config, tokio::runtime::Handle::current())?;
    let info = supervisor.load(&plugin).await?;
    let client = Client::embedded(supervisor.backend());
    let mut events = client.events().await?;
    let mut tables = JoinSet::new();
    for _ in 0..TABLES {
        tables.spawn(play(client.clone(), info.name.clone()));
    }
    let mut rolls = 0;
    while let Some(table) = tables.join_next().await {
        rolls += table??;
    }
    println!("{rolls} rolls at {TABLES} tables, {} turns in all", client.status().await?.turns);
    supervisor.shutdown().await;
    let mut heard = 0;
    while let Some(Ok(Push::Event(_) | Push::Lagged { .. })) = events.next().await {
        heard += 1;
    }
    println!("{heard} events heard");
    Ok(())
}

async fn play(client: Client, plugin: String) -> Result<usize, ClientError> {
    let table = client.open(&plugin, r#"{"stack":1000}"#, OpenOptions::default()).await?;
    table.join(Player(1), "{}").await?;
    for _ in 0..ROUNDS {
        table.act(Player(1), r#"{"bet":"under","amount":5}"#).await?;
        table.act(Player(0), r#"{"roll":true}"#).await?;
    }
    table.close().await?;
    Ok(ROUNDS)
}
