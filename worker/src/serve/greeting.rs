//! The first message: Hello, with the plugin's descriptor beside it.

use std::os::fd::OwnedFd;

use croupier_wire::frame::Header;
use croupier_wire::link::{Hello, ToWorker, decode_to_worker};

use crate::fault::Fault;
use crate::link::Link;
use crate::plugin;

/// Hello, as the bytes that it came in, and the descriptor.
pub(crate) struct Greeting {
    header: Header,
    body: Vec<u8>,
    memfd: OwnedFd,
}

/// Waits for Hello and the plugin's descriptor, and takes over the link's limits.
pub(crate) fn greeting(link: &Link) -> Result<Greeting, Fault> {
    let memfd = link.receive_first(plugin::receive)?;
    let mut body = Vec::new();
    let header = link.next_frame(&mut body)?;
    let greeting = Greeting { header, body, memfd };
    link.set_frame_bytes_max(greeting.hello()?.limits.frame_bytes);
    Ok(greeting)
}

impl Greeting {
    /// What the supervisor said.
    pub(crate) fn hello(&self) -> Result<Hello<'_>, Fault> {
        match decode_to_worker(&self.header, &self.body)? {
            ToWorker::Hello(hello) => Ok(hello),
            _ => Err(Fault::Unexpected { message: "another message", when: "before Hello" }),
        }
    }

    /// The plugin.
    pub(crate) fn memfd(&self) -> &OwnedFd {
        &self.memfd
    }

    /// The call that Hello made.
    pub(crate) fn call_id(&self) -> u64 {
        self.header.call_id
    }
}
