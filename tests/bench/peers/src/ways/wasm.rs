//! Wasmtime in this very process, set up as a platform would: compiled once, instances from a pool, one kept per session, and a way to
//! take the processor back from a game that does not return: by epochs (a clock that another thread advances) or by fuel.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use wasmtime::{
    Config, Engine, InstanceAllocationStrategy, InstancePre, Linker, Memory, Module, PoolingAllocationConfig,
    Store, TypedFunc,
};

use crate::Fault;
use crate::call::{CALL_BYTES_MAX, Way};
use crate::machine::{self, Cores};

/// From one epoch to the next, and how many a call may take: as a limit of 50 ms of a turn would be made.
const EPOCH: Duration = Duration::from_millis(5);
const EPOCHS_PER_CALL: u64 = 10;
/// Fuel for a call: more than any here uses.
const FUEL_PER_CALL: u64 = 1 << 40;
/// Most instances at a time.
const INSTANCES_MAX: u32 = 1100;
const MEMORY_BYTES_MAX: usize = 1 << 20;

/// How a call can be ended from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interrupt {
    Never,
    Epoch,
    Fuel,
}

impl Interrupt {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Interrupt::Never => "plain",
            Interrupt::Epoch => "epoch",
            Interrupt::Fuel => "fuel",
        }
    }
}

/// A compiled module and what its instances are made from.
pub(crate) struct Compiled {
    engine: Engine,
    ready: InstancePre<()>,
    interrupt: Interrupt,
    /// Advances epochs; only where they are used.
    _clock: Option<Clock>,
}

impl Compiled {
    /// `cores`: the clock runs on the peer's core.
    pub(crate) fn new(file: &Path, cores: Cores, interrupt: Interrupt) -> Result<Self, Fault> {
        let mut pool = PoolingAllocationConfig::new();
        pool.total_core_instances(INSTANCES_MAX).total_memories(INSTANCES_MAX).total_tables(INSTANCES_MAX);
        pool.max_memory_size(MEMORY_BYTES_MAX);
        let mut config = Config::new();
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        config.epoch_interruption(interrupt == Interrupt::Epoch);
        config.consume_fuel(interrupt == Interrupt::Fuel);
        let fault = |error| Fault::wasm(format!("{} cannot be set up", file.display()), &error);
        let engine = Engine::new(&config).map_err(fault)?;
        let module = Module::from_file(&engine, file).map_err(fault)?;
        let ready = Linker::new(&engine).instantiate_pre(&module).map_err(fault)?;
        let clock = (interrupt == Interrupt::Epoch).then(|| Clock::start(engine.clone(), cores.peer));
        Ok(Self { engine, ready, interrupt, _clock: clock })
    }

    pub(crate) fn instance(&self) -> Result<Instance, Fault> {
        Instance::new(self).map_err(|error| Fault::wasm("an instance cannot be had", &error))
    }
}

/// The thread that lets time pass.
struct Clock {
    enough: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Clock {
    fn start(engine: Engine, core: usize) -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let seen = enough.clone();
        let thread = std::thread::spawn(move || {
            // On the caller's core it would only disturb a little more.
            let _ = machine::pin(core);
            while !seen.load(Ordering::Relaxed) {
                std::thread::sleep(EPOCH);
                engine.increment_epoch();
            }
        });
        Self { enough, thread: Some(thread) }
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.enough.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It cannot panic.
            let _ = thread.join();
        }
    }
}

/// A session: an instance with memory of its own.
pub(crate) struct Instance {
    guest: Guest,
    echo: Call,
    turn: Call,
    run: TypedFunc<(u32, u64, u32), u64>,
}

type Call = TypedFunc<(u32, u32, u32), u32>;

/// What a call needs beside its function. Apart from the functions, since cloning one of those costs about what a call does.
struct Guest {
    store: Store<()>,
    memory: Memory,
    input: u32,
    output: u32,
    interrupt: Interrupt,
}

