//! Section headers, and the one section that matters: the manifest.

use object::LittleEndian as LE;
use object::elf::{self, FileHeader64, SectionHeader64};
use object::pod;

use super::segments::Segments;
use super::{ElfError, MANIFEST_BYTES_MAX, MANIFEST_SECTION, SECTIONS_MAX, name_at, slice};

/// The section headers and their names.
#[derive(Debug)]
pub(super) struct Sections<'a> {
    /// The headers.
    pub(super) table: &'a [SectionHeader64<LE>],
    names: &'a [u8],
}

/// Reads the section headers.
pub(super) fn read<'a>(bytes: &'a [u8], header: &FileHeader64<LE>) -> Result<Sections<'a>, ElfError> {
    let count = usize::from(header.e_shnum.get(LE));
    if header.e_shoff.get(LE) == 0 || count == 0 {
        return Err(ElfError::NoManifest);
    }
    if count > SECTIONS_MAX {
        return Err(ElfError::TooMany { what: "sections", count: count as u64, max: SECTIONS_MAX });
    }
    let size = size_of::<SectionHeader64<LE>>();
    if usize::from(header.e_shentsize.get(LE)) != size {
        return Err(ElfError::Malformed { what: "its section headers have a wrong size" });
    }
    let table: &[SectionHeader64<LE>] = slice(bytes, header.e_shoff.get(LE), (count * size) as u64)
        .and_then(|table| pod::slice_from_all_bytes(table).ok())
        .ok_or(ElfError::Truncated { what: "section header table" })?;
    let names = table
        .get(usize::from(header.e_shstrndx.get(LE).0))
        .ok_or(ElfError::Malformed { what: "its sections have no names" })?;
    let names = slice(bytes, names.sh_offset.get(LE), names.sh_size.get(LE))
        .ok_or(ElfError::Truncated { what: "section name table" })?;
    Ok(Sections { table, names })
}

/// Finds the manifest's text.
pub(super) fn manifest<'a>(
    bytes: &'a [u8],
    segments: &Segments,
    sections: &Sections<'a>,
) -> Result<&'a str, ElfError> {
    let mut found = sections.table.iter().filter(|section| {
        let name = name_at(sections.names, u64::from(section.sh_name.get(LE)), MANIFEST_SECTION.len());
        name == Some(MANIFEST_SECTION)
    });
    let section = found.next().ok_or(ElfError::NoManifest)?;
    let more = found.count();
    if more > 0 {
        return Err(ElfError::ManyManifests { count: more + 1 });
    }
    let len = section.sh_size.get(LE);
    if section.sh_type.get(LE) != elf::SHT_PROGBITS {
        return Err(ElfError::Malformed { what: "its manifest section has no bytes in the file" });
    }
    if section.sh_flags.get(LE).0 & elf::SHF_COMPRESSED.0 != 0 {
        return Err(ElfError::Malformed { what: "its manifest section is compressed" });
    }
    if len > MANIFEST_BYTES_MAX as u64 {
        return Err(ElfError::ManifestTooLarge { bytes: len });
    }
    let offset = section.sh_offset.get(LE);
    let data = slice(bytes, offset, len).ok_or(ElfError::Truncated { what: "manifest section" })?;
    // A section that is mapped must lie where its address says, or tools would show another text than the running plugin has.
    let mapped = section.sh_flags.get(LE).0 & elf::SHF_ALLOC.0 != 0;
    if mapped && segments.file_offset(section.sh_addr.get(LE), len) != Some(offset) {
        return Err(ElfError::Malformed { what: "its manifest section contradicts its segments" });
    }
    text(data)
}

fn text(data: &[u8]) -> Result<&str, ElfError> {
    let end = data.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    if end == 0 {
        return Err(ElfError::ManifestEmpty);
    }
    if let Some(at) = data[..end].iter().position(|&byte| byte == 0) {
        return Err(ElfError::ManifestNotText { what: "a NUL (are there two manifests?)", at });
    }
    std::str::from_utf8(&data[..end]).map_err(|error| ElfError::ManifestNotText {
        what: "bytes that are not UTF-8",
        at: error.valid_up_to(),
    })
}
