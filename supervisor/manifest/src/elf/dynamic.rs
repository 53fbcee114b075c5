//! The dynamic table: what the loader would load besides, and what it would do to code.
//!
//! It is read where the loader reads it: at its *address*, through the segments, not at the file offset that a header claims.

use object::LittleEndian as LE;
use object::elf::{self, Dyn64};
use object::pod;

use super::segments::Segments;
use super::{DYNAMIC_ENTRIES_MAX, ElfError, LIBRARIES_ALLOWED, name_at, slice};

/// Longest name of a needed library that is looked at, in bytes.
const LIBRARY_NAME_BYTES_MAX: usize = 255;
const SYMBOL_BYTES: u64 = 24;

/// What matters of the dynamic table.
#[derive(Debug)]
pub(super) struct Dynamic<'a> {
    /// Address of the symbol table.
    pub(super) symbols: u64,
    /// Address of the string table.
    pub(super) strings_at: u64,
    /// The string table.
    pub(super) strings: &'a [u8],
    /// The needed libraries.
    pub(super) needed: Vec<String>,
}

/// Reads and checks the dynamic table.
pub(super) fn read<'a>(bytes: &'a [u8], segments: &Segments) -> Result<Dynamic<'a>, ElfError> {
    let mut needed = Vec::new();
    let (mut symbols, mut strings_at, mut strings_len, mut symbol_bytes) = (None, None, None, None);
    for entry in table(bytes, segments)? {
        let value = entry.d_val.get(LE);
        match entry.d_tag.get(LE) {
            elf::DT_NULL => break,
            elf::DT_NEEDED => needed.push(value),
            elf::DT_SYMTAB => once(&mut symbols, value)?,
            elf::DT_STRTAB => once(&mut strings_at, value)?,
            elf::DT_STRSZ => once(&mut strings_len, value)?,
            elf::DT_SYMENT => once(&mut symbol_bytes, value)?,
            tag => refuse(tag, value)?,
        }
    }
    let incomplete = ElfError::Malformed { what: "its dynamic table lacks symbols or strings" };
    let (Some(symbols), Some(strings_at), Some(strings_len)) = (symbols, strings_at, strings_len) else {
        return Err(incomplete);
    };
    if symbol_bytes.is_some_and(|bytes| bytes != SYMBOL_BYTES) {
        return Err(ElfError::Malformed { what: "its symbols have a wrong size" });
    }
    let strings = segments
        .file_offset(strings_at, strings_len)
        .and_then(|offset| slice(bytes, offset, strings_len))
        .ok_or(ElfError::Truncated { what: "dynamic string table" })?;
    let needed = needed.into_iter().map(|at| library(strings, at)).collect::<Result<_, _>>()?;
    Ok(Dynamic { symbols, strings_at, strings, needed })
}

fn table<'a>(bytes: &'a [u8], segments: &Segments) -> Result<&'a [Dyn64<LE>], ElfError> {
    let (vaddr, len) = segments.dynamic;
    let size = size_of::<Dyn64<LE>>() as u64;
    if len / size > DYNAMIC_ENTRIES_MAX as u64 {
        return Err(ElfError::TooMany {
            what: "dynamic entries",
            count: len / size,
            max: DYNAMIC_ENTRIES_MAX,
        });
    }
    let len = len - len % size;
    segments
        .file_offset(vaddr, len)
        .and_then(|offset| slice(bytes, offset, len))
        .and_then(|table| pod::slice_from_all_bytes(table).ok())
        .ok_or(ElfError::Truncated { what: "dynamic table" })
}

/// Loaders disagree on which of two entries counts, so there may not be two.
fn once(place: &mut Option<u64>, value: u64) -> Result<(), ElfError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(ElfError::Malformed { what: "its dynamic table names symbols or strings twice" }),
    }
}

fn refuse(tag: elf::DynamicTag, value: u64) -> Result<(), ElfError> {
    match tag {
        elf::DT_RPATH => Err(ElfError::LibraryPath { tag: "RPATH" }),
        elf::DT_RUNPATH => Err(ElfError::LibraryPath { tag: "RUNPATH" }),
        elf::DT_AUDIT => Err(ElfError::ForbiddenTag { tag: "AUDIT" }),
        elf::DT_DEPAUDIT => Err(ElfError::ForbiddenTag { tag: "DEPAUDIT" }),
        elf::DT_AUXILIARY => Err(ElfError::ForbiddenTag { tag: "AUXILIARY" }),
        elf::DT_FILTER => Err(ElfError::ForbiddenTag { tag: "FILTER" }),
        elf::DT_TEXTREL => Err(ElfError::TextRelocations),
        elf::DT_FLAGS if value & elf::DF_TEXTREL.0 != 0 => Err(ElfError::TextRelocations),
        elf::DT_FLAGS_1 if value & elf::DF_1_PIE.0 != 0 => {
            Err(ElfError::NotSharedObject { found: "a program (position-independent)" })
        }
        _ => Ok(()),
    }
}

fn library(strings: &[u8], at: u64) -> Result<String, ElfError> {
    let name = name_at(strings, at, LIBRARY_NAME_BYTES_MAX)
        .ok_or(ElfError::Malformed { what: "the name of a needed library is not a name" })?;
    if LIBRARIES_ALLOWED.contains(&name) {
        return Ok(name.to_owned());
    }
    Err(ElfError::LibraryNotAllowed { library: name.escape_debug().to_string() })
}
