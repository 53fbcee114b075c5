//! One answer on its way: [`ReplySlot`] is the side that answers, [`Pending`] the side that waits.
//!
//! ```text
//!   empty ──answer / fail / drop──▶ full ──taken by the Pending──▶ taken
//! ```

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use croupier_wire::door::{Reply, Request};

use crate::backend::wait_until;
use crate::replies::Inbox;
use crate::watched::Watched;
use crate::window::Window;
use crate::{Backend, ClientError, Help, Wait};

type Answer = Result<Reply, ClientError>;

struct Cell {
    state: Watched<State>,
}

enum State {
    Empty,
    Full(Answer),
    Taken,
}

impl State {
    fn take(&mut self) -> Option<Answer> {
        match std::mem::replace(self, State::Taken) {
            State::Full(answer) => Some(answer),
            other => {
                *self = other;
                None
            }
        }
    }
}

impl Wait for Cell {
    fn ready(&self) -> bool {
        self.state.with(|state| !matches!(state, State::Empty))
    }

    fn park(&self, deadline: Option<Instant>) {
        self.state.park(|state| !matches!(state, State::Empty), deadline);
    }

    fn poke(&self) {
        self.state.poke();
    }
}

/// Where a backend puts the answer to one request. Answered exactly once; dropping it unanswered answers [`ClientError::Gone`].
pub struct ReplySlot {
    to: Option<To>,
    /// The key to give back when the answer is there.
    key: Option<(Arc<Window>, u64)>,
}

enum To {
    /// Whoever waits for this answer alone.
    Cell(Arc<Cell>),
    /// Where many answers come in: this one is the call's, whose request takes so many bytes.
    Inbox(Arc<Inbox>, u64, u32),
}

impl ReplySlot {
    /// A slot, and the waiting side of it.
    pub fn new(backend: Arc<dyn Backend>) -> (ReplySlot, Pending) {
        let cell = Arc::new(Cell { state: Watched::new(State::Empty) });
        let slot = ReplySlot { to: Some(To::Cell(cell.clone())), key: None };
        (slot, Pending { cell, backend, help: None, key: 0, polled: Polled::Never })
    }

    pub(crate) fn into_inbox(inbox: Arc<Inbox>, call: u64, bytes: u32) -> ReplySlot {
        ReplySlot { to: Some(To::Inbox(inbox, call, bytes)), key: None }
    }

    /// A slot whose answer gives `key` back to its window.
    pub(crate) fn keyed(backend: Arc<dyn Backend>, window: Arc<Window>, key: u64) -> (ReplySlot, Pending) {
        let (mut slot, mut pending) = ReplySlot::new(backend);
        slot.key = Some((window, key));
        pending.key = key;
        (slot, pending)
    }

    /// Gives the answer.
    pub fn answer(mut self, reply: Reply) {
        self.fill(Ok(reply));
    }

    /// Says that there will be no answer, and why.
    pub fn fail(mut self, error: ClientError) {
        self.fill(Err(error));
    }

    /// Whether nobody waits for the answer any more. The turn is played all the same.
    pub fn is_abandoned(&self) -> bool {
        match &self.to {
            Some(To::Cell(cell)) => Arc::strong_count(cell) == 1,
            Some(To::Inbox(inbox, ..)) => inbox.is_abandoned(),
            None => false,
        }
    }

    fn fill(&mut self, answer: Answer) {
        let Some(to) = self.to.take() else { return };
        // The key first: who wakes up on the answer may want to send the next turn.
        if let Some((window, key)) = self.key.take() {
            window.answered(key);
        }
        match to {
            To::Cell(cell) => cell.state.change(|state| *state = State::Full(answer)),
            To::Inbox(inbox, call, bytes) => inbox.put(call, bytes, answer),
        }
    }
}

impl Drop for ReplySlot {
    fn drop(&mut self) {
        self.fill(Err(ClientError::Gone));
    }
}

/// An answer that is awaited: a future, or [waited](Pending::wait) for by a thread. Dropping it gives up the answer, not the turn.
#[must_use = "wait for it or await it; dropping it gives up the answer"]
pub struct Pending {
    cell: Arc<Cell>,
    backend: Arc<dyn Backend>,
    help: Option<Arc<dyn Help>>,
    key: u64,
    polled: Polled,
}

/// How far a task has come that awaits an answer and may look for it itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Polled {
    Never,
    /// Others of its thread have had their turn, and have sent what they have to send.
    Once,
    /// It has looked, and is woken when the answer is there.
    Looked,
}

impl Pending {
    /// Submits the request that it is about.
    pub fn submit(mut self, request: Request, reply: ReplySlot) -> Pending {
        self.help = self.backend.submit(request, reply);
        self
    }

    /// As [`submit`](Pending::submit), by a thread that waits for the answer at once.
    pub(crate) fn submit_awaited(self, request: Request, reply: ReplySlot) -> Pending {
        self.backend.submit_awaited(request, reply, &*self.cell);
        self
    }

    /// The request's key (`client_seq`), with which it can be [repeated](crate::Session::repeat); 0 when it has none.
    pub fn key(&self) -> u64 {
        self.key
    }

