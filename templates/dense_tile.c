// SPDX-License-Identifier: Apache-2.0
/* dense_tile.c: some rows of a panel of a dense layer.
 *
 * A panel is [1 + in][pitch] floats: the biases, then the weights of input 0, 1, ...; at most 48 columns, pitch a
 * multiple of 8. A tile of rows x vecs vectors of outputs stays in registers while k runs over the inputs: every output
 * is one chain, acc = bias; acc = fma(x[k], w[k], acc), never split. Lanes are outputs. Rows and vectors of a tile are
 * numbers that the compiler knows; everything else is an argument, so all layers share these functions.
 *
 * Words: TILE, TILE_PANEL, ROW_PANEL (names), EPILOGUE (a function of math.h).
 */
#ifndef TILE
#include "math.h"
#define TILE tile_sample
#define TILE_PANEL tile_panel_sample
#define ROW_PANEL row_panel_sample
#define EPILOGUE v_relu
#endif

/*@ begin tile */
/* rows x vecs vectors, `left` columns of which are stored: the last vector may reach into the panel's next row. */
BLOCK_BODY TARGET void TILE(const size_t rows, const size_t vecs, const float *x, size_t xs, size_t in, const float *w,
                            size_t pitch, float *y, size_t ys, size_t left)
{
    vf acc[24], b[8];
    UNROLL
    for (size_t i = 0; i < rows * vecs; i++)
        acc[i] = v_load(w + i % vecs * VL);
    for (size_t k = 0; k < in; k++) {
        w += pitch;
        UNROLL
        for (size_t v = 0; v < vecs; v++) {
            b[v] = v_load(w + v * VL);
            PIN(b[v]);
        }
        UNROLL
        for (size_t r = 0; r < rows; r++) {
            const vf a = v_all(x[r * xs + k]);
            UNROLL
            for (size_t v = 0; v < vecs; v++)
                acc[r * vecs + v] = v_fma(a, b[v], acc[r * vecs + v]);
        }
    }
    UNROLL
    for (size_t i = 0; i < rows * vecs; i++) {
        const size_t column = i % vecs * VL;
        float *to = y + i / vecs * ys + column;
        if (column + VL <= left)
            v_store(to, EPILOGUE(acc[i]));
        else if (column < left)
            v_store_n(to, EPILOGUE(acc[i]), left - column);
    }
}

/* TILE_ROWS rows of a panel of n columns. With short vectors the panel's padding fills a tile. */
static TARGET void TILE_PANEL(const float *x, size_t xs, size_t in, const float *w, size_t pitch, float *y, size_t ys,
                              size_t n)
{
    for (size_t c = 0; c < n; c += TILE_VECS * VL) {
        const size_t vecs = (pitch - c + VL - 1) / VL;
        if (vecs >= TILE_VECS || TILE_VECS * VL <= 8)
            TILE(TILE_ROWS, TILE_VECS, x, xs, in, w + c, pitch, y + c, ys, n - c);
        else if (vecs == 1)
            TILE(TILE_ROWS, 1, x, xs, in, w + c, pitch, y + c, ys, n - c);
        else
            TILE(TILE_ROWS, 2, x, xs, in, w + c, pitch, y + c, ys, n - c);
    }
}

/* One row of a panel of n columns. */
static TARGET void ROW_PANEL(const float *x, size_t in, const float *w, size_t pitch, float *y, size_t n)
{
    for (size_t c = 0, vecs; c < n; c += vecs * VL) {
        vecs = (pitch - c + VL - 1) / VL;
        if (vecs >= ROW_VECS || ROW_VECS * VL <= 8) {
            vecs = ROW_VECS;
            TILE(1, ROW_VECS, x, 0, in, w + c, pitch, y + c, 0, n - c);
        } else if (vecs >= 3) {
            vecs = 3;
            TILE(1, 3, x, 0, in, w + c, pitch, y + c, 0, n - c);
        } else if (vecs == 2) {
            TILE(1, 2, x, 0, in, w + c, pitch, y + c, 0, n - c);
        } else {
            TILE(1, 1, x, 0, in, w + c, pitch, y + c, 0, n - c);
        }
    }
}
/*@ end */
