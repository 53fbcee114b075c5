//! The lock around one game, and one step through it.
//!
//! ```text
//!  step(events):  lock ─ core.step ─ perform (encode frames, push outputs, record) ─ unlock ─ afterwards (flush, answer, spawn, ask)
//! ```
//!
//! Any thread may step: callers, tasks of workers, the timer. Answers are given after the lock is released, so whoever is
//! answered may come back at once.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, Once, Weak};
use std::time::Duration;

use croupier_core::action::{Action, Answered};
use croupier_core::durable::{Change, Durability};
use croupier_core::event::{Cause, Event, Open};
use croupier_core::game::OutputsError;
use croupier_core::ids::{IdHash, RequestId, SessionId, WorkerId};
use croupier_core::{Game, Refusal};
use croupier_fair::seed::ServerSeed;
use croupier_wire::door;
use tokio::sync::{Notify, watch};

use super::context::Context;
use super::perform::{After, door_output};
use super::rights::{RevokeError, Rights};
use super::slot::Slot;
use super::transcripts::{Known, Opening, Reveal};
use crate::clock::Pair;
use crate::crash::writer::Death;
use crate::events::PushTo;
use crate::jail::Isolation;
use crate::jail::Warden;
use crate::journal::{GameJournal, NoRoom, was_parked};
use crate::registry::Plugin;
use crate::worker::cause::LastWords;

/// Followers of one session's output at a time.
pub const FOLLOWERS_PER_SESSION_MAX: usize = 1024;

/// Pause between two looks at workers that are on their way out.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Who waits for an answer: called exactly once, without any lock held, unless the game is abandoned.
pub type Answerer = Box<dyn FnOnce(Result<Answered, Refusal>) + Send>;

/// What came of starting a game.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Started {
    /// It runs.
    Up,
    /// It did not come up, and is gone.
    Failed,
}

/// One plugin's game with its workers. Lives until [`GameDriver::stopped`].
pub struct GameDriver {
    pub(super) me: Weak<GameDriver>,
    pub(super) context: Arc<Context>,
    pub(super) plugin: Arc<Plugin>,
    pub(super) inner: Mutex<Inner>,
    /// Where it writes down durable sessions; none when the supervisor keeps no journal.
    pub(super) journal: Option<GameJournal>,
    /// The timer has to wake earlier than it thinks.
    earlier: Notify,
    stopped: watch::Sender<bool>,
    /// What came of starting it.
    pub(super) started: watch::Sender<Option<Started>>,
    /// Weaknesses of the isolation are warned of once per game.
    warned: Once,
    /// Why the signature that let it in is not good any more.
    distrusted: Mutex<Option<String>>,
}

impl std::fmt::Debug for GameDriver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GameDriver").field("plugin", &self.plugin.name).finish_non_exhaustive()
    }
}

/// What the lock protects.
pub(super) struct Inner {
    pub(super) game: Game,
    pub(super) slots: BTreeMap<WorkerId, Arc<Slot>>,
    pub(super) waiters: HashMap<RequestId, Answerer, IdHash>,
    pub(super) followers: HashMap<SessionId, Vec<Box<dyn PushTo>>, IdHash>,
    /// Live sessions whose seed goes to everybody at close though their game hides information.
    pub(super) reveal_public: HashSet<SessionId>,
    pub(super) rights: Rights,
    /// Live and held sessions that are written to the disk.
    pub(super) durable: HashSet<SessionId>,
    /// The last entries of durable sessions whose transcripts are not closed yet.
    pub(super) ended_at: HashMap<SessionId, u64, IdHash>,
    actions: Vec<Action>,
    clocks: Pair,
    /// When the timer wakes next, as it knows.
    armed: Option<u64>,
    pub(super) abandoned: bool,
    /// It did not come up, and its sessions are somebody else's again: what whoever comes late is told.
    pub(super) retired: Option<Refusal>,
}

impl GameDriver {
    /// A game that is unloaded; [`GameDriver::start`] it. Starts its timer.
    pub fn new(context: Arc<Context>, plugin: Arc<Plugin>) -> Arc<GameDriver> {
        Arc::new_cyclic(|me: &Weak<GameDriver>| {
            let told = me.clone();
            let durable = move |at| {
                if let Some(game) = told.upgrade() {
                    game.step(Event::Durable { at });
                }
            };
            let journal = context.journal.as_ref().map(|journal| {
                let journal = journal.game(&plugin.name, Box::new(durable));
                journal.plays(plugin.player.digest, &plugin.player.version);
                journal
            });
            GameDriver::unstarted(me.clone(), context, plugin, journal)
        })
        .timed()
    }

    /// Its timer runs from now on.
    fn timed(self: Arc<Self>) -> Arc<GameDriver> {
        self.context.runtime.spawn(keep_time(self.clone()));
        self
    }

