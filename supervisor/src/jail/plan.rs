//! What a worker of one plugin is to be confined by: the level, the layers and the limits. Manifest and options together; pure.

use std::time::Duration;

use croupier_manifest::manifest::{Isolation as Level, Limits as Manifest};
use croupier_ring::RING_BYTES_DEFAULT;
use croupier_wire::confine::{Rlimits, layer, namespace};
use croupier_wire::link::Limits as LinkLimits;
use serde::Deserialize;

use super::cgroup;
use super::value::Layer;
use crate::registry::PluginOptions;

/// Memory that the worker itself needs beside the plugin, in bytes: the C library, buffers that grow and shrink.
const OWN_BYTES: u64 = 16 << 20;
/// Address space beyond memory, in bytes: libraries, reserved heaps, guard pages, shifted layouts. It is never touched.
const ADDRESS_SLACK_BYTES: u64 = 2 << 30;
/// Where memory itself is limited (cgroups), RLIMIT_DATA is the second line: this much more in percent, since it also counts what is never touched.
const SECOND_LINE_PERCENT: u64 = 150;
/// Percent of a core that one thread can use.
const THREAD_PERCENT: u64 = 100;
/// Refused system calls after which a worker is ended, unless configured otherwise.
pub const DENIED_CALLS_MAX: u32 = 64;
const MIB: u64 = 1 << 20;
const KIB: u64 = 1 << 10;

/// Whether the plugin was granted threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threads {
    /// It was.
    Granted,
    /// It has the game thread alone.
    Denied,
}

/// How an address layout comes about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Workers share the zygote's, stack canary included. Quick to make.
    Shared,
    /// Each worker is executed afresh.
    Fresh,
}

/// What carries the frames between the supervisor and its workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// A ring in shared memory, with the socket as its bell. Much faster.
    #[default]
    Ring,
    /// The socket.
    Socket,
}

/// Names the transport of plugins whose options name none: `ring` or `socket`.
const TRANSPORT: &str = "CROUPIER_TRANSPORT";

impl Transport {
    /// The environment's, or the ring.
    #[must_use]
    pub fn unless_said() -> Transport {
        match std::env::var(TRANSPORT).as_deref() {
            Ok("socket") => Transport::Socket,
            _ => Transport::Ring,
        }
    }

    /// Bytes of each direction of the ring; 0 for none.
    #[must_use]
    pub fn ring_bytes(self) -> u32 {
        match self {
            Transport::Ring => RING_BYTES_DEFAULT,
            Transport::Socket => 0,
        }
    }
}

/// By what a worker's memory is limited first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryLimit {
    /// By address space alone.
    Rlimits,
    /// By its cgroup.
    Cgroup,
}

/// Whose processes `RLIMIT_NPROC` counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// The worker's alone: it has a user namespace, or a user, of its own.
    Alone,
    /// All of its user's: the limit must not be set.
    WithOthers,
}

/// What confines the workers of one plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// The least that will do.
    pub level: Level,
    /// Limits of the process.
    pub rlimits: Rlimits,
    /// Threads.
    pub threads: Threads,
    /// Address layout.
    pub layout: Layout,
    /// What carries the frames.
    pub transport: Transport,
    /// CPU time of one turn.
    pub cpu_per_turn: Duration,
    /// CPU time of a worker's whole life; none for as much as it likes.
    pub cpu_per_life: Option<Duration>,
    /// CPU time in the long run, in percent of one core.
    pub cpu_percent: u64,
    /// Sends, emits and host calls per second.
    pub effects_per_s: u32,
    /// Bytes per second that a worker may send on its link.
    pub link_bytes_per_s: u64,
    /// Refused system calls after which it is ended; 0 for never.
    pub denied_calls_max: u32,
    /// Layers of [`layer`] that are left out: for tests that show what the others hold.
    pub without: u32,
}

