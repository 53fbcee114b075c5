//! Opening sessions: the same key opens one session, however often it is sent.

use std::collections::HashMap;

use croupier_core::Refusal as CoreRefusal;
use croupier_core::action::Answered;
use croupier_core::durable::Durability;
use croupier_core::event;
use croupier_core::ids::{ClientId, RequestId, SessionId};
use croupier_core::open_keys::{Begin, OpenKeys};
use croupier_fair::seed::ServerSeed;
use croupier_wire::door::{self, Code, Done, Open, OpenOptions, Refusal, Reply};
use xxhash_rust::xxh3::Xxh3;

use super::backend::Replier;
use super::routes::Kept;
use super::turn::no_room;
use super::{Shared, past};
use crate::clock::ms_to_ns;
use crate::game::driver::Publicity;
use crate::journal::format::OpenRecord;
use crate::refusals::{about, from_core, hint, internal, refusal, shutting_down};
use crate::registry::Plugin;

const NS_PER_MS: u64 = 1_000_000;

/// Opens that run, and those that ran.
#[derive(Default)]
pub(super) struct Opens {
    keys: OpenKeys,
    waiting: HashMap<RequestId, Replier>,
}

impl Opens {
    /// An open that an earlier supervisor answered.
    pub(super) fn remember(&mut self, client: ClientId, number: u64, body: u64, answer: &Answered) {
        past::remember(&mut self.keys, (client, number, body), answer);
    }

    /// Everybody who still waits.
    pub(super) fn give_up(&mut self) -> Vec<Replier> {
        self.waiting.drain().map(|(_, to)| to).collect()
    }
}

impl Shared {
    pub(super) fn open(&self, client: ClientId, open: Open, to: Replier) {
        let request = self.context.request();
        let (key, body) = (open.client_seq, body_hash(&open));
        let begun = {
            let mut opens = crate::lock(&self.opens);
            let begun = opens.keys.begin(client, key, body, request);
            if matches!(begun, Begin::Fresh | Begin::Waiting) {
                opens.waiting.insert(request, to);
                Err(begun)
            } else {
                Ok((begun, to))
            }
        };
        match begun {
            Ok((Begin::Answered(answered), to)) => to.answer(opened(answered)),
            Ok((_, to)) => to.refuse(reused(&open.plugin, key)),
            Err(Begin::Fresh) => {
                let plugin = open.plugin.clone();
                if let Err(refusal) = self.begin_open(client, open, request) {
                    self.finish_open(client, key, Err(about(refusal, &plugin, 0)));
                }
            }
            // Somebody else's open runs; its end answers this one too.
            Err(_) => {}
        }
    }

    fn begin_open(&self, client: ClientId, open: Open, request: RequestId) -> Result<(), Refusal> {
        self.check_serving()?;
        let game = self.game(&open.plugin)?;
        if open.client_seq == 0 {
            return Err(no_key());
        }
        game.plugin().schema.check(&open.config).map_err(|error| {
            let what =
                refusal(Code::BadConfig, format!("the config does not fit plugin {}: {error}", open.plugin));
            hint(
                what,
                format!("`croupier plugins {}` shows the plugin, its manifest the schema", open.plugin),
            )
        })?;
        let durability = durability(open.options.durability, game.plugin())?;
        let journal = match (durability, &self.context.journal) {
            (Durability::None | Durability::Process, _) => None,
            (Durability::Disk, None) => return Err(no_journal()),
            (Durability::Disk, Some(journal)) => {
                journal.room().map_err(no_room)?;
                Some(journal.clone())
            }
        };
        let session = self.ids.next().map_err(|error| refusal(Code::Internal, error.to_string()))?;
        let body = body_hash(&open);
        let OpenOptions { tick_ms, idle_timeout_ms, queue_max, reveal_public, durability: _ } = open.options;
        let publicity = if reveal_public { Publicity::Public } else { Publicity::AsTheGame };
        let event = event::Open {
            request,
            session: SessionId(session),
            config: open.config.into(),
            seed: ServerSeed::from_bytes(crate::entropy::bytes()),
            options: event::Options {
                tick_ns: tick_ms.map(|ms| u64::from(ms) * NS_PER_MS),
                idle_ns: idle_timeout_ms.map(ms_to_ns),
                queue_max: queue_max.map(|max| max.max(1)),
                durability: Some(durability),
            },
        };
        // The route first: who is told the id may use it at once.
        let kept = if journal.is_some() { Kept::Disk } else { Kept::Memory };
        self.routes.insert(session, std::sync::Arc::downgrade(&game), kept);
        let (shared, key, plugin) = (self.me.clone(), open.client_seq, open.plugin);
        if let Some(journal) = &journal {
            let (client, client_seq, plugin) = (client.0, key, plugin.clone());
            let record = OpenRecord { plugin, client, client_seq, body, reveal_public, done: None };
            journal.opening(SessionId(session), record);
        }
        let answerer = move |result: Result<Answered, CoreRefusal>| {
            let Some(shared) = shared.upgrade() else { return };
            if result.is_err() {
                shared.routes.ended(session);
                if let Some(journal) = journal {
                    journal.not_opened(SessionId(session));
                }
            }
            shared.finish_open(client, key, result.map_err(|refusal| from_core(&refusal, &plugin, session)));
        };
        game.open(event, publicity, Box::new(answerer));
        Ok(())
    }

