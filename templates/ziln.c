// SPDX-License-Identifier: Apache-2.0
/* ziln.c: the mean of EasyRec's zero-inflated log-normal head, from three logits (zero_inflated_lognormal.py):
 *
 *     sigma = clip(softplus(z2), sqrt(1e-7), 5);  y = exp(clip(-softplus(-z0) + z1 + sigma^2 / 2, -100, 20))
 *
 * A row at a time, in one lane. Words: NAME.
 */
#ifndef NAME
#include "math.h"
#define NAME ziln_sample
#endif

/*@ begin kernel */
static TARGET void NAME(const float *x, size_t xs, size_t rows, float *y, size_t ys)
{
    for (size_t r = 0; r < rows; r++) {
        const float *z = x + r * xs;
        const vf inflated = v_softplus(v_sub(v_all(0.0f), v_all(z[0])));
        vf sigma = v_softplus(v_all(z[2]));
        sigma = v_min(v_all(5.0f), v_max(v_all(3.1622777e-4f), sigma));
        vf l = v_fma(v_mul(v_all(0.5f), sigma), sigma, v_sub(v_all(z[1]), inflated));
        l = v_min(v_all(20.0f), v_max(v_all(-100.0f), l));
        v_store_n(y + r * ys, v_exp(l), 1);
    }
}
/*@ end */
