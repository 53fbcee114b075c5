//! The ways to call: each an implementation of [`crate::call::Way`], and, where there is another process, what that one does.
//!
//! Only `native` (it calls into a library) and `ring` (it shares memory) have unsafe code.

pub(crate) mod extism;
pub(crate) mod goplugin;
pub(crate) mod grpc;
pub(crate) mod iceoryx;
pub(crate) mod native;
pub(crate) mod ring;
pub(crate) mod rpc;
pub(crate) mod socket;
pub(crate) mod wasm;

use std::path::Path;
use std::time::Duration;

use crate::call::Way;
use crate::child;
use crate::machine::Place;
use crate::{Fault, Plan};

/// A way, before it is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) who: &'static str,
    pub(crate) place: Place,
    /// The calls between two looks at the clock.
    pub(crate) batch: usize,
    /// Windows for throughput; none: a call returns before the next can be made.
    pub(crate) windows: &'static [usize],
}

/// A call there takes tens of nanoseconds at most.
const BATCH_SHORT: usize = 64;
/// There it takes some microseconds.
const BATCH_NONE: usize = 1;

/// All of them.
pub(crate) const CANDIDATES: [Candidate; 18] = [
    within("dlopen", BATCH_SHORT),
    within("wasmtime", BATCH_SHORT),
    within("wasmtime, fuel", BATCH_SHORT),
    within("wasmtime, 1,000 sessions in turn", BATCH_SHORT),
    within("wasmtime, fresh instance", BATCH_NONE),
    within("extism", BATCH_NONE),
    beside("bare ring", Place::Other, &[1, 8, 64]),
    beside("bare ring", Place::Same, &[1, 8, 64]),
    beside("bare ring, spinning", Place::Other, &[1, 8, 64]),
    beside("iceoryx2", Place::Other, &[1, 8, 64]),
    beside("bincode socket", Place::Other, &[1, 8, 64, 512]),
    beside("bincode socket", Place::Same, &[1, 8, 64, 512]),
    beside("tonic", Place::Other, &[1, 8, 64, 512]),
    beside("tonic", Place::Same, &[]),
    beside("tarpc", Place::Other, &[1, 8, 64, 512]),
    beside("tarpc", Place::Same, &[]),
    beside(goplugin::NET_RPC, Place::Other, &[1, 64, 512]),
    beside(goplugin::GRPC, Place::Other, &[1, 64, 512]),
];

const fn within(who: &'static str, batch: usize) -> Candidate {
    Candidate { who, place: Place::InProcess, batch, windows: &[] }
}

const fn beside(who: &'static str, place: Place, windows: &'static [usize]) -> Candidate {
    Candidate { who, place, batch: BATCH_NONE, windows }
}

impl Candidate {
    /// Sets it up for calls of `size` bytes; the other process, where there is one, serves when this returns.
    pub(crate) fn start(&self, plan: &Plan, size: usize) -> Result<Box<dyn Way>, Fault> {
        let (kernels, cores, place) = (&plan.kernels, plan.cores, self.place);
        let core = cores.of(place);
        Ok(match self.who {
            "dlopen" => Box::new(native::Native::open(&kernels.join("kernels.so"))?),
            "wasmtime" => Box::new(wasm::Sessions::new(kernels, cores, wasm::Interrupt::Epoch, 1)?),
            "wasmtime, fuel" => Box::new(wasm::Sessions::new(kernels, cores, wasm::Interrupt::Fuel, 1)?),
            "wasmtime, 1,000 sessions in turn" => {
                Box::new(wasm::Sessions::new(kernels, cores, wasm::Interrupt::Epoch, 1000)?)
            }
            "wasmtime, fresh instance" => Box::new(wasm::Fresh::new(kernels, cores)?),
            "extism" => Box::new(extism::Plugin::new(kernels)?),
            "bare ring" => {
                let spins = if place == Place::Same { 0 } else { ring::SPINS };
                Box::new(ring::Caller::start(size, core, ring::Wait::ThenPark(spins))?)
            }
            "bare ring, spinning" => Box::new(ring::Caller::start(size, core, ring::Wait::Spin)?),
            "iceoryx2" => Box::new(iceoryx::Caller::start(size, core)?),
            "bincode socket" => Box::new(socket::Caller::start(core)?),
            "tonic" => Box::new(grpc::Caller::start(core)?),
            "tarpc" => Box::new(rpc::Caller::start(core)?),
            goplugin::NET_RPC | goplugin::GRPC => {
                Box::new(goplugin::Caller::start(&plan.goplugin, self.who, core, size)?)
            }
            other => return Err(Fault::plain(format!("there is no way called {other}"))),
        })
    }
}

/// The other process: `WAY CORE WORDS…`.
pub(crate) fn serve(words: &[String]) -> Result<(), Fault> {
    let word = |at: usize| words.get(at).map(String::as_str).unwrap_or_default();
    let number = |at: usize| word(at).parse::<usize>().map_err(|error| Fault::new("not a number", error));
    child::settle(number(1)?)?;
    match word(0) {
        "ring" => ring::serve(number(2)?, ring::Wait::parse(word(3))?),
        "iceoryx" => iceoryx::serve(word(2), number(3)?),
        "socket" => socket::serve(),
        "grpc" => grpc::serve(Path::new(word(2))),
        "rpc" => rpc::serve(Path::new(word(2))),
        other => Err(Fault::plain(format!("there is nothing to serve called {other}"))),
    }
}

/// A runtime on the calling thread alone: caller and peer have one core each.
fn runtime() -> Result<tokio::runtime::Runtime, Fault> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Fault::new("no async runtime", error))
}

/// Between two tries to connect.
const TRY_AGAIN: Duration = Duration::from_millis(1);
