//! The core's notices as events for the outside, and as log lines.

use croupier_core::action::{EndReason, Notice};
use croupier_core::ids::WorkerId;
use croupier_wire::door::{Event, Push, What};

use super::driver::{GameDriver, Inner};
use crate::audit::Happened;
use crate::audit::record::{SAYS_SUPERVISOR, SAYS_WORKER, text};
use crate::worker::logs::one_line;

impl GameDriver {
    /// Tells whoever listens that something happened.
    pub(crate) fn tell(&self, what: What) {
        let plugin = self.plugin.name.clone();
        self.context.events.tell(Event { at_ns: crate::clock::wall_ns(), plugin, what });
    }

    pub(super) fn notice(&self, inner: &mut Inner, notice: Notice) {
        if matches!(notice, Notice::TurnDone { .. }) && !self.context.events.turns_wanted() {
            return;
        }
        if let Notice::SessionEnded { session, .. } = &notice {
            for follower in inner.followers.remove(session).unwrap_or_default() {
                follower.push(Push::End);
            }
            inner.reveal_public.remove(session);
            (self.context.session_ended)(session.0);
        }
        if let Notice::Denied { permission, count, .. } = &notice {
            inner.rights.refused(permission, *count);
        }
        if let Notice::RefusedInside { permission, count, .. } = &notice {
            inner.rights.refused(permission, u64::from(*count));
        }
        self.log(&notice);
        let pid = |worker: WorkerId| inner.slots.get(&worker).map_or(0, |slot| slot.pid());
        if let Some(happened) = self.happened(&notice, pid) {
            self.context.audit.tell(happened);
        }
        if let Notice::SessionUnreadable { session, reason } = &notice {
            (self.context.session_aside)(session.0, &self.plugin.name, reason);
        }
        if let Some(what) = self.what(notice, pid) {
            self.tell(what);
        }
    }

    fn what(&self, notice: Notice, pid: impl Fn(WorkerId) -> u32) -> Option<What> {
        Some(match notice {
            Notice::Loaded => What::PluginLoaded {
                version: self.plugin.player.version.clone(),
                digest: self.plugin.digest_hex(),
            },
            Notice::Unloaded => What::PluginUnloaded,
            Notice::Suspended => What::PluginSuspended,
            Notice::Resumed => What::PluginResumed,
            Notice::Down { reason } => What::PluginDown { reason },
            Notice::Released => What::PluginReleased,
            Notice::BreakerOpened { failed, turns } => What::BreakerOpened { failed, turns },
            Notice::BreakerClosed => What::BreakerClosed,
            Notice::WorkerReady { worker } => What::WorkerReady { worker: worker.0, pid: pid(worker) },
            Notice::StandbyReady { worker } => What::StandbyReady { worker: worker.0, pid: pid(worker) },
            Notice::WorkerDied { worker, cause, turns, restores } => What::WorkerDied {
                worker: worker.0,
                pid: pid(worker),
                cause: cause.to_string(),
                unanswered: turns + restores,
            },
            Notice::MemoryHigh { worker, percent, rss_bytes, limit_bytes } => What::MemoryHigh {
                worker: worker.0,
                pid: pid(worker),
                percent: percent as u32,
                rss_kib: rss_bytes >> 10,
                limit_kib: limit_bytes >> 10,
            },
            Notice::MemoryGrows { worker, bytes, rss_bytes } => What::MemoryGrows {
                worker: worker.0,
                pid: pid(worker),
                grown_kib: bytes >> 10,
                rss_kib: rss_bytes >> 10,
            },
            Notice::Throttled { worker, percent } => {
                What::Throttled { worker: worker.0, pid: pid(worker), percent: percent as u32 }
            }
            Notice::Violation { worker, what } => {
                What::Violation { worker: worker.0, pid: pid(worker), what: text(what) }
            }
            Notice::SuspendedFor { reason } => What::SuspendedFor { reason },
            Notice::SessionOpened { session, commit } => {
                What::SessionOpened { session: session.0, commit: hex::encode(commit) }
            }
            Notice::SessionEnded { session, reason, seq } => {
                What::SessionEnded { session: session.0, reason: reason.word().into(), seq }
            }
            Notice::SessionHeld { session, reason } => What::SessionHeld { session: session.0, reason },
            Notice::SessionAdopted { session, seq } => What::SessionAdopted { session: session.0, seq },
            Notice::SessionUnreadable { session, reason } => {
                What::SessionUnreadable { session: session.0, reason }
            }
            Notice::SessionRestored { session, worker, replayed, pause_ns } => What::SessionRestored {
                session: session.0,
                worker: worker.0,
                replayed,
                pause_us: pause_ns / 1000,
            },
            Notice::SessionMoved { session, from, to, replayed, pause_ns } => What::SessionMoved {
                session: session.0,
                from: from.0,
                to: to.0,
                replayed,
                pause_us: pause_ns / 1000,
            },
            Notice::Scaled { replicas } => What::PluginScaled { replicas },
            Notice::Diverged { session, seq } => What::Diverged { session: session.0, seq },
            Notice::SnapshotsDistrusted { reason } => What::SnapshotsDistrusted { reason },
            // For the log and the audit log.
            Notice::Denied { .. } | Notice::RefusedInside { .. } => return None,
            Notice::Poison { session, seq, player } => {
                What::Poison { session: session.0, seq, player: player.0 }
            }
            Notice::PlayerJoined { session, player } => {
                What::PlayerJoined { session: session.0, player: player.0 }
            }
            Notice::PlayerLeft { session, player } => {
                What::PlayerLeft { session: session.0, player: player.0 }
            }
            Notice::TurnDone { session, seq, status } => What::TurnDone { session: session.0, seq, status },
        })
    }

