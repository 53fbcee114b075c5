//! What each action of the core means here. Under the lock only what is quick; the rest is put off until it is released.

use std::sync::Arc;

use croupier_core::Refusal;
use croupier_core::action::{Action, Answered, KillReason, Output, ToWorker};
use croupier_core::durable::{Change, Entry};
use croupier_core::event::{Event, HostKey};
use croupier_core::ids::{CallId, Payload, SessionId, WorkerId};
use croupier_fair::entry::Effect;
use croupier_wire::door;
use smallvec::SmallVec;

use super::attend::attend;
use super::driver::{Answerer, GameDriver, Inner};
use super::host_calls::{HostCall, UNSUPPORTED, ask};
use super::slot::Slot;
use super::transcripts::{Opening, Reveal, WhenDropped};
use crate::worker::convert;
use crate::worker::logs::PluginLog;
use crate::worker::port::Flushed;
use crate::worker::rate::Rate;

/// What is done when the lock is released. Mostly that is one flush or one answer, which needs no memory of its own.
#[derive(Default)]
pub(super) struct After {
    pub(super) flush: SmallVec<[Arc<Slot>; 1]>,
    answers: SmallVec<[(Answerer, Result<Answered, Refusal>); 1]>,
    spawns: Vec<Arc<Slot>>,
    asks: Vec<(HostKey, String, Payload)>,
    stopped: bool,
}

impl GameDriver {
    pub(super) fn perform(&self, inner: &mut Inner, action: Action, after: &mut After) {
        match action {
            Action::Spawn { worker } => after.spawns.push(self.add_slot(inner, worker)),
            Action::Kill { worker, why } => {
                if let Some(slot) = inner.slots.get(&worker) {
                    slot.kill(why);
                }
            }
            Action::Send { worker, call, message } => self.send(inner, worker, call, &message, after),
            Action::HostCall { key, name, args } => after.asks.push((key, name, args)),
            Action::Answer { request, result } => {
                if let Some(answerer) = inner.waiters.remove(&request) {
                    after.answers.push((answerer, result));
                }
            }
            Action::Output(output) => self.give_out(inner, &output),
            Action::Notice(notice) => self.notice(inner, notice),
            Action::Record { session, entry } => {
                self.context.transcripts.iter().for_each(|sink| sink.record(session, &entry));
            }
            Action::TranscriptOpen { session, commit, opened_ns, tick_ns } => {
                let hidden = self.plugin.player.hidden_information && !inner.reveal_public.contains(&session);
                let reveal = if hidden { Reveal::Auditor } else { Reveal::Public };
                let player = &self.plugin.player;
                let opening = Opening { session, player, commit, opened_ns, tick_ns, reveal };
                self.context.transcripts.iter().for_each(|sink| sink.open(&opening));
            }
            Action::TranscriptClose { session, seed, reason } => {
                let closed_ns = crate::clock::wall_ns();
                inner.reveal_public.remove(&session);
                self.context
                    .transcripts
                    .iter()
                    .for_each(|sink| sink.close(session, &seed, reason, closed_ns));
                if let (Some(at), Some(journal)) = (inner.ended_at.remove(&session), self.journal.clone()) {
                    self.when_written(session, move || journal.bury(session, at));
                }
            }
            Action::Journal(entry) => self.put(inner, entry),
            Action::Stopped => after.stopped = true,
        }
    }

    /// When all transcripts have what came so far: from the journal they could not get it again.
    fn when_written(&self, session: SessionId, deed: impl FnOnce() + Send + Sync + 'static) {
        let written = WhenDropped::new(deed);
        self.context.transcripts.iter().for_each(|sink| sink.checkpoint(session, written.clone()));
    }

    fn put(&self, inner: &mut Inner, entry: Box<Entry>) {
        match &entry.change {
            Change::Opened(_) => drop(inner.durable.insert(entry.session)),
            Change::Ended(_) => {
                inner.durable.remove(&entry.session);
                inner.ended_at.insert(entry.session, entry.at);
            }
            Change::Pruned { from } => {
                if let Some(journal) = self.journal.clone() {
                    let (session, from) = (entry.session, *from);
                    self.when_written(session, move || journal.prune(session, from));
                }
            }
            _ => {}
        }
        // Without one, no session is durable.
        if let Some(journal) = &self.journal {
            journal.put(entry);
        }
    }

