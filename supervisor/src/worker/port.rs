//! Frames over a link: what waits to go out, and what came in half.
//!
//! ```text
//!  put(message) ─▶ outgoing bytes ─flush─▶ link           link ─receive─▶ frame reader ─▶ each(message)
//! ```
//!
//! Any thread may put, flush and receive; nothing here blocks. What the link does not take stays until it becomes writable, and
//! whoever watches the link is told. Not the meaning of messages: see [`crate::game`].

use std::io;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use croupier_wire::codec::EncodeError;
use croupier_wire::frame::FrameReader;
use croupier_wire::link::{FromWorker, LINK_VERSION, Limits, Tick, ToWorker, decode_from_worker};
use tokio::sync::Notify;

use super::lending::Lending;
use super::link::{Armed, Looked, ToldBy, WayIn, WayOut, Ways};
use super::rate::{BURST_S, Rate, Spent};
use super::ticks::Ticks;

/// Longest time from the first byte of a frame to its last. Longer, and the worker is dripping.
pub const PARTIAL_FRAME_MAX: Duration = Duration::from_secs(5);
/// What a frame counts for beside its bytes: the smallest ones cost us as much as some that are longer.
const FRAME_COST_BYTES: u64 = 240;
/// Reads from a link in one [`Port::receive`], so that one worker's flood does not keep a thread for ever.
const READS_PER_RECEIVE: usize = 16;
/// Bytes at the front of the outgoing buffer that are out already and may stay there; beyond, what is left moves up.
const SENT_BYTES_MAX: usize = 256 << 10;
/// A thread that slept less than this would better have looked on: waking it takes about as long.
const SHORT_SLEEP: Duration = Duration::from_micros(150);
/// An outgoing buffer above this many bytes is given back when it is empty.
const OUT_KEPT_BYTES_MAX: usize = 1 << 20;

/// One worker's link with its buffers.
pub struct Port {
    limits: Limits,
    told_by: ToldBy,
    out: Mutex<Out>,
    pub(super) input: Mutex<Input>,
    want_write: Notify,
    want_look: Notify,
    /// Who would notice that something has come.
    pub(super) lending: Lending,
}

struct Out {
    way: Box<dyn WayOut>,
    bytes: Vec<u8>,
    /// Ticks that become one frame behind `bytes`.
    ticks: Ticks,
    sent: usize,
    closed: bool,
}

impl Out {
    /// A worker that is always a little behind never leaves this empty; what it has taken must not pile up.
    fn forget_sent(&mut self) {
        if self.sent > SENT_BYTES_MAX && self.sent >= self.bytes.len() / 2 {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
    }
}

pub(super) struct Input {
    pub(super) way: Box<dyn WayIn>,
    reader: FrameReader,
    /// Bytes that may come.
    rate: Rate,
    since: Instant,
    partial_since: Option<Instant>,
    /// A thread looked in vain then, and nothing has come since.
    pub(super) in_vain_since: Option<Instant>,
    broken: bool,
    /// The worker said that it faulted: what it sent until then was taken, and nothing that comes later is.
    faulted: bool,
    /// And it did send more. Whoever sees it first may not be the one who ends it, so it stays said.
    after_fault: bool,
}

/// How far a receive came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// Nothing is there any more.
    Drained,
    /// There may be more.
    More,
    /// The worker has closed its end.
    Ended,
    /// What came is not what a worker may say. Nothing is received any more.
    Broken(String),
    /// It had said that it faulted, and sent more. None of it is taken.
    AfterFault,
}

/// How far a flush came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flushed {
    /// Everything is out (or the worker is gone, and nothing matters).
    All,
    /// The link takes no more until its socket is ready again.
    Blocked,
    /// The worker broke the link's rules. Nothing is sent any more.
    Broken(String),
}

/// Whether one may wait for the link's socket now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ready {
    /// Yes.
    Sleep,
    /// No: receive first.
    Receive(Received),
}