    /// What is written down for good: not sessions as they come and go.
    fn happened(&self, notice: &Notice, pid: impl Fn(WorkerId) -> u32) -> Option<Happened> {
        let plugin = self.plugin.name.clone();
        Some(match notice {
            // Written down with what else is known at the load.
            Notice::Loaded => return None,
            Notice::Unloaded => Happened::PluginUnloaded { plugin },
            Notice::Down { reason } => Happened::PluginDown { plugin, reason: text(reason) },
            Notice::SuspendedFor { reason } => Happened::SuspendedFor { plugin, reason: text(reason) },
            Notice::BreakerOpened { failed, turns } => {
                Happened::BreakerOpened { plugin, failed: *failed, turns: *turns }
            }
            Notice::WorkerDied { worker, cause, turns, restores } => Happened::WorkerDied {
                plugin,
                worker: worker.0,
                pid: pid(*worker),
                cause: text(cause),
                turns: *turns,
                restores: *restores,
            },
            Notice::SessionHeld { session, reason } => {
                Happened::SessionHeld { plugin, session: session.0, reason: text(reason) }
            }
            Notice::SessionEnded { session, reason: EndReason::Dropped, seq } => {
                Happened::SessionDropped { plugin, session: session.0, seq: *seq }
            }
            Notice::SessionUnreadable { session, reason } => {
                Happened::SessionUnreadable { plugin, session: session.0, reason: text(reason) }
            }
            Notice::Diverged { session, seq } => Happened::Diverged { plugin, session: session.0, seq: *seq },
            Notice::SnapshotsDistrusted { reason } => {
                Happened::SnapshotsDistrusted { plugin, reason: text(reason) }
            }
            Notice::Poison { session, seq, player } => {
                Happened::Poison { plugin, session: session.0, seq: *seq, player: player.0 }
            }
            Notice::Denied { session, seq, permission, count } => Happened::PermissionDenied {
                plugin,
                permission: text(permission),
                session: session.0,
                seq: *seq,
                count: *count,
                says: SAYS_SUPERVISOR.to_owned(),
            },
            Notice::RefusedInside { session, seq, permission, count } => Happened::PermissionDenied {
                plugin,
                permission: text(permission),
                session: session.0,
                seq: *seq,
                count: u64::from(*count),
                says: SAYS_WORKER.to_owned(),
            },
            // Refused system calls and deaths are on record as such, and so is a verb.
            Notice::Violation { .. }
            | Notice::MemoryHigh { .. }
            | Notice::MemoryGrows { .. }
            | Notice::Throttled { .. } => return None,
            Notice::Released
            | Notice::BreakerClosed
            | Notice::Suspended
            | Notice::Resumed
            | Notice::WorkerReady { .. }
            | Notice::StandbyReady { .. }
            | Notice::SessionOpened { .. }
            | Notice::SessionAdopted { .. }
            | Notice::SessionEnded { .. }
            | Notice::SessionRestored { .. }
            | Notice::SessionMoved { .. }
            | Notice::Scaled { .. }
            | Notice::PlayerJoined { .. }
            | Notice::PlayerLeft { .. }
            | Notice::TurnDone { .. } => return None,
        })
    }

