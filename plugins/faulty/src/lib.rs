//! A game that crashes, hangs, leaks and lies on command, to test what Croupier does about it. Never load it where money is at stake.
//!
//! Its state is a counter and a few traps. What it can be told to do is listed in [`command`]; what can go wrong by config, in [`Config`].
//! With no mischief asked for it is a well-behaved, deterministic game.
//!
//! Variants that are broken before their first call (a missing symbol, a wrong size) are C files in `c/`.
#![allow(unsafe_code)] // in `deeds` and for the ELF constructor in `traps`: crashing for real is not possible in safe code

pub mod command;
mod deeds;
mod traps;

use croupier_sdk::serde::{Deserialize, Serialize};
use croupier_sdk::serde_json::{Value, json};
use croupier_sdk::{Anything, Game, Level, Player, Refusal, Turn};

use command::{Command, Verb};

/// What an `error` adds to the counter, so that a failed turn that is not replayed shows.
pub const ERROR_COUNTS: u64 = 1000;

/// Something that goes wrong at a certain place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(crate = "croupier_sdk::serde", rename_all = "snake_case")]
pub enum Mischief {
    /// Nothing.
    #[default]
    None,
    /// Fault signal.
    Crash,
    /// A refusal.
    Refuse,
    /// Never return.
    Spin,
    /// Fault signal, but only when the turn is older than this process.
    CrashOnReplay,
}

/// What goes wrong without being told to by a command.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(crate = "croupier_sdk::serde", deny_unknown_fields, default)]
pub struct Config {
    /// In `session_open`.
    pub on_open: Mischief,
    /// In `player_join`.
    pub on_join: Mischief,
    /// In `player_leave`.
    pub on_leave: Mischief,
    /// In the tick number `tick_no`, or in every tick.
    pub on_tick: Mischief,
    /// In `session_close`.
    pub on_close: Mischief,
    /// Which tick `on_tick` is about, from 1; every tick if it is absent.
    pub tick_no: Option<u64>,
}

/// One session.
#[derive(Debug, Serialize, Deserialize)]
#[serde(crate = "croupier_sdk::serde")]
pub struct Faulty {
    config: Config,
    count: u64,
    ticks: u64,
    players: Vec<u64>,
    /// Makes snapshots big.
    filler: Vec<u8>,
    /// Makes restores crash.
    restore: traps::OnRestore,
}

impl Game for Faulty {
    type Config = Config;
    type Profile = Anything;
    type Action = Command;
    type Reply = Value;

    fn open(config: Config, turn: &mut Turn<'_>) -> Result<(Faulty, Value), Refusal> {
        mischief(config.on_open, "open", turn)?;
        let game = Faulty {
            config,
            count: 0,
            ticks: 0,
            players: Vec::new(),
            filler: Vec::new(),
            restore: traps::OnRestore::Calm,
        };
        let reply = game.reply();
        Ok((game, reply))
    }

    fn join(&mut self, player: Player, _profile: Anything, turn: &mut Turn<'_>) -> Result<Value, Refusal> {
        mischief(self.config.on_join, "join", turn)?;
        self.players.push(player.0);
        Ok(self.reply())
    }

    fn leave(&mut self, player: Player, turn: &mut Turn<'_>) -> Result<Value, Refusal> {
        mischief(self.config.on_leave, "leave", turn)?;
        self.players.retain(|id| *id != player.0);
        Ok(self.reply())
    }

    fn action(&mut self, player: Player, command: Command, turn: &mut Turn<'_>) -> Result<Value, Refusal> {
        match command.verb {
            Verb::Echo => Ok(command.value.unwrap_or(Value::Null)),
            Verb::Count => {
                self.count += 1;
                Ok(self.reply())
            }
            Verb::Draw => Ok(json!({ "die": turn.rng().die() })),
            Verb::Error => {
                self.count += ERROR_COUNTS;
                Err(Refusal::rule(command.text.unwrap_or_else(|| "you asked for an error".to_owned())))
            }
            Verb::BigSnapshot => {
                self.filler = vec![0x5a; command.bytes()?];
                Ok(json!({ "filler": self.filler.len() }))
            }
            Verb::CrashOnRestore => {
                self.restore = traps::OnRestore::Crash;
                Ok(json!({ "armed": true }))
            }
            Verb::CrashOnReplay => {
                if traps::older_than_this_process(turn) {
                    deeds::segv();
                }
                self.count += 1;
                Ok(self.reply())
            }
            Verb::CrashIf => {
                if command.player == Some(player.0) {
                    deeds::segv();
                }
                self.count += 1;
                Ok(self.reply())
            }
            Verb::Send | Verb::Emit | Verb::Call | Verb::Log => say(player, command, turn),
            _ => deeds::perform(&command),
        }
    }

    fn tick(&mut self, turn: &mut Turn<'_>) -> Result<Value, Refusal> {
        self.ticks += 1;
        if self.config.tick_no.is_none_or(|number| number == self.ticks) {
            mischief(self.config.on_tick, "tick", turn)?;
        }
        Ok(self.reply())
    }

    fn close(&mut self, turn: &mut Turn<'_>) -> Result<Value, Refusal> {
        mischief(self.config.on_close, "close", turn)?;
        Ok(self.reply())
    }
}

impl Faulty {
    fn reply(&self) -> Value {
        json!({ "count": self.count, "ticks": self.ticks, "players": self.players.len() })
    }
}

fn mischief(kind: Mischief, place: &str, turn: &Turn<'_>) -> Result<(), Refusal> {
    match kind {
        Mischief::None => Ok(()),
        Mischief::Crash => deeds::segv(),
        Mischief::Spin => {
            deeds::spin(None);
            Ok(())
        }
        Mischief::Refuse => Err(Refusal::rule(format!("the config says that {place} is refused"))),
        Mischief::CrashOnReplay if traps::older_than_this_process(turn) => deeds::segv(),
        Mischief::CrashOnReplay => Ok(()),
    }
}

/// The commands that use the host.
fn say(player: Player, command: Command, turn: &mut Turn<'_>) -> Result<Value, Refusal> {
    let times = command.times.unwrap_or(1);
    let text = command.text.unwrap_or_default();
    match command.verb {
        Verb::Send => {
            let to = command.to.map_or(player, Player);
            for number in 0..times {
                turn.send(to, &json!({ "text": text, "number": number }))?;
            }
        }
        Verb::Emit => {
            let topic = command.name.as_deref().unwrap_or("table");
            for number in 0..times {
                turn.emit(topic, &json!({ "text": text, "number": number }))?;
            }
        }
        Verb::Call => {
            let name = command.name.as_deref().unwrap_or("echo");
            let args = command.args.unwrap_or(Value::Null).to_string();
            let mut answer = Vec::new();
            for _ in 0..times {
                answer = turn.call(name, args.as_bytes())?;
            }
            return Ok(json!({ "answer": String::from_utf8_lossy(&answer) }));
        }
        _ => {
            for number in 0..times {
                turn.log(Level::Info, &format!("log line {number} {text}"));
            }
        }
    }
    Ok(json!({ "times": times }))
}

croupier_sdk::export!(Faulty, name: "faulty", manifest: "../plugin.toml");
