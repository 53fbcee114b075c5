//! A worker's link without a worker: bytes in, events of the core out, through the very code that real links go through. For tests that say what no worker would;
//! not used in service.

use std::sync::Weak;

use croupier_core::event::Event;
use croupier_core::ids::{CallId, WorkerId};
use croupier_wire::link::Limits;

use super::pump::{Events, hear};
use super::slot::Slot;
use crate::clock::Clock;
use crate::worker::convert;
use crate::worker::link::Ways;
use crate::worker::logs::PluginLog;
use crate::worker::port::{Port, Received};
use crate::worker::rate::Rate;

/// Log lines per second that are shown.
const LOG_LINES_PER_S: u32 = 10;
/// Bytes per second that are borne.
const LINK_BYTES_PER_S: u64 = 512 << 20;
/// Effects per second that are borne.
const EFFECTS_PER_S: u32 = 1000;

/// One end of a link.
#[derive(Debug)]
pub struct Hearing {
    slot: Slot,
    port: Port,
}

impl Hearing {
    /// Of a worker behind this link, which was told these limits.
    #[must_use]
    pub fn new(worker: WorkerId, link: Ways, limits: Limits) -> Hearing {
        let log = PluginLog::new("heard", worker.0, LOG_LINES_PER_S, Clock::start());
        let effects = Rate::new(EFFECTS_PER_S.into(), limits.effects_per_turn.into());
        Hearing {
            slot: Slot::new(Weak::new(), worker, log, effects),
            port: Port::new(link, limits, LINK_BYTES_PER_S),
        }
    }

    /// Sends it a message.
    ///
    /// # Errors
    /// When it does not fit a frame.
    pub fn say(
        &self,
        call: CallId,
        message: &croupier_core::action::ToWorker,
    ) -> Result<(), croupier_wire::codec::EncodeError> {
        self.slot.sent(message);
        let (wire, flags) = convert::to_wire(message);
        self.port.put(&wire, flags, call.0)?;
        self.port.flush();
        Ok(())
    }

    /// What it says now, up to a bound.
    pub fn hear(&self) -> (Received, Vec<Event>) {
        let mut heard = Events::new();
        let received = hear(&self.slot, &self.port, |events| heard = events);
        (received, heard.into_vec())
    }
}
