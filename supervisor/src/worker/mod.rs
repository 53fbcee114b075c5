//! Worker processes as seen from the supervisor.
//!
//! ```text
//!  launcher ──zygote──▶ process (pid, pidfd)  ──ends──▶ cause
//!                        │ link: frames        │ logs: the plugin's stdout and stderr
//! ```
//!
//! * [`launcher`]: the one thread that makes processes, through the `zygote`.
//! * [`ahead`]: blank ones that wait for somebody who needs one.
//! * [`link`]: what carries the bytes; something that a calling thread can poll itself.
//! * [`port`]: frames over a link: what waits to go out, what came in half.
//! * [`lending`]: which thread hears of what a worker says.
//! * [`convert`]: between the wire's messages and the core's.
//! * `ticks`: many sessions' ticks in one frame.
//! * [`process`]: one process from its start to its reaping, and why it died.
//! * [`logs`]: what plugins say, limited.
//! * [`rate`]: so much per second.
//! * [`readiness`]: descriptors and the runtime.
//! * [`ring`]: the link in shared memory.
//! * [`users`]: user ids of workers.
//! * [`usage`]: CPU time, memory and confinement, as the kernel tells it.
//!
//! Nothing here knows sessions: see [`crate::game`].

pub mod ahead;
pub mod cause;
pub mod convert;
pub mod launcher;
pub mod lending;
pub mod link;
pub mod logs;
mod nursery;
pub mod port;
pub mod process;
pub mod rate;
pub mod readiness;
pub mod ring;
mod ticks;
pub mod usage;
pub mod users;
mod zygote;
