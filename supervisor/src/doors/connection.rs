//! One client's connection: frames in, answers and pushes out, all in one task.
//!
//! ```text
//!  hello ─▶ hello ─▶ ( request ─▶ backend ─▶ reply )*   replies in any order, pushes between them
//! ```
//!
//! A client that sends nonsense gets one refusal and loses its connection; one that does not read holds up nobody but itself.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use croupier_client::{
    Backend, ClientError, Help, PushBudget, PushSink, Pushes, Replied, Replies, ReplySlot, Wait as _,
};
use croupier_wire::door::{
    self, Code, DOOR_VERSION, OUTSTANDING_PER_CONNECTION_MAX, Push, Refusal, Reply, Request, Verb,
};
use croupier_wire::frame::FrameReader;
use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::{Instant, timeout, timeout_at};

use super::{Door, Side};

/// Pause after a failed accept: descriptors may be short for a moment.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// A whole frame must arrive within this time; so must the hello, from the moment of the connection.
pub const FRAME_DEADLINE: Duration = Duration::from_secs(10);
/// A client must take what it is sent within this time.
pub const WRITE_DEADLINE: Duration = Duration::from_secs(30);
/// Longest time for telling a client that there is no room for it: its socket is empty, so it takes none.
const TURN_AWAY_MAX: Duration = Duration::from_millis(100);
/// Longest first frame: it holds a name and two numbers.
const HELLO_BYTES_MAX: u32 = 16 << 10;
/// Bytes of requests that are under way for one connection; beyond, nothing more is read until one is answered.
const OUTSTANDING_BYTES_MAX: usize = 32 << 20;
/// Requests that are taken in one go; then it is other connections' turn.
const REQUESTS_PER_ROUND: usize = 128;
/// Pushes that wait for a slow follower; beyond, they are dropped and counted.
const PUSHES_MAX: usize = 4096;
/// Bytes of pushes that wait on one connection, over all that it follows; likewise.
const PUSH_BYTES_MAX: usize = 16 << 20;
/// Bytes of replies that are gathered before they are written.
const BATCH_BYTES: usize = 256 << 10;
/// Answers for which there is room without asking for memory.
const REPLIES_KEPT: usize = 1024;
/// Sessions and event streams that one connection may follow.
const FOLLOWS_MAX: usize = 1024;

/// Why a connection ended before the client ended it.
#[derive(Debug, Error)]
enum Broken {
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Nonsense(String),
    #[error("a frame did not arrive whole within {FRAME_DEADLINE:?}")]
    Slow,
    #[error("the client did not read for {WRITE_DEADLINE:?}")]
    Stuck,
}

/// Serves one client, of this user, until it goes or breaks the rules.
pub async fn serve<S: AsyncRead + AsyncWrite + Unpin>(stream: S, uid: u32, door: Door) {
    let (input, output) = tokio::io::split(stream);
    let mut connection = Connection {
        reader: FrameReader::new(DOOR_VERSION, door.frame_bytes_max),
        input,
        output,
        out: Vec::new(),
        uid,
        door,
        partial_since: None,
    };
    if let Err(broken) = connection.run().await {
        tracing::debug!(%broken, "a connection ended");
        match broken {
            Broken::Nonsense(text) => connection.last_words(text).await,
            Broken::Slow => connection.last_words(Broken::Slow.to_string()).await,
            Broken::Io(_) | Broken::Stuck => {}
        }
    }
}

