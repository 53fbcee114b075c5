/*
 * kernels.c: the work itself. See kernels.h for what it is for and what a unit of each is.
 *
 * Units are small (20 to 150 ns natively) so that turns of every length can be made of them, and state is set up bit by bit as units need it,
 * so that a short turn pays for no more than it uses. Floating point is compiled without contraction (-ffp-contract=off): results
 * are the same to the last bit whatever vectors the machine has, which is what a game that is replayed needs anyway.
 */
#include "kernels.h"

/* SplitMix64: a counter and a mixer. */
#define GOLDEN 0x9e3779b97f4a7c15u

static inline uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static inline uint64_t next(uint64_t *state)
{
    *state += GOLDEN;
    return mix(*state);
}

/* ------------------------------------------------------------------ craps */

static inline uint32_t throw_two(uint64_t *state)
{
    uint64_t bits = next(state);
    uint32_t one = (uint32_t)(((bits >> 32) * 6) >> 32);
    uint32_t two = (uint32_t)(((bits & 0xffffffffu) * 6) >> 32);
    return one + two + 2;
}

static uint64_t craps(uint64_t seed, uint32_t rounds)
{
    uint64_t state = seed;
    uint64_t won = 0;
    uint32_t round;
    for (round = 0; round < rounds; round++) {
        uint32_t point = throw_two(&state);
        uint32_t sum;
        if (point == 7 || point == 11) {
            won++;
            continue;
        }
        if (point == 2 || point == 3 || point == 12)
            continue;
        do
            sum = throw_two(&state);
        while (sum != point && sum != 7);
        won += sum == point;
    }
    return mix(won) ^ state;
}

/* ------------------------------------------------------------------ poker */

/* Sets of ranks are 13 bits: bit 0 the two, bit 12 the ace. Categories stand above two such sets. */
#define CATEGORY(N) ((uint32_t)(N) << 26)
#define ACE 12

static inline uint32_t highest(uint32_t set)
{
    return 0x80000000u >> __builtin_clz(set);
}

/* The `count` highest ranks of a set. */
static inline uint32_t top(uint32_t set, int count)
{
    uint32_t kept = 0;
    while (count-- > 0 && set != 0) {
        uint32_t bit = highest(set);
        kept |= bit;
        set ^= bit;
    }
    return kept;
}

/* The upper end of the best five in a row, 0 when there are none. The ace stands below the two as well. */
static inline uint32_t straight(uint32_t set)
{
    uint32_t row = (set << 1) | (set >> ACE);
    row &= row << 1; /* two in a row end here */
    row &= row << 2; /* four */
    row &= ((set << 1) | (set >> ACE)) << 4;
    return row == 0 ? 0 : highest(row);
}

/* How good the best five of seven cards are. A card is rank * 4 + suit. */
static uint32_t rank_seven(const uint8_t *cards)
{
    uint32_t once = 0, twice = 0, thrice = 0, all_four = 0, flush = 0, end, pairs, bit;
    uint32_t suits[4] = { 0, 0, 0, 0 };
    int i;
    for (i = 0; i < 7; i++) {
        bit = 1u << (cards[i] >> 2);
        all_four |= thrice & bit;
        thrice |= twice & bit;
        twice |= once & bit;
        once |= bit;
        suits[cards[i] & 3] |= bit;
    }
    for (i = 0; i < 4; i++)
        if (__builtin_popcount(suits[i]) >= 5)
            flush = suits[i];
    if (flush != 0 && (end = straight(flush)) != 0)
        return CATEGORY(8) | end;
    if (all_four != 0)
        return CATEGORY(7) | all_four << 13 | highest(once & ~all_four);
    pairs = twice & ~thrice;
    if (thrice != 0) {
        bit = highest(thrice);
        if ((twice & ~bit) != 0)
            return CATEGORY(6) | bit << 13 | highest(twice & ~bit);
    }
    if (flush != 0)
        return CATEGORY(5) | top(flush, 5);
    if ((end = straight(once)) != 0)
        return CATEGORY(4) | end;
    if (thrice != 0)
        return CATEGORY(3) | thrice << 13 | top(once & ~thrice, 2);
    if ((pairs & (pairs - 1)) != 0) {
        pairs = top(pairs, 2);
        return CATEGORY(2) | pairs << 13 | highest(once & ~pairs);
    }
    if (pairs != 0)
        return CATEGORY(1) | pairs << 13 | top(once & ~pairs, 3);
    return top(once, 5);
}

