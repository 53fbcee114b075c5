/*
 * croupier_plugin.h: the contract between Croupier and a native game plugin, version 1.
 *
 * This header is the truth; every other language binding mirrors it. It is plain C99 and C++11, needs no
 * library and no generator. A plugin is ONE shared object (.so) that
 *
 *   1. exports one data symbol, `croupier_plugin_v1`   (see CROUPIER_EXPORT_PLUGIN at the end), and
 *   2. carries its manifest in the ELF section `.croupier` (see CROUPIER_MANIFEST).
 *
 *       cc -std=c99 -O2 -fPIC -shared -I include -o libdice.so dice.c
 *       croupier check libdice.so
 *
 * HOW A PLUGIN RUNS. Croupier starts one worker process per plugin. The worker loads the plugin, calls `init`
 * once, and then plays any number of sessions (tables, matches, rooms). Every input of a session is a TURN: it
 * has a number, a time and a seed, all given by the supervisor, and is recorded. When the worker dies, a
 * fresh one restores the session from its last snapshot and plays the recorded turns again.
 *
 * DETERMINISM IS THE PLUGIN'S DUTY. What a session answers, and the state that it reaches, may depend only on its
 * config or snapshot and on the turns it was given: no clock but `turn->now_ns`, no chance but
 * `turn->seed`, nothing that depends on addresses, hash order, threads, the locale or the environment.
 * `croupier check --determinism` plays a script in two workers and compares.
 *
 * MEMORY. Who allocates frees: no allocator is shared. Every pointer that a function receives (slices, turn,
 * sink) is BORROWED: valid until that function returns, never to be kept or freed, except `host`, which stays valid until `shutdown`
 * returns. Output goes out through a sink, which copies. `game` and `session` pointers belong to the plugin;
 * Croupier only hands them back.
 *
 * THREADS. A tag stands beside each function:
 *   [game]  called by the worker's one game thread; never two at a time, nor while a [call] runs.
 *   [call]  as [game], and always on behalf of one turn (or restore, snapshot) of one session.
 *   [any]   may be called from any thread, at any time between `init` and the return of `shutdown`.
 * Plugin functions are only ever called on one thread, so a plugin needs no locks unless it starts threads of its own
 * (permission "threads"). Such threads must not touch a session while no call is running, or replay will differ.
 *
 * ERRORS. Functions return CROUPIER_OK (0) or a negative croupier_status. Say why first: host->fail(...) with a
 * text for the player. A failed turn still has its number, is recorded and is replayed: it must
 * fail again, and leave the same state behind. Whatever it sent or emitted is never seen by anyone.
 * Never let a C++ exception, a panic or a longjmp leave a plugin function: it ends the worker.
 *
 * GROWTH. The symbol's name holds the major version. Within it, structs only grow at their end: each begins with
 * `struct_size`, set by whoever fills the struct in, and readers look only at what that size covers.
 * Options come as extensions, found by a string id. plugin-abi/COMPATIBILITY.md says what may change, and how.
 *
 * Licence: MIT or Apache-2.0, at your choice.
 */
#ifndef CROUPIER_PLUGIN_H
#define CROUPIER_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of the contract in this header. The major version is part of the exported symbol's name. */
#define CROUPIER_ABI_MAJOR 1
#define CROUPIER_ABI_MINOR 0

/* ------------------------------------------------------------------ status */

/* What a function returns. Zero is success; a negative value is an error. Plugins return the first four for their own refusals;
 * any other value, positive ones too, reaches the caller as CROUPIER_E_INTERNAL. */
typedef int32_t croupier_status;

#define CROUPIER_OK            0  /* done */
#define CROUPIER_E_REFUSED    -1  /* the rules of the game forbid it: "not your turn" */
#define CROUPIER_E_BAD_INPUT  -2  /* the payload, config or snapshot makes no sense */
#define CROUPIER_E_UNSUPPORTED -3 /* this plugin, or this host, does not know the kind, name or extension */
#define CROUPIER_E_INTERNAL   -4  /* the plugin itself is at fault; reported to the operator as such */
#define CROUPIER_E_TOO_BIG    -5  /* from sink.write and host functions: over a limit; nothing was written */
#define CROUPIER_E_DENIED     -6  /* from host functions: the manifest does not ask for this permission, or it was not granted */
#define CROUPIER_E_NO_TURN    -7  /* from host functions: only allowed while a turn of a session is running */

