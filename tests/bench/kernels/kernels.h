/*
 * kernels.h: five pieces of game work, and the two calls by which a benchmark reaches them.
 *
 * One source for everything: shared objects with and without wide vectors, WASM with and without simd128, a Croupier plugin, an Extism
 * plugin. `run` is a pure function, so all of them must give the same number; nothing here needs a library.
 */
#ifndef CROUPIER_BENCH_KERNELS_H
#define CROUPIER_BENCH_KERNELS_H

#include <stdint.h>

#ifdef __wasm__
#define BENCH_EXPORT(NAME) __attribute__((export_name(NAME), visibility("default")))
#else
#define BENCH_EXPORT(NAME) __attribute__((visibility("default")))
#endif

enum {
    KERNEL_CRAPS = 0,     /* unit: one round of craps with a pass bet. Integers, branches that nobody can predict */
    KERNEL_POKER = 1,     /* unit: seven cards dealt and ranked. Integers, bit tricks, few branches */
    KERNEL_NBODY = 2,     /* unit: one step of five bodies. Doubles: square roots and divisions that wait for each other */
    KERNEL_PARTICLES = 3, /* unit: one tick of 64 particles. Arrays of floats: what vectors are made for */
    KERNEL_GRID = 4,      /* unit: one row of 128 cells in a game of life. Arrays of bytes: likewise */
    KERNELS = 5
};

/* Does `units` of a kernel's work from the beginning and returns a checksum of all that was computed. Nothing is kept for the next call. No
 * units, or no such kernel: returns the seed. Not reentrant: the arrays are static, as they are in many engines. */
uint64_t run(uint32_t kernel, uint64_t seed, uint32_t units);

/* A turn's payload: kernel u32, units u32, seed u64, little-endian. Its reply: the checksum, u64. */
#define TURN_BYTES 16
#define TURN_REPLY_BYTES 8

/* Most that a call carries. */
#define CALL_BYTES_MAX 65536

/* Both read `len` bytes at `in`, write a reply to `out` and return its length; 0: not a request. `out` must have room for as many bytes as
 * `in`. An echo gives back what it got, with one added to the u64 at its beginning, so that no reply can be guessed or left over. */
uint32_t bench_turn(const uint8_t *in, uint32_t len, uint8_t *out);
uint32_t bench_echo(const uint8_t *in, uint32_t len, uint8_t *out);

#endif
