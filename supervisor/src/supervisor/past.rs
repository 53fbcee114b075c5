//! Sessions that the disk had when the supervisor started, until the game that plays them is loaded.
//!
//! ```text
//!  journal ─▶ Past ──plugin loaded (the binary that played them)──▶ the game adopts them
//!               └─ cannot be read, or no such binary ─▶ aside: left on the disk, named to whoever asks
//! ```
//!
//! Nothing here deletes anything.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use croupier_core::action::{Answered, Done};
use croupier_core::durable::{Change, Entry};
use croupier_core::ids::{ClientId, RequestId, SessionId};
use croupier_core::open_keys::OpenKeys;
use croupier_fair::seed::ServerSeed;
use croupier_manifest::Digest;
use croupier_wire::door::{Code, JournalInfo, Refusal};

use super::Shared;
use super::load::LoadError;
use super::routes::Kept;
use crate::game::GameDriver;
use crate::game::driver::Publicity;
use crate::journal::contents::Place;
use crate::journal::format::OpenRecord;
use crate::journal::{Contents, Journal, SessionOnDisk, was_parked};
use crate::refusals::{about, hint, refusal, unknown_session};

/// Sessions set aside that are named to an operator at a time.
const ASIDE_SHOWN_MAX: usize = 100;

/// Sessions that a game was given.
pub(super) type Adopted = BTreeMap<SessionId, SessionOnDisk>;

/// What the disk had.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// By plugin; each goes when it is adopted.
    waiting: BTreeMap<String, BTreeMap<SessionId, SessionOnDisk>>,
    opens: BTreeMap<SessionId, OpenRecord>,
    /// Sessions that nobody plays: the plugin, and why.
    aside: BTreeMap<u64, (String, String)>,
}

impl Past {
    /// Takes what was read apart, and says what is wrong with it.
    pub(super) fn new(contents: Contents, journal: &Journal) -> Past {
        let mut past = Past::default();
        for flaw in &contents.flaws {
            tracing::error!(%flaw, "a part of the journal cannot be read; it is left as it is, and the rest goes on");
            if let Place::Entry { game, session, .. } = &flaw.place {
                past.aside
                    .entry(session.0)
                    .or_insert((game.clone(), format!("the journal is damaged: {flaw}")));
            }
        }
        for (name, game) in contents.games {
            let whole = game.sessions.into_iter().filter(|(_, session)| session.unreadable == 0);
            past.waiting.insert(name, whole.collect());
        }
        for (session, record) in contents.opens {
            match past.waiting.get(&record.plugin).is_some_and(|sessions| sessions.contains_key(&session)) {
                true => drop(past.opens.insert(session, record)),
                // Nothing of it was ever written: nobody was told of it.
                false if !past.aside.contains_key(&session.0) => journal.not_opened(session),
                false => {}
            }
        }
        past
    }

    /// The binary that played the sessions of a plugin that wait, if any do that go on.
    fn digest(&self, plugin: &str) -> Option<Digest> {
        let sessions = self.waiting.get(plugin)?.values();
        let newest = sessions
            .filter(|session| !session.has_ended())
            .filter_map(|session| Some((session.changes.last()?.0, digest_of(session)?)))
            .max_by_key(|(at, _)| *at);
        newest.map(|(_, digest)| digest)
    }
}

/// The binary that played a session last.
fn digest_of(session: &SessionOnDisk) -> Option<Digest> {
    session.changes.iter().rev().find_map(|(_, change)| match change {
        Change::Played(played) => Some(Digest(played.digest)),
        Change::Snapshot(kept) => Some(Digest(kept.digest)),
        Change::Parked(parked) => Some(Digest(parked.digest)),
        _ => None,
    })
}

impl Shared {
    /// The binary that sessions of this plugin need that are on the disk.
    pub(super) fn past_digest(&self, plugin: &str) -> Option<Digest> {
        crate::lock(&self.journal_past).digest(plugin)
    }

    /// Whether sessions of this plugin wait. Once its name is taken, nobody but its load takes them away or brings more.
    pub(super) fn has_past(&self, plugin: &str) -> bool {
        crate::lock(&self.journal_past).waiting.contains_key(plugin)
    }

    /// Plugins with sessions on the disk that nobody plays, and the binaries that they need.
    pub(super) fn past_plugins(&self) -> Vec<(String, Digest)> {
        let past = crate::lock(&self.journal_past);
        past.waiting.keys().filter_map(|name| Some((name.clone(), past.digest(name)?))).collect()
    }

