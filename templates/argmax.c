// SPDX-License-Identifier: Apache-2.0
/* argmax.c: the number of the first largest column; NaN if any is NaN.
 *
 * Words: BODY, NAME, LANES_NAME, N, SIZES.
 */
#ifndef NAME
#include "math.h"
#define BODY static TARGET
#define NAME argmax_sample
#define LANES_NAME argmax_lanes_sample
#define N 5
#define SIZES
#endif

/*@ begin kernel */
BODY void NAME(const float *x, size_t xs, size_t rows, float *y, size_t ys SIZES)
{
    for (size_t r = 0; r < rows; r++) {
        const float *from = x + r * xs;
        size_t best = 0;
        float nan = 0;
        for (size_t j = 0; j < N; j++) {
            best = from[j] > from[best] ? j : best;
            nan = from[j] == from[j] ? nan : from[j];
        }
        y[r * ys] = nan == nan ? (float)best : nan;
    }
}
/*@ end */

/*@ begin lanes */
static TARGET void LANES_NAME(const float *x, size_t lanes, float *y SIZES)
{
    for (size_t l = 0; l < lanes; l += VL) {
        vf top = v_load(x + l), best = v_all(0.0f), nan = best;
        for (size_t j = 0; j < N; j++) {
            const vf a = v_load(x + j * LANES + l);
            best = v_select(v_lt(top, a), v_all((float)j), best);
            top = v_max(a, top);
            nan = v_select(v_eq(a, a), nan, a);
        }
        v_store(y + l, v_select(v_eq(nan, nan), best, nan));
    }
}
/*@ end */
