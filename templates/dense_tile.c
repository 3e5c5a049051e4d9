// SPDX-License-Identifier: Apache-2.0
/* dense_tile.c: the rows of a panel of a dense layer.
 *
 * A panel is [1 + in][pitch] floats: the biases, then the weights of input 0, 1, ...; pitch is a multiple of 8. A tile
 * of rows x vecs vectors of outputs stays in registers while k runs over the inputs: every output is one chain,
 * acc = bias; acc = fma(x[k], w[k], acc), never split. Lanes are outputs. Rows and vectors of a tile are numbers that the
 * compiler knows; everything else is an argument, so all layers share these functions.
 *
 * Tiles also prefetch. Weights that do not fit into the cache stream through it once for all rows of a block: while a
 * panel computes, the bytes behind it are brought, and each tile does its share, a few lines every fourth k.
 *
 * Of a layer whose inputs come in two parts, the second part's sums go onto the first's, which lie in rows of their
 * own: acc = from[column], and the row of the panel before the part's is not read. `from` may be one row for all, its
 * stride 0.
 *
 * Words: TILE, TILE_COLUMNS, PANEL_ROWS (names), WIDEST (the most columns of a panel), VECS_CASES (CASE of every number of
 * vectors that occurs; at most 8); TILE_START (where a vector of sums starts); YS_TYPES, YS_FROM, YS_NEXT (ys, or that
 * and from and fs behind it: as parameters, as arguments, and in the step to the next rows); ONTO_START (a name).
 */
#ifndef TILE
#include "math.h"
#define TILE tile_sample
#define TILE_COLUMNS tile_columns_sample
#define PANEL_ROWS panel_rows_sample
#define WIDEST 48
#define VECS_CASES CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6)
#define ONTO_START onto_start_sample
#define TILE_START onto_start_sample(from + i / vecs * fs, c + i % vecs * VL, p->columns, i % vecs + 1 < vecs)
#define YS_TYPES ys, const float *from, size_t fs
#define YS_FROM ys, from, fs
#define YS_NEXT ys, from += n * fs
#endif

#ifndef PANEL_RECORD
#define PANEL_RECORD
/*@ begin panel */
/* What the tiles of a panel share. */
struct panel {
    const float *w;
    size_t in, pitch;
    size_t columns;         /* of y that may be written, this panel's and what follows */
    size_t relu;            /* of so many columns; the others are sums as they are */
    const char *ahead;      /* what is prefetched next */
    size_t lines;           /* how many lines of it every fourth k; 0: nothing */
};

/* v_max(-infinity, x) is x. Loaded from 16 - n on, n lanes get relu and the others do not. */
static const union { uint32_t u[32]; float f[32]; } floors = {{
    [16] = 0xff800000, 0xff800000, 0xff800000, 0xff800000, 0xff800000, 0xff800000, 0xff800000, 0xff800000,
    0xff800000, 0xff800000, 0xff800000, 0xff800000, 0xff800000, 0xff800000, 0xff800000, 0xff800000,
}};
/*@ end */
#endif

#ifdef ONTO_START
/*@ begin start */
/* A vector of the sums that others go onto; padding beyond those that may be touched is zero. */
BLOCK_BODY TARGET vf ONTO_START(const float *from, size_t column, size_t columns, const int more)
{
    if ((VL >= 8 && more) || column + VL <= columns)       /* at most 7 columns are padding */
        return v_load(from + column);
    return column < columns ? v_load_n(from + column, columns - column) : v_all(0.0f);
}
/*@ end */
#endif

