//! Who asks, how they are answered, and the [`Backend`] of clients in the same process.

use std::sync::{Arc, Weak};

use croupier_client::{Backend, Help, PushSink, ReplySlot, Wait};
use croupier_core::ids::{ClientId, RequestId, SessionId};
use croupier_wire::door::{Code, Refusal, Reply, Request, ServerHello, TurnEvents, Verb};

use super::Supervisor;
use crate::events::{PushTo, Turns};
use crate::game::GameDriver;
use crate::refusals::{from_core, hint, refusal, shutting_down};

/// What a caller may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everything.
    Control,
    /// Sessions: open, turn, follow, ping.
    Traffic,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// The identity for idempotency.
    pub client: ClientId,
    /// What it may ask for.
    pub access: Access,
    /// Its user, as the kernel says; none within this process.
    pub uid: Option<u32>,
}

/// Where the one answer to a request goes. Dropped unanswered, it says that the supervisor is going down.
pub struct Replier(Option<To>);

enum To {
    Slot(ReplySlot),
    Call(Box<dyn FnOnce(Reply) + Send>),
}

impl Replier {
    /// Calls `call` with the answer, from any thread. It must be quick, and must not come back to the supervisor on the same thread.
    pub fn call(call: impl FnOnce(Reply) + Send + 'static) -> Replier {
        Replier(Some(To::Call(Box::new(call))))
    }

    /// Gives the answer.
    pub fn answer(mut self, reply: Reply) {
        self.give(reply);
    }

    pub(super) fn refuse(self, refusal: Refusal) {
        self.answer(Reply::Refused(refusal));
    }

    fn give(&mut self, reply: Reply) {
        match self.0.take() {
            Some(To::Slot(slot)) => slot.answer(reply),
            Some(To::Call(call)) => call(reply),
            None => {}
        }
    }
}

impl From<ReplySlot> for Replier {
    fn from(slot: ReplySlot) -> Replier {
        Replier(Some(To::Slot(slot)))
    }
}

impl Drop for Replier {
    fn drop(&mut self) {
        if self.0.is_some() {
            self.give(Reply::Refused(shutting_down()));
        }
    }
}

/// A turn that was submitted: for callers that may go away.
#[derive(Clone)]
pub struct Ticket {
    pub(super) game: Weak<GameDriver>,
    pub(super) request: RequestId,
    pub(super) session: SessionId,
    pub(super) help: Option<Arc<dyn Help>>,
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ticket")
            .field("request", &self.request)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

impl Ticket {
    /// The caller went away: nobody is answered. A turn that was accepted is played all the same; one that waits for room is not.
    pub fn cancel(&self) {
        if let Some(game) = self.game.upgrade() {
            game.cancel(self.request, self.session);
        }
    }
}

impl Supervisor {
    /// Takes a request; `to` is answered exactly once, now or later, from any thread. Never blocks for long. A turn comes with a ticket.
    pub fn submit(&self, caller: Caller, request: Request, to: Replier) -> Option<Ticket> {
        match request {
            Request::Ping => to.answer(Reply::Pong),
            Request::Open(open) => self.shared.open(caller.client, open, to),
            Request::OpenDurable(mut open, durability) => {
                open.options.durability = Some(durability);
                self.shared.open(caller.client, open, to);
            }
            Request::Turn(turn) => return self.shared.turn(caller.client, turn, to),
            Request::Follow { .. } | Request::Control(Verb::Events { .. }) => {
                to.refuse(refusal(
                    Code::Protocol,
                    "following was asked for without a place to put what comes",
                ));
            }
            Request::Control(_) if caller.access != Access::Control => to.refuse(not_allowed()),
            Request::Control(verb) => self.shared.control(caller.uid, verb, to),
        }
        None
    }

    /// As [`Supervisor::submit`], for requests that came at once, in their order.
    pub fn submit_all(
        &self,
        caller: Caller,
        requests: impl IntoIterator<Item = (Request, Replier)>,
    ) -> Option<Arc<dyn Help>> {
        let (mut turns, mut help) = (Vec::new(), None);
        for (request, to) in requests {
            if let Request::Turn(turn) = request {
                turns.push((caller.client, turn, to));
                continue;
            }
            // What comes behind a turn is taken behind it.
            help = self.shared.turns(std::mem::take(&mut turns)).or(help);
            drop(self.submit(caller, request, to));
        }
        self.shared.turns(turns).or(help)
    }

