//! Exports the worker's own `pthread_create` and `thrd_create`, which plugins find before the C library's: see `src/jail/threads.rs`.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for function in ["pthread_create", "thrd_create"] {
        println!("cargo::rustc-link-arg-bins=-Wl,--export-dynamic-symbol={function}");
    }
}
