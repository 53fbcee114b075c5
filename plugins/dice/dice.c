/*
 * dice.c: a Croupier plugin in C, with nothing but the header and the C library.
 *
 * THE GAME. Players sit down with a stack of chips and bet on the sum of two dice: over 7, under 7, or exactly n.
 *
 *     {"bet":"over","amount":10}               even money
 *     {"bet":"under","amount":10}              even money
 *     {"bet":"exact","number":9,"amount":10}   30, 15, 10, 7, 5 or 4 to 1, see PAYS
 *     {"roll":true}                            throws, pays, takes; any player or the house may ask for it
 *
 * WHAT IT SHOWS. How a plugin copies the host, refuses, replies, sends, snapshots and restores, and the
 * two habits that keep replay exact:
 *   - chance comes from turn->seed and from nowhere else (see throw_dice);
 *   - every turn works on a COPY of the table, which becomes the table only when nothing can fail any more. So a
 *     turn that fails leaves no trace, and fails the same way when it is replayed (see `commit`).
 *
 * Build: cc -std=c99 -Wall -Wextra -Wpedantic -O2 -fPIC -shared -I ../../plugin-abi/include -I . -o libdice.so dice.c
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "croupier_plugin.h"

CROUPIER_MANIFEST_FILE("plugin.toml");

/* A limit on everything that a config, a player or a snapshot can ask for. */
#define SEATS_MAX 8              /* as players.max in plugin.toml */
#define BETS_MAX 32              /* on the table at a time */
#define AMOUNT_MAX 1000000       /* chips per bet */
#define STACK_MAX 1000000000     /* chips a player sits down with */
#define STACK_DEFAULT 1000       /* without a config */
#define CHIPS_MAX 4000000000000000000u /* per player: a win that would go beyond is refused */
#define REPLY_BYTES_MAX 1024

/* What exactly 0 .. 12 pays to 1; 0: cannot be thrown. */
static const uint8_t PAYS[13] = { 0, 0, 30, 15, 10, 7, 5, 4, 5, 7, 10, 15, 30 };

enum bet_kind { BET_UNDER = 0, BET_OVER = 1, BET_EXACT = 2 };

typedef struct seat {
    croupier_player player;
    uint64_t stack; /* chips, without those on the table */
} seat;

typedef struct bet {
    uint8_t seat;   /* index */
    uint8_t kind;   /* enum bet_kind */
    uint8_t number; /* of BET_EXACT, else 0 */
    uint32_t amount;
} bet;

/* One session. Plain data without pointers, so that `=` copies it. */
typedef struct table {
    uint64_t buy_in; /* the stack that a player sits down with */
    uint64_t rolls;
    uint8_t seats_len;
    uint8_t bets_len;
    seat seats[SEATS_MAX];
    bet bets[BETS_MAX];
} table;

/* What `init` gives to Croupier, and Croupier to every other function, as `game`. */
typedef struct dice {
    croupier_host host;
} dice;

/* ------------------------------------------------------------------ talking to the host */

/* Says why and gives the status back: `return fail(d, CROUPIER_E_REFUSED, "...")`. */
static croupier_status fail(const dice *d, croupier_status status, const char *format, ...)
{
    char text[256];
    va_list args;
    croupier_slice slice;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    slice.ptr = (const uint8_t *)text;
    slice.len = strlen(text);
    d->host.fail(d->host.ctx, slice);
    return status;
}

/* Text that is put together piece by piece; `full` when it did not fit. */
typedef struct text {
    char bytes[REPLY_BYTES_MAX];
    size_t len;
    int full;
} text;

static void put(text *out, const char *format, ...)
{
    va_list args;
    int n;
    va_start(args, format);
    n = vsnprintf(out->bytes + out->len, sizeof out->bytes - out->len, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof out->bytes - out->len)
        out->full = 1;
    else
        out->len += (size_t)n;
}

/* The end of every successful turn: writes the reply, and only then lets `next` become the table. */
static croupier_status commit(const dice *d, table *t, const table *next, const text *reply,
                              const croupier_sink *sink)
{
    croupier_status status;
    if (reply->full)
        return fail(d, CROUPIER_E_INTERNAL, "the reply is over %d bytes", REPLY_BYTES_MAX);
    status = sink->write(sink->ctx, (const uint8_t *)reply->bytes, reply->len);
    if (status != CROUPIER_OK)
        return fail(d, status, "the reply of %u bytes is over limits.reply_bytes", (unsigned)reply->len);
    *t = *next;
    return CROUPIER_OK;
}

