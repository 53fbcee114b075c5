//! Exports the worker's own `pthread_create`, which plugins find before the C library's: see `src/jail/threads.rs`.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-link-arg-bins=-Wl,--export-dynamic-symbol=pthread_create");
}