    /// Takes a [`Request::Follow`] or [`Verb::Events`]: after the answer, what comes goes to `pushes`. `to` and `pushes` must not come back to the
    /// supervisor on the same thread.
    pub fn follow(&self, caller: Caller, request: Request, to: Replier, pushes: Box<dyn PushTo>) {
        match request {
            Request::Follow { session, from } => self.follow_session(session, from, to, pushes),
            Request::Control(_) if caller.access != Access::Control => to.refuse(not_allowed()),
            Request::Control(Verb::Events { turns }) => match self.follow_events(pushes, turns_of(turns)) {
                Ok(()) => to.answer(Reply::Control(croupier_wire::door::ControlReply::Ok)),
                Err(error) => to.refuse(refusal(Code::Busy, error.to_string())),
            },
            other => drop(self.submit(caller, other, to)),
        }
    }

    fn follow_session(&self, session: u64, from: u64, to: Replier, pushes: Box<dyn PushTo>) {
        let Some(game) = self.shared.routes.get(session) else {
            return to.refuse(self.shared.no_session(session));
        };
        let mut to = Some(to);
        let begin = |next| {
            if let Some(to) = to.take() {
                to.answer(Reply::Following { next });
            }
        };
        let followed = game.follow(SessionId(session), from, pushes, begin);
        if let (Err(error), Some(to)) = (followed, to) {
            to.refuse(follow_refusal(error, &game.plugin().name, session));
        }
    }
}

fn follow_refusal(error: crate::game::driver::FollowError, plugin: &str, session: u64) -> Refusal {
    use croupier_core::game::OutputsError;

    use crate::game::driver::FollowError;
    match error {
        FollowError::Outputs(OutputsError::UnknownSession(id)) => {
            from_core(&croupier_core::Refusal::SessionClosed(id), plugin, session)
        }
        FollowError::Outputs(gone @ OutputsError::Gone { oldest }) => {
            let what = crate::refusals::about(refusal(Code::Gone, gone.to_string()), plugin, session);
            Refusal {
                seq: oldest,
                ..hint(what, format!("follow from {oldest} on, or from 0 for what is new"))
            }
        }
        FollowError::TooMany => {
            crate::refusals::about(refusal(Code::Busy, error.to_string()), plugin, session)
        }
    }
}

fn turns_of(wanted: TurnEvents) -> Turns {
    match wanted {
        TurnEvents::Left => Turns::Left,
        TurnEvents::Included => Turns::Included,
    }
}

fn not_allowed() -> Refusal {
    hint(refusal(Code::NotAllowed, "operators' verbs are not taken here"), "use the control socket")
}

/// A client of a supervisor in the same process.
pub struct Embedded {
    supervisor: Supervisor,
    caller: Caller,
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedded").field("caller", &self.caller).finish_non_exhaustive()
    }
}

impl Embedded {
    pub(super) fn new(supervisor: Supervisor, client: u64, uid: Option<u32>) -> Embedded {
        let caller = Caller { client: ClientId(client), access: Access::Control, uid };
        Embedded { supervisor, caller }
    }
}

impl Backend for Embedded {
    fn submit(&self, request: Request, reply: ReplySlot) -> Option<Arc<dyn Help>> {
        self.supervisor.submit(self.caller, request, reply.into())?.help
    }

    fn submit_all(&self, requests: Vec<(Request, ReplySlot)>) -> Option<Arc<dyn Help>> {
        let requests = requests.into_iter().map(|(request, reply)| (request, reply.into()));
        self.supervisor.submit_all(self.caller, requests)
    }

    fn submit_awaited(&self, request: Request, reply: ReplySlot, on: &dyn Wait) {
        match request {
            Request::Turn(turn) => {
                self.supervisor.shared.turn_awaited(self.caller.client, turn, reply.into(), on)
            }
            other => drop(self.submit(other, reply)),
        }
    }

    fn follow(&self, request: Request, reply: ReplySlot, pushes: PushSink) {
        self.supervisor.follow(self.caller, request, reply.into(), Box::new(pushes));
    }

    fn server(&self) -> Option<ServerHello> {
        Some(self.supervisor.hello(Access::Control))
    }
}
