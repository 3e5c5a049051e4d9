// SPDX-License-Identifier: Apache-2.0
/* The compiler as a library, through its public face alone: models, messages, options, and several threads at once.
 *
 *     test_libmmoec MODEL OTHER_MODEL WORK     directories of models; where it may write
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libmmoec.h"

#define THREADS 4
#define TIMES 12
#define ROWS 9

static const char *models[2], *work;

static const struct mmoec_options defaults = {.size = sizeof(struct mmoec_options)};

static struct mmoec_model *open_model(const char *dir, const char *engine)
{
    struct mmoec_options o = defaults;
    struct mmoec_model *m = NULL;
    o.engine = engine;
    assert_int_equal(mmoec_jit(dir, &o, &m, NULL), MMOEC_OK);
    assert_non_null(m);
    return m;
}

/* A few rows; freed by the caller. */
static float *row_numbers(const struct mmoe_model *r)
{
    float *x = malloc(ROWS * r->inputs * sizeof *x);
    for (size_t i = 0; i < ROWS * r->inputs; i++)
        x[i] = (float)(i * 7919 % 2003) / 1000 - 1;
    return x;
}

/* Their scores; freed by the caller. */
static float *scores_of(const struct mmoec_model *m)
{
    const struct mmoe_model *r = mmoec_record(m);
    float *x = row_numbers(r), *y = malloc(ROWS * r->outputs * sizeof *y);
    void *scratch = aligned_alloc(64, (r->scratch_bytes + 63) / 64 * 64);
    r->score(r->weights, x, r->inputs, ROWS, y, scratch);
    free(scratch);
    free(x);
    return y;
}

static int same_scores(const struct mmoec_model *m, const float *want)
{
    float *y = scores_of(m);
    int same = memcmp(y, want, ROWS * mmoec_record(m)->outputs * sizeof *y) == 0;
    free(y);
    return same;
}

static void a_model_is_made_and_scores(void **state)
{
    (void)state;
    struct mmoec_messages *messages = NULL;
    struct mmoec_model *m = NULL;
    assert_int_equal(mmoec_jit(models[0], NULL, &m, &messages), MMOEC_OK);
    assert_non_null(messages);
    mmoec_free_messages(messages);
    assert_string_equal(mmoec_engine(m), mmoec_jit_trouble() ? "walk" : "jit");
    struct mmoec_model *walk = open_model(models[0], "walk-plain");
    assert_string_equal(mmoec_engine(walk), "walk");
    assert_string_equal(mmoec_record(walk)->chosen_isa(), "plain");
    float *want = scores_of(walk);
    assert_true(same_scores(m, want));
    free(want);
    mmoec_close(walk);
    mmoec_close(m);
}

/* Rows of defaults: what columns that are not there have. */
static float *scores_of_rows(const struct mmoec_model *m)
{
    const struct mmoe_model *r = mmoec_record(m);
    struct mmoe_values none[64] = {{NULL, 0}};
    struct mmoe_row_status status[ROWS];
    assert_true(r->n_columns > 0 && r->n_columns <= 64);
    float *y = test_malloc(ROWS * r->outputs * sizeof *y);
    void *scratch = aligned_alloc(64, (r->scratch_bytes + 63) / 64 * 64);
    r->score_rows(r->weights, r->tables, none, ROWS, y, status, scratch);
    for (int i = 0; i < ROWS; i++)
        assert_int_equal(status[i].why, MMOE_ROW_FINE);
    free(scratch);
    return y;
}

static void rows_are_scored_if_asked_for(void **state)
{
    (void)state;
    struct mmoec_options o = defaults;
    struct mmoec_model *any, *walk;
    o.from = "rows";
    assert_int_equal(mmoec_jit(models[0], &o, &any, NULL), MMOEC_OK);
    o.engine = "walk-plain";
    assert_int_equal(mmoec_jit(models[0], &o, &walk, NULL), MMOEC_OK);
    float *y = scores_of_rows(any), *want = scores_of_rows(walk);
    assert_memory_equal(y, want, ROWS * mmoec_record(any)->outputs * sizeof *y);
    assert_true(y[0] == y[mmoec_record(any)->outputs]);
    test_free(y);
    test_free(want);
    mmoec_close(any);
    mmoec_close(walk);
    any = open_model(models[0], NULL);
    assert_null(mmoec_record(any)->score_rows);
    mmoec_close(any);
}