    fn add_slot(&self, inner: &mut Inner, worker: WorkerId) -> Arc<Slot> {
        let plugin = &self.plugin;
        let log = PluginLog::new(&plugin.name, worker.0, plugin.log_lines_per_s, self.context.clock);
        let effects = Rate::new(plugin.jail.effects_per_s.into(), plugin.limits.effects_per_turn.into());
        let slot = Arc::new(Slot::new(self.me.clone(), worker, log, effects));
        inner.slots.insert(worker, slot.clone());
        slot
    }

    fn send(&self, inner: &Inner, worker: WorkerId, call: CallId, message: &ToWorker, after: &mut After) {
        let Some(slot) = inner.slots.get(&worker) else { return };
        // The core sends only after the worker's welcome, and that came through the port.
        let Some(port) = slot.port.get() else { return };
        if matches!(message, ToWorker::Shutdown) {
            slot.leave();
        }
        slot.sent(message);
        let put = match convert::tick_of(message) {
            Some(tick) => port.put_tick(tick, call.0),
            None => {
                let (wire, flags) = convert::to_wire(message);
                port.put(&wire, flags, call.0)
            }
        };
        if let Err(error) = put {
            // Inputs are capped well below a frame, so this is a fault of ours; the worker must not wait for a call that never comes.
            tracing::error!(plugin = self.plugin.name, worker = worker.0, %error, "cannot send to a worker");
            slot.kill(KillReason::Protocol(format!("a message could not be sent to it: {error}")));
        } else if !after.flush.iter().any(|other| Arc::ptr_eq(other, slot)) {
            after.flush.push(slot.clone());
        }
    }

    fn give_out(&self, inner: &mut Inner, output: &Output) {
        if let Some(followers) = inner.followers.get_mut(&output.session) {
            let push = door::Push::Output(door_output(output));
            followers.retain(|follower| {
                let here = !follower.is_abandoned();
                if here {
                    follower.push(push.clone());
                }
                here
            });
            if followers.is_empty() {
                inner.followers.remove(&output.session);
            }
        }
        if let Effect::Emit { topic, .. } = &output.effect
            && self.context.events.turns_wanted()
        {
            self.tell(door::What::Emitted { session: output.session.0, topic: topic.clone() });
        }
    }

    /// Does what was put off. Called without the lock.
    pub(super) fn afterwards(&self, after: After) {
        for slot in after.flush {
            let Some(port) = slot.port.get() else { continue };
            if let Flushed::Broken(why) = port.flush() {
                slot.kill(KillReason::Protocol(why));
            }
            // Unless this thread has borrowed the link, somebody has to hear of the answer.
            if port.rouse() {
                port.look();
            }
        }
        if let Some(me) = self.me.upgrade() {
            for slot in after.spawns {
                // Counted from here on, so that a shutdown waits for it although its task has not run yet.
                let alive = self.context.alive.enter();
                self.context.runtime.spawn(attend(me.clone(), slot, alive));
            }
            for (key, name, args) in after.asks {
                me.clone().host_call(key, &name, args);
            }
        }
        if after.stopped {
            self.set_stopped();
        }
        for (answerer, result) in after.answers {
            answerer(result);
        }
    }

    fn host_call(self: Arc<Self>, key: HostKey, name: &str, args: Payload) {
        let Some(provider) = self.context.host_calls.get(name) else {
            let answer = Payload::default();
            return self.step(Event::HostAnswer { key, status: UNSUPPORTED, answer });
        };
        let call = HostCall { plugin: self.plugin.name.clone(), key, args };
        let runtime = self.context.runtime.clone();
        runtime.spawn_blocking(move || {
            let (status, answer) = ask(&provider, call, self.plugin.limits.effect_bytes as usize);
            self.step(Event::HostAnswer { key, status, answer });
        });
    }
}

/// The door's form of an output.
pub(super) fn door_output(output: &Output) -> door::Output {
    let (to, bytes) = match &output.effect {
        Effect::Send { to: u64::MAX, message } => (door::OutputTo::All, message),
        Effect::Send { to, message } => (door::OutputTo::Player(*to), message),
        Effect::Emit { topic, event } => (door::OutputTo::Topic(topic.clone()), event),
    };
    door::Output {
        session: output.session.0,
        number: output.number,
        seq: output.seq,
        to,
        bytes: bytes.to_vec(),
    }
}