/* ------------------------------------------------------------------ reading JSON */

/*
 * Just as much JSON as this game needs: one flat object whose values are short strings without escapes, whole numbers, or true.
 * Bounded, allocates nothing, reads no byte beyond the slice. Whatever it does not know it refuses by name.
 */
#define MEMBERS_MAX 4
#define WORD_BYTES_MAX 16

typedef struct word {
    char bytes[WORD_BYTES_MAX]; /* NUL-terminated */
} word;

typedef struct member {
    word name;
    char kind; /* 's' string, 'n' number, 't' true */
    word string;
    uint64_t number;
    int used;
} member;

typedef struct object {
    member members[MEMBERS_MAX];
    size_t len;
} object;

typedef struct reader {
    croupier_slice in;
    size_t at;
    const char *error; /* NULL as long as all is well */
} reader;

static int peek(const reader *r)
{
    return r->at < r->in.len ? r->in.ptr[r->at] : -1;
}

static void skip_blanks(reader *r)
{
    int c = peek(r);
    while (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
        r->at++;
        c = peek(r);
    }
}

static int take(reader *r, char wanted)
{
    skip_blanks(r);
    if (peek(r) != wanted)
        return 0;
    r->at++;
    return 1;
}

static word read_word(reader *r)
{
    word w;
    size_t len = 0;
    memset(&w, 0, sizeof w);
    if (!take(r, '"')) {
        r->error = "a string in double quotes is expected";
        return w;
    }
    for (;;) {
        int c = peek(r);
        if (c < 0x20 || c > 0x7e || c == '\\') {
            r->error = "a string does not end, or holds something but plain letters";
            return w;
        }
        r->at++;
        if (c == '"')
            return w;
        if (len == WORD_BYTES_MAX - 1) {
            r->error = "a string is longer than any that this game knows";
            return w;
        }
        w.bytes[len++] = (char)c;
    }
}

static uint64_t read_number(reader *r)
{
    uint64_t value = 0;
    size_t first = r->at;
    while (peek(r) >= '0' && peek(r) <= '9') {
        if (r->at - first == 15) {
            r->error = "a number has more than 15 digits";
            return 0;
        }
        value = value * 10 + (uint64_t)(peek(r) - '0');
        r->at++;
    }
    if (r->at - first > 1 && r->in.ptr[first] == '0')
        r->error = "a number begins with 0";
    if (peek(r) == '.' || peek(r) == 'e' || peek(r) == 'E')
        r->error = "only whole numbers are chips";
    return value;
}

static void read_value(reader *r, member *m)
{
    skip_blanks(r);
    if (peek(r) == '"') {
        m->kind = 's';
        m->string = read_word(r);
    } else if (peek(r) >= '0' && peek(r) <= '9') {
        m->kind = 'n';
        m->number = read_number(r);
    } else if (r->in.len - r->at >= 4 && memcmp(r->in.ptr + r->at, "true", 4) == 0) {
        m->kind = 't';
        r->at += 4;
    } else {
        r->error = "a value must be a string, a whole number from 0 up, or true";
    }
}

static member *find(object *o, const char *name)
{
    size_t i;
    for (i = 0; i < o->len; i++)
        if (strcmp(o->members[i].name.bytes, name) == 0)
            return &o->members[i];
    return NULL;
}

/* NULL, or what is wrong. Nothing at all counts as {}. */
static const char *read_object(croupier_slice in, object *o)
{
    reader r;
    r.in = in;
    r.at = 0;
    r.error = NULL;
    memset(o, 0, sizeof *o);
    if (in.len == 0)
        return NULL;
    if (!take(&r, '{'))
        return "a JSON object is expected";
    if (!take(&r, '}')) {
        do {
            member *m = &o->members[o->len];
            if (o->len == MEMBERS_MAX)
                return "the object has too many members";
            m->name = read_word(&r);
            if (r.error == NULL && find(o, m->name.bytes) != NULL)
                return "a member comes twice";
            if (r.error == NULL && !take(&r, ':'))
                return "a colon is expected after a member's name";
            if (r.error == NULL)
                read_value(&r, m);
            if (r.error != NULL)
                return r.error;
            o->len++;
        } while (take(&r, ','));
        if (!take(&r, '}'))
            return "the object does not end";
    }
    skip_blanks(&r);
    return r.at == in.len ? NULL : "something comes after the object";
}

