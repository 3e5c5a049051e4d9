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

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

/* Scores of a few rows; freed by the caller. */
static float *scores_of(const struct mmoec_model *m)
{
    const struct mmoe_model *r = mmoec_record(m);
    float *x = malloc(ROWS * r->inputs * sizeof *x), *y = malloc(ROWS * r->outputs * sizeof *y);
    void *scratch = aligned_alloc(64, (r->scratch_bytes + 63) / 64 * 64);
    for (size_t i = 0; i < ROWS * r->inputs; i++)
        x[i] = (float)(i * 7919 % 2003) / 1000 - 1;
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
    for (int i = 0; i < 7; i++) {
        struct mmoec_options o = defaults;
        const char *dir = models[0];
        switch (i) {
        case 0: o.engine = "aot"; break;
        case 1: o.engine = "jit-"; break;
        case 2: o.numerics = "fp7"; break;
        case 3: o.name = "2; int x"; break;
        case 4: o.target = "sparc"; break;
        case 5: o.outputs = "nope"; break;
        default: dir = NULL;
        }
        assert_int_equal(mmoec_jit(dir, &o, &model, NULL), MMOEC_BAD_USAGE);
    }
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
        cmocka_unit_test(messages_are_records),
        cmocka_unit_test(a_place_in_a_config_is_told),
        cmocka_unit_test(wrong_options_are_refused),
        cmocka_unit_test(shorter_options_are_an_older_callers),
        cmocka_unit_test(files_are_written),
        cmocka_unit_test(several_threads_compile_at_once),
    };
    if (argc != 4)
        return 2;
    models[0] = argv[1], models[1] = argv[2], work = argv[3];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
