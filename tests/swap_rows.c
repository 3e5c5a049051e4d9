// SPDX-License-Identifier: Apache-2.0
/* swap_rows MODEL.so FIRST.weights SECOND.weights OTHER.weights
 *
 * A model that takes rows, served by libmmoe: threads score the same rows while its weights, tables and all, are swapped
 * again and again. Every call has the scores of one training as a whole. Columns may lie apart, in structs, or nowhere.
 * OTHER is a weights file of a model with the same experts, whose features are others.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mmoe.h"

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: FAILED: %s\n", __FILE__, __LINE__, #condition); \
            exit(1); \
        } \
    } while (0)

enum { ROWS = 70, MOST_COLUMNS = 64, SWAPS = 300, THREADS = 2 };

/* What any column could have; the row's struct is not known here, its offsets are. */
union cell {
    struct mmoe_text text;
    int64_t whole;
    float single;
    double number;
};

static union cell cells[MOST_COLUMNS][ROWS];
static struct mmoe_values values[MOST_COLUMNS];
static char texts[3][ROWS][16];          /* a number, a pair, two numbers: what columns are named for */
static float *want[2];
static atomic_int stop;

static void fill_cell(union cell *c, const struct mmoe_column *column, int row)
{
    const char *text = texts[strncmp(column->name, "pairs", 5) == 0 ? 1 : strcmp(column->name, "groups") == 0 ? 2 : 0][row];
    switch (column->kind) {
    case MMOE_TEXT: c->text = (struct mmoe_text){text, strlen(text)}; return;
    case MMOE_INT64: c->whole = row; return;
    case MMOE_FLOAT: c->single = (float)row / 8; return;
    default: c->number = row / 8.0; return;
    }
}

static void fill(const struct mmoe_model *m)
{
    CHECK(m->score_rows && m->n_columns <= MOST_COLUMNS);
    for (int r = 0; r < ROWS; r++) {
        snprintf(texts[0][r], sizeof texts[0][r], "%d", r % 9);
        snprintf(texts[1][r], sizeof texts[1][r], "%d:0.5", r % 9);
        snprintf(texts[2][r], sizeof texts[2][r], "%d|1", r % 9);
    }
    for (uint32_t k = 0; k < m->n_columns; k++) {
        for (int r = 0; r < ROWS; r++)
            fill_cell(&cells[k][r], &m->columns[k], r);
        values[k] = (struct mmoe_values){cells[k], sizeof cells[k][0]};
    }
}

static float *score(struct mmoe_reader *reader, const struct mmoe_model *m, const struct mmoe_values *columns)
{
    struct mmoe_row_status status[ROWS];
    float *y = malloc(ROWS * m->outputs * sizeof *y);
    mmoe_score_rows(reader, columns, ROWS, y, status);
    for (int r = 0; r < ROWS; r++)
        if (status[r].why != MMOE_ROW_FINE) {
            fprintf(stderr, "row %d: %s is bad: %d\n", r, m->columns[status[r].column].name, status[r].why);
            exit(1);
        }
    return y;
}

static int same(const float *a, const float *b, const struct mmoe_model *m)
{
    return memcmp(a, b, ROWS * m->outputs * sizeof *a) == 0;
}

static void *score_on(void *served)
{
    struct mmoe *m = served;
    struct mmoe_reader *reader;
    size_t calls[2] = {0, 0};
    CHECK(mmoe_reader_new(&reader, m, NULL) == MMOE_OK);
    while (!atomic_load(&stop)) {
        const struct mmoe_model *record = mmoe_hold(reader);
        float *y = score(reader, record, values);
        int second = !same(y, want[0], record);
        CHECK(!second || same(y, want[1], record));
        calls[second]++;
        mmoe_release(reader);
        free(y);
    }
    CHECK(calls[0] > 0 && calls[1] > 0);
    mmoe_reader_free(reader);
    return NULL;
}

static void swap_while_scored(struct mmoe *m, char **weights)
{
    pthread_t thread[THREADS];
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&thread[i], NULL, score_on, m) == 0);
    for (int i = 0; i < SWAPS; i++)
        CHECK(mmoe_swap(m, mmoe_file(weights[i % 2]), 0) == MMOE_OK);
    atomic_store(&stop, 1);
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
}

/* The same values in an array of structs; and no values, as in rows of defaults. */
static void other_places(struct mmoe *m, struct mmoe_reader *reader)
{
    const struct mmoe_model *r = mmoe_record(m);
    struct mmoe_values columns[MOST_COLUMNS] = {{NULL, 0}};
    union cell defaults[MOST_COLUMNS];
    char *rows = calloc(ROWS, r->row_bytes);
    for (uint32_t k = 0; k < r->n_columns; k++)
        for (size_t row = 0; row < ROWS; row++)
            memcpy(rows + row * r->row_bytes + r->columns[k].offset, &cells[k][row],
                   r->columns[k].kind == MMOE_TEXT ? sizeof(struct mmoe_text) : r->columns[k].kind == MMOE_FLOAT ? 4 : 8);
    mmoe_row_values(r, rows, columns);
    float *y = score(reader, r, values), *z = score(reader, r, columns);
    CHECK(same(y, z, r));
    free(y);
    free(z);
    free(rows);
    memset(columns, 0, sizeof columns);
    y = score(reader, r, columns);
    for (uint32_t k = 0; k < r->n_columns; k++) {
        const struct mmoe_column *c = &r->columns[k];
        memset(&defaults[k], 0, sizeof defaults[k]);
        switch (c->kind) {
        case MMOE_TEXT: defaults[k].text = c->text; break;
        case MMOE_INT64: defaults[k].whole = c->whole; break;
        case MMOE_FLOAT: defaults[k].single = (float)c->number; break;
        default: defaults[k].number = c->number; break;
        }
        columns[k] = (struct mmoe_values){&defaults[k], 0};
    }
    z = score(reader, r, columns);
    CHECK(same(y, z, r));
    free(y);
    free(z);
}

int main(int argc, char **argv)
{
    struct mmoe *m;
    struct mmoe_reader *reader;
    if (argc != 5) {
        fprintf(stderr, "usage: swap_rows MODEL.so FIRST.weights SECOND.weights OTHER.weights\n");
        return 2;
    }
    CHECK(mmoe_open(&m, mmoe_file(argv[1])) == MMOE_OK);
    CHECK(mmoe_reader_new(&reader, m, NULL) == MMOE_OK);
    fill(mmoe_record(m));
    for (int i = 0; i < 2; i++) {
        CHECK(mmoe_swap(m, mmoe_file(argv[2 + i]), 0) == MMOE_OK);
        want[i] = score(reader, mmoe_record(m), values);
    }
    CHECK(!same(want[0], want[1], mmoe_record(m)));
    swap_while_scored(m, argv + 2);
    other_places(m, reader);
    CHECK(mmoe_swap(m, mmoe_file(argv[4]), 0) == MMOE_DAMAGED);
    mmoe_close(m);
    free(want[0]);
    free(want[1]);
    return 0;
}
