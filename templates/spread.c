// SPDX-License-Identifier: Apache-2.0
/* spread.c: one row for all rows in lanes: y[column][lane] = x[column].
 *
 * Words: LANES_NAME, N, SIZES.
 */
#ifndef LANES_NAME
#include "math.h"
#define LANES_NAME spread_lanes_sample
#define N 5
#define SIZES
#endif

/*@ begin lanes */
static TARGET void LANES_NAME(const float *x, size_t lanes, float *y SIZES)
{
    for (size_t j = 0; j < N; j++) {
        const vf one = v_all(x[j]);
        for (size_t l = 0; l < lanes; l += VL)
            v_store(y + j * LANES + l, one);
    }
}
/*@ end */