    /// What an operator wants in the log: plugins and what goes wrong, never sessions as they come and go.
    fn log(&self, notice: &Notice) {
        let plugin = self.plugin.name.as_str();
        match notice {
            Notice::Loaded => tracing::info!(plugin, version = self.plugin.player.version, "plugin loaded"),
            Notice::Unloaded => tracing::info!(plugin, "plugin unloaded"),
            Notice::Suspended => tracing::info!(plugin, "plugin suspended"),
            Notice::Resumed => tracing::info!(plugin, "plugin resumed"),
            Notice::Down { reason } => {
                tracing::error!(
                    plugin,
                    reason,
                    "the plugin is down; mend it, then `croupier release` or `restart` it"
                );
            }
            Notice::Released => tracing::info!(plugin, "plugin released"),
            Notice::Scaled { replicas } => tracing::info!(plugin, replicas, "plugin scaled"),
            Notice::BreakerOpened { failed, turns } => {
                tracing::error!(plugin, failed, turns, "too many turns failed: the plugin is given a rest");
            }
            Notice::BreakerClosed => tracing::info!(plugin, "turns succeed again: everybody is let in"),
            Notice::WorkerReady { worker } => tracing::info!(plugin, worker = worker.0, "worker serves"),
            Notice::StandbyReady { worker } => tracing::info!(plugin, worker = worker.0, "standby is warm"),
            Notice::WorkerDied { worker, cause, turns, restores } => {
                // What a plugin says may be part of it.
                let cause = cause.to_string();
                let cause = one_line(&cause);
                tracing::warn!(plugin, worker = worker.0, %cause, turns, restores, "worker died");
            }
            Notice::MemoryHigh { worker, percent, rss_bytes, limit_bytes } => {
                let (rss_mib, limit_mib) = (rss_bytes >> 20, limit_bytes >> 20);
                tracing::warn!(
                    plugin,
                    worker = worker.0,
                    percent,
                    rss_mib,
                    limit_mib,
                    "a worker comes near its memory limit"
                );
            }
            Notice::MemoryGrows { worker, bytes, rss_bytes } => {
                let (grown_kib, rss_kib) = (bytes >> 10, rss_bytes >> 10);
                tracing::warn!(
                    plugin,
                    worker = worker.0,
                    grown_kib,
                    rss_kib,
                    "a worker's memory grows minute after minute"
                );
            }
            Notice::Throttled { worker, percent } => {
                tracing::warn!(
                    plugin,
                    worker = worker.0,
                    percent,
                    "a worker is kept from the CPU by its cgroup (cpu_percent)"
                );
            }
            Notice::Violation { worker, what } => {
                let what = one_line(what);
                tracing::warn!(plugin, worker = worker.0, %what, "a worker broke its bounds");
            }
            Notice::SuspendedFor { reason } => {
                let reason = one_line(reason);
                tracing::error!(plugin, %reason, "the plugin is suspended; look at it, then `croupier resume` it");
            }
            Notice::SessionHeld { session, reason } => {
                tracing::error!(plugin, session = session.0, reason, "session held");
            }
            Notice::Diverged { session, seq } => {
                tracing::error!(plugin, session = session.0, seq, "a replayed turn answered differently");
            }
            Notice::SnapshotsDistrusted { reason } => {
                tracing::error!(
                    plugin,
                    reason,
                    "the plugin's snapshots cannot be restored: journals are kept whole"
                );
            }
            Notice::Poison { session, seq, player } => {
                tracing::error!(
                    plugin,
                    session = session.0,
                    seq,
                    player = player.0,
                    "a turn was skipped as poison"
                );
            }
            Notice::RefusedInside { session, seq, permission, count } => {
                tracing::debug!(
                    plugin,
                    session = session.0,
                    seq,
                    permission,
                    count,
                    "a worker says that it refused a permission"
                );
            }
            Notice::Denied { session, seq, permission, count } => {
                tracing::debug!(
                    plugin,
                    session = session.0,
                    seq,
                    permission,
                    count,
                    "a use of a permission came to nothing"
                );
            }
            Notice::SessionUnreadable { session, reason } => {
                tracing::error!(
                    plugin,
                    session = session.0,
                    reason,
                    "a session cannot be brought back from the journal, and is left there as it is"
                );
            }
            Notice::SessionOpened { .. }
            | Notice::SessionAdopted { .. }
            | Notice::SessionEnded { .. }
            | Notice::SessionRestored { .. }
            | Notice::SessionMoved { .. }
            | Notice::PlayerJoined { .. }
            | Notice::PlayerLeft { .. }
            | Notice::TurnDone { .. } => {}
        }
    }
}
