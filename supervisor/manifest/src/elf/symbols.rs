//! The exported symbol: is it there, is it data, does it lie inside the plugin?

use object::LittleEndian as LE;
use object::elf::{self, Sym64};
use object::pod;

use super::dynamic::Dynamic;
use super::section::Sections;
use super::segments::Segments;
use super::{ElfError, PLUGIN_SYMBOL, SYMBOLS_MAX, name_at, slice};

/// What all major versions of the symbol begin with.
const SYMBOL_PREFIX: &str = "croupier_plugin_v";
/// Longest name of another version's symbol that is recognised, in bytes.
const SYMBOL_NAME_BYTES_MAX: usize = 32;
/// `sizeof(croupier_plugin)` of version 1.0.
const PLUGIN_STRUCT_BYTES: u64 = 24;

/// Checks that the plugin's symbol is exported as it should be.
pub(super) fn check(
    bytes: &[u8],
    segments: &Segments,
    dynamic: &Dynamic<'_>,
    sections: &Sections<'_>,
) -> Result<(), ElfError> {
    let mut other = None;
    for symbol in table(bytes, segments, dynamic, sections)? {
        // Imports may have any name; only what the plugin defines counts.
        if symbol.st_shndx.get(LE) == elf::SHN_UNDEF {
            continue;
        }
        let at = u64::from(symbol.st_name.get(LE));
        let Some(name) = name_at(dynamic.strings, at, SYMBOL_NAME_BYTES_MAX) else { continue };
        if name == PLUGIN_SYMBOL {
            return check_symbol(symbol, segments);
        }
        let version = name.strip_prefix(SYMBOL_PREFIX);
        if version.is_some_and(|v| !v.is_empty() && v.bytes().all(|b| b.is_ascii_digit())) {
            other = Some(name);
        }
    }
    match other {
        Some(found) => Err(ElfError::WrongAbiVersion { found: found.to_owned() }),
        None => Err(ElfError::MissingSymbol),
    }
}

/// The dynamic symbol table. Only its section header knows its length, so the header must agree with the dynamic table.
fn table<'a>(
    bytes: &'a [u8],
    segments: &Segments,
    dynamic: &Dynamic<'_>,
    sections: &Sections<'_>,
) -> Result<&'a [Sym64<LE>], ElfError> {
    let mut tables = sections.table.iter().filter(|section| section.sh_type.get(LE) == elf::SHT_DYNSYM);
    let section = tables.next().ok_or(ElfError::MissingSymbol)?;
    if tables.next().is_some() {
        return Err(ElfError::Malformed { what: "it has two dynamic symbol tables" });
    }
    let len = section.sh_size.get(LE);
    let count = len / size_of::<Sym64<LE>>() as u64;
    if count > SYMBOLS_MAX as u64 {
        return Err(ElfError::TooMany { what: "dynamic symbols", count, max: SYMBOLS_MAX });
    }
    let strings = sections.table.get(section.sh_link.get(LE) as usize);
    let agrees = section.sh_addr.get(LE) == dynamic.symbols
        && strings.is_some_and(|strings| strings.sh_addr.get(LE) == dynamic.strings_at)
        && segments.file_offset(dynamic.symbols, len) == Some(section.sh_offset.get(LE));
    if !agrees {
        return Err(ElfError::Malformed { what: "its dynamic symbol section contradicts its dynamic table" });
    }
    slice(bytes, section.sh_offset.get(LE), len - len % size_of::<Sym64<LE>>() as u64)
        .and_then(|table| pod::slice_from_all_bytes(table).ok())
        .ok_or(ElfError::Truncated { what: "dynamic symbol table" })
}

fn check_symbol(symbol: &Sym64<LE>, segments: &Segments) -> Result<(), ElfError> {
    let bad = |what| Err(ElfError::BadSymbol { what });
    if !matches!(symbol.st_bind(), elf::STB_GLOBAL | elf::STB_WEAK) {
        return bad("local, not exported");
    }
    if !matches!(symbol.st_visibility(), elf::STV_DEFAULT | elf::STV_PROTECTED) {
        return bad("hidden, not exported");
    }
    if symbol.st_type() != elf::STT_OBJECT {
        return bad("not data");
    }
    if symbol.st_size.get(LE) < PLUGIN_STRUCT_BYTES {
        return bad("too small for the struct croupier_plugin");
    }
    if !segments.in_memory(symbol.st_value.get(LE), PLUGIN_STRUCT_BYTES) {
        return bad("outside of the plugin");
    }
    Ok(())
}
