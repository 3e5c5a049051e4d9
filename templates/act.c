// SPDX-License-Identifier: Apache-2.0
/* act.c: an activation, element by element; y may be x.
 *
 * Words: BODY, NAME, LANES_NAME, N, SIZES, FUNCTION (of math.h).
 */
#ifndef NAME
#include "math.h"
#define BODY static TARGET
#define NAME act_sample
#define LANES_NAME act_lanes_sample
#define N 5
#define FUNCTION v_tanh
#define SIZES
#endif

/*@ begin kernel */
BODY void NAME(const float *x, size_t xs, size_t rows, float *y, size_t ys SIZES)
{
    for (size_t r = 0; r < rows; r++) {
        const float *from = x + r * xs;
        float *to = y + r * ys;
        size_t j = 0;
        for (; j + VL <= N; j += VL)
            v_store(to + j, FUNCTION(v_load(from + j)));
        if (j < N)
            v_store_n(to + j, FUNCTION(v_load_n(from + j, N - j)), N - j);
    }
}
/*@ end */

/*@ begin lanes */
static TARGET void LANES_NAME(const float *x, size_t lanes, float *y SIZES)
{
    for (size_t j = 0; j < N; j++)
        for (size_t l = 0; l < lanes; l += VL)
            v_store(y + j * LANES + l, FUNCTION(v_load(x + j * LANES + l)));
}
/*@ end */
