//! The unanswered requests of a connection, by call id, and what becomes of each.
//!
//! ```text
//!   insert ──▶ Queued ──sent──▶ Sent ──reply──▶ (gone; a follower stays until End)
//!                 ▲               │
//!                 └─ broken ──────┴─ a verb that may not be sent twice ──▶ Uncertain
//! ```
//!
//! That the supervisor is going down is no answer to what has a key: the connection is about to break, and it is sent again. Should it not break for
//! long, it is given up from here: whoever waits is not to hang on a supervisor that said so and stayed.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use croupier_wire::codec::EncodeError;
use croupier_wire::door::{Code, FromServer, Push, Reply, Request, Verb, decode_from_server, put_request};
use croupier_wire::frame::Header;

use super::Broken;
use crate::{ClientError, PushSink, ReplySlot};

/// By then a supervisor that says it is going down is gone, or something is wrong with it; asking once more does no harm.
const GOES_WITHIN: Duration = Duration::from_secs(30);

pub(super) struct Table {
    next_call: u64,
    /// The supervisor said that it is going down, and somebody waits for the next one.
    gone_by: Option<Instant>,
    /// The connection is made again when it breaks.
    reconnects: bool,
    /// In the order of submission: after a break they are sent again in this order.
    calls: BTreeMap<u64, Call>,
}

struct Call {
    request: Request,
    progress: Progress,
    /// Gone once answered.
    slot: Option<ReplySlot>,
    /// Of a follower.
    sink: Option<PushSink>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Queued,
    Sent,
}

/// What a frame from the supervisor means; carried out by [`Delivery::deliver`] when no lock is held. Nothing when it is a push, or when nobody waits for the answer: a follow was
/// resumed after a break.
pub(super) struct Delivery(Option<(ReplySlot, Reply)>);

impl Delivery {
    pub(super) fn deliver(self) {
        if let Some((slot, reply)) = self.0 {
            slot.answer(reply);
        }
    }
}

impl Table {
    pub(super) fn new(reconnects: bool) -> Table {
        Table { next_call: 0, gone_by: None, reconnects, calls: BTreeMap::new() }
    }

    /// Whether nothing is awaited and nothing followed.
    pub(super) fn is_idle(&self) -> bool {
        self.calls.is_empty()
    }

    /// How many calls are unanswered or followed.
    #[cfg(feature = "tokio")]
    pub(super) fn len(&self) -> usize {
        self.calls.len()
    }

    pub(super) fn insert(&mut self, request: Request, slot: ReplySlot, sink: Option<PushSink>) -> u64 {
        self.next_call += 1;
        let call = Call { request, progress: Progress::Queued, slot: Some(slot), sink };
        self.calls.insert(self.next_call, call);
        self.next_call
    }

