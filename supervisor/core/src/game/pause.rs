//! Suspend and resume.
//!
//! ```text
//!  suspend ─▶ no new numbers ─▶ everything that has a number is answered ─▶ the plugin is told ─▶ answered
//!  resume  ─▶ the plugin is told, if it knew ─▶ turns go on ─▶ answered
//! ```
//!
//! Between suspend and resume a plugin gets no turns (`croupier_plugin.h`), nor replays: so it is told when there is nothing left to
//! give. A worker that comes up meanwhile restores its sessions first, and is told then.

use super::workers::{CallKind, Role, Worker, WorkerPhase};
use super::{Cx, Game};
use crate::action::{Answered, Notice, ToWorker};
use crate::event::Answer;
use crate::ids::{RequestId, WorkerId};
use crate::lifecycle::{State, Step};
use crate::refusal::Refusal;

impl Game {
    pub(super) fn suspend(&mut self, cx: &mut Cx<'_>, request: RequestId) {
        if let Err(refusal) = self.state.check(Step::Suspend) {
            return cx.answer(request, Err(refusal));
        }
        self.state = State::Suspended;
        self.suspending.push(request);
        cx.notice(Notice::Suspended);
    }

    pub(super) fn resume(&mut self, cx: &mut Cx<'_>, request: RequestId) {
        if let Err(refusal) = self.state.check(Step::Resume) {
            return cx.answer(request, Err(refusal));
        }
        self.state = State::Running;
        self.forgive_conduct();
        self.resuming.push(request);
        self.resume_workers(cx);
        cx.notice(Notice::Resumed);
        self.all_ready();
    }

    /// Tells every plugin that was told it is suspended that it goes on.
    pub(super) fn resume_workers(&mut self, cx: &mut Cx<'_>) {
        for worker in self.serving() {
            if self.workers.get_mut(&worker).is_some_and(|slot| std::mem::take(&mut slot.told_suspended)) {
                self.send(cx, worker, CallKind::Resume, ToWorker::Resume);
            }
        }
    }

    /// The plugin does not want to be suspended: the operator is told, and may resume.
    pub(super) fn suspend_answered(&mut self, cx: &mut Cx<'_>, answer: Answer) {
        if let Answer::Failed { status, text } = answer {
            let refusal = Refusal::Plugin { seq: 0, status, text };
            cx.answer_all(std::mem::take(&mut self.suspending), &Err(refusal));
        }
    }

    /// Tells the plugin what it does not know yet, and answers whoever waited for that. Called at the end of every step.
    pub(super) fn settle_pause(&mut self, cx: &mut Cx<'_>) {
        if self.state == State::Suspended {
            self.tell_suspended(cx);
        }
        if !self.suspending.is_empty() && self.is_pause_settled() {
            cx.answer_all(std::mem::take(&mut self.suspending), &Ok(Answered::Ok));
        }
        if !self.resuming.is_empty() && !self.has_call(CallKind::Resume) {
            cx.answer_all(std::mem::take(&mut self.resuming), &Ok(Answered::Ok));
        }
    }

    fn tell_suspended(&mut self, cx: &mut Cx<'_>) {
        let untold: Vec<WorkerId> = self
            .workers
            .values()
            .filter(plays)
            .filter(|slot| slot.takes_turns())
            .map(|slot| slot.id)
            .collect();
        if untold.is_empty() || !self.is_quiet() {
            return;
        }
        for worker in untold {
            if let Some(slot) = self.workers.get_mut(&worker) {
                slot.told_suspended = true;
            }
            self.send(cx, worker, CallKind::Suspend, ToWorker::Suspend);
        }
    }

    /// Whether nothing is in flight, and nothing has a number or waits for its place in a worker.
    fn is_quiet(&self) -> bool {
        let lists = [&self.placing, &self.waiting, &self.suspects, &self.outcasts];
        lists.iter().all(|list| list.is_empty())
            && self.workers.values().filter(plays).all(|slot| match slot.phase {
                WorkerPhase::Serving => {
                    slot.told_suspended || (slot.calls.is_empty() && slot.ready.is_empty())
                }
                WorkerPhase::Leaving => true,
                // Its sessions come here, or will.
                WorkerPhase::Spawning
                | WorkerPhase::Initializing
                | WorkerPhase::Draining
                | WorkerPhase::Dying => false,
            })
    }

    /// Whether whoever asked for a suspend can be answered: every plugin that serves knows. While none serves nothing runs that would
    /// have to know, and whoever comes up will be told: an operator does not wait for workers that are killed again and again.
    fn is_pause_settled(&self) -> bool {
        if self.state != State::Suspended || self.down.is_some() {
            return true;
        }
        let mut serving = self.workers.values().filter(plays).filter(|slot| slot.is_serving());
        serving.all(|slot| slot.told_suspended) && !self.has_call(CallKind::Suspend)
    }

    fn has_call(&self, what: CallKind) -> bool {
        self.workers.values().any(|slot| slot.calls.iter().any(|call| call.what == what))
    }
}

/// Not a standby, which has no sessions: it is told when it has taken somebody's place.
fn plays(slot: &&Worker) -> bool {
    slot.role != Role::Standby
}
