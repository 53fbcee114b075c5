//! Threads that the plugin makes get a stack for the fault handler ([`super::faults`]): a thread that has used up its own stack could not tell otherwise.
//!
//! This program's `pthread_create` and `thrd_create` stand in for the C library's: the loader finds them first, for the plugin and for the libraries that the plugin needs, and they call the
//! real ones. A thread that is made otherwise (a bare clone) has no such stack; its overflow is then told from how the worker died.
#![allow(unsafe_code)] // what makes threads

use std::ffi::{CStr, c_int, c_void};
use std::sync::OnceLock;

use super::faults::{OwnStack, own_stack};

/// A thread's first function. Threads may be left by unwinding (pthread_exit(3), cancellation), through frames that have nothing to drop.
type Begin = extern "C-unwind" fn(*mut c_void) -> *mut c_void;
type Create =
    unsafe extern "C" fn(*mut libc::pthread_t, *const libc::pthread_attr_t, Begin, *mut c_void) -> c_int;
/// The same in C11.
type BeginC11 = extern "C-unwind" fn(*mut c_void) -> c_int;
type CreateC11 = unsafe extern "C" fn(*mut libc::pthread_t, BeginC11, *mut c_void) -> c_int;

/// `thrd_error` (threads.h).
const THRD_ERROR: c_int = 2;

/// What a thread begins with.
struct Start<B> {
    begin: B,
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

/// The C library's own function of this name; NULL when it has none. Looked up once, as the first thread is made.
fn real(name: &CStr, known: &OnceLock<usize>) -> *const c_void {
    // SAFETY: a NUL-terminated name; RTLD_NEXT is whatever comes after this program, which is the C library.
    let look_up = || unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) }.expose_provenance();
    std::ptr::with_exposed_provenance(*known.get_or_init(look_up))
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
    static REAL: OnceLock<usize> = OnceLock::new();
    let real = real(c"pthread_create", &REAL);
    if real.is_null() {
        return libc::EAGAIN;
    }
    // SAFETY: by this name the C library has this function.
    let create = unsafe { std::mem::transmute::<*const c_void, Create>(real) };
    if KEY.get().is_none() {
        // SAFETY: handed on as they came.
        return unsafe { create(thread, attributes, function, argument) };
    }
    with_start(function, argument, |start| {
        // SAFETY: handed on as they came, but for the function, which takes what comes with it.
        unsafe { create(thread, attributes, begin, start) }
    })
}

/// thrd_create(3), which the C library does not make of `pthread_create` as others see it.
///
/// # Safety
/// As for the C library's, by whoever calls it.
#[unsafe(no_mangle)]
unsafe extern "C" fn thrd_create(
    thread: *mut libc::pthread_t,
    function: BeginC11,
    argument: *mut c_void,
) -> c_int {
    static REAL: OnceLock<usize> = OnceLock::new();
    let real = real(c"thrd_create", &REAL);
    if real.is_null() {
        return THRD_ERROR;
    }
    // SAFETY: by this name the C library has this function.
    let create = unsafe { std::mem::transmute::<*const c_void, CreateC11>(real) };
    if KEY.get().is_none() {
        // SAFETY: handed on as they came.
        return unsafe { create(thread, function, argument) };
    }
    with_start(function, argument, |start| {
        // SAFETY: handed on as they came, but for the function, which takes what comes with it.
        unsafe { create(thread, begin_c11, start) }
    })
}

/// Makes a thread that gets this to begin with. The result is 0 when there is one (`thrd_success` is 0, too).
fn with_start<B>(begin: B, argument: *mut c_void, create: impl FnOnce(*mut c_void) -> c_int) -> c_int {
    let start = Box::into_raw(Box::new(Start { begin, argument }));
    let result = create(start.cast());
    if result != 0 {
        // SAFETY: made above; no thread has begun with it.
        drop(unsafe { Box::from_raw(start) });
    }
    result
}

/// The first function of every thread.
extern "C-unwind" fn begin(start: *mut c_void) -> *mut c_void {
    // SAFETY: `pthread_create` made it, for this thread alone.
    let Start { begin, argument } = unsafe { prepare::<Begin>(start) };
    // Nothing here is to be dropped: the thread may end in there.
    begin(argument)
}

/// The same in C11.
extern "C-unwind" fn begin_c11(start: *mut c_void) -> c_int {
    // SAFETY: `thrd_create` made it, for this thread alone.
    let Start { begin, argument } = unsafe { prepare::<BeginC11>(start) };
    begin(argument)
}

/// Gives this thread its stack.
///
/// # Safety
/// `start` is a `Start<B>` of [`with_start`], and nobody else's.
unsafe fn prepare<B>(start: *mut c_void) -> Start<B> {
    // SAFETY: says the caller.
    let start = unsafe { Box::from_raw(start.cast::<Start<B>>()) };
    if let Some(key) = KEY.get()
        // No memory left for it: the thread does without.
        && let Ok(stack) = own_stack()
    {
        // SAFETY: the key exists, and keeps an address, which `take_stack` makes the same stack of.
        unsafe { libc::pthread_setspecific(*key, stack.into_raw()) };
    }
    *start
}

/// As a thread ends, on that thread.
unsafe extern "C" fn take_stack(stack: *mut c_void) {
    OwnStack::from_raw(stack).remove();
}
