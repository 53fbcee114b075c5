//! What a worker of one plugin is to be confined by: the level, the layers and the limits. Manifest and options together; pure.

use std::time::Duration;

use croupier_manifest::manifest::{Isolation as Level, Limits as Manifest};
use croupier_wire::confine::{Rlimits, layer, namespace};
use croupier_wire::link::Limits as LinkLimits;

use super::value::Layer;
use crate::registry::PluginOptions;

/// Memory that the worker itself needs beside the plugin, in bytes: the C library, buffers that grow and shrink.
const OWN_BYTES: u64 = 16 << 20;
/// Address space beyond memory, in bytes: libraries, reserved heaps, guard pages, shifted layouts. It is never touched.
const ADDRESS_SLACK_BYTES: u64 = 2 << 30;
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
    /// CPU time of one turn.
    pub cpu_per_turn: Duration,
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
            cpu_per_turn: Duration::from_millis(less(manifest.cpu_ms_per_turn, options.cpu_ms_per_turn)),
            denied_calls_max: options.denied_calls_max.unwrap_or(DENIED_CALLS_MAX),
            without: options.without_layers,
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
        let impossible = if namespaces & namespace::MOUNT == 0 { layer::ROOT } else { 0 };
        layer::ALL & !impossible & !self.without
    }
}
