/*
 * plugin.c: the kernels as a Croupier plugin, so that a worker does the same work that dlopen and wasmtime do.
 *
 * A raw payload of TURN_BYTES (kernels.h) with a seed, or of its first 8 bytes alone: then the turn's own seed is taken. The reply is the
 * checksum. A session remembers how many turns it had and the last checksum; both are its snapshot.
 */
#include <stdlib.h>
#include <string.h>

#include "croupier_plugin.h"
#include "kernels.h"

CROUPIER_MANIFEST_FILE("plugin.toml");

#define PAYLOAD_BYTES_SHORT 8

typedef struct table {
    uint64_t turns;
    uint64_t last; /* checksum */
} table;

#define SNAPSHOT_BYTES 16 /* both, little-endian */

static const croupier_host *host;

static croupier_status refuse(croupier_status status, const char *why)
{
    croupier_slice text;
    text.ptr = (const uint8_t *)why;
    text.len = strlen(why);
    host->fail(host->ctx, text);
    return status;
}

static croupier_status init(const croupier_host *given, croupier_slice settings, void **game)
{
    (void)settings;
    host = given;
    *game = NULL;
    return CROUPIER_OK;
}

static void leave(void *game)
{
    (void)game;
}

static croupier_status session_open(void *game, const croupier_turn *turn, croupier_slice config,
                                    const croupier_sink *reply, void **session)
{
    table *t = (table *)calloc(1, sizeof *t);
    (void)game, (void)turn, (void)config, (void)reply;
    if (t == NULL)
        return refuse(CROUPIER_E_INTERNAL, "out of memory");
    *session = t;
    return CROUPIER_OK;
}

static void put_le(uint8_t *at, uint64_t value)
{
    int i;
    for (i = 0; i < 8; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get_le(const uint8_t *at)
{
    uint64_t value = 0;
    int i;
    for (i = 0; i < 8; i++)
        value |= (uint64_t)at[i] << (8 * i);
    return value;
}

static croupier_status session_restore(void *game, uint64_t id, uint32_t version, croupier_slice snapshot,
                                       void **session)
{
    table *t;
    (void)game, (void)id;
    if (version != 1 || snapshot.len != SNAPSHOT_BYTES)
        return refuse(CROUPIER_E_BAD_INPUT, "a snapshot is 16 bytes of state version 1");
    t = (table *)malloc(sizeof *t);
    if (t == NULL)
        return refuse(CROUPIER_E_INTERNAL, "out of memory");
    t->turns = get_le(snapshot.ptr);
    t->last = get_le(snapshot.ptr + 8);
    *session = t;
    return CROUPIER_OK;
}

static croupier_status session_close(void *game, void *session, const croupier_turn *turn, const croupier_sink *reply)
{
    (void)game, (void)turn, (void)reply;
    free(session);
    return CROUPIER_OK;
}

static croupier_status action(void *game, void *session, const croupier_turn *turn, croupier_slice payload,
                              const croupier_sink *reply)
{
    table *t = (table *)session;
    uint8_t request[TURN_BYTES], sum[TURN_REPLY_BYTES];
    croupier_status status;
    (void)game;
    if (payload.len != TURN_BYTES && payload.len != PAYLOAD_BYTES_SHORT)
        return refuse(CROUPIER_E_BAD_INPUT, "a payload is: kernel u32, units u32, and, if wished, seed u64; little-endian");
    memcpy(request + PAYLOAD_BYTES_SHORT, turn->seed, TURN_BYTES - PAYLOAD_BYTES_SHORT);
    memcpy(request, payload.ptr, payload.len);
    bench_turn(request, TURN_BYTES, sum);
    status = reply->write(reply->ctx, sum, sizeof sum);
    if (status != CROUPIER_OK)
        return refuse(status, "the reply of 8 bytes is over limits.reply_bytes");
    t->turns++;
    t->last = get_le(sum);
    return CROUPIER_OK;
}

static croupier_status snapshot(void *game, void *session, const croupier_sink *out)
{
    const table *t = (const table *)session;
    uint8_t bytes[SNAPSHOT_BYTES];
    (void)game;
    put_le(bytes, t->turns);
    put_le(bytes + 8, t->last);
    return out->write(out->ctx, bytes, sizeof bytes);
}

static const croupier_descriptor descriptor = { sizeof descriptor, CROUPIER_ABI_MINOR, "kernels", "1.0.0", 1, 0 };

static const croupier_vtable vtable = {
    sizeof vtable, 0,
    init, leave, NULL,
    session_open, session_restore, session_close,
    NULL, NULL, action, NULL,
    NULL, NULL,
    snapshot
};

CROUPIER_EXPORT_PLUGIN(descriptor, vtable);