impl std::fmt::Debug for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Port").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Port {
    /// Over this link, within these limits, and with so many bytes a second from the worker. (What a replay answers is a few bytes a turn; everything else has been asked for, or is
    /// a log line.)
    pub fn new(link: Ways, limits: Limits, bytes_per_s: u64) -> Port {
        let reader = FrameReader::new(LINK_VERSION, limits.frame_bytes);
        let rate = Rate::new(bytes_per_s, limits.frame_bytes.into());
        let since = Instant::now();
        let way = link.back;
        let input = Mutex::new(Input {
            way,
            reader,
            rate,
            since,
            partial_since: None,
            in_vain_since: None,
            broken: false,
            faulted: false,
            after_fault: false,
        });
        let told_by = link.out.told_by();
        let out = Mutex::new(Out {
            way: link.out,
            bytes: Vec::new(),
            ticks: Ticks::new(limits.frame_bytes),
            sent: 0,
            closed: false,
        });
        Port {
            limits,
            told_by,
            out,
            input,
            want_write: Notify::new(),
            want_look: Notify::new(),
            lending: Lending::default(),
        }
    }

    /// What the worker must keep to.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Appends a message to what goes out; [`Port::flush`] sends it.
    ///
    /// # Errors
    /// When it does not fit a frame; then nothing was appended.
    pub fn put(&self, message: &ToWorker<'_>, flags: u8, call: u64) -> Result<(), EncodeError> {
        let out = &mut *crate::lock(&self.out);
        out.ticks.close(&mut out.bytes)?;
        message.put(&mut out.bytes, flags, call, self.limits.frame_bytes)
    }

    /// As [`Port::put`], for a tick: those whose calls follow each other go out in one frame.
    ///
    /// # Errors
    /// As [`Port::put`].
    pub fn put_tick(&self, tick: Tick, call: u64) -> Result<(), EncodeError> {
        let out = &mut *crate::lock(&self.out);
        out.ticks.put(&mut out.bytes, tick, call)
    }

    /// Sends what the link takes now. When something is left, [`Port::wants_write`] completes.
    pub fn flush(&self) -> Flushed {
        let flushed = self.try_flush();
        if flushed == Flushed::Blocked {
            self.want_write.notify_one();
        }
        flushed
    }

    /// As [`Port::flush`], for the one who watches for writability.
    pub fn try_flush(&self) -> Flushed {
        let out = &mut *crate::lock(&self.out);
        let closed = out.ticks.close(&mut out.bytes);
        debug_assert_eq!(closed, Ok(()), "they fit: so many are let in");
        while !out.closed && out.sent < out.bytes.len() {
            match out.way.try_send(&out.bytes[out.sent..]) {
                Ok(0) => out.closed = true,
                Ok(sent) => out.sent += sent,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    out.forget_sent();
                    return Flushed::Blocked;
                }
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    out.closed = true;
                    return Flushed::Broken(error.to_string());
                }
                // The worker is gone; its death is reported by its pidfd.
                Err(_) => out.closed = true,
            }
        }
        out.sent = 0;
        out.bytes.clear();
        if out.bytes.capacity() > OUT_KEPT_BYTES_MAX {
            out.bytes = Vec::new();
        }
        Flushed::All
    }

    /// How one learns that there is room for what a flush left.
    pub fn told_by(&self) -> ToldBy {
        self.told_by
    }

    /// Completes when a flush left something.
    pub async fn wants_write(&self) {
        self.want_write.notified().await;
    }

    /// Something is there of which the socket does not tell: [`Port::wants_look`] completes.
    pub fn look(&self) {
        self.want_look.notify_one();
    }

    /// Completes when something is there of which the socket does not tell.
    pub async fn wants_look(&self) {
        self.want_look.notified().await;
    }

    /// Receives what is there, up to a bound, and gives each message with its call id to `take`; then `done` is called once, still in turn with other threads
    /// that receive, so that whatever `take` collected can be passed on in order. `take` says why a message is not acceptable.
    pub fn receive<C>(
        &self,
        collected: C,
        take: impl FnMut(&mut C, u64, FromWorker<'_>) -> Result<(), String>,
        done: impl FnOnce(C),
    ) -> Received {
        self.receive_under(&mut crate::lock(&self.input), collected, take, done)
    }

    /// As [`Port::receive`], for the last time: whatever the worker sends from now on is [`Received::AfterFault`].
    pub fn receive_last<C>(
        &self,
        collected: C,
        take: impl FnMut(&mut C, u64, FromWorker<'_>) -> Result<(), String>,
        done: impl FnOnce(C),
    ) -> Received {
        let mut input = crate::lock(&self.input);
        // An honest worker's socket holds far less than is read here at once.
        let received = self.receive_under(&mut input, collected, take, done);
        input.faulted = true;
        received
    }

    fn receive_under<C>(
        &self,
        input: &mut Input,
        mut collected: C,
        mut take: impl FnMut(&mut C, u64, FromWorker<'_>) -> Result<(), String>,
        done: impl FnOnce(C),
    ) -> Received {
        let mut received = Received::More;
        if input.broken {
            return Received::Ended;
        }
        for _ in 0..READS_PER_RECEIVE {
            received = input.read_once(|call, message| take(&mut collected, call, message));
            if received != Received::More {
                break;
            }
        }
        input.broken = matches!(received, Received::Broken(_));
        done(collected);
        received
    }

    /// To be called when nothing is there, before waiting for the link's socket.
    pub fn arm(&self) -> Ready {
        let input = &mut *crate::lock(&self.input);
        if input.broken {
            return Ready::Receive(Received::Ended);
        }
        if self.take_up_ring(input) {
            return Ready::Receive(Received::More);
        }
        let (ready, rung) = match input.way.arm() {
            Ok(Armed::Sleep { rung }) => (Ready::Sleep, rung),
            Ok(Armed::Look { rung }) => (Ready::Receive(Received::More), rung),
            Ok(Armed::Ended) => (Ready::Receive(Received::Ended), 0),
            Err(error) => return input.end(error.to_string()),
        };
        // One more than it was asked for may come now and then; a flood of them is one.
        match input.spend(rung as u64 * FRAME_COST_BYTES) {
            Ok(()) => ready,
            Err(why) => input.end(why),
        }
    }

    /// By when the frame that has begun must be whole; none when none has begun.
    pub fn frame_due(&self) -> Option<Instant> {
        crate::lock(&self.input).partial_since.map(|since| since + PARTIAL_FRAME_MAX)
    }
}

impl Input {
    /// Something came. Without this the time for looking falls below what an answer takes, and sticks there.
    fn learn_from_sleep(&mut self) {
        if let Some(since) = self.in_vain_since.take()
            && since.elapsed() < SHORT_SLEEP
            && let Some(lookout) = self.way.lookout()
        {
            lookout.learn(Looked::CameSoonAfter);
        }
    }

    /// Nothing is received any more.
    fn end(&mut self, why: String) -> Ready {
        self.broken = true;
        Ready::Receive(Received::Broken(why))
    }

    /// It has sent so many bytes, or what counts for them.
    fn spend(&mut self, bytes: u64) -> Result<(), String> {
        match self.rate.spend(bytes, || self.since.elapsed()) {
            Spent::Within => Ok(()),
            Spent::Over => Err(format!(
                "it sent more than its {} MiB a second (link_mib_per_s), for {BURST_S} s or all at once",
                self.rate.per_s() >> 20
            )),
        }
    }

    fn read_once(&mut self, mut take: impl FnMut(u64, FromWorker<'_>) -> Result<(), String>) -> Received {
        let mut spent;
        match self.way.try_recv(self.reader.space()) {
            Ok(0) => return Received::Ended,
            // It lies in the reader's space, and is never looked at.
            Ok(_) if self.faulted => {
                self.after_fault = true;
                return Received::AfterFault;
            }
            Ok(read) => {
                self.reader.filled(read);
                spent = read as u64;
                self.learn_from_sleep();
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Received::More,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && self.after_fault => {
                return Received::AfterFault;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Received::Drained,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Received::Broken(error.to_string());
            }
            Err(_) => return Received::Ended,
        }
        let mut whole = false;
        loop {
            let (header, body) = match self.reader.next() {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(error) => return Received::Broken(error.to_string()),
            };
            whole = true;
            spent += FRAME_COST_BYTES;
            let taken = match decode_from_worker(&header, body) {
                Ok(message) => take(header.call_id, message),
                Err(error) => Err(error.to_string()),
            };
            if let Err(why) = taken {
                return Received::Broken(why);
            }
        }
        if let Err(why) = self.spend(spent) {
            return Received::Broken(why);
        }
        if !self.reader.is_partial() {
            self.partial_since = None;
        } else if whole || self.partial_since.is_none() {
            self.partial_since = Some(Instant::now());
        }
        Received::More
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::worker::link::SocketLink;

    const LIMITS: Limits = Limits {
        frame_bytes: 1 << 20,
        reply_bytes: 1 << 10,
        snapshot_bytes: 1 << 10,
        effects_per_turn: 4,
        effect_bytes: 1 << 10,
    };

    /// Bytes that a worker may send in a second.
    const PER_S: u64 = 1 << 20;

    fn pair() -> (Port, UnixStream) {
        let (ours, theirs) = UnixStream::pair().expect("a socket pair");
        (Port::new(SocketLink::new(ours).expect("non-blocking").ways(), LIMITS, PER_S), theirs)
    }

    fn receive(port: &Port) -> (Received, Vec<u64>) {
        let mut calls = Vec::new();
        let received = port.receive(
            Vec::new(),
            |calls, call, _| {
                calls.push(call);
                Ok(())
            },
            |all| calls = all,
        );
        (received, calls)
    }

    #[test]
    fn frames_come_whole_and_half_and_the_end_is_seen() {
        use std::io::Write as _;
        let (port, mut worker) = pair();
        let mut bytes = Vec::new();
        for call in 1..=3 {
            FromWorker::Ok.put(&mut bytes, call, LIMITS.frame_bytes).expect("fits");
        }
        worker.write_all(&bytes[..bytes.len() - 1]).expect("room");
        assert_eq!(receive(&port), (Received::Drained, vec![1, 2]));
        assert!(port.frame_due().is_some());
        worker.write_all(&bytes[bytes.len() - 1..]).expect("room");
        assert_eq!(receive(&port), (Received::Drained, vec![3]));
        assert!(port.frame_due().is_none());
        drop(worker);
        assert_eq!(receive(&port), (Received::Ended, vec![]));
    }

    #[test]
    fn babble_breaks_the_port_once_and_nothing_is_taken_afterwards() {
        use std::io::Write as _;
        let (port, mut worker) = pair();
        worker.write_all(&[0xff; 64]).expect("room");
        let (received, _) = receive(&port);
        assert!(matches!(received, Received::Broken(_)), "{received:?}");
        assert_eq!(receive(&port).0, Received::Ended);
    }

    #[test]
    fn who_sends_more_than_its_bytes_a_second_is_heard_no_more() {
        use std::io::Write as _;
        let (port, mut worker) = pair();
        let line = "x".repeat(100_000);
        let mut frame = Vec::new();
        FromWorker::Log { level: 1, text: &line }.put(&mut frame, 0, LIMITS.frame_bytes).expect("fits");
        let mut sent = 0;
        let why = loop {
            worker.write_all(&frame).expect("room");
            sent += frame.len() as u64;
            match receive(&port).0 {
                Received::Broken(why) => break why,
                other => assert_eq!(other, Received::Drained, "after {sent} bytes"),
            }
        };
        assert!(sent > PER_S * BURST_S, "what is saved up for {BURST_S} s: {sent}");
        assert!(why.contains("more than its 1 MiB a second (link_mib_per_s)"), "{why}");
        assert_eq!(receive(&port).0, Received::Ended);
    }

    #[test]
    fn small_frames_count_for_more_than_their_bytes() {
        use std::io::Write as _;
        let (port, mut worker) = pair();
        let mut frame = Vec::new();
        FromWorker::Ok.put(&mut frame, 7, LIMITS.frame_bytes).expect("fits");
        let many = frame.repeat(1000);
        let mut sent = 0;
        while let Received::Drained = receive(&port).0 {
            worker.write_all(&many).expect("room");
            sent += 1000;
        }
        let at_once = PER_S * BURST_S / (FRAME_COST_BYTES + frame.len() as u64);
        assert!(sent > at_once && sent * (frame.len() as u64) < PER_S * BURST_S, "{sent} frames");
    }

    #[test]
    fn what_was_sent_before_a_fault_is_taken_and_nothing_that_comes_later() {
        use std::io::Write as _;
        let (port, mut worker) = pair();
        let mut frame = Vec::new();
        FromWorker::Ok.put(&mut frame, 7, LIMITS.frame_bytes).expect("fits");
        worker.write_all(&frame).expect("room");
        worker.write_all(&frame[..3]).expect("room");
        let mut calls = Vec::new();
        let take = |calls: &mut Vec<u64>, call, _: FromWorker<'_>| {
            calls.push(call);
            Ok(())
        };
        assert_eq!(port.receive_last(Vec::new(), take, |all| calls = all), Received::Drained);
        assert_eq!(calls, [7]);
        assert_eq!(receive(&port), (Received::Drained, vec![]), "silence is no offence");
        worker.write_all(&frame[3..]).expect("room");
        assert_eq!(receive(&port), (Received::AfterFault, vec![]), "not the rest of what had begun either");
        assert_eq!(receive(&port), (Received::AfterFault, vec![]), "and it stays said, whoever saw it first");
        drop(worker);
        assert_eq!(receive(&port), (Received::Ended, vec![]));
    }

    #[test]
    fn what_a_slow_worker_has_taken_does_not_pile_up() {
        use std::io::Read as _;
        let (port, mut worker) = pair();
        let payload = vec![7; 100_000];
        let message = ToWorker::Restore { session: 1, state_version: 1, snapshot: &payload };
        let mut taken = vec![0; payload.len() + 64];
        for call in 1..=1000 {
            port.put(&message, 0, call).expect("fits");
            // Always a little behind: the buffer is never empty.
            while port.flush() == Flushed::All {
                port.put(&message, 0, call).expect("fits");
            }
            worker.read_exact(&mut taken).expect("reads");
        }
        let kept = crate::lock(&port.out).bytes.len();
        assert!(kept < 4 << 20, "{kept} bytes are kept");
    }

    #[test]
    fn what_does_not_fit_waits_and_goes_out_later_in_order() {
        use std::io::Read as _;
        let (port, mut worker) = pair();
        let payload = vec![7; 100_000];
        let frames = 40;
        for call in 1..=frames {
            let message = ToWorker::Restore { session: 1, state_version: 1, snapshot: &payload };
            port.put(&message, 0, call).expect("fits");
        }
        assert_eq!(port.flush(), Flushed::Blocked);
        let reader = std::thread::spawn(move || {
            let mut all = Vec::new();
            worker.read_to_end(&mut all).expect("reads");
            all
        });
        while port.flush() == Flushed::Blocked {
            std::thread::yield_now();
        }
        drop(port);
        let all = reader.join().expect("no panic");
        let mut frames_seen = FrameReader::new(LINK_VERSION, LIMITS.frame_bytes);
        let mut calls = Vec::new();
        for chunk in all.chunks(10_000) {
            let mut rest = chunk;
            while !rest.is_empty() {
                let space = frames_seen.space();
                let fits = rest.len().min(space.len());
                space[..fits].copy_from_slice(&rest[..fits]);
                frames_seen.filled(fits);
                rest = &rest[fits..];
                while let Some((header, _)) = frames_seen.next().expect("frames") {
                    calls.push(header.call_id);
                }
            }
        }
        assert_eq!(calls, (1..=frames).collect::<Vec<_>>());
    }
}
