//! What comes without being asked for each time: [`PushSink`] is the side that gives, [`Pushes`] the side that takes.
//!
//! The queue between them is bounded, and so are the bytes of all queues that share a [`PushBudget`]. When there is no room the newest pushes are
//! dropped and counted, and the taker reads [`Push::Lagged`] at the place where they are missing: a slow follower never holds up a session.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use croupier_wire::door::{OutputTo, Push};
use futures_core::Stream;

use crate::backend::wait_until;
use crate::watched::Watched;
use crate::{Backend, ClientError, Wait};

/// Bytes that a push takes beside its payload, about.
const PUSH_BYTES: usize = 128;

/// Bytes that the queues of several followers may hold together.
#[derive(Debug)]
pub struct PushBudget {
    max: usize,
    used: AtomicUsize,
}

impl PushBudget {
    /// This many bytes.
    pub fn new(max: usize) -> Arc<PushBudget> {
        Arc::new(PushBudget { max, used: AtomicUsize::new(0) })
    }

    /// Bytes that wait in the queues now.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: usize) -> bool {
        let more = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.max);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Bytes that a push holds, about.
fn weight(push: &Push) -> usize {
    match push {
        Push::Output(output) => {
            let topic = if let OutputTo::Topic(topic) = &output.to { topic.len() } else { 0 };
            PUSH_BYTES + output.bytes.len() + topic
        }
        Push::Event(event) => PUSH_BYTES + event.plugin.len(),
        Push::Lagged { .. } | Push::End => PUSH_BYTES,
    }
}

struct Queue {
    state: Watched<State>,
}

struct State {
    queued: VecDeque<Push>,
    capacity: usize,
    budget: Option<Arc<PushBudget>>,
    /// Dropped since the last [`Push::Lagged`] went into the queue.
    lost: u64,
    end: End,
}

enum End {
    Open,
    /// [`Push::End`] comes when the queue is empty.
    Ended,
    /// This error comes when the queue is empty.
    Failed(ClientError),
    Given,
}

impl State {
    fn put(&mut self, push: Push) {
        if !matches!(self.end, End::Open) {
            return;
        }
        if push == Push::End {
            self.end = End::Ended;
            return;
        }
        // Room for the push, and for the word that some are missing before it.
        let needed = 1 + usize::from(self.lost > 0);
        let bytes = weight(&push) + PUSH_BYTES * (needed - 1);
        if self.queued.len() + needed > self.capacity
            || self.budget.as_ref().is_some_and(|budget| !budget.take(bytes))
        {
            self.lost += 1;
            return;
        }
        if self.lost > 0 {
            self.queued.push_back(Push::Lagged { lost: std::mem::take(&mut self.lost) });
        }
        self.queued.push_back(push);
    }

    /// Forgets what nobody takes any more.
    fn clear(&mut self) {
        let queued = std::mem::take(&mut self.queued);
        if let Some(budget) = &self.budget {
            budget.give_back(queued.iter().map(weight).sum());
        }
    }

    fn ready(&self) -> bool {
        !self.queued.is_empty() || self.lost > 0 || !matches!(self.end, End::Open)
    }

    /// `None`: nothing yet. `Some(None)`: nothing ever.
    fn take(&mut self) -> Option<Option<Result<Push, ClientError>>> {
        if let Some(push) = self.queued.pop_front() {
            if let Some(budget) = &self.budget {
                budget.give_back(weight(&push));
            }
            return Some(Some(Ok(push)));
        }
        if self.lost > 0 {
            return Some(Some(Ok(Push::Lagged { lost: std::mem::take(&mut self.lost) })));
        }
        match std::mem::replace(&mut self.end, End::Given) {
            End::Open => {
                self.end = End::Open;
                None
            }
            End::Ended => Some(Some(Ok(Push::End))),
            End::Failed(error) => Some(Some(Err(error))),
            End::Given => Some(None),
        }
    }
}

impl Wait for Queue {
    fn ready(&self) -> bool {
        self.state.with(|state| state.ready())
    }

    fn park(&self, deadline: Option<Instant>) {
        self.state.park(State::ready, deadline);
    }

    fn poke(&self) {
        self.state.poke();
    }
}

/// Where a backend puts pushes. Dropping it without [`Push::End`] tells the taker that the supervisor is gone.
pub struct PushSink {
    queue: Arc<Queue>,
}

impl PushSink {
    /// A sink that holds at most `capacity` pushes (at least 2), and the taking side of it.
    pub fn new(capacity: usize, backend: Arc<dyn Backend>) -> (PushSink, Pushes) {
        PushSink::make(capacity, None, backend)
    }

    /// As [`PushSink::new`], within a budget of bytes that other sinks share.
    pub fn within(
        budget: &Arc<PushBudget>,
        capacity: usize,
        backend: Arc<dyn Backend>,
    ) -> (PushSink, Pushes) {
        PushSink::make(capacity, Some(budget.clone()), backend)
    }

    fn make(
        capacity: usize,
        budget: Option<Arc<PushBudget>>,
        backend: Arc<dyn Backend>,
    ) -> (PushSink, Pushes) {
        let capacity = capacity.max(2);
        let state = State { queued: VecDeque::new(), capacity, budget, lost: 0, end: End::Open };
        let queue = Arc::new(Queue { state: Watched::new(state) });
        (PushSink { queue: queue.clone() }, Pushes { queue, backend })
    }

