/*
 * Where frames go: part of attack.c. Over a socket that is descriptor 3. Over a ring it is memory that the plugin was never told of, but lies in its own process: it is found by
 * asking futex(2) what is mapped, and written to behind the worker's back. The layout is that of worker/ring: two directions of six words each on lines of 128 bytes in the
 * first page, then the bytes of both.
 */
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>

enum { HEAD, TAIL, READER, WRITER, CPU, GONE, WORDS };
enum { LINE_BYTES = 128, WORDS_BYTES = 4096, RING_BYTES = 256 << 10, TOTAL_BYTES = WORDS_BYTES + 2 * RING_BYTES };
enum { TO_US, FROM_US };

/* Whether something readable is mapped there. A value that differs, or else no time at all: either way nobody waits. */
static int is_there(uintptr_t at)
{
    struct timespec none = { 0, 0 };
    return syscall(SYS_futex, at, FUTEX_WAIT_PRIVATE, 0x5eaf00d5, &none, 0, 0) == 0 || errno != EFAULT;
}
/* A page of words: nothing between them, and some bytes have gone both ways. */
static int is_words(uintptr_t at)
{
    const uint32_t *w = (const uint32_t *)at;
    for (int i = 0; i < WORDS_BYTES / 4; i++)
        if (w[i] != 0 && (i % (LINE_BYTES / 4) != 0 || i >= 2 * WORDS * LINE_BYTES / 4)) return 0;
    for (int way = TO_US; way <= FROM_US; way++) {
        const uint32_t *words = w + way * WORDS * LINE_BYTES / 4;
        uint32_t head = words[0], tail = words[LINE_BYTES / 4];
        if (head == 0 || head - tail > RING_BYTES || words[READER * LINE_BYTES / 4] > 2 || words[WRITER * LINE_BYTES / 4] > 2) return 0;
    }
    return 1;
}
static char *ring_found;
/* The ring; null where there is none. */
static char *ring(void)
{
    static int looked;
    const uintptr_t here = (uintptr_t)&ring_found & ~4095ul, far = 1ul << 30;
    if (looked) return ring_found;
    looked = 1;
    for (uintptr_t away = 0; away < far; away += RING_BYTES)
        for (int up = 0; up < 2; up++) {
            uintptr_t at = up ? here + away : here - away;
            for (uintptr_t back = 0; back < TOTAL_BYTES + 4096 && is_there(at - back); back += 4096)
                if (is_words(at - back)) return ring_found = (char *)(at - back);
        }
    return 0;
}
static long ring_is_there(void) { return ring() ? 1 : 0; }

static _Atomic uint32_t *word(int way, int which) { return (_Atomic uint32_t *)(ring() + (way * WORDS + which) * LINE_BYTES); }
static char *bytes_of(int way) { return ring() + WORDS_BYTES + way * RING_BYTES; }

/* As the worker would after publishing: the supervisor is told, if it wishes so. */
static void tell(void)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (*word(FROM_US, READER) != 0) {
        *word(FROM_US, READER) = 0;
        write(3, "", 1);
    }
}
/* Whether to sleep, or to look all the time, while there is no room. */
static int patient = 1;
/* Puts bytes behind those of the worker, as soon as there is room. */
static long push(const void *bytes, size_t n)
{
    if (!ring()) return result(write(3, bytes, n));
    for (const char *from = bytes; n > 0;) {
        uint32_t head = *word(FROM_US, HEAD), room = RING_BYTES - (head - *word(FROM_US, TAIL)), at = head % RING_BYTES;
        size_t part = n < room ? n : room;
        if (part == 0 && patient) usleep(50);
        if (part > RING_BYTES - at) part = RING_BYTES - at;
        memcpy(bytes_of(FROM_US) + at, from, part);
        *word(FROM_US, HEAD) = head + part;
        tell();
        from += part;
        n -= part;
    }
    return 0;
}
/* The worker knows nothing of what was pushed, and writes over it with its next answer: wait until it was taken. It is not, when it was bad enough. */
static void wait_until_taken(void)
{
    while (ring() && *word(FROM_US, TAIL) != *word(FROM_US, HEAD)) usleep(100);
}
/* Puts frames where frames go, as one who writes to the link. */
static long say(const void *bytes, size_t n)
{
    long r = push(bytes, n);
    wait_until_taken();
    return r;
}