    /// Answers everybody who waits for this open.
    fn finish_open(&self, client: ClientId, key: u64, result: Result<Answered, Refusal>) {
        let waiting: Vec<Replier> = {
            let mut opens = crate::lock(&self.opens);
            let requests = opens.keys.finish(client, key, result.as_ref().ok());
            requests.iter().filter_map(|request| opens.waiting.remove(request)).collect()
        };
        let reply = match result {
            Ok(answered) => opened(answered),
            // It was let in just before the supervisor began to end, and the game was suspended or gone before it came there.
            Err(Refusal { code: Code::WrongState | Code::UnknownPlugin, .. })
                if self.check_serving().is_err() =>
            {
                Reply::Refused(shutting_down())
            }
            Err(refusal) => Reply::Refused(refusal),
        };
        for to in waiting {
            to.answer(reply.clone());
        }
    }
}

/// What a session survives: as the operator says, or as he lets callers choose.
fn durability(asked: Option<door::Durability>, plugin: &Plugin) -> Result<Durability, Refusal> {
    let usual = plugin.spec.durability;
    let asked = match asked {
        None => return Ok(usual),
        Some(door::Durability::None) => Durability::None,
        Some(door::Durability::Process) => Durability::Process,
        Some(door::Durability::Disk) => Durability::Disk,
    };
    if asked == usual || plugin.choose_durability {
        return Ok(asked);
    }
    let text = format!("what sessions of plugin {} survive is the operator's choice", plugin.name);
    let what = hint(refusal(Code::NotAllowed, text), "open it without saying what it is to survive");
    Err(about(what, &plugin.name, 0))
}

fn no_journal() -> Refusal {
    let what = refusal(Code::WrongState, "this supervisor keeps no journal on a disk");
    hint(
        what,
        "give it a state directory, and start it with durability = \"disk\" or choose_durability = true in its config",
    )
}

fn opened(answered: Answered) -> Reply {
    match answered {
        Answered::Opened { session, commit, done } => {
            Reply::Opened { session: session.0, commit, done: door_done(done) }
        }
        Answered::Ok | Answered::Done(_) => {
            Reply::Refused(internal("an open was answered with something else"))
        }
    }
}

/// The door's form of a turn that succeeded.
pub(super) fn door_done(done: croupier_core::action::Done) -> Done {
    Done { seq: done.seq, now_ns: done.now_ns, reply: done.reply.to_vec(), retries: done.retries }
}

pub(super) fn no_key() -> Refusal {
    hint(refusal(Code::Protocol, "a request without a key"), "number your requests from 1: `client_seq`")
}

fn reused(plugin: &str, key: u64) -> Refusal {
    let what = refusal(Code::KeyReused, format!("key {key} was already used for another open"));
    about(hint(what, "take a fresh key for a new request"), plugin, 0)
}

/// Tells two opens apart; every part with its length or tag, so that no two different opens share their bytes.
fn body_hash(open: &Open) -> u64 {
    let mut hash = Xxh3::new();
    for part in [open.plugin.as_bytes(), &open.config] {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let OpenOptions { tick_ms, idle_timeout_ms, queue_max, reveal_public, durability } = &open.options;
    for option in [tick_ms.map(u64::from), *idle_timeout_ms, queue_max.map(u64::from)] {
        hash.update(&[u8::from(option.is_some())]);
        hash.update(&option.unwrap_or(0).to_le_bytes());
    }
    hash.update(&[u8::from(*reveal_public)]);
    match durability {
        // As it was before there was a choice.
        None => {}
        Some(door::Durability::Process) => hash.update(&[1]),
        Some(door::Durability::Disk) => hash.update(&[2]),
        Some(door::Durability::None) => hash.update(&[3]),
    }
    hash.digest()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(plugin: &str, config: &str, options: OpenOptions) -> Open {
        Open { client_seq: 1, plugin: plugin.into(), config: config.into(), options }
    }

    #[test]
    fn every_part_of_an_open_counts() {
        let none = OpenOptions::default;
        let opens = [
            open("ab", "{}", none()),
            open("a", "b{}", none()),
            open("ab", "{ }", none()),
            open("ab", "{}", OpenOptions { tick_ms: Some(0), ..none() }),
            open("ab", "{}", OpenOptions { queue_max: Some(0), ..none() }),
            open("ab", "{}", OpenOptions { idle_timeout_ms: Some(0), ..none() }),
            open("ab", "{}", OpenOptions { reveal_public: true, ..none() }),
            open("ab", "{}", OpenOptions { durability: Some(door::Durability::Process), ..none() }),
            open("ab", "{}", OpenOptions { durability: Some(door::Durability::Disk), ..none() }),
        ];
        let hashes: std::collections::BTreeSet<u64> = opens.iter().map(body_hash).collect();
        assert_eq!(hashes.len(), opens.len());
        assert_eq!(body_hash(&opens[0]), body_hash(&opens[0].clone()));
    }
}