    fn unstarted(
        me: Weak<GameDriver>,
        context: Arc<Context>,
        plugin: Arc<Plugin>,
        journal: Option<GameJournal>,
    ) -> GameDriver {
        let mut spec = plugin.spec.clone();
        spec.transcripts = !context.transcripts.is_empty();
        match &journal {
            Some(journal) => spec.journal_at = journal.at(),
            // Loading refuses what would need one.
            None => spec.durability = Durability::Process,
        }
        let inner = Inner {
            game: Game::new(spec),
            slots: BTreeMap::new(),
            waiters: HashMap::default(),
            followers: HashMap::default(),
            reveal_public: HashSet::new(),
            rights: Rights::default(),
            durable: HashSet::new(),
            ended_at: HashMap::default(),
            actions: Vec::new(),
            clocks: Pair::default(),
            armed: None,
            abandoned: false,
            retired: None,
        };
        GameDriver {
            me,
            context,
            plugin,
            inner: Mutex::new(inner),
            journal,
            earlier: Notify::new(),
            stopped: watch::Sender::new(false),
            started: watch::Sender::new(None),
            warned: Once::new(),
            distrusted: Mutex::new(None),
        }
    }

    /// Takes back a session from the disk, before [`GameDriver::start`].
    pub fn adopt(&self, session: SessionId, changes: Vec<(u64, Change)>, publicity: Publicity) {
        {
            let mut inner = crate::lock(&self.inner);
            match changes.last() {
                Some((at, Change::Ended(_))) => drop(inner.ended_at.insert(session, *at)),
                _ if was_parked(&changes) => {}
                _ => drop(inner.durable.insert(session)),
            }
            if publicity == Publicity::Public {
                inner.reveal_public.insert(session);
            }
        }
        self.resume_transcripts(session, &changes, publicity);
        self.step(Event::Adopt { session, changes });
    }

    /// These are in memory alone again.
    ///
    /// # Errors
    /// When the disk does not forget them.
    pub fn unpark(&self, sessions: &[SessionId]) -> Result<(), NoRoom> {
        self.journal.as_ref().map_or(Ok(()), |journal| journal.unpark(sessions))
    }

    /// Whoever records turns goes on where an earlier supervisor stopped.
    fn resume_transcripts(&self, session: SessionId, changes: &[(u64, Change)], publicity: Publicity) {
        if self.context.transcripts.is_empty() {
            return;
        }
        let (opened_ns, tick_ns, seed) = match changes.first().map(|(_, change)| change) {
            Some(Change::Opened(opened)) => (opened.opened_ns, opened.tick_ns, opened.seed),
            Some(Change::Ended(ended)) => (0, 0, ended.seed),
            _ => return,
        };
        let player = &self.plugin.player;
        let hidden = player.hidden_information && publicity == Publicity::AsTheGame;
        let reveal = if hidden { Reveal::Auditor } else { Reveal::Public };
        let commit = ServerSeed::from_bytes(seed).commit(session.0);
        let opening = Opening { session, player, commit, opened_ns, tick_ns, reveal };
        let known = Known::of(changes);
        for sink in &self.context.transcripts {
            sink.resume(&opening, known.clone());
        }
    }

    /// The plugin that it plays.
    pub fn plugin(&self) -> &Arc<Plugin> {
        &self.plugin
    }

    /// Takes one event.
    pub fn step(&self, event: Event) {
        self.step_all([event]);
    }

    /// Takes events in order, under one lock.
    pub fn step_all(&self, events: impl IntoIterator<Item = Event>) {
        let mut after = After::default();
        {
            let mut inner = crate::lock(&self.inner);
            self.step_locked(&mut inner, events, &mut after);
        }
        self.afterwards(after);
    }

    pub(super) fn step_locked(
        &self,
        inner: &mut Inner,
        events: impl IntoIterator<Item = Event>,
        after: &mut After,
    ) {
        if inner.abandoned || inner.retired.is_some() {
            return;
        }
        let now = inner.clocks.now(&self.context.clock);
        let mut actions = std::mem::take(&mut inner.actions);
        inner.game.step_all(now, events, &mut actions);
        for action in actions.drain(..) {
            self.perform(inner, action, after);
        }
        inner.actions = actions;
        let wake = inner.game.next_wake();
        if wake.is_some_and(|at| inner.armed.is_none_or(|armed| at < armed)) {
            self.earlier.notify_one();
        }
    }

    /// Takes an event that makes somebody wait. Gives the worker that something was sent to for it, or one of them.
    pub(super) fn ask(&self, request: RequestId, event: Event, answerer: Answerer) -> Option<Arc<Slot>> {
        let after = self.asked(request, event, answerer)?;
        let sent = after.flush.first().cloned();
        self.afterwards(after);
        sent
    }

