//! `croupier call`: opens a session, or plays one turn of one, by hand.

use std::time::Duration;

use clap::{ArgGroup, Args};
use croupier_client::blocking::{Client, Session};
use croupier_client::{Done, Input, OpenOptions, SessionId, TurnOptions, WhenFull};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::fail::{Failure, Stop};
use super::out::{Form, Out};

/// Arguments of `call`.
///
/// What belongs to one way of calling conflicts with the other ways by name: clap forgets a `requires` whose target conflicts with what is there.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).args(["player", "open", "join", "leave", "close"]))]
pub(crate) struct Call {
    /// The session's id
    #[arg(required_unless_present = "open", conflicts_with = "open")]
    session: Option<u64>,
    /// What the player does, as the plugin wants it: JSON as a rule
    #[arg(conflicts_with_all = ["open", "join", "leave", "close"])]
    action: Option<String>,
    /// This player acts; 0 is the house
    #[arg(long, value_name = "PLAYER", requires = "action")]
    player: Option<u64>,
    /// Open a session of this plugin
    #[arg(long, value_name = "PLUGIN")]
    open: Option<String>,
    /// The new session's config
    #[arg(long, value_name = "JSON", default_value = "{}", conflicts_with_all = ["player", "join", "leave", "close"])]
    config: String,
    /// How the new session is run: tick_ms, idle_timeout_ms, queue_max, reveal_public, durability
    #[arg(long, value_name = "JSON", conflicts_with_all = ["player", "join", "leave", "close"])]
    options: Option<String>,
    /// This player joins
    #[arg(long, value_name = "PLAYER")]
    join: Option<u64>,
    /// What the platform says of the joining player
    #[arg(long, value_name = "JSON", default_value = "{}", conflicts_with_all = ["player", "open", "leave", "close"])]
    profile: String,
    /// The joining player's contribution to the session's chance, hexadecimal
    #[arg(long, value_name = "HEX", conflicts_with_all = ["player", "open", "leave", "close"])]
    seed: Option<String>,
    /// This player leaves
    #[arg(long, value_name = "PLAYER")]
    leave: Option<u64>,
    /// Why the player leaves
    #[arg(long, value_name = "TEXT", default_value = "", conflicts_with_all = ["player", "open", "join", "close"])]
    reason: String,
    /// The session ends
    #[arg(long)]
    close: bool,
    /// Fail at once when the session's queue is full
    #[arg(long)]
    no_wait: bool,
    /// Give up waiting after this many milliseconds; 0 for never
    #[arg(long, value_name = "MS", default_value_t = 0)]
    deadline: u32,
}

/// How much longer than the deadline given to the supervisor we wait for its word.
const GRACE: Duration = Duration::from_secs(5);

impl Call {
    pub(crate) fn run(&self, client: &Client, out: &mut Out) -> Result<(), Stop> {
        if let Some(plugin) = &self.open {
            return self.open(plugin, client, out);
        }
        let when_full = if self.no_wait { WhenFull::Refuse } else { WhenFull::Wait };
        let id = SessionId(self.session.unwrap_or_default());
        let session = client.session(id).with(TurnOptions { when_full, deadline_ms: self.deadline });
        let done = self.turn(&session, self.input()?)?;
        show(id, None, &done, out)
    }

    fn open(&self, plugin: &str, client: &Client, out: &mut Out) -> Result<(), Stop> {
        let options = match &self.options {
            None => OpenOptions::default(),
            Some(json) => serde_json::from_str(json).map_err(|error| {
                Failure::new(
                    "usage",
                    format!("--options is not what it should be: {error}"),
                    "an object such as {\"tick_ms\": 100}",
                )
            })?,
        };
        let session = client.open(plugin, self.config.as_str(), options)?;
        match session.opened() {
            Some(opened) => show(session.id(), Some(hex::encode(opened.commit)), &opened.done, out),
            None => Ok(()),
        }
    }

    fn input(&self) -> Result<Input, Stop> {
        if let (Some(player), Some(action)) = (self.player, &self.action) {
            return Ok(Input::Action { player, payload: action.clone().into_bytes() });
        }
        if let Some(player) = self.join {
            let client_seed = hex::decode(self.seed.as_deref().unwrap_or_default())
                .map_err(|error| Failure::new("usage", format!("--seed is not hexadecimal: {error}"), ""))?;
            return Ok(Input::Join { player, profile: self.profile.clone().into_bytes(), client_seed });
        }
        if let Some(player) = self.leave {
            return Ok(Input::Leave { player, reason: self.reason.clone().into_bytes() });
        }
        Ok(Input::Close)
    }

    fn turn(&self, session: &Session, input: Input) -> Result<Done, Stop> {
        let pending = session.begin(input);
        let reply = match self.deadline {
            0 => pending.wait()?,
            ms => pending.wait_for(Duration::from_millis(u64::from(ms)) + GRACE)?,
        };
        Ok(croupier_client::done(reply)?)
    }
}

fn show(session: SessionId, commit: Option<String>, done: &Done, out: &mut Out) -> Result<(), Stop> {
    if out.form() == Form::Human {
        if let Some(commit) = commit {
            out.line(&format!("session {session} is open, commit {commit}"))?;
        }
        return out.line(&text_of(&done.reply));
    }
    let mut object = Map::new();
    object.insert("session".to_owned(), json!(session.0));
    if let Some(commit) = commit {
        object.insert("commit".to_owned(), json!(commit));
    }
    object.insert("seq".to_owned(), json!(done.seq));
    object.insert("now_ns".to_owned(), json!(done.now_ns));
    object.insert("retries".to_owned(), json!(done.retries));
    match serde_json::from_slice::<&RawValue>(&done.reply).ok().and_then(|raw| serde_json::to_value(raw).ok())
    {
        Some(reply) => object.insert("reply".to_owned(), reply),
        None => object.insert("reply_hex".to_owned(), json!(hex::encode(&done.reply))),
    };
    out.json(&Value::Object(object))
}

/// A reply for a person: text if it is text, else hexadecimal.
fn text_of(reply: &[u8]) -> String {
    match std::str::from_utf8(reply) {
        Ok(text) => text.to_owned(),
        Err(_) => hex::encode(reply),
    }
}
