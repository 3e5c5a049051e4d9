// SPDX-License-Identifier: Apache-2.0
/* mmoe.c: models that serve, their readers, and swaps.
 *
 * A swap must know when no thread uses the old version any more, and the threads must not wait for it, nor write where
 * others write. So each reader has a number of its own, its phase: odd while the reader uses a version. To score, it
 *
 *     R1  stores an odd phase                    (sequentially consistent)
 *     R2  loads `serving`                        (sequentially consistent)
 *         uses what it found
 *     R3  stores the next, even phase            (release)
 *
 * and a swap, the only one by a mutex,
 *
 *     S1  stores the new version in `serving`    (sequentially consistent)
 *     S2  loads the phase of each reader         (sequentially consistent), and again while it is odd and the same
 *         frees the old version
 *
 * All operations that are sequentially consistent have one order, which agrees with that in each thread. If R1 comes
 * before S2 there, the swap sees that phase or a later one, and goes on only when R3 has changed it. If R1 comes
 * after, then S1 < S2 < R1 < R2, and the reader finds the new version. Either way nobody uses the old one after the
 * loop; and S2 acquires what R3 released, so all that the reader did comes before the free. A reader that scores call
 * after call is not waited for longer than one call: its phase differs in the next.
 *
 * The reader's part is two stores and two loads, whatever others do. Scratch that must grow is replaced before S1, so
 * that who finds the new version finds the larger scratch, and the smaller is freed after S2.
 */
#include "load.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CACHE_LINE 64

struct mmoe_reader {
    /* The scoring thread's alone, but that swaps read `phase` and set `scratch`. */
    _Alignas(CACHE_LINE) atomic_uint phase; /* odd: uses a version */
    _Atomic(void *) scratch;
    unsigned depth;                     /* of mmoe_hold */
    const struct mmoe_model *held;      /* while depth > 0, and the scratch for it: */
    void *held_scratch;
    struct mmoe *m;
    const struct mmoe_pool *pool;       /* NULL: it scores alone */
    /* Guarded by m->list. */
    _Alignas(CACHE_LINE) struct mmoe_reader *next;
    size_t scratch_bytes;
    void *other_scratch;                /* the larger one before S1, the smaller one after it */
};

struct mmoe {
    _Atomic(struct version *) serving;
    pthread_mutex_t swapping;           /* held by a swap from begin to end */
    pthread_mutex_t list;               /* of readers; held by a swap while it changes what they see */
    struct mmoe_reader *readers;
};

const char *mmoe_status_text(enum mmoe_status status)
{
    static const char *const texts[] = {
        [MMOE_OK] = "fine",
        [MMOE_NO_FILE] = "the file cannot be read",
        [MMOE_NOT_A_MODEL] = "not a model of this ABI",
        [MMOE_OTHER_MODEL] = "weights of another structure",
        [MMOE_DAMAGED] = "the file is damaged",
        [MMOE_NO_MEMORY] = "out of memory",
        [MMOE_SELF_TEST] = "this build does not give the promised bits",
        [MMOE_OTHER_SHAPE] = "a model with other inputs or outputs",
    };
    return (size_t)status < sizeof texts / sizeof *texts ? texts[status] : "unknown status";
}

/* ---- scoring --------------------------------------------------------------------------------------------------- */

const struct mmoe_model *mmoe_hold(struct mmoe_reader *r)
{
    if (r->depth++ > 0)
        return r->held;
    const unsigned phase = atomic_load_explicit(&r->phase, memory_order_relaxed); /* nobody else writes it */
    atomic_store_explicit(&r->phase, phase + 1, memory_order_seq_cst);
    r->held = &atomic_load_explicit(&r->m->serving, memory_order_seq_cst)->record;
    r->held_scratch = atomic_load_explicit(&r->scratch, memory_order_acquire); /* at least as new as what R2 found */
    return r->held;
}

void mmoe_release(struct mmoe_reader *r)
{
    if (--r->depth == 0)
        atomic_store_explicit(&r->phase, atomic_load_explicit(&r->phase, memory_order_relaxed) + 1,
                              memory_order_release);
}

void mmoe_score(struct mmoe_reader *r, const float *x, size_t rows, float *y)
{
    const struct mmoe_model *m = mmoe_hold(r);
    if (r->pool)
        mmoe_score_parallel(r->pool, m, x, rows, y, r->held_scratch);
    else
        m->score(m->weights, x, m->inputs, rows, y, r->held_scratch);
    mmoe_release(r);
}

