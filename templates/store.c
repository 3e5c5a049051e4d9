// SPDX-License-Identifier: Apache-2.0
/* store.c: scores as the user gets them: every NaN is 0x7fc00000.
 *
 * Words: BODY, NAME, LANES_NAME, N, SIZES.
 */
#ifndef NAME
#include "math.h"
#define BODY static TARGET
#define NAME store_sample
#define LANES_NAME store_lanes_sample
#define N 5
#define SIZES
#endif

/*@ begin kernel */
BODY void NAME(const float *x, size_t xs, size_t rows, float *y, size_t ys SIZES)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < N; j += VL) {
            const size_t lanes = N - j < VL ? N - j : VL;
            v_store_n(y + r * ys + j, v_one_nan(v_load_n(x + r * xs + j, lanes)), lanes);
        }
}
/*@ end */

/*@ begin lanes */
static TARGET void LANES_NAME(const float *x, size_t rows, float *y, size_t ys SIZES)
{
    float some[VL];
    for (size_t j = 0; j < N; j++)
        for (size_t r = 0; r < rows; r += VL) {
            v_store(some, v_one_nan(v_load(x + j * LANES + r)));
            for (size_t i = 0; i < VL && r + i < rows; i++)
                y[(r + i) * ys + j] = some[i];
        }
}
/*@ end */
