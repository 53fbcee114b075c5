/*
 * A plugin that crashes in ways that a backtrace is to tell apart. An action names the way; each is `inner_…` called by `middle_…`, so that the frames' order shows.
 * With -DCTOR it crashes in a constructor instead; with -DSLOW_INIT it takes seconds to come up.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <threads.h>
#include <ucontext.h>
#include <unistd.h>

#include "croupier_plugin.h"

CROUPIER_MANIFEST("manifest = 1\nname = \"crasher\"\nversion = \"1.0.0\"\nauthors = [\"Nobody\"]\n"
                  "description = \"Crashes\"\nlicense = \"MIT\"\nstate_version = 1\n"
                  "[game]\ntype = \"custom\"\n[players]\nmin = 0\nmax = 4\njoin = \"optional\"\n"
                  "[permissions]\nrequest = [\"threads\"]\n"
                  "[limits]\nmemory_mib = 64\nstack_kib = 256\nthreads = 8\ncpu_ms_per_turn = 1000\nturn_wall_ms = 30000\nload_wall_ms = 10000\n");

/* Not inlined, and never the last thing that a caller does: a tail call leaves no frame. */
#define DEEP __attribute__((noinline, noclone))
static volatile long after;

/* The crash itself is one instruction, so that both sides of a comparison stop at the same one. */
DEEP long inner_null(long *nowhere) { *(volatile long *)nowhere = 7; return after; }
DEEP long middle_null(void) { long r = inner_null((long *)after); return r + after; }

DEEP long inner_divide(volatile int *zero) { volatile int one = 1; return one / *zero; }
DEEP long middle_divide(void) { volatile int zero = 0; long r = inner_divide(&zero); return r + after; }

DEEP long inner_abort(void) { if (after == 0) abort(); return 1; }
DEEP long middle_abort(void) { long r = inner_abort(); return r + after; }

DEEP long inner_trap(void) { if (after == 0) __asm__ volatile("int3"); return after; }
DEEP long middle_trap(void) { long r = inner_trap(); return r + after; }

DEEP long inner_undefined(void) { if (after == 0) __asm__ volatile("ud2"); return after; }
DEEP long middle_undefined(void) { long r = inner_undefined(); return r + after; }

/* A call to where no code is. */
DEEP long inner_jump(long (*volatile nowhere)(void)) { long r = nowhere(); return r + after; }
DEEP long middle_jump(void) { long r = inner_jump((long (*)(void))after); return r + after; }

DEEP long inner_overflow(long depth)
{
    volatile char step[4096];
    step[depth % 4096] = (char)depth;
    return inner_overflow(depth + 1) + step[depth % 4096];
}
DEEP long middle_overflow(void) { long r = inner_overflow(1); return r + after; }

static void *thread_null(void *name)
{
    prctl(PR_SET_NAME, name);
    return (void *)middle_null();
}
static void *thread_overflow(void *name)
{
    prctl(PR_SET_NAME, name);
    return (void *)middle_overflow();
}
static int c11_overflow(void *nothing) { (void)nothing; return (int)middle_overflow(); }
static void *thread_fine(void *in) { return (char *)in + 1; }

static long in_thread(void *(*begin)(void *))
{
    pthread_t thread;
    void *out;
    if (pthread_create(&thread, NULL, begin, (void *)"dealer") != 0) return -1;
    pthread_join(thread, &out);
    return (long)out;
}
static long other_null(void) { return in_thread(thread_null); }
static long other_overflow(void) { return in_thread(thread_overflow); }
/* A thread that has nothing for a fault handler to stand on, as one that is made by a bare clone. */
static void *thread_bare(void *name)
{
    stack_t none = { .ss_flags = SS_DISABLE };
    prctl(PR_SET_NAME, name);
    sigaltstack(&none, NULL);
    return (void *)middle_overflow();
}
static long other_bare(void) { return in_thread(thread_bare); }
static long other_c11(void)
{
    thrd_t thread;
    if (thrd_create(&thread, c11_overflow, NULL) != thrd_success) return -1;
    thrd_join(thread, NULL);
    return 0;
}
/* Threads come and go: nothing of theirs may stay. */
static long many_threads(void)
{
    for (int i = 0; i < 3000; i++) {
        pthread_t thread;
        void *out;
        if (pthread_create(&thread, NULL, thread_fine, (void *)41L) != 0) return -i;
        pthread_join(thread, &out);
        if (out != (void *)42L) return -1;
    }
    return 42;
}
/* However they end. */
static void *thread_leaves(void *in) { (void)in; pthread_exit((void *)43L); }
static void *thread_waits(void *in) { for (;;) sleep(100); return in; }
static long leaving_threads(void)
{
    for (int i = 0; i < 2000; i++) {
        pthread_t thread;
        void *out;
        if (pthread_create(&thread, NULL, i % 2 ? thread_leaves : thread_waits, NULL) != 0) return -i;
        if (i % 2 == 0) pthread_cancel(thread);
        pthread_join(thread, &out);
        if (out != (i % 2 ? (void *)43L : PTHREAD_CANCELED)) return -1;
    }
    return 42;
}
/* All of them at once. */
static pthread_barrier_t together;
static void *thread_at_once(void *name)
{
    prctl(PR_SET_NAME, name);
    pthread_barrier_wait(&together);
    return (void *)middle_null();
}
static long at_once(void)
{
    pthread_t thread;
    pthread_barrier_init(&together, NULL, 6);
    for (int i = 0; i < 6; i++)
        if (pthread_create(&thread, NULL, thread_at_once, (void *)"dealer") != 0) return -1;
    for (;;) sleep(1);
}

