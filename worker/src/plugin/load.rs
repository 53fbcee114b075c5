//! Loads a plugin: from a sealed memfd to checked functions.
//!
//! ```text
//!   (shift the address layout) ─▶ (seals) ─▶ dlopen ─▶ symbol ─▶ structs ─▶ descriptor = manifest ─▶ abi_stable layout
//! ```
//!
//! The plugin's structs are copied once, as far as their `struct_size` goes, into zeroed locals, and only the copies are looked at.
//! The first code of the plugin to run are its ELF constructors, in `dlopen`.
#![allow(unsafe_code)] // the loader, and memory that the plugin filled in

use std::error::Error;
use std::ffi::{CStr, c_char, c_void};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use croupier_abi as abi;
use croupier_abi::{Descriptor, Plugin, Sink, Slice, Status, Turn, Vtable};
use croupier_wire::link::Hello;
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

use crate::fault::Fault;
use crate::jail;
use crate::link::Link;
use crate::plugin::desk::Rules;
use crate::plugin::game::Game;
use crate::plugin::host::HostState;
use crate::plugin::memfd::check_seals;
use crate::plugin::stdio::Stdio;

/// Largest `struct_size` that is believed, in bytes. Version 1 structs only grow, but not to this.
const STRUCT_BYTES_MAX: usize = 4096;
/// Longest name or version in a descriptor, in bytes.
const DESCRIPTOR_TEXT_BYTES_MAX: usize = 256;
/// Most pages by which the address layout is shifted.
const LAYOUT_SHIFT_PAGES_MAX: u32 = 1 << 16;
/// Bytes of a page, roughly: it is about being somewhere else, not about where.
const PAGE_BYTES: usize = 4096;

/// A function that plays one turn with a payload.
pub(crate) type PayloadFn =
    unsafe extern "C" fn(*mut c_void, *mut c_void, *const Turn, Slice, *const Sink) -> Status;
/// A function that plays one turn without a payload.
pub(crate) type BareFn = unsafe extern "C" fn(*mut c_void, *mut c_void, *const Turn, *const Sink) -> Status;
/// `suspend` and `resume`.
pub(crate) type GameFn = unsafe extern "C" fn(*mut c_void) -> Status;
type InitFn = unsafe extern "C" fn(*const abi::Host, Slice, *mut *mut c_void) -> Status;
type ShutdownFn = unsafe extern "C" fn(*mut c_void);
type ExtensionFn = unsafe extern "C" fn(*mut c_void, *const c_char) -> *const c_void;
type OpenFn = unsafe extern "C" fn(*mut c_void, *const Turn, Slice, *const Sink, *mut *mut c_void) -> Status;
type RestoreFn = unsafe extern "C" fn(*mut c_void, u64, u32, Slice, *mut *mut c_void) -> Status;
type SnapshotFn = unsafe extern "C" fn(*mut c_void, *mut c_void, *const Sink) -> Status;

/// The plugin's functions, the mandatory ones surely there.
pub(crate) struct Functions {
    pub(crate) init: InitFn,
    pub(crate) shutdown: ShutdownFn,
    pub(crate) get_extension: Option<ExtensionFn>,
    pub(crate) session_open: OpenFn,
    pub(crate) session_restore: RestoreFn,
    pub(crate) session_close: BareFn,
    pub(crate) player_join: Option<PayloadFn>,
    pub(crate) player_leave: Option<PayloadFn>,
    pub(crate) action: PayloadFn,
    pub(crate) tick: Option<BareFn>,
    pub(crate) suspend: Option<GameFn>,
    pub(crate) resume: Option<GameFn>,
    pub(crate) snapshot: SnapshotFn,
}

/// What is told in Welcome.
pub(crate) struct Facts {
    /// `abi_minor` of the descriptor.
    pub(crate) abi_minor: u32,
    /// The plugin exported an `abi_stable` layout and it was compared.
    pub(crate) layout_checked: bool,
}

/// Where the plugin's bytes come from.
pub(crate) enum Source {
    /// The supervisor answers the loader when it opens [`jail::PLUGIN_PATH`].
    Notified,
    /// A sealed memfd that came beside Hello.
    Memfd(OwnedFd),
}

