//! The seam below the client: who carries requests to a supervisor.

use std::sync::Arc;
use std::time::Instant;

use croupier_wire::door::{Request, ServerHello};

use crate::{PushSink, ReplySlot};

/// Carries requests to a supervisor and answers back: a socket, or a supervisor in the same process.
///
/// One value of this trait is one client as far as idempotency goes: whoever makes it gives it a client id of its own, and all its requests
/// carry that id. All methods may be called from any thread.
pub trait Backend: Send + Sync {
    /// Takes a request and sees to it that `reply` is answered exactly once, now or later, from any thread. Must not block for the answer; may
    /// block briefly for room. Dropping the slot unanswered gives the caller [`ClientError::Gone`](crate::ClientError::Gone).
    ///
    /// Requests are submitted in the order in which they shall be taken.
    ///
    /// Says who can be [helped](Help) to get the answer, when there is somebody.
    fn submit(&self, request: Request, reply: ReplySlot) -> Option<Arc<dyn Help>>;

    /// As [`submit`](Backend::submit), for requests that came at once, in their order; turns of different sessions may be played in any order. Says who can be helped to get one of
    /// the answers.
    fn submit_all(&self, requests: Vec<(Request, ReplySlot)>) -> Option<Arc<dyn Help>> {
        requests.into_iter().fold(None, |help, (request, reply)| self.submit(request, reply).or(help))
    }

    /// As [`submit`](Backend::submit), for a thread that waits for `on`, the answer, and does nothing else meanwhile: it may be used to get it.
    fn submit_awaited(&self, request: Request, reply: ReplySlot, on: &dyn Wait) {
        let help = self.submit(request, reply);
        if let Some(help) = help
            && !on.ready()
        {
            help.help(on);
        }
    }

    /// As [`submit`](Backend::submit), for [`Request::Follow`] and [`Verb::Events`](croupier_wire::door::Verb::Events): after the answer, what
    /// comes goes into `pushes` until [`Push::End`](croupier_wire::door::Push::End) or until the sink
    /// [is abandoned](PushSink::is_abandoned).
    fn follow(&self, request: Request, reply: ReplySlot, pushes: PushSink);

    /// Waits until `on` is ready or the deadline passes, on the calling thread. A backend that needs somebody to read its link lends this
    /// thread for that; the rest park. May return early: the caller looks and calls again.
    fn wait(&self, on: Arc<dyn Wait>, deadline: Option<Instant>) {
        on.park(deadline);
    }

    /// Called by a task that is about to wait for `on`. A backend may use the moment to read its link, without blocking.
    fn help(&self, on: &dyn Wait) {
        let _ = on;
    }

    /// Who answers, when that is known.
    fn server(&self) -> Option<ServerHello> {
        None
    }
}

/// Who gets an answer sooner with the help of the thread that waits for it.
pub trait Help: Send + Sync {
    /// Called by a thread, or a task, that is about to wait for `on`: looks itself for a while, some ten microseconds, without sleeping. How long is learned from how long answers take;
    /// a task keeps its thread for no more than that.
    fn help(&self, on: &dyn Wait);
}

/// Something that a thread waits for: an answer, a push, or room in a window.
pub trait Wait: Send + Sync {
    /// Whether there is nothing to wait for any more.
    fn ready(&self) -> bool;

    /// Parks the calling thread until [`ready`](Wait::ready), a [`poke`](Wait::poke) or the deadline.
    fn park(&self, deadline: Option<Instant>);

    /// Makes a thread that is parked here, or the next one, return from [`park`](Wait::park) and look around.
    fn poke(&self);
}

/// Waits on the calling thread until `on` is ready; false when the deadline came first.
pub(crate) fn wait_until<W: Wait + 'static>(
    backend: &dyn Backend,
    on: &Arc<W>,
    deadline: Option<Instant>,
) -> bool {
    while !on.ready() {
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return false;
        }
        backend.wait(on.clone(), deadline);
    }
    true
}