/* The fault handler's call, made by hand. What it shows is made up. */
static siginfo_t forged_info;
static ucontext_t forged;
static long forge(void)
{
    forged_info.si_signo = SIGSEGV;
    forged_info.si_code = 1;
    forged.uc_mcontext.gregs[REG_RIP] = (greg_t)middle_abort;
    return syscall(0x637273, SIGSEGV, &forged_info, &forged);
}
/* And lives on. */
static long forge_and_live(void)
{
    forge();
    for (;;) sleep(1);
}
/* And answers its turn as if nothing were. */
static long forge_and_answer(void)
{
    forge();
    return 42;
}
/* And dies of something else. */
static long forge_and_abort(void)
{
    forge();
    return middle_abort();
}
/* Again and again. */
static long forge_often(void)
{
    for (;;) forge();
}
static long forge_nonsense(void)
{
    syscall(0x637273, SIGSEGV, -1L, -1L);
    return middle_null();
}
/* What a handler of the plugin's own must not be able to do, and what signals that are sent do. */
static long send_segv(void) { return raise(SIGSEGV); }

#define A(name) { #name, name }
static const struct { const char *name; long (*deed)(void); } DEEDS[] = {
    { "null", middle_null }, { "divide", middle_divide }, { "abort", middle_abort }, { "trap", middle_trap }, { "undefined", middle_undefined },
    { "jump", middle_jump }, { "overflow", middle_overflow }, A(other_null), A(other_overflow), A(other_bare), A(other_c11), A(many_threads), A(leaving_threads), A(at_once),
    A(forge_and_live), A(forge_and_answer), A(forge_and_abort), A(forge_often), A(forge_nonsense), A(send_segv),
};

#ifdef CTOR
__attribute__((constructor)) static void early(void) { after = middle_null(); }
#endif

/* ------------------------------------------------------------------ the plugin around it */

static croupier_host host;

static croupier_status say(const croupier_sink *to, const char *s)
{
    return to->write(to->ctx, (const uint8_t *)s, strlen(s));
}

static croupier_status init(const croupier_host *from, croupier_slice settings, void **game)
{
    (void)settings;
    host = *from;
#ifdef SLOW_INIT
    sleep(3);
#endif
    *game = &host;
    return CROUPIER_OK;
}

static void over(void *game) { (void)game; }

static croupier_status session_open(void *game, const croupier_turn *turn, croupier_slice config, const croupier_sink *reply, void **session)
{
    (void)game, (void)turn, (void)config;
    *session = &host;
    return say(reply, "{}");
}

static croupier_status session_restore(void *game, uint64_t id, uint32_t version, croupier_slice snapshot, void **session)
{
    (void)game, (void)id, (void)version, (void)snapshot;
    *session = &host;
    return CROUPIER_OK;
}

static croupier_status session_close(void *game, void *session, const croupier_turn *turn, const croupier_sink *reply)
{
    (void)game, (void)session;
    return turn == NULL ? CROUPIER_OK : say(reply, "{}");
}

DEEP static croupier_status action(void *game, void *session, const croupier_turn *turn, croupier_slice what, const croupier_sink *reply)
{
    (void)game, (void)session, (void)turn;
    for (size_t i = 0; i < sizeof DEEDS / sizeof *DEEDS; i++) {
        size_t len = strlen(DEEDS[i].name);
        if (what.len == len + 2 && memcmp(what.ptr + 1, DEEDS[i].name, len) == 0) {
            long result = DEEDS[i].deed();
            return say(reply, result == 42 ? "42" : result == 0 ? "0" : "-1");
        }
    }
    return CROUPIER_E_BAD_INPUT;
}

static croupier_status snapshot(void *game, void *session, const croupier_sink *to)
{
    (void)game, (void)session;
    return say(to, "s");
}

static const croupier_descriptor DESCRIPTOR = {
    .struct_size = sizeof DESCRIPTOR, .abi_minor = CROUPIER_ABI_MINOR, .name = "crasher", .version = "1.0.0", .state_version = 1,
};
static const croupier_vtable VTABLE = {
    .struct_size = sizeof VTABLE, .init = init, .shutdown = over, .session_open = session_open, .session_restore = session_restore,
    .session_close = session_close, .action = action, .snapshot = snapshot,
};
CROUPIER_EXPORT_PLUGIN(DESCRIPTOR, VTABLE);
