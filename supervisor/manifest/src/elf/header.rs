//! The ELF header: is this a shared object for this machine at all? Looks at the first 64 bytes only.

use object::LittleEndian as LE;
use object::elf::{self, FileHeader64};
use object::pod;

use super::{ElfError, PLUGIN_BYTES_MAX};

#[cfg(target_arch = "x86_64")]
const MACHINE: elf::Machine = elf::EM_X86_64;
/// The machine of this build, as in `uname -m`.
#[cfg(target_arch = "x86_64")]
pub(super) const MACHINE_NAME: &str = "x86_64";

#[cfg(target_arch = "aarch64")]
const MACHINE: elf::Machine = elf::EM_AARCH64;
/// The machine of this build, as in `uname -m`.
#[cfg(target_arch = "aarch64")]
pub(super) const MACHINE_NAME: &str = "aarch64";

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("croupier runs on x86_64 and aarch64");

/// Reads and checks the header.
pub(super) fn read(bytes: &[u8]) -> Result<&FileHeader64<LE>, ElfError> {
    if bytes.is_empty() {
        return Err(ElfError::Empty);
    }
    if bytes.len() > PLUGIN_BYTES_MAX {
        return Err(ElfError::TooLarge { bytes: bytes.len() });
    }
    if !bytes.starts_with(&elf::ELFMAG) {
        return Err(ElfError::NotElf { looks_like: looks_like(bytes) });
    }
    let (Some(&class), Some(&order)) = (bytes.get(4), bytes.get(5)) else {
        return Err(ElfError::Truncated { what: "header" });
    };
    if class != elf::ELFCLASS64.0 {
        return Err(ElfError::WrongClass { expected: MACHINE_NAME });
    }
    if order != elf::ELFDATA2LSB.0 {
        return Err(ElfError::WrongByteOrder { expected: MACHINE_NAME });
    }
    let (header, _) =
        pod::from_bytes::<FileHeader64<LE>>(bytes).map_err(|()| ElfError::Truncated { what: "header" })?;
    let machine = header.e_machine.get(LE);
    if machine != MACHINE {
        return Err(ElfError::WrongMachine { found: machine.0, expected: MACHINE_NAME });
    }
    check_type(header)?;
    Ok(header)
}

fn check_type(header: &FileHeader64<LE>) -> Result<(), ElfError> {
    let found = match header.e_type.get(LE) {
        elf::ET_DYN => return Ok(()),
        elf::ET_EXEC => "a program",
        elf::ET_REL => "an object file",
        elf::ET_CORE => "a core dump",
        _ => "of an unknown type",
    };
    Err(ElfError::NotSharedObject { found })
}

/// A guess for the error message, from the first bytes.
fn looks_like(bytes: &[u8]) -> &'static str {
    let head = &bytes[..bytes.len().min(512)];
    match head {
        _ if elf::ELFMAG.starts_with(head) => "a cut-off ELF file",
        [b'#', b'!', ..] => "a script",
        [b'!', b'<', b'a', b'r', b'c', b'h', b'>', ..] => "a static library",
        [0, b'a', b's', b'm', ..] => "a WebAssembly module",
        [b'M', b'Z', ..] => "a Windows program",
        [0xcf, 0xfa, 0xed, 0xfe, ..] => "a macOS binary",
        [0x1f, 0x8b, ..] | [b'P', b'K', 3, 4, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] => "an archive",
        _ if head.iter().all(|&byte| byte >= 0x20 || matches!(byte, b'\n' | b'\r' | b'\t')) => "text",
        _ => "unknown data",
    }
}
