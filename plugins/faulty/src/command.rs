//! What the faulty game can be told to do: `{"do":"echo","value":12}`.
//!
//! One flat struct, not an enum with fields: serde's tagged enums do not keep exact numbers.

use croupier_sdk::Refusal;
use croupier_sdk::serde::Deserialize;
use croupier_sdk::serde_json::Value;

/// Largest size that a command may ask for, in bytes.
const BYTES_MAX: u64 = 1 << 30;

/// An action.
#[derive(Debug, Deserialize)]
#[serde(crate = "croupier_sdk::serde", deny_unknown_fields)]
pub struct Command {
    /// What to do.
    #[serde(rename = "do")]
    pub verb: Verb,
    /// For [`Verb::Echo`].
    #[serde(default)]
    pub value: Option<Value>,
    /// For [`Verb::Error`], [`Verb::Panic`], [`Verb::Send`], [`Verb::Emit`], [`Verb::Log`] and [`Verb::Print`].
    #[serde(default)]
    pub text: Option<String>,
    /// For [`Verb::Exit`].
    #[serde(default)]
    pub code: Option<i32>,
    /// Milliseconds, for [`Verb::Sleep`] and [`Verb::Spin`].
    #[serde(default)]
    pub ms: Option<u64>,
    /// MiB, for [`Verb::Leak`].
    #[serde(default)]
    pub mib: Option<u64>,
    /// For [`Verb::BigReply`] and [`Verb::BigSnapshot`].
    #[serde(default)]
    pub bytes: Option<u64>,
    /// How often, for [`Verb::Send`], [`Verb::Emit`], [`Verb::Call`], [`Verb::Log`], [`Verb::Trespass`]; lines of [`Verb::Print`]. 1 if absent.
    #[serde(default)]
    pub times: Option<u64>,
    /// For [`Verb::CrashIf`].
    #[serde(default)]
    pub player: Option<u64>,
    /// For [`Verb::Send`]; the acting player if absent.
    #[serde(default)]
    pub to: Option<u64>,
    /// The topic of [`Verb::Emit`] (else `table`), the name of [`Verb::Call`] (else `echo`).
    #[serde(default)]
    pub name: Option<String>,
    /// For [`Verb::Call`]: any JSON.
    #[serde(default)]
    pub args: Option<Value>,
}

/// What to do; in JSON as `crash_on_replay`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(crate = "croupier_sdk::serde", rename_all = "snake_case")]
pub enum Verb {
    /// Replies with `value`.
    Echo,
    /// Adds 1 to the counter and replies with it.
    Count,
    /// Throws a die with the turn's chance.
    Draw,
    /// Fails with `text`, and adds [`crate::ERROR_COUNTS`] to the counter.
    Error,
    /// Fails, and says that it is the plugin's own fault.
    Broken,
    /// Sends `text` to player `to`, `times` times.
    Send,
    /// Emits `text` on topic `name`, `times` times.
    Emit,
    /// Calls `name` with `args`, `times` times; replies with the last answer.
    Call,
    /// Logs `times` lines.
    Log,
    /// Prints `times` lines to stdout and as many to stderr.
    Print,
    /// Writes to address 0.
    Segv,
    /// Calls `abort`.
    Abort,
    /// Panics with `text`.
    Panic,
    /// Ends the process with `code`.
    Exit,
    /// Divides by zero in machine code.
    Div0,
    /// Overflows the stack.
    Overflow,
    /// Kills itself with SIGKILL.
    Sigkill,
    /// Uses the CPU for `ms` milliseconds, or for ever.
    Spin,
    /// Sleeps for `ms` milliseconds (1000 if absent).
    Sleep,
    /// Takes `mib` MiB of memory (1 if absent), touches it and never gives it back.
    Leak,
    /// Replies with something that depends on addresses and the clock: a replay diverges.
    Diverge,
    /// Replies with at least `bytes` bytes.
    BigReply,
    /// Makes the state, hence snapshots, at least `bytes` bytes big.
    BigSnapshot,
    /// Crashes if the acting player is `player`, else counts.
    CrashIf,
    /// Counts when it is played live; crashes when the turn is older than this process, as it is in a replay after a death.
    CrashOnReplay,
    /// From now on, restoring a snapshot of this session crashes.
    CrashOnRestore,
    /// Tries to open a file, `times` times. Its jail refuses it, and it goes on.
    Trespass,
    /// Writes rubbish into every socket of the process, so also into the link to the supervisor.
    Garbage,
    /// Closes every descriptor but the first three.
    Hangup,
}

impl Command {
    /// `bytes`, checked.
    ///
    /// # Errors
    /// Absent or over 1 GiB.
    pub fn bytes(&self) -> Result<usize, Refusal> {
        match self.bytes {
            Some(bytes) if bytes <= BYTES_MAX => Ok(bytes as usize),
            Some(bytes) => Err(Refusal::bad_input(format!("bytes: {bytes} is over {BYTES_MAX}"))),
            None => Err(Refusal::bad_input("this command needs \"bytes\"")),
        }
    }
}
