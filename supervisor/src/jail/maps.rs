//! `/proc/PID/maps`, read (proc_pid_maps(5)). The kernel writes it, about what the process made of its memory: names of files are the kernel's, but a plugin decides what it maps.

use std::fs::File;
use std::io::{self, Read as _};

/// Longest text that is read, in bytes.
pub const MAPS_BYTES_MAX: u64 = 1 << 20;

/// One mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mapping<'a> {
    /// Its first address.
    pub from: u64,
    /// The first address behind it.
    pub to: u64,
    /// `r-xp`.
    pub access: &'a str,
    /// Where in the file it begins, in bytes.
    pub offset: u64,
    /// The file's inode; 0 for none.
    pub inode: u64,
    /// The file's path, or the kernel's name for it: `[stack]`. Empty for anonymous memory.
    pub path: &'a str,
}

impl<'a> Mapping<'a> {
    fn parse(line: &'a str) -> Option<Mapping<'a>> {
        let hex = |text| u64::from_str_radix(text, 16).ok();
        let mut fields = line.split_ascii_whitespace();
        let (from, to) = fields.next()?.split_once('-')?;
        let access = fields.next()?;
        let offset = hex(fields.next()?)?;
        let inode = fields.nth(1)?.parse().ok()?;
        // Paths may hold spaces; fields before them never do.
        let path = line.find(['/', '[']).map_or("", |at| &line[at..]);
        Some(Mapping { from: hex(from)?, to: hex(to)?, access, offset, inode, path })
    }

    /// Whether an address is in it.
    #[must_use]
    pub fn holds(&self, address: u64) -> bool {
        (self.from..self.to).contains(&address)
    }

    /// Whether it can be executed.
    #[must_use]
    pub fn is_code(&self) -> bool {
        self.access.contains('x')
    }

    /// Whether nobody may touch it: a guard page, or address space kept for later.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.access.starts_with("---")
    }

    /// The path without what the kernel says of it.
    #[must_use]
    pub fn file(&self) -> &'a str {
        self.path.strip_suffix(" (deleted)").unwrap_or(self.path)
    }

    /// The file's name: `libc.so.6`, `memfd:plugin`, `anonymous`.
    #[must_use]
    pub fn name(&self) -> &'a str {
        match self.file().rsplit('/').next() {
            Some("") | None => "anonymous",
            Some(name) => name,
        }
    }

    /// The offset in the file of an address in it.
    #[must_use]
    pub fn file_offset(&self, address: u64) -> u64 {
        (address - self.from).saturating_add(self.offset)
    }
}

/// All mappings of a text, in the order of their addresses. Lines that make no sense are left out.
#[must_use]
pub fn mappings(text: &str) -> Vec<Mapping<'_>> {
    text.lines().filter_map(Mapping::parse).collect()
}

/// The text of a process, up to [`MAPS_BYTES_MAX`].
///
/// # Errors
/// When this user may not look into the process, or it has ended.
pub fn read(pid: u32) -> io::Result<String> {
    let mut text = String::new();
    File::open(format!("/proc/{pid}/maps"))?.take(MAPS_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read() {
        let text = "1000-2000 r-xp 00000500 00:01 7   /memfd:plugin (deleted)\n3000-4000 ---p 00000000 00:00 0\nrubbish\n\
                    5000-6000 rw-p 00000000 00:00 0                          [stack]\n7000-8000 r--p 0 00:01 8 /a b/c\n";
        let all = mappings(text);
        assert_eq!(all.len(), 4);
        assert_eq!((all[0].name(), all[0].inode, all[0].file_offset(0x1010)), ("memfd:plugin", 7, 0x510));
        assert!(all[0].is_code() && !all[0].is_closed() && all[0].holds(0x1fff) && !all[0].holds(0x2000));
        assert!(all[1].is_closed() && all[1].name() == "anonymous");
        assert_eq!((all[2].path, all[3].file(), all[3].name()), ("[stack]", "/a b/c", "c"));
        assert!(read(std::process::id()).unwrap().contains("[stack]"));
    }
}
