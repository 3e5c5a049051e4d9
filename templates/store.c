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
            const vf a = v_load_n(x + r * xs + j, lanes);
            v_store_n(y + r * ys + j, v_select(v_eq(a, a), a, v_float(u_all(UINT32_C(0x7fc00000)))), lanes);
        }
}
/*@ end */

/*@ begin lanes */
static TARGET void LANES_NAME(const float *x, size_t rows, float *y, size_t ys SIZES)
{
    float some[VL];
    for (size_t j = 0; j < N; j++)
        for (size_t r = 0; r < rows; r += VL) {
            const vf a = v_load(x + j * LANES + r);
            v_store(some, v_select(v_eq(a, a), a, v_float(u_all(UINT32_C(0x7fc00000)))));
            for (size_t i = 0; i < VL && r + i < rows; i++)
                y[(r + i) * ys + j] = some[i];
        }
}
/*@ end */
