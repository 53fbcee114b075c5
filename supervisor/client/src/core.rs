//! What the blocking and the async client share: keys, windows, and how a request is put together. It waits for nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use croupier_wire::door::{Code, ControlReply, Done, Input, Open, OpenOptions, Reply, Request, Turn, Verb};

use crate::window::Window;
use crate::{Backend, ClientError, Opened, Pending, PushSink, Pushes, ReplySlot, SessionId, TurnOptions};

pub(crate) struct Core {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) opens: Arc<Window>,
    /// The keys of each session that this client has touched and not seen the end of: a second handle on a session must not begin again at 1.
    sessions: Mutex<HashMap<SessionId, Arc<Window>>>,
    pushes_max: usize,
}

impl Core {
    pub(crate) fn new(backend: Arc<dyn Backend>, pushes_max: usize) -> Arc<Core> {
        let opens = Window::starting_at(1);
        Arc::new(Core { backend, opens, sessions: Mutex::default(), pushes_max })
    }

    /// The window of a session's keys, shared by all handles on it.
    pub(crate) fn keys_of(&self, session: SessionId, first: u64) -> Arc<Window> {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.entry(session).or_insert_with(|| Window::starting_at(first)).clone()
    }

    /// The session has ended: its keys are needed no more.
    pub(crate) fn forget(&self, session: SessionId) {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).remove(&session);
    }

    pub(crate) fn open(&self, key: u64, plugin: &str, config: Vec<u8>, options: OpenOptions) -> Pending {
        let durability = options.durability;
        let open = Open { client_seq: key, plugin: plugin.to_owned(), config, options };
        let request = match durability {
            // As every supervisor understands it.
            None => Request::Open(open),
            Some(durability) => Request::OpenDurable(open, durability),
        };
        let (slot, pending) = ReplySlot::keyed(self.backend.clone(), self.opens.clone(), key);
        pending.submit(request, slot)
    }

    pub(crate) fn turn(
        &self,
        session: SessionId,
        window: &Arc<Window>,
        key: u64,
        input: Input,
        options: TurnOptions,
        waits: Waits,
    ) -> Pending {
        let TurnOptions { when_full, deadline_ms } = options;
        let turn = Turn { session: session.0, client_seq: key, input, when_full, deadline_ms };
        let (slot, pending) = ReplySlot::keyed(self.backend.clone(), window.clone(), key);
        match waits {
            Waits::AtOnce => pending.submit_awaited(Request::Turn(turn), slot),
            Waits::Later => pending.submit(Request::Turn(turn), slot),
        }
    }

    pub(crate) fn ask(&self, request: Request) -> Pending {
        let (slot, pending) = ReplySlot::new(self.backend.clone());
        pending.submit(request, slot)
    }

    pub(crate) fn control(&self, verb: Verb) -> Pending {
        self.ask(Request::Control(verb))
    }

    pub(crate) fn follow(&self, request: Request) -> (Pending, Pushes) {
        let (slot, pending) = ReplySlot::new(self.backend.clone());
        let (sink, pushes) = PushSink::new(self.pushes_max, self.backend.clone());
        self.backend.follow(request, slot, sink);
        (pending, pushes)
    }
}

/// Whether a turn's answer means that the session is over.
pub(crate) fn is_over(answer: &Result<Done, ClientError>, closing: Closing) -> bool {
    match answer {
        Ok(_) => closing == Closing::Yes,
        Err(error) => {
            matches!(error.code(), Some(Code::SessionClosed | Code::UnknownSession | Code::SessionLost))
        }
    }
}

/// When the calling thread waits for the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waits {
    /// Next.
    AtOnce,
    /// Some time, or as a task.
    Later,
}

/// Whether a turn was a close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closing {
    Yes,
    No,
}

pub(crate) fn opened(reply: Reply) -> Result<Opened, ClientError> {
    match reply {
        Reply::Opened { session, commit, done } => Ok(Opened { session: SessionId(session), commit, done }),
        other => Err(wrong("open", &other)),
    }
}

/// Takes apart the answer to a turn that was [begun](crate::Session::begin).
///
/// # Errors
/// [`ClientError::WrongReply`] when the answer is not a turn's.
pub fn done(reply: Reply) -> Result<Done, ClientError> {
    match reply {
        Reply::Done(done) => Ok(done),
        other => Err(wrong("a turn", &other)),
    }
}

pub(crate) fn following(reply: Reply) -> Result<u64, ClientError> {
    match reply {
        Reply::Following { next } => Ok(next),
        other => Err(wrong("follow", &other)),
    }
}

pub(crate) fn pong(reply: Reply) -> Result<(), ClientError> {
    match reply {
        Reply::Pong => Ok(()),
        other => Err(wrong("ping", &other)),
    }
}

pub(crate) fn control(reply: Reply) -> Result<ControlReply, ClientError> {
    match reply {
        Reply::Control(reply) => Ok(reply),
        other => Err(wrong("a verb", &other)),
    }
}

fn wrong(asked: &'static str, reply: &Reply) -> ClientError {
    let found = match reply {
        Reply::Opened { .. } => "that a session is open",
        Reply::Done(_) => "that a turn is done",
        Reply::Following { .. } => "that it is followed",
        Reply::Pong => "with a pong",
        Reply::Control(_) => "as if to a verb",
        Reply::Refused(_) => "with a refusal",
    };
    ClientError::WrongReply { asked, found }
}