/* ------------------------------------------------------------------ what can be done to a ring alone */

/* Sets a word and has the supervisor look, until something happens: the turn's deadline, if nothing else. */
static long set_and_wait(int way, int which, uint32_t to)
{
    if (!ring()) return -ENXIO;
    *word(way, which) = to;
    write(3, "", 1);
    sleep(60);
    return 0;
}
static long head_far_ahead(void) { return ring() ? set_and_wait(FROM_US, HEAD, *word(FROM_US, HEAD) + RING_BYTES + 1) : -ENXIO; }
static long head_half_way_round(void) { return ring() ? set_and_wait(FROM_US, HEAD, *word(FROM_US, HEAD) + (1u << 31)) : -ENXIO; }
static long head_back(void) { return ring() ? set_and_wait(FROM_US, HEAD, *word(FROM_US, HEAD) - 1) : -ENXIO; }
/* Old bytes once more, as if they were new: a whole ring full of them. */
static long head_full_of_old(void) { return ring() ? set_and_wait(FROM_US, HEAD, *word(FROM_US, HEAD) + RING_BYTES) : -ENXIO; }
/* The supervisor looks at the tail when it has no room. It takes some turns of other sessions to come to that; the words are garbled until then. */
static long tail_ahead(void) { if (!ring()) return -ENXIO; *word(TO_US, TAIL) += 1000; return 0; }
static long tail_back(void) { if (!ring()) return -ENXIO; *word(TO_US, TAIL) -= 1000; return 0; }
/* It is the worker's own answer that makes no sense then. */
static long own_tail_ahead(void) { if (!ring()) return -ENXIO; *word(FROM_US, TAIL) += RING_BYTES / 2; return 0; }
/* The worker believes that the supervisor has gone. */
static long say_that_it_is_gone(void) { if (!ring()) return -ENXIO; *word(TO_US, GONE) = 1; return 0; }
static long words_full_of_garbage(void)
{
    if (!ring()) return -ENXIO;
    for (int way = TO_US; way <= FROM_US; way++)
        for (int which = HEAD; which < WORDS; which++) *word(way, which) = 0xdeadbeef * (which + 1);
    write(3, "", 1);
    sleep(60);
    return 0;
}
static long first_page_full_of_garbage(void)
{
    if (!ring()) return -ENXIO;
    memset(ring(), 0xa5, WORDS_BYTES);
    write(3, "", 1);
    sleep(60);
    return 0;
}
/* What the worker has read already, and what it will write over: nobody minds. */
static long bytes_full_of_garbage(void) { if (!ring()) return -ENXIO; memset(bytes_of(TO_US), 0xa5, 2 * RING_BYTES); return 0; }
static long garbage_published(void)
{
    if (!ring()) return -ENXIO;
    memset(bytes_of(FROM_US), 0xa5, RING_BYTES);
    return set_and_wait(FROM_US, HEAD, *word(FROM_US, TAIL) + RING_BYTES);
}
/* As one that sleeps, and waits for room, all the time: the supervisor wakes it in vain, each time it sends or takes something. */
static long wants_to_be_woken_for_ever(void)
{
    if (!ring()) return -ENXIO;
    for (;;)
        for (uint32_t how = 1; how < 5; how++) *word(TO_US, READER) = *word(FROM_US, WRITER) = how;
}
static long rings_for_ever(void)
{
    static char many[4096];
    if (!ring()) return -ENXIO;
    for (;;) write(3, many, sizeof many);
}
static long rings_one_by_one(void) { if (!ring()) return -ENXIO; for (;;) write(3, "", 1); }
/* Takes back that the supervisor wishes to be told, so that it never is; answers as if nothing were. */
static long never_rings(void)
{
    if (!ring()) return -ENXIO;
    for (;;) *word(FROM_US, READER) = 0;
}
/* The bell is gone; the ring is not. */
static long closes_the_bell(void) { if (!ring()) return -ENXIO; return result(close(3)); }
/* Nothing but frames that have begun: what is in the ring is taken all the same. */
static long fills_the_ring(void)
{
    static char f[RING_BYTES] = "\377\377\017\0\122\0\1";
    if (!ring()) return -ENXIO;
    for (;;) push(f, sizeof f);
}
/* The mapping itself: holes in it, another one of it, none of it. */
static long holes_in_the_ring(void) { if (!ring()) return -ENXIO; return result(madvise(ring() + WORDS_BYTES, 2 * RING_BYTES, MADV_REMOVE)); }
static long hole_in_the_words(void) { if (!ring()) return -ENXIO; long r = result(madvise(ring(), WORDS_BYTES, MADV_REMOVE)); write(3, "", 1); sleep(60); return r; }
static long second_mapping(void) { if (!ring()) return -ENXIO; return pointer(mremap(ring(), 0, TOTAL_BYTES, MREMAP_MAYMOVE)); }
static long longer_mapping(void)
{
    char *longer = ring() ? mremap(ring(), TOTAL_BYTES, TOTAL_BYTES + 4096, MREMAP_MAYMOVE) : MAP_FAILED;
    /* Behind the end of what is sealed. */
    return longer == MAP_FAILED ? -ENXIO : (longer[TOTAL_BYTES] = 1);
}
static long unmaps_the_ring(void) { if (!ring()) return -ENXIO; return result(munmap(ring(), TOTAL_BYTES)); }
static long code_from_the_ring(void) { if (!ring()) return -ENXIO; return result(mprotect(ring(), TOTAL_BYTES, PROT_READ | PROT_EXEC)); }
/* Locks of the kernel's on words that the supervisor wakes. */
static long owner_of_a_word(void)
{
    if (!ring()) return -ENXIO;
    syscall(SYS_futex, word(TO_US, READER), FUTEX_LOCK_PI, 0, 0, 0, 0);
    return 0;
}
/* A whole answer to the oldest call, that changes while it is read: from a thread, again and again. */
static void *rewrite(void *x)
{
    for (;;)
        for (int i = 0; i < RING_BYTES; i++) bytes_of(FROM_US)[i] ^= (char)(i * 31 + 7);
    return x;
}
static long rewrites_from_a_thread(void)
{
    pthread_t t;
    if (!ring()) return -ENXIO;
    int r = pthread_create(&t, 0, rewrite, 0);
    if (r != 0) return -r;
    static char f[16 + 5 + 60000] = { 0x75, 0xea, 0, 0, 0x53, 0, 1 };
    memcpy(f + 16, "\6\1\373\x60\xea", 5);
    for (;;) push(f, sizeof f);
}

