//! A shared object in this very process: what a call costs when nobody is protected from anybody.

use std::path::Path;

use libloading::Library;

use crate::Fault;
use crate::call::Way;

type Call = unsafe extern "C" fn(*const u8, u32, *mut u8) -> u32;
type Run = unsafe extern "C" fn(u32, u64, u32) -> u64;

/// The kernels' library, opened.
pub(crate) struct Native {
    echo: Call,
    turn: Call,
    run: Run,
    /// Closed after the functions are gone.
    _library: Library,
}

impl Native {
    pub(crate) fn open(path: &Path) -> Result<Self, Fault> {
        let fault = |error| {
            Fault::new(format!("{} cannot be opened; run tests/bench/kernels/build", path.display()), error)
        };
        // SAFETY: the library is the benchmark's own (tests/bench/kernels) and has no constructors.
        let library = unsafe { Library::new(path) }.map_err(fault)?;
        // SAFETY: kernels.h declares the three functions with these types.
        let (echo, turn, run) = unsafe {
            (
                *library.get::<Call>(b"bench_echo").map_err(fault)?,
                *library.get::<Call>(b"bench_turn").map_err(fault)?,
                *library.get::<Run>(b"run").map_err(fault)?,
            )
        };
        Ok(Self { echo, turn, run, _library: library })
    }

    pub(crate) fn run(&mut self, kernel: u32, seed: u64, units: u32) -> u64 {
        // SAFETY: `run` takes any numbers; `&mut` keeps it from being entered twice, which its static arrays need.
        unsafe { (self.run)(kernel, seed, units) }
    }

    pub(crate) fn turn(&mut self, request: &[u8], reply: &mut [u8]) -> Result<usize, Fault> {
        into(self.turn, request, reply)
    }
}

impl Way for Native {
    fn call(&mut self, request: &[u8], reply: &mut [u8]) -> Result<usize, Fault> {
        into(self.echo, request, reply)
    }
}

fn into(call: Call, request: &[u8], reply: &mut [u8]) -> Result<usize, Fault> {
    if reply.len() < request.len() {
        return Err(Fault::plain("no room for the reply"));
    }
    // SAFETY: kernels.h: the function reads `len` bytes and writes no more than those to `out`, which has that room.
    let len = unsafe { call(request.as_ptr(), request.len() as u32, reply.as_mut_ptr()) };
    if len == 0 { Err(Fault::plain("the library refused a request")) } else { Ok(len as usize) }
}