static uint64_t poker(uint64_t seed, uint32_t hands)
{
    uint64_t state = seed, sum = 0;
    uint8_t deck[52];
    uint32_t hand, i;
    for (i = 0; i < 52; i++)
        deck[i] = (uint8_t)i;
    for (hand = 0; hand < hands; hand++) {
        for (i = 0; i < 7; i++) {
            uint32_t from = i + (uint32_t)(((next(&state) >> 32) * (52 - i)) >> 32);
            uint8_t card = deck[from];
            deck[from] = deck[i];
            deck[i] = card;
        }
        sum = sum * 31 + rank_seven(deck);
    }
    return sum;
}

/* ------------------------------------------------------------------ n-body */

#define BODIES 5

static const double MASSES[BODIES] = { 40.0, 0.04, 0.01, 0.002, 0.001 };
static const double PLACES[BODIES][3] = {
    { 0, 0, 0 }, { 5.0, -1.0, 0.1 }, { -8.0, 4.0, -0.4 }, { 12.0, 15.0, 0.2 }, { -15.0, 25.0, 0.3 }
};

static inline uint64_t bits_of(double value)
{
    uint64_t bits;
    __builtin_memcpy(&bits, &value, sizeof bits);
    return bits;
}

static uint64_t nbody(uint64_t seed, uint32_t steps)
{
    const double dt = 0.001;
    double place[BODIES][3], speed[BODIES][3];
    uint64_t state = seed, sum = 0;
    uint32_t step;
    int i, j, k;
    for (i = 0; i < BODIES; i++)
        for (k = 0; k < 3; k++) {
            place[i][k] = PLACES[i][k];
            speed[i][k] = (double)(next(&state) >> 44) * 1e-6 - 0.5;
        }
    for (step = 0; step < steps; step++) {
        for (i = 0; i < BODIES; i++)
            for (j = i + 1; j < BODIES; j++) {
                double x = place[i][0] - place[j][0];
                double y = place[i][1] - place[j][1];
                double z = place[i][2] - place[j][2];
                double apart = x * x + y * y + z * z + 1e-3;
                double pull = dt / (apart * __builtin_sqrt(apart));
                double to_i = MASSES[j] * pull, to_j = MASSES[i] * pull;
                speed[i][0] -= x * to_i;
                speed[i][1] -= y * to_i;
                speed[i][2] -= z * to_i;
                speed[j][0] += x * to_j;
                speed[j][1] += y * to_j;
                speed[j][2] += z * to_j;
            }
        for (i = 0; i < BODIES; i++)
            for (k = 0; k < 3; k++)
                place[i][k] += dt * speed[i][k];
    }
    for (i = 0; i < BODIES; i++)
        for (k = 0; k < 3; k++)
            sum = sum * 31 + bits_of(place[i][k]);
    return sum;
}

/* ------------------------------------------------------------------ particles */

#define BLOCK 64   /* particles of a unit */
#define BLOCKS 16  /* 1,024 particles, 16 KiB: an engine's hot arrays, in the first cache */
#define WIDTH 1024 /* of the room, and where particles start */

static float px[BLOCKS * BLOCK], py[BLOCKS * BLOCK], vx[BLOCKS * BLOCK], vy[BLOCKS * BLOCK];

static void scatter(uint32_t from, uint32_t seed)
{
    uint32_t i;
    for (i = from; i < from + BLOCK; i++) {
        uint32_t bits = (i + seed) * 0x9e3779b1u;
        bits ^= bits >> 15;
        px[i] = (float)(int32_t)(bits & (WIDTH - 1));
        py[i] = (float)(int32_t)((bits >> 10) & (WIDTH - 1));
        vx[i] = (float)(int32_t)((bits >> 20) & 63) - 32.0f;
        vy[i] = (float)(int32_t)((bits >> 26) & 63) - 32.0f;
    }
}

/* Gravity, drag, a floor that takes energy, two walls that do not. */
static void fly(uint32_t from)
{
    const float dt = 1.0f / 60, drag = 0.999f, fall = 9.81f * dt;
    uint32_t i;
    for (i = from; i < from + BLOCK; i++) {
        float u = vx[i] * drag;
        float v = (vy[i] - fall) * drag;
        float x = px[i] + u * dt;
        float y = py[i] + v * dt;
        u = x < 0.0f || x > (float)WIDTH ? -u : u;
        v = y < 0.0f ? v * -0.8f : v;
        y = y < 0.0f ? -y : y;
        px[i] = x;
        py[i] = y;
        vx[i] = u;
        vy[i] = v;
    }
}

/* Sums of bits, not of floats: they may be added in any order, so every compiler may use its vectors. */
static uint32_t look(uint32_t from)
{
    uint32_t sum = 0, i;
    for (i = from; i < from + BLOCK; i++) {
        uint32_t x, y;
        __builtin_memcpy(&x, &px[i], sizeof x);
        __builtin_memcpy(&y, &py[i], sizeof y);
        sum += x ^ (y >> 3);
    }
    return sum;
}