void mmoe_score_rows(struct mmoe_reader *r, const struct mmoe_values *columns, size_t rows, float *y,
                     struct mmoe_row_status *status)
{
    const struct mmoe_model *m = mmoe_hold(r);
    m->score_rows(m->weights, m->tables, columns, rows, y, status, r->held_scratch);
    mmoe_release(r);
}

void mmoe_score_users(struct mmoe_reader *r, const float *users, const float *items, const size_t *offsets,
                      size_t n_users, float *y)
{
    const struct mmoe_model *m = mmoe_hold(r);
    m->score_users(m->weights, users, m->user_inputs, items, m->inputs - m->user_inputs, offsets, n_users, y,
                   r->held_scratch);
    mmoe_release(r);
}

void mmoe_score_requests(struct mmoe_reader *r, const struct mmoe_values *columns, const size_t *offsets, size_t n_users,
                         float *y, struct mmoe_row_status *status)
{
    const struct mmoe_model *m = mmoe_hold(r);
    m->score_requests(m->weights, m->tables, columns, offsets, n_users, y, status, r->held_scratch);
    mmoe_release(r);
}

/* ---- readers --------------------------------------------------------------------------------------------------- */

static size_t scratch_for(const struct mmoe_reader *r, const struct version *v)
{
    return MMOE_PARALLEL_SCRATCH(&v->record, r->pool ? r->pool->threads : 1);
}

enum mmoe_status mmoe_reader_new(struct mmoe_reader **result, struct mmoe *m, const struct mmoe_pool *pool)
{
    struct mmoe_reader *r = aligned_alloc(CACHE_LINE, sizeof *r);
    *result = NULL;
    if (!r)
        return MMOE_NO_MEMORY;
    memset(r, 0, sizeof *r);
    r->m = m;
    r->pool = pool;
    pthread_mutex_lock(&m->list); /* the version whose sizes count must still serve when the reader is in the list */
    r->scratch_bytes = scratch_for(r, m->serving);
    void *scratch = aligned_scratch(r->scratch_bytes);
    if (scratch) {
        atomic_init(&r->scratch, scratch);
        r->next = m->readers;
        m->readers = *result = r;
    }
    pthread_mutex_unlock(&m->list);
    if (!scratch)
        free(r);
    return scratch ? MMOE_OK : MMOE_NO_MEMORY;
}

static void free_reader(struct mmoe_reader *r)
{
    free(atomic_load(&r->scratch));
    free(r);
}

void mmoe_reader_free(struct mmoe_reader *r)
{
    if (!r)
        return;
    struct mmoe *m = r->m;
    pthread_mutex_lock(&m->list);
    struct mmoe_reader **link = &m->readers;
    while (*link != r)
        link = &(*link)->next;
    *link = r->next;
    pthread_mutex_unlock(&m->list);
    free_reader(r);
}

/* ---- swaps ----------------------------------------------------------------------------------------------------- */

/* Does b take the rows that a takes? */
static int same_columns(const struct mmoe_model *a, const struct mmoe_model *b)
{
    if (!a->score_rows)
        return 1;
    if (!b->score_rows || a->n_columns != b->n_columns || a->row_bytes != b->row_bytes)
        return 0;
    for (uint32_t i = 0; i < a->n_columns; i++)
        if (strcmp(a->columns[i].name, b->columns[i].name) != 0 || a->columns[i].kind != b->columns[i].kind ||
            a->columns[i].offset != b->columns[i].offset || a->columns[i].user != b->columns[i].user)
            return 0;
    return 1;
}

/* Which of EasyRec's columns is column i of x? */
static uint32_t column_at(const struct mmoe_model *m, uint32_t i) { return m->input_order ? m->input_order[i] : i; }

static int same_shape(const struct mmoe_model *a, const struct mmoe_model *b)
{
    if (a->inputs != b->inputs || a->outputs != b->outputs || a->user_inputs != b->user_inputs)
        return 0;
    for (uint32_t i = 0; i < a->inputs; i++)
        if (column_at(a, i) != column_at(b, i))
            return 0;
    for (uint32_t i = 0; i < a->outputs; i++)
        if (strcmp(a->output_names[i], b->output_names[i]) != 0)
            return 0;
    return same_columns(a, b);
}

