//! An ELF file as far as a backtrace needs it: where its code lies, its functions' names, and how to unwind it (.eh_frame).
//!
//! The file is hostile: only read, never run, and a wrong answer costs nothing but time. Names are cut, and written only as far as they fit.

use std::fmt::{self, Write as _};

use cpp_demangle::{DemangleOptions, ParseOptions, Symbol};
use object::{
    Object as _, ObjectSection as _, ObjectSegment as _, ObjectSymbol as _, ObjectSymbolTable as _,
    SegmentFlags, SymbolIndex, SymbolKind,
};

use super::tables::Tables;

/// Longest name, in bytes.
const NAME_BYTES_MAX: usize = 300;
/// Longest name that is demangled, in bytes.
const MANGLED_BYTES_MAX: usize = 4096;
/// How deep the demangler may go into a C++ name with expressions in it: each step may double what it tries.
const EXPRESSION_DEPTH_MAX: u32 = 24;
/// How many functions before an address are asked whether they hold it.
const NESTED_MAX: usize = 8;
/// `PF_X` (elf(5)).
const EXECUTABLE: u32 = 1;

/// A piece of the file with code in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Segment {
    file_offset: u64,
    bytes: u64,
    address: u64,
}

/// Which table a function is named in: a file that was stripped has the second alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Table {
    Whole,
    Dynamic,
}

/// Not its name: a million functions may share a name of a million bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Function {
    address: u64,
    bytes: u64,
    table: Table,
    index: SymbolIndex,
}

/// What is known of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    elf: Vec<u8>,
    segments: Vec<Segment>,
    functions: Vec<Function>,
    /// How to unwind it, when it says so.
    pub eh_frame: Option<Tables>,
}

impl Image {
    /// Reads a file. What is no ELF file knows nothing.
    #[must_use]
    pub fn read(elf: Vec<u8>) -> Image {
        let Ok(file) = object::File::parse(&*elf) else { return Image::default() };
        let mut segments = Vec::new();
        for segment in file.segments() {
            let executable =
                matches!(segment.flags(), SegmentFlags::Elf { p_flags, .. } if p_flags.0 & EXECUTABLE != 0);
            let (file_offset, bytes) = segment.file_range();
            if executable {
                segments.push(Segment { file_offset, bytes, address: segment.address() });
            }
        }
        let function = |table| {
            move |symbol: object::Symbol<'_, '_>| {
                let (address, bytes) = (symbol.address(), symbol.size());
                let named = symbol.kind() == SymbolKind::Text && bytes > 0;
                named.then(|| Function { address, bytes, table, index: symbol.index() })
            }
        };
        let mut functions: Vec<Function> = file.symbols().filter_map(function(Table::Whole)).collect();
        functions.extend(file.dynamic_symbols().filter_map(function(Table::Dynamic)));
        functions.sort_by_key(|function| function.address);
        let text = file.section_by_name(".text").map_or(0, |section| section.address());
        let eh_frame = file.section_by_name(".eh_frame").and_then(|section| {
            let bytes = section.data().ok().filter(|bytes| bytes.len() <= Tables::BYTES_MAX)?;
            Tables::read(bytes.to_vec(), section.address(), text)
        });
        Image { segments, functions, eh_frame, elf }
    }

    /// The address, as the file has it, of the code at an offset of the file.
    #[must_use]
    pub fn address(&self, file_offset: u64) -> Option<u64> {
        self.segments.iter().find_map(|segment| {
            let into = file_offset.checked_sub(segment.file_offset).filter(|into| *into < segment.bytes)?;
            segment.address.checked_add(into)
        })
    }

    /// The function at an address of the file, demangled, and how far into it.
    #[must_use]
    pub fn function(&self, address: u64) -> Option<(String, u64)> {
        let behind = self.functions.partition_point(|function| function.address <= address);
        // Sorted by where they begin; a few may lie in one another.
        let holds = |function: &&Function| address - function.address < function.bytes;
        let found = self.functions[..behind].iter().rev().take(NESTED_MAX).find(holds)?;
        Some((demangle(&self.name(*found)?), address - found.address))
    }