    /// Takes an event that makes somebody wait, and gives what is to be done without the lock; nothing when it is retired, and the answer given.
    pub(super) fn asked(&self, request: RequestId, event: Event, answerer: Answerer) -> Option<After> {
        let mut after = After::default();
        let mut inner = crate::lock(&self.inner);
        if let Some(refusal) = inner.retired.clone() {
            drop(inner);
            answerer(Err(refusal));
            return None;
        }
        self.ask_locked(&mut inner, request, event, answerer, &mut after);
        Some(after)
    }

    pub(super) fn ask_locked(
        &self,
        inner: &mut Inner,
        request: RequestId,
        event: Event,
        answerer: Answerer,
        after: &mut After,
    ) {
        inner.waiters.insert(request, answerer);
        self.step_locked(inner, [event], after);
        if inner.abandoned {
            inner.waiters.remove(&request);
        }
    }

    /// Looks at the plugin's rights.
    pub(super) fn with_rights<T>(&self, look: impl FnOnce(&Rights) -> T) -> T {
        look(&crate::lock(&self.inner).rights)
    }

    /// Changes the plugin's rights, and takes the event that says so, under one lock.
    pub(super) fn step_rights(
        &self,
        change: impl FnOnce(&mut Rights) -> Result<Event, RevokeError>,
    ) -> Result<(), RevokeError> {
        let mut after = After::default();
        {
            let mut inner = crate::lock(&self.inner);
            let event = change(&mut inner.rights)?;
            self.step_locked(&mut inner, [event], &mut after);
        }
        self.afterwards(after);
        Ok(())
    }

    /// The journal has room again, or none any more.
    pub fn look_for_room(&self) {
        let Some(journal) = &self.journal else { return };
        let mut after = After::default();
        {
            let mut inner = crate::lock(&self.inner);
            // Asked under the lock: whoever comes last knows the newest.
            let room = journal.room_for_ticks();
            self.step_locked(&mut inner, [Event::Room { room }], &mut after);
        }
        self.afterwards(after);
    }

    /// Opens a session. `open.request` is fresh from [`Context::request`].
    pub fn open(&self, open: Open, reveal_public: Publicity, answerer: Answerer) {
        if reveal_public == Publicity::AsTheGame {
            self.ask(open.request, Event::Open(open), answerer);
            return;
        }
        let (session, me) = (open.session, self.me.clone());
        crate::lock(&self.inner).reveal_public.insert(session);
        let forgetting = move |result: Result<Answered, Refusal>| {
            // One that never came to be has no end that would forget it.
            if let (Err(_), Some(me)) = (&result, me.upgrade()) {
                crate::lock(&me.inner).reveal_public.remove(&session);
            }
            answerer(result);
        };
        self.ask(open.request, Event::Open(open), Box::new(forgetting));
    }

    /// The caller of this request went away. The turn is played all the same, once it was accepted.
    pub fn cancel(&self, request: RequestId, session: SessionId) {
        let known = crate::lock(&self.inner).waiters.remove(&request).is_some();
        if known {
            self.step(Event::Cancel { request, session });
        }
    }

    /// Follows a session's output from number `from` on (0: from now on). `begin` is called first, with the number of the first output
    /// that will come; it, like `to`, is called with the game locked, and must not come back here.
    ///
    /// # Errors
    /// [`FollowError`]; then `begin` is not called.
    pub fn follow(
        &self,
        session: SessionId,
        from: u64,
        to: Box<dyn PushTo>,
        begin: impl FnOnce(u64),
    ) -> Result<(), FollowError> {
        let mut inner = crate::lock(&self.inner);
        let history = inner.game.outputs(session, from).map_err(FollowError::Outputs)?;
        let next = inner.game.next_output(session).unwrap_or(1);
        let followers = inner.followers.entry(session).or_default();
        followers.retain(|follower| !follower.is_abandoned());
        if followers.len() >= FOLLOWERS_PER_SESSION_MAX {
            return Err(FollowError::TooMany);
        }
        begin(history.first().map_or(next, |output| output.number));
        for output in &history {
            to.push(door::Push::Output(door_output(output)));
        }
        followers.push(to);
        Ok(())
    }

    /// The signature that let the plugin in is not good any more. Says whether that is news.
    pub fn distrust_signature(&self, reason: &str) -> bool {
        crate::lock(&self.distrusted).replace(reason.to_owned()).as_deref() != Some(reason)
    }

    /// The signature is good, or good again.
    pub fn trust_signature(&self) {
        *crate::lock(&self.distrusted) = None;
    }

    /// Why the signature is not good any more, if so.
    pub fn distrusted(&self) -> Option<String> {
        crate::lock(&self.distrusted).clone()
    }

