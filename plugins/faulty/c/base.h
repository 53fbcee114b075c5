/*
 * base.h: a plugin that does nothing and does it right. The files beside it include it and spoil exactly one thing each, by
 * defining one of the macros below first.
 *
 *     cc -std=c99 -Wall -Wextra -Wpedantic -Werror -fPIC -shared -I ../../../plugin-abi/include -o libX.so X.c
 */
#ifndef FAULTY_BASE_H
#define FAULTY_BASE_H

#include "croupier_plugin.h"

#ifndef NAME
#define NAME "base"
#endif
#ifndef DESCRIPTOR_NAME
#define DESCRIPTOR_NAME NAME
#endif
#ifndef DESCRIPTOR_VERSION
#define DESCRIPTOR_VERSION "1.0.0"
#endif
#ifndef STATE_VERSION
#define STATE_VERSION 1
#endif
#ifndef PLUGIN_SIZE
#define PLUGIN_SIZE sizeof(croupier_plugin)
#endif
#ifndef VTABLE_SIZE
#define VTABLE_SIZE sizeof(croupier_vtable)
#endif
#ifndef DESCRIPTOR_SIZE
#define DESCRIPTOR_SIZE sizeof(croupier_descriptor)
#endif
#ifndef ACTION
#define ACTION base_action
#endif
#ifndef INIT_STATUS
#define INIT_STATUS CROUPIER_OK
#endif
#ifndef ACTION_STATUS
#define ACTION_STATUS CROUPIER_OK
#endif
#ifndef SESSION
#define SESSION base_session()
#endif
#ifndef SYMBOL
#define SYMBOL croupier_plugin_v1
#endif
#ifndef MANIFEST
#define MANIFEST                                                                                             \
    "manifest = 1\nname = \"" NAME "\"\nversion = \"1.0.0\"\nauthors = [\"The Croupier authors\"]\n"         \
    "description = \"Spoilt on purpose, for tests\"\nlicense = \"MIT OR Apache-2.0\"\nstate_version = 1\n"   \
    "payload = \"json\"\n[game]\ntype = \"custom\"\n[players]\nmin = 0\nmax = 8\njoin = \"optional\"\n"
#endif

/* Sessions have no state, so one address will do for all. */
static inline void *base_session(void)
{
    static int all;
    return &all;
}

static croupier_status base_init(const croupier_host *host, croupier_slice settings, void **game)
{
    static const char text[] = "init fails on purpose";
    croupier_slice why;
    (void)settings;
    why.ptr = (const uint8_t *)text;
    why.len = sizeof text - 1;
    if (INIT_STATUS != CROUPIER_OK)
        host->fail(host->ctx, why);
    *game = NULL;
    return INIT_STATUS;
}

static void base_shutdown(void *game)
{
    (void)game;
}

static croupier_status reply_empty(const croupier_sink *reply)
{
    return reply->write(reply->ctx, (const uint8_t *)"{}", 2);
}

static croupier_status base_open(void *game, const croupier_turn *turn, croupier_slice config,
                                 const croupier_sink *reply, void **session)
{
    (void)game;
    (void)turn;
    (void)config;
    *session = SESSION;
    return reply_empty(reply);
}

static croupier_status base_restore(void *game, uint64_t session_id, uint32_t state_version, croupier_slice snapshot,
                                    void **session)
{
    (void)game;
    (void)session_id;
    (void)state_version;
    (void)snapshot;
    *session = SESSION;
    return CROUPIER_OK;
}

static croupier_status base_close(void *game, void *session, const croupier_turn *turn, const croupier_sink *reply)
{
    (void)game;
    (void)session;
    return turn == NULL ? CROUPIER_OK : reply_empty(reply);
}

static inline croupier_status base_action(void *game, void *session, const croupier_turn *turn, croupier_slice payload,
                                          const croupier_sink *reply)
{
    (void)game;
    (void)session;
    (void)turn;
    (void)payload;
    return ACTION_STATUS != CROUPIER_OK ? ACTION_STATUS : reply_empty(reply);
}

static croupier_status base_snapshot(void *game, void *session, const croupier_sink *out)
{
    (void)game;
    (void)session;
    return out->write(out->ctx, (const uint8_t *)"", 0);
}

static const croupier_descriptor base_descriptor = { DESCRIPTOR_SIZE, CROUPIER_ABI_MINOR, DESCRIPTOR_NAME,
                                                     DESCRIPTOR_VERSION, STATE_VERSION, 0 };

static const croupier_vtable base_vtable = { VTABLE_SIZE, 0, base_init, base_shutdown, NULL, base_open,
                                             base_restore, base_close, NULL, NULL, ACTION, NULL, NULL, NULL,
                                             base_snapshot };

CROUPIER_EXTERN CROUPIER_VISIBLE const croupier_plugin SYMBOL;
const croupier_plugin SYMBOL = { PLUGIN_SIZE, 0, &base_descriptor, &base_vtable };

#ifndef NO_MANIFEST
CROUPIER_MANIFEST(MANIFEST);
#endif

#endif
