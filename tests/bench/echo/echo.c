/*
 * echo.c: gives back each payload, its first eight bytes mixed with how many came before, so that neither state nor payload can be left out.
 *
 * For benchmarks: the work of a turn is one addition and the writing of the reply. A snapshot is eight bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "croupier_plugin.h"

CROUPIER_MANIFEST_FILE("plugin.toml");

typedef struct counter {
    uint64_t count;
} counter;

static croupier_status init(const croupier_host *host, croupier_slice settings, void **game)
{
    (void)host;
    (void)settings;
    *game = NULL;
    return CROUPIER_OK;
}

static void shut_down(void *game)
{
    (void)game;
}

static croupier_status make(uint64_t count, void **session)
{
    counter *c = (counter *)malloc(sizeof *c);
    if (c == NULL)
        return CROUPIER_E_INTERNAL;
    c->count = count;
    *session = c;
    return CROUPIER_OK;
}

static croupier_status session_open(void *game, const croupier_turn *turn, croupier_slice config,
                                    const croupier_sink *reply, void **session)
{
    (void)game;
    (void)turn;
    (void)config;
    (void)reply;
    return make(0, session);
}

static croupier_status session_restore(void *game, uint64_t session_id, uint32_t state_version,
                                       croupier_slice snapshot, void **session)
{
    uint64_t count;
    (void)game;
    (void)session_id;
    (void)state_version;
    if (snapshot.len != sizeof count)
        return CROUPIER_E_BAD_INPUT;
    memcpy(&count, snapshot.ptr, sizeof count);
    return make(count, session);
}

static croupier_status session_close(void *game, void *session, const croupier_turn *turn,
                                     const croupier_sink *reply)
{
    (void)game;
    (void)turn;
    (void)reply;
    free(session);
    return CROUPIER_OK;
}

static croupier_status action(void *game, void *session, const croupier_turn *turn, croupier_slice payload,
                              const croupier_sink *reply)
{
    counter *c = (counter *)session;
    uint64_t first;
    croupier_status status;
    (void)game;
    (void)turn;
    if (payload.len < sizeof first)
        return CROUPIER_E_BAD_INPUT;
    memcpy(&first, payload.ptr, sizeof first);
    first += ++c->count;
    status = reply->write(reply->ctx, (const uint8_t *)&first, sizeof first);
    if (status != CROUPIER_OK)
        return status;
    return reply->write(reply->ctx, payload.ptr + sizeof first, payload.len - sizeof first);
}

static croupier_status tick(void *game, void *session, const croupier_turn *turn, const croupier_sink *reply)
{
    (void)game;
    (void)turn;
    (void)reply;
    ++((counter *)session)->count;
    return CROUPIER_OK;
}

static croupier_status snapshot(void *game, void *session, const croupier_sink *out)
{
    const counter *c = (const counter *)session;
    (void)game;
    return out->write(out->ctx, (const uint8_t *)&c->count, sizeof c->count);
}

static const croupier_descriptor DESCRIPTOR = { sizeof DESCRIPTOR, CROUPIER_ABI_MINOR, "echo", "1.0.0", 1, 0 };
static const croupier_vtable VTABLE = {
    sizeof VTABLE, 0,    init, shut_down, NULL, session_open, session_restore, session_close,
    NULL,          NULL, action, tick,      NULL, NULL,         snapshot,
};
CROUPIER_EXPORT_PLUGIN(DESCRIPTOR, VTABLE);
