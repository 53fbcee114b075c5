//! What the operator says about a plugin. Everything is optional: manifests and defaults say the rest.

use croupier_manifest::manifest::Isolation;
use serde::Deserialize;

use crate::jail::plan::Transport;

/// What a session survives, as it stands in the config.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Nothing: the plugin keeps no state, and a session begins again from its opening when its worker dies.
    None,
    /// Any death of a worker.
    Process,
    /// The supervisor's death and the loss of power as well.
    Disk,
}

impl From<Durability> for croupier_core::durable::Durability {
    fn from(durability: Durability) -> Self {
        match durability {
            Durability::None => croupier_core::durable::Durability::None,
            Durability::Process => croupier_core::durable::Durability::Process,
            Durability::Disk => croupier_core::durable::Durability::Disk,
        }
    }
}

/// When a dead worker is replaced, as it stands in the config.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Restart {
    /// Always.
    Permanent,
    /// Unless it exited with code 0.
    Transient,
    /// Never.
    Temporary,
}

impl From<Restart> for croupier_core::policy::restart::Mode {
    fn from(restart: Restart) -> Self {
        match restart {
            Restart::Permanent => croupier_core::policy::restart::Mode::Permanent,
            Restart::Transient => croupier_core::policy::restart::Mode::Transient,
            Restart::Temporary => croupier_core::policy::restart::Mode::Temporary,
        }
    }
}

