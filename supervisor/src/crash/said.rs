//! What a wreck says, for the report: the signal, whether a stack ran out, and the backtrace with names.
//!
//! Believed only as far as the death itself agrees: how the worker ended was seen from outside, and a record that says otherwise is left out.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use croupier_core::event::Cause;
use nix::sys::signal::Signal;

use super::image::Image;
use super::report::{Crash, FrameReport};
use super::unwind::{Files, Frame, How, Modules, unwind};
use super::writer::Death;
use crate::jail::maps::{Mapping, mappings};
use crate::jail::wreck::{OVERRUN_BYTES_MAX, REGISTERS, RSP, Wreck};
use crate::registry::Plugin;

/// How the plugin's mappings are called: after its sealed memory.
pub const PLUGIN: &str = "memfd:plugin";
/// Most innermost frames that are told.
pub const INNER_MAX: usize = 48;
/// Most outermost frames that are told besides.
const OUTER_MAX: usize = 32;
/// Largest library that is read for its tables and names, in bytes.
const LIBRARY_BYTES_MAX: u64 = 256 << 20;

/// The record of a death, or why there is none.
///
/// # Errors
/// In words, for people.
pub fn crash(death: &Death) -> Result<Crash, String> {
    let died_of = match death.cause {
        Cause::Fault { signal } => Some(signal),
        _ => None,
    };
    match (&death.wreck, died_of) {
        (Some(wreck), Some(signal)) if wreck.signal == signal => Ok(tell(wreck, &death.plugin)),
        (Some(wreck), _) => Err(format!(
            "a thread said that it faulted by {}, and the worker did not die of that: what it showed is left out",
            name(wreck.signal)
        )),
        (None, None) => Err("it did not die of a fault".to_owned()),
        (None, Some(signal)) => Err(silent(signal, death)),
    }
}

/// Why a worker that faulted did not say so.
fn silent(signal: i32, death: &Death) -> String {
    let filtered = death.sample.as_ref().is_none_or(|sample| sample.isolation.contains("seccomp"));
    if !filtered {
        return "without a system call filter nobody is told of a fault".to_owned();
    }
    match Signal::try_from(signal) {
        Ok(Signal::SIGSEGV | Signal::SIGBUS) => {
            "its fault handler could not run: most likely a thread without a handler's stack overflowed its own \
             (or the plugin had blocked the signal, taken the handler's stack away, or made the handler's call itself)"
                .to_owned()
        }
        _ => "its fault handler did not run: the plugin had blocked the signal, or handled it itself".to_owned(),
    }
}

fn tell(wreck: &Wreck, plugin: &Plugin) -> Crash {
    let files = Here { plugin };
    let mut modules = Modules::new(&wreck.maps);
    let mut frames = unwind(wreck, &mut modules, &files);
    let left_out = frames.len().saturating_sub(INNER_MAX + OUTER_MAX);
    frames.drain(INNER_MAX.min(frames.len())..INNER_MAX.min(frames.len()) + left_out);
    let hex = |number: u64| format!("{number:#x}");
    Crash {
        signal: name(wreck.signal),
        code: wreck.code,
        address: wreck.address.map(hex),
        thread: wreck.thread.clone().unwrap_or_else(|| "main".to_owned()),
        stack_overflow: overflow(wreck),
        registers: REGISTERS
            .iter()
            .zip(wreck.registers)
            .map(|(name, value)| ((*name).to_owned(), hex(value)))
            .collect(),
        frames_left_out: left_out as u64,
        frames: frames.into_iter().map(|frame| report(frame, &mut modules, &files)).collect(),
    }
}

fn report(frame: Frame, modules: &mut Modules<'_>, files: &Here<'_>) -> FrameReport {
    let instruction = frame.instruction();
    // What is shown is where it returns to; what is asked for is the call.
    let behind = frame.address - instruction;
    let module = modules.mapping(instruction).map(|mapping| mapping.name().to_owned());
    let (mut offset, mut function) = (None, None);
    if let Some((image, address)) = modules.image(instruction, files) {
        offset = Some(format!("{:#x}", address.wrapping_add(behind)));
        function = image.function(address);
    }
    let (function, into) = function.unzip();
    FrameReport {
        address: format!("{:#x}", frame.address),
        module,
        offset,
        function,
        into: into.map(|into| format!("{:#x}", into.wrapping_add(behind))),
        found: match frame.how {
            How::Instruction => "instruction",
            How::Table => "table",
            How::FramePointer => "frame-pointer",
            How::Scan => "scan",
        }
        .to_owned(),
    }
}

/// Whether a stack ran out, and whose: the fault is where a stack would go on, below one that the stack pointer is at.
fn overflow(wreck: &Wreck) -> Option<String> {
    let (fault, pointer) = (wreck.address?, wreck.registers[RSP]);
    if ![Signal::SIGSEGV as i32, Signal::SIGBUS as i32].contains(&wreck.signal) {
        return None;
    }
    let all = mappings(&wreck.maps);
    let stack = all.iter().find(|mapping| mapping.to > fault && !mapping.is_closed())?;
    let below = all.iter().rev().find(|mapping| mapping.to <= stack.from);
    let guarded =
        below.is_some_and(|guard| guard.is_closed() && guard.to == stack.from && guard.holds(fault));
    let grows = stack.path == "[stack]" && fault < stack.from && stack.from - fault <= OVERRUN_BYTES_MAX;
    let near = pointer < stack.to && stack.from.saturating_sub(pointer) <= OVERRUN_BYTES_MAX;
    if !near || !(guarded || grows) {
        return None;
    }
    Some(match &wreck.thread {
        None => "stack overflow (main)".to_owned(),
        Some(name) => format!("stack overflow (thread {name})"),
    })
}

fn name(signal: i32) -> String {
    Signal::try_from(signal).map_or_else(|_| format!("signal {signal}"), |signal| signal.as_str().to_owned())
}

/// The plugin's verified bytes, and this system's files for everything else.
struct Here<'a> {
    plugin: &'a Plugin,
}

impl Files for Here<'_> {
    fn image(&self, mapping: &Mapping<'_>) -> Option<Image> {
        if mapping.name() == PLUGIN {
            return Some(Image::read(self.plugin.binary.bytes().ok()?));
        }
        let path = Path::new(mapping.file());
        let facts = std::fs::metadata(path).ok()?;
        // Another file by now, or another system's: its tables would mislead.
        if !facts.is_file() || facts.ino() != mapping.inode || facts.len() > LIBRARY_BYTES_MAX {
            return None;
        }
        Some(Image::read(std::fs::read(path).ok()?))
    }
}