/* Takes a number out of the object. 0, or -1 when it is missing, of another type, or not from `min` to `max`. */
static int take_number(object *o, const char *name, uint64_t min, uint64_t max, uint64_t *value)
{
    member *m = find(o, name);
    if (m == NULL || m->kind != 'n' || m->number < min || m->number > max)
        return -1;
    m->used = 1;
    *value = m->number;
    return 0;
}

/* The first member that nobody took, or NULL. */
static const char *unknown_member(const object *o)
{
    size_t i;
    for (i = 0; i < o->len; i++)
        if (!o->members[i].used)
            return o->members[i].name.bytes;
    return NULL;
}

/* ------------------------------------------------------------------ the rules */

static int find_seat(const table *t, croupier_player player)
{
    int i;
    for (i = 0; i < t->seats_len; i++)
        if (t->seats[i].player == player)
            return i;
    return -1;
}

/*
 * Two dice from the turn's seed: of its bytes, in order, those below 252 count, and each gives byte % 6 + 1. (252 is a multiple of
 * 6, so each face is equally likely; a byte of 252 and up is passed over.) Fewer than two such bytes among 32 will not be
 * seen in the lifetime of the universe, but it is not undefined either: 0 is returned, and the turn fails.
 */
static int throw_dice(const uint8_t seed[32], unsigned faces[2])
{
    size_t i, n = 0;
    for (i = 0; i < 32 && n < 2; i++)
        if (seed[i] < 252)
            faces[n++] = seed[i] % 6u + 1u;
    return n == 2;
}

/* What a bet gets back when `sum` is thrown: 0 when it is lost. */
static uint64_t pays(const bet *b, unsigned sum)
{
    uint64_t amount = b->amount;
    switch (b->kind) {
    case BET_UNDER:
        return sum < 7 ? 2 * amount : 0;
    case BET_OVER:
        return sum > 7 ? 2 * amount : 0;
    default:
        return sum == b->number ? (1u + PAYS[sum]) * amount : 0;
    }
}

static croupier_status place_bet(const dice *d, table *next, int at, object *o, text *reply)
{
    const char *kind = find(o, "bet")->string.bytes;
    const char *unknown;
    uint64_t amount = 0, number = 0;
    bet *b = &next->bets[next->bets_len];
    if (at < 0)
        return fail(d, CROUPIER_E_REFUSED, "take a seat before you bet");
    if (next->bets_len == BETS_MAX)
        return fail(d, CROUPIER_E_REFUSED, "there are %d bets on the table already; roll first", BETS_MAX);
    if (take_number(o, "amount", 1, AMOUNT_MAX, &amount) != 0)
        return fail(d, CROUPIER_E_BAD_INPUT, "amount must be a whole number from 1 to %d", AMOUNT_MAX);
    if (strcmp(kind, "under") == 0)
        b->kind = BET_UNDER;
    else if (strcmp(kind, "over") == 0)
        b->kind = BET_OVER;
    else if (strcmp(kind, "exact") == 0)
        b->kind = BET_EXACT;
    else
        return fail(d, CROUPIER_E_BAD_INPUT, "bet must be \"over\", \"under\" or \"exact\"");
    if (b->kind == BET_EXACT && take_number(o, "number", 2, 12, &number) != 0)
        return fail(d, CROUPIER_E_BAD_INPUT, "number must be a whole number from 2 to 12");
    find(o, "bet")->used = 1;
    unknown = unknown_member(o);
    if (unknown != NULL)
        return fail(d, CROUPIER_E_BAD_INPUT, "\"%s\" has no meaning here", unknown);
    if (amount > next->seats[at].stack)
        return fail(d, CROUPIER_E_REFUSED, "you have %" PRIu64 " chips only", next->seats[at].stack);
    b->seat = (uint8_t)at;
    b->number = (uint8_t)number;
    b->amount = (uint32_t)amount;
    next->bets_len++;
    next->seats[at].stack -= amount;
    put(reply, "{\"stack\":%" PRIu64 ",\"bets\":%u}", next->seats[at].stack, (unsigned)next->bets_len);
    return CROUPIER_OK;
}

