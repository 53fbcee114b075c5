//! The `abi_stable` layout of the mirror: a Rust plugin exports it, the jailed worker compares it.
//!
//! A C compiler's and this crate's idea of the structs are compared once, in a test. A Rust plugin may have been built with another
//! version of this crate, or with another compiler: so it exports, under [`crate::LAYOUT_SYMBOL`], a description of every field, and
//! the worker refuses it with the exact difference instead of a crash later.
//!
//! Plugins in C, C++ or Zig export no such symbol and need none.

use core::ffi::c_void;
use std::format;
use std::string::{String, ToString};

use abi_stable::StableAbi;
use abi_stable::abi_stability::abi_checking::check_layout_compatibility;
use abi_stable::library::AbiHeader;
use abi_stable::type_layout::TypeLayout;

use crate::{ABI_MINOR, ExtInput, Host, Plugin, Sink, Slice, Turn, Vtable};

/// Longest list of differences that [`check_layout`] returns, in bytes; one mismatch tends to repeat itself.
const DIFFERENCES_BYTES_MAX: usize = 1024;

/// All structs of the contract as one type, so that one layout covers them. The pointers between them would hide them
/// from the comparison.
#[repr(C)]
#[derive(StableAbi)]
pub struct Contract {
    slice: Slice,
    sink: Sink,
    turn: Turn,
    host: Host,
    descriptor: crate::Descriptor,
    vtable: Vtable,
    plugin: Plugin,
    input: ExtInput,
}

/// What the symbol [`crate::LAYOUT_SYMBOL`] is. `header` and `abi_minor` are read before anything else is believed.
#[repr(C)]
pub struct LayoutExport {
    /// The version of `abi_stable` that made `layout`.
    header: AbiHeader,
    /// [`ABI_MINOR`] of the mirror that is described.
    abi_minor: u32,
    layout: &'static TypeLayout,
}

// SAFETY: constant data; `TypeLayout` holds only constants and functions that return constants.
unsafe impl Sync for LayoutExport {}

impl LayoutExport {
    /// The layout of this crate's mirror.
    pub const THIS: LayoutExport = LayoutExport {
        header: AbiHeader::VALUE,
        abi_minor: ABI_MINOR,
        layout: <Contract as StableAbi>::LAYOUT,
    };
}

/// Compares a plugin's exported layout with this crate's.
///
/// The export's `AbiHeader` comes first: when the plugin used another `abi_stable`, nothing behind it can be read. A plugin that was built for another *minor* version of
/// the contract describes other structs and rightly so; there is nothing to compare then, and `struct_size` is what protects both sides.
///
/// # Errors
/// What differs, short enough for a log line of a few rows.
///
/// # Safety
/// `symbol` is the address of the symbol [`crate::LAYOUT_SYMBOL`] in a loaded library that is never unloaded. Whoever calls this trusts
/// that the symbol is what its name says, and calls functions of the plugin: only do it where plugin code may run, in the jailed worker.
pub unsafe fn check_layout(symbol: *const c_void) -> Result<(), String> {
    if symbol.is_null() || !symbol.addr().is_multiple_of(align_of::<LayoutExport>()) {
        return Err(
            "the symbol of the abi_stable layout is NULL or misaligned; build the plugin with croupier-sdk"
                .into(),
        );
    }
    // SAFETY: the caller vouches that a `LayoutExport` of some version stands here; all begin with the header and the minor version.
    let (header, abi_minor) = unsafe {
        let export = symbol.cast::<LayoutExport>();
        ((&raw const (*export).header).read(), (&raw const (*export).abi_minor).read())
    };
    if !header.is_valid() {
        return Err(format!(
            "the plugin's layout was made by another abi_stable (ABI {}.{}, this worker has {}.{}); build it with the croupier-sdk of this version",
            header.abi_major,
            header.abi_minor,
            AbiHeader::VALUE.abi_major,
            AbiHeader::VALUE.abi_minor
        ));
    }
    if abi_minor != ABI_MINOR {
        return Ok(());
    }
    // SAFETY: same `abi_stable` and same minor version, so the export is complete and its layout is one of `abi_stable`'s own constants; the
    // library stays loaded, says the caller.
    let layout = unsafe { (*symbol.cast::<LayoutExport>()).layout };
    check_layout_compatibility(LayoutExport::THIS.layout, layout).map_err(|errors| {
        format!(
            "the plugin was built against other structs than croupier_plugin.h version {}.{ABI_MINOR}; build it with the croupier-sdk of this version\n{}",
            crate::ABI_MAJOR,
            differences(&errors.to_string())
        )
    })
}

