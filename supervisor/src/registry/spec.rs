//! Manifest and operator's options together: what the game, the link and the worker go by. Pure.

use croupier_core::Spec;
use croupier_core::game::{REPLICAS_MAX, STANDBYS_MAX};
use croupier_core::policy::breaker::BreakerPolicy;
use croupier_core::policy::conduct::ConductPolicy;
use croupier_core::policy::restart::RestartPolicy;
use croupier_core::spec::{Grants, Join, SnapshotPolicy, WatchPolicy};
use croupier_manifest::manifest::{Join as ManifestJoin, Permission};
use croupier_manifest::{Digest, Manifest, check_json};
use croupier_wire::frame::{FRAME_BYTES_CEILING, FRAME_BYTES_DEFAULT};
use croupier_wire::link::Limits;

use super::grants::{self, Decided};
use super::{PluginError, PluginOptions};
use crate::clock::ms_to_ns;

const NS_PER_MS: u64 = 1_000_000;
/// Deepest nesting of a plugin's settings.
const SETTINGS_DEPTH_MAX: usize = 64;
/// Bytes of a frame beside its payloads: headers, lengths, texts.
const FRAME_SLACK_BYTES: u64 = 64 << 10;

/// What the plugin asks for, what the operator says to it, and what comes of that.
pub(super) fn decided(manifest: &Manifest, options: &PluginOptions) -> Result<Vec<Decided>, PluginError> {
    let named = |key: &str, permissions: &[String]| {
        permissions
            .iter()
            .map(|text| Permission::try_from(text.clone()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|why| wrong(manifest, format!("`{key}` names no permission: {why}")))
    };
    let grant = options.grant.as_deref().map(|grant| named("grant", grant)).transpose()?;
    let deny = named("deny", &options.deny)?;
    Ok(grants::decide(&manifest.permissions.request, grant.as_deref(), &deny))
}

fn wrong(manifest: &Manifest, why: String) -> PluginError {
    PluginError::Options { plugin: manifest.name.to_string(), why }
}

fn restart(options: &PluginOptions, usual: RestartPolicy) -> RestartPolicy {
    let ms = |ms: Option<u32>, usual: u64| ms.map_or(usual, |ms| u64::from(ms) * NS_PER_MS);
    let s = |s: Option<u32>, usual: u64| s.map_or(usual, |s| u64::from(s) * 1000 * NS_PER_MS);
    RestartPolicy {
        mode: options.restart.map_or(usual.mode, Into::into),
        deaths_max: options.deaths_max.unwrap_or(usual.deaths_max),
        window_ns: s(options.deaths_window_s, usual.window_ns),
        pause_min_ns: ms(options.restart_pause_ms, usual.pause_min_ns),
        pause_max_ns: ms(options.restart_pause_max_ms, usual.pause_max_ns),
        heal_ns: s(options.heal_s, usual.heal_ns),
    }
}

fn breaker(options: &PluginOptions, usual: BreakerPolicy) -> BreakerPolicy {
    BreakerPolicy {
        failures_percent: options.breaker_percent.unwrap_or(usual.failures_percent).min(100),
        window_turns: options.breaker_turns.unwrap_or(usual.window_turns).max(2),
        rest_ns: options.breaker_rest_ms.map_or(usual.rest_ns, |ms| u64::from(ms) * NS_PER_MS),
        ..usual
    }
}

fn watch(options: &PluginOptions, usual: WatchPolicy) -> WatchPolicy {
    let ms = |ms: Option<u32>, usual: u64| ms.map_or(usual, |ms| u64::from(ms) * NS_PER_MS);
    let window_ns = options.violations_window_s.map(|s| u64::from(s) * 1000 * NS_PER_MS);
    WatchPolicy {
        ping_every_ns: ms(options.ping_ms, usual.ping_every_ns),
        ping_wall_ns: ms(options.ping_wall_ms, usual.ping_wall_ns),
        conduct: ConductPolicy {
            violations_max: options.violations_max.unwrap_or(usual.conduct.violations_max),
            window_ns: window_ns.unwrap_or(usual.conduct.window_ns),
            ..usual.conduct
        },
        ..usual
    }
}

/// What the plugin's game goes by.
pub(super) fn spec(
    manifest: &Manifest,
    digest: Digest,
    granted: &[Permission],
    options: &PluginOptions,
) -> Result<Spec, PluginError> {
    let defaults = Spec::new(manifest.name.as_str(), digest.0);
    let less = |theirs: u32, ours: Option<u32>| u64::from(ours.map_or(theirs, |ours| ours.min(theirs)));
    let tick_ms = options.tick_ms.unwrap_or(manifest.session.tick_ms);
    let idle_ms = options.idle_timeout_ms.unwrap_or(manifest.session.idle_timeout_ms);
    Ok(Spec {
        state_version: manifest.state_version,
        settings: settings(manifest, options)?,
        players_max: manifest.players.max,
        join: match manifest.players.join {
            ManifestJoin::Required => Join::Required,
            ManifestJoin::Optional => Join::Optional,
        },
        grants: core_grants(granted),
        queue_max: options.queue_max.unwrap_or(defaults.queue_max).max(1),
        lobby_max: options.lobby_max.unwrap_or(defaults.lobby_max),
        window_calls: options.window_calls.unwrap_or(defaults.window_calls).max(1),
        flights_max: options.flights_max.unwrap_or(defaults.flights_max).max(1),
        turn_wall_ns: less(manifest.limits.turn_wall_ms, options.turn_wall_ms) * NS_PER_MS,
        load_wall_ns: less(manifest.limits.load_wall_ms, options.load_wall_ms) * NS_PER_MS,
        snapshots: SnapshotPolicy {
            turns: options.snapshot_turns.unwrap_or(defaults.snapshots.turns).max(1),
            turns_min: options.snapshot_turns_min.unwrap_or(defaults.snapshots.turns_min).max(1),
            bytes: options.snapshot_journal_bytes.unwrap_or(defaults.snapshots.bytes),
            age_ns: options.snapshot_age_ms.map_or(defaults.snapshots.age_ns, ms_to_ns),
        },
        outputs_kept: options.outputs_kept.unwrap_or(defaults.outputs_kept),
        clients_max: options.clients_max.unwrap_or(defaults.clients_max),
        sessions_max: options.sessions_max.unwrap_or(defaults.sessions_max),
        catch_up_ticks: options.catch_up_ticks.unwrap_or(defaults.catch_up_ticks),
        poison_max: options.poison_max.unwrap_or(defaults.poison_max),
        tick_ns: u64::from(tick_ms) * NS_PER_MS,
        idle_ns: ms_to_ns(idle_ms),
        replicas: options.replicas.unwrap_or(defaults.replicas).clamp(1, REPLICAS_MAX),
        standbys: options.standbys.unwrap_or(defaults.standbys).min(STANDBYS_MAX),
        restart: restart(options, defaults.restart),
        breaker: breaker(options, defaults.breaker),
        watch: watch(options, defaults.watch),
        durability: options.durability.map_or(defaults.durability, Into::into),
        ..defaults
    })
}

fn settings(
    manifest: &Manifest,
    options: &PluginOptions,
) -> Result<croupier_core::ids::Payload, PluginError> {
    let text = options.settings.as_deref().unwrap_or("{}");
    if let Err(error) = check_json(text.as_bytes(), SETTINGS_DEPTH_MAX) {
        return Err(wrong(manifest, format!("`settings` is no JSON object: {error}")));
    }
    if !text.trim_start().starts_with('{') {
        return Err(wrong(
            manifest,
            "`settings` is no JSON object; write members, as in { key = \"value\" }".into(),
        ));
    }
    Ok(text.as_bytes().into())
}

/// What the core is told of permissions.
pub(crate) fn core_grants<'a>(granted: impl IntoIterator<Item = &'a Permission>) -> Grants {
    let mut grants = Grants::default();
    for permission in granted {
        match permission {
            Permission::Send => grants.send = true,
            Permission::Emit(topic) => drop(grants.emit.insert(topic.to_string())),
            Permission::Call(name) => drop(grants.call.insert(name.to_string())),
            // Enforced by the jail, not by the game.
            Permission::Threads => {}
        }
    }
    grants
}

