// SPDX-License-Identifier: Apache-2.0
/* dice.c: EasyRec's Dice: p = sigmoid(x scale + shift), y = (alpha (1 - p) + p) x; y may be x.
 * w: alpha, scale and shift, each padded to a multiple of 8.
 *
 * Words: NAME, N, SIZES.
 */
#ifndef NAME
#include "math.h"
#define NAME dice_sample
#define N 5
#define SIZES
#endif

/*@ begin kernel */
static TARGET void NAME(const float *x, size_t xs, size_t rows, const float *w, float *y, size_t ys SIZES)
{
    const size_t pitch = (N + 7) / 8 * 8;
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < N; j += VL) {
            const size_t lanes = N - j < VL ? N - j : VL;
            const vf a = v_load_n(x + r * xs + j, lanes), alpha = v_load_n(w + j, lanes);
            const vf p = v_sigmoid(v_fma(a, v_load_n(w + pitch + j, lanes), v_load_n(w + 2 * pitch + j, lanes)));
            v_store_n(y + r * ys + j, v_mul(v_fma(v_sub(v_all(1.0f), p), alpha, p), a), lanes);
        }
}
/*@ end */
