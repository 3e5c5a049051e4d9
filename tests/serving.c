// SPDX-License-Identifier: Apache-2.0
/* serving.c: measures libmmoe with a compiled model; prints figures, judges nothing. tests/serving.sh runs it.
 *
 *     serving MODEL.so threads     one batch by one thread, and by a pool, in turns
 *     serving MODEL.so pages       weights in pages of 4 KB, and where libmmoe puts them, in turns
 *     serving MODEL.so swaps       latencies of calls without swaps, and with one every 50 ms, in turns
 *
 * The model's weights are in a file beside it (mmoec compile --weights-in file).
 */
#include "../runtime/mmoe.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static void check(int good, const char *what)
{
    if (!good) {
        fprintf(stderr, "serving: %s\n", what);
        exit(1);
    }
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The q-th part of n times, sorted on the way. */
static double quantile(double *times, size_t n, double q)
{
    qsort(times, n, sizeof *times, compare);
    return times[(size_t)(q * (double)(n - 1))];
}

static float *random_floats(size_t n)
{
    float *x = malloc(n * sizeof *x);
    check(x != NULL, "no memory");
    uint32_t seed = 1;
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525 + 1013904223;
        x[i] = (float)(seed >> 8) * 0x1p-23f - 1;
    }
    return x;
}

static void *new_scratch(size_t bytes)
{
    void *scratch = aligned_alloc(64, bytes / 64 * 64 + 64);
    check(scratch != NULL, "no memory");
    return scratch;
}

/* ---- threads and pages: two ways to score one batch, in turns -------------------------------------------------- */

#define TURNS 61

struct way {
    const struct mmoe_pool *pool;   /* NULL: this thread alone */
    const struct mmoe_model *model;
    float *y;
    void *scratch;
    double times[TURNS];
};

static struct way new_way(const struct mmoe_pool *pool, const struct mmoe_model *m, size_t rows)
{
    return (struct way){.pool = pool, .model = m, .y = random_floats(rows * m->outputs),
                        .scratch = new_scratch(MMOE_PARALLEL_SCRATCH(m, pool ? pool->threads : 1))};
}

static double score_once(struct way *w, const float *x, size_t rows)
{
    const struct mmoe_model *m = w->model;
    const double begin = seconds();
    if (w->pool)
        mmoe_score_parallel(w->pool, m, x, rows, w->y, w->scratch);
    else
        m->score(m->weights, x, m->inputs, rows, w->y, w->scratch);
    return seconds() - begin;
}

static void compare_ways(struct way *a, struct way *b, const char *names, size_t rows)
{
    const size_t inputs = a->model->inputs;
    float *x = random_floats(rows * inputs);
    for (size_t i = 0; i < TURNS; i++) {
        a->times[i] = score_once(a, x, rows);
        b->times[i] = score_once(b, x, rows);
    }
    check(memcmp(a->y, b->y, rows * a->model->outputs * sizeof(float)) == 0, "other bits");
    const double ta = quantile(a->times, TURNS, 0.5), tb = quantile(b->times, TURNS, 0.5);
    printf("%s, batch %4zu: %9.1f and %9.1f us, ratio %.2f\n", names, rows, 1e6 * ta, 1e6 * tb, ta / tb);
    free(x);
}

static void measure_threads(const struct mmoe_model *m)
{
    struct mmoe_pool *pool;
    check(mmoe_pool_new(&pool, 0) == MMOE_OK, "no threads");
    printf("threads: %zu\n", pool->threads);
    for (size_t rows = 16; rows <= 1024; rows *= 4) {
        struct way one = new_way(NULL, m, rows), all = new_way(pool, m, rows);
        compare_ways(&one, &all, "one thread and all", rows);
        free(one.y), free(one.scratch), free(all.y), free(all.scratch);
    }
    mmoe_pool_free(pool);
}

/* The same weights in pages of 4 KB. */
static const void *small_pages(const struct mmoe_model *m)
{
    const size_t bytes = m->weight_floats * sizeof(float);
    void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check(pages != MAP_FAILED, "no memory");
    madvise(pages, bytes, MADV_NOHUGEPAGE);
    return memcpy(pages, m->weights, bytes);
}

static void measure_pages(const struct mmoe_model *m)
{
    struct mmoe_model small = *m;
    small.weights = small_pages(m);
    for (size_t rows = 1; rows <= 256; rows *= 4) {
        struct way a = new_way(NULL, &small, rows), b = new_way(NULL, m, rows);
        compare_ways(&a, &b, "pages of 4 KB and libmmoe's", rows);
        free(a.y), free(a.scratch), free(b.y), free(b.scratch);
    }
}

