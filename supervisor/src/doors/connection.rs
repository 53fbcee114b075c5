//! One client's connection: frames in, answers and pushes out, all in one task.
//!
//! ```text
//!  hello ─▶ hello ─▶ ( request ─▶ backend ─▶ reply )*   replies in any order, pushes between them
//! ```
//!
//! A client that sends nonsense gets one refusal and loses its connection; one that does not read holds up nobody but itself.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use croupier_client::{Backend, ClientError, Pending, PushSink, Pushes, ReplySlot};
use croupier_wire::door::{
    self, Code, DOOR_VERSION, OUTSTANDING_PER_CONNECTION_MAX, Push, Refusal, Reply, Request, Verb,
};
use croupier_wire::frame::FrameReader;
use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::{Instant, timeout};

use super::{Door, Side};

/// Pause after a failed accept: descriptors may be short for a moment.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// A whole frame must arrive within this time.
const FRAME_DEADLINE: Duration = Duration::from_secs(10);
/// A client must take what it is sent within this time.
const WRITE_DEADLINE: Duration = Duration::from_secs(30);
/// Pushes that wait for a slow follower; beyond, they are dropped and counted.
const PUSHES_MAX: usize = 4096;
/// Bytes of replies that are gathered before they are written.
const BATCH_BYTES: usize = 256 << 10;
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

/// Serves one client until it goes or breaks the rules.
pub async fn serve<S: AsyncRead + AsyncWrite + Unpin>(stream: S, door: Door) {
    let (input, output) = tokio::io::split(stream);
    let mut connection = Connection {
        reader: FrameReader::new(DOOR_VERSION, door.frame_bytes_max),
        input,
        output,
        out: Vec::new(),
        door,
        partial_since: None,
    };
    if let Err(broken) = connection.run().await {
        tracing::debug!(%broken, "a connection ended");
        if let Broken::Nonsense(text) = broken {
            connection.last_words(text).await;
        }
    }
}

struct Connection<S> {
    reader: FrameReader,
    input: ReadHalf<S>,
    output: WriteHalf<S>,
    out: Vec<u8>,
    door: Door,
    partial_since: Option<Instant>,
}

/// What is going on for one client.
struct Calls<P, F> {
    backend: Arc<dyn Backend>,
    pending: P,
    follows: F,
    follow_count: HashMap<u64, ()>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    async fn run(&mut self) -> Result<(), Broken> {
        let Some(client_id) = self.greet().await? else { return Ok(()) };
        let mut calls = Calls {
            backend: self.door.reception.backend(client_id),
            pending: FuturesUnordered::new(),
            follows: FuturesUnordered::new(),
            follow_count: HashMap::new(),
        };
        loop {
            // Take in whatever is whole already, as far as there is room for more requests.
            while calls.pending.len() < OUTSTANDING_PER_CONNECTION_MAX {
                let Some((call_id, request)) = self.next_request()? else { break };
                match calls.begin(call_id, request, self.door.side) {
                    Ok(Begun { pending, pushes }) => {
                        calls.pending.push(answer_of(call_id, pending));
                        calls.follows.extend(pushes.map(|pushes| push_of(call_id, pushes)));
                    }
                    Err(refusal) => self.reply(call_id, Reply::Refused(*refusal)),
                }
            }
            while self.out.len() < BATCH_BYTES
                && let Some(Some((call_id, reply))) = calls.pending.next().now_or_never()
            {
                calls.answered(call_id, &reply);
                self.reply(call_id, reply);
            }
            self.flush().await?;
            let room = calls.pending.len() < OUTSTANDING_PER_CONNECTION_MAX;
            let deadline = self.frame_deadline();
            tokio::select! {
                biased;
                Some((call_id, reply)) = calls.pending.next(), if !calls.pending.is_empty() => {
                    calls.answered(call_id, &reply);
                    self.reply(call_id, reply);
                }
                Some((call_id, push, pushes)) = calls.follows.next(), if !calls.follows.is_empty() => {
                    if !calls.follow_count.contains_key(&call_id) {
                        continue;
                    }
                    self.push(call_id, &push);
                    if push == Push::End {
                        calls.follow_count.remove(&call_id);
                    } else {
                        calls.follows.push(push_of(call_id, pushes));
                    }
                }
                read = self.input.read(self.reader.space()), if room => {
                    let n = read?;
                    if n == 0 {
                        return Ok(());
                    }
                    self.reader.filled(n);
                }
                () = tokio::time::sleep_until(deadline), if self.partial_since.is_some() => {
                    return Err(Broken::Slow);
                }
            }
        }
    }

