// SPDX-License-Identifier: Apache-2.0
/* test_swap.c: swaps under threads that score, readers, pools of threads.
 *
 *     test_swap SWAPS      how many swaps back to back under scoring threads
 *
 * Models are made in memory, by hand: y = w[0] x[0] for each output, a model's number being w[0]. Their weights are
 * freed when they end, so that a sanitizer sees a use after the end; and are overwritten before, so that without one a
 * score is wrong.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../runtime/mmoe.h"

static int n_swaps = 10000;

/* ---- models ---------------------------------------------------------------------------------------------------- */

#define OUTPUTS 4

struct model {
    struct mmoe_model record;
    float *weights;             /* [1] */
};

static atomic_int alive, scored_after_end;

/* Uses its scratch up to the end, and its weights twice: at the beginning and at the end. */
static void score(const void *weights, const float *x, size_t xs, size_t rows, float *y, void *scratch)
{
    const volatile float *w = weights;
    const size_t n = (size_t)w[1] / sizeof(float);
    float *s = scratch;
    for (size_t r = 0; r < rows; r++) {
        for (size_t i = 0; i < OUTPUTS; i++)
            s[(i + 1) * n / OUTPUTS - 1] = w[0];
        for (size_t i = 0; i < OUTPUTS; i++)
            y[r * OUTPUTS + i] = s[(i + 1) * n / OUTPUTS - 1] * x[r * xs];
        if (w[0] < 0)
            atomic_fetch_add(&scored_after_end, 1);
    }
}

static int self_test(const void *weights, const uint32_t *expected, void *scratch)
{
    (void)weights, (void)expected, (void)scratch;
    return 0;
}

static const char *const names[] = {"a", "b", "c", "d"}, *const other_names[] = {"a", "b", "c", "e"};

static void end_model(void *owner)
{
    struct model *m = owner;
    m->weights[0] = m->weights[1] = -1;
    free(m->weights);
    free(m);
    atomic_fetch_sub(&alive, 1);
}

static struct model *new_model(float number, size_t scratch_bytes)
{
    struct model *m = calloc(1, sizeof *m);
    m->weights = malloc(2 * sizeof(float));
    m->weights[0] = number;
    m->weights[1] = (float)scratch_bytes;
    m->record = (struct mmoe_model){.abi = MMOE_ABI, .size = sizeof m->record, .inputs = 2, .outputs = OUTPUTS,
                                    .name = "swapped", .output_names = names, .scratch_bytes = scratch_bytes,
                                    .weight_floats = 2, .weights = m->weights, .score = score,
                                    .self_test = self_test};
    atomic_fetch_add(&alive, 1);
    return m;
}

static struct mmoe_source source_of(struct model *m) { return mmoe_memory(&m->record, end_model, m); }

static struct mmoe *open_model(float number)
{
    struct mmoe *m;
    assert_int_equal(mmoe_open(&m, source_of(new_model(number, 64))), MMOE_OK);
    return m;
}

static enum mmoe_status swap_to(struct mmoe *m, float number, size_t scratch_bytes)
{
    return mmoe_swap(m, source_of(new_model(number, scratch_bytes)), 0);
}

static float score_one(struct mmoe_reader *r)
{
    const float x[2] = {1, 0};
    float y[OUTPUTS];
    mmoe_score(r, x, 1, y);
    for (size_t i = 1; i < OUTPUTS; i++)
        assert_true(y[i] == y[0]);
    return y[0];
}

static struct mmoe_reader *new_reader(struct mmoe *m, const struct mmoe_pool *pool)
{
    struct mmoe_reader *r;
    assert_int_equal(mmoe_reader_new(&r, m, pool), MMOE_OK);
    return r;
}

/* ---- one thread ------------------------------------------------------------------------------------------------ */

static void new_calls_find_the_new_model(void **state)
{
    (void)state;
    struct mmoe *m = open_model(1);
    struct mmoe_reader *r = new_reader(m, NULL);
    assert_true(score_one(r) == 1);
    assert_int_equal(swap_to(m, 2, 64), MMOE_OK);
    assert_int_equal(atomic_load(&alive), 1);
    assert_true(score_one(r) == 2);
    assert_int_equal(swap_to(m, 3, 1 << 20), MMOE_OK); /* scratch grows */
    assert_true(score_one(r) == 3);
    assert_int_equal(swap_to(m, 4, 64), MMOE_OK);
    assert_true(score_one(r) == 4);
    mmoe_close(m);
    assert_int_equal(atomic_load(&alive), 0);
}