/* ---- swaps ----------------------------------------------------------------------------------------------------- */

#define MOST_CALLS 2000000
#define ROUNDS 4                /* of a second each way */
#define REQUEST 16              /* rows a call */

struct scorer {
    pthread_t id;
    struct mmoe_reader *reader;
    const float *x;
    float *y;
    double *times[2];           /* without swaps, with */
    size_t n[2];
};

static atomic_int with_swaps, ending;

static void *score_calls(void *argument)
{
    struct scorer *s = argument;
    while (!atomic_load(&ending)) {
        const int with = atomic_load(&with_swaps);
        const double begin = seconds();
        mmoe_score(s->reader, s->x, REQUEST, s->y);
        const double time = seconds() - begin;
        if (with == atomic_load(&with_swaps) && s->n[with] < MOST_CALLS)
            s->times[with][s->n[with]++] = time;
    }
    return NULL;
}

/* Of this thread, which builds: below those that score. */
static void lower_priority(void)
{
    if (sched_getscheduler(0) == SCHED_FIFO)
        check(sched_setparam(0, &(struct sched_param){.sched_priority = 1}) == 0, "no low priority");
    else
        check(setpriority(PRIO_PROCESS, (id_t)gettid(), 19) == 0, "no low priority");
}

#define MOST_SWAPS (ROUNDS * 21)

static struct {
    double times[MOST_SWAPS];
    size_t n;
} swaps;

static void swap_for_a_second(struct mmoe *m, const char *path)
{
    const double end = seconds() + 1;
    for (double begin = seconds(); begin < end && swaps.n < MOST_SWAPS; begin = seconds()) {
        check(mmoe_swap(m, mmoe_file(path), 0) == MMOE_OK, "no swap");
        const double time = seconds() - begin;
        swaps.times[swaps.n++] = time;
        if (time < 0.05)
            usleep((useconds_t)(1e6 * (0.05 - time)));
    }
}

static void measure_swaps(struct mmoe *m, const char *path)
{
    const struct mmoe_model *r = mmoe_record(m);
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    const size_t n = cores > 1 ? (size_t)cores - 1 : 1;
    struct scorer *scorers = calloc(n, sizeof *scorers);
    check(scorers != NULL, "no memory");
    for (size_t i = 0; i < n; i++) {
        struct scorer *s = &scorers[i];
        s->x = random_floats(REQUEST * r->inputs);
        s->y = random_floats(REQUEST * r->outputs);
        s->times[0] = malloc(MOST_CALLS * sizeof(double));
        s->times[1] = malloc(MOST_CALLS * sizeof(double));
        check(s->times[0] && s->times[1] && mmoe_reader_new(&s->reader, m, NULL) == MMOE_OK, "no memory");
        check(pthread_create(&s->id, NULL, score_calls, s) == 0, "no thread");
    }
    lower_priority();
    for (int i = 0; i < ROUNDS; i++) {
        atomic_store(&with_swaps, 0);
        usleep(1000000);
        atomic_store(&with_swaps, 1);
        swap_for_a_second(m, path);
    }
    atomic_store(&ending, 1);
    printf("%zu swaps, median %.1f ms\n", swaps.n, 1e3 * quantile(swaps.times, swaps.n, 0.5));
    for (size_t i = 0; i < n; i++) {
        struct scorer *s = &scorers[i];
        pthread_join(s->id, NULL);
        static const double parts[] = {0.5, 0.9, 0.99, 0.999};
        printf("thread %zu, %d rows a call: us without swaps and with\n", i, REQUEST);
        for (size_t k = 0; k < sizeof parts / sizeof *parts; k++) {
            const double a = quantile(s->times[0], s->n[0], parts[k]), b = quantile(s->times[1], s->n[1], parts[k]);
            printf("    p%-5g %9.1f %9.1f  ratio %.2f\n", 100 * parts[k], 1e6 * a, 1e6 * b, b / a);
        }
    }
}

int main(int argc, char **argv)
{
    struct mmoe *m;
    check(argc == 3, "usage: serving MODEL.so threads|pages|swaps");
    enum mmoe_status status = mmoe_open(&m, mmoe_file(argv[1]));
    check(status == MMOE_OK, mmoe_status_text(status));
    if (strcmp(argv[2], "threads") == 0)
        measure_threads(mmoe_record(m));
    else if (strcmp(argv[2], "pages") == 0)
        measure_pages(mmoe_record(m));
    else
        measure_swaps(m, argv[1]);
    mmoe_close(m);
    return 0;
}
