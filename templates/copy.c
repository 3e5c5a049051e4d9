// SPDX-License-Identifier: Apache-2.0
/* copy.c: the same numbers elsewhere.
 *
 * Words: BODY, NAME, LANES_NAME, N, SIZES.
 */
#ifndef NAME
#include "math.h"
#define BODY static TARGET
#define NAME copy_sample
#define LANES_NAME copy_lanes_sample
#define N 5
#define SIZES
#endif

/*@ begin kernel */
BODY void NAME(const float *x, size_t xs, size_t rows, float *y, size_t ys SIZES)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < N; j++) {
            y[r * ys + j] = x[r * xs + j];
            NO_CALL;
        }
}
/*@ end */

/*@ begin lanes */
static TARGET void LANES_NAME(const float *x, size_t lanes, float *y SIZES)
{
    for (size_t j = 0; j < N; j++)
        for (size_t l = 0; l < lanes; l += VL) {
            v_store(y + j * LANES + l, v_load(x + j * LANES + l));
            NO_CALL;
        }
}
/*@ end */
