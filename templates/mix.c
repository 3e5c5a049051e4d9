// SPDX-License-Identifier: Apache-2.0
/* mix.c: a gate's mixture of experts: acc = 0; acc = fma(g[e], h_e, acc), experts in order.
 * at [experts][2]: where expert e lies in s, and the stride of its rows.
 *
 * Words: NAME, EXPERTS, N, SIZES.
 */
#ifndef NAME
#include "math.h"
#define NAME mix_sample
#define EXPERTS 3
#define N 5
#define SIZES
#endif

/*@ begin kernel */
static TARGET void NAME(const float *g, size_t gs, const float *s, const size_t (*at)[2], size_t rows, float *y,
                        size_t ys SIZES)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < N; j += VL) {
            const size_t lanes = N - j < VL ? N - j : VL;
            vf acc = v_all(0.0f);
            for (size_t e = 0; e < EXPERTS; e++)
                acc = v_fma(v_all(g[r * gs + e]), v_load_n(s + at[e][0] + r * at[e][1] + j, lanes), acc);
            v_store_n(y + r * ys + j, acc, lanes);
            NO_CALL;
        }
}
/*@ end */