/// Loads the plugin.
pub(crate) fn load(link: &Link, hello: &Hello<'_>, source: &Source) -> Result<Game, Fault> {
    let rules = Rules::new(hello)?;
    // First: what is freed before it is used again behind it, at the old place.
    shift_layout(hello.layout_shift_pages)?;
    let path = match source {
        Source::Notified => jail::PLUGIN_PATH.to_owned(),
        Source::Memfd(memfd) => {
            check_seals(memfd)?;
            // Not "self": a debugger looks the same path up, to find the plugin's symbols. By what `/proc` calls this process, which may be in a namespace.
            let this = std::fs::read_link("/proc/self").ok();
            let this = this.as_deref().and_then(Path::to_str).unwrap_or("self");
            format!("/proc/{this}/fd/{}", memfd.as_raw_fd())
        }
    };
    let stdio = Stdio::new();
    let library = open(&path)?;
    let plugin = find_plugin(library)?;
    // SAFETY: the pointer is not NULL and aligned, as `copy` checks, and leads to the plugin's own constants, says whoever exported the symbol.
    let descriptor = unsafe { copy("the descriptor", plugin.descriptor) }?;
    // SAFETY: as above.
    let vtable = unsafe { copy("the vtable", plugin.vtable) }?;
    let functions = functions(&vtable)?;
    compare(&descriptor, hello)?;
    let facts = Facts { abi_minor: descriptor.abi_minor, layout_checked: check_layout(library)? };
    Ok(Game::new(HostState::leak(link, rules), functions, facts, stdio))
}

/// Opens the library and never closes it: pointers into it are everywhere.
fn open(path: &str) -> Result<&'static Library, Fault> {
    // SAFETY: this runs the plugin's constructors. They are as trusted as the rest of the plugin, and the jail is in place. It is
    // the only dlopen of this process, so no old library is found by the same path.
    let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) };
    match library {
        Ok(library) => Ok(Box::leak(Box::new(library))),
        Err(error) => Err(Fault::Dlopen(reason(&error).replace(path, "the plugin"))),
    }
}

/// libloading's own text says only which function failed; the loader's is its source.
fn reason(error: &libloading::Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

fn find_plugin(library: &Library) -> Result<Plugin, Fault> {
    // SAFETY: the symbol is data of the type that its name promises, says whoever exported it; until `copy` only its address is taken.
    let symbol = unsafe { library.get::<*const Plugin>(abi::PLUGIN_SYMBOL.to_bytes_with_nul()) };
    let symbol = symbol.map_err(|error| Fault::NoSymbol(reason(&error)))?;
    // SAFETY: as above; the library stays loaded.
    unsafe { copy("croupier_plugin_v1", *symbol) }
}

/// A struct of the contract that grows at its end.
///
/// # Safety
/// The type is `repr(C)`, begins with `struct_size: u32`, and all zeros are a value of it.
unsafe trait Growing: Copy {
    /// Its size in version 1.0 of the contract, in bytes. Nobody's is smaller.
    const SMALLEST_BYTES: usize;
}

// SAFETY: integers and raw pointers only, `struct_size` first.
unsafe impl Growing for Plugin {
    const SMALLEST_BYTES: usize = 24;
}
// SAFETY: as above.
unsafe impl Growing for Descriptor {
    const SMALLEST_BYTES: usize = 32;
}
// SAFETY: `struct_size` first, then an integer and optional functions, for which zero is `None`.
unsafe impl Growing for Vtable {
    const SMALLEST_BYTES: usize = 112;
}
// SAFETY: as for `Vtable`.
unsafe impl Growing for abi::ExtInput {
    const SMALLEST_BYTES: usize = 16;
}

/// Copies as much of a plugin's struct as both sides know; the rest is zero.
///
/// # Safety
/// Unless NULL or misaligned (which is refused), `from` leads to as many readable bytes as its first four say, as the plugin's author guarantees.
unsafe fn copy<T: Growing>(what: &'static str, from: *const T) -> Result<T, Fault> {
    if from.is_null() || !from.is_aligned() {
        return Err(Fault::BadPointer { what });
    }
    // SAFETY: aligned for T, whose first member this is; readable, as the caller guarantees.
    let found = unsafe { from.cast::<u32>().read() };
    let bytes = found as usize;
    if !(T::SMALLEST_BYTES..=STRUCT_BYTES_MAX).contains(&bytes) {
        let (smallest, largest) = (T::SMALLEST_BYTES, STRUCT_BYTES_MAX);
        return Err(Fault::StructSize { what, found, smallest, largest });
    }
    let mut local = MaybeUninit::<T>::zeroed();
    // SAFETY: no more bytes than the plugin says it has, nor than `local` has; they do not overlap; and `Growing` promises that what a shorter struct leaves zero
    // is a value.
    unsafe {
        std::ptr::copy_nonoverlapping(
            from.cast::<u8>(),
            local.as_mut_ptr().cast::<u8>(),
            bytes.min(size_of::<T>()),
        );
        Ok(local.assume_init())
    }
}

/// The `croupier.input/1` extension's function behind what `get_extension` gave, if it is one.
pub(crate) fn input_function(extension: *const c_void) -> Option<PayloadFn> {
    // SAFETY: the plugin gave this pointer for the id of this very extension, so it leads to such a struct (ext/input.h).
    unsafe { copy::<abi::ExtInput>("croupier.input/1", extension.cast()) }.ok()?.input
}

fn functions(vtable: &Vtable) -> Result<Functions, Fault> {
    fn mandatory<F>(function: Option<F>, name: &'static str) -> Result<F, Fault> {
        function.ok_or(Fault::MissingFunction { name })
    }
    Ok(Functions {
        init: mandatory(vtable.init, "init")?,
        shutdown: mandatory(vtable.shutdown, "shutdown")?,
        get_extension: vtable.get_extension,
        session_open: mandatory(vtable.session_open, "session_open")?,
        session_restore: mandatory(vtable.session_restore, "session_restore")?,
        session_close: mandatory(vtable.session_close, "session_close")?,
        player_join: vtable.player_join,
        player_leave: vtable.player_leave,
        action: mandatory(vtable.action, "action")?,
        tick: vtable.tick,
        suspend: vtable.suspend,
        resume: vtable.resume,
        snapshot: mandatory(vtable.snapshot, "snapshot")?,
    })
}

/// What the manifest says was verified and granted; so the code must agree with it.
fn compare(descriptor: &Descriptor, hello: &Hello<'_>) -> Result<(), Fault> {
    let same = |what: &'static str, found: String, expected: &str| {
        if found == expected {
            Ok(())
        } else {
            Err(Fault::Mismatch { what, found, expected: expected.to_owned() })
        }
    };
    // SAFETY: the descriptor's texts are NUL-terminated and static, says the header that the plugin was built with.
    let (name, version) = unsafe { (text("name", descriptor.name)?, text("version", descriptor.version)?) };
    same("name", name, hello.plugin)?;
    same("version", version, hello.plugin_version)?;
    same("state_version", descriptor.state_version.to_string(), &hello.state_version.to_string())
}

