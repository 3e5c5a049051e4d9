// SPDX-License-Identifier: Apache-2.0
/* max.c: the largest column; NaN if any is NaN.
 *
 * Words: NAME, N, SIZES.
 */
#ifndef NAME
#include "math.h"
#define NAME max_sample
#define N 5
#define SIZES
#endif

/*@ begin kernel */
static TARGET void NAME(const float *x, size_t xs, size_t rows, float *y, size_t ys SIZES)
{
    for (size_t r = 0; r < rows; r++) {
        const float *from = x + r * xs;
        float top = from[0];
        for (size_t j = 1; j < N; j++)
            top = from[j] > top ? from[j] : top;
        for (size_t j = 0; j < N; j++)
            top = from[j] == from[j] ? top : from[j];
        y[r * ys] = top;
    }
}
/*@ end */