struct Connection<S> {
    reader: FrameReader,
    input: ReadHalf<S>,
    output: WriteHalf<S>,
    out: Vec<u8>,
    uid: u32,
    door: Door,
    partial_since: Option<Instant>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    async fn run(&mut self) -> Result<(), Broken> {
        let Some(client_id) = self.greet().await? else { return Ok(()) };
        let mut calls = Calls::new(self.door.reception.backend(client_id, self.uid));
        let mut replied = VecDeque::new();
        let mut follows = FuturesUnordered::new();
        loop {
            // Each round gives everybody a turn: what has come in, what is answered, what is pushed. So nothing below can starve.
            let taken = self.take_requests(&mut calls)?;
            calls.replies.take(&mut replied);
            while self.out.len() < BATCH_BYTES
                && let Some(Replied { call, bytes, answer }) = replied.pop_front()
            {
                let reply = reply_of(answer);
                let followed = calls.answered(call, bytes, &reply);
                follows.extend(followed.map(|pushes| push_of(call, pushes)));
                self.reply(call, reply);
            }
            while self.out.len() < BATCH_BYTES
                && let Some(Some((call_id, push, pushes))) = follows.next().now_or_never()
            {
                let rest = self.push(&mut calls, call_id, &push, pushes);
                follows.extend(rest.map(|pushes| push_of(call_id, pushes)));
            }
            self.flush().await?;
            if replied.is_empty() {
                replied.shrink_to(REPLIES_KEPT);
            }
            // Answers have made room for requests that have been here all the time.
            let may_take_more = calls.have_room() && self.reader.has_next();
            if taken == REQUESTS_PER_ROUND || !replied.is_empty() || may_take_more {
                tokio::task::yield_now().await;
                continue;
            }
            if calls.look().await {
                continue;
            }
            let deadline = self.frame_deadline();
            // Nothing here is written, and nothing is lost when another branch is faster.
            tokio::select! {
                biased;
                read = self.input.read(self.reader.space()), if calls.have_room() => {
                    let n = read?;
                    if n == 0 {
                        return Ok(());
                    }
                    self.reader.filled(n);
                }
                () = poll_fn(|cx| calls.replies.poll_ready(cx)) => {}
                Some((call_id, push, pushes)) = follows.next(), if !follows.is_empty() => {
                    let rest = self.push(&mut calls, call_id, &push, pushes);
                    follows.extend(rest.map(|pushes| push_of(call_id, pushes)));
                }
                () = tokio::time::sleep_until(deadline), if self.partial_since.is_some() => {
                    return Err(Broken::Slow);
                }
            }
        }
    }

    /// Takes whole requests that have come in, so many at the most, and hands them on at once. Says how many.
    fn take_requests(&mut self, calls: &mut Calls) -> Result<usize, Broken> {
        let taken = self.gather_requests(calls);
        // Also when nonsense came behind them.
        calls.hand_on();
        taken
    }

    fn gather_requests(&mut self, calls: &mut Calls) -> Result<usize, Broken> {
        let mut taken = 0;
        while taken < REQUESTS_PER_ROUND && calls.have_room() {
            let Some((call_id, bytes, request)) = self.next_request()? else { break };
            taken += 1;
            if let Err(refusal) = calls.begin(call_id, bytes, request, self.door.side)? {
                self.reply(call_id, Reply::Refused(*refusal));
            }
        }
        Ok(taken)
    }

    /// Reads the client's hello and says the server's. `None` when the client went before.
    async fn greet(&mut self) -> Result<Option<u64>, Broken> {
        let due = Instant::now() + FRAME_DEADLINE;
        self.reader.set_frame_bytes_max(HELLO_BYTES_MAX.min(self.door.frame_bytes_max));
        let hello = loop {
            match self.reader.next() {
                Ok(Some((header, body))) => {
                    break door::decode_client_hello(&header, body)
                        .map_err(|error| Broken::Nonsense(format!("no hello: {error}")))?;
                }
                Ok(None) => {}
                Err(error) => return Err(Broken::Nonsense(error.to_string())),
            }
            let read = timeout_at(due, self.input.read(self.reader.space()));
            match read.await.map_err(|_| Broken::Slow)?? {
                0 => return Ok(None),
                n => self.reader.filled(n),
            }
        };
        self.reader.set_frame_bytes_max(self.door.frame_bytes_max);
        if hello.version != DOOR_VERSION {
            let text = format!(
                "the client speaks version {} and this supervisor {DOOR_VERSION}: update the older one",
                hello.version
            );
            return Err(Broken::Nonsense(text));
        }
        tracing::debug!(client = hello.client_id, program = hello.program, "a client connected");
        let ours = self.door.hello();
        door::put_server_hello(&mut self.out, &ours, self.door.frame_bytes_max)
            .map_err(|error| Broken::Nonsense(error.to_string()))?;
        self.flush().await?;
        Ok(Some(hello.client_id))
    }

