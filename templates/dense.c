// SPDX-License-Identifier: Apache-2.0
/* dense.c: y = x W + b, then relu of the first columns. The weights are panels of PANEL columns, one after the other,
 * the last one rounded up to 8 (see dense_tile.c; ORDER with compiler/pack.c).
 *
 * Where inputs come in two parts, a panel has ALL of them: the first IN of them are summed from the bias, or, onto the
 * sums of the first part, y = from + x W, the last IN.
 *
 * Words: BODY, NAME, IN, ALL, OUT, RELU (so many columns), SIZES; ROOM (columns of y that may be written), PANEL, AHEAD
 * (prefetch?); PANEL_ROWS of dense_tile.c, or, where rows are few and known, its TILE_COLUMNS; W_TYPES and YS_PANEL (w
 * and ys, or those and from and fs behind them: as parameters, and as arguments for a panel); W_FIRST and NEXT_FIRST (w
 * and next, or where the last IN inputs' weights lie from there). Of the lanes' form, for small models whose layers are
 * one panel each: LANES_NAME, LANES_SIZES, and LANES_PANEL of dense_lanes.c; LANES_W_TYPES and Y_FROM (w and y, or
 * those and from).
 */
#ifndef NAME
#include "dense_lanes.c"
#define BODY static TARGET
#define NAME dense_sample
#define LANES_NAME dense_lanes_sample
#define IN 3
#define ALL 5
#define OUT 50
#define ROOM 50
#define PANEL 48
#define RELU 40
#define AHEAD 1
#define SIZES
#define W_TYPES w, const float *from, size_t fs
#define YS_PANEL ys, from + j, fs
#define W_FIRST w + (ALL - IN) * pitch
#define NEXT_FIRST (next + (ALL - IN) * pitch)
#define LANES_W_TYPES w
#define LANES_SIZES
#endif

/*@ begin kernel */
BODY void NAME(const float *x, size_t xs, size_t rows, const float *W_TYPES, float *y, size_t ys SIZES)
{
    for (size_t j = 0; j < OUT; j += PANEL) {
        const size_t columns = OUT - j < PANEL ? OUT - j : PANEL, pitch = (columns + 7) / 8 * 8;
        const float *next = w + (1 + ALL) * pitch;
        const size_t floored = RELU - (RELU < j ? RELU : j);
        const struct panel p = {W_FIRST, IN, pitch, ROOM - j, floored, (const char *)NEXT_FIRST, AHEAD ? pitch / 4 : 0};
        PANEL_ROWS(rows, &p, x, xs, y + j, YS_PANEL);
        w = next;
    }
}
/*@ end */

/*@ begin lanes */
static TARGET void LANES_NAME(const float *x, size_t lanes, const float *LANES_W_TYPES, float *y LANES_SIZES)
{
    const struct panel p = {w, IN, (OUT + 7) / 8 * 8, OUT, RELU, (const char *)w, 0};
    LANES_PANEL(&p, x, lanes, Y_FROM);
}
/*@ end */
