//! Program headers: what the loader would map where, and with which rights.

use object::LittleEndian as LE;
use object::elf::{self, FileHeader64, ProgramHeader64};
use object::pod;

use super::{ElfError, SEGMENTS_MAX, slice};

/// Pages are at least this long on every machine that we run on; a segment's end and the next one's begin may not share one.
const PAGE_BYTES: u64 = 4096;

/// One `PT_LOAD`.
#[derive(Debug, Clone, Copy)]
struct Load {
    offset: u64,
    vaddr: u64,
    file_bytes: u64,
    memory_bytes: u64,
}

/// The memory image as the loader would build it.
#[derive(Debug)]
pub(super) struct Segments {
    loads: Vec<Load>,
    /// Address and length of the dynamic table.
    pub(super) dynamic: (u64, u64),
}

impl Segments {
    /// Where in the file the bytes at `vaddr` come from, if all `len` of them come from one segment's file part.
    pub(super) fn file_offset(&self, vaddr: u64, len: u64) -> Option<u64> {
        self.loads.iter().find_map(|load| {
            let within = vaddr.checked_sub(load.vaddr)?;
            let end = within.checked_add(len)?;
            (end <= load.file_bytes).then(|| load.offset + within)
        })
    }

    /// Whether `len` bytes at `vaddr` are in memory at all, in one segment.
    pub(super) fn in_memory(&self, vaddr: u64, len: u64) -> bool {
        self.loads.iter().any(|load| {
            let end = vaddr.checked_sub(load.vaddr).and_then(|within| within.checked_add(len));
            end.is_some_and(|end| end <= load.memory_bytes)
        })
    }
}

/// Reads and checks all program headers.
pub(super) fn read(bytes: &[u8], header: &FileHeader64<LE>) -> Result<Segments, ElfError> {
    let table = table(bytes, header)?;
    let mut loads: Vec<Load> = Vec::with_capacity(table.len());
    let mut dynamic = None;
    let mut stack = None;
    for (index, segment) in table.iter().enumerate() {
        match segment.p_type.get(LE) {
            elf::PT_LOAD => {
                let load = load(bytes, index, segment)?;
                if loads.last().is_some_and(|before| page_end(before) > load.vaddr - load.vaddr % PAGE_BYTES)
                {
                    return Err(ElfError::Malformed { what: "its segments overlap or are out of order" });
                }
                loads.push(load);
            }
            elf::PT_DYNAMIC => {
                let found = (segment.p_vaddr.get(LE), segment.p_memsz.get(LE));
                once(&mut dynamic, found, "it has two dynamic segments")?;
            }
            elf::PT_GNU_STACK => {
                once(&mut stack, segment.p_flags.get(LE), "it has two PT_GNU_STACK headers")?
            }
            _ => {}
        }
    }
    if loads.is_empty() {
        return Err(ElfError::Malformed { what: "it has nothing to load" });
    }
    match stack {
        None => return Err(ElfError::StackUnmarked),
        Some(flags) if flags.0 & elf::PF_X.0 != 0 => return Err(ElfError::ExecutableStack),
        Some(_) => {}
    }
    let dynamic = dynamic.ok_or(ElfError::Malformed { what: "it has no dynamic segment" })?;
    Ok(Segments { loads, dynamic })
}

fn table<'a>(bytes: &'a [u8], header: &FileHeader64<LE>) -> Result<&'a [ProgramHeader64<LE>], ElfError> {
    let count = usize::from(header.e_phnum.get(LE));
    if count > SEGMENTS_MAX {
        return Err(ElfError::TooMany { what: "program headers", count: count as u64, max: SEGMENTS_MAX });
    }
    let size = size_of::<ProgramHeader64<LE>>();
    if count > 0 && usize::from(header.e_phentsize.get(LE)) != size {
        return Err(ElfError::Malformed { what: "its program headers have a wrong size" });
    }
    slice(bytes, header.e_phoff.get(LE), (count * size) as u64)
        .and_then(|table| pod::slice_from_all_bytes(table).ok())
        .ok_or(ElfError::Truncated { what: "program header table" })
}

fn load(bytes: &[u8], index: usize, segment: &ProgramHeader64<LE>) -> Result<Load, ElfError> {
    let load = Load {
        offset: segment.p_offset.get(LE),
        vaddr: segment.p_vaddr.get(LE),
        file_bytes: segment.p_filesz.get(LE),
        memory_bytes: segment.p_memsz.get(LE),
    };
    if slice(bytes, load.offset, load.file_bytes).is_none() {
        return Err(ElfError::Truncated { what: "segment" });
    }
    if load.file_bytes > load.memory_bytes {
        return Err(ElfError::Malformed { what: "a segment is longer in the file than in memory" });
    }
    // Keeps all later sums of addresses far from overflow.
    if load.vaddr >= 1 << 47 || load.memory_bytes >= 1 << 47 {
        return Err(ElfError::Malformed { what: "a segment lies outside of user memory" });
    }
    if load.offset % PAGE_BYTES != load.vaddr % PAGE_BYTES {
        return Err(ElfError::Malformed { what: "a segment is not aligned to pages" });
    }
    let flags = segment.p_flags.get(LE).0;
    if flags & elf::PF_W.0 != 0 && flags & elf::PF_X.0 != 0 {
        return Err(ElfError::WritableCode { index });
    }
    Ok(load)
}

fn page_end(load: &Load) -> u64 {
    (load.vaddr + load.memory_bytes).next_multiple_of(PAGE_BYTES)
}

fn once<T>(place: &mut Option<T>, value: T, what: &'static str) -> Result<(), ElfError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(ElfError::Malformed { what }),
    }
}