/* Threads that stay when the turn is over: one that rings for ever, one that never lets the supervisor be told, one that garbles what has been read of what comes in. */
static void *ring_on(void *x) { for (;;) write(3, "", 1); return x; }
static void *silence(void *x) { for (;;) *word(FROM_US, READER) = 0; return x; }
static void *garble_tail(void *x) { for (;;) *word(TO_US, TAIL) += 1000; return x; }
static long leave(void *(*thread)(void *))
{
    pthread_t t;
    return ring() ? -pthread_create(&t, 0, thread, 0) : -ENXIO;
}
static long leave_a_ringer(void) { return leave(ring_on); }
static long leave_a_silencer(void) { return leave(silence); }
static long leave_a_garbler(void) { return leave(garble_tail); }

#define RING_ATTACKS \
    A(ring_is_there), A(head_far_ahead), A(head_half_way_round), A(head_back), A(head_full_of_old), A(tail_ahead), A(tail_back), A(own_tail_ahead), \
    A(say_that_it_is_gone), A(words_full_of_garbage), A(first_page_full_of_garbage), A(bytes_full_of_garbage), A(garbage_published), \
    A(wants_to_be_woken_for_ever), A(rings_for_ever), A(rings_one_by_one), A(never_rings), A(closes_the_bell), A(fills_the_ring), \
    A(holes_in_the_ring), A(hole_in_the_words), A(second_mapping), A(longer_mapping), A(unmaps_the_ring), A(code_from_the_ring), A(owner_of_a_word), \
    A(rewrites_from_a_thread), A(leave_a_ringer), A(leave_a_silencer), A(leave_a_garbler)
