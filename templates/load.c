// SPDX-License-Identifier: Apache-2.0
/* load.c: rows into lanes: y[column][lane] = x[lane][column]. Lanes without a row get zeros.
 *
 * Words: LANES_NAME, N, SIZES.
 */
#ifndef LANES_NAME
#include "math.h"
#define LANES_NAME load_lanes_sample
#define N 5
#define SIZES
#endif

/*@ begin lanes */
static TARGET void LANES_NAME(const float *x, size_t xs, size_t rows, float *y SIZES)
{
    for (size_t r = 0; r < rows; r += VL)
        for (size_t j = 0; j < N; j += VL) {
            const size_t columns = N - j < VL ? N - j : VL;
            vf a[VL];
            UNROLL
            for (size_t i = 0; i < VL; i++)
                a[i] = r + i < rows ? v_load_n(x + (r + i) * xs + j, columns) : v_all(0.0f);
            v_transpose(a);
            UNROLL
            for (size_t i = 0; i < VL; i++)
                if (i < columns)
                    v_store(y + (j + i) * LANES + r, a[i]);
        }
}
/*@ end */