static void score_users(const void *weights, const float *users, size_t us, const float *items, size_t is,
                        const size_t *offsets, size_t n_users, float *y, void *scratch)
{
    (void)weights, (void)users, (void)us, (void)items, (void)is, (void)offsets, (void)n_users, (void)y, (void)scratch;
}

static void refuses_another_shape(void **state)
{
    (void)state;
    struct mmoe *m = open_model(1);
    struct mmoe_reader *r = new_reader(m, NULL);
    struct model *next = new_model(2, 64);
    next->record.inputs = 3;
    assert_int_equal(mmoe_swap(m, source_of(next), 0), MMOE_OTHER_SHAPE);
    next->record.inputs = 2;
    next->record.output_names = other_names;
    assert_int_equal(mmoe_swap(m, source_of(next), 0), MMOE_OTHER_SHAPE);
    next->record.output_names = names;
    next->record.outputs = 3;
    assert_int_equal(mmoe_swap(m, source_of(next), 0), MMOE_OTHER_SHAPE);
    next->record.outputs = OUTPUTS;
    next->record.user_inputs = 1;
    next->record.score_users = score_users;
    assert_int_equal(mmoe_swap(m, source_of(next), 0), MMOE_OTHER_SHAPE);
    next->record.user_inputs = 0;
    next->record.score_users = NULL;
    next->record.input_order = (const uint32_t[]){1, 0};
    assert_int_equal(mmoe_swap(m, source_of(next), 0), MMOE_OTHER_SHAPE);
    next->record.input_order = NULL;
    next->record.inputs = 3;
    assert_true(score_one(r) == 1);
    assert_int_equal(mmoe_swap(m, source_of(next), MMOE_ANY_SHAPE), MMOE_OK);
    assert_int_equal(mmoe_hold(r)->inputs, 3);
    mmoe_release(r);
    mmoe_close(m);
    assert_int_equal(atomic_load(&alive), 0);
}

static void a_refused_model_stays_its_owners(void **state)
{
    (void)state;
    struct mmoe *m = open_model(1), *none;
    struct model *bad = new_model(2, 64);
    bad->record.abi++;
    assert_int_equal(mmoe_swap(m, source_of(bad), 0), MMOE_NOT_A_MODEL);
    assert_int_equal(mmoe_open(&none, source_of(bad)), MMOE_NOT_A_MODEL);
    bad->record.abi--;
    bad->record.weights = NULL;
    assert_int_equal(mmoe_swap(m, source_of(bad), 0), MMOE_NOT_A_MODEL);
    bad->record.weights = bad->weights;
    bad->record.scratch_bytes = SIZE_MAX / 4; /* nobody can give it to the reader */
    struct mmoe_reader *r = new_reader(m, NULL);
    assert_int_equal(mmoe_swap(m, source_of(bad), 0), MMOE_NO_MEMORY);
    assert_true(score_one(r) == 1);
    assert_int_equal(atomic_load(&alive), 2);
    end_model(bad);
    mmoe_close(m);
    assert_int_equal(atomic_load(&alive), 0);
}

/* ---- holding --------------------------------------------------------------------------------------------------- */

struct swapper {
    pthread_t id;
    struct mmoe *m;
    atomic_int done;
};

static void *swap_once(void *argument)
{
    struct swapper *s = argument;
    if (swap_to(s->m, 2, 4096) == MMOE_OK)
        atomic_store(&s->done, 1);
    return NULL;
}

static void a_swap_waits_for_who_holds(void **state)
{
    (void)state;
    struct swapper s = {.m = open_model(1)};
    struct mmoe_reader *holder = new_reader(s.m, NULL), *other = new_reader(s.m, NULL);
    const struct mmoe_model *held = mmoe_hold(holder);
    assert_int_equal(pthread_create(&s.id, NULL, swap_once, &s), 0);
    while (score_one(other) == 1) /* the new model serves others before the old one has ended */
        ;
    usleep(20000);
    assert_int_equal(atomic_load(&s.done), 0);
    assert_ptr_equal(mmoe_hold(holder), held);
    assert_true(score_one(holder) == 1);
    mmoe_release(holder);
    assert_int_equal(atomic_load(&s.done), 0);
    mmoe_release(holder);
    pthread_join(s.id, NULL);
    assert_int_equal(atomic_load(&s.done), 1);
    assert_true(score_one(holder) == 2);
    mmoe_close(s.m);
    assert_int_equal(atomic_load(&alive), 0);
}