static croupier_status roll(const dice *d, table *next, const croupier_turn *turn, text *reply)
{
    unsigned faces[2], sum;
    int i;
    croupier_slice message;
    croupier_status status;
    if (!throw_dice(turn->seed, faces))
        return fail(d, CROUPIER_E_INTERNAL, "the seed holds no two usable bytes");
    sum = faces[0] + faces[1];
    for (i = 0; i < next->bets_len; i++) {
        seat *s = &next->seats[next->bets[i].seat];
        uint64_t win = pays(&next->bets[i], sum);
        if (win > CHIPS_MAX - s->stack)
            return fail(d, CROUPIER_E_REFUSED, "more chips than this table can count");
        s->stack += win;
    }
    next->bets_len = 0;
    next->rolls++;
    put(reply, "{\"dice\":[%u,%u],\"sum\":%u,\"stacks\":[", faces[0], faces[1], sum);
    for (i = 0; i < next->seats_len; i++)
        put(reply, "%s{\"player\":%" PRIu64 ",\"stack\":%" PRIu64 "}", i == 0 ? "" : ",",
            next->seats[i].player, next->seats[i].stack);
    put(reply, "]}");

    /* Everybody hears of it. The host keeps the message back until the turn is recorded, and drops it if the turn fails. */
    message.ptr = (const uint8_t *)reply->bytes;
    message.len = reply->len;
    status = d->host.send(d->host.ctx, CROUPIER_ALL_PLAYERS, message);
    if (status != CROUPIER_OK)
        return fail(d, status, "the result cannot be sent (status %d); is the permission \"send\" granted?", (int)status);
    return CROUPIER_OK;
}

/* ------------------------------------------------------------------ the functions that Croupier calls */

static croupier_status dice_init(const croupier_host *host, croupier_slice settings, void **game)
{
    dice *d = (dice *)calloc(1, sizeof *d);
    (void)settings;
    if (d == NULL)
        return CROUPIER_E_INTERNAL;
    /* The host may be older or newer than this header: copy no more than both know. What it lacks stays NULL. */
    memcpy(&d->host, host, host->struct_size < sizeof d->host ? host->struct_size : sizeof d->host);
    *game = d;
    return CROUPIER_OK;
}

static void dice_shutdown(void *game)
{
    free(game);
}

static croupier_status session_open(void *game, const croupier_turn *turn, croupier_slice config,
                                    const croupier_sink *reply, void **session)
{
    const dice *d = (const dice *)game;
    table *t;
    table next;
    text out;
    object o;
    croupier_status status;
    const char *error = read_object(config, &o);
    (void)turn;
    if (error != NULL)
        return fail(d, CROUPIER_E_BAD_INPUT, "config: %s", error);
    memset(&next, 0, sizeof next);
    next.buy_in = STACK_DEFAULT;
    if (o.len != 0 && take_number(&o, "stack", 1, STACK_MAX, &next.buy_in) != 0)
        return fail(d, CROUPIER_E_BAD_INPUT, "config: stack must be a whole number from 1 to %d", STACK_MAX);
    if (unknown_member(&o) != NULL)
        return fail(d, CROUPIER_E_BAD_INPUT, "config: \"%s\" has no meaning here", unknown_member(&o));
    t = (table *)calloc(1, sizeof *t);
    if (t == NULL)
        return fail(d, CROUPIER_E_INTERNAL, "out of memory");
    out.len = 0;
    out.full = 0;
    put(&out, "{\"stack\":%" PRIu64 "}", next.buy_in);
    status = commit(d, t, &next, &out, reply);
    if (status != CROUPIER_OK) {
        free(t); /* a failed open leaves nothing behind */
        return status;
    }
    *session = t;
    return CROUPIER_OK;
}

static croupier_status player_join(void *game, void *session, const croupier_turn *turn, croupier_slice profile,
                                   const croupier_sink *reply)
{
    const dice *d = (const dice *)game;
    table *t = (table *)session;
    table next = *t;
    text out = { { 0 }, 0, 0 };
    (void)profile; /* this game does not care who its players are */
    if (find_seat(&next, turn->player) >= 0)
        return fail(d, CROUPIER_E_REFUSED, "you sit at this table already");
    if (next.seats_len == SEATS_MAX)
        return fail(d, CROUPIER_E_REFUSED, "all %d seats are taken", SEATS_MAX);
    next.seats[next.seats_len].player = turn->player;
    next.seats[next.seats_len].stack = next.buy_in;
    next.seats_len++;
    put(&out, "{\"stack\":%" PRIu64 "}", next.buy_in);
    return commit(d, t, &next, &out, reply);
}

