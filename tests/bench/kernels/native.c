/*
 * native.c: plays turns of the kernels in-process, as a program that loads the plugin's own file with dlopen would: what a worker is compared with.
 *
 *   native LIBRARY KERNEL UNITS TURNS SEED        prints the nanoseconds that all turns took, and the exclusive or of their replies
 */
#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernels.h"

typedef uint32_t (*turn_fn)(const uint8_t *in, uint32_t len, uint8_t *out);

static void put_le(uint8_t *at, uint64_t value, int bytes)
{
    int i;
    for (i = 0; i < bytes; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t now_ns(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (uint64_t)at.tv_sec * 1000000000u + (uint64_t)at.tv_nsec;
}

int main(int argc, char **argv)
{
    uint8_t request[TURN_BYTES], reply[TURN_BYTES];
    uint64_t seed, from, sums = 0;
    uint32_t turns, turn;
    void *library;
    turn_fn play;
    if (argc != 6) {
        fprintf(stderr, "usage: %s LIBRARY KERNEL UNITS TURNS SEED\n", argv[0]);
        return 2;
    }
    library = dlopen(argv[1], RTLD_NOW);
    if (library == NULL) {
        fprintf(stderr, "%s: %s\n", argv[0], dlerror());
        return 1;
    }
    /* POSIX says that a pointer from dlsym is good for a function; C has no cast for it. */
    *(void **)&play = dlsym(library, "bench_turn");
    if (play == NULL) {
        fprintf(stderr, "%s: %s\n", argv[0], dlerror());
        return 1;
    }
    put_le(request, strtoull(argv[2], NULL, 10), 4);
    put_le(request + 4, strtoull(argv[3], NULL, 10), 4);
    turns = (uint32_t)strtoull(argv[4], NULL, 10);
    seed = strtoull(argv[5], NULL, 10);
    from = now_ns();
    for (turn = 0; turn < turns; turn++) {
        uint64_t sum = 0;
        int i;
        put_le(request + 8, seed + turn, 8);
        if (play(request, TURN_BYTES, reply) != TURN_REPLY_BYTES)
            return 1;
        for (i = 0; i < 8; i++)
            sum |= (uint64_t)reply[i] << (8 * i);
        sums ^= sum;
    }
    printf("%" PRIu64 " %" PRIu64 "\n", now_ns() - from, sums);
    return 0;
}
