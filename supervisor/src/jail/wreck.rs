//! A thread that has just faulted, as seen from outside while it waits for its end: registers, what the signal says, a piece of its stack, and the mappings.
//!
//! Only copied here, within bounds, since the thread waits and the plugin chose when; what it means is worked out later, elsewhere ([`crate::crash`]). All of it but the mappings comes
//! out of the worker's memory: a plugin can show whatever it likes.

use std::io::{self, IoSliceMut};

use croupier_notify::Call;
use nix::errno::Errno;
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;

use super::maps::{self, mappings};

/// Most bytes of stack that are copied: a whole ordinary stack, so that an overflow shows who began it.
const STACK_BYTES_MAX: u64 = 1 << 20;
/// Below the stack pointer a function may use this much without saying so (System V ABI, x86_64), in bytes.
const RED_ZONE_BYTES: u64 = 128;
/// How far below a stack a stack pointer may be that has just run out of it, in bytes: as far as the kernel keeps other mappings away from a stack.
pub const OVERRUN_BYTES_MAX: u64 = 1 << 20;
/// Longest thread name, in bytes (prctl(2), PR_SET_NAME).
const NAME_BYTES_MAX: usize = 16;
/// `siginfo_t` (sigaction(2)): up to the address.
const SIGINFO_BYTES: usize = 24;
const CODE_AT: usize = 8;
const ADDRESS_AT: usize = 16;
/// `ucontext_t` on x86_64 (linux/arch/x86/include/uapi/asm/sigcontext.h): the general registers, in the kernel's order.
const REGISTERS_AT: u64 = 40;

/// The registers, in the order of `gregs`.
pub const REGISTERS: [&str; 17] = [
    "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rdi", "rsi", "rbp", "rbx", "rdx", "rax", "rcx",
    "rsp", "rip",
];
/// Their places in [`REGISTERS`].
pub const RSP: usize = 15;
/// See [`RSP`].
pub const RIP: usize = 16;

/// What was copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wreck {
    /// The signal that the handler was called with.
    pub signal: i32,
    /// `si_code`.
    pub code: i32,
    /// `si_addr`; none when the signal was sent by somebody.
    pub address: Option<u64>,
    /// [`REGISTERS`].
    pub registers: [u64; 17],
    /// The thread's id, by the kernel's word.
    pub thread_id: u32,
    /// The thread's name; none for the main thread.
    pub thread: Option<String>,
    /// The address of the first byte of `stack`.
    pub stack_from: u64,
    /// What is on the stack from there on.
    pub stack: Vec<u8>,
    /// `/proc/PID/maps` at that moment: the kernel's word.
    pub maps: String,
}

/// What came of looking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// It was seen.
    Seen(Box<Wreck>),
    /// This user may not look into the process as it is.
    Closed,
    /// What the call points to is not there.
    Nonsense,
}

/// Looks at the thread that makes this [`CRASH_CALL`](croupier_wire::confine::CRASH_CALL) and waits for its answer.
#[must_use]
pub fn look(pid: u32, call: &Call) -> Look {
    let [signal, info, context, ..] = call.args;
    let maps = match maps::read(pid) {
        Ok(maps) if !maps.is_empty() => maps,
        Ok(_) => return Look::Closed,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Look::Closed,
        Err(_) => return Look::Nonsense,
    };
    let (mut said, mut raw) = ([0; SIGINFO_BYTES], [0; 17 * 8]);
    for (from, into) in [(info, &mut said[..]), (context.wrapping_add(REGISTERS_AT), &mut raw[..])] {
        match copy(pid, from, into) {
            Ok(read) if read == into.len() => {}
            Err(Errno::EPERM) => return Look::Closed,
            _ => return Look::Nonsense,
        }
    }
    let code = i32::from_le_bytes(said[CODE_AT..][..4].try_into().expect("four"));
    let mut registers = [0; 17];
    for (register, bytes) in registers.iter_mut().zip(raw.chunks_exact(8)) {
        *register = u64::from_le_bytes(bytes.try_into().expect("eight"));
    }
    let (stack_from, stack) = stack(pid, registers[RSP], &maps).unwrap_or_default();
    Look::Seen(Box::new(Wreck {
        signal: i32::try_from(signal).unwrap_or(0),
        code,
        address: (code > 0).then(|| u64::from_le_bytes(said[ADDRESS_AT..].try_into().expect("eight"))),
        registers,
        thread_id: call.thread,
        thread: (call.thread != pid).then(|| name(pid, call.thread)),
        stack_from,
        stack,
        maps,
    }))
}