    /// Blocks the calling thread until the answer is there. A refusal is an error.
    pub fn wait(self) -> Result<Reply, ClientError> {
        self.look();
        wait_until(&*self.backend, &self.cell, None);
        self.take()
    }

    /// As [`wait`](Pending::wait), for at most `patience`; then [`ClientError::Timeout`].
    pub fn wait_for(self, patience: Duration) -> Result<Reply, ClientError> {
        let deadline = Instant::now() + patience;
        self.look();
        if !wait_until(&*self.backend, &self.cell, Some(deadline)) {
            return Err(ClientError::Timeout { after: patience });
        }
        self.take()
    }

    /// Looks itself for a while before it sleeps.
    fn look(&self) {
        if let Some(help) = &self.help
            && !self.cell.ready()
        {
            help.help(&*self.cell);
        }
    }

    fn take(self) -> Result<Reply, ClientError> {
        self.cell.state.with(State::take).map_or(Err(ClientError::Gone), sort)
    }
}

impl Future for Pending {
    type Output = Result<Reply, ClientError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if !this.cell.ready() {
            this.backend.help(&*this.cell);
        }
        let answer = this.cell.state.poll(cx, State::take);
        if answer.is_ready() || this.help.is_none() {
            return answer.map(sort);
        }
        match this.polled {
            // Looking keeps the thread: first everybody else there, who may have something to send as well.
            Polled::Never => {
                this.polled = Polled::Once;
                cx.waker().wake_by_ref();
            }
            Polled::Once => {
                this.polled = Polled::Looked;
                this.look();
                return this.cell.state.poll(cx, State::take).map(sort);
            }
            Polled::Looked => {}
        }
        Poll::Pending
    }
}

/// A refusal is an error for the caller.
fn sort(answer: Answer) -> Result<Reply, ClientError> {
    match answer? {
        Reply::Refused(refusal) => Err(ClientError::Refused(refusal)),
        reply => Ok(reply),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PushSink;

    struct Nobody;

    impl Backend for Nobody {
        fn submit(&self, _: Request, _: ReplySlot) -> Option<Arc<dyn Help>> {
            None
        }
        fn follow(&self, _: Request, _: ReplySlot, _: PushSink) {}
    }

    #[test]
    fn an_answer_from_another_thread_wakes_the_waiter_and_frees_the_key() {
        let window = Window::starting_at(1);
        let key = window.try_take().expect("room");
        let (slot, pending) = ReplySlot::keyed(Arc::new(Nobody), window.clone(), key);
        let answerer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            slot.answer(Reply::Pong);
        });
        assert_eq!(pending.wait().expect("an answer"), Reply::Pong);
        answerer.join().expect("no panic");
        assert_eq!(window.try_take(), Some(2));
    }

    /// Answers when it is asked for help, and counts how often.
    #[derive(Default)]
    struct Helper {
        slot: std::sync::Mutex<Option<ReplySlot>>,
        asked: std::sync::atomic::AtomicU32,
    }

    impl Help for Helper {
        fn help(&self, on: &dyn Wait) {
            self.asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if let Some(slot) = self.slot.lock().expect("no panic").take() {
                slot.answer(Reply::Pong);
                assert!(on.ready());
            }
        }
    }

    #[test]
    fn a_task_lets_others_send_before_it_looks_itself_and_looks_once() {
        let helper = Arc::new(Helper::default());
        let waiting = |helper: &Arc<Helper>| {
            let (slot, mut pending) = ReplySlot::new(Arc::new(Nobody));
            pending.help = Some(helper.clone());
            (slot, pending)
        };
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let asked = |helper: &Helper| helper.asked.load(std::sync::atomic::Ordering::Relaxed);
        let (slot, mut pending) = waiting(&helper);
        *helper.slot.lock().expect("no panic") = Some(slot);
        assert!(Pin::new(&mut pending).poll(&mut cx).is_pending());
        assert_eq!(asked(&helper), 0, "somebody else may have something to send");
        assert!(matches!(Pin::new(&mut pending).poll(&mut cx), Poll::Ready(Ok(Reply::Pong))));
        assert_eq!(asked(&helper), 1);
        let (_slot, mut pending) = waiting(&helper);
        for _ in 0..5 {
            assert!(Pin::new(&mut pending).poll(&mut cx).is_pending());
        }
        assert_eq!(asked(&helper), 2, "in vain: from then on it is woken");
    }

    #[test]
    fn a_dropped_slot_is_an_error_and_a_late_one_a_timeout() {
        let (slot, pending) = ReplySlot::new(Arc::new(Nobody));
        drop(slot);
        assert!(matches!(pending.wait(), Err(ClientError::Gone)));
        let (slot, pending) = ReplySlot::new(Arc::new(Nobody));
        assert!(!slot.is_abandoned());
        let late = pending.wait_for(Duration::from_millis(5));
        assert!(matches!(late, Err(ClientError::Timeout { .. })));
        assert!(slot.is_abandoned());
    }
}