    /// Gives a game its sessions from the disk, before it starts. What it got, to be given back should it not start. [`Shared::unpark`] comes next.
    pub(super) fn adopt(&self, game: &Arc<GameDriver>) -> Adopted {
        let plugin = game.plugin();
        let (mine, opens) = {
            let mut past = crate::lock(&self.journal_past);
            let all = past.waiting.remove(&plugin.name).unwrap_or_default();
            let fits = |session: &SessionOnDisk| {
                session.has_ended() || digest_of(session).is_none_or(|digest| digest == plugin.digest())
            };
            let (mine, others): (BTreeMap<_, _>, BTreeMap<_, _>) =
                all.into_iter().partition(|(_, session)| fits(session));
            for (session, other) in &others {
                let digest = digest_of(other).map(|digest| digest.to_string()).unwrap_or_default();
                let why = format!("it was played by the binary {digest}, and another one is loaded");
                tracing::error!(
                    plugin = plugin.name,
                    session = session.0,
                    why,
                    "a session stays on the disk"
                );
                past.aside.insert(session.0, (plugin.name.clone(), why));
            }
            if !others.is_empty() {
                past.waiting.insert(plugin.name.clone(), others);
            }
            let opens: BTreeMap<SessionId, OpenRecord> = mine
                .keys()
                .filter_map(|session| Some((*session, past.opens.get(session)?.clone())))
                .collect();
            mine.keys().for_each(|session| drop(past.aside.remove(&session.0)));
            (mine, opens)
        };
        for (session, on_disk) in &mine {
            let open = opens.get(session);
            let public = open.is_some_and(|open| open.reveal_public);
            let publicity = if public { Publicity::Public } else { Publicity::AsTheGame };
            // The route first: what the game cannot adopt takes it away again.
            let kept = if was_parked(&on_disk.changes) { Kept::Memory } else { Kept::Disk };
            self.routes.insert(session.0, Arc::downgrade(game), kept);
            if on_disk.has_ended() {
                self.routes.ended(session.0);
            }
            if let Some(open) = open {
                self.remember_open(*session, open, on_disk);
            }
            game.adopt(*session, on_disk.changes.clone(), publicity);
        }
        let live = mine.values().filter(|session| !session.has_ended()).count();
        if live > 0 {
            tracing::info!(plugin = plugin.name, sessions = live, "sessions are taken back from the journal");
        }
        mine
    }

    /// Sessions that were parked are in memory alone again. Waits for the disk.
    ///
    /// # Errors
    /// When the disk does not forget them in time: played on, they would come back as they were should this supervisor die.
    pub(super) fn unpark(&self, game: &GameDriver, mine: &Adopted) -> Result<(), LoadError> {
        let parked: Vec<SessionId> = {
            let past = crate::lock(&self.journal_past);
            let is_back = |session: &SessionId| !past.aside.contains_key(&session.0);
            let parked = mine.iter().filter(|(_, on_disk)| was_parked(&on_disk.changes));
            parked.map(|(session, _)| *session).filter(is_back).collect()
        };
        if parked.is_empty() {
            return Ok(());
        }
        let name = game.plugin().name.clone();
        game.unpark(&parked).map_err(|source| LoadError::Parked { name, sessions: parked.len(), source })
    }

    /// What was parked and is in memory alone again goes back to the disk: but for what the game put there itself, for the end of the supervisor.
    fn park_again(&self, plugin: &str, sessions: &Adopted, on_disk: &HashSet<SessionId>) {
        let Some(journal) = &self.context.journal else { return };
        let game = journal.game(plugin, Box::new(|_| {}));
        let parked = sessions.iter().filter(|(_, session)| was_parked(&session.changes));
        for (session, kept) in parked.filter(|(session, _)| !on_disk.contains(session)) {
            let reveal_public =
                crate::lock(&self.journal_past).opens.get(session).is_some_and(|open| open.reveal_public);
            game.parking(*session, reveal_public);
            for (at, change) in &kept.changes {
                game.put(Box::new(Entry { at: *at, session: *session, change: change.clone() }));
            }
        }
    }

    /// The game did not start: its sessions wait on. Those in `on_disk` it has put there itself.
    pub(super) fn return_to_shelf(
        &self,
        plugin: &str,
        sessions: Adopted,
        on_disk: &HashSet<SessionId>,
        why: &str,
    ) {
        if sessions.is_empty() {
            return;
        }
        self.park_again(plugin, &sessions, on_disk);
        tracing::warn!(
            plugin,
            sessions = sessions.len(),
            why,
            "sessions that were taken back from the journal wait there again"
        );
        let mut past = crate::lock(&self.journal_past);
        for (session, on_disk) in &sessions {
            self.routes.remove(session.0);
            if !on_disk.has_ended() {
                past.aside
                    .insert(session.0, (plugin.to_owned(), format!("its plugin does not start: {why}")));
            }
        }
        past.waiting.entry(plugin.to_owned()).or_default().extend(sessions);
    }