/* ---- swaps under scoring threads ------------------------------------------------------------------------------- */

struct scorer {
    pthread_t id;
    struct mmoe *m;
    size_t wrong;
    atomic_size_t calls;
};

/* The number of a model that will certainly serve, and of one that may: a score lies between. */
static atomic_int finished, begun, ending;

static void *score_on(void *argument)
{
    struct scorer *s = argument;
    enum { ROWS = 3 };
    const float x[2 * ROWS] = {1, 0, 2, 0, 4, 0};
    float y[ROWS * OUTPUTS];
    struct mmoe_reader *r = NULL;
    while (!atomic_load(&ending)) {
        if (atomic_fetch_add(&s->calls, 1) % 1000 == 0) { /* readers come and go */
            mmoe_reader_free(r);
            if (mmoe_reader_new(&r, s->m, NULL) != MMOE_OK)
                abort();
        }
        const int least = atomic_load(&finished);
        mmoe_score(r, x, ROWS, y);
        const int most = atomic_load(&begun);
        const float number = y[0];
        int wrong = number < (float)least || number > (float)most;
        for (size_t i = 0; i < ROWS * OUTPUTS; i++)
            wrong |= y[i] != number * x[2 * (i / OUTPUTS)];
        s->wrong += (size_t)wrong;
    }
    mmoe_reader_free(r);
    return NULL;
}

static size_t fewest_calls(struct scorer *scorers, size_t n)
{
    size_t fewest = SIZE_MAX;
    for (size_t i = 0; i < n; i++)
        if (atomic_load(&scorers[i].calls) < fewest)
            fewest = atomic_load(&scorers[i].calls);
    return fewest;
}

/* Back to back, and on until each thread has had many of them under it. */
static void swap_under(size_t threads)
{
    struct scorer scorers[8] = {{0}};
    struct mmoe *m = open_model(1);
    atomic_store(&ending, 0);
    atomic_store(&finished, 1);
    atomic_store(&begun, 1);
    for (size_t i = 0; i < threads; i++) {
        scorers[i].m = m;
        assert_int_equal(pthread_create(&scorers[i].id, NULL, score_on, &scorers[i]), 0);
    }
    for (int i = 2; i < n_swaps + 2 || fewest_calls(scorers, threads) < 2000; i++) {
        atomic_store(&begun, i);
        /* Sizes of scratch go up and down, and each second time beyond all before. */
        const size_t scratch_bytes = i % 2 || i > 10000 ? 64 : 64 * (size_t)i;
        assert_int_equal(swap_to(m, (float)i, scratch_bytes), MMOE_OK);
        atomic_store(&finished, i);
        assert_int_equal(atomic_load(&alive), 1);
    }
    atomic_store(&ending, 1);
    for (size_t i = 0; i < threads; i++) {
        pthread_join(scorers[i].id, NULL);
        assert_int_equal(scorers[i].wrong, 0);
    }
    mmoe_close(m);
    assert_int_equal(atomic_load(&alive), 0);
    assert_int_equal(atomic_load(&scored_after_end), 0);
}

static size_t cores(void)
{
    const long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > 4 ? 4 : (size_t)n;
}

static void one_thread_a_core(void **state)
{
    (void)state;
    swap_under(cores());
}

static void more_threads_than_cores(void **state)
{
    (void)state;
    swap_under(2 * cores());
}

/* Swaps by several threads at once follow each other: each takes effect, and none is freed twice. */
static void *swap_many(void *argument)
{
    struct swapper *s = argument;
    for (int i = 0; i < n_swaps / 10; i++)
        if (swap_to(s->m, 5, 64) == MMOE_OK)
            atomic_fetch_add(&s->done, 1);
    return NULL;
}

static void several_threads_swap(void **state)
{
    (void)state;
    struct swapper s[2] = {{.m = open_model(1)}};
    s[1].m = s[0].m;
    struct mmoe_reader *r = new_reader(s[0].m, NULL);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&s[i].id, NULL, swap_many, &s[i]), 0);
    for (int i = 0; i < n_swaps; i++) {
        const float y = score_one(r);
        assert_true(y == 1 || y == 5);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(s[i].id, NULL);
        assert_int_equal(atomic_load(&s[i].done), n_swaps / 10);
    }
    mmoe_close(s[0].m);
    assert_int_equal(atomic_load(&alive), 0);
}

/* ---- pools ----------------------------------------------------------------------------------------------------- */

