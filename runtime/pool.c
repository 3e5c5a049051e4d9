// SPDX-License-Identifier: Apache-2.0
/* pool.c: threads that share one piece of work, and the scoring of one batch by them.
 *
 * The thread that brings work does it at once; others join it as they wake, each with a number of its own, and when the
 * first is done nobody joins any more. So small work never waits for a thread that sleeps.
 */
/* All is compiled hidden but what mmoe.h names. */
#pragma GCC visibility push(default)
#include "mmoe.h"
#pragma GCC visibility pop

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

/* ---- threads --------------------------------------------------------------------------------------------------- */

#define LOOKS 500               /* sched_yield's: some 100 us */

struct pool {
    struct mmoe_pool face;
    pthread_mutex_t busy;           /* held by the thread whose work it is */
    pthread_mutex_t lock;           /* of what follows */
    pthread_cond_t wake, left;
    void (*task)(void *work, size_t t);
    void *work;
    size_t next;                    /* number of the next thread to join; face.threads: none may */
    atomic_size_t inside;           /* threads at work, without the one that brought it; written under the lock */
    int ending;
    size_t n_workers;
    pthread_t workers[];            /* [face.threads - 1] */
};

static void *worker(void *argument)
{
    struct pool *p = argument;
    pthread_mutex_lock(&p->lock);
    for (;;) {
        while (!p->ending && p->next == p->face.threads)
            pthread_cond_wait(&p->wake, &p->lock);
        if (p->ending)
            break;
        const size_t t = p->next++;
        atomic_fetch_add_explicit(&p->inside, 1, memory_order_relaxed);
        pthread_mutex_unlock(&p->lock);
        p->task(p->work, t);
        pthread_mutex_lock(&p->lock);
        if (atomic_fetch_sub_explicit(&p->inside, 1, memory_order_release) == 1)
            pthread_cond_signal(&p->left);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

static void open_work(struct pool *p, void (*task)(void *work, size_t t), void *work)
{
    pthread_mutex_lock(&p->lock);
    p->task = task;
    p->work = work;
    p->next = 1;
    pthread_mutex_unlock(&p->lock);
    pthread_cond_broadcast(&p->wake);
}

/* The others end soon after the first, which therefore looks for a while before it sleeps: to be woken takes some 50 us.
   Acquires what they wrote. */
static void close_work(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    p->next = p->face.threads;
    pthread_mutex_unlock(&p->lock);
    for (int i = 0; i < LOOKS && atomic_load_explicit(&p->inside, memory_order_acquire) > 0; i++)
        sched_yield();
    if (atomic_load_explicit(&p->inside, memory_order_acquire) == 0)
        return;
    pthread_mutex_lock(&p->lock);
    while (atomic_load_explicit(&p->inside, memory_order_acquire) > 0)
        pthread_cond_wait(&p->left, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

static void run(void *context, void (*task)(void *work, size_t t), void *work)
{
    struct pool *p = context;
    if (p->face.threads == 1 || pthread_mutex_trylock(&p->busy) != 0) {
        task(work, 0);
        return;
    }
    open_work(p, task, work);
    task(work, 0);
    close_work(p);
    pthread_mutex_unlock(&p->busy);
}

static size_t processors(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? (size_t)CPU_COUNT(&set) : 1;
}

/* The program's signals are for its own threads. */
static enum mmoe_status start_workers(struct pool *p)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (p->n_workers + 1 < p->face.threads &&
           pthread_create(&p->workers[p->n_workers], NULL, worker, p) == 0)
        p->n_workers++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return p->n_workers + 1 == p->face.threads ? MMOE_OK : MMOE_NO_MEMORY;
}

enum mmoe_status mmoe_pool_new(struct mmoe_pool **result, size_t threads)
{
    *result = NULL;
    if (threads == 0)
        threads = processors();
    if (threads > SIZE_MAX / 2 / sizeof(pthread_t))
        return MMOE_NO_MEMORY;
    struct pool *p = calloc(1, sizeof *p + (threads - 1) * sizeof(pthread_t));
    if (!p)
        return MMOE_NO_MEMORY;
    p->face = (struct mmoe_pool){threads, run, p};
    p->next = threads;
    pthread_mutex_init(&p->busy, NULL); /* cannot fail without attributes, on Linux */
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    pthread_cond_init(&p->left, NULL);
    const enum mmoe_status status = start_workers(p);
    if (status == MMOE_OK)
        *result = &p->face;
    else
        mmoe_pool_free(&p->face);
    return status;
}

void mmoe_pool_free(struct mmoe_pool *pool)
{
    if (!pool)
        return;
    struct pool *p = pool->context;
    pthread_mutex_lock(&p->lock);
    p->ending = 1;
    pthread_mutex_unlock(&p->lock);
    pthread_cond_broadcast(&p->wake);
    for (size_t i = 0; i < p->n_workers; i++)
        pthread_join(p->workers[i], NULL);
    pthread_cond_destroy(&p->left);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    pthread_mutex_destroy(&p->busy);
    free(p);
}

/* ---- one batch ------------------------------------------------------------------------------------------------- */

#define TILE 8                  /* rows that kernels take together */
#define PARTS_A_THREAD 4        /* so that a thread which wakes late leaves more to the others */
#define PART_WORK (1 << 20)     /* multiply-adds, at least: some 20 us, what waking a thread takes */
#define PART_ROWS 32            /* at least: the weights, which each part reads, must serve many rows */

struct batch {
    const struct mmoe_model *model;
    const float *x;
    float *y;
    char *scratch;
    size_t rows, parts;
    atomic_size_t next;         /* part that nobody has taken */
};

/* First row of a part: parts are whole tiles but the last row's, and differ by one tile at most. */
static size_t part_begin(const struct batch *b, size_t part)
{
    const size_t tiles = (b->rows + TILE - 1) / TILE;
    const size_t row = (tiles / b->parts * part + tiles % b->parts * part / b->parts) * TILE;
    return row < b->rows ? row : b->rows;
}

static void score_parts(void *work, size_t t)
{
    struct batch *b = work;
    const struct mmoe_model *m = b->model;
    for (size_t i; (i = atomic_fetch_add_explicit(&b->next, 1, memory_order_relaxed)) < b->parts;) {
        const size_t from = part_begin(b, i), to = part_begin(b, i + 1);
        m->score(m->weights, b->x + from * m->inputs, m->inputs, to - from, b->y + from * m->outputs,
                 b->scratch + t * MMOE_PARALLEL_SCRATCH(m, 1));
    }
}

static size_t count_parts(const struct mmoe_model *m, size_t rows, size_t threads)
{
    const double work = (double)rows * (double)m->weight_floats; /* a multiply-add for each weight */
    size_t parts = threads * PARTS_A_THREAD;
    if (parts > rows / PART_ROWS)
        parts = rows / PART_ROWS;
    if ((double)parts > work / PART_WORK)
        parts = (size_t)(work / PART_WORK);
    return parts > threads ? parts - parts % threads : parts; /* as many for each */
}

void mmoe_score_parallel(const struct mmoe_pool *pool, const struct mmoe_model *model, const float *x, size_t rows,
                         float *y, void *scratch)
{
    struct batch b = {.model = model, .x = x, .y = y, .scratch = scratch, .rows = rows,
                      .parts = count_parts(model, rows, pool->threads)};
    if (pool->threads == 1 || b.parts < 2)
        model->score(model->weights, x, model->inputs, rows, y, scratch);
    else
        pool->run(pool->context, score_parts, &b);
}