/* Who leaves takes the bets off the table and the chips along. */
static croupier_status player_leave(void *game, void *session, const croupier_turn *turn, croupier_slice reason,
                                    const croupier_sink *reply)
{
    const dice *d = (const dice *)game;
    table *t = (table *)session;
    table next = *t;
    text out = { { 0 }, 0, 0 };
    int i, kept = 0, at = find_seat(&next, turn->player);
    (void)reason;
    if (at < 0)
        return fail(d, CROUPIER_E_REFUSED, "you do not sit at this table");
    for (i = 0; i < next.bets_len; i++) {
        bet b = next.bets[i];
        if (b.seat == at) {
            next.seats[at].stack += b.amount;
            continue;
        }
        if (b.seat > at)
            b.seat--; /* the seats behind move up */
        next.bets[kept++] = b;
    }
    next.bets_len = (uint8_t)kept;
    put(&out, "{\"stack\":%" PRIu64 "}", next.seats[at].stack);
    for (i = at; i + 1 < next.seats_len; i++)
        next.seats[i] = next.seats[i + 1];
    next.seats_len--;
    return commit(d, t, &next, &out, reply);
}

static croupier_status action(void *game, void *session, const croupier_turn *turn, croupier_slice payload,
                              const croupier_sink *reply)
{
    const dice *d = (const dice *)game;
    table *t = (table *)session;
    table next = *t;
    text out = { { 0 }, 0, 0 };
    object o;
    member *m;
    croupier_status status;
    const char *error = read_object(payload, &o);
    int at = find_seat(&next, turn->player);
    if (error != NULL)
        return fail(d, CROUPIER_E_BAD_INPUT, "action: %s", error);
    m = find(&o, "bet");
    if (m != NULL && m->kind == 's') {
        status = place_bet(d, &next, at, &o, &out);
    } else {
        m = find(&o, "roll");
        if (m == NULL || m->kind != 't' || o.len != 1)
            return fail(d, CROUPIER_E_BAD_INPUT,
                        "action: say {\"bet\":\"over\",\"amount\":10} or {\"roll\":true}");
        if (at < 0 && turn->player != CROUPIER_HOUSE)
            return fail(d, CROUPIER_E_REFUSED, "take a seat before you roll");
        status = roll(d, &next, turn, &out);
    }
    if (status != CROUPIER_OK)
        return status; /* `next` is forgotten: the table is as it was */
    return commit(d, t, &next, &out, reply);
}

/* With a turn the table closes: bets that were not decided go back, and the last reply says what everybody has. Without one the session
 * only leaves this worker. Freed in any case. */
static croupier_status session_close(void *game, void *session, const croupier_turn *turn, const croupier_sink *reply)
{
    const dice *d = (const dice *)game;
    table *t = (table *)session;
    croupier_status status = CROUPIER_OK;
    if (turn != NULL) {
        text out = { { 0 }, 0, 0 };
        int i;
        for (i = 0; i < t->bets_len; i++)
            t->seats[t->bets[i].seat].stack += t->bets[i].amount;
        put(&out, "{\"rolls\":%" PRIu64 ",\"stacks\":[", t->rolls);
        for (i = 0; i < t->seats_len; i++)
            put(&out, "%s{\"player\":%" PRIu64 ",\"stack\":%" PRIu64 "}", i == 0 ? "" : ",", t->seats[i].player,
                t->seats[i].stack);
        put(&out, "]}");
        status = commit(d, t, t, &out, reply);
    }
    free(t);
    return status;
}

/* ------------------------------------------------------------------ snapshots */

/*
 * Version 1, all numbers little-endian whatever the machine:
 *     buy_in u64 | rolls u64 | seats u8 | bets u8 | seats x { player u64 | stack u64 } | bets x { seat u8 | kind u8 | number u8 | amount u32 }
 */
#define HEAD_BYTES 18
#define SEAT_BYTES 16
#define BET_BYTES 7

static uint8_t *put_le(uint8_t *at, uint64_t value, int bytes)
{
    int i;
    for (i = 0; i < bytes; i++)
        at[i] = (uint8_t)(value >> (8 * i));
    return at + bytes;
}

static uint64_t get_le(const uint8_t **at, int bytes)
{
    uint64_t value = 0;
    int i;
    for (i = 0; i < bytes; i++)
        value |= (uint64_t)(*at)[i] << (8 * i);
    *at += bytes;
    return value;
}

