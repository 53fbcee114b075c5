//! The jail: what confines this process before any of the plugin's code runs (ELF constructors are plugin code).
//!
//! ```text
//!  zygote (exec'd once, one thread)  preload libraries ─▶ fork into namespaces ─▶ descriptors ─┐
//!  a fresh worker                    descriptors ─▶ preload libraries ──────────────────────────┴─▶ enter ─▶ load the plugin
//! ```
//!
//! [`enter`] is the list of all layers. A layer that fails ends the worker, but for those that a kernel may lack (the empty root, Landlock): they are reported as
//! missing, and whether that is enough is the supervisor's decision. What the steps did is checked from outside before the plugin is handed over; after that,
//! nothing that this process says is evidence.
//!
//! * [`descriptors`]: the link, two pipes, `/dev/null`, and nothing else.
//! * [`libraries`]: what plugins may need is loaded while there still are files.
//! * [`root`], [`limits`], [`privileges`], [`landlock`], [`seccomp`]: the layers. [`bpf`] and [`calls`] are the filter.
//! * [`faults`]: what happens when the plugin faults, on any thread ([`threads`]). [`signals`]: what happens where nobody is told.
//! * [`zygote`], [`fork`]: how workers are made.
#![allow(unsafe_code)] // this is where the kernel is talked to

mod bpf;
mod calls;
pub(crate) mod descriptors;
mod faults;
mod fork;
mod landlock;
pub(crate) mod libraries;
mod limits;
mod privileges;
mod root;
mod seccomp;
mod signals;
mod threads;
pub(crate) mod zygote;

use std::io;

use croupier_wire::confine::{Confine, Confined, layer};
use croupier_wire::link::LINK_VERSION;

use crate::fault::Fault;

/// The path that the loader asks for. There is no such file: the supervisor answers with the verified plugin.
pub(crate) const PLUGIN_PATH: &str = "/croupier/plugin.so";

/// How the plugin reaches a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// The supervisor answers the loader's `openat` of [`PLUGIN_PATH`].
    Notified,
    /// A descriptor beside Hello: there is no filter.
    BesideHello,
}

/// Enters the jail, layer by layer, and says so to the supervisor. To be called once, while the process has one thread.
pub(crate) fn enter(confine: &Confine) -> Result<Delivery, Fault> {
    if confine.version != LINK_VERSION {
        return Err(Fault::Unexpected { message: "Confine of another version", when: "before Hello" });
    }
    let asks = |layer: u32| confine.layers & layer != 0;
    let mut confined = Confined { layers: 0, landlock_abi: 0, landlock_whole: false };

    step("die with the parent", privileges::die_with_parent())?;
    step("write no core files", limits::no_core_files())?;
    signals::default_faults();
    if std::process::id() == 1 {
        signals::name_aborts();
    }
    if asks(layer::ROOT) && may_lack("an empty root", root::empty()) {
        confined.layers |= layer::ROOT;
    }
    if asks(layer::RLIMITS) {
        step("set resource limits", limits::apply(&confine.rlimits))?;
        confined.layers |= layer::RLIMITS;
    }
    if asks(layer::PRIVILEGES) {
        step("give up privileges", privileges::drop_all())?;
        step("die with the parent, still", privileges::die_with_parent())?;
        confined.layers |= layer::PRIVILEGES;
    }
    if asks(layer::LANDLOCK) {
        let landlock = landlock::restrict()?;
        (confined.landlock_abi, confined.landlock_whole) = (landlock.abi, landlock.whole);
        confined.layers |= if landlock.abi > 0 { layer::LANDLOCK } else { 0 };
    }
    if !asks(layer::SECCOMP) {
        step("say what confines it", descriptors::say(&confined, None))?;
        return Ok(Delivery::BesideHello);
    }
    // Only now: without a filter there is nobody to tell, and a debugger wants to see the fault itself.
    step("prepare for faults", faults::tell())?;
    threads::give_stacks();
    let filter = calls::filter(confine.threads);
    step("open the hand-over", descriptors::open_hand_over())?;
    let listener = step("install the system call filter", seccomp::install(&filter))?;
    confined.layers |= layer::SECCOMP;
    step("hand the filter's listener over", descriptors::say(&confined, Some(listener)))?;
    Ok(Delivery::Notified)
}

/// From now on no other process of the same user may look into this one. After Hello, since until then the supervisor looks.
/// Without a filter somebody wants to debug it.
pub(crate) fn draw_the_curtain(delivery: Delivery) -> Result<(), Fault> {
    match delivery {
        Delivery::Notified => step("close /proc to others", privileges::undumpable()),
        Delivery::BesideHello => Ok(()),
    }
}

fn step<T>(step: &'static str, result: io::Result<T>) -> Result<T, Fault> {
    result.map_err(|source| Fault::Jail { step, source })
}

/// A layer that not every kernel gives: said to whoever reads the log, and left to the supervisor.
fn may_lack(what: &str, result: io::Result<()>) -> bool {
    if let Err(error) = &result {
        eprintln!("croupier-worker: {what} could not be made: {error}");
    }
    result.is_ok()
}

/// A raw result of the kernel as an [`io::Result`].
fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Ends the process at once: no exit handlers, no destructors (they are plugin code, and may hang).
pub(crate) fn exit_now(status: i32) -> ! {
    // SAFETY: _exit(2) takes a number and does not return; it runs none of this process's code.
    unsafe { libc::_exit(status) }
}
