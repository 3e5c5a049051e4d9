// SPDX-License-Identifier: Apache-2.0
/* argmax.c: the number of the first largest column; NaN if any is NaN.
 *
 * Words: NAME, N, SIZES.
 */
#ifndef NAME
#include "math.h"
#define NAME argmax_sample
#define N 5
#define SIZES
#endif

/*@ begin kernel */
static TARGET void NAME(const float *x, size_t xs, size_t rows, float *y, size_t ys SIZES)
{
    for (size_t r = 0; r < rows; r++) {
        const float *from = x + r * xs;
        size_t best = 0;
        float nan = 0;
        for (size_t j = 0; j < N; j++) {
            best = from[j] > from[best] ? j : best;
            nan = from[j] == from[j] ? nan : from[j];
        }
        y[r * ys] = nan == nan ? (float)best : nan;
    }
}
/*@ end */
