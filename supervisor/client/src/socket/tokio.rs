//! A socket for tasks: one task per connection, which reads, writes, and makes the connection again.
//!
//! ```text
//!   submit ──▶ outbox ──▶ task: write what is there │ read what is there ──▶ answers
//!     └─ nothing else under way: written at once, without waking the task
//! ```
//!
//! Requests that come while the task sleeps leave in one write. The task never blocks on a full socket: it reads on meanwhile.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use croupier_wire::door::{DOOR_VERSION, Request, ServerHello};
use croupier_wire::frame::FrameReader;
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::sync::Notify;

use super::table::Table;
use super::{Broken, handshake};
use crate::{Backend, ClientError, ConnectOptions, Help, PushSink, ReplySlot};

pub(crate) struct TokioSocket {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    options: ConnectOptions,
    state: Mutex<State>,
    /// Rung when there is something to write, or the client is gone.
    bell: Notify,
}

struct State {
    table: Table,
    outbox: Vec<u8>,
    /// Whether the task holds bytes that it has not written yet; then nobody else may write.
    is_task_writing: bool,
    stream: Option<Arc<UnixStream>>,
    server: ServerHello,
    life: Life,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Open,
    /// The client was dropped.
    Closed,
    /// The task has ended (its runtime shut down); nothing can be sent any more.
    Over,
}

impl TokioSocket {
    pub(crate) async fn connect(path: &Path, options: ConnectOptions) -> Result<TokioSocket, ClientError> {
        let (stream, frames, server) = match dial(path, &options).await {
            Ok(dialled) => dialled,
            Err(Dial::Connect(source)) => return Err(ClientError::Connect { path: path.to_owned(), source }),
            Err(Dial::Hello(broken)) => return Err(broken.at_first(path)),
        };
        let stream = Arc::new(stream);
        let state = State {
            table: Table::new(options.reconnect.attempts > 0),
            outbox: Vec::new(),
            is_task_writing: false,
            stream: Some(stream.clone()),
            server,
            life: Life::Open,
        };
        let shared = Arc::new(Shared {
            path: path.to_owned(),
            options,
            state: Mutex::new(state),
            bell: Notify::new(),
        });
        let task = Task {
            shared: shared.clone(),
            stream: Some(stream),
            frames,
            writing: Vec::new(),
            written: 0,
            attempts: 0,
        };
        tokio::spawn(task.run());
        Ok(TokioSocket { shared })
    }

    fn send(&self, request: Request, slot: ReplySlot, sink: Option<PushSink>) {
        let mut guard = self.shared.lock();
        let State { table, outbox, is_task_writing, stream, server, life } = &mut *guard;
        if *life == Life::Over {
            drop(guard);
            drop((slot, sink)); // which tells both that the supervisor is gone
            return;
        }
        let was_empty = outbox.is_empty();
        let id = table.insert(request, slot, sink);
        let Some(stream) = stream else {
            // The task sends it when it has made the connection again.
            drop(guard);
            self.shared.bell.notify_one();
            return;
        };
        table.put(id, outbox, server.frame_bytes_max);
        if was_empty && !*is_task_writing && table.len() == 1 {
            // Nothing else is under way, so nothing is gained by leaving the write to the task.
            if let Ok(n) = stream.try_write(outbox) {
                outbox.drain(..n);
            }
        }
        let is_left = was_empty && !outbox.is_empty();
        drop(guard);
        if is_left {
            self.shared.bell.notify_one();
        }
    }
}

impl Drop for TokioSocket {
    fn drop(&mut self) {
        self.shared.lock().life = Life::Closed;
        self.shared.bell.notify_one();
    }
}

impl Backend for TokioSocket {
    fn submit(&self, request: Request, reply: ReplySlot) -> Option<Arc<dyn Help>> {
        self.send(request, reply, None);
        None
    }

    fn follow(&self, request: Request, reply: ReplySlot, pushes: PushSink) {
        self.send(request, reply, Some(pushes));
    }

