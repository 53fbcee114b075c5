//! A socket for threads, without a thread of its own.
//!
//! ```text
//!   thread A waits ─▶ leads: reads, hands out A's, B's and C's answers ─▶ A's is there: pokes B
//!   thread B waits ─▶ parks ······································· leads …
//!   thread C waits ─▶ parks ···· C's answer came: returns
//! ```
//!
//! Exactly one waiting thread reads at a time (the leader); the others park on what they wait for. Only the leader makes a broken connection
//! again. Lock order: writer, then table; reader, then table. The leader takes the writer while it holds the reader only after it has shut the stream
//! down, so that a thread that is stuck in a write lets go. The turnstile is never held while another lock is taken.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use croupier_wire::door::{DOOR_VERSION, Request, ServerHello};
use croupier_wire::frame::FrameReader;

use super::table::Table;
use super::{Broken, handshake};
use crate::{Backend, ClientError, ConnectOptions, Help, PushSink, ReplySlot, Wait};

/// How long a write may find no room before the writing thread reads a little instead, so that two sides that both only write get unstuck.
const WRITE_PATIENCE: Duration = Duration::from_millis(5);
/// How long a leader parks when there is nothing to read from and nothing to ask for.
const IDLE_PARK: Duration = Duration::from_millis(50);
/// Shortest read timeout: zero would mean "for ever".
const READ_TIMEOUT_MIN: Duration = Duration::from_millis(1);

pub(crate) struct BlockingSocket {
    path: PathBuf,
    options: ConnectOptions,
    turnstile: Mutex<Turnstile>,
    reader: Mutex<Reader>,
    writer: Mutex<Writer>,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Turnstile {
    has_leader: bool,
    /// Who parks and could lead.
    parked: Vec<Arc<dyn Wait>>,
}

/// The leader's.
struct Reader {
    stream: Option<Arc<UnixStream>>,
    frames: FrameReader,
    /// The timeout that is set on the stream.
    timeout: Option<Duration>,
    /// Attempts to connect since the last frame that came.
    attempts: u32,
}

struct Writer {
    stream: Option<Arc<UnixStream>>,
    buffer: Vec<u8>,
    server: ServerHello,
}

impl BlockingSocket {
    pub(crate) fn connect(path: &Path, options: ConnectOptions) -> Result<BlockingSocket, ClientError> {
        let (stream, frames, server) = match dial(path, &options) {
            Ok(dialled) => dialled,
            Err(Dial::Connect(source)) => return Err(ClientError::Connect { path: path.to_owned(), source }),
            Err(Dial::Hello(broken)) => return Err(broken.at_first(path)),
        };
        let stream = Arc::new(stream);
        Ok(BlockingSocket {
            path: path.to_owned(),
            table: Mutex::new(Table::new(options.reconnect.attempts > 0)),
            options,
            turnstile: Mutex::default(),
            reader: Mutex::new(Reader { stream: Some(stream.clone()), frames, timeout: None, attempts: 0 }),
            writer: Mutex::new(Writer { stream: Some(stream), buffer: Vec::new(), server }),
        })
    }

    fn send(&self, request: Request, slot: ReplySlot, sink: Option<PushSink>) {
        let mut writer = lock(&self.writer);
        let Writer { stream, buffer, server } = &mut *writer;
        buffer.clear();
        {
            let mut table = lock(&self.table);
            let id = table.insert(request, slot, sink);
            if stream.is_some() {
                table.put(id, buffer, server.frame_bytes_max);
            }
        }
        if let Some(stream) = stream {
            // A failed write is the reader's to find out: the request is in the table, and is sent again from there.
            let _ = write_all(stream, buffer, || self.read_a_little());
        }
    }

    /// While a write finds no room: reads, if nobody does.
    fn read_a_little(&self) -> Result<(), Broken> {
        if !std::mem::replace(&mut lock(&self.turnstile).has_leader, true) {
            let read = lock(&self.reader).read(&self.table, Some(WRITE_PATIENCE));
            self.step_down();
            return read.map(|_| ());
        }
        Ok(())
    }

    /// Reads until `on` is ready or the deadline has passed.
    fn lead(&self, on: &dyn Wait, deadline: Option<Instant>) {
        let mut reader = lock(&self.reader);
        while !on.ready() {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return;
            }
            if reader.stream.is_none() && lock(&self.table).is_idle() {
                on.park(Some(Instant::now() + left.unwrap_or(IDLE_PARK).min(IDLE_PARK)));
                continue;
            }
            let patience = lock(&self.table).patience();
            let wait = left.into_iter().chain(patience).min();
            let read = reader.read(&self.table, wait).and_then(|()| lock(&self.table).check_gone());
            if let Err(broken) = read {
                self.recover(&mut reader, broken);
            }
        }
    }

    /// Lets another parked thread lead.
    fn step_down(&self) {
        let mut turnstile = lock(&self.turnstile);
        turnstile.has_leader = false;
        elect(&mut turnstile);
    }

    /// Makes the connection again and sends what is unanswered, or fails it all.
    fn recover(&self, reader: &mut Reader, mut broken: Broken) {
        if let Some(stream) = reader.stream.take() {
            // Already gone as a rule; if not, whoever is stuck in a write to it lets go of the writer now.
            let _ = stream.shutdown(Shutdown::Both);
        }
        {
            let mut writer = lock(&self.writer);
            writer.stream = None;
            lock(&self.table).broken(&self.path);
        }
        let reconnect = self.options.reconnect;
        while matches!(broken, Broken::Away(_)) && reader.attempts < reconnect.attempts {
            if lock(&self.table).is_idle() {
                return;
            }
            std::thread::sleep(reconnect.pause(reader.attempts));
            reader.attempts += 1;
            match dial(&self.path, &self.options) {
                Ok((stream, frames, server)) => match self.resume(reader, stream, frames, server) {
                    Ok(()) => return,
                    Err(again) => broken = again,
                },
                Err(Dial::Connect(error)) => broken = error.into(),
                Err(Dial::Hello(error)) => broken = error,
            }
        }
        let attempts = std::mem::take(&mut reader.attempts);
        lock(&self.table).fail_all(|| broken.error(&self.path, attempts));
    }

