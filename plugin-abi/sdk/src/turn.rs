//! One turn, as a game sees it: the facts, the chance, and the way to the outside.

use croupier_abi as abi;
use serde::Serialize;

use crate::game::{Player, Refusal};
use crate::rng::Rng;

/// How loud a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i32)]
pub enum Level {
    /// Something is broken.
    Error = abi::LOG_ERROR,
    /// Something is odd.
    Warn = abi::LOG_WARN,
    /// Good to know.
    Info = abi::LOG_INFO,
    /// For whoever debugs the plugin.
    Debug = abi::LOG_DEBUG,
}

/// The host's side of a turn: the C host in a worker, a recorder in tests.
pub(crate) trait Outside {
    fn log(&mut self, level: Level, text: &str);
    fn send(&mut self, to: Player, message: &[u8]) -> abi::Status;
    fn emit(&mut self, topic: &str, event: &[u8]) -> abi::Status;
    fn call(&mut self, name: &str, args: &[u8]) -> Result<Vec<u8>, Refusal>;
}

/// The facts of a turn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts {
    pub(crate) session: u64,
    pub(crate) seq: u64,
    pub(crate) now_ns: u64,
    pub(crate) player: Player,
    pub(crate) seed: [u8; 32],
}

/// One numbered, timed and seeded input of a session; the same on every replay.
pub struct Turn<'a> {
    facts: Facts,
    rng: Rng,
    outside: &'a mut dyn Outside,
}

impl<'a> Turn<'a> {
    pub(crate) fn new(facts: Facts, outside: &'a mut dyn Outside) -> Turn<'a> {
        Turn { facts, rng: Rng::from_seed(facts.seed), outside }
    }

    /// The turn's number: 1, 2, 3 …, with gaps only where a turn was skipped because it killed its worker.
    pub fn seq(&self) -> u64 {
        self.facts.seq
    }

    /// The session's id.
    pub fn session(&self) -> u64 {
        self.facts.session
    }

    /// The turn's time: nanoseconds since 1970-01-01 UTC. Never runs backwards in a session. The only clock that a game may look at.
    pub fn now_ns(&self) -> u64 {
        self.facts.now_ns
    }

    /// Who acts: the same as the `player` argument; the house in `open`, `tick` and `close`.
    pub fn player(&self) -> Player {
        self.facts.player
    }

    /// The turn's chance. Starts afresh, from the turn's own seed, each turn.
    pub fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    /// Sends a message, as JSON, to one player or to [`Player::ALL`]. Delivered once, in order, after the turn is recorded; never if the turn fails.
    /// Needs the permission `send`.
    ///
    /// # Errors
    /// Permission missing, message or number of effects over the manifest's limits.
    pub fn send(&mut self, to: Player, message: &impl Serialize) -> Result<(), Refusal> {
        let bytes = to_json(message, "message")?;
        self.send_raw(to, &bytes)
    }

    /// As [`Turn::send`], with bytes of your own making.
    ///
    /// # Errors
    /// As [`Turn::send`].
    pub fn send_raw(&mut self, to: Player, message: &[u8]) -> Result<(), Refusal> {
        checked(self.outside.send(to, message), || format!("sending {} bytes to {to}", message.len()), "send")
    }

    /// Emits an event, as JSON, for whoever follows `topic` (`[a-z0-9_.-]`, up to 64 bytes). Delivered as [`Turn::send`] says. Needs the permission `emit:TOPIC`.
    ///
    /// # Errors
    /// As [`Turn::send`].
    pub fn emit(&mut self, topic: &str, event: &impl Serialize) -> Result<(), Refusal> {
        let bytes = to_json(event, "event")?;
        checked(
            self.outside.emit(topic, &bytes),
            || format!("emitting {} bytes on {topic:?}", bytes.len()),
            &format!("emit:{topic}"),
        )
    }

    /// Asks the platform something by name, and waits for the answer. Recorded with the turn, answered from the record on replay. Needs
    /// the permission `call:NAME`.
    ///
    /// # Errors
    /// Permission missing, over a limit, nobody answers to that name, or the platform's own refusal.
    pub fn call(&mut self, name: &str, args: &[u8]) -> Result<Vec<u8>, Refusal> {
        self.outside.call(name, args)
    }

    /// Writes a log line of the supervisor, with the plugin's name. Rate-limited; silent while turns are replayed.
    pub fn log(&mut self, level: Level, text: &str) {
        self.outside.log(level, text);
    }
}

fn to_json(value: &impl Serialize, what: &str) -> Result<Vec<u8>, Refusal> {
    serde_json::to_vec(value)
        .map_err(|err| Refusal::internal(format!("the {what} cannot be written as JSON: {err}")))
}

fn checked(status: abi::Status, doing: impl FnOnce() -> String, permission: &str) -> Result<(), Refusal> {
    if status == abi::OK { Ok(()) } else { Err(host_refusal(status, &doing(), permission)) }
}

/// What a host function's negative status means, with what to do about it.
pub(crate) fn host_refusal(status: abi::Status, doing: &str, permission: &str) -> Refusal {
    let why = match status {
        abi::E_DENIED => {
            format!(
                "not permitted; ask for {permission:?} in the manifest's permissions.request, and have it granted"
            )
        }
        abi::E_TOO_BIG => {
            "over the turn's limits; see limits.effects_per_turn and limits.effect_bytes in the manifest"
                .to_owned()
        }
        abi::E_NO_TURN => "only possible while a turn is running".to_owned(),
        abi::E_UNSUPPORTED => "this host does not offer it".to_owned(),
        abi::E_BAD_INPUT => "the host calls the name or the arguments malformed".to_owned(),
        other => format!("the platform refused with status {other}"),
    };
    // A host function that returns something positive is broken; never let that become a success.
    let status = if status < 0 { status } else { abi::E_INTERNAL };
    Refusal::with_status(status, format!("{doing}: {why}"))
}
