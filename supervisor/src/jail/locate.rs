//! Where a refused call came from: the module that made it, and the plugin's own code further up the stack.
//!
//! Read from outside, while the caller waits; it takes the right to trace the worker, which only a privileged supervisor has. The stack is searched for addresses of the plugin's code,
//! not unwound: what is found was called from there at some time, most likely now. For people; nothing is decided by it.

use std::fs::File;
use std::io::{IoSliceMut, Read as _};

use croupier_notify::Call;
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;

use super::maps::{self, Mapping, mappings};

/// Longest line of `/proc/PID/syscall`, in bytes.
const LINE_BYTES_MAX: u64 = 1 << 10;
/// How much of the stack is searched, in bytes. A page is always there.
const STACK_BYTES: usize = 4096;
/// Most addresses of the plugin that are told.
const FRAMES_MAX: usize = 4;
/// How the plugin's mappings are called: after its sealed memory.
const PLUGIN: &str = "memfd:plugin";
/// The stack pointer's place in `/proc/PID/syscall`, counted from the end of the line.
const STACK_POINTER_FROM_END: usize = 1;

/// `MODULE+0xOFFSET` of the call, then of the plugin's frames that are found. Empty when none of it can be seen.
pub fn locate(pid: u32, call: &Call) -> Vec<String> {
    let Ok(maps) = maps::read(pid) else { return Vec::new() };
    let code = code(&maps);
    let mut found: Vec<String> = tell(&code, call.ip).into_iter().collect();
    if found.first().is_some_and(|first| first.starts_with(PLUGIN)) {
        return found;
    }
    let stack = stack(pid, call.thread).unwrap_or_default();
    let words = stack
        .chunks_exact(size_of::<u64>())
        .map(|bytes| u64::from_le_bytes(bytes.try_into().expect("eight")));
    let plugins: Vec<Mapping<'_>> =
        code.into_iter().filter(|mapping| mapping.name().starts_with(PLUGIN)).collect();
    let frames = words.filter_map(|word| tell(&plugins, word));
    found.extend(frames.take(FRAMES_MAX));
    found
}

fn read(path: &str) -> Option<String> {
    let mut text = String::new();
    File::open(path).ok()?.take(LINE_BYTES_MAX).read_to_string(&mut text).ok()?;
    Some(text)
}

/// What is on top of a waiting thread's stack, up to the end of a page.
fn stack(pid: u32, thread: u32) -> Option<Vec<u8>> {
    let line = read(&format!("/proc/{pid}/task/{thread}/syscall"))?;
    let pointer = line.split_whitespace().rev().nth(STACK_POINTER_FROM_END)?;
    let pointer = u64::from_str_radix(pointer.trim_start_matches("0x"), 16).ok()?;
    let mut bytes = vec![0; STACK_BYTES];
    let page = STACK_BYTES as u64;
    // To the end of this page, and as much of the next one as there is room for: the first is there, the second perhaps.
    let first = (page - pointer % page) as usize;
    let pieces = [
        RemoteIoVec { base: pointer as usize, len: first },
        RemoteIoVec { base: pointer as usize + first, len: STACK_BYTES - first },
    ];
    let process = Pid::from_raw(i32::try_from(pid).ok()?);
    let read = process_vm_readv(process, &mut [IoSliceMut::new(&mut bytes)], &pieces).ok()?;
    bytes.truncate(read);
    Some(bytes)
}

/// `NAME+0xOFFSET` of an address, when it is code.
fn tell(code: &[Mapping<'_>], address: u64) -> Option<String> {
    let mapping = code.iter().find(|mapping| mapping.holds(address))?;
    Some(format!("{}+{:#x}", mapping.name(), mapping.file_offset(address)))
}

/// The executable mappings.
fn code(maps: &str) -> Vec<Mapping<'_>> {
    mappings(maps).into_iter().filter(Mapping::is_code).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_read() {
        let maps = "1000-2000 r-xp 00000500 00:01 7   /memfd:plugin (deleted)\n3000-4000 rw-p 00000000 00:00 0\n\
                    5000-6000 r-xp 00000000 00:00 0\n";
        let code = code(maps);
        let tell = |address| tell(&code, address);
        assert_eq!(tell(0x1010).as_deref(), Some("memfd:plugin+0x510"));
        assert_eq!(tell(0x3001), None, "no code");
        assert_eq!(tell(0x5001).as_deref(), Some("anonymous+0x1"));
        assert_eq!(tell(0x2000), None);
    }
}
