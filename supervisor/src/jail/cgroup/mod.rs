//! The cgroup layer of the jail (cgroups(7), version 2): memory, tasks and CPU of each worker, counted and capped by the kernel, and an end for all of it at once.
//!
//! ```text
//!  BASE                       delegated to us: our own cgroup, or the one that the config names      find
//!  └─ croupier-PID-N          ours alone, locked for as long as we live; without the lock a leftover  tree
//!     ├─ supervisor           we and the zygote, when we were in BASE: controllers want it empty
//!     └─ w1, w2 …             a worker each, with its limits; it is cloned right into it              group
//! ```
//!
//! A worker is made with `CLONE_INTO_CGROUP`: not a moment of its life, and not a page of its memory, is counted elsewhere, and nobody has to move it. It makes its cgroup
//! namespace afterwards (the kernel takes the maker's cgroup as the root of one that clone makes), so that it sees itself as the root.
//!
//! Version 1 hierarchies are never touched. Not what a worker's own limits are: see [`super::plan`].

pub mod find;
pub mod group;
pub mod tree;

use std::fmt;
use std::path::PathBuf;

pub use find::{Found, NotFound};
pub use group::{Group, OutOfMemory};
pub use tree::{Tree, TreeError};

/// Where workers' cgroups are made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Choice {
    /// Nowhere.
    #[default]
    Off,
    /// Below our own cgroup, if it was delegated to us.
    Auto,
    /// Below this directory.
    At(PathBuf),
}

/// A controller that limits workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Controller {
    Memory,
    Pids,
    Cpu,
}

impl Controller {
    /// All that are wanted.
    pub const ALL: [Controller; 3] = [Controller::Memory, Controller::Pids, Controller::Cpu];

    /// The kernel's word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Controller::Memory => "memory",
            Controller::Pids => "pids",
            Controller::Cpu => "cpu",
        }
    }

    /// Those that one of the kernel's lists names.
    #[must_use]
    pub fn listed(list: &str) -> Vec<Controller> {
        let named = |controller: &Controller| list.split_whitespace().any(|word| word == controller.name());
        Controller::ALL.into_iter().filter(named).collect()
    }
}

impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What one worker may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Memory of every kind, in bytes.
    pub memory_bytes: u64,
    /// Threads and processes.
    pub tasks: u64,
    /// CPU time, in percent of one core.
    pub cpu_percent: u64,
}
