//! What a plugin may use. One table holds every limit's default, minimum and maximum; the struct, the checks and the documentation's test
//! come from it.

use serde::Deserialize;

use super::ManifestError;

macro_rules! limits {
    ($($(#[$doc:meta])* $name:ident: $default:literal, $min:literal..=$max:literal;)*) => {
        /// What a plugin may use: the manifest's `[limits]`, with defaults where it says nothing. The operator may give less.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        #[non_exhaustive]
        pub struct Limits {
            $($(#[$doc])* pub $name: u32,)*
        }

        impl Default for Limits {
            fn default() -> Limits {
                Limits { $($name: $default,)* }
            }
        }

        /// Every limit with its default, minimum and maximum.
        pub const TABLE: &[Bounds] =
            &[$(Bounds { name: stringify!($name), default: $default, min: $min, max: $max },)*];

        pub(super) fn check(limits: &Limits) -> Result<(), ManifestError> {
            $(in_bounds(stringify!($name), limits.$name, $min, $max)?;)*
            Ok(())
        }
    };
}

/// The bounds of one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The key in `[limits]`.
    pub name: &'static str,
    /// Without the key.
    pub default: u32,
    /// Smallest value.
    pub min: u32,
    /// Largest value.
    pub max: u32,
}

limits! {
    /// Memory of a worker's heap, stacks and data, in MiB.
    memory_mib: 64, 8..=16_384;
    /// Stack of the game thread, in KiB.
    stack_kib: 1024, 64..=65_536;
    /// Threads of the plugin, the game thread among them; more than 1 needs the permission `threads`.
    threads: 1, 1..=256;
    /// Descriptors that the plugin may have open.
    open_files: 16, 8..=1024;
    /// CPU time of one turn, in milliseconds; beyond, the worker is killed and the turn suspected.
    cpu_ms_per_turn: 100, 1..=60_000;
    /// CPU time of a worker's whole life, in seconds; then, between two turns, another takes over. 0 for no limit.
    cpu_s: 0, 0..=31_536_000;
    /// CPU time in the long run, in percent of one core; 0 for one core per thread. Beyond, the worker waits. Only where there are cgroups.
    cpu_percent: 0, 0..=25_600;
    /// Wall-clock time of one turn, in milliseconds; beyond, the worker is killed.
    turn_wall_ms: 5000, 1..=600_000;
    /// Wall-clock time from spawn to the end of `init`, in milliseconds.
    load_wall_ms: 10_000, 100..=600_000;
    /// Longest reply of one turn, in bytes.
    reply_bytes: 1_048_576, 1..=16_777_216;
    /// Longest snapshot of one session, in bytes.
    snapshot_bytes: 4_194_304, 1..=33_554_432;
    /// Most sends, emits and host calls of one turn together.
    effects_per_turn: 256, 0..=4096;
    /// Most sends, emits and host calls per second, over ten seconds; beyond, the worker is killed.
    effects_per_s: 1_000_000, 1..=10_000_000;
    /// MiB per second that a worker may send to the supervisor, over ten seconds: answers, snapshots, log lines; beyond, it is killed.
    link_mib_per_s: 512, 1..=16_384;
    /// Longest single send, emit, or host-call argument or answer, in bytes.
    effect_bytes: 65_536, 1..=1_048_576;
    /// Log lines per second; more are counted and dropped.
    log_lines_per_s: 100, 0..=10_000;
}

fn in_bounds(name: &str, value: u32, min: u32, max: u32) -> Result<(), ManifestError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(ManifestError::key(
        format!("limits.{name}"),
        format!("{value} is out of bounds; it may be {min} to {max}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_within_bounds() {
        check(&Limits::default()).unwrap();
        assert!(TABLE.iter().all(|bounds| bounds.min <= bounds.default && bounds.default <= bounds.max));
    }
}
