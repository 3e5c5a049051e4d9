// SPDX-License-Identifier: Apache-2.0
/* score.c: a program with a model linked in. It needs the two files that mmoec writes, no more:
 *
 *     mmoec compile MODEL -o tiny
 *     cc -O2 score.c tiny.c -o score
 *     ./score < rows.f32
 *
 * Rows are raw floats, TINY_INPUTS a row. Prints a line of scores for each.
 */
#include "tiny.h"

#include <stdio.h>

#define BATCH 64 /* rows scored together: weights stay in registers over several rows */

int main(void)
{
    static _Alignas(64) unsigned char scratch[TINY_SCRATCH]; /* one for each thread that scores */
    static float x[BATCH][TINY_INPUTS], y[BATCH][TINY_OUTPUTS];
    size_t rows;

    /* Once, at the start: does this build on this machine give the bits that mmoec computed? */
    if (tiny_self_test(scratch) != 0) {
        fprintf(stderr, "score: the self test failed\n");
        return 1;
    }
    while ((rows = fread(x, sizeof x[0], BATCH, stdin)) > 0) {
        tiny_score(x[0], rows, y[0], scratch);
        for (size_t r = 0; r < rows; r++)
            for (size_t j = 0; j < TINY_OUTPUTS; j++)
                printf("%.9g%c", (double)y[r][j], j + 1 < TINY_OUTPUTS ? ' ' : '\n');
    }
    return 0;
}