/// From the stack pointer up, within one mapping. A stack pointer that ran out of its stack is below it.
fn stack(pid: u32, pointer: u64, maps: &str) -> Option<(u64, Vec<u8>)> {
    let lowest = pointer.saturating_sub(RED_ZONE_BYTES);
    let stack = mappings(maps).into_iter().find(|mapping| mapping.to > pointer && !mapping.is_closed())?;
    if stack.from.saturating_sub(lowest) > OVERRUN_BYTES_MAX {
        return None;
    }
    let from = lowest.max(stack.from);
    let bytes = (stack.to - from).min(STACK_BYTES_MAX);
    let mut copied = vec![0; usize::try_from(bytes).ok()?];
    let read = copy(pid, from, &mut copied).ok()?;
    copied.truncate(read);
    Some((from, copied))
}

fn copy(pid: u32, from: u64, into: &mut [u8]) -> nix::Result<usize> {
    let process = Pid::from_raw(i32::try_from(pid).map_err(|_| Errno::ESRCH)?);
    let base = usize::try_from(from).map_err(|_| Errno::EFAULT)?;
    let remote = [RemoteIoVec { base, len: into.len() }];
    process_vm_readv(process, &mut [IoSliceMut::new(into)], &remote)
}

/// A thread's name, as far as it is printable: the plugin gives it.
fn name(pid: u32, thread: u32) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{thread}/comm")).unwrap_or_default();
    let name: String = text.chars().filter(|c| !c.is_control()).take(NAME_BYTES_MAX).collect();
    if name.is_empty() { "unnamed".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use croupier_notify::ARCH_X86_64;
    use croupier_wire::confine::CRASH_CALL;

    use super::*;

    /// Looks at this very process, which is allowed to.
    fn look_at(info: &[u8], context: &[u8]) -> Look {
        let args = [11, info.as_ptr() as u64, context.as_ptr() as u64, 0, 0, 0];
        let pid = std::process::id();
        look(pid, &Call { id: 1, thread: pid, arch: ARCH_X86_64, number: CRASH_CALL, ip: 0, args })
    }

    #[test]
    fn what_is_shown_is_copied_within_bounds() {
        let (mut info, mut context) = (vec![0; 128], vec![0; 512]);
        (info[CODE_AT], info[ADDRESS_AT]) = (1, 0x10);
        let heap = vec![7u8; 4 << 20];
        let pointer = heap.as_ptr() as u64 + 4096;
        context[40 + RSP * 8..][..8].copy_from_slice(&pointer.to_le_bytes());
        let Look::Seen(wreck) = look_at(&info, &context) else { panic!("seen") };
        assert_eq!((wreck.signal, wreck.address, wreck.registers[RSP]), (11, Some(0x10), pointer));
        assert!(wreck.stack.len() as u64 <= STACK_BYTES_MAX && wreck.stack.len() > 4096);
        assert_eq!((wreck.stack_from, wreck.stack[0], &wreck.thread), (pointer - RED_ZONE_BYTES, 7, &None));
    }

    #[test]
    fn what_is_not_there_is_nonsense_and_a_far_stack_is_left_out() {
        let pid = std::process::id();
        let call = |info, context| Call {
            id: 1,
            thread: pid,
            arch: ARCH_X86_64,
            number: CRASH_CALL,
            ip: 0,
            args: [11, info, context, 0, 0, 0],
        };
        assert_eq!(look(pid, &call(0, 0)), Look::Nonsense);
        assert_eq!(look(pid, &call(u64::MAX, u64::MAX)), Look::Nonsense);
        let Look::Seen(wreck) = look_at(&[0; 128], &[0; 512]) else { panic!("seen") };
        assert!(wreck.stack.is_empty() && wreck.address.is_none(), "nothing is at address 0");
    }
}
