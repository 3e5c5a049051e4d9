// SPDX-License-Identifier: Apache-2.0
/* dense.c: y = x W + b, then the epilogue. The weights are panels of 48 columns, one after the other, the last one
 * rounded up to 8 (see dense_tile.c; ORDER with compiler/pack.c).
 *
 * Words: NAME, IN, OUT, SIZES, and the functions of dense_tile.c: TILE_PANEL, ROW_PANEL.
 */
#ifndef NAME
#include "dense_tile.c"
#define NAME dense_sample
#define IN 3
#define OUT 50
#define SIZES
#endif

/*@ begin kernel */
static TARGET void NAME(const float *x, size_t xs, size_t rows, const float *w, float *y, size_t ys SIZES)
{
    for (size_t j = 0; j < OUT; j += 48) {
        const size_t n = OUT - j < 48 ? OUT - j : 48, pitch = (n + 7) / 8 * 8;
        size_t r = 0;
        for (; r + TILE_ROWS <= rows; r += TILE_ROWS)
            TILE_PANEL(x + r * xs, xs, IN, w, pitch, y + r * ys + j, ys, n);
        for (; r < rows; r++)
            ROW_PANEL(x + r * xs, IN, w, pitch, y + r * ys + j, n);
        w += (1 + IN) * pitch;
    }
}
/*@ end */