/*@ begin tile */
/* rows x vecs vectors from column c on; the last vector may reach into the panel's next row, and is not stored there. */
BLOCK_BODY TARGET void TILE(const size_t rows, const size_t vecs, const struct panel *p, size_t c, const float *x, size_t xs,
                            float *y, size_t YS_TYPES)
{
    const float *w = p->w + c;
    const char *ahead = p->ahead;
    const size_t few = rows < 4 ? rows : 0, many = rows - few;     /* which of them keep x in registers, or weights */
    /* Rows 3 and 6: from three of them all rows are one or two strides away, and no address is spilled (clang's were). */
    const float *x3 = rows > 3 ? x + 3 * xs : x, *x6 = rows > 6 ? x + 6 * xs : x;
    vf acc[ACCUMULATORS], a[3], b[MOST_VECS];
    UNROLL
    for (size_t i = 0; i < rows * vecs; i++)
        acc[i] = TILE_START;
    for (size_t k = 0; k < p->in; k++, x++, x3++, x6++) {
        w += p->pitch;
        if (k % 4 == 0)
            for (size_t i = 0; i < p->lines; i++, ahead += 64)
                PREFETCH(ahead);
        UNROLL
        for (size_t r = 0; r < few; r++)
            a[r] = v_all(x[r * xs]);
        UNROLL
        for (size_t v = 0; v < vecs; v++) {
            b[v] = v_load(w + v * VL);
            PIN(b[v]);
            UNROLL
            for (size_t r = 0; r < few; r++)
                acc[r * vecs + v] = v_fma(a[r], b[v], acc[r * vecs + v]);
        }
        UNROLL
        for (size_t r = 0; r < many; r++) {
            const vf one = v_all(r < 3 ? x[r * xs] : r < 6 ? x3[(r - 3) * xs] : x6[(r - 6) * xs]);
            UNROLL
            for (size_t v = 0; v < vecs; v++)
                acc[r * vecs + v] = v_fma(one, b[v], acc[r * vecs + v]);
        }
    }
    UNROLL
    for (size_t v = 0; v < vecs; v++) {
        const size_t column = c + v * VL, relu = p->relu > column ? p->relu - column : 0;
        b[v] = v_load(floors.f + 16 - (relu < 16 ? relu : 16));
    }
    UNROLL
    for (size_t i = 0; i < rows * vecs; i++) {
        const size_t column = c + i % vecs * VL;
        const vf sum = v_max(b[i % vecs], acc[i]);
        float *to = y + i / vecs * ys + column;
        if ((VL >= 8 && i % vecs + 1 < vecs) || column + VL <= p->columns)     /* at most 7 columns are padding */
            v_store(to, sum);
        else if (column < p->columns)
            v_store_n(to, sum, p->columns - column);
    }
}

/* All columns of some rows, in groups of vectors as equal as can be: a narrow last one would wait for its few chains. */
BLOCK_BODY TARGET void TILE_COLUMNS(const size_t rows, const struct panel *p, const float *x, size_t xs, float *y, size_t YS_TYPES)
{
    const size_t all = (p->pitch + VL - 1) / VL, fit = ACCUMULATORS / rows < MOST_VECS ? ACCUMULATORS / rows : MOST_VECS;
    const size_t most = fit * VL < WIDEST ? fit : (WIDEST + VL - 1) / VL;
    size_t groups = (all + most - 1) / most;
    struct panel q = *p;
    q.lines = (p->lines + groups - 1) / groups;
    for (size_t v = 0, n; groups > 0; groups--, v += n) {
        n = (all - v + groups - 1) / groups;
#define CASE(k) case k: if (k <= most && k * VL >= 8) TILE(rows, k, &q, v * VL, x, xs, y, YS_FROM); break;
        switch (n) { VECS_CASES }
#undef CASE
        q.ahead += q.lines * ((p->in + 3) / 4) * 64;
    }
}
/*@ end */

/*@ begin rows */
/* Rows in tiles as equal as can be. */
static TARGET void PANEL_ROWS(size_t rows, const struct panel *all, const float *x, size_t xs, float *y, size_t YS_TYPES)
{
    struct panel p = *all;
    size_t n, tiles = (rows + TILE_ROWS - 1) / TILE_ROWS;
    p.lines = (p.lines + tiles - 1) / tiles;
    for (; tiles > 0; tiles--, rows -= n, x += n * xs, y += n * YS_NEXT) {
        n = (rows + tiles - 1) / tiles;
#define CASE(k) case k: if (k <= TILE_ROWS) TILE_COLUMNS(k, &p, x, xs, y, YS_FROM); break;
        switch (n) { CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) }
#undef CASE
        p.ahead += p.lines * ((p.in + 3) / 4) * 64;
    }
}
/*@ end */
