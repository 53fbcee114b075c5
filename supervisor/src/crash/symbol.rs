//! The function at an offset of a plugin's file, when the file has symbols. The file is hostile: only read, never run, and a wrong answer costs nothing but time.

use object::{Object as _, ObjectSegment as _, ObjectSymbol as _, SymbolKind};

/// Longest name, in characters.
const NAME_CHARS_MAX: usize = 300;

/// The name of the function whose code stands at this offset of the file, and how far into it; none when the file does not say.
pub fn symbol_at(elf: &[u8], file_offset: u64) -> Option<(String, u64)> {
    let file = object::File::parse(elf).ok()?;
    let address = file.segments().find_map(|segment| {
        let (at, bytes) = segment.file_range();
        let within = file_offset.checked_sub(at).filter(|within| *within < bytes)?;
        segment.address().checked_add(within)
    })?;
    let functions =
        file.symbols().chain(file.dynamic_symbols()).filter(|symbol| symbol.kind() == SymbolKind::Text);
    let holds = |symbol: &object::Symbol<'_, '_>| {
        address.checked_sub(symbol.address()).is_some_and(|into| into < symbol.size())
    };
    let found = functions.filter(holds).max_by_key(|symbol| symbol.address())?;
    let name = found.name().ok()?.chars().take(NAME_CHARS_MAX).collect();
    Some((name, address - found.address()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_of_this_very_program_are_found_and_nonsense_is_not() {
        let elf = std::fs::read("/proc/self/exe").unwrap();
        let file = object::File::parse(&*elf).unwrap();
        let symbol =
            file.symbols().find(|symbol| symbol.name().is_ok_and(|name| name.contains("symbol_at"))).unwrap();
        let offset = file
            .segments()
            .find_map(|segment| {
                let into = symbol.address().checked_sub(segment.address())?;
                (into < segment.size()).then(|| segment.file_range().0 + into)
            })
            .unwrap();
        let (name, into) = symbol_at(&elf, offset + 3).unwrap();
        assert!(name.contains("symbol_at") && into == 3, "{name}+{into}");
        assert_eq!(symbol_at(&elf, u64::MAX), None);
        assert_eq!(symbol_at(b"no ELF", 0), None);
    }
}