/* ------------------------------------------------------------------ values */

/* Bytes that somebody else owns. `ptr` may be NULL when `len` is 0. Not NUL-terminated. */
typedef struct croupier_slice {
    const uint8_t *ptr;
    size_t len; /* bytes */
} croupier_slice;

/* Where output goes. Give `ctx` back as the first argument.
 *
 * write [call]: appends `len` bytes. It copies all of them, or none and returns CROUPIER_E_TOO_BIG (the sum is limited by the
 * manifest's limits.reply_bytes, 1 MiB unless stated; snapshots by limits.snapshot_bytes). Call it as often as
 * you like; the parts are joined. `data` may be freed at once after the call. */
typedef struct croupier_sink {
    void *ctx;
    croupier_status (*write)(void *ctx, const uint8_t *data, size_t len);
} croupier_sink;

/* Kinds of turns. The set is open: refuse what you do not know with CROUPIER_E_UNSUPPORTED. */
typedef uint16_t croupier_turn_kind;

#define CROUPIER_TURN_OPEN    0 /* session_open */
#define CROUPIER_TURN_JOIN    1 /* player_join */
#define CROUPIER_TURN_LEAVE   2 /* player_leave */
#define CROUPIER_TURN_ACTION  3 /* action */
#define CROUPIER_TURN_TICK    4 /* tick */
#define CROUPIER_TURN_CLOSE   5 /* session_close */
/* Reserved; they enter through the extension "croupier.input/1" (ext/input.h). */
#define CROUPIER_TURN_EVENT   6
#define CROUPIER_TURN_COMMAND 7
#define CROUPIER_TURN_RESULT  8
#define CROUPIER_TURN_MESSAGE 9
#define CROUPIER_TURN_ADMIN   10

/* Who a turn is for, or who a message goes to. Players are numbered from 1 by the platform. */
typedef uint64_t croupier_player;

#define CROUPIER_HOUSE       ((croupier_player)0)          /* the table itself: the dealer, the platform */
#define CROUPIER_ALL_PLAYERS ((croupier_player)UINT64_MAX) /* for host->send */

/* One input of a session. Numbered, timed and seeded by the supervisor; the same on every replay. */
typedef struct croupier_turn {
    uint32_t struct_size;    /* sizeof(croupier_turn) as the host knows it */
    croupier_turn_kind kind;
    uint16_t flags;          /* none yet: ignore */
    uint64_t session;        /* the session's id, unique for the life of the supervisor's state */
    uint64_t seq;            /* 1, 2, 3, ... without gaps as seen by one session, except where a turn was skipped as poison */
    uint64_t now_ns;         /* the turn's time: nanoseconds since 1970-01-01 UTC; never runs backwards in a session */
    uint8_t seed[32];        /* the turn's own seed: the only source of chance. See docs/FAIRNESS.md for how it is made */
    croupier_player player;  /* who acts; CROUPIER_HOUSE for open, tick, close and the dealer's actions */
} croupier_turn;

/* Log levels, as everywhere. */
#define CROUPIER_LOG_ERROR 1
#define CROUPIER_LOG_WARN  2
#define CROUPIER_LOG_INFO  3
#define CROUPIER_LOG_DEBUG 4

/* ------------------------------------------------------------------ what the host offers */

/* Given to `init`; valid until `shutdown` returns. Pass `ctx` back as the first argument. Every function here copies what it is
 * given, and none may be called from an ELF constructor. Text is UTF-8; other bytes are replaced. */
