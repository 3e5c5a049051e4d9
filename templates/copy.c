// SPDX-License-Identifier: Apache-2.0
/* copy.c: the same numbers elsewhere.
 *
 * Words: NAME, N, SIZES.
 */
#ifndef NAME
#include "math.h"
#define NAME copy_sample
#define N 5
#define SIZES
#endif

/*@ begin kernel */
static TARGET void NAME(const float *x, size_t xs, size_t rows, float *y, size_t ys SIZES)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < N; j++) {
            y[r * ys + j] = x[r * xs + j];
            NO_CALL;
        }
}
/*@ end */