macro_rules! options {
    ($($(#[$doc:meta])* $name:ident: $type:ty,)*) => {
        /// What the operator says about one plugin, or about all.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct PluginOptions {
            /// Settings for the plugin's `init`: the text of a JSON object.
            #[serde(skip)]
            pub settings: Option<String>,
            /// Bits of [`croupier_wire::confine::layer`] that workers do without: only for tests that show what the other layers hold. No config can say this.
            #[serde(skip)]
            pub without_layers: u32,
            /// Permissions that are not granted though the manifest asks for them, as written there.
            pub deny: Vec<String>,
            /// The permissions that are granted, of those that the manifest asks for; all of them when this is not said.
            pub grant: Option<Vec<String>>,
            $($(#[$doc])* pub $name: Option<$type>,)*
        }

        impl PluginOptions {
            /// These options, and where they say nothing, those.
            #[must_use]
            pub fn or(&self, others: &PluginOptions) -> PluginOptions {
                PluginOptions {
                    settings: self.settings.clone().or_else(|| others.settings.clone()),
                    grant: self.grant.clone().or_else(|| others.grant.clone()),
                    without_layers: self.without_layers | others.without_layers,
                    deny: [self.deny.as_slice(), others.deny.as_slice()].concat(),
                    $($name: self.$name.or(others.$name),)*
                }
            }
        }
    };
}

options! {
    /// Most accepted turns that wait in one session, from 1.
    queue_max: u32,
    /// Most callers that wait for room in one session's queue.
    lobby_max: u32,
    /// Most calls in flight on one worker, from 1.
    window_calls: usize,
    /// Most turns of one session in flight, from 1.
    flights_max: usize,
    /// Most sessions, live and held.
    sessions_max: usize,
    /// Clients whose answers one session remembers.
    clients_max: usize,
    /// Outputs that each session keeps for followers that reconnect.
    outputs_kept: usize,
    /// A snapshot is taken after this many turns, from 1.
    snapshot_turns: u64,
    /// A snapshot is taken after this many turns already, from 1, when the journal since the last one has as many bytes as that.
    snapshot_turns_min: u64,
    /// A snapshot is taken after this many bytes of journal.
    snapshot_journal_bytes: usize,
    /// A snapshot is taken after this many milliseconds.
    snapshot_age_ms: u64,
    /// Late ticks that are caught up.
    catch_up_ticks: u64,
    /// Poison turns after which a session is held.
    poison_max: u32,
    /// Longest time of one turn in milliseconds; counts when it is less than the manifest's.
    turn_wall_ms: u32,
    /// Longest time of loading in milliseconds; counts when it is less than the manifest's.
    load_wall_ms: u32,
    /// Log lines per second of one worker.
    log_lines_per_s: u32,
    /// Period of ticks in milliseconds; 0 for none.
    tick_ms: u32,
    /// How much workers must be confined, at least; a manifest may demand more.
    isolation: Isolation,
    /// Each worker gets an address layout of its own, at the cost of a slower start.
    fresh_aslr: bool,
    /// What carries frames between the supervisor and its workers.
    transport: Transport,
    /// Refused system calls after which a worker is ended; 0 for never.
    denied_calls_max: u32,
    /// Memory of a worker in MiB; counts when it is less than the manifest's.
    memory_mib: u32,
    /// Stack in KiB; likewise.
    stack_kib: u32,
    /// Threads; likewise.
    threads: u32,
    /// Descriptors; likewise.
    open_files: u32,
    /// CPU time of one turn in milliseconds; likewise.
    cpu_ms_per_turn: u32,
    /// CPU time of a worker's whole life in seconds; likewise, and 0 is no limit.
    cpu_s: u32,
    /// CPU time in the long run, in percent of one core; likewise.
    cpu_percent: u32,
    /// Sends, emits and host calls per second; likewise.
    effects_per_s: u32,
    /// MiB per second that a worker may send on its link; likewise.
    link_mib_per_s: u32,
    /// Idle time-out in milliseconds; 0 for never.
    idle_timeout_ms: u64,
    /// Workers that serve, each with its share of the sessions.
    replicas: u32,
    /// Spare workers, initialised, that take the place of a dead one at once.
    standbys: u32,
    /// When a dead worker is replaced.
    restart: Restart,
    /// Deaths of one cause within the window that are borne; one more is quarantine.
    deaths_max: u32,
    /// That window in seconds.
    deaths_window_s: u32,
    /// The pause before the second replacement in a row, in milliseconds; it doubles with each one.
    restart_pause_ms: u32,
    /// The longest such pause in milliseconds.
    restart_pause_max_ms: u32,
    /// After so many seconds without a death of the plugin's own the pauses begin anew.
    heal_s: u32,
    /// Percent of the last turns that may fail by the plugin's own fault before it is given a rest; 0 for never.
    breaker_percent: u32,
    /// How many turns that looks at, from 2.
    breaker_turns: u32,
    /// The rest in milliseconds.
    breaker_rest_ms: u32,
    /// A worker that had nothing to do for so many milliseconds is pinged; 0 for never.
    ping_ms: u32,
    /// Longest time that it may take to answer, in milliseconds.
    ping_wall_ms: u32,
    /// Violations within the window that are borne; with one more the plugin is suspended. 0 for never.
    violations_max: u32,
    /// That window in seconds.
    violations_window_s: u32,
    /// What its sessions survive.
    durability: Durability,
    /// Whoever opens a session may choose what it survives.
    choose_durability: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugins_own_options_come_before_the_defaults_and_denials_add_up() {
        let own = PluginOptions { queue_max: Some(3), deny: vec!["send".into()], ..PluginOptions::default() };
        let all = PluginOptions {
            queue_max: Some(9),
            poison_max: Some(2),
            deny: vec!["threads".into()],
            ..PluginOptions::default()
        };
        let both = own.or(&all);
        assert_eq!((both.queue_max, both.poison_max), (Some(3), Some(2)));
        assert_eq!(both.deny, ["send", "threads"]);
    }

    #[test]
    fn no_config_can_leave_a_layer_out() {
        let error = serde_json::from_str::<PluginOptions>(r#"{"without_layers": 31}"#).unwrap_err();
        assert!(error.to_string().contains("unknown field"), "{error}");
        assert!(serde_json::from_str::<PluginOptions>(r#"{"deny": []}"#).is_ok());
    }
}
