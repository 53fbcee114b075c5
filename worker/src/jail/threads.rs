//! Threads that the plugin makes get a stack for the fault handler ([`super::faults`]): a thread that has used up its own stack could not tell otherwise.
//!
//! This program's `pthread_create` stands in for the C library's: the loader finds it first, for the plugin and for the libraries that the plugin needs, and it calls the real one.
//! A thread that is made otherwise (C11's `thrd_create`, a bare clone) has no such stack; its overflow is then told from how the worker died.
#![allow(unsafe_code)] // what pthread_create(3) is made of

use std::ffi::{c_int, c_void};
use std::sync::OnceLock;

use super::faults::{OwnStack, own_stack};

/// A thread's first function. Threads may be left by unwinding (pthread_exit(3), cancellation), through frames that have nothing to drop.
type Begin = extern "C-unwind" fn(*mut c_void) -> *mut c_void;
type Create =
    unsafe extern "C" fn(*mut libc::pthread_t, *const libc::pthread_attr_t, Begin, *mut c_void) -> c_int;

/// What a thread begins with.
struct Start {
    begin: Begin,
    argument: *mut c_void,
}

/// Where each thread keeps its handler's stack, so that it is given back however the thread ends. Not there before there is a handler.
static KEY: OnceLock<libc::pthread_key_t> = OnceLock::new();

/// From now on threads get such a stack.
pub(super) fn give_stacks() {
    let mut key = 0;
    // SAFETY: writes a number; the destructor is called with what [`begin`] stored, which is not NULL.
    if unsafe { libc::pthread_key_create(&raw mut key, Some(take_stack)) } == 0 {
        let _ = KEY.set(key);
    }
}

/// The C library's own.
fn real() -> Option<Create> {
    static REAL: OnceLock<Option<Create>> = OnceLock::new();
    *REAL.get_or_init(|| {
        // SAFETY: a NUL-terminated name; RTLD_NEXT is whatever comes after this program, which is the C library.
        let found = unsafe { libc::dlsym(libc::RTLD_NEXT, c"pthread_create".as_ptr()) };
        // SAFETY: by this name the C library has this function (pthread_create(3)).
        (!found.is_null()).then(|| unsafe { std::mem::transmute::<*mut c_void, Create>(found) })
    })
}

/// pthread_create(3).
///
/// # Safety
/// As for the C library's, by whoever calls it.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_create(
    thread: *mut libc::pthread_t,
    attributes: *const libc::pthread_attr_t,
    function: Begin,
    argument: *mut c_void,
) -> c_int {
    let Some(create) = real() else { return libc::EAGAIN };
    if KEY.get().is_none() {
        // SAFETY: handed on as they came.
        return unsafe { create(thread, attributes, function, argument) };
    }
    let start = Box::into_raw(Box::new(Start { begin: function, argument })).cast::<c_void>();
    // SAFETY: handed on as they came, but for the function, which takes what comes with it.
    let result = unsafe { create(thread, attributes, begin, start) };
    if result != 0 {
        // SAFETY: made above; no thread has begun with it.
        drop(unsafe { Box::from_raw(start.cast::<Start>()) });
    }
    result
}

/// The first function of every thread.
extern "C-unwind" fn begin(start: *mut c_void) -> *mut c_void {
    let (function, argument) = prepare(start);
    // Nothing here is to be dropped: the thread may end in there.
    function(argument)
}

fn prepare(start: *mut c_void) -> (Begin, *mut c_void) {
    // SAFETY: made by `pthread_create` for this thread alone.
    let start = unsafe { Box::from_raw(start.cast::<Start>()) };
    if let Some(key) = KEY.get()
        // No memory left for it: the thread does without.
        && let Ok(stack) = own_stack()
    {
        // SAFETY: the key exists, and keeps an address, which `take_stack` makes the same stack of.
        unsafe { libc::pthread_setspecific(*key, stack.into_raw()) };
    }
    (start.begin, start.argument)
}

/// As a thread ends, on that thread.
unsafe extern "C" fn take_stack(stack: *mut c_void) {
    OwnStack::from_raw(stack).remove();
}