/* All that a version needs of readers, before anything of it is seen. */
static enum mmoe_status make_scratch(struct mmoe *m, const struct version *v)
{
    for (struct mmoe_reader *r = m->readers; r; r = r->next)
        if (scratch_for(r, v) > r->scratch_bytes && !(r->other_scratch = aligned_scratch(scratch_for(r, v))))
            return MMOE_NO_MEMORY;
    return MMOE_OK;
}

static void free_other_scratch(struct mmoe *m)
{
    for (struct mmoe_reader *r = m->readers; r; r = r->next) {
        free(r->other_scratch);
        r->other_scratch = NULL;
    }
}

static void use_larger_scratch(struct mmoe *m, const struct version *v)
{
    for (struct mmoe_reader *r = m->readers; r; r = r->next)
        if (r->other_scratch) {
            r->other_scratch = atomic_exchange(&r->scratch, r->other_scratch);
            r->scratch_bytes = scratch_for(r, v);
        }
}

/* S2. Most calls end within microseconds; a large batch takes milliseconds, for which nobody should burn a core. */
static void wait_for_readers(struct mmoe *m)
{
    for (struct mmoe_reader *r = m->readers; r; r = r->next) {
        const unsigned phase = atomic_load_explicit(&r->phase, memory_order_seq_cst);
        if (phase % 2 == 0)
            continue;
        for (int i = 0; atomic_load_explicit(&r->phase, memory_order_acquire) == phase; i++)
            if (i < 100)
                sched_yield();
            else
                nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
    }
}

/* What comes with a version that serves: code is handed on to other weights for it, with its owner. */
static void take_over(struct version *next, struct version *old, struct mmoe_source source)
{
    next->end = source.end;
    next->owner = source.owner;
    if (next->code_of) {
        next->library = old->library;
        next->end = old->end;
        next->owner = old->owner;
        old->library = NULL;
        old->end = NULL;
        next->code_of = NULL;
    }
}

static enum mmoe_status publish(struct mmoe *m, struct version *next)
{
    pthread_mutex_lock(&m->list);
    const enum mmoe_status status = make_scratch(m, next);
    if (status == MMOE_OK) {
        use_larger_scratch(m, next);
        atomic_store_explicit(&m->serving, next, memory_order_seq_cst);
        wait_for_readers(m);
    }
    free_other_scratch(m);
    pthread_mutex_unlock(&m->list);
    return status;
}

static enum mmoe_status swap(struct mmoe *m, struct mmoe_source source, unsigned flags)
{
    struct version *old = m->serving, *next;
    enum mmoe_status status = load_version(&next, source, old);
    if (status != MMOE_OK)
        return status;
    if (!(flags & MMOE_ANY_SHAPE) && !same_shape(&old->record, &next->record))
        status = MMOE_OTHER_SHAPE;
    if (status == MMOE_OK)
        status = publish(m, next);
    if (status == MMOE_OK)
        take_over(next, old, source);
    free_version(status == MMOE_OK ? old : next);
    return status;
}

enum mmoe_status mmoe_swap(struct mmoe *m, struct mmoe_source source, unsigned flags)
{
    pthread_mutex_lock(&m->swapping);
    const enum mmoe_status status = swap(m, source, flags);
    pthread_mutex_unlock(&m->swapping);
    return status;
}

/* ---- opening and closing --------------------------------------------------------------------------------------- */

enum mmoe_status mmoe_open(struct mmoe **result, struct mmoe_source source)
{
    struct version *v = NULL;
    struct mmoe *m = calloc(1, sizeof *m);
    enum mmoe_status status = m ? load_version(&v, source, NULL) : MMOE_NO_MEMORY;
    *result = NULL;
    if (status != MMOE_OK) {
        free(m);
        return status;
    }
    take_over(v, NULL, source);
    atomic_init(&m->serving, v);
    pthread_mutex_init(&m->swapping, NULL); /* cannot fail without attributes, on Linux */
    pthread_mutex_init(&m->list, NULL);
    *result = m;
    return MMOE_OK;
}

const struct mmoe_model *mmoe_record(const struct mmoe *m) { return &atomic_load(&m->serving)->record; }

void mmoe_close(struct mmoe *m)
{
    if (!m)
        return;
    for (struct mmoe_reader *r = m->readers, *next; r; r = next) {
        next = r->next;
        free_reader(r);
    }
    free_version(m->serving);
    pthread_mutex_destroy(&m->swapping);
    pthread_mutex_destroy(&m->list);
    free(m);
}