    /// The same request to open is to find the same session.
    fn remember_open(&self, session: SessionId, open: &OpenRecord, on_disk: &SessionOnDisk) {
        let (Some(done), Some((_, Change::Opened(opened)))) = (&open.done, on_disk.changes.first()) else {
            return;
        };
        let commit = ServerSeed::from_bytes(opened.seed).commit(session.0);
        let done = Done {
            seq: done.seq,
            now_ns: done.now_ns,
            reply: done.reply.as_slice().into(),
            retries: done.retries,
        };
        let answer = Answered::Opened { session, commit, done };
        crate::lock(&self.opens).remember(ClientId(open.client), open.client_seq, open.body, &answer);
    }

    /// A session that nobody plays. Called with a game's lock held.
    pub(super) fn set_aside(&self, session: u64, plugin: &str, why: &str) {
        self.routes.remove(session);
        crate::lock(&self.journal_past).aside.insert(session, (plugin.to_owned(), why.to_owned()));
    }

    /// What is said of plugins whose sessions wait and that could not be loaded.
    pub(super) fn set_all_aside(&self, plugin: &str, why: &str) -> usize {
        let mut past = crate::lock(&self.journal_past);
        let Past { waiting, aside, .. } = &mut *past;
        let sessions = waiting.get(plugin).into_iter().flatten().filter(|(_, session)| !session.has_ended());
        let mut count = 0;
        for (session, _) in sessions {
            aside.insert(session.0, (plugin.to_owned(), why.to_owned()));
            count += 1;
        }
        count
    }

    /// Why there is no such session.
    pub(super) fn no_session(&self, session: u64) -> Refusal {
        // At the very end games are gone, and their sessions with them: who asks must not take them for over.
        if let Err(refusal) = self.check_serving() {
            return refusal;
        }
        if let Some((plugin, why)) = crate::lock(&self.journal_past).aside.get(&session) {
            let text = format!("session {session} is on the disk and not played: {why}");
            let what = about(refusal(Code::SessionHeld, text), plugin, session);
            return hint(
                what,
                "nothing of it is lost; `croupier journal verify` and `export` look at it while the supervisor is stopped",
            );
        }
        if session == 0 || session >= self.ids.first() {
            return unknown_session(session);
        }
        match crate::transcript::last_turn(self.config.state_dir.as_deref(), session) {
            crate::transcript::Left::Finished => {
                let text = format!("session {session} has ended");
                about(refusal(Code::SessionClosed, text), "", session)
            }
            crate::transcript::Left::Begun { last_turn } => lost(session, last_turn),
            crate::transcript::Left::Nothing => lost(session, 0),
        }
    }

    /// The journal at a glance.
    pub(super) fn journal_info(&self) -> Option<JournalInfo> {
        let status = self.context.journal.as_ref()?.status();
        let past = crate::lock(&self.journal_past);
        let aside = past.aside.iter().take(ASIDE_SHOWN_MAX);
        Some(JournalInfo {
            entries: status.totals.entries,
            bytes: status.totals.bytes,
            disk_bytes: status.disk_bytes,
            waiting_bytes: status.waiting_bytes,
            commits: status.commits,
            trouble: status.no_room.map(|no_room| no_room.to_string()),
            aside: aside
                .map(|(session, (plugin, why))| format!("session {session} of {plugin}: {why}"))
                .collect(),
        })
    }
}

fn lost(session: u64, last_turn: u64) -> Refusal {
    let known = match last_turn {
        0 => "it may have been closed before".to_owned(),
        seq => format!("its last recorded turn is {seq}"),
    };
    let text =
        format!("session {session} was lost when an earlier supervisor ended without warning; {known}");
    let what = Refusal { seq: last_turn, ..about(refusal(Code::SessionLost, text), "", session) };
    hint(what, "open a new one; sessions of plugins with durability = \"disk\" survive")
}

/// Requests that open sessions, as the keys know them.
pub(super) fn remember(keys: &mut OpenKeys, (client, number, body): (ClientId, u64, u64), answer: &Answered) {
    // Nobody waits: no request has this number.
    keys.begin(client, number, body, RequestId(0));
    keys.finish(client, number, Some(answer));
}