/// What a worker must keep to. A frame holds a turn's reply, effects and snapshot together, each at its limit.
pub(super) fn link_limits(manifest: &Manifest) -> Limits {
    let limits = &manifest.limits;
    let effects = u64::from(limits.effects_per_turn) * u64::from(limits.effect_bytes);
    let most = u64::from(limits.reply_bytes) + u64::from(limits.snapshot_bytes) + effects + FRAME_SLACK_BYTES;
    let frame_bytes = most.clamp(u64::from(FRAME_BYTES_DEFAULT), u64::from(FRAME_BYTES_CEILING)) as u32;
    Limits {
        frame_bytes,
        reply_bytes: limits.reply_bytes,
        snapshot_bytes: limits.snapshot_bytes,
        effects_per_turn: limits.effects_per_turn,
        effect_bytes: limits.effect_bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = r#"
        manifest = 1
        name = "craps"
        version = "1.2.3"
        authors = ["A"]
        description = "d"
        license = "MIT"
        state_version = 4
        [game]
        type = "dice"
        [players]
        min = 0
        max = 7
        join = "optional"
        [permissions]
        request = ["send", "emit:table", "call:wallet.balance"]
        [limits]
        turn_wall_ms = 2000
        [session]
        tick_ms = 50
    "#;

    fn manifest() -> Manifest {
        Manifest::parse(MANIFEST).expect("a manifest").0
    }

    #[test]
    fn options_change_what_they_name_and_never_give_more_time_than_the_manifest() {
        let options = PluginOptions {
            queue_max: Some(0),
            turn_wall_ms: Some(60_000),
            load_wall_ms: Some(500),
            idle_timeout_ms: Some(9),
            deny: vec!["emit:table".into()],
            ..PluginOptions::default()
        };
        let manifest = manifest();
        let decided = decided(&manifest, &options).unwrap();
        let granted: Vec<Permission> = grants::granted(&decided).cloned().collect();
        let spec = spec(&manifest, Digest([1; 32]), &granted, &options).unwrap();
        assert_eq!((spec.queue_max, spec.state_version, spec.players_max), (1, 4, 7));
        assert_eq!((spec.turn_wall_ns, spec.load_wall_ns), (2_000_000_000, 500_000_000));
        assert_eq!((spec.tick_ns, spec.idle_ns), (50_000_000, 9_000_000));
        assert_eq!(spec.join, Join::Optional);
        assert!(spec.grants.send && spec.grants.emit.is_empty());
        assert!(spec.grants.call.contains("wallet.balance"));
    }

    #[test]
    fn wrong_options_are_named() {
        let manifest = manifest();
        let deny = PluginOptions { deny: vec!["emmit:x".into()], ..PluginOptions::default() };
        assert!(decided(&manifest, &deny).unwrap_err().to_string().contains("emmit:x"));
        for text in ["[1]", "{", ""] {
            let options = PluginOptions { settings: Some(text.into()), ..PluginOptions::default() };
            let error = spec(&manifest, Digest([1; 32]), &[], &options).unwrap_err().to_string();
            assert!(error.contains("settings"), "{error}");
        }
    }

    #[test]
    fn a_frame_holds_everything_at_its_limit_up_to_the_ceiling() {
        let limits = link_limits(&manifest());
        let all = u64::from(limits.reply_bytes)
            + u64::from(limits.snapshot_bytes)
            + u64::from(limits.effects_per_turn) * u64::from(limits.effect_bytes);
        assert!(u64::from(limits.frame_bytes) > all);
    }
}
