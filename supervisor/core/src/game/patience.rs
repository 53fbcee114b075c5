//! What deaths and failures of the plugin's own come to: pauses between workers, quarantine, a rest behind the breaker. The rules are in
//! [`crate::policy`]; here they meet the game.

use std::hash::Hasher as _;

use xxhash_rust::xxh3::Xxh3;

use super::workers::{Worker, WorkerPhase};
use super::{Cx, Game};
use crate::action::{Answered, KillReason, Notice};
use crate::event::Cause;
use crate::ids::{RequestId, SessionId, WorkerId, kind};
use crate::lifecycle::{State, Step};
use crate::policy::breaker::{Change, Seen};
use crate::policy::restart::{DeathId, Finding, Mode, Verdict};
use crate::refusal::Refusal;

/// `CROUPIER_E_INTERNAL`: the plugin itself is at fault.
pub(super) const E_INTERNAL: i32 = -4;

/// How a turn speaks for the plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TurnWas {
    /// It worked, or the rules forbade it.
    Sound,
    /// The plugin is at fault.
    Faulty,
}

impl Game {
    /// A session may have caused this death.
    pub(super) fn suspect(&mut self, cx: &Cx<'_>, id: SessionId, death: Option<DeathId>) {
        let Some(death) = death else { return };
        match self.sessions.get_mut(&id) {
            Some(session) => session.trouble.deaths.push(death),
            None => self.restarts.tried(cx.now.mono_ns, death, Finding::Innocent),
        }
    }

    /// A session was tried for the deaths that it may have caused.
    pub(super) fn found(&mut self, cx: &mut Cx<'_>, id: SessionId, finding: Finding) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let deaths = std::mem::take(&mut session.trouble.deaths);
        if deaths.is_empty() {
            return;
        }
        for death in deaths {
            self.restarts.tried(cx.now.mono_ns, death, finding);
        }
        if let Verdict::Quarantine { reason } = self.judge(cx, 0) {
            self.quarantine(cx, reason);
        }
    }

    fn judge(&mut self, cx: &Cx<'_>, luck: u64) -> Verdict {
        self.restarts.judge(cx.now.mono_ns, &self.spec.restart, luck)
    }

    /// A worker that served has died: is it replaced, and when?
    pub(super) fn bear(&mut self, cx: &mut Cx<'_>, worker: WorkerId, cause: &Cause) {
        let ended_well = *cause == Cause::Exit { code: 0 };
        let stays = match self.spec.restart.mode {
            Mode::Permanent => None,
            Mode::Transient => ended_well.then_some("transient"),
            Mode::Temporary => Some("temporary"),
        };
        if stays.is_some() && self.workers.values().any(Worker::serves) {
            // The others serve on: there is one less.
            self.replicas = self.replicas.saturating_sub(1).max(1);
            return cx.notice(Notice::Scaled { replicas: self.replicas });
        }
        if let Some(word) = stays {
            return self
                .quarantine(cx, format!("its worker ended ({cause}), and its restart policy is \"{word}\""));
        }
        match self.judge(cx, self.luck(worker)) {
            Verdict::Quarantine { reason } => self.quarantine(cx, reason),
            Verdict::Replace { pause_ns: 0 } => {}
            Verdict::Replace { pause_ns } => self.respawn_after(cx, pause_ns),
        }
    }

    /// A number that differs between plugins and between workers, and is the same in every replay of the same events.
    pub(super) fn luck(&self, worker: WorkerId) -> u64 {
        let mut hash = Xxh3::new();
        hash.write(self.spec.name.as_bytes());
        hash.write_u64(worker.0);
        hash.finish()
    }

    /// No turns until an operator says so: callers are told, workers go home, sessions and numbered turns stay.
    fn quarantine(&mut self, cx: &mut Cx<'_>, reason: String) {
        if self.down.is_some() || !matches!(self.state, State::Running | State::Suspended) {
            return;
        }
        cx.notice(Notice::Down { reason: reason.clone() });
        self.go_down(cx, reason);
        let workers: Vec<WorkerId> = self
            .workers
            .values()
            .filter(|slot| slot.phase != WorkerPhase::Dying)
            .map(|slot| slot.id)
            .collect();
        for worker in workers {
            if let Some(slot) = self.workers.get_mut(&worker) {
                slot.retired = true;
            }
            self.kill(cx, worker, KillReason::Retired);
        }
    }

    pub(super) fn release(&mut self, cx: &mut Cx<'_>, request: RequestId) {
        if !matches!(self.state, State::Running | State::Suspended) {
            return cx.answer(request, Err(Refusal::WrongState { step: Step::Restart, state: self.state }));
        }
        if self.down.is_none() && self.breaker.word() == "closed" {
            return cx.answer(request, Err(Refusal::NotDown));
        }
        self.down = None;
        self.restarts.forgive();
        self.standbys.forgive();
        self.breaker.close();
        (self.start_failures, self.probe_failures) = (0, 0);
        (self.respawn_at, self.probe_at) = (None, None);
        cx.notice(Notice::Released);
        cx.answer(request, Ok(Answered::Ok));
        self.all_ready();
    }

    /// Whether a fresh turn is let through to the plugin. Who wants to go may always go.
    pub(super) fn admit(&mut self, cx: &Cx<'_>, turn: u16) -> Result<(), Refusal> {
        if matches!(turn, kind::LEAVE | kind::CLOSE) {
            return Ok(());
        }
        let admitted = self.breaker.admit(cx.now.mono_ns, &self.spec.breaker);
        admitted.map_err(|rest_ns| Refusal::Resting { rest_ns })
    }

    pub(super) fn breaker_saw(&mut self, cx: &mut Cx<'_>, session: SessionId, turn: TurnWas) {
        let seen = match turn {
            TurnWas::Sound => Seen::Sound,
            TurnWas::Faulty => Seen::Faulty { session, sessions: self.sessions.len() },
        };
        match self.breaker.played(cx.now.mono_ns, &self.spec.breaker, seen) {
            Some(Change::Opened { failed, turns }) => cx.notice(Notice::BreakerOpened { failed, turns }),
            Some(Change::Closed) => cx.notice(Notice::BreakerClosed),
            None => {}
        }
    }
}
