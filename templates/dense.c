// SPDX-License-Identifier: Apache-2.0
/* dense.c: y = x W + b, then relu of the first columns. The weights are panels of PANEL columns, one after the other,
 * the last one rounded up to 8 (see dense_tile.c; ORDER with compiler/pack.c).
 *
 * Words: BODY, NAME, IN, OUT, RELU (so many columns), SIZES; ROOM (columns of y that may be written), PANEL, AHEAD
 * (prefetch?); PANEL_ROWS of dense_tile.c, or, where rows are few and known, its TILE_COLUMNS. Of the lanes' form, for
 * small models whose layers are one panel each: LANES_NAME, LANES_SIZES, and LANES_PANEL of dense_lanes.c.
 */
#ifndef NAME
#include "dense_lanes.c"
#define BODY static TARGET
#define NAME dense_sample
#define LANES_NAME dense_lanes_sample
#define IN 3
#define OUT 50
#define ROOM 50
#define PANEL 48
#define RELU 40
#define AHEAD 1
#define SIZES
#define LANES_SIZES
#endif

/*@ begin kernel */
BODY void NAME(const float *x, size_t xs, size_t rows, const float *w, float *y, size_t ys SIZES)
{
    for (size_t j = 0; j < OUT; j += PANEL) {
        const size_t columns = OUT - j < PANEL ? OUT - j : PANEL, pitch = (columns + 7) / 8 * 8;
        const float *next = w + (1 + IN) * pitch;
        const size_t floored = RELU - (RELU < j ? RELU : j);
        const struct panel p = {w, IN, pitch, ROOM - j, floored, (const char *)next, AHEAD ? pitch / 4 : 0};
        PANEL_ROWS(rows, &p, x, xs, y + j, ys);
        w = next;
    }
}
/*@ end */

/*@ begin lanes */
static TARGET void LANES_NAME(const float *x, size_t lanes, const float *w, float *y LANES_SIZES)
{
    const struct panel p = {w, IN, (OUT + 7) / 8 * 8, OUT, RELU, (const char *)w, 0};
    LANES_PANEL(&p, x, lanes, y);
}
/*@ end */
