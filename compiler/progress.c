// SPDX-License-Identifier: Apache-2.0
/* progress.c: one line that says how far a long reading of rows is.
 *
 * It is written over itself, about ten times a second at most, and needs nothing of the terminal but a carriage return
 * and 80 columns. Whoever owns the terminal hands it over, and clears the line before writing anything else there.
 */
#include "mmoec.h"

#include <inttypes.h>
#include <string.h>

#define WIDTH 79                    /* of the line: a character in column 80 may begin the next one */
#define BAR 30
#define PAUSE 100.0                 /* milliseconds at least between two lines, and before the first */

static int percent(uint64_t done, uint64_t total)
{
    return done < total ? (int)((double)done / (double)total * 100) : 100;
}

/* [=======>                      ]  25 %  */
static int print_bar(char *to, uint64_t done, uint64_t total)
{
    int share = percent(done, total), full = share * BAR / 100;
    char bar[BAR + 1];
    memset(bar, ' ', BAR);
    memset(bar, '=', (size_t)full);
    if (full < BAR)
        bar[full] = '>';
    bar[BAR] = 0;
    return snprintf(to, WIDTH + 1, "[%s] %3d %%  ", bar, share);
}

void show_progress(struct progress *p, uint64_t rows, uint64_t done, uint64_t total)
{
    char line[WIDTH + 1];
    double time = now();
    if (p->began == 0)
        p->began = p->shown = time;
    if (!p->to || time - p->shown < PAUSE)
        return;
    int n = total ? print_bar(line, done, total) : 0;
    snprintf(line + n, sizeof line - (size_t)n, "%" PRIu64 " rows, %.0f a second", rows,
             (double)rows * 1e3 / (time - p->began));
    fprintf(p->to, "\r%-*s", WIDTH, line);
    fflush(p->to);
    p->shown = time;
    p->there = true;
}

void clear_progress(struct progress *p)
{
    if (!p->there)
        return;
    fprintf(p->to, "\r%*s\r", WIDTH, "");
    fflush(p->to);
    p->there = false;
}
