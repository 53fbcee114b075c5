//! The first messages: Prepare and Confine, which this process obeys, and Hello, which says what to load.

use croupier_ring::Ring;
use croupier_wire::confine::{Confine, ToBlank};
use croupier_wire::frame::Header;
use croupier_wire::link::{Hello, ToWorker, decode_to_worker};

use crate::fault::Fault;
use crate::jail::{Delivery, Jail};
use crate::link::Link;
use crate::plugin::{self, Source};

/// Hello, as the bytes that it came in, and where the plugin is.
pub(crate) struct Greeting {
    header: Header,
    body: Vec<u8>,
    source: Source,
}

/// Waits to be told how this process is to confine itself, and does what can be done before. The ring, if there is to be one, comes beside it, and is mapped at once: later the filter allows no shared memory.
pub(crate) fn confine(link: &Link, jail: &mut Jail) -> Result<(Confine, Option<Ring>), Fault> {
    let (mut descriptors, mut body) = (Vec::new(), Vec::new());
    let confine = loop {
        // Both messages may have come at once; and a plain read would lose what is beside them.
        while !link.has_frame() {
            descriptors.extend(link.receive_descriptors());
        }
        let header = link.next_frame(&mut body)?;
        match ToBlank::decode(&header, &body)? {
            ToBlank::Prepare { layers } => jail.prepare(layers)?,
            ToBlank::Confine(confine) => break confine,
        }
    };
    let ring = match (confine.ring_bytes, descriptors.pop(), descriptors.len()) {
        (0, None, 0) => None,
        (bytes, Some(memory), 0) if bytes > 0 => Some(croupier_ring::adopt(&memory, bytes)?),
        (0, _, others) => return Err(Fault::Descriptors { count: others + 1 }),
        (_, None, _) => return Err(Fault::Descriptors { count: 0 }),
        (_, Some(_), others) => return Err(Fault::Descriptors { count: others + 1 }),
    };
    Ok((confine, ring))
}

/// Waits for Hello, and takes over the link's limits.
pub(crate) fn greeting(link: &Link, delivery: Delivery) -> Result<Greeting, Fault> {
    let source = match delivery {
        Delivery::Notified => Source::Notified,
        Delivery::BesideHello => Source::Memfd(plugin::only(link.receive_descriptors())?),
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