    fn resume(
        &self,
        reader: &mut Reader,
        stream: UnixStream,
        frames: FrameReader,
        server: ServerHello,
    ) -> Result<(), Broken> {
        let stream = Arc::new(stream);
        (reader.stream, reader.frames, reader.timeout) = (Some(stream.clone()), frames, None);
        // Held until all is sent: a new request must not overtake the old ones of its session.
        let mut writer = lock(&self.writer);
        let mut buffer = Vec::new();
        lock(&self.table).put_all(&mut buffer, server.frame_bytes_max);
        (writer.stream, writer.server) = (Some(stream.clone()), server);
        let sent = write_all(&stream, &buffer, || reader.read(&self.table, Some(WRITE_PATIENCE)).map(|_| ()));
        if sent.is_err() {
            (reader.stream, writer.stream) = (None, None);
            lock(&self.table).broken(&self.path);
        }
        sent
    }
}

impl Reader {
    /// Receives once, for at most `patience`, and hands out every whole frame.
    fn read(&mut self, table: &Mutex<Table>, patience: Option<Duration>) -> Result<(), Broken> {
        let Some(stream) = &self.stream else { return Err(Broken::Away("it was lost before".to_owned())) };
        let patience = patience.map(|patience| patience.max(READ_TIMEOUT_MIN));
        if self.timeout != patience {
            stream.set_read_timeout(patience)?;
            self.timeout = patience;
        }
        match (&**stream).read(self.frames.space()) {
            Ok(0) => return Err(Broken::eof()),
            Ok(n) => self.frames.filled(n),
            Err(error) if is_retry(error.kind()) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        while let Some((header, body)) = self.frames.next()? {
            self.attempts = 0;
            let delivery = lock(table).take(&header, body)?;
            delivery.deliver();
        }
        Ok(())
    }
}

impl Backend for BlockingSocket {
    fn submit(&self, request: Request, reply: ReplySlot) -> Option<Arc<dyn Help>> {
        self.send(request, reply, None);
        None
    }

    fn follow(&self, request: Request, reply: ReplySlot, pushes: PushSink) {
        self.send(request, reply, Some(pushes));
    }

    fn wait(&self, on: Arc<dyn Wait>, deadline: Option<Instant>) {
        let mut turnstile = lock(&self.turnstile);
        if !std::mem::replace(&mut turnstile.has_leader, true) {
            drop(turnstile);
            self.lead(&*on, deadline);
            self.step_down();
            return;
        }
        turnstile.parked.push(on.clone());
        drop(turnstile);
        on.park(deadline);
        let mut turnstile = lock(&self.turnstile);
        let was_poked = match turnstile.parked.iter().position(|other| Arc::ptr_eq(other, &on)) {
            Some(place) => {
                turnstile.parked.swap_remove(place);
                false
            }
            None => true,
        };
        // It was elected but need not wait any more: somebody else should lead.
        let is_late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
        if was_poked && !turnstile.has_leader && (on.ready() || is_late) {
            elect(&mut turnstile);
        }
    }

    fn server(&self) -> Option<ServerHello> {
        Some(lock(&self.writer).server.clone())
    }
}

/// Pokes one parked thread whose answer is still missing.
fn elect(turnstile: &mut Turnstile) {
    while let Some(next) = turnstile.parked.pop() {
        if !next.ready() {
            next.poke();
            return;
        }
    }
}

enum Dial {
    Connect(std::io::Error),
    Hello(Broken),
}

/// Connects and shakes hands.
fn dial(path: &Path, options: &ConnectOptions) -> Result<(UnixStream, FrameReader, ServerHello), Dial> {
    let stream = UnixStream::connect(path).map_err(Dial::Connect)?;
    greet(&stream, options).map(|(frames, server)| (stream, frames, server)).map_err(Dial::Hello)
}

fn greet(mut stream: &UnixStream, options: &ConnectOptions) -> Result<(FrameReader, ServerHello), Broken> {
    let deadline = Instant::now() + options.hello_timeout;
    stream.set_write_timeout(Some(WRITE_PATIENCE))?;
    write_all(stream, &handshake::hello(options)?, || match Instant::now() < deadline {
        true => Ok(()),
        false => Err(silent(options)),
    })?;
    let mut frames = FrameReader::new(DOOR_VERSION, options.frame_bytes_max);
    loop {
        if let Some(server) = handshake::welcome(&mut frames)? {
            stream.set_read_timeout(None)?;
            return Ok((frames, server));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(silent(options));
        }
        stream.set_read_timeout(Some(left.max(READ_TIMEOUT_MIN)))?;
        match stream.read(frames.space()) {
            Ok(0) => return Err(Broken::eof()),
            Ok(n) => frames.filled(n),
            Err(error) if is_retry(error.kind()) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn silent(options: &ConnectOptions) -> Broken {
    Broken::Away(format!("no hello within {:?}", options.hello_timeout))
}

/// Writes everything; calls `on_full` each time that there was no room for [`WRITE_PATIENCE`].
fn write_all(
    mut stream: &UnixStream,
    mut bytes: &[u8],
    mut on_full: impl FnMut() -> Result<(), Broken>,
) -> Result<(), Broken> {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(n) => bytes = &bytes[n..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => on_full()?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn is_retry(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