typedef struct croupier_host {
    uint32_t struct_size; /* sizeof(croupier_host) as the host knows it */
    uint32_t abi_minor;   /* CROUPIER_ABI_MINOR of the host */
    void *ctx;

    /* [any] An optional part of the host by id ("croupier.NAME/VERSION"); NULL when it is not there. Valid as long as the host. */
    const void *(*get_extension)(void *ctx, const char *id);

    /* [call] Says why the function that is about to return an error fails; the last text counts. Up to 4,096 bytes, cut beyond. */
    void (*fail)(void *ctx, croupier_slice text);

    /* [any] A log line of the supervisor, with the plugin's name. Rate-limited; silent while turns are replayed. */
    void (*log)(void *ctx, int32_t level, croupier_slice text);

    /* [call] A message to one player of the session, or to CROUPIER_ALL_PLAYERS. Delivered after the turn is recorded, in order,
     * once. Needs permission "send". Allowed in turns only (not in restore or snapshot): CROUPIER_E_NO_TURN. */
    croupier_status (*send)(void *ctx, croupier_player to, croupier_slice message);

    /* [call] An event for whoever follows `topic` ([a-z0-9_.-], up to 64 bytes). Needs permission "emit:TOPIC". Otherwise as send. */
    croupier_status (*emit)(void *ctx, croupier_slice topic, croupier_slice event);

    /* [call] Asks the platform something by name ("wallet.balance"). Blocks until the answer is there, which is written to
     * `answer`. Needs permission "call:NAME". The answer is recorded with the turn and given again on replay; the
     * order of calls and their arguments must therefore be the same each time. CROUPIER_E_UNSUPPORTED: nobody
     * answers to that name; any other negative status is the platform's own refusal. */
    croupier_status (*call)(void *ctx, croupier_slice name, croupier_slice args, const croupier_sink *answer);
} croupier_host;

/* ------------------------------------------------------------------ what the plugin offers */

/* Facts that must agree with the manifest; a mismatch refuses the load. */
typedef struct croupier_descriptor {
    uint32_t struct_size;   /* sizeof(croupier_descriptor) */
    uint32_t abi_minor;     /* CROUPIER_ABI_MINOR of the header the plugin was built with */
    const char *name;       /* as in the manifest; NUL-terminated, static */
    const char *version;    /* as in the manifest; NUL-terminated, static */
    uint32_t state_version; /* of the snapshots that `snapshot` writes */
    uint32_t reserved;      /* 0 */
} croupier_descriptor;

/* MANDATORY: init, shutdown, session_open, session_restore, session_close, action, snapshot. The others may be NULL:
 *   player_join, player_leave   accepted, with an empty reply
 *   tick                        refused with CROUPIER_E_UNSUPPORTED
 *   suspend, resume             accepted: there is nothing to do
 *   get_extension               the plugin has none */
typedef struct croupier_vtable {
    uint32_t struct_size; /* sizeof(croupier_vtable) */
    uint32_t reserved;    /* 0 */

    /* [game] Once, first. `settings` is the operator's JSON object for this plugin ("{}" if there is none). On success store your
     * game in *game (it may be NULL). On failure nothing else is called, not even shutdown. */
    croupier_status (*init)(const croupier_host *host, croupier_slice settings, void **game);

    /* [game] Once, last; every session was closed before. Frees the game. It may not be called at all: a worker can be killed. */
    void (*shutdown)(void *game);

    /* [any] An optional part of the plugin by id; NULL when unknown. Static or valid until shutdown. May be NULL itself. */
    const void *(*get_extension)(void *game, const char *id);

    /* [call] A new session. `config` was checked against the manifest's schema. On success store your session in *session
     * (not NULL) and write the reply. On failure leave nothing behind. */
    croupier_status (*session_open)(void *game, const croupier_turn *turn, croupier_slice config,
                                    const croupier_sink *reply, void **session);

    /* [call] Another way to open: builds a session from bytes that `snapshot` wrote, perhaps in another process and by an older
     * version (`state_version` says which). Must not need anything else. On failure leave nothing behind. */
    croupier_status (*session_restore)(void *game, uint64_t session_id, uint32_t state_version,
                                       croupier_slice snapshot, void **session);

    /* [call] Ends a session and frees it, whatever is returned. With a turn: the table closes; write the last reply, pay out. With
     * turn == NULL: the session only leaves this worker (moved, unloaded): free it and write nothing (reply is NULL too). */
    croupier_status (*session_close)(void *game, void *session, const croupier_turn *turn, const croupier_sink *reply);

    /* [call] turn->player takes a seat. `profile` is what the platform says of the player. */
    croupier_status (*player_join)(void *game, void *session, const croupier_turn *turn, croupier_slice profile,
                                   const croupier_sink *reply);

    /* [call] turn->player leaves; this happens even if it returns an error. `reason` is a short text. */
    croupier_status (*player_leave)(void *game, void *session, const croupier_turn *turn, croupier_slice reason,
                                    const croupier_sink *reply);

    /* [call] turn->player does something. */
    croupier_status (*action)(void *game, void *session, const croupier_turn *turn, croupier_slice payload,
                              const croupier_sink *reply);

    /* [call] Time passes: called at the session's own rate (turn->now_ns moves by exactly one period each time). */
    croupier_status (*tick)(void *game, void *session, const croupier_turn *turn, const croupier_sink *reply);

    /* [game] The operator suspends and resumes the whole plugin; no turns in between. */
    croupier_status (*suspend)(void *game);
    croupier_status (*resume)(void *game);

    /* [call] Writes the session's whole state. Must not change it. The same state should give the same bytes. */
    croupier_status (*snapshot)(void *game, void *session, const croupier_sink *out);
} croupier_vtable;

