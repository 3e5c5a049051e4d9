// SPDX-License-Identifier: Apache-2.0
/* store.c: scores as the user gets them: every NaN is 0x7fc00000.
 *
 * Words: NAME, N, SIZES.
 */
#ifndef NAME
#include "math.h"
#define NAME store_sample
#define N 5
#define SIZES
#endif

/*@ begin kernel */
static TARGET void NAME(const float *x, size_t xs, size_t rows, float *y, size_t ys SIZES)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < N; j += VL) {
            const size_t lanes = N - j < VL ? N - j : VL;
            const vf a = v_load_n(x + r * xs + j, lanes);
            v_store_n(y + r * ys + j, v_select(v_eq(a, a), a, v_float(u_all(UINT32_C(0x7fc00000)))), lanes);
        }
}
/*@ end */