    /// Says what is missing of a worker's isolation, once.
    pub(super) fn tell_isolation(&self, slot: &Slot, isolation: &Isolation) {
        let (plugin, worker) = (self.plugin.name.as_str(), slot.id.0);
        tracing::debug!(plugin, worker, %isolation, "the worker is confined");
        let weaker = isolation.weaker();
        if !weaker.is_empty() {
            self.warned.call_once(|| {
                let missing = weaker.join("; ");
                tracing::warn!(
                    plugin,
                    level = isolation.level.as_str(),
                    missing,
                    "workers are confined by less than all layers"
                );
            });
        }
    }

    /// Completes when the game is unloaded and its workers are gone, or when it was abandoned.
    pub async fn stopped(&self) {
        // The sender lives in `self`.
        let _ = self.stopped.subscribe().wait_for(|stopped| *stopped).await;
    }

    pub(super) fn set_stopped(&self) {
        self.stopped.send_replace(true);
    }

    /// Gives the game up: kills its workers and answers nobody any more. For the end of the supervisor, when there is no time left.
    pub fn abandon(&self) {
        let waiters = {
            let mut inner = crate::lock(&self.inner);
            inner.abandoned = true;
            for slot in inner.slots.values() {
                slot.kill(croupier_core::action::KillReason::Retired);
            }
            std::mem::take(&mut inner.waiters)
        };
        // Dropped without the lock: whoever hears of it may come back.
        drop(waiters);
        self.set_stopped();
    }

    /// Its workers, those that are on their way in or out included.
    pub fn worker_ids(&self) -> Vec<WorkerId> {
        crate::lock(&self.inner).slots.keys().copied().collect()
    }

    /// Calls back when none of these workers is left. Their ends are certain: whoever drains or leaves has a deadline.
    pub fn when_ended(self: &Arc<Self>, workers: Vec<WorkerId>, done: impl FnOnce() + Send + 'static) {
        let driver = self.clone();
        self.context.runtime.spawn(async move {
            while workers.iter().any(|worker| driver.slot(*worker).is_some()) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            done();
        });
    }

    /// One worker, if it lives.
    pub(super) fn slot(&self, worker: WorkerId) -> Option<Arc<Slot>> {
        crate::lock(&self.inner).slots.get(&worker).cloned()
    }

    /// A worker's task has ended.
    pub(super) fn worker_ended(&self, worker: WorkerId, cause: Cause) {
        let mut after = After::default();
        let death;
        {
            let mut inner = crate::lock(&self.inner);
            // Before the game takes it in: afterwards nobody knows what it was at.
            death = self.death(&inner, worker, &cause);
            // The pid is told with the notice of the death, so the slot goes afterwards.
            self.step_locked(&mut inner, [Event::WorkerDied { worker, cause }], &mut after);
            inner.slots.remove(&worker);
        }
        self.afterwards(after);
        if let Some(death) = death {
            self.context.crashes.tell(death);
        }
    }

    /// What is reported of a death; nothing when we asked for it, or nobody wants to know.
    fn death(&self, inner: &Inner, worker: WorkerId, cause: &Cause) -> Option<Death> {
        if *cause == Cause::Asked || inner.abandoned || !self.context.crashes.is_on() {
            return None;
        }
        let slot = inner.slots.get(&worker)?;
        Some(Death {
            at_ns: crate::clock::wall_ns(),
            plugin: self.plugin.clone(),
            worker: worker.0,
            pid: slot.pid(),
            cause: cause.clone(),
            scene: inner.game.scene(worker),
            sample: slot.sample(),
            wreck: slot.warden.get().and_then(Warden::wreck).cloned(),
            last_words: slot.words().map(|words| match words {
                LastWords::BeforeWelcome(text) | LastWords::AfterWelcome(text) => text,
            }),
        })
    }
}

/// Why a session cannot be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FollowError {
    /// Its outputs cannot be had.
    #[error(transparent)]
    Outputs(OutputsError),
    /// It has [`FOLLOWERS_PER_SESSION_MAX`] already.
    #[error("the session has its maximum of {FOLLOWERS_PER_SESSION_MAX} followers; close one of them first")]
    TooMany,
}

/// To whom a session's seed is revealed at close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Publicity {
    /// As the game's kind says.
    AsTheGame,
    /// To everybody.
    Public,
}

/// Steps the game whenever its next wake is due.
async fn keep_time(driver: Arc<GameDriver>) {
    let mut stopped = driver.stopped.subscribe();
    loop {
        let due = {
            let mut inner = crate::lock(&driver.inner);
            inner.armed = inner.game.next_wake();
            inner.armed
        };
        let sleep = async {
            match due {
                Some(at) => tokio::time::sleep_until(driver.context.clock.instant(at).into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = sleep => driver.step(Event::Wake),
            () = driver.earlier.notified() => {}
            _ = stopped.wait_for(|stopped| *stopped) => return,
        }
    }
}