/* A batch in parts: every row once, whatever the number of rows. A large weight_floats makes rows worth sharing. */
static void check_batches(const struct mmoe_pool *pool)
{
    enum { MOST = 700 };
    static float x[2 * MOST], y[(MOST + 1) * OUTPUTS];
    struct model *m = new_model(3, 256);
    m->record.weight_floats = 1 << 21;
    void *scratch = aligned_alloc(64, MMOE_PARALLEL_SCRATCH(&m->record, pool->threads));
    for (size_t i = 0; i < MOST; i++)
        x[2 * i] = (float)i;
    for (size_t rows = 0; rows <= MOST; rows += rows < 100 ? 1 : 37) {
        memset(y, 0xff, sizeof y);
        mmoe_score_parallel(pool, &m->record, x, rows, y, scratch);
        for (size_t i = 0; i < rows * OUTPUTS; i++)
            assert_true(y[i] == 3 * x[2 * (i / OUTPUTS)]);
        const uint32_t untouched = UINT32_MAX;
        for (size_t i = rows * OUTPUTS; i < (MOST + 1) * OUTPUTS; i++)
            assert_memory_equal(&y[i], &untouched, sizeof untouched);
    }
    free(scratch);
    end_model(m);
}

static void a_pool_scores_every_row(void **state)
{
    (void)state;
    for (size_t threads = 0; threads <= 4; threads++) {
        struct mmoe_pool *pool;
        assert_int_equal(mmoe_pool_new(&pool, threads), MMOE_OK);
        assert_true(threads == 0 ? pool->threads >= 1 : pool->threads == threads);
        check_batches(pool);
        mmoe_pool_free(pool);
    }
}

/* A pool of the caller's: it may run the tasks one after the other, or only the first. */
static void run_in_turn(void *context, void (*task)(void *work, size_t t), void *work)
{
    for (size_t t = 0; t < *(size_t *)context; t++)
        task(work, t);
}

static void a_pool_may_be_the_callers(void **state)
{
    (void)state;
    for (size_t calls = 1; calls <= 3; calls++)
        check_batches(&(const struct mmoe_pool){3, run_in_turn, &calls});
}

/* Parts of a batch, as they were scored: where each begins, and its rows. */
static size_t n_parts, part_rows[64];
static const float *part_x[64];

static void note_part(const void *weights, const float *x, size_t xs, size_t rows, float *y, void *scratch)
{
    part_x[n_parts] = x;
    part_rows[n_parts++] = rows;
    score(weights, x, xs, rows, y, scratch);
}

/* Whole tiles of 8 rows but the last, as many parts for each thread, none larger than another by more than a tile. */
static void parts_are_even(void **state)
{
    (void)state;
    enum { MOST = 1100, THREADS = 3 };
    static float x[2 * MOST], y[MOST * OUTPUTS];
    size_t calls = THREADS;
    struct model *m = new_model(3, 256);
    m->record.weight_floats = 1 << 20;
    m->record.score = note_part;
    void *scratch = aligned_alloc(64, MMOE_PARALLEL_SCRATCH(&m->record, THREADS));
    for (size_t rows = 1; rows <= MOST; rows++) {
        n_parts = 0;
        mmoe_score_parallel(&(const struct mmoe_pool){THREADS, run_in_turn, &calls}, &m->record, x, rows, y, scratch);
        size_t sum = 0, least = SIZE_MAX, most = 0;
        for (size_t i = 0; i < n_parts; i++) {
            assert_ptr_equal(part_x[i], x + 2 * sum); /* in turn, for the threads do */
            assert_int_equal(sum % 8, 0);
            sum += part_rows[i];
            most = part_rows[i] > most ? part_rows[i] : most;
            least = i + 1 < n_parts && part_rows[i] < least ? part_rows[i] : least;
        }
        assert_int_equal(sum, rows);
        if (n_parts > 1) {
            assert_true(most - least <= 8 && part_rows[n_parts - 1] + 16 > most);
            assert_true(n_parts < THREADS || n_parts % THREADS == 0);
        }
    }
    assert_true(n_parts > THREADS);
    free(scratch);
    end_model(m);
}

struct sharer {
    pthread_t id;
    struct mmoe_reader *reader;
    size_t wrong;
};