/* The exported symbol's type. Data, so that it can be checked before any of the plugin's functions is called. */
typedef struct croupier_plugin {
    uint32_t struct_size; /* sizeof(croupier_plugin) */
    uint32_t reserved;    /* 0 */
    const croupier_descriptor *descriptor;
    const croupier_vtable *vtable;
} croupier_plugin;

#define CROUPIER_PLUGIN_SYMBOL "croupier_plugin_v1"

#if defined(__GNUC__) || defined(__clang__)
#define CROUPIER_VISIBLE __attribute__((visibility("default")))
#else
#define CROUPIER_VISIBLE
#endif

#ifdef __cplusplus
#define CROUPIER_EXTERN extern "C"
#else
#define CROUPIER_EXTERN extern
#endif

/* Once, at file scope: exports the plugin. Both arguments are objects with static storage.
 *
 *     static const croupier_descriptor descriptor = { sizeof descriptor, CROUPIER_ABI_MINOR, "dice", "1.0.0", 1, 0 };
 *     static const croupier_vtable vtable = { sizeof vtable, 0, init, shutdown, ... };
 *     CROUPIER_EXPORT_PLUGIN(descriptor, vtable);
 */
#define CROUPIER_EXPORT_PLUGIN(DESCRIPTOR, VTABLE)                                                      \
    CROUPIER_EXTERN CROUPIER_VISIBLE const croupier_plugin croupier_plugin_v1;                         \
    const croupier_plugin croupier_plugin_v1 = { sizeof(croupier_plugin), 0, &(DESCRIPTOR), &(VTABLE) }

/* Once, at file scope: embeds the manifest (plugin.toml) in the plugin, from a string literal. Croupier reads it without running
 * anything; the literal's final NUL is not part of the manifest. The manifest's format is described in docs/MANIFEST.md. C99
 * promises literals of up to 4,095 bytes only: take CROUPIER_MANIFEST_FILE for more.
 *
 * Both macros put the manifest in a section that nothing refers to: do not link with --gc-sections, or it is gone. */
#define CROUPIER_MANIFEST(TEXT)                                                                         \
    __attribute__((section(".croupier"), used, aligned(1))) static const char croupier_manifest[] = TEXT

/* The same, from a file (GCC and Clang): CROUPIER_MANIFEST_FILE("plugin.toml"). The path is looked up as the assembler's
 * .incbin does: in the working directory of the compiler, then in the -I directories, so compile with -I DIRECTORY_OF_THE_MANIFEST. */
#define CROUPIER_MANIFEST_FILE(PATH)                                                                    \
    __asm__(".pushsection .croupier,\"a\",@progbits\n.incbin \"" PATH "\"\n.popsection\n")

#ifdef __cplusplus
}
#endif

#endif /* CROUPIER_PLUGIN_H */
