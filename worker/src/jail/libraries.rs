//! Loads what plugins may need while there still are files: later the loader finds it by name among what is loaded, and opens nothing.
#![allow(unsafe_code)] // the loader, and thread attributes

use std::ffi::CStr;
use std::io;

/// Libraries that a plugin may name as needed (the manifest reader refuses others). One that this system lacks is only missed by a plugin that needs it.
const LIBRARIES: [&CStr; 7] = [
    c"libc.so.6",
    c"libm.so.6",
    c"libgcc_s.so.1",
    c"libstdc++.so.6",
    c"libpthread.so.0",
    c"libdl.so.2",
    c"librt.so.1",
];
/// Most heaps of the C library (mallopt(3)); by default it reserves 64 MiB of address space for each of eight per core.
const ARENAS_MAX: libc::c_int = 2;

/// Loads the libraries, and has the C library do once what it does at the first thread.
pub(crate) fn preload() {
    // SAFETY: mallopt takes numbers; the process has one thread.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, ARENAS_MAX) };
    for library in LIBRARIES {
        // SAFETY: system libraries, whose constructors are as trusted as the C library itself. The handle is leaked on purpose.
        unsafe { libc::dlopen(library.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    }
    // The first thread makes the C library install its own signal handlers. Without a thread here, it would be done by a plugin's first one.
    let _ = std::thread::Builder::new().stack_size(64 << 10).spawn(|| {}).map(std::thread::JoinHandle::join);
}

unsafe extern "C" {
    /// pthread_setattr_default_np(3).
    fn pthread_setattr_default_np(attributes: *const libc::pthread_attr_t) -> libc::c_int;
}

/// The stack of each thread that does not ask for another, in bytes. The C library took the limit of the process as it started, which was another.
pub(super) fn set_thread_stacks(bytes: u64) -> io::Result<()> {
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX).max(libc::PTHREAD_STACK_MIN);
    let mut attributes = std::mem::MaybeUninit::<libc::pthread_attr_t>::uninit();
    // SAFETY: the attributes are initialised by the first call before the others use them, and destroyed once.
    let result = unsafe {
        libc::pthread_attr_init(attributes.as_mut_ptr());
        let sized = libc::pthread_attr_setstacksize(attributes.as_mut_ptr(), bytes);
        let set = if sized == 0 { pthread_setattr_default_np(attributes.as_ptr()) } else { sized };
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
        set
    };
    if result == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(result)) }
}
