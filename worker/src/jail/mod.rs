//! The jail: what confines this process before any of the plugin's code runs (ELF constructors are plugin code).
//!
//! ```text
//!  zygote (exec'd once, one thread)  preload libraries ─▶ fork into namespaces ─▶ descriptors ─┐
//!  a fresh worker                    descriptors ─▶ preload libraries ──────────────────────────┴─▶ prepare ─▶ enter ─▶ load the plugin
//! ```
//!
//! [`Jail`] is the list of all layers: first those that are the same for every plugin, which a worker that waits for one has on already, then the others. A layer that
//! fails ends the worker, but for those that a kernel may lack (the empty root, Landlock): they are reported as missing, and whether that is enough is the supervisor's decision. What the steps did is checked from outside before the plugin is handed over; after that,
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

/// The jail, as far as it is on. To be put on while the process has one thread.
#[derive(Debug, Default)]
pub(crate) struct Jail {
    is_prepared: bool,
    /// Whether what belongs to no layer and comes before the first has been done.
    has_begun: bool,
    /// Layers that were put on, or could not be.
    tried: u32,
    confined: Confined,
}

impl Jail {
    /// Puts on what is the same for every plugin, before it is known which one comes.
    pub(crate) fn prepare(&mut self, layers: u32) -> Result<(), Fault> {
        if std::mem::replace(&mut self.is_prepared, true) || layers & !layer::FIRST != 0 {
            return Err(Fault::Unexpected { message: "Prepare", when: "twice, or for other layers" });
        }
        self.put_on_first(layers)
    }

    /// Those of these layers that are not on yet.
    fn put_on_first(&mut self, layers: u32) -> Result<(), Fault> {
        if !std::mem::replace(&mut self.has_begun, true) {
            step("die with the parent", privileges::die_with_parent())?;
            step("write no core files", limits::no_core_files())?;
            signals::default_faults();
            if std::process::id() == 1 {
                signals::name_aborts();
            }
        }
        let asked = layers & !self.tried;
        self.tried |= layers;
        let asks = |layer: u32| asked & layer != 0;
        if asks(layer::ROOT) && may_lack("an empty root", root::empty()) {
            self.confined.layers |= layer::ROOT;
        }
        if asks(layer::PRIVILEGES) {
            step("give up privileges", privileges::drop_all())?;
            step("die with the parent, still", privileges::die_with_parent())?;
            self.confined.layers |= layer::PRIVILEGES;
        }
        if asks(layer::LANDLOCK) {
            let landlock = landlock::restrict()?;
            (self.confined.landlock_abi, self.confined.landlock_whole) = (landlock.abi, landlock.whole);
            self.confined.layers |= if landlock.abi > 0 { layer::LANDLOCK } else { 0 };
        }
        Ok(())
    }

    /// Puts on the rest, and says so to the supervisor.
    pub(crate) fn enter(mut self, confine: &Confine) -> Result<Delivery, Fault> {
        if confine.version != LINK_VERSION {
            return Err(Fault::Unexpected { message: "Confine of another version", when: "before Hello" });
        }
        self.put_on_first(confine.layers & layer::FIRST)?;
        let asks = |layer: u32| confine.layers & layer != 0;
        let mut confined = self.confined;
        if asks(layer::RLIMITS) {
            step("set resource limits", limits::apply(&confine.rlimits))?;
            confined.layers |= layer::RLIMITS;
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
