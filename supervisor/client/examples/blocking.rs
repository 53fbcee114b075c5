//! Plays one round of craps at a daemon, on this thread, without any runtime.
//!
//! ```sh
//! croupier load target/release/libcraps.so
//! cargo run -p croupier-client --example blocking -- [CONTROL_SOCKET]
//! ```

use std::path::PathBuf;

use croupier_client::blocking::Client;
use croupier_client::{ClientError, OpenOptions, Player, default_control_socket};

fn main() -> Result<(), ClientError> {
    let control = std::env::args_os().nth(1).map_or_else(default_control_socket, PathBuf::from);

    // Operators' questions go to the control socket; it also tells where the traffic goes.
    let operator = Client::connect(&control)?;
    for plugin in operator.plugins(None)? {
        println!("{} {}: {} sessions", plugin.name, plugin.version, plugin.sessions);
    }
    let traffic = operator.server().and_then(|server| server.traffic_socket).map_or(control, PathBuf::from);

    let client = Client::connect(traffic)?;
    let table = client.open("craps", "{}", OpenOptions::default())?;
    println!("session {} is open", table.id());
    let joined = table.join(Player(1), "{}")?;
    println!("turn {}: {}", joined.seq, String::from_utf8_lossy(&joined.reply));
    match table.act(Player(1), std::env::args().nth(2).unwrap_or_else(|| r#"{"roll":{}}"#.into())) {
        Ok(done) => println!("turn {}: {}", done.seq, String::from_utf8_lossy(&done.reply)),
        // The table says no; the session goes on.
        Err(ClientError::Refused(refusal)) => println!("refused: {refusal}"),
        Err(other) => return Err(other),
    }
    table.close()?;
    Ok(())
}