static void messages_are_records(void **state)
{
    (void)state;
    struct mmoec_messages *m;
    struct mmoec_model *model = (struct mmoec_model *)&m;
    assert_int_equal(mmoec_jit("/no/such/model", NULL, &model, &m), MMOEC_BAD_INPUT);
    assert_null(model);
    assert_true(m->n >= 1);
    assert_int_equal(m->message[0].severity, MMOEC_ERROR);
    assert_int_equal(m->message[0].result, MMOEC_BAD_INPUT);
    assert_string_equal(m->message[0].tag, "file");
    mmoec_free_messages(m);
    mmoec_free_messages(NULL);
}

static void a_place_in_a_config_is_told(void **state)
{
    (void)state;
    char path[4096];
    snprintf(path, sizeof path, "%s/wrong.config", work);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs("model_config {\n  expert_num: 4\n}\n", f);
    fclose(f);
    struct mmoec_messages *m;
    struct mmoec_model *model;
    assert_int_equal(mmoec_jit(path, NULL, &model, &m), MMOEC_BAD_INPUT);
    assert_string_equal(m->message[0].file, "wrong.config");
    assert_int_equal(m->message[0].line, 2);
    assert_int_equal(m->message[0].column, 3);
    assert_string_equal(m->message[0].tag, "unknown-field");
    mmoec_free_messages(m);
}

static void wrong_options_are_refused(void **state)
{
    (void)state;
    struct mmoec_model *model;
    for (int i = 0; i < 8; i++) {
        struct mmoec_options o = defaults;
        const char *dir = models[0];
        switch (i) {
        case 0: o.engine = "aot"; break;
        case 1: o.engine = "jit-"; break;
        case 2: o.numerics = "fp7"; break;
        case 3: o.name = "2; int x"; break;
        case 4: o.target = "sparc"; break;
        case 5: o.outputs = "nope"; break;
        case 6: o.user_columns = "nope"; break;
        default: dir = NULL;
        }
        assert_int_equal(mmoec_jit(dir, &o, &model, NULL), MMOEC_BAD_USAGE);
    }
}

/* A user with three items, by the record and by a reader: the scores of the same rows. */
static void user_columns_are_shared_by_items(void **state)
{
    (void)state;
    enum { USER = 12, ALL = 21, OUTPUTS = 2 };          /* tiny_mmoe: user_id and price, of four features */
    const size_t offsets[] = {0, 3};
    float user[USER], items[3 * (ALL - USER)], x[3 * ALL], want[3 * OUTPUTS], y[3 * OUTPUTS];
    struct mmoec_options o = defaults;
    struct mmoec_model *m;
    struct mmoe *served;
    struct mmoe_reader *reader;
    o.user_columns = "user_id,price";
    assert_int_equal(mmoec_jit(models[0], &o, &m, NULL), MMOEC_OK);
    const struct mmoe_model *r = mmoec_record(m);
    assert_int_equal(r->user_inputs, USER);
    assert_int_equal(r->inputs, ALL);
    assert_int_equal(r->outputs, OUTPUTS);
    assert_int_equal(r->input_order[USER], 8);          /* age */
    for (int i = 0; i < USER; i++)
        user[i] = (float)i / 7;
    for (int i = 0; i < 3 * (ALL - USER); i++)
        items[i] = (float)(i % 5) - 2;
    for (int row = 0; row < 3; row++) {
        memcpy(x + row * ALL, user, sizeof user);
        memcpy(x + row * ALL + USER, items + row * (ALL - USER), (ALL - USER) * sizeof *x);
    }
    assert_int_equal(mmoe_open(&served, mmoec_source(m)), MMOE_OK);
    assert_int_equal(mmoe_reader_new(&reader, served, NULL), MMOE_OK);
    mmoe_score(reader, x, 3, want);
    mmoe_score_users(reader, user, items, offsets, 1, y);
    assert_memory_equal(y, want, sizeof y);
    mmoe_close(served);
}

static void shorter_options_are_an_older_callers(void **state)
{
    (void)state;
    struct mmoec_options o = {.size = offsetof(struct mmoec_options, engine), .engine = "no such engine"};
    struct mmoec_model *m;
    assert_int_equal(mmoec_jit(models[0], &o, &m, NULL), MMOEC_OK);
    mmoec_close(m);
}

static void files_are_written(void **state)
{
    (void)state;
    char path[4096];
    snprintf(path, sizeof path, "%s/compiled.c", work);
    unlink(path);
    assert_int_equal(mmoec_compile(models[0], NULL, path, NULL), MMOEC_OK);
    assert_int_equal(access(path, F_OK), 0);
    struct mmoec_messages *m;
    assert_int_equal(mmoec_compile(models[0], NULL, "/no/such/directory/x", &m), MMOEC_SYSTEM_FAILED);
    assert_true(m->n == 1);
    mmoec_free_messages(m);
}

