// SPDX-License-Identifier: Apache-2.0
/* softmax.c: y = exp(x - max x) / sum; y may be x.
 * The sum: up to 16 terms in index order; above, 16 partial sums by index modulo 16, joined by halving.
 *
 * Words: NAME, N, SIZES.
 */
#ifndef NAME
#include "math.h"
#define NAME softmax_sample
#define N 5
#define SIZES
#endif

/*@ begin kernel */
static TARGET void NAME(const float *x, size_t xs, size_t rows, float *y, size_t ys SIZES)
{
    for (size_t r = 0; r < rows; r++) {
        const float *from = x + r * xs;
        float *to = y + r * ys, top = from[0], sum[16];
        for (size_t j = 1; j < N; j++)
            top = top > from[j] ? top : from[j];
        for (size_t j = 0; j < N; j += VL) {
            const size_t lanes = N - j < VL ? N - j : VL;
            v_store_n(to + j, v_exp(v_sub(v_load_n(from + j, lanes), v_all(top))), lanes);
        }
        for (size_t j = 0; j < 16 && j < N; j++) {
            sum[j] = to[j];
            for (size_t i = j + 16; i < N; i += 16)
                sum[j] += to[i];
        }
        if (N > 16)
            for (size_t half = 8; half > 0; half /= 2)
                for (size_t j = 0; j < half; j++)
                    sum[j] += sum[j + half];
        else
            for (size_t j = 1; j < N; j++)
                sum[0] += sum[j];
        for (size_t j = 0; j < N; j += VL) {
            const size_t lanes = N - j < VL ? N - j : VL;
            v_store_n(to + j, v_div(v_load_n(to + j, lanes), v_all(sum[0])), lanes);
        }
    }
}
/*@ end */
