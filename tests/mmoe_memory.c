// SPDX-License-Identifier: Apache-2.0
/* mmoe_memory.c: opens, swaps and scores by libmmoe; exit 5 if it ran out of memory and said so, with the old model
 * serving on; 1 if anything else went wrong. mmoe_memory.sh lets each allocation fail.
 *
 *     mmoe_memory MODEL.so WEIGHTS
 */
#include "../runtime/mmoe.h"

#include <stdio.h>

enum { LARGEST = 64 };

static int wrong(const char *what, enum mmoe_status status)
{
    fprintf(stderr, "mmoe_memory: %s: %s\n", what, mmoe_status_text(status));
    return status == MMOE_NO_MEMORY ? 5 : 1;
}

static int scores(struct mmoe_reader *r)
{
    static float x[LARGEST], y[LARGEST];
    const struct mmoe_model *m = mmoe_hold(r);
    const int fits = m->inputs <= LARGEST && m->outputs <= LARGEST;
    if (fits)
        mmoe_score(r, x, 1, y);
    mmoe_release(r);
    return fits && y[0] == y[0];
}

static int serve(struct mmoe *m, struct mmoe_pool *pool, char **paths)
{
    struct mmoe_reader *r;
    enum mmoe_status status = mmoe_reader_new(&r, m, pool);
    if (status != MMOE_OK)
        return wrong("reader", status);
    for (int i = 0; i < 2; i++) {
        status = mmoe_swap(m, mmoe_file(paths[1 - i]), 0); /* weights only, then all of it */
        if (!scores(r))
            return wrong("scores", MMOE_OK);
        if (status != MMOE_OK)
            return wrong(paths[1 - i], status);
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct mmoe *m;
    struct mmoe_pool *pool;
    if (argc != 3)
        return 2;
    enum mmoe_status status = mmoe_pool_new(&pool, 2);
    if (status != MMOE_OK)
        return wrong("pool", status);
    status = mmoe_open(&m, mmoe_file(argv[1]));
    const int result = status == MMOE_OK ? serve(m, pool, argv + 1) : wrong(argv[1], status);
    mmoe_close(m);
    mmoe_pool_free(pool);
    return result;
}
