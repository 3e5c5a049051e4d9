// SPDX-License-Identifier: Apache-2.0
/* A fuzzer of rows into a compiled model: any bytes are columns of a model with a feature of every kind
 * (tests/rows/kinds.config), compiled as users compile it.
 *
 * Texts lie in memory of exactly their size, so that a read beyond one is seen. Besides not crashing it must hold that
 * rows have the same scores and statuses whatever was in memory before, whatever rows are beside them and wherever they
 * stand in a batch, and that every score of a bad row is the one NaN.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MOST_ROWS 70                    /* more than are read in a block */
#define MOST_COLUMNS 32

/* A value of any kind. */
struct cell {
    struct mmoe_text text;
    int64_t whole;
    float single;
    double number;
};

struct batch {
    size_t rows;
    struct cell cell[MOST_COLUMNS][MOST_ROWS];
    struct mmoe_values values[MOST_COLUMNS];
};

struct scores {
    float y[MOST_ROWS][MODEL_OUTPUTS];
    struct mmoe_row_status status[MOST_ROWS];
};

struct input {
    const uint8_t *at, *end;
};

static uint8_t next(struct input *in) { return in->at < in->end ? *in->at++ : 0; }

static void take(struct input *in, void *to, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)to)[i] = next(in);
}

/* Short texts are as long as a byte says; some are a short one again and again. */
static struct mmoe_text take_text(struct input *in)
{
    size_t n = next(in), times = n >= 240 ? 40 : 1;
    n = n % 80 <= (size_t)(in->end - in->at) ? n % 80 : (size_t)(in->end - in->at);
    char *bytes = n ? malloc(n * times) : NULL;
    for (size_t i = 0; bytes && i < times; i++)
        memcpy(bytes + i * n, in->at, n);
    in->at += n;
    return (struct mmoe_text){bytes, bytes ? n * times : 0};
}

static const void *take_cell(struct input *in, uint32_t kind, struct cell *c)
{
    switch (kind) {
    case MMOE_TEXT: c->text = take_text(in); return &c->text;
    case MMOE_INT64: take(in, &c->whole, next(in) % 9); return &c->whole;
    case MMOE_FLOAT: take(in, &c->single, sizeof c->single); return &c->single;
    default: take(in, &c->number, sizeof c->number); return &c->number;
    }
}

static struct batch *take_batch(struct input *in)
{
    struct batch *b = calloc(1, sizeof *b);
    b->rows = 1 + next(in) % MOST_ROWS;
    for (uint32_t k = 0; k < model_model.n_columns; k++) {
        bool none = next(in) % 16 == 15;
        for (size_t r = 0; r < b->rows && !none; r++) {
            const void *at = take_cell(in, model_model.columns[k].kind, &b->cell[k][r]);
            b->values[k] = r ? b->values[k] : (struct mmoe_values){at, sizeof b->cell[k][r]};
        }
    }
    return b;
}

static void free_batch(struct batch *b)
{
    for (uint32_t k = 0; k < model_model.n_columns; k++)
        for (size_t r = 0; r < b->rows; r++)
            free((void *)(uintptr_t)b->cell[k][r].text.bytes);
    free(b);
}

static void fail(const char *why, size_t row)
{
    fprintf(stderr, "row %zu: %s\n", row, why);
    abort();
}

/* Over whatever was in scratch and scores before. */
static void score(const struct mmoe_values *values, size_t rows, int before, void *scratch, struct scores *to)
{
    memset(scratch, before, MODEL_SCRATCH);
    memset(to, before, sizeof *to);
    model_model.score_rows(model_model.weights, model_model.tables, values, rows, to->y[0], to->status, scratch);
}

static void check_bad_rows(const struct scores *s, size_t rows)
{
    static const uint32_t nan = 0x7fc00000;
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < MODEL_OUTPUTS && s->status[r].why; j++)
            if (memcmp(&s->y[r][j], &nan, sizeof nan) != 0)
                fail("a bad row has a score", r);
}

static void check_alone(const struct batch *b, const struct scores *all, size_t r, void *scratch)
{
    struct mmoe_values values[MOST_COLUMNS];
    struct scores one;
    for (uint32_t k = 0; k < model_model.n_columns; k++) {
        const char *at = b->values[k].at;
        values[k] = (struct mmoe_values){at ? at + r * b->values[k].stride : NULL, b->values[k].stride};
    }
    score(values, 1, 0x7f, scratch, &one);
    if (memcmp(one.y[0], all->y[r], sizeof one.y[0]) != 0 || memcmp(&one.status[0], &all->status[r], sizeof one.status[0]) != 0)
        fail("alone it has other scores", r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static _Alignas(64) unsigned char scratch[(MODEL_SCRATCH + 63) / 64 * 64];
    struct input in = {data, data + size};
    struct batch *b = take_batch(&in);
    struct scores first, again;
    if (model_model.n_columns > MOST_COLUMNS)
        fail("more columns than expected", 0);
    score(b->values, b->rows, 0, scratch, &first);
    score(b->values, b->rows, 0xff, scratch, &again);
    if (memcmp(first.y, again.y, b->rows * sizeof first.y[0]) != 0 ||
        memcmp(first.status, again.status, b->rows * sizeof first.status[0]) != 0)
        fail("scores depend on old memory", 0);
    check_bad_rows(&first, b->rows);
    check_alone(b, &first, next(&in) % b->rows, scratch);
    free_batch(b);
    return 0;
}