/* Batches that are large enough to be shared, by threads that want the pool at the same time. */
static void *score_batches(void *argument)
{
    struct sharer *s = argument;
    enum { ROWS = 200 };
    float x[2 * ROWS] = {0}, y[ROWS * OUTPUTS];
    for (size_t i = 0; i < ROWS; i++)
        x[2 * i] = (float)i + 1;
    for (int call = 0; call < 200; call++) {
        mmoe_score(s->reader, x, ROWS, y);
        for (size_t i = 0; i < ROWS * OUTPUTS; i++)
            s->wrong += y[i] != y[0] * x[2 * (i / OUTPUTS)] || y[0] < 1;
    }
    return NULL;
}

static struct model *worth_sharing(float number)
{
    struct model *m = new_model(number, 512);
    m->record.weight_floats = 1 << 21;
    return m;
}

static void several_readers_share_a_pool(void **state)
{
    (void)state;
    struct mmoe_pool *pool;
    struct mmoe *m;
    struct sharer s[3] = {{0}};
    assert_int_equal(mmoe_pool_new(&pool, 3), MMOE_OK);
    assert_int_equal(mmoe_open(&m, source_of(worth_sharing(1))), MMOE_OK);
    for (size_t i = 0; i < 3; i++) {
        s[i].reader = new_reader(m, pool);
        assert_int_equal(pthread_create(&s[i].id, NULL, score_batches, &s[i]), 0);
    }
    for (int i = 0; i < 100; i++)
        assert_int_equal(mmoe_swap(m, source_of(worth_sharing((float)i + 2)), 0), MMOE_OK);
    for (size_t i = 0; i < 3; i++) {
        pthread_join(s[i].id, NULL);
        assert_int_equal(s[i].wrong, 0);
    }
    mmoe_close(m);
    mmoe_pool_free(pool);
    assert_int_equal(atomic_load(&alive), 0);
}

/* More stack than a machine has: no thread can start. */
static void refuse_threads(size_t stack)
{
    pthread_attr_t attributes;
    assert_int_equal(pthread_getattr_default_np(&attributes), 0);
    assert_int_equal(pthread_attr_setstacksize(&attributes, stack), 0);
    assert_int_equal(pthread_setattr_default_np(&attributes), 0);
    pthread_attr_destroy(&attributes);
}

struct slow {
    atomic_int begun, ended;
};

static void slow_task(void *work, size_t t)
{
    struct slow *s = work;
    atomic_fetch_add(&s->begun, 1);
    if (t > 0)
        usleep(20000); /* longer than anybody looks before he sleeps */
    else
        while (atomic_load(&s->begun) < 2)
            usleep(100);
    atomic_fetch_add(&s->ended, 1);
}

static void a_pool_waits_for_its_slowest(void **state)
{
    (void)state;
    struct mmoe_pool *pool;
    assert_int_equal(mmoe_pool_new(&pool, 3), MMOE_OK);
    for (int i = 0; i < 5; i++) {
        struct slow s = {0};
        pool->run(pool->context, slow_task, &s);
        assert_int_equal(atomic_load(&s.ended), atomic_load(&s.begun));
    }
    mmoe_pool_free(pool);
}

static void pools_that_cannot_be(void **state)
{
    (void)state;
    struct mmoe_pool *pool = (struct mmoe_pool *)1;
    assert_int_equal(mmoe_pool_new(&pool, SIZE_MAX), MMOE_NO_MEMORY);
    assert_null(pool);
    refuse_threads((size_t)1 << 46);
    pool = (struct mmoe_pool *)1;
    assert_int_equal(mmoe_pool_new(&pool, 3), MMOE_NO_MEMORY);
    assert_null(pool);
    refuse_threads(1 << 20);
    assert_int_equal(mmoe_pool_new(&pool, 3), MMOE_OK);
    mmoe_pool_free(pool);
    mmoe_pool_free(NULL);
    mmoe_reader_free(NULL);
    mmoe_close(NULL);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        n_swaps = atoi(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_calls_find_the_new_model),
        cmocka_unit_test(refuses_another_shape),
        cmocka_unit_test(a_refused_model_stays_its_owners),
        cmocka_unit_test(a_swap_waits_for_who_holds),
        cmocka_unit_test(one_thread_a_core),
        cmocka_unit_test(more_threads_than_cores),
        cmocka_unit_test(several_threads_swap),
        cmocka_unit_test(a_pool_scores_every_row),
        cmocka_unit_test(a_pool_may_be_the_callers),
        cmocka_unit_test(parts_are_even),
        cmocka_unit_test(several_readers_share_a_pool),
        cmocka_unit_test(a_pool_waits_for_its_slowest),
        cmocka_unit_test(pools_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
