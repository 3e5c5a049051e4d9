// SPDX-License-Identifier: Apache-2.0
/* firmware.c: what tests/firmware.sh runs on each machine; linked with a model of a small core's target.
 *
 * Prints the self test's result, then the bits of scores of rows by a small generator, of subnormals, infinities and
 * NaNs: every machine of a numeric class must print the same. On bare metal (BARE) also, apart by a '#', the deepest
 * stack and the ticks of rows: SysTick's or instructions. Everything is on the stack: the image has no writable data.
 */
#include MODEL_H

#include "board.h"

#define PASTE2(a, b) a##b
#define PASTE(a, b) PASTE2(a, b)
#define SCORE PASTE(MODEL, _score)
#define SELF_TEST PASTE(MODEL, _self_test)

#define ROWS 24
#define PATTERN UINT32_C(0xa5a5a5a5)

static void put_text(const char *s)
{
    for (; *s; s++)
        put_char(*s);
}

static void put_hex(uint32_t x)
{
    for (int shift = 28; shift >= 0; shift -= 4)
        put_char("0123456789abcdef"[x >> shift & 15]);
    put_char('\n');
}

static uint32_t bits_of(float x)
{
    const union { float f; uint32_t u; } pun = {x};
    return pun.u;
}

static float float_of(uint32_t u)
{
    const union { uint32_t u; float f; } pun = {u};
    return pun.f;
}

/* A row of one number of each kind that is special among usual ones, or, from 7 on, of usual ones. */
static void make_row(float *x, unsigned row, uint32_t *seed)
{
    static const uint32_t special[] = {0x00000001, 0x807fffff, 0x7f800000, 0xff800000, 0x7fc00001, 0xff800001, 0x7f7fffff};
    for (unsigned i = 0; i < INPUTS; i++) {
        *seed = *seed * UINT32_C(1664525) + UINT32_C(1013904223);
        x[i] = (float)((int32_t)(*seed >> 8) - INT32_C(0x800000)) * 0x1p-21f;
        if (row < 7 && i % 3 == 0)
            x[i] = float_of(special[row]);
    }
}

#ifdef BARE
/* Fills the free memory with a pattern and looks how deep a call went. */
static uint32_t __attribute__((noinline)) stack_of_score(const float *x, float *y, void *scratch)
{
    volatile uint32_t here, *bottom = (volatile uint32_t *)(void *)stack_bottom, *p = bottom;
    for (; p < &here - 16; p++)
        *p = PATTERN;
    SCORE(x, 1, y, scratch);
    for (p = bottom; *p == PATTERN; p++)
        ;
    return (uint32_t)((const volatile char *)&here - (const volatile char *)p);
}

static void measure(void)
{
    float x[INPUTS], y[OUTPUTS];
    uint32_t scratch[SCRATCH / 4], seed = 7;
    make_row(x, 7, &seed);
    put_text("# stack ");
    put_hex(stack_of_score(x, y, scratch));
    const uint32_t first = ticks(), none = ticks() - first;
    for (int i = 0; i < 4; i++)
        SCORE(x, 1, y, scratch);
    const uint32_t last = ticks();
    put_text("# ticks of 4 rows ");
    put_hex((last - first - 2 * none) & 0xffffff);
}
#endif

int main(void)
{
    float x[2 * INPUTS], y[2 * OUTPUTS];
    uint32_t scratch[SCRATCH / 4], seed = 3;
    const int self = SELF_TEST(scratch);
    put_text("self test ");
    put_hex((uint32_t)self);
    for (unsigned row = 0; row < ROWS; row += 2) {
        make_row(x, row, &seed);
        make_row(x + INPUTS, row + 1, &seed);
        SCORE(x, 2, y, scratch);
        for (unsigned i = 0; i < 2 * OUTPUTS; i++)
            put_hex(bits_of(y[i]));
    }
#ifdef BARE
    measure();
#endif
    return self;
}
