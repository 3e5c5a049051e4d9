// SPDX-License-Identifier: Apache-2.0
/* act.c: an activation, element by element; y may be x.
 *
 * Words: NAME, N, SIZES, FUNCTION (of math.h).
 */
#ifndef NAME
#include "math.h"
#define NAME act_sample
#define N 5
#define FUNCTION v_tanh
#define SIZES
#endif

/*@ begin kernel */
static TARGET void NAME(const float *x, size_t xs, size_t rows, float *y, size_t ys SIZES)
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
