// SPDX-License-Identifier: Apache-2.0
/* main.c: a bare-metal program with a model: tests the model on the device, scores some rows, prints the scores.
 *
 * No C library: the model needs none, and the rest is here and in a start-up file.
 */
#include "rows.h" /* generated: ROWS, rows[ROWS][TINY_INPUTS], the bits of floats */
#include "tiny.h"

#include "board.h"

static void put_text(const char *s)
{
    for (; *s; s++)
        put_char(*s);
}

static void put_number(uint32_t n, uint32_t digits)
{
    if (digits > 1)
        put_number(n / 10, digits - 1);
    put_char((char)('0' + n % 10));
}

/* Six decimals of a probability. */
static void put_probability(float p)
{
    const uint32_t millionths = (uint32_t)(p * 1e6f + 0.5f);
    put_number(millionths / 1000000, 1);
    put_char('.');
    put_number(millionths % 1000000, 6);
}

static void read_row(unsigned row, float x[TINY_INPUTS])
{
    for (unsigned i = 0; i < TINY_INPUTS; i++) {
        const union { uint32_t u; float f; } pun = {rows[row][i]};
        x[i] = pun.f;
    }
}

int main(void)
{
    float scratch[TINY_SCRATCH / sizeof(float)], x[TINY_INPUTS], y[TINY_OUTPUTS];
    if (tiny_self_test(scratch) != 0) {
        put_text("this build does not give the bits that mmoec computed\n");
        return 1;
    }
    for (unsigned row = 0; row < ROWS; row++) {
        read_row(row, x);
        tiny_score(x, 1, y, scratch);
        for (unsigned i = 0; i < TINY_OUTPUTS; i++) {
            put_probability(y[i]);
            put_char(i + 1 < TINY_OUTPUTS ? ' ' : '\n');
        }
    }
    return 0;
}