/// # Safety
/// Unless NULL, `from` leads to a NUL-terminated text.
unsafe fn text(what: &'static str, from: *const c_char) -> Result<String, Fault> {
    if from.is_null() {
        return Err(Fault::BadPointer { what });
    }
    // SAFETY: the caller guarantees a NUL-terminated text.
    let bytes = unsafe { CStr::from_ptr(from) }.to_bytes();
    let bytes = &bytes[..bytes.len().min(DESCRIPTOR_TEXT_BYTES_MAX)];
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

/// Compares the `abi_stable` layout, if there is one. Only Rust plugins export it.
fn check_layout(library: &Library) -> Result<bool, Fault> {
    // SAFETY: only the symbol's address is taken here.
    let symbol = unsafe { library.get::<*const c_void>(abi::LAYOUT_SYMBOL.to_bytes_with_nul()) };
    let Ok(symbol) = symbol else { return Ok(false) };
    // SAFETY: the symbol is what its name says, says whoever exported it; the library stays loaded; and plugin code may run here.
    unsafe { abi::layout::check_layout(*symbol) }.map_err(Fault::Layout)?;
    Ok(true)
}

/// Wastes address space and heap, so that what comes after stands elsewhere than in a worker with another number. Results that depend on addresses show
/// up as differences between the two.
fn shift_layout(pages: u32) -> Result<(), Fault> {
    if pages > LAYOUT_SHIFT_PAGES_MAX {
        return Err(Fault::LayoutShift { pages, max: LAYOUT_SHIFT_PAGES_MAX });
    }
    if pages == 0 {
        return Ok(());
    }
    // SAFETY: an anonymous private mapping at a place of the kernel's choice touches nothing of ours; it is never accessed nor unmapped.
    let hole = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            pages as usize * PAGE_BYTES,
            libc::PROT_NONE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        )
    };
    if hole == libc::MAP_FAILED {
        let source = std::io::Error::last_os_error();
        return Err(Fault::Jail { step: "shift the address layout", source });
    }
    for _ in 0..pages {
        // Small pieces, so that they come from the heap and not from mappings of their own.
        Box::leak(vec![0u8; PAGE_BYTES / 4].into_boxed_slice());
    }
    Ok(())
}
