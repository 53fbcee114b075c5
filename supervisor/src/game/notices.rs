//! The core's notices as events for the outside, and as log lines.

use croupier_core::action::Notice;
use croupier_core::ids::WorkerId;
use croupier_wire::door::{Event, Push, What};

use super::driver::{GameDriver, Inner};
use crate::worker::logs::one_line;

impl GameDriver {
    /// Tells whoever listens that something happened.
    pub(super) fn tell(&self, what: What) {
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
        self.log(&notice);
        let pid = |worker: WorkerId| inner.slots.get(&worker).map_or(0, |slot| slot.pid());
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
            Notice::WorkerReady { worker } => What::WorkerReady { worker: worker.0, pid: pid(worker) },
            Notice::WorkerDied { worker, cause, turns, restores } => What::WorkerDied {
                worker: worker.0,
                pid: pid(worker),
                cause: cause.to_string(),
                unanswered: turns + restores,
            },
            Notice::SessionOpened { session, commit } => {
                What::SessionOpened { session: session.0, commit: hex::encode(commit) }
            }
            Notice::SessionEnded { session, reason, seq } => {
                What::SessionEnded { session: session.0, reason: reason.word().into(), seq }
            }
            Notice::SessionHeld { session, reason } => What::SessionHeld { session: session.0, reason },
            Notice::SessionRestored { session, worker, replayed, pause_ns } => What::SessionRestored {
                session: session.0,
                worker: worker.0,
                replayed,
                pause_us: pause_ns / 1000,
            },
            Notice::Diverged { session, seq } => What::Diverged { session: session.0, seq },
            Notice::SnapshotsDistrusted { reason } => What::SnapshotsDistrusted { reason },
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

    /// What an operator wants in the log: plugins and what goes wrong, never sessions as they come and go.
    fn log(&self, notice: &Notice) {
        let plugin = self.plugin.name.as_str();
        match notice {
            Notice::Loaded => tracing::info!(plugin, version = self.plugin.player.version, "plugin loaded"),
            Notice::Unloaded => tracing::info!(plugin, "plugin unloaded"),
            Notice::Suspended => tracing::info!(plugin, "plugin suspended"),
            Notice::Resumed => tracing::info!(plugin, "plugin resumed"),
            Notice::Down { reason } => tracing::error!(plugin, reason, "the plugin's workers do not come up"),
            Notice::WorkerReady { worker } => tracing::info!(plugin, worker = worker.0, "worker serves"),
            Notice::WorkerDied { worker, cause, turns, restores } => {
                // What a plugin says may be part of it.
                let cause = cause.to_string();
                let cause = one_line(&cause);
                tracing::warn!(plugin, worker = worker.0, %cause, turns, restores, "worker died");
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
            Notice::SessionOpened { .. }
            | Notice::SessionEnded { .. }
            | Notice::SessionRestored { .. }
            | Notice::PlayerJoined { .. }
            | Notice::PlayerLeft { .. }
            | Notice::TurnDone { .. } => {}
        }
    }
}
