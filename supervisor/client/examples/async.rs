//! Plays many sessions at a daemon side by side, as tasks on one thread, over one connection.
//!
//! ```sh
//! croupier load target/release/libcraps.so
//! cargo run -p croupier-client --example async -- [TRAFFIC_SOCKET]
//! ```

use croupier_client::{Client, ClientError, OpenOptions, Player};

const SESSIONS: u64 = 16;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), ClientError> {
    let socket = std::env::args_os().nth(1).unwrap_or_else(|| "/run/croupier/traffic.sock".into());
    let client = Client::connect(std::path::Path::new(&socket)).await?;

    let tables: Vec<_> = (1..=SESSIONS)
        .map(|player| {
            let client = client.clone();
            tokio::spawn(async move { one_table(&client, Player(player)).await })
        })
        .collect();
    for table in tables {
        match table.await {
            Ok(turns) => println!("a table of {} turns", turns?),
            Err(panic) => eprintln!("a table's task panicked: {panic}"),
        }
    }
    Ok(())
}

/// Opens, joins, closes; gives the number of the last turn.
async fn one_table(client: &Client, player: Player) -> Result<u64, ClientError> {
    let table = client.open("craps", "{}", OpenOptions::default()).await?;
    table.join(player, "{}").await?;
    Ok(table.close().await?.seq)
}