impl Instance {
    fn new(compiled: &Compiled) -> wasmtime::Result<Self> {
        let interrupt = compiled.interrupt;
        let mut store = Store::new(&compiled.engine, ());
        allow(&mut store, interrupt)?;
        let instance = compiled.ready.instantiate(&mut store)?;
        let memory = instance
            .get_memory(&mut store, "memory")
            .ok_or_else(|| wasmtime::Error::msg("the module exports no memory"))?;
        let echo = instance.get_typed_func(&mut store, "bench_echo")?;
        let turn = instance.get_typed_func(&mut store, "bench_turn")?;
        let run = instance.get_typed_func(&mut store, "run")?;
        let input = instance.get_typed_func::<(), u32>(&mut store, "bench_input")?.call(&mut store, ())?;
        let output = instance.get_typed_func::<(), u32>(&mut store, "bench_output")?.call(&mut store, ())?;
        Ok(Self { guest: Guest { store, memory, input, output, interrupt }, echo, turn, run })
    }

    pub(crate) fn run(&mut self, kernel: u32, seed: u64, units: u32) -> Result<u64, Fault> {
        let Guest { store, interrupt, .. } = &mut self.guest;
        let sum = allow(store, *interrupt).and_then(|()| self.run.call(store, (kernel, seed, units)));
        sum.map_err(|error| Fault::wasm("a kernel failed", &error))
    }

    pub(crate) fn turn(&mut self, request: &[u8], reply: &mut [u8]) -> Result<usize, Fault> {
        self.guest.call(&self.turn, request, reply).map_err(|error| Fault::wasm("a turn failed", &error))
    }

    fn echo(&mut self, request: &[u8], reply: &mut [u8]) -> Result<usize, Fault> {
        self.guest.call(&self.echo, request, reply).map_err(|error| Fault::wasm("an echo failed", &error))
    }
}

impl Guest {
    /// Bytes in, a call, bytes out: WASM sees its own memory only.
    fn call(&mut self, function: &Call, request: &[u8], reply: &mut [u8]) -> wasmtime::Result<usize> {
        if request.len() > CALL_BYTES_MAX {
            return Err(wasmtime::Error::msg("a request of more than 64 KiB"));
        }
        allow(&mut self.store, self.interrupt)?;
        self.memory.write(&mut self.store, self.input as usize, request)?;
        let len = function.call(&mut self.store, (self.input, request.len() as u32, self.output))? as usize;
        let into = reply.get_mut(..len).ok_or_else(|| wasmtime::Error::msg("no room for the reply"))?;
        self.memory.read(&self.store, self.output as usize, into)?;
        Ok(len)
    }
}

/// What every call begins with.
fn allow(store: &mut Store<()>, interrupt: Interrupt) -> wasmtime::Result<()> {
    match interrupt {
        Interrupt::Never => {}
        Interrupt::Epoch => store.set_epoch_deadline(EPOCHS_PER_CALL),
        Interrupt::Fuel => store.set_fuel(FUEL_PER_CALL)?,
    }
    Ok(())
}

/// Echoes of some sessions, in turn. The module with simd128.
pub(crate) struct Sessions {
    instances: Vec<Instance>,
    at: usize,
    _compiled: Compiled,
}

impl Sessions {
    pub(crate) fn new(
        kernels: &Path,
        cores: Cores,
        interrupt: Interrupt,
        sessions: usize,
    ) -> Result<Self, Fault> {
        let compiled = Compiled::new(&kernels.join("kernels-simd.wasm"), cores, interrupt)?;
        let instances = (0..sessions).map(|_| compiled.instance()).collect::<Result<_, _>>()?;
        Ok(Self { instances, at: 0, _compiled: compiled })
    }
}

impl Way for Sessions {
    fn call(&mut self, request: &[u8], reply: &mut [u8]) -> Result<usize, Fault> {
        self.at += 1;
        if self.at >= self.instances.len() {
            self.at = 0;
        }
        self.instances[self.at].echo(request, reply)
    }
}

/// Echoes of an instance each, taken from the pool and given back.
pub(crate) struct Fresh {
    compiled: Compiled,
}

impl Fresh {
    pub(crate) fn new(kernels: &Path, cores: Cores) -> Result<Self, Fault> {
        let file = kernels.join("kernels-simd.wasm");
        Ok(Self { compiled: Compiled::new(&file, cores, Interrupt::Epoch)? })
    }
}

impl Way for Fresh {
    fn call(&mut self, request: &[u8], reply: &mut [u8]) -> Result<usize, Fault> {
        self.compiled.instance()?.echo(request, reply)
    }
}