/* Weights that were compiled apart, for code that was made in memory; walk must refuse them. */
static void a_weights_file_is_swapped_in(void **state)
{
    (void)state;
    char path[4096 + 32], weights[4096 + 32];
    struct mmoec_options o = defaults;
    o.weights_in = "file";
    snprintf(path, sizeof path, "%s/apart.c", work);
    snprintf(weights, sizeof weights, "%s/apart.weights", work);
    assert_int_equal(mmoec_compile(models[0], &o, path, NULL), MMOEC_OK);
    for (int walk = mmoec_jit_trouble() != NULL; walk < 2; walk++) {
        struct mmoec_model *m = open_model(models[0], walk ? "walk" : "jit");
        float *y = scores_of(m);
        struct mmoe *served;
        assert_int_equal(mmoe_open(&served, mmoec_source(m)), MMOE_OK);
        assert_int_equal(mmoe_swap(served, mmoe_file(weights), 0), walk ? MMOE_OTHER_MODEL : MMOE_OK);
        struct mmoe_reader *reader;
        assert_int_equal(mmoe_reader_new(&reader, served, NULL), MMOE_OK);
        const struct mmoe_model *r = mmoe_record(served);
        float *x = row_numbers(r), *z = malloc(ROWS * r->outputs * sizeof *z);
        mmoe_score(reader, x, ROWS, z);
        assert_memory_equal(y, z, ROWS * r->outputs * sizeof *z);
        free(z);
        free(x);
        free(y);
        mmoe_close(served);
    }
}

/* ---- the cache ---------------------------------------------------------------------------------------------------- */

static char cache_dir[4096];

/* Makes the model with a cache in cache_dir, compares its scores with `want`; is there a message with this text? */
static int cached_says(const char *dir, const float *want, const char *text)
{
    struct mmoec_options o = defaults;
    struct mmoec_messages *messages;
    struct mmoec_model *m;
    int said = 0;
    o.cache = cache_dir;
    o.verbose = 1;
    assert_int_equal(mmoec_jit(dir, &o, &m, &messages), MMOEC_OK);
    for (size_t i = 0; i < messages->n; i++)
        said |= strstr(messages->message[i].text, text) != NULL;
    assert_true(same_scores(m, want));
    mmoec_free_messages(messages);
    mmoec_close(m);
    return said;
}

/* The only file in cache_dir; "" if there is none. */
static void find_cached(char path[8192])
{
    DIR *d = opendir(cache_dir);
    path[0] = 0;
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        if (e->d_name[0] != '.') {
            assert_int_equal(path[0], 0);
            snprintf(path, 8192, "%s/%s", cache_dir, e->d_name);
        }
    closedir(d);
}

static void clear_cache(void)
{
    char path[8192];
    snprintf(cache_dir, sizeof cache_dir, "%s/cache", work);
    mkdir(cache_dir, 0777);
    find_cached(path);
    unlink(path);
}

static long size_of(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 ? (long)s.st_size : -1;
}

static void flip_bit(const char *path, long at, int bit)
{
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    fseek(f, at, SEEK_SET);
    int c = fgetc(f);
    fseek(f, at, SEEK_SET);
    fputc(c ^ 1 << bit, f);
    fclose(f);
}

static float *scores_of_model(const char *dir)
{
    struct mmoec_model *m = open_model(dir, "walk");
    float *y = scores_of(m);
    mmoec_close(m);
    return y;
}

static void the_second_start_reads_the_cache(void **state)
{
    (void)state;
    float *y = scores_of_model(models[0]);
    clear_cache();
    assert_true(cached_says(models[0], y, "packing"));
    assert_true(cached_says(models[0], y, "cache"));
    free(y);
}

static void a_damaged_cache_is_ignored_and_written_anew(void **state)
{
    (void)state;
    char path[8192];
    float *y = scores_of_model(models[0]);
    clear_cache();
    assert_true(cached_says(models[0], y, "packing"));
    find_cached(path);
    long bytes = size_of(path);
    assert_true(bytes > 1000);
    for (long at = 0; at < bytes; at += at < 200 ? 7 : 97) {
        flip_bit(path, at, (int)(at % 8));
        assert_true(cached_says(models[0], y, "this cache is not used"));
        assert_true(cached_says(models[0], y, ", cache"));
    }
    flip_bit(path, bytes - 1, 7);
    assert_true(cached_says(models[0], y, "it is damaged"));
    assert_int_equal(truncate(path, bytes - 4), 0);
    assert_true(cached_says(models[0], y, "it has another length"));
    assert_int_equal(truncate(path, 0), 0);
    assert_true(cached_says(models[0], y, "it has another length"));
    free(y);
}

