//! A file's unwind tables (.eh_frame), gone through once and then looked up by address.
//!
//! ```text
//!  section ─ read ─▶ where each function begins and ends, sorted ─ row(address) ─▶ how to get to its caller
//! ```
//!
//! The section is hostile, and a table's entries share their heads: a head of megabytes that a hundred thousand entries refer to would be read a hundred thousand times. So each
//! head is read once, heads and entries are bounded, and one look-up costs no more than one entry's instructions.

use std::collections::HashMap;

use gimli::{
    BaseAddresses, CieOrFde, CommonInformationEntry, EhFrame, EhFrameOffset, EndianSlice, Error,
    LittleEndian, UnwindContext, UnwindSection as _, UnwindTableRow,
};

/// Longest head of entries, in bytes: compilers make some dozen.
const HEAD_BYTES_MAX: usize = 4 << 10;
/// Most heads: a linker leaves a few.
const HEADS_MAX: usize = 4096;
/// Longest entry, in bytes: one instruction for each change of a function's frame.
const ENTRY_BYTES_MAX: usize = 16 << 10;
/// How many entries before an address are asked whether they hold it.
const NESTED_MAX: usize = 8;

/// What the tables say about the caller of a function, at one place in it.
pub type Row = UnwindTableRow<usize>;
type Head<'a> = CommonInformationEntry<EndianSlice<'a, LittleEndian>>;

/// Where a function lies, and where in the section its entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    from: u64,
    to: u64,
    at: usize,
}

/// The tables of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tables {
    bytes: Vec<u8>,
    address: u64,
    text: u64,
    entries: Vec<Entry>,
}

impl Tables {
    /// Longest section that is used, in bytes.
    pub const BYTES_MAX: usize = 16 << 20;

    /// Of a section that lies at this address, about code that lies at `text`. What follows something that makes no sense is left out.
    #[must_use]
    pub fn read(bytes: Vec<u8>, address: u64, text: u64) -> Option<Tables> {
        if bytes.len() > Tables::BYTES_MAX {
            return None;
        }
        let mut tables = Tables { bytes, address, text, entries: Vec::new() };
        tables.entries = tables.find();
        tables.entries.sort_by_key(|entry| entry.from);
        Some(tables)
    }

    /// What is said of an address.
    #[must_use]
    pub fn row(&self, address: u64) -> Option<Row> {
        let behind = self.entries.partition_point(|entry| entry.from <= address);
        let holds = |entry: &&Entry| address < entry.to;
        let entry = self.entries[..behind].iter().rev().take(NESTED_MAX).find(holds)?;
        let (section, bases) = (self.section(), self.bases());
        let head = EhFrame::cie_from_offset;
        let found = section.fde_from_offset(&bases, EhFrameOffset(entry.at), head).ok()?;
        let mut context = UnwindContext::new();
        found.unwind_info_for_address(&section, &bases, &mut context, address).ok().cloned()
    }

    fn section(&self) -> EhFrame<EndianSlice<'_, LittleEndian>> {
        EhFrame::new(&self.bytes, LittleEndian)
    }

    fn bases(&self) -> BaseAddresses {
        BaseAddresses::default().set_eh_frame(self.address).set_text(self.text)
    }

    fn find(&self) -> Vec<Entry> {
        let (section, bases) = (self.section(), self.bases());
        // None for those that are not used.
        let mut heads: HashMap<usize, Option<Head<'_>>> = HashMap::new();
        let mut found = Vec::new();
        let mut entries = section.entries(&bases);
        while let Ok(Some(entry)) = entries.next() {
            let CieOrFde::Fde(entry) = entry else { continue };
            let head = entry.cie_offset().0;
            if entry.entry_len() > ENTRY_BYTES_MAX || (heads.len() >= HEADS_MAX && !heads.contains_key(&head))
            {
                continue;
            }
            let read = || section.cie_from_offset(&bases, EhFrameOffset(head)).ok();
            heads.entry(head).or_insert_with(|| self.is_short(head).then(read).flatten());
            let known = |_: &_, _: &_, at: EhFrameOffset| {
                heads.get(&at.0).cloned().flatten().ok_or(Error::NoUnwindInfoForAddress)
            };
            if let Ok(entry) = entry.parse(known) {
                found.push(Entry {
                    from: entry.initial_address(),
                    to: entry.end_address(),
                    at: entry.offset(),
                });
            }
        }
        found
    }

    /// Whether a head says that it is short, before more of it is read. (Nobody needs its 64-bit form, which begins with a length of all ones.)
    fn is_short(&self, head: usize) -> bool {
        let length = self.bytes.get(head..).and_then(|rest| rest.first_chunk());
        length.is_some_and(|length| u32::from_le_bytes(*length) as usize <= HEAD_BYTES_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A head with these letters for what its entries have more.
    fn head(more: &[u8]) -> Vec<u8> {
        let body = [&[0; 4], &[1][..], more, &[0, 1, 0x78, 16, 0]].concat();
        [&(body.len() as u32).to_le_bytes(), &body[..]].concat()
    }

    /// An entry for these addresses, whose head is at the section's `head`; with so many instructions that do nothing.
    fn entry(section: &mut Vec<u8>, head: usize, (from, bytes): (u64, u64), nothing: usize) {
        let back = (section.len() + 4 - head) as u32;
        let body = [&back.to_le_bytes(), &from.to_le_bytes()[..], &bytes.to_le_bytes(), &[0]].concat();
        section.extend(((body.len() + nothing) as u32).to_le_bytes());
        section.extend(body);
        section.extend(vec![0; nothing]);
    }

    #[test]
    fn entries_are_found_by_address() {
        let mut section = head(b"z");
        for function in (1..9).rev() {
            entry(&mut section, 0, (function * 0x100, 0x80), 3);
        }
        let tables = Tables::read(section, 0x9000, 0).unwrap();
        let known =
            [0x100, 0x17f, 0x180, 0x800, 0x87f, 0x880, 0, u64::MAX].map(|at| tables.row(at).is_some());
        assert_eq!(known, [true, true, false, true, true, false, false, false]);
    }

    #[test]
    fn what_would_take_for_ever_is_left_out() {
        // A head of megabytes, and whatever points into it, as often as there is room; what is well-formed is still found.
        let long = head(&[&b"z"[..], &vec![b'S'; 4 << 20]].concat());
        let mut section = long.clone();
        let good = section.len();
        section.extend(head(b"z"));
        entry(&mut section, good, (0x100, 0x80), 3);
        entry(&mut section, good, (0x200, 0x80), ENTRY_BYTES_MAX);
        for at in 0..200_000 {
            entry(&mut section, if at % 2 == 0 { 0 } else { at }, (0x300, 0x80), 0);
        }
        let tables = Tables::read(section, 0, 0).unwrap();
        let known = [0x100, 0x200, 0x300].map(|at| tables.row(at).is_some());
        assert_eq!(known, [true, false, false]);
        assert_eq!(Tables::read(vec![0; Tables::BYTES_MAX + 1], 0, 0), None);
    }

    #[test]
    fn damaged_sections_are_gone_through() {
        let mut section = head(b"z");
        for function in 1..5 {
            entry(&mut section, 0, (function * 0x100, 0x80), 3);
        }
        for at in 0..section.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut damaged = section.clone();
                damaged[at] = value;
                let tables = Tables::read(damaged, 0, 0).unwrap();
                (0..6).for_each(|function| drop(tables.row(function * 0x100)));
            }
            drop(Tables::read(section[..at].into(), 0, 0).unwrap().row(0x100));
        }
    }
}