/// Of `abi_stable`'s pages of text just the blocks that begin with `Error:`, each once, up to a limit.
fn differences(text: &str) -> String {
    let mut out = String::new();
    for block in text.split("\nError:").skip(1) {
        // After the last block of a type, the next type is introduced by "N error(s)inside:".
        let block = block.split(" error(s)").next().unwrap_or(block);
        let lines = block.lines().map(str::trim).filter(|line| !line.is_empty());
        let line = lines.collect::<std::vec::Vec<_>>().join(" ");
        let line = line.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end();
        if out.contains(line) {
            continue;
        }
        if out.len() + line.len() > DIFFERENCES_BYTES_MAX {
            out.push_str("… and more\n");
            break;
        }
        out.push_str("Error: ");
        out.push_str(line);
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As [`Turn`] of a careless fork: a field renamed, one narrowed.
    mod forked {
        use abi_stable::StableAbi;

        #[repr(C)]
        #[derive(StableAbi)]
        pub(super) struct Contract {
            slice: Slice,
        }

        #[repr(C)]
        #[derive(StableAbi)]
        pub(super) struct Slice {
            pointer: *const u8,
            len: u32,
        }
    }

    fn check(export: &'static LayoutExport) -> Result<(), String> {
        // SAFETY: a static export of this crate.
        unsafe { check_layout((&raw const *export).cast()) }
    }

    #[test]
    fn equal_layouts_pass() {
        static SAME: LayoutExport = LayoutExport::THIS;
        assert_eq!(check(&SAME), Ok(()));
    }

    #[test]
    fn another_layout_is_told_in_few_lines() {
        static FORKED: LayoutExport = LayoutExport {
            header: AbiHeader::VALUE,
            abi_minor: ABI_MINOR,
            layout: <forked::Contract as StableAbi>::LAYOUT,
        };
        let text = check(&FORKED).unwrap_err();
        assert!(text.contains("other structs than croupier_plugin.h version 1.0"), "{text}");
        assert!(
            text.contains("Error: too many fields") || text.contains("Error: incompatible type size"),
            "{text}"
        );
        assert!(text.len() < 2 * DIFFERENCES_BYTES_MAX, "{} bytes: {text}", text.len());
    }

    #[test]
    fn a_foreign_header_is_not_read_past() {
        // The layout pointer is one that must not be followed.
        #[repr(C)]
        struct Foreign {
            magic: [u8; 32],
            major: u32,
            minor: u32,
            abi_minor: u32,
            layout: usize,
        }
        static FOREIGN: Foreign =
            Foreign { magic: [7; 32], major: 0, minor: 99, abi_minor: ABI_MINOR, layout: 1 };
        assert_eq!(size_of::<Foreign>(), size_of::<LayoutExport>());
        let _ = (FOREIGN.magic, FOREIGN.major, FOREIGN.minor, FOREIGN.abi_minor, FOREIGN.layout);
        // SAFETY: at least a header and a minor version are readable; that is what the test is about.
        let text = unsafe { check_layout((&raw const FOREIGN).cast()) }.unwrap_err();
        assert!(text.contains("another abi_stable (ABI 0.99"), "{text}");
        // SAFETY: NULL is looked at, not through.
        assert!(unsafe { check_layout(core::ptr::null()) }.is_err());
    }

    #[test]
    fn another_minor_version_is_left_to_struct_size() {
        static NEWER: LayoutExport = LayoutExport {
            header: AbiHeader::VALUE,
            abi_minor: ABI_MINOR + 1,
            layout: <forked::Contract as StableAbi>::LAYOUT,
        };
        assert_eq!(check(&NEWER), Ok(()));
    }
}
