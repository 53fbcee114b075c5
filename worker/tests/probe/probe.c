/*
 * A plugin for the worker's own tests. The first byte of an action says what to do; -D flags make it faulty in one way each.
 * A session is one number. Every turn that changes it adds the turn's number.
 */
#define _GNU_SOURCE
#include "croupier_plugin.h"
#include "ext/input.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct session {
    uint64_t number;
} session;

static const croupier_host *host;

static croupier_slice text(const char *s)
{
    croupier_slice slice = { (const uint8_t *)s, strlen(s) };
    return slice;
}

static croupier_status say(const croupier_sink *to, const char *s)
{
    return to->write(to->ctx, (const uint8_t *)s, strlen(s));
}

static croupier_status say_number(const croupier_sink *to, long long number)
{
    char line[32];
    snprintf(line, sizeof line, "%lld", number);
    return say(to, line);
}

static croupier_status init(const croupier_host *from, croupier_slice settings, void **game)
{
    host = from;
    if (settings.len > 2) {
        host->fail(host->ctx, text("these settings are not for me"));
        return CROUPIER_E_BAD_INPUT;
    }
    /* Not in a turn. */
    if (host->send(host->ctx, 1, text("x")) != CROUPIER_E_NO_TURN)
        return CROUPIER_E_INTERNAL;
    *game = &host;
    return CROUPIER_OK;
}

static void over(void *game)
{
    (void)game;
    printf("over");
}

static croupier_status session_open(void *game, const croupier_turn *turn, croupier_slice config, const croupier_sink *reply,
                                    void **out)
{
    session *s;
    (void)game;
    if (config.len > 0 && config.ptr[0] == '!') {
        host->fail(host->ctx, text("no such table"));
        return CROUPIER_E_BAD_INPUT;
    }
    if (config.len > 0 && config.ptr[0] == '0')
        return CROUPIER_OK; /* stores nothing */
    s = malloc(sizeof *s);
    s->number = turn->seed[0];
    *out = s;
    return say(reply, "open");
}

static croupier_status session_restore(void *game, uint64_t id, uint32_t state_version, croupier_slice snapshot, void **out)
{
    session *s;
    (void)game;
    (void)id;
    if (snapshot.len != sizeof s->number || state_version != 4) {
        host->fail(host->ctx, text("not a snapshot of mine"));
        return CROUPIER_E_BAD_INPUT;
    }
    s = malloc(sizeof *s);
    memcpy(&s->number, snapshot.ptr, sizeof s->number);
    *out = s;
    return CROUPIER_OK;
}

static croupier_status session_close(void *game, void *s, const croupier_turn *turn, const croupier_sink *reply)
{
    (void)game;
    if (turn != NULL)
        say_number(reply, (long long)((session *)s)->number);
    else
        host->log(host->ctx, CROUPIER_LOG_INFO, text("dropped"));
    free(s);
    return CROUPIER_OK;
}

static void *in_thread(void *result)
{
    *(croupier_status *)result = host->send(host->ctx, 1, text("from a thread"));
    host->fail(host->ctx, text("from a thread"));
    host->log(host->ctx, CROUPIER_LOG_WARN, text("from a thread"));
    return NULL;
}

/* A sink of the plugin's own, which calls the host again. */
static croupier_status nested(void *ctx, const uint8_t *data, size_t len)
{
    croupier_slice message = { data, len };
    (void)ctx;
    return host->send(host->ctx, 9, message);
}

static croupier_status ask(const croupier_turn *turn, croupier_slice args, const croupier_sink *reply)
{
    (void)turn;
    return host->call(host->ctx, text("bank"), args, reply);
}

