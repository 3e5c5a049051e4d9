// SPDX-License-Identifier: Apache-2.0
/* ziln.c: the mean of EasyRec's zero-inflated log-normal head, from three logits: v_ziln of math.h.
 * Words: BODY, NAME, LANES_NAME.
 */
#ifndef NAME
#include "math.h"
#define BODY static TARGET
#define NAME ziln_sample
#define LANES_NAME ziln_lanes_sample
#endif

/*@ begin kernel */
BODY void NAME(const float *x, size_t xs, size_t rows, float *y, size_t ys)
{
    for (size_t r = 0; r < rows; r++) {
        const float *z = x + r * xs;
        v_store_n(y + r * ys, v_ziln(v_all(z[0]), v_all(z[1]), v_all(z[2])), 1);
    }
}
/*@ end */

/*@ begin lanes */
static TARGET void LANES_NAME(const float *x, size_t lanes, float *y)
{
    for (size_t l = 0; l < lanes; l += VL)
        v_store(y + l, v_ziln(v_load(x + l), v_load(x + LANES + l), v_load(x + 2 * LANES + l)));
}
/*@ end */