    /// Gives a push; never blocks. When the queue is full it is dropped and counted. After [`Push::End`] everything is ignored.
    pub fn push(&self, push: Push) {
        self.queue.state.change(|state| state.put(push));
    }

    /// Says that nothing more comes, and why.
    pub fn fail(self, error: ClientError) {
        self.end_with(error);
    }

    /// Whether nobody takes any more: the backend may forget the sink.
    pub fn is_abandoned(&self) -> bool {
        Arc::strong_count(&self.queue) == 1
    }

    fn end_with(&self, error: ClientError) {
        self.queue.state.change(|state| {
            if matches!(state.end, End::Open) {
                state.end = End::Failed(error);
            }
        });
    }
}

impl Drop for PushSink {
    fn drop(&mut self) {
        self.end_with(ClientError::Gone);
    }
}

/// What a session or the supervisor gives out: a [`Stream`], or taken by a thread with [`wait_next`](Pushes::wait_next).
///
/// Ends after [`Push::End`] or after the first error. [`Push::Lagged`] says that some were dropped because they were not taken fast enough;
/// `lost: 0` says that the connection was made again and nobody knows what happened in between.
pub struct Pushes {
    queue: Arc<Queue>,
    backend: Arc<dyn Backend>,
}

impl Pushes {
    /// The next push; `None` when nothing more comes.
    pub async fn next(&mut self) -> Option<Result<Push, ClientError>> {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    /// As [`next`](Pushes::next), blocking the calling thread.
    pub fn wait_next(&mut self) -> Option<Result<Push, ClientError>> {
        wait_until(&*self.backend, &self.queue, None);
        self.queue.state.with(State::take).flatten()
    }

    /// As [`wait_next`](Pushes::wait_next) until `deadline`; `Ok(None)` when nothing more comes, `Err(())` when the deadline passed.
    #[allow(clippy::result_unit_err, reason = "the one way to fail is the deadline that the caller gave")]
    pub fn wait_next_until(&mut self, deadline: Instant) -> Result<Option<Result<Push, ClientError>>, ()> {
        if !wait_until(&*self.backend, &self.queue, Some(deadline)) {
            return Err(());
        }
        Ok(self.queue.state.with(State::take).flatten())
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Push, ClientError>>> {
        if !self.queue.ready() {
            self.backend.help(&*self.queue);
        }
        self.queue.state.poll(cx, State::take)
    }
}

impl Drop for Pushes {
    /// What waits is given up at once, not only when the giving side notices.
    fn drop(&mut self) {
        self.queue.state.with(|state| {
            state.end = End::Given;
            state.clear();
        });
    }
}

impl Stream for Pushes {
    type Item = Result<Push, ClientError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use croupier_wire::door::{Output, OutputTo, Request};

    use super::*;
    use crate::ReplySlot;

    struct Nobody;

    impl Backend for Nobody {
        fn submit(&self, _: Request, _: ReplySlot) -> Option<Arc<dyn crate::Help>> {
            None
        }
        fn follow(&self, _: Request, _: ReplySlot, _: PushSink) {}
    }

    fn output(number: u64) -> Push {
        Push::Output(Output { session: 1, number, seq: number, to: OutputTo::All, bytes: vec![] })
    }

    fn text(push: Option<Result<Push, ClientError>>) -> String {
        match push {
            None => "none".into(),
            Some(Ok(Push::Output(output))) => output.number.to_string(),
            Some(Ok(Push::Lagged { lost })) => format!("lagged {lost}"),
            Some(Ok(Push::End)) => "end".into(),
            Some(Ok(Push::Event(_))) => "event".into(),
            Some(Err(_)) => "error".into(),
        }
    }

    #[test]
    fn a_full_queue_drops_counts_and_says_where() {
        let (sink, mut pushes) = PushSink::new(3, Arc::new(Nobody));
        for number in 1..=5 {
            sink.push(output(number));
        }
        assert_eq!(text(pushes.wait_next()), "1");
        sink.push(output(6)); // one place is free, but two are needed
        assert_eq!(text(pushes.wait_next()), "2");
        sink.push(output(7));
        sink.push(Push::End);
        sink.push(output(8));
        let rest: Vec<String> = (0..5).map(|_| text(pushes.wait_next())).collect();
        assert_eq!(rest, ["3", "lagged 3", "7", "end", "none"]);
    }

    #[test]
    fn queues_share_a_budget_and_give_back_what_they_took() {
        let budget = PushBudget::new(2 * PUSH_BYTES);
        let (first, mut taker) = PushSink::within(&budget, 10, Arc::new(Nobody));
        let (second, other) = PushSink::within(&budget, 10, Arc::new(Nobody));
        first.push(output(1));
        second.push(output(2));
        first.push(output(3)); // no room in the budget
        assert_eq!(budget.used(), 2 * PUSH_BYTES);
        assert_eq!(text(taker.wait_next()), "1");
        drop(other);
        assert_eq!(budget.used(), 0);
        second.push(output(4)); // nobody takes any more
        assert_eq!(budget.used(), 0);
        first.push(output(5));
        let rest: Vec<String> = (0..2).map(|_| text(taker.wait_next())).collect();
        assert_eq!(rest, ["lagged 1", "5"]);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_dropped_sink_is_an_error_once() {
        let (sink, mut pushes) = PushSink::new(3, Arc::new(Nobody));
        sink.push(output(1));
        drop(sink);
        let all: Vec<String> = (0..3).map(|_| text(pushes.wait_next())).collect();
        assert_eq!(all, ["1", "error", "none"]);
    }
}
