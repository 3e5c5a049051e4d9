// SPDX-License-Identifier: Apache-2.0
/* mix.c: a gate's mixture of experts: acc = 0; acc = fma(g[e], h_e, acc), experts in order.
 * at [experts][2]: where expert e lies in s, and the stride of its rows.
 *
 * Words: BODY, NAME, LANES_NAME, EXPERTS, N, SIZES.
 */
#ifndef NAME
#include "math.h"
#define BODY static TARGET
#define NAME mix_sample
#define LANES_NAME mix_lanes_sample
#define EXPERTS 3
#define N 5
#define SIZES
#endif

/*@ begin kernel */
BODY void NAME(const float *g, size_t gs, const float *s, const size_t (*at)[2], size_t rows, float *y, size_t ys SIZES)
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

/*@ begin lanes */
/* at [experts]: where expert e lies in s. */
static TARGET void LANES_NAME(const float *g, const float *s, const size_t *at, size_t lanes, float *y SIZES)
{
    for (size_t j = 0; j < N; j++)
        for (size_t l = 0; l < lanes; l += VL) {
            vf acc = v_all(0.0f);
            for (size_t e = 0; e < EXPERTS; e++)
                acc = v_fma(v_load(g + e * LANES + l), v_load(s + at[e] + j * LANES + l), acc);
            v_store(y + j * LANES + l, acc);
        }
}
/*@ end */