static croupier_status snapshot(void *game, void *session, const croupier_sink *out)
{
    const dice *d = (const dice *)game;
    const table *t = (const table *)session;
    uint8_t bytes[HEAD_BYTES + SEATS_MAX * SEAT_BYTES + BETS_MAX * BET_BYTES];
    uint8_t *at = bytes;
    croupier_status status;
    int i;
    at = put_le(at, t->buy_in, 8);
    at = put_le(at, t->rolls, 8);
    at = put_le(at, t->seats_len, 1);
    at = put_le(at, t->bets_len, 1);
    for (i = 0; i < t->seats_len; i++) {
        at = put_le(at, t->seats[i].player, 8);
        at = put_le(at, t->seats[i].stack, 8);
    }
    for (i = 0; i < t->bets_len; i++) {
        at = put_le(at, t->bets[i].seat, 1);
        at = put_le(at, t->bets[i].kind, 1);
        at = put_le(at, t->bets[i].number, 1);
        at = put_le(at, t->bets[i].amount, 4);
    }
    status = out->write(out->ctx, bytes, (size_t)(at - bytes));
    return status == CROUPIER_OK ? status : fail(d, status, "the snapshot is over limits.snapshot_bytes");
}

/* Believes nothing: the bytes may come from a damaged disk. */
static croupier_status session_restore(void *game, uint64_t session_id, uint32_t state_version, croupier_slice in,
                                       void **session)
{
    const dice *d = (const dice *)game;
    const uint8_t *at = in.ptr;
    table next;
    table *t;
    int i;
    (void)session_id;
    memset(&next, 0, sizeof next);
    if (state_version != 1)
        return fail(d, CROUPIER_E_UNSUPPORTED, "snapshots of version %u are not known", (unsigned)state_version);
    if (in.len < HEAD_BYTES)
        return fail(d, CROUPIER_E_BAD_INPUT, "the snapshot is cut short");
    next.buy_in = get_le(&at, 8);
    next.rolls = get_le(&at, 8);
    next.seats_len = (uint8_t)get_le(&at, 1);
    next.bets_len = (uint8_t)get_le(&at, 1);
    if (next.seats_len > SEATS_MAX || next.bets_len > BETS_MAX || next.buy_in > STACK_MAX
        || in.len != HEAD_BYTES + (size_t)next.seats_len * SEAT_BYTES + (size_t)next.bets_len * BET_BYTES)
        return fail(d, CROUPIER_E_BAD_INPUT, "the snapshot's counts do not fit its length");
    for (i = 0; i < next.seats_len; i++) {
        next.seats[i].player = get_le(&at, 8);
        next.seats[i].stack = get_le(&at, 8);
        if (next.seats[i].stack > CHIPS_MAX)
            return fail(d, CROUPIER_E_BAD_INPUT, "the snapshot holds an impossible stack");
    }
    for (i = 0; i < next.bets_len; i++) {
        bet *b = &next.bets[i];
        b->seat = (uint8_t)get_le(&at, 1);
        b->kind = (uint8_t)get_le(&at, 1);
        b->number = (uint8_t)get_le(&at, 1);
        b->amount = (uint32_t)get_le(&at, 4);
        if (b->seat >= next.seats_len || b->kind > BET_EXACT || b->number > 12 || b->amount > AMOUNT_MAX)
            return fail(d, CROUPIER_E_BAD_INPUT, "the snapshot holds an impossible bet");
    }
    t = (table *)malloc(sizeof *t);
    if (t == NULL)
        return fail(d, CROUPIER_E_INTERNAL, "out of memory");
    *t = next;
    *session = t;
    return CROUPIER_OK;
}

/* ------------------------------------------------------------------ the export */

static const croupier_descriptor descriptor = { sizeof descriptor, CROUPIER_ABI_MINOR, "dice", "1.0.0", 1, 0 };

/* In the order of the header. NULL: this game has no extensions, no ticks, and nothing to do when it is suspended. */
static const croupier_vtable vtable = {
    sizeof vtable, 0,
    dice_init, dice_shutdown, NULL,
    session_open, session_restore, session_close,
    player_join, player_leave, action, NULL,
    NULL, NULL,
    snapshot
};

CROUPIER_EXPORT_PLUGIN(descriptor, vtable);