    /// Reads the client's hello and says the server's. `None` when the client went before.
    async fn greet(&mut self) -> Result<Option<u64>, Broken> {
        let hello = loop {
            match self.reader.next() {
                Ok(Some((header, body))) => {
                    break door::decode_client_hello(&header, body)
                        .map_err(|error| Broken::Nonsense(format!("no hello: {error}")))?;
                }
                Ok(None) => {}
                Err(error) => return Err(Broken::Nonsense(error.to_string())),
            }
            let read = timeout(FRAME_DEADLINE, self.input.read(self.reader.space()));
            match read.await.map_err(|_| Broken::Slow)?? {
                0 => return Ok(None),
                n => self.reader.filled(n),
            }
        };
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

    /// The next whole request in the buffer.
    fn next_request(&mut self) -> Result<Option<(u64, Request)>, Broken> {
        let next = match self.reader.next() {
            Ok(Some((header, body))) => {
                if header.call_id == 0 {
                    return Err(Broken::Nonsense("a request has the call id 0: use 1 and up".to_owned()));
                }
                let request = door::decode_request(&header, body)
                    .map_err(|error| Broken::Nonsense(format!("a request makes no sense: {error}")))?;
                Some((header.call_id, request))
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

    fn push(&mut self, call_id: u64, push: &Push) {
        if door::put_push(&mut self.out, call_id, push, self.door.frame_bytes_max).is_err() {
            let _ =
                door::put_push(&mut self.out, call_id, &Push::Lagged { lost: 1 }, self.door.frame_bytes_max);
        }
    }

    async fn flush(&mut self) -> Result<(), Broken> {
        if self.out.is_empty() {
            return Ok(());
        }
        timeout(WRITE_DEADLINE, self.output.write_all(&self.out)).await.map_err(|_| Broken::Stuck)??;
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

/// A request that is under way.
struct Begun {
    pending: Pending,
    pushes: Option<Pushes>,
}

impl<P, F> Calls<P, F> {
    /// A follow that was refused is none: nothing is pushed for it, not even its end.
    fn answered(&mut self, call_id: u64, reply: &Reply) {
        if matches!(reply, Reply::Refused(_)) {
            self.follow_count.remove(&call_id);
        }
    }

    fn begin(&mut self, call_id: u64, request: Request, side: Side) -> Result<Begun, Box<Refusal>> {
        let (slot, pending) = ReplySlot::new(self.backend.clone());
        let pushes = match &request {
            Request::Control(_) if side == Side::Traffic => {
                let text = "the traffic socket takes sessions and turns alone".to_owned();
                return Err(Box::new(refusal(Code::NotAllowed, text, "use the control socket")));
            }
            Request::Follow { .. } | Request::Control(Verb::Events { .. }) => {
                if self.follow_count.len() >= FOLLOWS_MAX {
                    let text = format!("this connection follows {FOLLOWS_MAX} streams already");
                    return Err(Box::new(refusal(Code::TooBig, text, "use another connection")));
                }
                self.follow_count.insert(call_id, ());
                let (sink, pushes) = PushSink::new(PUSHES_MAX, self.backend.clone());
                self.backend.follow(request, slot, sink);
                Some(pushes)
            }
            _ => {
                self.backend.submit(request, slot);
                None
            }
        };
        Ok(Begun { pending, pushes })
    }
}

async fn answer_of(call_id: u64, pending: Pending) -> (u64, Reply) {
    let reply = match pending.await {
        Ok(reply) => reply,
        Err(ClientError::Refused(refusal)) => Reply::Refused(refusal),
        Err(error) => {
            let hint = "repeat it with the same key when the supervisor is back";
            Reply::Refused(refusal(Code::ShuttingDown, format!("the request was dropped: {error}"), hint))
        }
    };
    (call_id, reply)
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
