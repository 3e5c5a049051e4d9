// SPDX-License-Identifier: Apache-2.0
/* dense_lanes.c: a dense layer of a small model, rows in lanes.
 *
 * x and y are [column][LANES]; the weights are one panel, [1 + in][pitch] as in dense_tile.c. A tile of columns x vecs
 * vectors of rows stays in registers while k runs over the inputs, each weight broadcast: the same chains as there.
 *
 * Words: LANES_TILE, LANES_COLUMNS, LANES_PANEL (names), COLUMNS_CASES (CASE of every number of columns that occurs),
 * LANES_START (where a column's sums start: the bias, or, going onto others, its place in one row for all lanes, from),
 * Y_TYPES, Y_FROM, L_FROM (y, y, l, or those and from behind them: as parameters, and as arguments).
 */
#ifndef LANES_TILE
#include "math.h"
#include "dense_tile.c"
#define LANES_TILE lanes_tile_sample
#define LANES_COLUMNS lanes_columns_sample
#define LANES_PANEL lanes_panel_sample
#define COLUMNS_CASES CASE(1) CASE(5) CASE(10)
#define LANES_START v_all(w[i / vecs])
#define Y_TYPES y
#define Y_FROM y
#define L_FROM l
#endif

/*@ begin tile */
/* columns from c on, of vecs vectors of rows. */
BLOCK_BODY TARGET void LANES_TILE(const size_t columns, const size_t vecs, const struct panel *p, size_t c, const float *x,
                                  float *Y_TYPES)
{
    const float *w = p->w + c;
    vf acc[ACCUMULATORS], a[2];
    UNROLL
    for (size_t i = 0; i < columns * vecs; i++)
        acc[i] = LANES_START;
    for (size_t k = 0; k < p->in; k++, x += LANES) {
        w += p->pitch;
        UNROLL
        for (size_t v = 0; v < vecs; v++)
            a[v] = v_load(x + v * VL);
        UNROLL
        for (size_t i = 0; i < columns; i++) {
            const vf b = v_all(w[i]);
            UNROLL
            for (size_t v = 0; v < vecs; v++)
                acc[i * vecs + v] = v_fma(a[v], b, acc[i * vecs + v]);
        }
    }
    UNROLL
    for (size_t i = 0; i < columns * vecs; i++) {
        const size_t column = c + i / vecs;
        v_store(y + column * LANES + i % vecs * VL, v_max(v_all(floors.f[column < p->relu ? 0 : 16]), acc[i]));
    }
}

/* All columns of some rows, in groups as equal as can be. */
BLOCK_BODY TARGET void LANES_COLUMNS(const size_t vecs, const struct panel *p, const float *x, float *Y_TYPES)
{
    const size_t most = ACCUMULATORS / vecs < MOST_COLUMNS ? ACCUMULATORS / vecs : MOST_COLUMNS;
    size_t groups = (p->columns + most - 1) / most;
    for (size_t c = 0, n; groups > 0; groups--, c += n) {
        n = (p->columns - c + groups - 1) / groups;
#define CASE(k) case k: if (k <= most) LANES_TILE(k, vecs, p, c, x, Y_FROM); break;
        switch (n) { COLUMNS_CASES }
#undef CASE
    }
}

static TARGET void LANES_PANEL(const struct panel *p, const float *x, size_t lanes, float *Y_TYPES)
{
    size_t l = 0;
    for (; l + 2 * VL <= lanes; l += 2 * VL)
        LANES_COLUMNS(2, p, x + l, y + L_FROM);
    if (l < lanes)
        LANES_COLUMNS(1, p, x + l, y + L_FROM);
}
/*@ end */
