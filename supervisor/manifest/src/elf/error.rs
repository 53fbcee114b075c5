//! Why a file is not a plugin. Each sentence says what was found and what to do; the supervisor and `croupier check` print it as it is.

use thiserror::Error;

use super::{MANIFEST_BYTES_MAX, MANIFEST_SECTION, PLUGIN_BYTES_MAX, PLUGIN_SYMBOL};

/// Why a file is not a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ElfError {
    /// No bytes at all.
    #[error("the file is empty; build the plugin again")]
    Empty,
    /// Over [`PLUGIN_BYTES_MAX`].
    #[error(
        "the file has {bytes} bytes, more than the {PLUGIN_BYTES_MAX} that a plugin may have; strip debug information"
    )]
    TooLarge {
        /// The file's length.
        bytes: usize,
    },
    /// No ELF magic.
    #[error("not an ELF file but {looks_like}; name the built shared object (.so), not its source")]
    NotElf {
        /// What it seems to be.
        looks_like: &'static str,
    },
    /// Something that the file refers to lies behind its end.
    #[error("the file is truncated or damaged: its {what} lies outside of it; copy or build it again")]
    Truncated {
        /// What is missing.
        what: &'static str,
    },
    /// A 32-bit file.
    #[error("the file is not 64-bit; build the plugin for {expected}")]
    WrongClass {
        /// The machine of this build.
        expected: &'static str,
    },
    /// A big-endian file.
    #[error("the file is not little-endian; build the plugin for {expected}")]
    WrongByteOrder {
        /// The machine of this build.
        expected: &'static str,
    },
    /// Built for another machine.
    #[error(
        "the file is for ELF machine {found}, this croupier runs on {expected}; build the plugin for {expected}"
    )]
    WrongMachine {
        /// `e_machine` of the file.
        found: u16,
        /// The machine of this build.
        expected: &'static str,
    },
    /// A program, an object file, a core dump.
    #[error(
        "the file is {found}, not a shared object; link the plugin with -shared (Rust: crate-type = [\"cdylib\"])"
    )]
    NotSharedObject {
        /// What it is.
        found: &'static str,
    },
    /// The file contradicts itself or the ELF specification.
    #[error(
        "the file is not well-formed ELF: {what}; link it with an ordinary linker and do not edit it afterwards"
    )]
    Malformed {
        /// What is wrong.
        what: &'static str,
    },
    /// A count over its cap.
    #[error("the file has {count} {what}, more than the {max} that a plugin may have")]
    TooMany {
        /// What of.
        what: &'static str,
        /// How many.
        count: u64,
        /// The cap.
        max: usize,
    },
    /// A segment that is writable and executable.
    #[error(
        "segment {index} is writable and executable at once; a plugin's code must not be writable (no linker flag -N or --omagic)"
    )]
    WritableCode {
        /// Its index among the program headers.
        index: usize,
    },
    /// `PT_GNU_STACK` with X.
    #[error(
        "the file asks for an executable stack; link with -z noexecstack, and mark assembler files with .note.GNU-stack"
    )]
    ExecutableStack,
    /// No `PT_GNU_STACK`, which the loader takes as a wish for an executable stack.
    #[error(
        "the file does not say that its stack is not executable (no PT_GNU_STACK); link with -z noexecstack"
    )]
    StackUnmarked,
    /// Relocations in code.
    #[error("the file has text relocations: its code would have to be writable; compile with -fPIC")]
    TextRelocations,
    /// `DT_RPATH` or `DT_RUNPATH`.
    #[error("the file names library directories of its own ({tag}); link without -rpath")]
    LibraryPath {
        /// `RPATH` or `RUNPATH`.
        tag: &'static str,
    },
    /// A dynamic entry that makes the loader load or run more than the plugin.
    #[error("the file has a {tag} entry, which makes the loader load more than the plugin; link without it")]
    ForbiddenTag {
        /// The entry.
        tag: &'static str,
    },
    /// A library outside of [`super::LIBRARIES_ALLOWED`].
    #[error(
        "the file needs the library `{library}`, which workers do not have; link it statically into the plugin"
    )]
    LibraryNotAllowed {
        /// The library, cut and escaped if it is strange.
        library: String,
    },
    /// The plugin symbol is missing.
    #[error(
        "the file does not export the symbol `{PLUGIN_SYMBOL}`; use CROUPIER_EXPORT_PLUGIN (Rust: croupier_sdk::export!)"
    )]
    MissingSymbol,
    /// Only another major version's symbol is there.
    #[error(
        "the plugin has the wrong ABI version: it exports `{found}`, this croupier speaks `{PLUGIN_SYMBOL}`; build it with this croupier's header or SDK"
    )]
    WrongAbiVersion {
        /// The symbol.
        found: String,
    },
    /// The symbol is there but is not the data that it should be.
    #[error(
        "the symbol `{PLUGIN_SYMBOL}` is {what}; export it with CROUPIER_EXPORT_PLUGIN (Rust: croupier_sdk::export!)"
    )]
    BadSymbol {
        /// What is wrong with it.
        what: &'static str,
    },
    /// No manifest section.
    #[error(
        "the file has no manifest (section `{MANIFEST_SECTION}`); use CROUPIER_MANIFEST or CROUPIER_MANIFEST_FILE (Rust: croupier_sdk::export!)"
    )]
    NoManifest,
    /// More than one.
    #[error("the file has {count} sections `{MANIFEST_SECTION}`; a plugin has exactly one manifest")]
    ManyManifests {
        /// How many.
        count: usize,
    },
    /// Over [`MANIFEST_BYTES_MAX`].
    #[error("the manifest has {bytes} bytes, more than the {MANIFEST_BYTES_MAX} allowed")]
    ManifestTooLarge {
        /// Its length.
        bytes: u64,
    },
    /// Nothing in it.
    #[error("the manifest is empty")]
    ManifestEmpty,
    /// Not UTF-8, or with NULs inside.
    #[error("the manifest is not text: {what} at byte {at}")]
    ManifestNotText {
        /// What was found.
        what: &'static str,
        /// Where.
        at: usize,
    },
}