    /// Appends the frame of a call to `out`. A request that does not fit is failed and forgotten.
    pub(super) fn put(&mut self, id: u64, out: &mut Vec<u8>, frame_bytes_max: u32) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        match put_request(out, id, &call.request, frame_bytes_max) {
            Ok(()) => call.progress = Progress::Sent,
            Err(error) => {
                if let Some(call) = self.calls.remove(&id) {
                    call.fail(|| match error {
                        EncodeError::TooLong { max } => ClientError::TooBig { max },
                        EncodeError::Codec => ClientError::Protocol { what: error.to_string() },
                    });
                }
            }
        }
    }

    /// Appends the frames of all calls, for a connection that was just made.
    pub(super) fn put_all(&mut self, out: &mut Vec<u8>, frame_bytes_max: u32) {
        let ids: Vec<u64> = self.calls.keys().copied().collect();
        for id in ids {
            self.put(id, out, frame_bytes_max);
        }
    }

    /// Takes a frame from the supervisor.
    pub(super) fn take(&mut self, header: &Header, body: &[u8]) -> Result<Delivery, Broken> {
        match decode_from_server(header, body)? {
            FromServer::Reply(Reply::Refused(refusal)) if header.call_id == 0 => {
                Err(Broken::last_words(refusal))
            }
            FromServer::Reply(reply) => self.answer(header.call_id, reply),
            FromServer::Push(push) => self.push(header.call_id, push).map(|()| Delivery(None)),
        }
    }

    fn answer(&mut self, id: u64, reply: Reply) -> Result<Delivery, Broken> {
        let Some(call) = self.calls.get_mut(&id) else {
            return Err(Broken::Nonsense(format!("an answer to call {id}, which is not open")));
        };
        if let Reply::Refused(refusal) = &reply
            && refusal.code == Code::ShuttingDown
            && self.reconnects
            && call.has_key()
        {
            // The connection is about to break, and then this is sent again under the same key.
            self.gone_by.get_or_insert_with(|| Instant::now() + GOES_WITHIN);
            return Ok(Delivery(None));
        }
        let slot = call.slot.take();
        if let Reply::Following { next } = &reply {
            call.resume_at(*next);
        }
        let is_followed = matches!(reply, Reply::Following { .. } | Reply::Control(_)) && call.sink.is_some();
        if !is_followed {
            let sink = self.calls.remove(&id).and_then(|call| call.sink);
            if let (Some(sink), Reply::Refused(refusal)) = (sink, &reply) {
                sink.fail(ClientError::Refused(refusal.clone()));
            }
        }
        Ok(Delivery(slot.map(|slot| (slot, reply))))
    }

    fn push(&mut self, id: u64, push: Push) -> Result<(), Broken> {
        let Some(call) = self.calls.get_mut(&id) else {
            return Err(Broken::Nonsense(format!("a push for call {id}, which is not open")));
        };
        let Some(sink) = &call.sink else {
            return Err(Broken::Nonsense(format!("a push for call {id}, which follows nothing")));
        };
        let next = match &push {
            Push::Output(output) => Some(output.number.saturating_add(1)),
            _ => None,
        };
        let is_end = push == Push::End;
        sink.push(push);
        if let Some(next) = next {
            call.resume_at(next);
        }
        if is_end {
            self.calls.remove(&id);
        }
        Ok(())
    }

    /// How long to wait at most before [`Table::check_gone`] is asked.
    pub(super) fn patience(&self) -> Option<Duration> {
        self.gone_by.map(|by| by.saturating_duration_since(Instant::now()))
    }

    /// Whether the supervisor should be gone by now.
    pub(super) fn check_gone(&self) -> Result<(), Broken> {
        match self.patience() {
            Some(Duration::ZERO) => {
                Err(Broken::Away("the supervisor said that it is going down, and did not".to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// The connection broke: what may not be sent twice fails, followers whom nobody reads are forgotten, the rest waits to be sent again.
    pub(super) fn broken(&mut self, path: &Path) {
        self.gone_by = None;
        self.calls.retain(|_, call| {
            !(call.slot.is_none() && call.sink.as_ref().is_none_or(PushSink::is_abandoned))
        });
        let uncertain: Vec<u64> =
            self.calls.iter().filter(|(_, call)| call.is_uncertain()).map(|(id, _)| *id).collect();
        for id in uncertain {
            if let Some(call) = self.calls.remove(&id) {
                let verb = verb_name(&call.request);
                call.fail(|| ClientError::Uncertain { path: path.to_owned(), verb });
            }
        }
        for call in self.calls.values_mut() {
            call.progress = Progress::Queued;
            if let (Request::Control(Verb::Events { .. }), None, Some(sink)) =
                (&call.request, &call.slot, &call.sink)
            {
                sink.push(Push::Lagged { lost: 0 });
            }
        }
    }

    /// Gives everything up.
    pub(super) fn fail_all(&mut self, error: impl Fn() -> ClientError) {
        for (_, call) in std::mem::take(&mut self.calls) {
            call.fail(&error);
        }
    }
}

impl Call {
    /// A follower goes on after a break where it was.
    fn resume_at(&mut self, next: u64) {
        if let Request::Follow { from, .. } = &mut self.request {
            *from = next;
        }
    }

    /// Whether this was sent and may not be sent twice.
    fn is_uncertain(&self) -> bool {
        self.progress == Progress::Sent && self.slot.is_some() && !is_repeatable(&self.request)
    }

    /// Whether the supervisor, or the next one, knows it again.
    fn has_key(&self) -> bool {
        matches!(self.request, Request::Open(_) | Request::OpenDurable(..) | Request::Turn(_))
    }

    fn fail(self, error: impl Fn() -> ClientError) {
        if let Some(slot) = self.slot {
            slot.fail(error());
        }
        if let Some(sink) = self.sink {
            sink.fail(error());
        }
    }
}

/// Turns and opens have keys, questions change nothing; a verb that changes something may have been carried out already.
fn is_repeatable(request: &Request) -> bool {
    match request {
        Request::Open(_)
        | Request::OpenDurable(..)
        | Request::Turn(_)
        | Request::Follow { .. }
        | Request::Ping => true,
        Request::Control(verb) => match verb {
            Verb::Plugins { .. }
            | Verb::Sessions { .. }
            | Verb::Session { .. }
            | Verb::Export { .. }
            | Verb::Status
            | Verb::Workers
            | Verb::AuditHead
            | Verb::Journal
            | Verb::Grants { .. }
            | Verb::Events { .. } => true,
            Verb::Load { .. }
            | Verb::Unload { .. }
            | Verb::Suspend { .. }
            | Verb::Resume { .. }
            | Verb::Restart { .. }
            | Verb::Release { .. }
            | Verb::Scale { .. }
            | Verb::DropHeld { .. }
            | Verb::Revoke { .. }
            | Verb::Grant { .. }
            | Verb::Shutdown => false,
        },
    }
}

fn verb_name(request: &Request) -> &'static str {
    match request {
        Request::Control(Verb::Load { .. }) => "load",
        Request::Control(Verb::Unload { .. }) => "unload",
        Request::Control(Verb::Suspend { .. }) => "suspend",
        Request::Control(Verb::Resume { .. }) => "resume",
        Request::Control(Verb::Restart { .. }) => "restart",
        Request::Control(Verb::Release { .. }) => "release",
        Request::Control(Verb::Scale { .. }) => "scale",
        Request::Control(Verb::DropHeld { .. }) => "session --drop",
        Request::Control(Verb::Revoke { .. }) => "revoke",
        Request::Control(Verb::Grant { .. }) => "grant",
        Request::Control(Verb::Shutdown) => "shutdown",
        _ => "a request",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use croupier_wire::door::{Input, Refusal, Turn, WhenFull};

    use super::*;
    use crate::{Backend, Pending};

    /// A backend of a table that is looked at alone.
    struct Nobody;

    impl Backend for Nobody {
        fn submit(&self, _: Request, _: ReplySlot) -> Option<Arc<dyn crate::Help>> {
            None
        }
        fn follow(&self, _: Request, _: ReplySlot, _: PushSink) {}
    }

    fn slot() -> (ReplySlot, Pending) {
        ReplySlot::new(Arc::new(Nobody))
    }

    fn turn() -> Request {
        let input = Input::Leave { player: 1, reason: Vec::new() };
        Request::Turn(Turn { session: 1, client_seq: 1, input, when_full: WhenFull::Wait, deadline_ms: 0 })
    }

    #[test]
    fn a_supervisor_that_says_it_goes_and_stays_is_given_up() {
        let mut table = Table::new(true);
        let (reply, _pending) = slot();
        table.insert(Request::Ping, reply, None);
        assert!(table.patience().is_none() && table.check_gone().is_ok());
        let (reply, _pending) = slot();
        let id = table.insert(turn(), reply, None);
        let going = Refusal {
            code: Code::ShuttingDown,
            text: String::new(),
            hint: String::new(),
            plugin: String::new(),
            session: 0,
            seq: 0,
            status: 0,
        };
        assert!(matches!(table.answer(id, Reply::Refused(going)), Ok(Delivery(None))));
        assert!(
            table.patience().is_some_and(|patience| patience > Duration::ZERO) && table.check_gone().is_ok()
        );
        table.gone_by = Some(Instant::now());
        assert!(matches!(table.check_gone(), Err(Broken::Away(_))));
        // It is made again, and all is sent again.
        table.broken(Path::new("a socket"));
        assert!(table.check_gone().is_ok() && table.patience().is_none() && !table.is_idle());
    }
}