/* Another model's file under this one's name. */
static void a_foreign_cache_is_ignored(void **state)
{
    (void)state;
    char mine[8192], kept[8192], command[3 * 8192];
    float *y = scores_of_model(models[0]);
    struct mmoec_options o = defaults;
    struct mmoec_model *m;
    clear_cache();
    assert_true(cached_says(models[0], y, "packing"));
    find_cached(mine);
    snprintf(kept, sizeof kept, "%s/kept", work);
    assert_int_equal(rename(mine, kept), 0);
    o.cache = cache_dir;
    o.permissive = 1;               /* the same weights, under another key */
    assert_int_equal(mmoec_jit(models[0], &o, &m, NULL), MMOEC_OK);
    mmoec_close(m);
    char other[8192];
    find_cached(other);
    assert_string_not_equal(other, mine);
    snprintf(command, sizeof command, "mv '%s' '%s'", other, mine);
    assert_int_equal(system(command), 0);
    assert_true(cached_says(models[0], y, "it is of another checkpoint, config or version"));
    free(y);
}

static void a_cache_that_cannot_be_written_is_a_warning(void **state)
{
    (void)state;
    float *y = scores_of_model(models[0]);
    clear_cache();
    char rest[sizeof cache_dir];
    memcpy(rest, cache_dir, sizeof rest);
    strcpy(cache_dir, "/no/such/directory");
    assert_true(cached_says(models[0], y, "this cache cannot be written: there is no such file"));
    memcpy(cache_dir, rest, sizeof rest);

    /* As a full disk: the write stops in the middle. */
    struct rlimit before, small;
    getrlimit(RLIMIT_FSIZE, &before);
    small = (struct rlimit){1000, before.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    assert_true(cached_says(models[0], y, "this cache cannot be written: the file would become larger"));
    setrlimit(RLIMIT_FSIZE, &before);
    char path[8192];
    find_cached(path);
    assert_string_equal(path, "");
    free(y);
}

/* ---- threads: each makes both models again and again, and scores them; one fails all the time ------------------- */

static float *want[2];

static void *make_and_score(void *number)
{
    uintptr_t wrong = 0;
    for (int i = 0; i < TIMES; i++) {
        int k = (i + *(int *)number) % 2;
        struct mmoec_model *m = NULL;
        struct mmoec_messages *messages;
        if (mmoec_jit(models[k], NULL, &m, &messages) == MMOEC_OK)
            wrong += !same_scores(m, want[k]);
        else
            wrong++;
        mmoec_free_messages(messages);
        mmoec_close(m);
        wrong += mmoec_jit("/no/such/model", NULL, &m, NULL) != MMOEC_BAD_INPUT;
    }
    return (void *)wrong;
}

static void several_threads_compile_at_once(void **state)
{
    (void)state;
    pthread_t thread[THREADS];
    int number[THREADS];
    for (int k = 0; k < 2; k++) {
        struct mmoec_model *m = open_model(models[k], "walk");
        want[k] = scores_of(m);
        mmoec_close(m);
    }
    for (int t = 0; t < THREADS; t++) {
        number[t] = t;
        assert_int_equal(pthread_create(&thread[t], NULL, make_and_score, &number[t]), 0);
    }
    for (int t = 0; t < THREADS; t++) {
        void *wrong;
        assert_int_equal(pthread_join(thread[t], &wrong), 0);
        assert_null(wrong);
    }
    free(want[0]);
    free(want[1]);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_is_made_and_scores),
        cmocka_unit_test(rows_are_scored_if_asked_for),
        cmocka_unit_test(messages_are_records),
        cmocka_unit_test(a_place_in_a_config_is_told),
        cmocka_unit_test(wrong_options_are_refused),
        cmocka_unit_test(user_columns_are_shared_by_items),
        cmocka_unit_test(shorter_options_are_an_older_callers),
        cmocka_unit_test(files_are_written),
        cmocka_unit_test(a_weights_file_is_swapped_in),
        cmocka_unit_test(the_second_start_reads_the_cache),
        cmocka_unit_test(a_damaged_cache_is_ignored_and_written_anew),
        cmocka_unit_test(a_foreign_cache_is_ignored),
        cmocka_unit_test(a_cache_that_cannot_be_written_is_a_warning),
        cmocka_unit_test(several_threads_compile_at_once),
    };
    if (argc != 4)
        return 2;
    models[0] = argv[1], models[1] = argv[2], work = argv[3];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
