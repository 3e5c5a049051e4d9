// SPDX-License-Identifier: Apache-2.0
/* serve.c: a program that serves a model from several threads, and swaps it while they score. It needs libmmoe, and
 * knows no model before it runs:
 *
 *     mmoec compile MODEL -o tiny.so
 *     cc -O2 serve.c $(pkg-config --cflags --libs mmoe) -pthread -o serve
 *     ./serve tiny.so < rows.f32
 *
 * Rows are raw floats, as many a row as the model takes. Prints the outputs' names, then a line of scores for each row;
 * on standard error, how the swaps went. In a service, rows come from requests, and a swap when a new model is there.
 */
#include <mmoe.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define THREADS 2
#define MOST_ROWS 1024
#define REQUEST 64 /* rows scored together: a weight that was loaded serves several of them */
#define SWAPS 3

struct thread {
    pthread_t id;
    struct mmoe_reader *reader; /* one for each thread */
    const float *x;             /* [rows][inputs] */
    float *y;                   /* [rows][outputs] */
    size_t rows, inputs, outputs;
};

static void *score(void *argument)
{
    const struct thread *t = (const struct thread *)argument;
    for (size_t from = 0; from < t->rows; from += REQUEST)
        mmoe_score(t->reader, t->x + from * t->inputs, t->rows - from < REQUEST ? t->rows - from : REQUEST,
                   t->y + from * t->outputs);
    return NULL;
}

static void print_scores(const struct mmoe_model *r, const float *y, size_t rows)
{
    for (size_t j = 0; j < r->outputs; j++)
        printf("%s%c", r->output_names[j], j + 1 < r->outputs ? ' ' : '\n');
    for (size_t i = 0; i < rows * r->outputs; i++)
        printf("%.9g%c", (double)y[i], (i + 1) % r->outputs > 0 ? ' ' : '\n');
}

/* Threads score their parts of x; this one swaps meanwhile. Nothing waits for it. */
static enum mmoe_status serve(struct mmoe *m, const char *path, const float *x, float *y, size_t rows)
{
    static struct thread threads[THREADS];
    const size_t inputs = mmoe_record(m)->inputs, outputs = mmoe_record(m)->outputs;
    enum mmoe_status status = MMOE_OK;
    for (size_t i = 0; i < THREADS && status == MMOE_OK; i++) {
        struct thread *t = &threads[i];
        const size_t from = rows * i / THREADS;
        t->x = x + from * inputs;
        t->y = y + from * outputs;
        t->rows = rows * (i + 1) / THREADS - from;
        t->inputs = inputs;
        t->outputs = outputs;
        status = mmoe_reader_new(&t->reader, m, NULL);
    }
    size_t started = 0;
    while (status == MMOE_OK && started < THREADS)
        if (pthread_create(&threads[started].id, NULL, score, &threads[started]) == 0)
            started++;
        else
            status = MMOE_NO_MEMORY;
    for (int i = 0; i < SWAPS && status == MMOE_OK; i++) {
        enum mmoe_status swapped = mmoe_swap(m, mmoe_file(path), 0); /* if it fails, the old model serves on */
        fprintf(stderr, "serve: swap %d: %s\n", i + 1, mmoe_status_text(swapped));
    }
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i].id, NULL);
    return status;
}

static enum mmoe_status read_and_serve(struct mmoe *m, const char *path)
{
    const struct mmoe_model *r = mmoe_record(m);
    float *x = (float *)malloc(MOST_ROWS * r->inputs * sizeof *x);
    float *y = (float *)malloc(MOST_ROWS * r->outputs * sizeof *y);
    enum mmoe_status status = MMOE_NO_MEMORY;
    if (x && y) {
        const size_t rows = fread(x, r->inputs * sizeof *x, MOST_ROWS, stdin);
        status = serve(m, path, x, y, rows);
        if (status == MMOE_OK)
            print_scores(mmoe_record(m), y, rows); /* r was the record of the model before the swaps */
    }
    free(y);
    free(x);
    return status;
}

int main(int argc, char **argv)
{
    struct mmoe *m;
    if (argc != 2) {
        fprintf(stderr, "usage: serve MODEL.so < rows.f32\n");
        return 2;
    }
    enum mmoe_status status = mmoe_open(&m, mmoe_file(argv[1]));
    if (status == MMOE_OK)
        status = read_and_serve(m, argv[1]);
    if (status != MMOE_OK)
        fprintf(stderr, "serve: %s: %s\n", argv[1], mmoe_status_text(status));
    mmoe_close(m);
    return status != MMOE_OK;
}