static croupier_status action(void *game, void *of, const croupier_turn *turn, croupier_slice payload, const croupier_sink *reply)
{
    session *s = of;
    croupier_slice rest = { payload.ptr + 1, payload.len - 1 };
    croupier_status status = CROUPIER_OK;
    (void)game;
    s->number += turn->seq;
    switch (payload.ptr[0]) {
    case 'n': /* number */
        return say_number(reply, (long long)s->number);
    case 'r': /* refuse, after having said a lot */
        say(reply, "dropped");
        host->send(host->ctx, 1, text("dropped"));
        host->fail(host->ctx, text("no luck"));
        return CROUPIER_E_REFUSED;
    case 'k': /* a status that plugins may not return */
        return CROUPIER_E_DENIED;
    case 's': /* effects */
        host->send(host->ctx, 3, rest);
        host->send(host->ctx, CROUPIER_ALL_PLAYERS, rest);
        host->emit(host->ctx, text("table"), rest);
        return say_number(reply, host->emit(host->ctx, text("elsewhere"), rest));
    case 'b': { /* a big reply */
        static uint8_t big[1 << 20];
        return say_number(reply, reply->write(reply->ctx, big, sizeof big));
    }
    case 'c': /* a host call, twice */
        status = ask(turn, rest, reply);
        if (status < 0) {
            host->fail(host->ctx, text("the bank refuses"));
            return CROUPIER_E_REFUSED;
        }
        return ask(turn, rest, reply);
    case 'C': { /* a host call, answered into a sink that sends */
        croupier_sink sink = { NULL, nested };
        return host->call(host->ctx, text("bank"), rest, &sink);
    }
    case 'd': /* a host call that is not granted */
        return say_number(reply, host->call(host->ctx, text("vault"), rest, reply));
    case 'l':
        host->log(host->ctx, CROUPIER_LOG_INFO, rest);
        printf("printed %.*s\n", (int)rest.len, (const char *)rest.ptr);
        return CROUPIER_OK;
    case 't': { /* a thread of its own */
        pthread_t thread;
        croupier_status result = 0;
        pthread_create(&thread, NULL, in_thread, &result);
        pthread_join(thread, NULL);
        return say_number(reply, result);
    }
    case 'i': /* standard input is empty */
        return say_number(reply, read(0, &status, 1));
    case 'a': { /* addresses: where is the heap, where is the code */
        char line[64];
        snprintf(line, sizeof line, "heap %p code %p", of, (void *)&host);
        return say(reply, line);
    }
    case 'x':
        printf("last words\n");
        printf("half a line");
        abort();
    case 'q':
        exit(3);
    default:
        host->fail(host->ctx, text("what?"));
        return CROUPIER_E_BAD_INPUT;
    }
}

static croupier_status snapshot(void *game, void *of, const croupier_sink *out)
{
    session *s = of;
    (void)game;
    if (s->number == 666) {
        host->fail(host->ctx, text("no snapshot today"));
        return CROUPIER_E_INTERNAL;
    }
    if (host->send(host->ctx, 1, text("x")) != CROUPIER_E_NO_TURN)
        return CROUPIER_E_INTERNAL;
    return out->write(out->ctx, (const uint8_t *)&s->number, sizeof s->number);
}

#ifdef WITH_INPUT
static croupier_status input(void *game, void *of, const croupier_turn *turn, croupier_slice payload, const croupier_sink *reply)
{
    (void)game;
    (void)of;
    reply->write(reply->ctx, payload.ptr, payload.len);
    return say_number(reply, turn->kind);
}

static const croupier_ext_input ext = { sizeof ext, 0, input };

static const void *get_extension(void *game, const char *id)
{
    return game == &host && strcmp(id, CROUPIER_EXT_INPUT) == 0 ? &ext : NULL;
}
#else
#define get_extension NULL
#endif

#ifdef WITH_TICK
/* Says what it was given. Of session 2 it asks the platform first; session 3 does not like it. */
static croupier_status tick(void *game, void *of, const croupier_turn *turn, const croupier_sink *reply)
{
    (void)game;
    (void)of;
    if (turn->session == 3) {
        host->fail(host->ctx, text("not now"));
        return CROUPIER_E_BAD_INPUT;
    }
    if (turn->session == 2)
        host->call(host->ctx, text("bank"), text("?"), reply);
    say_number(reply, (long long)(turn->kind * 1000000 + turn->seq * 10000 + turn->now_ns * 100 + turn->seed[31]));
    return turn->player == CROUPIER_HOUSE ? CROUPIER_OK : CROUPIER_E_INTERNAL;
}
#define TICK tick
#else
#define TICK NULL
#endif

#ifdef NO_ACTION
#define ACTION NULL
#else
#define ACTION action
#endif
#ifndef NAME
#define NAME "probe"
#endif
#ifndef VTABLE_BYTES
#define VTABLE_BYTES sizeof vtable
#endif
#ifdef UNDEFINED
extern int nobody_has_this(void);
int reach(void) { return nobody_has_this(); }
#endif
#ifdef SLOW_START
__attribute__((constructor)) static void speak(void) { printf("constructed\n"); }
#endif
#ifdef FOREIGN_LAYOUT
CROUPIER_EXTERN CROUPIER_VISIBLE const uint64_t croupier_abi_layout_v1[16];
const uint64_t croupier_abi_layout_v1[16] = { 1, 2, 3 };
#endif

static const croupier_descriptor descriptor = { sizeof descriptor, CROUPIER_ABI_MINOR, NAME, "1.2.3", 4, 0 };
static const croupier_vtable vtable = { VTABLE_BYTES, 0, init, over, get_extension, session_open, session_restore, session_close,
                                        NULL, NULL, ACTION, TICK, NULL, NULL, snapshot };
#if defined(NO_SYMBOL)
const void *unused[] = { &descriptor, &vtable };
#elif defined(NULL_VTABLE)
CROUPIER_VISIBLE const croupier_plugin croupier_plugin_v1 = { sizeof croupier_plugin_v1, 0, &descriptor, NULL };
const void *unused = &vtable;
#else
CROUPIER_EXPORT_PLUGIN(descriptor, vtable);
#endif
