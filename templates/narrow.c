// SPDX-License-Identifier: Apache-2.0
/* narrow.c: a dense layer for small cores: y = x W + b, then relu or nothing, in little code and few registers.
 *
 * The weights are panels of 4 columns, [1 + in][4] each, the biases first (ORDER with compiler/pack.c); the last one is
 * filled up with zeros. Four outputs stay in registers while k runs over the inputs: every output is one chain,
 * acc = bias; acc = fma(x[k], w[k], acc), never split. Sizes are arguments: all layers share this function.
 *
 * Words: ROW_NAME. The library defines NAME, too: the same over rows.
 */
#ifndef ROW_NAME
#include "math.h"
#define ROW_NAME narrow_sample
#endif

/*@ begin row */
static TARGET void ROW_NAME(const float *x, const float *w, float *y, size_t in, size_t out, int relu)
{
    const size_t lanes = VL < 4 ? VL : 4;
    const vf least = v_float(u_all(relu ? 0 : UINT32_C(0xff800000)));       /* v_max(-infinity, x) is x */
    for (size_t c = 0; c < out; c += 4, w += 4) {
        vf acc[VL < 4 ? 4 / VL : 1];
        UNROLL
        for (size_t v = 0; v < 4; v += lanes)
            acc[v / lanes] = v_load_n(w + v, lanes);
        for (size_t k = 0; k < in; k++) {
            const vf a = v_all(x[k]);
            w += 4;
            UNROLL
            for (size_t v = 0; v < 4; v += lanes)
                acc[v / lanes] = v_fma(a, v_load_n(w + v, lanes), acc[v / lanes]);
        }
        UNROLL
        for (size_t v = 0; v < 4; v += lanes)
            if (c + v < out)
                v_store_n(y + c + v, v_max(least, acc[v / lanes]), out - c - v < lanes ? out - c - v : lanes);
    }
}
/*@ end */

#ifdef NAME
static TARGET void NAME(const float *x, size_t xs, size_t rows, const float *w, float *y, size_t ys, size_t in, size_t out,
                        int relu)
{
    for (size_t r = 0; r < rows; r++)
        ROW_NAME(x + r * xs, w, y + r * ys, in, out, relu);
}
#endif
