//! `croupier-worker`: one process, one plugin, one game. `croupier-worker --zygote` is the process that makes them.
//!
//! Started with a socket as descriptor 0, pipes as 1 and 2, and an empty environment: the link of a fresh worker, or the socket over which the zygote is asked for
//! workers. A worker does these things, in this order:
//!
//! ```text
//!   confine  Prepare and Confine say how; nothing of the plugin has run yet    jail/
//!   load     the verified plugin, which the supervisor hands over              plugin/
//!   serve    turns, one after the other                                        serve/
//! ```
//!
//! No async runtime, no threads of its own, no files, no clock. Whatever it needs to remember, the supervisor remembers.

mod fault;
mod jail;
mod link;
mod plugin;
mod serve;

use std::fs::File;
use std::process::ExitCode;

use crate::fault::Fault;
use crate::jail::Jail;
use crate::link::Link;

/// Makes the process a zygote.
const ZYGOTE: &str = "--zygote";

fn main() -> ExitCode {
    match begin() {
        Ok(socket) => work(socket),
        Err(fault) => {
            eprintln!("croupier-worker: {fault}");
            ExitCode::FAILURE
        }
    }
}

/// Until there is a link: in a zygote, that is in each of its children.
fn begin() -> Result<File, Fault> {
    let socket = jail::descriptors::adopt()?;
    jail::libraries::preload();
    if std::env::args().nth(1).as_deref() == Some(ZYGOTE) { jail::zygote::serve(socket) } else { Ok(socket) }
}

fn work(socket: File) -> ! {
    let link = Link::new(socket);
    match run(&link) {
        Ok(()) => jail::exit_now(0),
        Err(fault) => link.give_up(&fault),
    }
}

fn run(link: &Link) -> Result<(), Fault> {
    let mut jail = Jail::default();
    let (confine, ring) = serve::confine(link, &mut jail)?;
    let delivery = jail.enter(&confine)?;
    let greeting = serve::greeting(link, delivery)?;
    if let Some(ring) = ring {
        link.take_ring(ring);
    }
    jail::draw_the_curtain(delivery)?;
    let game = plugin::load(link, &greeting.hello()?, greeting.source())?;
    serve::serve(link, &greeting, game)
}
