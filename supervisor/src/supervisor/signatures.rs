//! Keys that change while plugins run: written down soon, whoever changed them and how; and plugins that would not be let in any more are named.
//!
//! ```text
//!  every second: the keys, are they others? ─▶ written down ─▶ each signed plugin once more: still good?
//!                                                                └ no: written down, an event, shown by `croupier plugins`
//! ```
//!
//! Nothing is ended: a plugin plays for people at tables, and a revoked key says nothing about what is at them. Its operator decides, with `unload`. Expiry alone changes
//! no key, so it counts from the next load on.

use std::sync::{Arc, Weak};
use std::time::Duration;

use croupier_wire::door::What;
use tokio::sync::watch;

use super::{Phase, Shared};
use crate::audit::Happened;
use crate::audit::record::text;
use crate::game::GameDriver;
use crate::registry::trust::gate::Change;
use crate::registry::trust::policy::{Trust, TrustError};

/// How often the keys are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const NS_PER_S: u64 = 1_000_000_000;

/// Until the supervisor ends.
pub(super) async fn watch(shared: Weak<Shared>, mut phase: watch::Receiver<Phase>) {
    if shared.upgrade().is_none_or(|shared| shared.config.gate.is_none()) {
        return;
    }
    loop {
        let ended = phase.wait_for(|phase| *phase == Phase::Stopping);
        if tokio::time::timeout(LOOK_EVERY, ended).await.is_ok() {
            return;
        }
        let Some(shared) = shared.upgrade() else { return };
        // Files and signatures: nothing for a thread that others wait for.
        let _ = tokio::task::spawn_blocking(move || shared.look_at_keys()).await;
    }
}

impl Shared {
    fn look_at_keys(&self) {
        let Some(gate) = self.config.gate.as_deref() else { return };
        match gate.changed() {
            Change::None => {}
            Change::Keys(trust) => self.games().iter().for_each(|game| self.check_signature(game, &trust)),
            Change::Unreadable(error) => {
                tracing::error!(%error, "the trusted keys cannot be read; {}", gate.without_keys());
            }
        }
    }

    /// Looks at one plugin's signature again.
    fn check_signature(&self, game: &Arc<GameDriver>, trust: &Trust) {
        let plugin = game.plugin();
        let Some(signature) = &plugin.signature else { return };
        let Ok(bytes) = plugin.binary.bytes() else { return };
        let now_s = crate::clock::wall_ns() / NS_PER_S;
        let checked = trust.verify(&bytes, signature, now_s).and_then(|signer| signer.may_sign(&plugin.name));
        let Err(error) = checked else { return game.trust_signature() };
        let reason = reason(&error);
        if !game.distrust_signature(&reason) {
            return;
        }
        tracing::error!(
            plugin = plugin.name,
            reason,
            "the plugin's signature is not good any more; it runs on until it is unloaded"
        );
        self.context.audit.tell(Happened::SignatureDistrusted {
            plugin: plugin.name.clone(),
            digest: plugin.digest_hex(),
            verdict: error.word().to_owned(),
            reason: text(&reason),
        });
        game.tell(What::SignatureDistrusted { reason });
    }
}

fn reason(error: &TrustError) -> String {
    format!("its signature would not let it in any more: {error}")
}
