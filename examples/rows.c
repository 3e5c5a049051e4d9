// SPDX-License-Identifier: Apache-2.0
/* rows.c: a program with a model linked in that scores what users and items have, instead of floats:
 *
 *     mmoec compile MODEL -o tiny
 *     cc -O2 rows.c tiny.c -o rows
 *
 * The members of struct tiny_row are the columns that the model's features read. Texts are not copied. A bad row does
 * no harm to the others.
 */
#include "tiny.h"

#include <stdio.h>

#define TEXT(literal) {literal, sizeof literal - 1}

int main(void)
{
    static _Alignas(64) unsigned char scratch[TINY_SCRATCH]; /* one for each thread that scores */
    static const struct tiny_row rows[] = {
        {.user_id = TEXT("u17"), .age = 31, .price = 9.5, .tags = TEXT("sport|music")},
        {.user_id = TEXT("u17"), .age = 31, .price = 120, .tags = TEXT("")},
        {.user_id = TEXT("nobody"), .age = 0, .price = 0, .tags = TEXT("garden")},
    };
    enum { ROWS = sizeof rows / sizeof rows[0] };
    struct mmoe_row_status status[ROWS];
    float y[ROWS][TINY_OUTPUTS];

    tiny_score_rows(rows, ROWS, y[0], status, scratch);
    for (int r = 0; r < ROWS; r++) {
        if (status[r].why != MMOE_ROW_FINE)
            printf("the column %s is bad\n", tiny_model.columns[status[r].column].name);
        else
            printf("%s %.6f, %s %.6f\n", tiny_model.output_names[0], (double)y[r][0], tiny_model.output_names[1],
                   (double)y[r][1]);
    }
    return 0;
}
