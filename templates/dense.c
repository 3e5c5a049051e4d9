// SPDX-License-Identifier: Apache-2.0
/* dense.c: y = x W + b, then relu or nothing. The weights are panels of PANEL columns, one after the other, the last one
 * rounded up to 8 (see dense_tile.c; ORDER with compiler/pack.c).
 *
 * Words: NAME, IN, OUT, PANEL, RELU, AHEAD (prefetch?), SIZES, and PANEL_ROWS of dense_tile.c.
 */
#ifndef NAME
#include "dense_tile.c"
#define NAME dense_sample
#define IN 3
#define OUT 50
#define PANEL 48
#define RELU 1
#define AHEAD 1
#define SIZES
#endif

/*@ begin kernel */
static TARGET void NAME(const float *x, size_t xs, size_t rows, const float *w, float *y, size_t ys SIZES)
{
    for (size_t j = 0; j < OUT; j += PANEL) {
        const size_t columns = OUT - j < PANEL ? OUT - j : PANEL, pitch = (columns + 7) / 8 * 8;
        const float *next = w + (1 + IN) * pitch;
        const struct panel p = {w, IN, pitch, columns, RELU, (const char *)next, AHEAD ? pitch / 4 : 0};
        PANEL_ROWS(p, x, xs, rows, y + j, ys);
        w = next;
    }
}
/*@ end */