    fn name(&self, function: Function) -> Option<String> {
        let file = object::File::parse(&*self.elf).ok()?;
        let table = match function.table {
            Table::Whole => file.symbol_table(),
            Table::Dynamic => file.dynamic_symbol_table(),
        };
        let symbol = table?.symbol_by_index(function.index).ok()?;
        let name = symbol.name().ok().filter(|name| name.len() <= MANGLED_BYTES_MAX)?;
        Some(name.to_owned())
    }
}

/// As its author wrote it, as far as it fits.
fn demangle(name: &str) -> String {
    let mut text = Short(String::new());
    let done = if let Ok(rust) = rustc_demangle::try_demangle(name) {
        write!(text, "{rust:#}").is_ok()
    } else if let Ok(cpp) = Symbol::new_with_options(name, &options(name)) {
        cpp.structured_demangle(&mut text, &DemangleOptions::default()).is_ok()
    } else {
        false
    };
    // An error after a start means that it did not fit.
    if !done && text.0.is_empty() {
        let _ = text.write_str(name);
    }
    text.0
}

/// The parser goes back and tries again in expressions, and nowhere else, so what looks as if it had any (`X`, `DT`, `A_` …, though it may be but a letter in a name) is not followed far.
fn options(name: &str) -> ParseOptions {
    let begins_expression = |pair: &[u8]| {
        matches!(pair, b"DT" | b"Dt" | b"DO" | b"Dv" | b"sr")
            || matches!(pair, [b'A', next] if !next.is_ascii_digit())
    };
    let bytes = name.as_bytes();
    if bytes.contains(&b'X') || bytes.windows(2).any(begins_expression) {
        ParseOptions::default().recursion_limit(EXPRESSION_DEPTH_MAX)
    } else {
        ParseOptions::default()
    }
}

/// Text that takes no more than [`NAME_BYTES_MAX`], and no control characters. A mangled name of some bytes can stand for gigabytes.
struct Short(String);

impl fmt::Write for Short {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        for c in more.chars().filter(|c| !c.is_control()) {
            if self.0.len() + c.len_utf8() > NAME_BYTES_MAX {
                return Err(fmt::Error);
            }
            self.0.push(c);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_of_this_very_program_are_found_and_nonsense_is_not() {
        let image = Image::read(std::fs::read("/proc/self/exe").unwrap());
        let named = |function: &&Function| {
            image.name(**function).is_some_and(|name| name.contains("of_this_very_program"))
        };
        let function = image.functions.iter().find(named).unwrap();
        let segment = image
            .segments
            .iter()
            .find(|s| (s.address..s.address + s.bytes).contains(&function.address))
            .unwrap();
        let offset = function.address - segment.address + segment.file_offset;
        assert_eq!(image.address(offset + 3), Some(function.address + 3));
        let (name, into) = image.function(function.address + 3).unwrap();
        assert!(name.contains("image::tests::functions_of_this") && into == 3, "{name}+{into}");
        assert!(image.eh_frame.is_some());
        assert_eq!((image.address(u64::MAX), image.function(0)), (None, None));
        assert_eq!(Image::read(b"no ELF".into()), Image::default());
    }

    #[test]
    fn names_are_demangled_and_cut() {
        assert_eq!(demangle("_ZN3foo3barEv"), "foo::bar()");
        assert_eq!(demangle("_ZN6faulty5deeds4segv17h0123456789abcdefE"), "faulty::deeds::segv");
        assert_eq!(demangle("in\u{1b}ner"), "inner");
        assert_eq!(demangle(&"x".repeat(1000)).len(), NAME_BYTES_MAX);
        // Each S_ doubles what stands before it.
        let bomb = format!("_Z1fI{}E", "St4pairI1aS0_E".repeat(20));
        assert!(demangle(&bomb).len() <= NAME_BYTES_MAX);
        // Each `dl` doubles what is tried: without a bound this would not end.
        for before in ["_Z1fIX", "_Z1fDT", "_Z1fA"] {
            let bomb = format!("{before}{}UlE", "dl".repeat(52));
            assert_eq!(demangle(&bomb), bomb);
        }
    }
}
