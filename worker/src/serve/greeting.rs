//! The first messages: Confine, which this process obeys, and Hello, which says what to load.

use croupier_wire::confine::Confine;
use croupier_wire::frame::Header;
use croupier_wire::link::{Hello, ToWorker, decode_to_worker};

use crate::fault::Fault;
use crate::jail::Delivery;
use crate::link::Link;
use crate::plugin::{self, Source};

/// Hello, as the bytes that it came in, and where the plugin is.
pub(crate) struct Greeting {
    header: Header,
    body: Vec<u8>,
    source: Source,
}

/// Waits to be told how this process is to confine itself.
pub(crate) fn confine(link: &Link) -> Result<Confine, Fault> {
    let mut body = Vec::new();
    let header = link.next_frame(&mut body)?;
    Ok(Confine::decode(&header, &body)?)
}

/// Waits for Hello, and takes over the link's limits.
pub(crate) fn greeting(link: &Link, delivery: Delivery) -> Result<Greeting, Fault> {
    let source = match delivery {
        Delivery::Notified => Source::Notified,
        Delivery::BesideHello => Source::Memfd(link.receive_first(plugin::receive)?),
    };
    let mut body = Vec::new();
    let header = link.next_frame(&mut body)?;
    let greeting = Greeting { header, body, source };
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
    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// The call that Hello made.
    pub(crate) fn call_id(&self) -> u64 {
        self.header.call_id
    }
}