    /// The next whole request in the buffer, with its call id and its length in bytes.
    fn next_request(&mut self) -> Result<Option<(u64, u32, Request)>, Broken> {
        let next = match self.reader.next() {
            Ok(Some((header, body))) => {
                if header.call_id == 0 {
                    return Err(Broken::Nonsense("a request has the call id 0: use 1 and up".to_owned()));
                }
                let request = door::decode_request(&header, body)
                    .map_err(|error| Broken::Nonsense(format!("a request makes no sense: {error}")))?;
                Some((header.call_id, header.len, request))
            }
            Ok(None) => None,
            Err(error) => return Err(Broken::Nonsense(error.to_string())),
        };
        self.partial_since = match (self.reader.is_partial() && next.is_none(), self.partial_since) {
            (false, _) => None,
            (true, since) => since.or_else(|| Some(Instant::now())),
        };
        Ok(next)
    }

    fn frame_deadline(&self) -> Instant {
        self.partial_since.unwrap_or_else(Instant::now) + FRAME_DEADLINE
    }

    fn reply(&mut self, call_id: u64, reply: Reply) {
        if let Err(error) = door::put_reply(&mut self.out, call_id, &reply, self.door.frame_bytes_max) {
            let refusal = refusal(Code::TooBig, format!("the answer cannot be sent: {error}"), "");
            // A refusal of a few lines always fits.
            let _ =
                door::put_reply(&mut self.out, call_id, &Reply::Refused(refusal), self.door.frame_bytes_max);
        }
    }

    /// Puts a push into the outgoing bytes. Gives the rest of them back, unless this was the last.
    fn push(&mut self, calls: &mut Calls, call_id: u64, push: &Push, pushes: Pushes) -> Option<Pushes> {
        if door::put_push(&mut self.out, call_id, push, self.door.frame_bytes_max).is_err() {
            let _ =
                door::put_push(&mut self.out, call_id, &Push::Lagged { lost: 1 }, self.door.frame_bytes_max);
        }
        if *push == Push::End {
            calls.follows.remove(&call_id);
            return None;
        }
        Some(pushes)
    }

    async fn flush(&mut self) -> Result<(), Broken> {
        if self.out.is_empty() {
            return Ok(());
        }
        let since = Instant::now();
        timeout(WRITE_DEADLINE, self.output.write_all(&self.out)).await.map_err(|_| Broken::Stuck)??;
        if let Some(partial_since) = &mut self.partial_since {
            // Nothing was read meanwhile, so the rest of the frame is not late.
            *partial_since += since.elapsed();
        }
        self.out.clear();
        self.out.shrink_to(BATCH_BYTES);
        Ok(())
    }

    /// Tells a client that made no sense why it loses its connection. It may not read it.
    async fn last_words(&mut self, text: String) {
        let hint = "mend the client; what was accepted before is played all the same";
        self.reply(0, Reply::Refused(refusal(Code::Protocol, text, hint)));
        let _ = self.flush().await;
        let _ = self.output.shutdown().await;
    }
}

/// What is going on for one client.
struct Calls {
    backend: Arc<dyn Backend>,
    /// Where answers come in.
    replies: Replies,
    /// Requests that came at once and are not handed on yet.
    together: Vec<(Request, ReplySlot)>,
    /// Who can be helped to get an answer, since turns were handed on.
    help: Option<Arc<dyn Help>>,
    /// Requests that are not answered.
    outstanding: usize,
    /// Their bytes.
    outstanding_bytes: usize,
    /// What is followed, by call id.
    follows: HashMap<u64, Follow>,
    budget: Arc<PushBudget>,
}

/// How far following has come.
enum Follow {
    /// Not answered. What comes waits here: a follow that is refused is none, and nothing is pushed for it, not even its end.
    Asked(Pushes),
    /// Answered; what comes is pushed.
    Going,
}

impl Calls {
    fn new(backend: Arc<dyn Backend>) -> Calls {
        Calls {
            backend,
            replies: Replies::default(),
            together: Vec::new(),
            help: None,
            outstanding: 0,
            outstanding_bytes: 0,
            follows: HashMap::new(),
            budget: PushBudget::new(PUSH_BYTES_MAX),
        }
    }

    /// Whether another request may be read.
    fn have_room(&self) -> bool {
        self.outstanding < OUTSTANDING_PER_CONNECTION_MAX && self.outstanding_bytes < OUTSTANDING_BYTES_MAX
    }

