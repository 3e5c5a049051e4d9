// SPDX-License-Identifier: Apache-2.0
/* dice.c: EasyRec's Dice, v_dice of math.h; y may be x.
 * w: alpha, scale and shift, each padded to a multiple of 8.
 *
 * Words: BODY, NAME, LANES_NAME, N, SIZES.
 */
#ifndef NAME
#include "math.h"
#define BODY static TARGET
#define NAME dice_sample
#define LANES_NAME dice_lanes_sample
#define N 5
#define SIZES
#endif

/*@ begin kernel */
BODY void NAME(const float *x, size_t xs, size_t rows, const float *w, float *y, size_t ys SIZES)
{
    const size_t pitch = (N + 7) / 8 * 8;
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < N; j += VL) {
            const size_t lanes = N - j < VL ? N - j : VL;
            const vf alpha = v_load_n(w + j, lanes), scale = v_load_n(w + pitch + j, lanes);
            const vf a = v_load_n(x + r * xs + j, lanes), shift = v_load_n(w + 2 * pitch + j, lanes);
            v_store_n(y + r * ys + j, v_dice(a, alpha, scale, shift), lanes);
        }
}
/*@ end */

/*@ begin lanes */
static TARGET void LANES_NAME(const float *x, size_t lanes, const float *w, float *y SIZES)
{
    const size_t pitch = (N + 7) / 8 * 8;
    for (size_t j = 0; j < N; j++)
        for (size_t l = 0; l < lanes; l += VL) {
            const vf alpha = v_all(w[j]), scale = v_all(w[pitch + j]), shift = v_all(w[2 * pitch + j]);
            v_store(y + j * LANES + l, v_dice(v_load(x + j * LANES + l), alpha, scale, shift));
        }
}
/*@ end */
