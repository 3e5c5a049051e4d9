// SPDX-License-Identifier: Apache-2.0
/* serve.c: a program that opens models from files. It needs libmmoe, and knows no model before it
 * runs:
 *
 *     mmoec compile MODEL -o tiny.so
 *     cc -O2 serve.c $(pkg-config --cflags --libs mmoe) -o serve
 *     ./serve tiny.so < rows.f32
 *
 * Rows are raw floats, as many a row as the model takes. Prints the outputs' names, then a line of
 * scores for each row.
 */
#include <mmoe.h>

#include <stdio.h>
#include <stdlib.h>

#define BATCH 64 /* rows scored together: weights stay in registers over several rows */

static void print_names(const struct mmoe_model *r)
{
    for (size_t j = 0; j < r->outputs; j++)
        printf("%s%c", r->output_names[j], j + 1 < r->outputs ? ' ' : '\n');
}

static void print_scores(const float *y, size_t rows, size_t outputs)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < outputs; j++)
            printf("%.9g%c", (double)y[r * outputs + j], j + 1 < outputs ? ' ' : '\n');
}

static int score(const struct mmoe *m)
{
    const struct mmoe_model *r = m->record;
    float *x = (float *)malloc(BATCH * r->inputs * sizeof *x);
    float *y = (float *)malloc(BATCH * r->outputs * sizeof *y);
    /* aligned_alloc wants a multiple of the alignment */
    void *scratch = aligned_alloc(64, (r->scratch_bytes + 63) / 64 * 64); /* one for each thread */
    enum mmoe_status status = x && y && scratch ? mmoe_self_test(m, scratch) : MMOE_NO_MEMORY;
    if (status == MMOE_OK) {
        size_t rows;
        print_names(r);
        while ((rows = fread(x, r->inputs * sizeof *x, BATCH, stdin)) > 0) {
            mmoe_score(m, x, r->inputs, rows, y, scratch);
            print_scores(y, rows, r->outputs);
        }
    } else {
        fprintf(stderr, "serve: %s\n", mmoe_status_text(status));
    }
    free(scratch);
    free(y);
    free(x);
    return status != MMOE_OK;
}

int main(int argc, char **argv)
{
    struct mmoe m;
    if (argc != 2) {
        fprintf(stderr, "usage: serve MODEL.so < rows.f32\n");
        return 2;
    }
    enum mmoe_status status = mmoe_open(&m, NULL, argv[1]);
    if (status != MMOE_OK) {
        fprintf(stderr, "serve: %s: %s\n", argv[1], mmoe_status_text(status));
        return 1;
    }
    int result = score(&m);
    mmoe_close(&m);
    return result;
}
