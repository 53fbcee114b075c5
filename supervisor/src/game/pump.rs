//! From a worker's frames to events of the core. Any thread may pump a worker; all events of one receive go through under one lock.

use croupier_core::action::KillReason;
use croupier_core::event::{Answer, Event};
use croupier_core::ids::{CallId, Payload};
use croupier_wire::link::{FaultCode, FromWorker, LINK_VERSION, Limits, PERMISSION_BYTES_MAX};
use croupier_wire::outcome::call_hash;

use smallvec::SmallVec;

use super::driver::GameDriver;
use super::slot::{Call, Slot};
use crate::worker::convert::{check_call, check_done, check_snapshot, check_text, done_to_core};
use crate::worker::logs::{Source, one_line};
use crate::worker::port::{Flushed, Port, Ready, Received};

/// Longest text of a worker's last words, in characters.
const FAULT_TEXT_CHARS_MAX: usize = 1000;
/// Bytes of log lines that a worker may send between two answers, headers included. Lines over the plugin's rate are thrown away and cost it
/// nothing; this much at once is no log any more.
const CHATTER_BYTES_MAX: u64 = 64 << 20;

/// What came at once: one answer, mostly.
pub(super) type Events = SmallVec<[Event; 1]>;

impl GameDriver {
    /// Takes what a worker has said, up to a bound.
    pub(super) fn pump(&self, slot: &Slot) -> Received {
        let Some(port) = slot.port.get() else { return Received::Drained };
        let received = hear(slot, port, |events| {
            if !events.is_empty() {
                self.step_all(events);
            }
        });
        if let Received::Broken(why) = &received {
            slot.kill(KillReason::Protocol(why.clone()));
        }
        received
    }

    /// Sends what waits to go out to a worker.
    pub(super) fn flush(&self, slot: &Slot, port: &Port) -> Flushed {
        let flushed = port.try_flush();
        if let Flushed::Broken(why) = &flushed {
            slot.kill(KillReason::Protocol(why.clone()));
        }
        flushed
    }

    /// Before waiting for a worker's socket: see [`Port::arm`].
    pub(super) fn arm(&self, slot: &Slot, port: &Port) -> Ready {
        let ready = port.arm();
        if let Ready::Receive(Received::Broken(why)) = &ready {
            slot.kill(KillReason::Protocol(why.clone()));
        }
        ready
    }

    /// A worker says that it faulted. Takes what it had sent before, and nothing from then on: an answer that followed could not be had from another worker, since that
    /// one would fault over it.
    pub(super) fn pump_last(&self, slot: &Slot) {
        let Some(port) = slot.port.get() else { return };
        let received = port.receive_last(Events::new(), taker(slot, port.limits()), |events| {
            if !events.is_empty() {
                self.step_all(events);
            }
        });
        if let Received::Broken(why) = received {
            slot.kill(KillReason::Protocol(why));
        }
    }
}

/// Receives from one worker, up to a bound, and passes on what it means: all of it at once, in order.
pub(super) fn hear(slot: &Slot, port: &Port, pass_on: impl FnOnce(Events)) -> Received {
    port.receive(Events::new(), taker(slot, port.limits()), pass_on)
}

/// Gathers what messages mean.
fn taker(slot: &Slot, limits: &Limits) -> impl FnMut(&mut Events, u64, FromWorker<'_>) -> Result<(), String> {
    |events, call, message| {
        events.extend(event(slot, limits, call, message)?);
        Ok(())
    }
}

/// What a message means for the core; none when it is for us alone.
fn event(slot: &Slot, limits: &Limits, call: u64, message: FromWorker<'_>) -> Result<Option<Event>, String> {
    let worker = slot.id;
    let answer = |answer| {
        slot.answered(if matches!(answer, Answer::Done(_)) { Call::Turn } else { Call::Other });
        Ok(Some(Event::Answer { worker, call: CallId(call), answer }))
    };
    match message {
        FromWorker::Log { level, text } => {
            if slot.chatted(text.len()) > CHATTER_BYTES_MAX {
                return Err(format!("it logged more than {} MiB without answering", CHATTER_BYTES_MAX >> 20));
            }
            slot.log.line(Source::Log(level), text);
            Ok(None)
        }
        FromWorker::Fault { code, text } => {
            slot.set_words(fault_text(code, text));
            Ok(None)
        }
        FromWorker::Welcome { version, .. } => welcome(slot, version).map(Some),
        _ if !slot.is_welcomed() => Err("it answered before it said welcome".into()),
        FromWorker::Ok => answer(Answer::Ok),
        FromWorker::Failed { status, text } => {
            check_text(text).map_err(|over| over.to_string())?;
            answer(Answer::Failed { status, text: text.to_owned() })
        }
        FromWorker::Done(done) => {
            check_done(&done, limits).map_err(|over| over.to_string())?;
            slot.gave_out(done.effects.len())?;
            answer(done_to_core(&done))
        }
        FromWorker::Snapshot { snapshot } => {
            check_snapshot(snapshot, limits).map_err(|over| over.to_string())?;
            answer(Answer::Snapshot(Payload::from(snapshot)))
        }
        FromWorker::Refused { permission, count } => {
            if permission.len() > PERMISSION_BYTES_MAX {
                return Err(format!("it told of a permission of {} bytes", permission.len()));
            }
            let permission = one_line(permission).into_owned();
            Ok(Some(Event::RefusedInside { worker, call: CallId(call), permission, count }))
        }
        FromWorker::HostCall { index, name, args } => {
            check_call(index, name, args, limits).map_err(|over| over.to_string())?;
            slot.gave_out(1)?;
            Ok(Some(Event::HostCall {
                worker,
                call: CallId(call),
                index,
                name: name.to_owned(),
                args: Payload::from(args),
                asked: call_hash(name, args),
            }))
        }
    }
}

fn welcome(slot: &Slot, version: u16) -> Result<Event, String> {
    if version != LINK_VERSION {
        return Err(format!(
            "the worker binary speaks link version {version}, the supervisor {LINK_VERSION}: install both from one release"
        ));
    }
    slot.set_welcomed();
    // Now, because it may die of its first turn; a fraction of a millisecond, once for each worker.
    slot.look();
    Ok(Event::WorkerLoaded { worker: slot.id })
}

/// A worker's last words as a sentence.
pub(crate) fn fault_text(code: FaultCode, text: &str) -> String {
    let what = match code {
        FaultCode::NoPlugin => "no usable plugin reached the worker",
        FaultCode::Dlopen => "the plugin could not be loaded",
        FaultCode::NoSymbol => "the plugin does not export `croupier_plugin_v1`",
        FaultCode::BadAbi => "the plugin was built for another version of the contract",
        FaultCode::MissingFunction => "the plugin lacks a mandatory function",
        FaultCode::ManifestMismatch => "the plugin's descriptor differs from its manifest",
        FaultCode::LayoutMismatch => "the plugin's Rust types differ from those of this Croupier",
        FaultCode::Protocol => "the worker did not understand a frame",
        FaultCode::Setup => "the worker could not set itself up",
    };
    let text: String = text.chars().take(FAULT_TEXT_CHARS_MAX).collect();
    if text.is_empty() { what.to_owned() } else { format!("{what}: {}", one_line(&text)) }
}
