// SPDX-License-Identifier: Apache-2.0
/* served.c: a compiled model is retrained, and swapped in, while a file's name stays the same; served.sh makes the files.
 *
 *     served FIRST SECOND WEIGHTS OTHER.so
 *
 * FIRST.so and SECOND.so are one structure with two trainings, weights inside or in FIRST.weights beside it; WEIGHTS is a
 * weights file of the first. SECOND is renamed to FIRST. OTHER.so is a model of another shape.
 */
#include "../runtime/mmoe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_ROWS 1024

#define CHECK(good) check(good, #good, __LINE__)

static void check(int good, const char *what, int line)
{
    if (!good) {
        fprintf(stderr, "served.c:%d: FAILED: %s\n", line, what);
        exit(1);
    }
}

static float *new_floats(size_t n)
{
    float *x = malloc(n * sizeof *x);
    CHECK(x != NULL);
    uint32_t seed = 1;
    for (size_t i = 0; i < n; i++)
        x[i] = (float)((seed = seed * 1664525 + 1013904223) >> 8) * 0x1p-23f - 1;
    return x;
}

/* Scores and digest of a model, as they must be again when it serves under another name. */
struct training {
    float *y;
    unsigned char digest[32], structure[32];
};

static const char *with_suffix(const char *name, const char *suffix)
{
    static char paths[4][4096];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(paths[turn], sizeof paths[turn], "%s%s", name, suffix);
    return paths[turn];
}

static struct mmoe *open_model(const char *path)
{
    struct mmoe *m;
    const enum mmoe_status status = mmoe_open(&m, mmoe_file(path));
    if (status != MMOE_OK)
        fprintf(stderr, "%s: %s\n", path, mmoe_status_text(status));
    CHECK(status == MMOE_OK);
    return m;
}

static struct mmoe_reader *new_reader(struct mmoe *m, const struct mmoe_pool *pool)
{
    struct mmoe_reader *r;
    CHECK(mmoe_reader_new(&r, m, pool) == MMOE_OK);
    return r;
}

static struct training learn(const char *path, const float *x)
{
    struct training t;
    struct mmoe *m = open_model(path);
    const struct mmoe_model *r = mmoe_record(m);
    t.y = new_floats(MOST_ROWS * r->outputs);
    mmoe_score(new_reader(m, NULL), x, MOST_ROWS, t.y);
    memcpy(t.digest, r->weights_digest, sizeof t.digest);
    memcpy(t.structure, r->structure, sizeof t.structure);
    mmoe_close(m);
    return t;
}

/* One thread and several, small batches and large: the bits of that training, and its digest. */
static void check_serves(struct mmoe *m, struct mmoe_reader *const readers[2], const struct training *t, const float *x)
{
    static const size_t batches[] = {1, 37, 64, 100, 255, 256, MOST_ROWS};
    const struct mmoe_model *r = mmoe_record(m);
    float *y = new_floats(MOST_ROWS * r->outputs);
    CHECK(memcmp(r->weights_digest, t->digest, sizeof t->digest) == 0);
    for (int i = 0; i < 2; i++)
        for (size_t k = 0; k < sizeof batches / sizeof *batches; k++) {
            const size_t bytes = batches[k] * r->outputs * sizeof *y;
            memset(y, 0, bytes);
            mmoe_score(readers[i], x, batches[k], y);
            CHECK(memcmp(y, t->y, bytes) == 0);
        }
    free(y);
}

static void serve(const char *first, const char *second, const char *weights, const char *other)
{
    struct mmoe_pool *pool;
    struct mmoe *m = open_model(with_suffix(first, ".so"));
    float *x = new_floats(MOST_ROWS * (size_t)mmoe_record(m)->inputs);
    const struct training a = learn(with_suffix(first, ".so"), x), b = learn(with_suffix(second, ".so"), x);
    CHECK(memcmp(a.structure, b.structure, sizeof a.structure) == 0);
    CHECK(memcmp(a.digest, b.digest, sizeof a.digest) != 0);
    CHECK(mmoe_pool_new(&pool, 3) == MMOE_OK);
    struct mmoe_reader *const readers[2] = {new_reader(m, NULL), new_reader(m, pool)};
    check_serves(m, readers, &a, x);

    /* A new file under the old name. */
    CHECK(rename(with_suffix(second, ".so"), with_suffix(first, ".so")) == 0);
    (void)rename(with_suffix(second, ".weights"), with_suffix(first, ".weights")); /* where weights are apart */
    check_serves(m, readers, &a, x);
    CHECK(mmoe_swap(m, mmoe_file(with_suffix(first, ".so")), 0) == MMOE_OK);
    check_serves(m, readers, &b, x);

    /* Weights only: the code that serves stays. */
    const struct mmoe_model before = *mmoe_record(m);
    CHECK(mmoe_swap(m, mmoe_file(weights), 0) == MMOE_OK);
    CHECK(mmoe_record(m)->score == before.score);
    check_serves(m, readers, &a, x);

    /* Another model is no retraining; only who asks for it gets it, and then these are not its weights. */
    CHECK(mmoe_swap(m, mmoe_file(other), 0) == MMOE_OTHER_SHAPE);
    check_serves(m, readers, &a, x);
    CHECK(mmoe_swap(m, mmoe_file(other), MMOE_ANY_SHAPE) == MMOE_OK);
    CHECK(mmoe_swap(m, mmoe_file(weights), MMOE_ANY_SHAPE) == MMOE_OTHER_MODEL);
    mmoe_close(m);
    mmoe_pool_free(pool);
    free(a.y);
    free(b.y);
    free(x);
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: served FIRST SECOND WEIGHTS OTHER.so\n");
        return 2;
    }
    serve(argv[1], argv[2], argv[3], argv[4]);
    return 0;
}