    fn server(&self) -> Option<ServerHello> {
        Some(self.shared.lock().server.clone())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Task {
    shared: Arc<Shared>,
    stream: Option<Arc<UnixStream>>,
    frames: FrameReader,
    /// Taken from the outbox; `written` bytes of it are gone.
    writing: Vec<u8>,
    written: usize,
    /// Attempts to connect since the last frame that came.
    attempts: u32,
}

/// Why the task woke up.
enum Wake {
    Ready(tokio::io::Ready),
    Bell,
}

impl Task {
    async fn run(mut self) {
        loop {
            {
                let state = self.shared.lock();
                if state.life == Life::Closed && state.table.is_idle() {
                    return;
                }
            }
            let Some(stream) = self.stream.clone() else {
                self.asleep().await;
                continue;
            };
            if let Err(broken) = self.turn(&stream).await {
                self.recover(broken).await;
            }
        }
    }

    /// Without a connection and without anything to send.
    async fn asleep(&mut self) {
        if self.shared.lock().table.is_idle() {
            self.shared.bell.notified().await;
        } else {
            self.recover(Broken::Away("it was lost before".to_owned())).await;
        }
    }

    /// Waits until something can be done on the connection, and does it.
    async fn turn(&mut self, stream: &UnixStream) -> Result<(), Broken> {
        self.fill();
        let interest = match self.writing.is_empty() {
            true => Interest::READABLE,
            false => Interest::READABLE | Interest::WRITABLE,
        };
        let patience = self.shared.lock().table.patience();
        let gone = async {
            match patience {
                Some(patience) => tokio::time::sleep(patience).await,
                None => std::future::pending().await,
            }
        };
        let wake = tokio::select! {
            () = gone => return self.shared.lock().table.check_gone(),
            ready = stream.ready(interest) => Wake::Ready(ready?),
            () = self.shared.bell.notified() => Wake::Bell,
        };
        let Wake::Ready(ready) = wake else {
            self.fill();
            return self.write(stream);
        };
        if ready.is_writable() {
            self.write(stream)?;
        }
        if ready.is_readable() || ready.is_read_closed() || ready.is_error() {
            self.read(stream)?;
        }
        Ok(())
    }

    /// Takes what is in the outbox, once the last lot is written.
    fn fill(&mut self) {
        if self.writing.is_empty() {
            let mut state = self.shared.lock();
            std::mem::swap(&mut self.writing, &mut state.outbox);
            state.is_task_writing = !self.writing.is_empty();
            self.written = 0;
        }
    }

    fn write(&mut self, stream: &UnixStream) -> Result<(), Broken> {
        if self.writing.is_empty() {
            return Ok(());
        }
        while self.written < self.writing.len() {
            match stream.try_write(&self.writing[self.written..]) {
                Ok(n) => self.written += n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        self.writing.clear();
        self.written = 0;
        self.shared.lock().is_task_writing = false;
        Ok(())
    }

    fn read(&mut self, stream: &UnixStream) -> Result<(), Broken> {
        match stream.try_read(self.frames.space()) {
            Ok(0) => return Err(Broken::eof()),
            Ok(n) => self.frames.filled(n),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
        while let Some((header, body)) = self.frames.next()? {
            self.attempts = 0;
            let delivery = self.shared.lock().table.take(&header, body)?;
            delivery.deliver();
        }
        Ok(())
    }

    /// Makes the connection again and queues what is unanswered, or fails it all.
    async fn recover(&mut self, mut broken: Broken) {
        self.disconnect();
        let reconnect = self.shared.options.reconnect;
        while matches!(broken, Broken::Away(_)) && self.attempts < reconnect.attempts {
            if self.shared.lock().table.is_idle() {
                return;
            }
            tokio::time::sleep(reconnect.pause(self.attempts)).await;
            self.attempts += 1;
            match dial(&self.shared.path, &self.shared.options).await {
                Ok((stream, frames, server)) => {
                    self.resume(stream, frames, server);
                    return;
                }
                Err(Dial::Connect(error)) => broken = error.into(),
                Err(Dial::Hello(error)) => broken = error,
            }
        }
        let attempts = std::mem::take(&mut self.attempts);
        let path = &self.shared.path;
        self.shared.lock().table.fail_all(|| broken.error(path, attempts));
    }

    fn disconnect(&mut self) {
        self.stream = None;
        self.writing.clear();
        self.written = 0;
        let mut state = self.shared.lock();
        state.stream = None;
        state.is_task_writing = false;
        state.outbox.clear();
        state.table.broken(&self.shared.path);
    }

    fn resume(&mut self, stream: UnixStream, frames: FrameReader, server: ServerHello) {
        let stream = Arc::new(stream);
        self.stream = Some(stream.clone());
        self.frames = frames;
        let mut guard = self.shared.lock();
        let state = &mut *guard;
        state.outbox.clear();
        state.table.put_all(&mut state.outbox, server.frame_bytes_max);
        state.stream = Some(stream);
        state.server = server;
    }
}

impl Drop for Task {
    /// Also when the runtime shuts down and drops the task in the middle.
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.life = Life::Over;
        state.table.fail_all(|| ClientError::Gone);
    }
}

enum Dial {
    Connect(std::io::Error),
    Hello(Broken),
}

/// Connects and shakes hands.
async fn dial(path: &Path, options: &ConnectOptions) -> Result<(UnixStream, FrameReader, ServerHello), Dial> {
    let stream = UnixStream::connect(path).await.map_err(Dial::Connect)?;
    let greeted = tokio::time::timeout(options.hello_timeout, greet(&stream, options)).await;
    match greeted {
        Ok(Ok((frames, server))) => Ok((stream, frames, server)),
        Ok(Err(broken)) => Err(Dial::Hello(broken)),
        Err(_) => Err(Dial::Hello(Broken::Away(format!("no hello within {:?}", options.hello_timeout)))),
    }
}

async fn greet(stream: &UnixStream, options: &ConnectOptions) -> Result<(FrameReader, ServerHello), Broken> {
    let hello = handshake::hello(options)?;
    let mut left = &hello[..];
    while !left.is_empty() {
        stream.writable().await?;
        match stream.try_write(left) {
            Ok(n) => left = &left[n..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
    }
    let mut frames = FrameReader::new(DOOR_VERSION, options.frame_bytes_max);
    loop {
        if let Some(server) = handshake::welcome(&mut frames)? {
            return Ok((frames, server));
        }
        stream.readable().await?;
        match stream.try_read(frames.space()) {
            Ok(0) => return Err(Broken::eof()),
            Ok(n) => frames.filled(n),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
    }
}