impl Plan {
    /// From what the manifest wants and the operator caps.
    #[must_use]
    pub fn new(
        manifest: &Manifest,
        minimum: Option<Level>,
        link: &LinkLimits,
        threads: Threads,
        options: &PluginOptions,
    ) -> Plan {
        let less = |theirs: u32, ours: Option<u32>| u64::from(ours.map_or(theirs, |ours| ours.min(theirs)));
        let level = options.isolation.unwrap_or(Level::Standard);
        let stack_bytes = less(manifest.stack_kib, options.stack_kib) * KIB;
        let most_threads = match threads {
            Threads::Granted => less(manifest.threads, options.threads),
            Threads::Denied => 1,
        };
        // A turn in, its answer out, and what one of them grows into.
        let buffers = 3 * u64::from(link.frame_bytes);
        let data_bytes = less(manifest.memory_mib, options.memory_mib) * MIB + OWN_BYTES + buffers;
        let rlimits = Rlimits {
            data_bytes,
            address_bytes: data_bytes + ADDRESS_SLACK_BYTES,
            stack_bytes,
            open_files: less(manifest.open_files, options.open_files),
            threads: most_threads,
        };
        Plan {
            level: minimum.map_or(level, |minimum| level.max(minimum)),
            rlimits,
            threads,
            layout: if options.fresh_aslr == Some(true) { Layout::Fresh } else { Layout::Shared },
            transport: options.transport.unwrap_or_else(Transport::unless_said),
            cpu_per_turn: Duration::from_millis(less(manifest.cpu_ms_per_turn, options.cpu_ms_per_turn)),
            cpu_per_life: cpu_per_life(manifest, options),
            cpu_percent: cpu_percent(manifest, options, most_threads),
            effects_per_s: less(manifest.effects_per_s, options.effects_per_s) as u32,
            link_bytes_per_s: less(manifest.link_mib_per_s, options.link_mib_per_s) * MIB,
            denied_calls_max: options.denied_calls_max.unwrap_or(DENIED_CALLS_MAX),
            without: options.without_layers,
        }
    }

    /// How much memory it may use; 0 when nothing limits that.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        if self.level == Level::Off { 0 } else { self.rlimits.data_bytes }
    }

    /// What its cgroup is to limit; none with isolation off.
    #[must_use]
    pub fn cgroup(&self) -> Option<cgroup::Limits> {
        // A worker that is executed afresh needs a thread once, before the plugin is there.
        let first = if self.layout == Layout::Fresh { 1 } else { 0 };
        (self.level != Level::Off).then_some(cgroup::Limits {
            memory_bytes: self.rlimits.data_bytes,
            tasks: self.rlimits.threads + first,
            cpu_percent: self.cpu_percent,
        })
    }

    /// The rlimits of a worker whose memory is limited otherwise or not, and which is alone in what `RLIMIT_NPROC` counts or not.
    #[must_use]
    pub fn rlimits(&self, memory: MemoryLimit, counted: Counted) -> Rlimits {
        let second = |bytes: u64| bytes * SECOND_LINE_PERCENT / 100;
        let data_bytes = match memory {
            MemoryLimit::Rlimits => self.rlimits.data_bytes,
            MemoryLimit::Cgroup => second(self.rlimits.data_bytes),
        };
        Rlimits {
            data_bytes,
            address_bytes: data_bytes + ADDRESS_SLACK_BYTES,
            threads: match counted {
                Counted::Alone => self.rlimits.threads,
                Counted::WithOthers => 0,
            },
            ..self.rlimits
        }
    }

    /// Whether a test wants to do without a layer.
    #[must_use]
    pub fn leaves_out(&self, what: Layer) -> bool {
        let bit = match what {
            Layer::EmptyRoot => layer::ROOT,
            Layer::Rlimits => layer::RLIMITS,
            Layer::NoNewPrivs | Layer::Capabilities => layer::PRIVILEGES,
            Layer::Landlock => layer::LANDLOCK,
            Layer::Seccomp => layer::SECCOMP,
            _ => 0,
        };
        self.without & bit != 0
    }

    /// Namespaces to ask the zygote for.
    #[must_use]
    pub fn namespaces(&self) -> u32 {
        let none = self.level == Level::Off || self.without & layer::NAMESPACES != 0;
        if none { 0 } else { namespace::ALL }
    }

    /// Layers to ask a worker with these namespaces for.
    #[must_use]
    pub fn layers(&self, namespaces: u32) -> u32 {
        if self.level == Level::Off {
            return 0;
        }
        possible(layer::ALL, namespaces) & !self.without
    }

    /// Those of them that are the same for every plugin, with all namespaces that are asked for.
    #[must_use]
    pub fn first_layers(&self) -> u32 {
        self.layers(self.namespaces()) & layer::FIRST
    }
}

/// Those of these layers that a worker with these namespaces can put on.
#[must_use]
pub fn possible(layers: u32, namespaces: u32) -> u32 {
    if namespaces & namespace::MOUNT == 0 { layers & !layer::ROOT } else { layers }
}

/// What the manifest asks for (a core for each thread, when it does not say), and the operator caps.
fn cpu_percent(manifest: &Manifest, options: &PluginOptions, threads: u64) -> u64 {
    let asked = match manifest.cpu_percent {
        0 => threads * THREAD_PERCENT,
        percent => u64::from(percent),
    };
    options.cpu_percent.map_or(asked, |most| asked.min(u64::from(most)))
}

/// 0 is no limit, on either side.
fn cpu_per_life(manifest: &Manifest, options: &PluginOptions) -> Option<Duration> {
    let seconds = [manifest.cpu_s, options.cpu_s.unwrap_or(0)];
    let least = seconds.into_iter().filter(|seconds| *seconds > 0).min();
    least.map(|seconds| Duration::from_secs(seconds.into()))
}