    /// Starts a request. What is refused here is to be answered at once.
    fn begin(
        &mut self,
        call_id: u64,
        bytes: u32,
        request: Request,
        side: Side,
    ) -> Result<Result<(), Box<Refusal>>, Broken> {
        match &request {
            Request::Control(_) if side == Side::Traffic => {
                let text = "the traffic socket takes sessions and turns alone".to_owned();
                return Ok(Err(Box::new(refusal(Code::NotAllowed, text, "use the control socket"))));
            }
            Request::Follow { .. } | Request::Control(Verb::Events { .. }) => {
                if self.follows.contains_key(&call_id) {
                    // Nobody could tell whose pushes are whose.
                    let text = format!("call id {call_id} is used for following already: take another one");
                    return Err(Broken::Nonsense(text));
                }
                if self.follows.len() >= FOLLOWS_MAX {
                    let text = format!("this connection follows {FOLLOWS_MAX} streams already");
                    return Ok(Err(Box::new(refusal(Code::TooBig, text, "use another connection"))));
                }
                // What came before it is taken before it.
                self.hand_on();
                let (sink, pushes) = PushSink::within(&self.budget, PUSHES_MAX, self.backend.clone());
                self.follows.insert(call_id, Follow::Asked(pushes));
                self.backend.follow(request, self.replies.slot(call_id, bytes), sink);
            }
            _ => self.together.push((request, self.replies.slot(call_id, bytes))),
        }
        self.outstanding += 1;
        self.outstanding_bytes += bytes as usize;
        Ok(Ok(()))
    }

    /// Hands on what came at once.
    fn hand_on(&mut self) {
        if !self.together.is_empty() {
            self.help = self.backend.submit_all(std::mem::take(&mut self.together)).or(self.help.take());
        }
    }

    /// Looks itself for an answer, for a moment, when turns were handed on: waking this task through the runtime would take longer than an answer mostly does. Says whether there is one.
    async fn look(&mut self) -> bool {
        let Some(help) = self.help.take().filter(|_| self.outstanding > 0) else { return false };
        // Looking keeps the thread: first everybody else there, who may have something to send as well.
        tokio::task::yield_now().await;
        if !self.replies.ready() {
            help.help(&self.replies);
        }
        self.replies.ready()
    }

    /// A request has its answer. Gives what is to be pushed from now on, when it was a follow.
    fn answered(&mut self, call_id: u64, bytes: u32, reply: &Reply) -> Option<Pushes> {
        self.outstanding -= 1;
        self.outstanding_bytes -= bytes as usize;
        if !matches!(self.follows.get(&call_id), Some(Follow::Asked(_))) {
            return None;
        }
        match reply {
            Reply::Following { .. } | Reply::Control(_) => {
                match self.follows.insert(call_id, Follow::Going) {
                    Some(Follow::Asked(pushes)) => Some(pushes),
                    _ => None,
                }
            }
            _ => {
                self.follows.remove(&call_id);
                None
            }
        }
    }
}

/// Tells a client that there is no room for it. It may try again.
pub async fn turn_away<S: AsyncWrite + Unpin>(mut stream: S, door: &Door) {
    let text =
        format!("the supervisor has its maximum of {} connections on this socket", door.connections_max);
    let reply = Reply::Refused(refusal(Code::Busy, text, "close some, or try again later"));
    let mut frame = Vec::new();
    if door::put_reply(&mut frame, 0, &reply, door.frame_bytes_max).is_ok() {
        let _ = timeout(TURN_AWAY_MAX, stream.write_all(&frame)).await;
        let _ = timeout(TURN_AWAY_MAX, stream.shutdown()).await;
    }
}

fn reply_of(answer: Result<Reply, ClientError>) -> Reply {
    match answer {
        Ok(reply) => reply,
        Err(ClientError::Refused(refusal)) => Reply::Refused(refusal),
        Err(error) => {
            let hint = "repeat it with the same key when the supervisor is back";
            Reply::Refused(refusal(Code::ShuttingDown, format!("the request was dropped: {error}"), hint))
        }
    }
}

async fn push_of(call_id: u64, mut pushes: Pushes) -> (u64, Push, Pushes) {
    let push = match pushes.next().await {
        Some(Ok(push)) => push,
        Some(Err(_)) | None => Push::End,
    };
    (call_id, push, pushes)
}

fn refusal(code: Code, text: String, hint: &str) -> Refusal {
    Refusal { code, plugin: String::new(), session: 0, seq: 0, status: 0, text, hint: hint.to_owned() }
}