static uint64_t particles(uint64_t seed, uint32_t ticks)
{
    uint64_t sum = seed;
    uint32_t tick;
    for (tick = 0; tick < ticks; tick++) {
        uint32_t from = tick % BLOCKS * BLOCK;
        if (tick < BLOCKS)
            scatter(from, (uint32_t)mix(seed));
        fly(from);
        sum = sum * 31 + look(from);
    }
    return sum;
}

/* ------------------------------------------------------------------ grid */

#define COLUMNS 128
#define ROWS 64

/* Two generations, each with a border of dead cells that is never written. */
static uint8_t cells[2][ROWS + 2][COLUMNS + 2];

static void sow(uint32_t row, uint64_t seed)
{
    uint64_t bits = mix(seed + row * GOLDEN);
    uint8_t a = (uint8_t)bits | 1, b = (uint8_t)(bits >> 8);
    uint8_t *to = cells[0][row] + 1;
    uint32_t x;
    for (x = 0; x < COLUMNS; x++) {
        uint8_t at = (uint8_t)x;
        to[x] = (uint8_t)((uint8_t)((uint8_t)(at * at) + (uint8_t)(a * at) + b) >> 4) & 1;
    }
}

/* One row of the next generation; returns how many of its cells live. */
static uint32_t live(const uint8_t *restrict up, const uint8_t *restrict here, const uint8_t *restrict down,
                     uint8_t *restrict to)
{
    uint8_t parts[4] = { 0, 0, 0, 0 };
    uint32_t part, x;
    for (part = 0; part < 4; part++) {
        uint8_t count = 0; /* of 32 cells: bytes suffice */
        for (x = part * (COLUMNS / 4); x < (part + 1) * (COLUMNS / 4); x++) {
            uint8_t near = (uint8_t)(up[x] + up[x + 1] + up[x + 2] + here[x] + here[x + 2] + down[x] + down[x + 1]
                                     + down[x + 2]);
            uint8_t lives = (uint8_t)((near == 3) | (here[x + 1] & (near == 2)));
            to[x + 1] = lives;
            count = (uint8_t)(count + lives);
        }
        parts[part] = count;
    }
    return (uint32_t)parts[0] + parts[1] + parts[2] + parts[3];
}

static uint64_t grid(uint64_t seed, uint32_t units)
{
    uint64_t sum = seed;
    uint32_t unit;
    for (unit = 0; unit < units; unit++) {
        uint32_t row = unit % ROWS + 1, old = unit / ROWS % 2;
        if (unit == 0)
            sow(1, seed);
        if (unit < ROWS - 1)
            sow(row + 1, seed);
        sum = sum * 31
              + live(cells[old][row - 1], cells[old][row], cells[old][row + 1], cells[1 - old][row]);
    }
    return sum;
}

/* ------------------------------------------------------------------ the calls */

BENCH_EXPORT("run") uint64_t run(uint32_t kernel, uint64_t seed, uint32_t units)
{
    if (units == 0)
        return seed;
    switch (kernel) {
    case KERNEL_CRAPS:
        return craps(seed, units);
    case KERNEL_POKER:
        return poker(seed, units);
    case KERNEL_NBODY:
        return nbody(seed, units);
    case KERNEL_PARTICLES:
        return particles(seed, units);
    case KERNEL_GRID:
        return grid(seed, units);
    default:
        return seed;
    }
}

static inline uint64_t get_le(const uint8_t *at, int bytes)
{
    uint64_t value = 0;
    int i;
    for (i = 0; i < bytes; i++)
        value |= (uint64_t)at[i] << (8 * i);
    return value;
}

static inline void put_le(uint8_t *at, uint64_t value)
{
    int i;
    for (i = 0; i < 8; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

BENCH_EXPORT("bench_turn") uint32_t bench_turn(const uint8_t *in, uint32_t len, uint8_t *out)
{
    if (len != TURN_BYTES)
        return 0;
    put_le(out, run((uint32_t)get_le(in, 4), get_le(in + 8, 8), (uint32_t)get_le(in + 4, 4)));
    return TURN_REPLY_BYTES;
}

BENCH_EXPORT("bench_echo") uint32_t bench_echo(const uint8_t *in, uint32_t len, uint8_t *out)
{
    if (len < 8 || len > CALL_BYTES_MAX)
        return 0;
    __builtin_memcpy(out + 8, in + 8, len - 8);
    put_le(out, get_le(in, 8) + 1);
    return len;
}

#ifdef __wasm__
/* Where the host writes requests and reads replies: WASM has no memory of its caller's. */
static uint8_t input[CALL_BYTES_MAX], output[CALL_BYTES_MAX];

BENCH_EXPORT("bench_input") uint8_t *bench_input(void)
{
    return input;
}

BENCH_EXPORT("bench_output") uint8_t *bench_output(void)
{
    return output;
}
#endif
