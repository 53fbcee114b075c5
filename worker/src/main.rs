//! `croupier-worker`: one process, one plugin, one game.
//!
//! Started by the supervisor with its end of the link (a stream socket) as descriptor 0, pipes of the supervisor as 1
//! and 2, no arguments and an empty environment. It does three things, in this order:
//!
//! ```text
//!   jail    nothing of the plugin has run yet        jail/
//!   load    the sealed memfd that came with Hello    plugin/
//!   serve   turns, one after the other               serve/
//! ```
//!
//! No async runtime, no threads of its own, no files, no clock. Whatever it needs to remember, the supervisor remembers.

mod fault;
mod jail;
mod link;
mod plugin;
mod serve;

use std::process::ExitCode;

use crate::fault::Fault;
use crate::link::Link;

fn main() -> ExitCode {
    let socket = match jail::enter() {
        Ok(socket) => socket,
        Err(fault) => {
            eprintln!("croupier-worker: {fault}");
            return ExitCode::FAILURE;
        }
    };
    let link = Link::new(socket);
    match run(&link) {
        Ok(()) => jail::exit_now(0),
        Err(fault) => link.give_up(&fault),
    }
}

fn run(link: &Link) -> Result<(), Fault> {
    let greeting = serve::greeting(link)?;
    let game = plugin::load(link, &greeting.hello()?, greeting.memfd())?;
    serve::serve(link, &greeting, game)
}
