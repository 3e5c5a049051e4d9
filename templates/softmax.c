// SPDX-License-Identifier: Apache-2.0
/* softmax.c: y = exp(x - max x) / sum; y may be x.
 * The sum: up to 16 terms in index order; above, 16 partial sums by index modulo 16, joined by halving.
 *
 * Words: BODY, NAME, LANES_NAME, N, SIZES.
 */
#ifndef NAME
#include "math.h"
#define BODY static TARGET
#define NAME softmax_sample
#define LANES_NAME softmax_lanes_sample
#define N 5
#define SIZES
#endif

/*@ begin kernel */
BODY void NAME(const float *x, size_t xs, size_t rows, float *y, size_t ys SIZES)
{
    for (size_t r = 0; r < rows; r++) {
        const float *from = x + r * xs;
        float *to = y + r * ys, top = from[0], sum[16];
        if (N <= VL && N <= 16) {       /* in one vector */
            const vf a = v_load_n(from, N);
            vf most = v_lane(a, 0);
            for (size_t j = 1; j < N; j++)
                most = v_max(most, v_lane(a, j));
            const vf e = v_within(v_exp(v_sub(a, most)), v_all(0.0f), v_all(1.0f));
            vf all = v_lane(e, 0);
            for (size_t j = 1; j < N; j++)
                all = v_add(all, v_lane(e, j));
            v_store_n(to, v_div(e, v_within(all, v_all(1.0f), v_all((float)N))), N);
            continue;
        }
        for (size_t j = 1; j < N; j++)
            top = top > from[j] ? top : from[j];
        for (size_t j = 0; j < N; j += VL) {
            const size_t lanes = N - j < VL ? N - j : VL;
            const vf e = v_exp(v_sub(v_load_n(from + j, lanes), v_all(top)));
            v_store_n(to + j, v_within(e, v_all(0.0f), v_all(1.0f)), lanes);
        }
        for (size_t j = 0; j < 16 && j < N; j++) {
            sum[j] = to[j];
            for (size_t i = j + 16; i < N; i += 16)
                sum[j] += to[i];
            NO_CALL;
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
            const vf all = v_within(v_all(sum[0]), v_all(1.0f), v_all((float)N));
            v_store_n(to + j, v_div(v_load_n(to + j, lanes), all), lanes);
        }
    }
}
/*@ end */

/*@ begin lanes */
static TARGET void LANES_NAME(const float *x, size_t lanes, float *y SIZES)
{
    for (size_t l = 0; l < lanes; l += VL) {
        vf top = v_load(x + l), sum[16];
        for (size_t j = 1; j < N; j++)
            top = v_max(top, v_load(x + j * LANES + l));
        for (size_t j = 0; j < N; j++) {
            const vf e = v_exp(v_sub(v_load(x + j * LANES + l), top));
            v_store(y + j * LANES + l, e);
            sum[j % 16] = j < 16 ? e : v_add(sum[j % 16], e);
        }
        if (N > 16)
            for (size_t half = 8; half > 0; half /= 2)
                for (size_t j = 0; j < half; j++)
                    sum[j] = v_add(sum[j], sum[j + half]);
        else
            for (size_t j = 1; j < N; j++)
                sum[0] = v_add(sum[0], sum[j]);
        for (size_t j = 0; j < N; j++)
            v_store(y + j * LANES + l, v_div(v_load(y + j * LANES + l), sum[0]));
    }
}
/*@ end */
