/*
 * extism.c: the two calls as functions of an Extism plugin. Input and output lie in the Extism kernel's memory, which a plugin reaches
 * eight bytes at a time, by calls; its official kit for C does the same.
 */
#include "kernels.h"

#define HOST(NAME) __attribute__((import_module("extism:host/env"), import_name(NAME)))

HOST("input_length") extern uint64_t host_input_length(void);
HOST("input_load_u64") extern uint64_t host_input_u64(uint64_t at);
HOST("input_load_u8") extern uint8_t host_input_u8(uint64_t at);
HOST("alloc") extern uint64_t host_alloc(uint64_t len);
HOST("store_u64") extern void host_store_u64(uint64_t at, uint64_t value);
HOST("store_u8") extern void host_store_u8(uint64_t at, uint8_t value);
HOST("output_set") extern void host_output_set(uint64_t at, uint64_t len);

static uint8_t request[CALL_BYTES_MAX], reply[CALL_BYTES_MAX];

static uint32_t take(void)
{
    uint64_t len = host_input_length(), at;
    if (len > CALL_BYTES_MAX)
        return 0;
    for (at = 0; at + 8 <= len; at += 8) {
        uint64_t word = host_input_u64(at);
        __builtin_memcpy(request + at, &word, 8);
    }
    for (; at < len; at++)
        request[at] = host_input_u8(at);
    return (uint32_t)len;
}

/* An Extism function returns 0 when all is well. */
static int32_t give(uint32_t len)
{
    uint64_t to, at;
    if (len == 0)
        return 1;
    to = host_alloc(len);
    for (at = 0; at + 8 <= len; at += 8) {
        uint64_t word;
        __builtin_memcpy(&word, reply + at, 8);
        host_store_u64(to + at, word);
    }
    for (; at < len; at++)
        host_store_u8(to + at, reply[at]);
    host_output_set(to, len);
    return 0;
}

BENCH_EXPORT("echo") int32_t extism_echo(void)
{
    return give(bench_echo(request, take(), reply));
}

BENCH_EXPORT("turn") int32_t extism_turn(void)
{
    return give(bench_turn(request, take(), reply));
}
