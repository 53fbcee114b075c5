//! Reads a shared object as hostile bytes: what the dynamic loader would do with it, and the manifest inside.
//!
//! ```text
//!  bytes → header → segments → dynamic table → exported symbol → section .croupier → ElfInfo
//!          header    segments    dynamic           symbols           manifest
//! ```
//!
//! The loader believes *program headers* and the dynamic table; section headers are only for tools. So everything that decides
//! what the loader does is read through program headers, and where a section is used (symbols, the manifest), it must agree
//! with them. Every count is capped and every range checked; nothing is allocated from a length in the file.
//!
//! Passing these checks makes a file loadable and well-formed, not harmless: its constructors are the plugin's code. That is the
//! jail's business, and why a worker jails itself before it loads anything.

mod dynamic;
mod error;
mod header;
mod section;
mod segments;
mod symbols;

pub use error::ElfError;

/// Longest plugin file, in bytes.
pub const PLUGIN_BYTES_MAX: usize = 256 << 20;
/// Most program headers of a plugin.
pub const SEGMENTS_MAX: usize = 64;
/// Most section headers of a plugin.
pub const SECTIONS_MAX: usize = 4096;
/// Most entries of the dynamic table.
pub const DYNAMIC_ENTRIES_MAX: usize = 1024;
/// Most symbols in the dynamic symbol table.
pub const SYMBOLS_MAX: usize = 1 << 20;
/// Longest manifest, in bytes.
pub const MANIFEST_BYTES_MAX: usize = 256 << 10;
/// The section that holds the manifest.
pub const MANIFEST_SECTION: &str = ".croupier";
/// The symbol that a plugin exports.
pub const PLUGIN_SYMBOL: &str = "croupier_plugin_v1";

/// Libraries that a plugin may need: the C and C++ run-time, nothing else. They are what a worker has open anyway, or what every
/// Linux has; anything else belongs *into* the plugin (link it statically).
pub const LIBRARIES_ALLOWED: [&str; 9] = [
    "libc.so.6",
    "libm.so.6",
    "libgcc_s.so.1",
    "libstdc++.so.6",
    "libpthread.so.0",
    "libdl.so.2",
    "librt.so.1",
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
];

/// What was found in a plugin's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElfInfo {
    /// The machine that the plugin is built for, as in `uname -m`.
    pub machine: &'static str,
    /// The libraries that it needs, all of them from [`LIBRARIES_ALLOWED`], in the file's order.
    pub needed: Vec<String>,
    /// The manifest's text, without the NUL that C puts at its end.
    pub manifest: String,
}

/// Checks a plugin's file and takes its manifest out, without running or mapping any of it.
///
/// Takes time linear in the file's size, and memory for the manifest alone. Never panics, whatever the bytes.
///
/// # Errors
/// The first thing that is wrong, as an [`ElfError`] that says what to do.
pub fn inspect(bytes: &[u8]) -> Result<ElfInfo, ElfError> {
    let header = header::read(bytes)?;
    let segments = segments::read(bytes, header)?;
    let dynamic = dynamic::read(bytes, &segments)?;
    let sections = section::read(bytes, header)?;
    symbols::check(bytes, &segments, &dynamic, &sections)?;
    let manifest = section::manifest(bytes, &segments, &sections)?;
    Ok(ElfInfo { machine: header::MACHINE_NAME, needed: dynamic.needed, manifest: manifest.to_owned() })
}

/// `len` bytes from `offset`, if the file has them.
fn slice(bytes: &[u8], offset: u64, len: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(usize::try_from(len).ok()?)?;
    bytes.get(start..end)
}

/// The NUL-terminated name at `offset` of a string table, if it is at most `max` bytes of UTF-8. Looks at no more than that, so
/// that a table without a NUL costs nothing.
fn name_at(strings: &[u8], offset: u64, max: usize) -> Option<&str> {
    let tail = strings.get(usize::try_from(offset).ok()?..)?;
    let tail = &tail[..tail.len().min(max + 1)];
    let end = tail.iter().position(|&byte| byte == 0)?;
    std::str::from_utf8(&tail[..end]).ok()
}
