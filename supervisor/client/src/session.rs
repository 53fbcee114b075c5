//! The async handle on one session.

use std::sync::Arc;

use croupier_wire::door::{Done, Input, Request};

use crate::core::{Closing, Core};
use crate::verbs::finish;
use crate::window::Window;
use crate::{ClientError, Pending, Player, Pushes, SessionId, TurnOptions};

/// What opening a session gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The session's id.
    pub session: SessionId,
    /// SHA-256 commitment to the session's server seed.
    pub commit: [u8; 32],
    /// The open turn, with the plugin's reply.
    pub done: Done,
}

/// Takes the next key of a window: waits as a task, or on the calling thread.
macro_rules! take_key {
    (async $core:expr, $window:expr) => {
        std::future::poll_fn(|cx| $window.poll_take(cx)).await
    };
    ($core:expr, $window:expr) => {
        loop {
            if let Some(key) = $window.try_take() {
                break key;
            }
            crate::backend::wait_until(&*$core.backend, &$window, None);
        }
    };
}

/// When whoever submits a turn waits for its answer.
macro_rules! waits {
    (async) => {
        crate::core::Waits::Later
    };
    () => {
        crate::core::Waits::AtOnce
    };
}

/// Defines the turns of a session, `async` or not.
macro_rules! session_methods {
    ($($async:ident)?) => {
        pub(crate) fn new(core: Arc<Core>, id: SessionId, first_key: u64, opened: Option<Opened>) -> Session {
            let window = core.keys_of(id, first_key);
            Session { core, id, window, options: TurnOptions::default(), opened }
        }

        /// The session's id.
        pub fn id(&self) -> SessionId {
            self.id
        }

        /// What opening it gave; `None` when this handle was made from an id.
        pub fn opened(&self) -> Option<&Opened> {
            self.opened.as_ref()
        }

        /// The same session with other options for its turns.
        #[must_use]
        pub fn with(&self, options: TurnOptions) -> Session {
            Session { options, ..self.clone() }
        }

        /// A player takes a seat. `profile` is what the platform says of the player, as the plugin wants it (JSON as a rule).
        pub $($async)? fn join(&self, player: Player, profile: impl Into<Vec<u8>>) -> Result<Done, ClientError> {
            finish!($($async)? self.join_seeded(player, profile, Vec::new()) => as is)
        }

        /// As [`join`](Self::join), with the player's own contribution (up to 64 bytes) to the session's chance.
        pub $($async)? fn join_seeded(
            &self,
            player: Player,
            profile: impl Into<Vec<u8>>,
            client_seed: impl Into<Vec<u8>>,
        ) -> Result<Done, ClientError> {
            let (profile, client_seed) = (profile.into(), client_seed.into());
            finish!($($async)? self.turn(Input::Join { player: player.0, profile, client_seed }) => as is)
        }

        /// A player leaves; `reason` is a short text, may be empty.
        pub $($async)? fn leave(&self, player: Player, reason: impl Into<Vec<u8>>) -> Result<Done, ClientError> {
            finish!($($async)? self.turn(Input::Leave { player: player.0, reason: reason.into() }) => as is)
        }

        /// A player, or the house, does something.
        pub $($async)? fn act(&self, player: Player, action: impl Into<Vec<u8>>) -> Result<Done, ClientError> {
            finish!($($async)? self.turn(Input::Action { player: player.0, payload: action.into() }) => as is)
        }

        /// An input of an open kind, 6 and up, for plugins that take such.
        pub $($async)? fn other(
            &self,
            kind: u16,
            player: Player,
            payload: impl Into<Vec<u8>>,
        ) -> Result<Done, ClientError> {
            finish!($($async)? self.turn(Input::Other { kind, player: player.0, payload: payload.into() }) => as is)
        }

        /// Ends the session.
        pub $($async)? fn close(&self) -> Result<Done, ClientError> {
            finish!($($async)? self.turn(Input::Close) => as is)
        }

        /// Plays a turn: takes a key, submits, waits for the answer.
        ///
        /// # Errors
        /// [`ClientError::Refused`] when the supervisor or the plugin says no; the others when no answer came.
        pub $($async)? fn turn(&self, input: Input) -> Result<Done, ClientError> {
            let closing = if input == Input::Close { Closing::Yes } else { Closing::No };
            let key = take_key!($($async)? self.core, self.window);
            let pending = self.core.turn(self.id, &self.window, key, input, self.options, waits!($($async)?));
            let answer = finish!($($async)? pending).and_then(crate::core::done);
            if crate::core::is_over(&answer, closing) {
                self.core.forget(self.id);
            }
            answer
        }

        /// Submits a turn and gives back the answer on its way, for pipelining: up to [`WINDOW`](crate::WINDOW) may be under way; a further
        /// one waits here. [`done`](crate::done) takes the answer apart.
        pub $($async)? fn begin(&self, input: Input) -> Pending {
            let key = take_key!($($async)? self.core, self.window);
            self.core.turn(self.id, &self.window, key, input, self.options, crate::core::Waits::Later)
        }

        /// Submits a turn again under a key that it had before, after [`ClientError::Lost`] or [`ClientError::Timeout`]: when it was played, the
        /// first answer comes back, and it is not played twice. The input must be the same, else the key is refused as reused.
        pub $($async)? fn repeat(&self, key: u64, input: Input) -> Result<Done, ClientError> {
            let pending = self.core.turn(self.id, &self.window, key, input, self.options, waits!($($async)?));
            crate::core::done(finish!($($async)? pending)?)
        }

        /// Follows what the session gives out, from output number `from` on; 0 for "from now on".
        ///
        /// # Errors
        /// Refused with [`Code::Gone`](crate::Code::Gone) when `from` is older than what is kept; `seq` is then the oldest number there is.
        pub $($async)? fn follow(&self, from: u64) -> Result<Pushes, ClientError> {
            let (pending, pushes) = self.core.follow(Request::Follow { session: self.id.0, from });
            crate::core::following(finish!($($async)? pending)?)?;
            Ok(pushes)
        }
    };
}

pub(crate) use {session_methods, take_key, waits};

/// A session, for tasks. Cheap to clone; clones share the session's keys.
#[derive(Clone)]
pub struct Session {
    core: Arc<Core>,
    id: SessionId,
    window: Arc<Window>,
    options: TurnOptions,
    opened: Option<Opened>,
}

impl Session {
    session_methods!(async);
}
