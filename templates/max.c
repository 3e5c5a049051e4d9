// SPDX-License-Identifier: Apache-2.0
/* max.c: the largest column; NaN if any is NaN.
 *
 * Words: BODY, NAME, LANES_NAME, N, SIZES.
 */
#ifndef NAME
#include "math.h"
#define BODY static TARGET
#define NAME max_sample
#define LANES_NAME max_lanes_sample
#define N 5
#define SIZES
#endif

/*@ begin kernel */
BODY void NAME(const float *x, size_t xs, size_t rows, float *y, size_t ys SIZES)
{
    for (size_t r = 0; r < rows; r++) {
        const float *from = x + r * xs;
        float top = from[0];
        for (size_t j = 1; j < N; j++)
            top = from[j] > top ? from[j] : top;
        for (size_t j = 0; j < N; j++)
            top = from[j] == from[j] ? top : from[j];
        y[r * ys] = top;
    }
}
/*@ end */

/*@ begin lanes */
static TARGET void LANES_NAME(const float *x, size_t lanes, float *y SIZES)
{
    for (size_t l = 0; l < lanes; l += VL) {
        vf top = v_load(x + l);
        for (size_t j = 1; j < N; j++)
            top = v_max(v_load(x + j * LANES + l), top);
        for (size_t j = 0; j < N; j++) {
            const vf a = v_load(x + j * LANES + l);
            top = v_select(v_eq(a, a), top, a);
        }
        v_store(y + l, top);
    }
}
/*@ end */
