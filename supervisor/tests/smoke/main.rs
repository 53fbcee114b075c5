//! A supervisor in this process, with real workers: what must work before anything else is tried.

mod ahead;
mod bench;
mod cgroups;
mod deaths;
mod impostors;
mod limits;
mod no_namespaces;
mod play;
