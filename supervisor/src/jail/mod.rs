//! The jail from outside: what a worker is asked to confine itself by, what it really got, and who decides on the system calls that its filter does not know.
//!
//! ```text
//!  Plan (manifest, options) ─▶ launcher: fork into namespaces, Prepare ─▶ admit: Confine ─▶ Confined + listener ─▶ look at /proc/PID ─▶ Isolation ─ enough? ─▶ Hello
//!                                                                                               └──▶ warden: one thread per worker, until it ends
//! ```
//!
//! * [`plan`]: levels and limits.
//! * [`value`]: isolation as a value: each layer `Enforced`, `Partial` or `Absent`, and why.
//! * [`outside`]: looks at a worker through `/proc`.
//! * [`cgroup`]: memory, tasks and CPU where a cgroup was delegated to us.
//! * [`mod@admit`]: the talk before Hello.
//! * [`decide`]: what becomes of a call; pure, on numbers alone.
//! * [`warden`]: the thread that does it. [`denial`]: what it reports. [`names`]: numbers as names. [`mod@locate`]: where a call came from.
//! * [`wreck`]: a thread that faulted, as seen from outside. [`maps`]: what a process has mapped.
//!
//! Nothing here runs inside a worker: see the worker's own `jail`.

pub mod admit;
pub mod cgroup;
pub mod decide;
pub mod denial;
mod faulted;
pub mod locate;
pub mod maps;
pub mod names;
pub mod outside;
pub mod plan;
pub mod value;
pub mod warden;
pub mod wreck;

pub use admit::{AdmitError, Admitted, admit, prepare};
pub use denial::{Denial, Denials, TraceDenials};
pub use plan::Plan;
pub use value::{Isolation, Layer, Protection};
pub use warden::Warden;
