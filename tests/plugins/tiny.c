/*
 * tiny.c: the smallest plugin there can be, and, by macros, what may be wrong with one. Built by the end-to-end tests.
 *
 *   -Dcroupier_plugin_v1=croupier_plugin_v9   another ABI version
 *   -DTINY_NO_EXPORT                          no plugin symbol at all
 *   -DTINY_NO_MANIFEST                        no manifest
 *   -DTINY_MANIFEST="..."                     this manifest
 *   -DTINY_DESCRIPTOR="..."                   another name in the descriptor than in the manifest
 *   -DTINY_UNDEFINED                          needs a function that nobody has
 *   -DTINY_SMALL_VTABLE                       a vtable of a few bytes
 *   -DTINY_NO_ACTION                          a mandatory function is missing
 *   -DTINY_INIT_FAILS                         init says no
 *   -DTINY_CRASH_AT_LOAD                      an ELF constructor that aborts
 *   -DTINY_CALLS                              an action measures what system calls cost, and replies with nanoseconds
 */
#ifdef TINY_CALLS
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#endif
#include <stdlib.h>
#include <string.h>

#include "croupier_plugin.h"

#ifndef TINY_DESCRIPTOR
#define TINY_DESCRIPTOR "tiny"
#endif
#ifndef TINY_MANIFEST
#define TINY_MANIFEST                                                                                    \
    "manifest = 1\nname = \"tiny\"\nversion = \"1.0.0\"\nauthors = [\"nobody\"]\ndescription = \"nothing\"\n" \
    "license = \"MIT\"\nstate_version = 1\n[game]\ntype = \"custom\"\n[players]\nmin = 0\nmax = 4\n"       \
    "join = \"optional\"\n"
#endif

#ifndef TINY_NO_MANIFEST
CROUPIER_MANIFEST(TINY_MANIFEST);
#endif

static const croupier_host *host;
static char nothing;

#ifdef TINY_UNDEFINED
extern void a_function_that_nobody_has(void);
#endif

#ifdef TINY_CRASH_AT_LOAD
__attribute__((constructor)) static void at_load(void)
{
    abort();
}
#endif

static croupier_status init(const croupier_host *given, croupier_slice settings, void **game)
{
    (void)settings;
    host = given;
    *game = NULL;
#ifdef TINY_UNDEFINED
    a_function_that_nobody_has();
#endif
#ifdef TINY_INIT_FAILS
    {
        static const char why[] = "there is no luck today";
        croupier_slice text;
        text.ptr = (const uint8_t *)why;
        text.len = sizeof why - 1;
        host->fail(host->ctx, text);
        return CROUPIER_E_REFUSED;
    }
#else
    return CROUPIER_OK;
#endif
}

static void stop(void *game)
{
    (void)game;
}

static croupier_status say(const croupier_sink *reply)
{
    return reply == NULL ? CROUPIER_OK : reply->write(reply->ctx, (const uint8_t *)"{}", 2);
}

static croupier_status session_open(void *game, const croupier_turn *turn, croupier_slice config,
                                    const croupier_sink *reply, void **session)
{
    (void)game, (void)turn, (void)config;
    *session = &nothing;
    return say(reply);
}

static croupier_status session_restore(void *game, uint64_t id, uint32_t version, croupier_slice snapshot, void **session)
{
    (void)game, (void)id, (void)version, (void)snapshot;
    *session = &nothing;
    return CROUPIER_OK;
}

static croupier_status session_close(void *game, void *session, const croupier_turn *turn, const croupier_sink *reply)
{
    (void)game, (void)session, (void)turn;
    return say(reply);
}

#ifdef TINY_CALLS
/* Nanoseconds that one call takes, over `times` of them. */
static double cost(long number, long first, long second, long times)
{
    struct timespec from, to;
    long i;
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (i = 0; i < times; i++) {
        syscall(number, first, second, 0, 0, 0, 0);
    }
    clock_gettime(CLOCK_MONOTONIC, &to);
    return ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec)) / (double)times;
}

/* getpid is allowed as it is, madvise by its arguments (of length 0: it does nothing), and socket is refused by the supervisor. */
static croupier_status say_costs(const croupier_sink *reply)
{
    char text[160];
    int len = snprintf(text, sizeof text, "{\"getpid\":%.1f,\"madvise\":%.1f,\"socket\":%.1f}", cost(SYS_getpid, 0, 0, 400000),
                       cost(SYS_madvise, 0, 0, 400000), cost(SYS_socket, -1, -1, 400));
    return reply->write(reply->ctx, (const uint8_t *)text, (uint64_t)len);
}
#endif

croupier_status tiny_action(void *game, void *session, const croupier_turn *turn, croupier_slice payload,
                            const croupier_sink *reply);
croupier_status tiny_action(void *game, void *session, const croupier_turn *turn, croupier_slice payload,
                            const croupier_sink *reply)
{
    (void)game, (void)session, (void)turn, (void)payload;
#ifdef TINY_CALLS
    return say_costs(reply);
#else
    return say(reply);
#endif
}

static croupier_status snapshot(void *game, void *session, const croupier_sink *out)
{
    (void)game, (void)session;
    return out->write(out->ctx, (const uint8_t *)"", 0);
}

extern const croupier_descriptor tiny_descriptor;
const croupier_descriptor tiny_descriptor = {
    sizeof(croupier_descriptor), CROUPIER_ABI_MINOR, TINY_DESCRIPTOR, "1.0.0", 1, 0
};

extern const croupier_vtable tiny_vtable;
const croupier_vtable tiny_vtable = {
#ifdef TINY_SMALL_VTABLE
    8,
#else
    sizeof(croupier_vtable),
#endif
    0, init, stop, NULL, session_open, session_restore, session_close, NULL, NULL,
#ifdef TINY_NO_ACTION
    NULL,
#else
    tiny_action,
#endif
    NULL, NULL, NULL, snapshot
};

#ifndef TINY_NO_EXPORT
CROUPIER_EXPORT_PLUGIN(tiny_descriptor, tiny_vtable);
#endif
