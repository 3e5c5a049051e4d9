// SPDX-License-Identifier: Apache-2.0
/* Following a directory: what is taken, what is refused, and what serves meanwhile.
 *
 *     test_watch MODEL OTHER_MODEL WORK        directories of models, the first with model.ckpt-200; where it may write
 *
 * Checkpoints of the same model with other weights are made by scaling the first one's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "ckpt_writer.h"
#include "libmmoec.h"

#define ROWS 5
#define PATIENCE_S 20               /* until a test gives up: a machine may be busy */
#define NEVER_MS 3600000            /* an interval that no test waits for */

static const char *model, *other, *work;
static char dir[4096];

/* ---- files --------------------------------------------------------------------------------------------------------- */

static void shell(const char *format, ...) PRINTF_LIKE(1, 2);
static void shell(const char *format, ...)
{
    char command[16384];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    assert_int_equal(system(command), 0);
}

/* Writes the model's checkpoint with all its numbers scaled, under another step, in `to`. */
static void retrain(const char *to, const char *name, double factor)
{
    static const struct options options;
    struct job job;
    jmp_buf no_memory;
    char prefix[8192], from[8192];
    begin_job(&job, &options);
    job.arena.no_memory = &no_memory;
    snprintf(from, sizeof from, "%s/model.ckpt-200", model);
    snprintf(prefix, sizeof prefix, "%s/%s", to, name);
    const struct tensors *ts = read_checkpoint(&job, from);
    assert_non_null(ts);
    struct ckpt *c = ckpt_begin(prefix, 1);
    for (size_t i = 0; i < ts->n_tensors; i++) {
        const struct tensor *t = &ts->tensor[i];
        if (t->dtype != DT_FLOAT)
            continue;
        double *x = NEW_ARRAY(&job, (size_t)tensor_count(t), double);
        assert_true(read_tensor(&job, t, true, x));
        for (size_t k = 0; k < tensor_count(t); k++)
            x[k] *= factor;
        ckpt_put(c, t->name, DT_FLOAT, t->rank, t->dim, x);
    }
    ckpt_end(c);
    end_job(&job);
}

/* A new directory with the model's config. */
static void fresh_directory(void)
{
    snprintf(dir, sizeof dir, "%s/models", work);
    shell("rm -rf '%s' '%s.away' && mkdir -p '%s' && cp '%s/pipeline.config' '%s'", dir, dir, dir, model, dir);
}

/* Copies a checkpoint of a place beside under another step: data first, the index last, as a saver does. */
static void deliver(const char *step, double factor)
{
    char made[4096 + 8];
    snprintf(made, sizeof made, "%s/made", work);
    shell("mkdir -p '%s'", made);
    retrain(made, step, factor);
    shell("mv '%s/%s'.data-* '%s' && mv '%s/%s.index' '%s'", made, step, dir, made, step, dir);
}

/* ---- who is served, and what was told -------------------------------------------------------------------------------- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct mmoe *m;
    int n;
    struct {
        enum mmoec_event event;
        uint64_t number;
        char path[512], tag[64];
    } news[64];
} served = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void hear(void *user, const struct mmoec_news *news)
{
    assert_ptr_equal(user, &served);
    pthread_mutex_lock(&served.lock);
    int i = served.n++;
    served.news[i].event = news->event;
    served.news[i].number = news->number;
    snprintf(served.news[i].path, sizeof served.news[i].path, "%s", news->path);
    const char *tag = news->messages->n ? news->messages->message[0].tag : NULL;
    snprintf(served.news[i].tag, sizeof served.news[i].tag, "%s", tag ? tag : "");
    pthread_cond_broadcast(&served.changed);
    pthread_mutex_unlock(&served.lock);
}

/* Waits for the next news and says what is wrong with them. Number 0: any. */
static void expect_news(int *seen, enum mmoec_event event, uint64_t number)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    pthread_mutex_lock(&served.lock);
    while (served.n == *seen && pthread_cond_timedwait(&served.changed, &served.lock, &until) == 0)
        ;
    bool came = served.n > *seen;
    enum mmoec_event e = served.news[*seen].event;
    uint64_t k = served.news[*seen].number;
    ++*seen;
    pthread_mutex_unlock(&served.lock);
    number = number ? number : k;
    if (came && (e != event || k != number))
        print_error("news %d, %s, %s\n", *seen, served.news[*seen - 1].path, served.news[*seen - 1].tag);
    assert_true(came);
    assert_int_equal(e, event);
    assert_int_equal(k, number);
}

/* Whatever was told before. */
static void expect_taken(int *seen, uint64_t number)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    bool taken = false;
    pthread_mutex_lock(&served.lock);
    for (int error = 0; !taken && error == 0;) {
        for (; !taken && *seen < served.n; ++*seen)
            taken = served.news[*seen].event == MMOEC_TAKEN && served.news[*seen].number == number;
        if (!taken)
            error = pthread_cond_timedwait(&served.changed, &served.lock, &until);
    }
    pthread_mutex_unlock(&served.lock);
    assert_true(taken);
}

static void expect_quiet(int seen, int ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
    nanosleep(&t, NULL);
    pthread_mutex_lock(&served.lock);
    int n = served.n;
    pthread_mutex_unlock(&served.lock);
    assert_int_equal(n, seen);
}

/* What serves before the watch begins. */
static void open_served(void)
{
    struct mmoec_model *first;
    assert_int_equal(mmoec_jit(model, NULL, &first, NULL), MMOEC_OK);
    assert_int_equal(mmoe_open(&served.m, mmoec_source(first)), MMOE_OK);
}

static struct mmoec_watch *begin(struct mmoec_watch_options o)
{
    struct mmoec_watch *w = NULL;
    if (!served.m)
        open_served();
    o.size = sizeof o;
    o.serve = served.m;
    o.tell = hear;
    o.user = &served;
    o.interval_ms = o.interval_ms ? o.interval_ms : NEVER_MS;
    assert_int_equal(mmoec_watch(dir, &o, &w, NULL), MMOEC_OK);
    assert_non_null(w);
    return w;
}

static void finish(struct mmoec_watch *w)
{
    mmoec_unwatch(w);
    mmoe_close(served.m);
    served.m = NULL;
    served.n = 0;
}

/* Do the served scores equal those of the checkpoint when it is opened on its own? */
static void expect_scores_of(const char *path, const char *prefix)
{
    struct mmoec_options o = {.size = sizeof o, .engine = "walk-plain", .weights = prefix};
    struct mmoec_model *m = NULL;
    struct mmoe_reader *reader;
    assert_int_equal(mmoec_jit(path, &o, &m, NULL), MMOEC_OK);
    assert_int_equal(mmoe_reader_new(&reader, served.m, NULL), MMOE_OK);
    const struct mmoe_model *r = mmoec_record(m);
    float *x = calloc(ROWS * r->inputs, sizeof *x);
    float *y = calloc(ROWS * r->outputs, sizeof *y), *z = calloc(ROWS * r->outputs, sizeof *z);
    void *scratch = aligned_alloc(64, (r->scratch_bytes + 63) / 64 * 64);
    for (size_t i = 0; i < ROWS * r->inputs; i++)
        x[i] = (float)(i % 17) - 8;
    r->score(r->weights, x, r->inputs, ROWS, y, scratch);
    mmoe_score(reader, x, ROWS, z);
    assert_memory_equal(y, z, ROWS * r->outputs * sizeof *y);
    free(scratch);
    free(z);
    free(y);
    free(x);
    mmoe_reader_free(reader);
    mmoec_close(m);
}

static void expect_step(const char *step)
{
    char prefix[8192];
    snprintf(prefix, sizeof prefix, "%s/%s", dir, step);
    expect_scores_of(dir, prefix);
}

/* ---- tests ----------------------------------------------------------------------------------------------------------- */

static void what_is_there_is_taken_and_what_comes(void **state)
{
    (void)state;
    int seen = 0;
    fresh_directory();
    deliver("model.ckpt-9", 1);
    deliver("model.ckpt-10", 0.5);
    struct mmoec_watch *w = begin((struct mmoec_watch_options){.nice = 1});
    expect_news(&seen, MMOEC_TAKEN, 10);
    expect_step("model.ckpt-10");
    deliver("model.ckpt-20", 0.25);
    expect_news(&seen, MMOEC_TAKEN, 20);
    expect_step("model.ckpt-20");
    assert_true(strstr(served.news[1].path, "model.ckpt-20") != NULL);
    finish(w);
}

static void a_smaller_step_is_taken_only_when_asked(void **state)
{
    (void)state;
    for (int smaller = 0; smaller < 2; smaller++) {
        int seen = 0;
        fresh_directory();
        deliver("model.ckpt-20", 1);
        struct mmoec_watch *w = begin((struct mmoec_watch_options){.smaller = smaller});
        expect_news(&seen, MMOEC_TAKEN, 20);
        shell("rm '%s'/model.ckpt-20.*", dir);
        deliver("model.ckpt-15", 0.5);
        if (smaller)
            expect_news(&seen, MMOEC_TAKEN, 15);
        else
            expect_quiet(seen, 300);
        finish(w);
    }
}

static void what_serves_already_is_not_taken_again(void **state)
{
    (void)state;
    int seen = 0;
    fresh_directory();
    deliver("model.ckpt-20", 1);
    struct mmoec_watch *w = begin((struct mmoec_watch_options){.after = 20});
    expect_quiet(seen, 300);
    deliver("model.ckpt-30", 0.5);
    expect_news(&seen, MMOEC_TAKEN, 30);
    finish(w);
}

/* By the interval alone: as on a network file system. */
static void polling_is_enough(void **state)
{
    (void)state;
    int seen = 0, next = dup(0);
    struct rlimit before, few;
    fresh_directory();
    deliver("model.ckpt-10", 1);
    close(next);
    open_served();
    getrlimit(RLIMIT_NOFILE, &before);
    few = (struct rlimit){(rlim_t)next + 1, before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &few);         /* one file more: no inotify */
    struct mmoec_watch *w = begin((struct mmoec_watch_options){.interval_ms = 30});
    setrlimit(RLIMIT_NOFILE, &before);
    for (int fd = next + 1; fd < next + 8; fd++) {
        char link[64], target[64] = {0};
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        assert_true(readlink(link, target, sizeof target - 1) < 0 || !strstr(target, "inotify"));
    }
    expect_taken(&seen, 10);                /* the first look may have met the limit, too */
    deliver("model.ckpt-11", 0.5);
    expect_news(&seen, MMOEC_TAKEN, 11);
    finish(w);
}

/* The index is there, the data comes in pieces. */
static void a_growing_checkpoint_is_waited_for(void **state)
{
    (void)state;
    int seen = 0;
    fresh_directory();
    deliver("model.ckpt-10", 1);
    struct mmoec_watch *w = begin((struct mmoec_watch_options){.interval_ms = 50});
    expect_news(&seen, MMOEC_TAKEN, 10);
    retrain(work, "model.ckpt-20", 0.5);
    shell("cp '%s/model.ckpt-20.index' '%s'", work, dir);
    for (int part = 1; part <= 4; part++) {
        shell("head -c %d '%s/model.ckpt-20.data-00000-of-00001' > '%s/model.ckpt-20.data-00000-of-00001'", part * 2000,
              work, dir);
        expect_quiet(seen, 40);
    }
    shell("cp '%s/model.ckpt-20.data-00000-of-00001' '%s'", work, dir);
    expect_news(&seen, MMOEC_TAKEN, 20);
    expect_step("model.ckpt-20");
    finish(w);
}

static void a_bad_checkpoint_leaves_the_old_one_serving(void **state)
{
    (void)state;
    int seen = 0;
    fresh_directory();
    deliver("model.ckpt-10", 1);
    struct mmoec_watch *w = begin((struct mmoec_watch_options){.interval_ms = 100});
    expect_news(&seen, MMOEC_TAKEN, 10);

    /* Cut off for good; then another model's; then with other bytes. Each is told once. */
    retrain(work, "model.ckpt-20", 0.5);
    shell("truncate -s 3000 '%s/model.ckpt-20.data-00000-of-00001' && cp '%s'/model.ckpt-20.* '%s'", work, work, dir);
    expect_news(&seen, MMOEC_REFUSED, 20);
    assert_string_equal(served.news[seen - 1].tag, "truncated");
    shell("cd '%s' && for f in model.ckpt-*.index; do n=${f%%.index}; done && cp $n.index '%s/model.ckpt-30.index' && "
          "cp $n.data-00000-of-00001 '%s/model.ckpt-30.data-00000-of-00001'", other, dir, dir);
    expect_news(&seen, MMOEC_REFUSED, 30);
    retrain(dir, "model.ckpt-40", 0.5);
    expect_news(&seen, MMOEC_TAKEN, 40);
    retrain(work, "model.ckpt-50", 0.75);
    shell("tr '\\000' x < '%s/model.ckpt-50.data-00000-of-00001' > '%s/model.ckpt-50.data-00000-of-00001' && "
          "mv '%s/model.ckpt-50.index' '%s'", work, dir, work, dir);
    expect_news(&seen, MMOEC_REFUSED, 50);
    assert_string_equal(served.news[seen - 1].tag, "checksum");
    expect_quiet(seen, 300);
    expect_step("model.ckpt-40");
    deliver("model.ckpt-50", 0.75);            /* delivered again, whole */
    expect_news(&seen, MMOEC_TAKEN, 50);
    expect_step("model.ckpt-50");
    finish(w);
}

static void a_directory_may_vanish_and_come_back(void **state)
{
    (void)state;
    int seen = 0;
    fresh_directory();
    deliver("model.ckpt-10", 1);
    struct mmoec_watch *w = begin((struct mmoec_watch_options){.interval_ms = 50});
    expect_news(&seen, MMOEC_TAKEN, 10);
    shell("mv '%s' '%s.away'", dir, dir);
    expect_news(&seen, MMOEC_LOST, 0);
    expect_quiet(seen, 300);
    char home[sizeof dir];
    memcpy(home, dir, sizeof home);
    snprintf(dir, sizeof dir, "%s/models.away", work);
    deliver("model.ckpt-20", 0.5);
    memcpy(dir, home, sizeof home);
    shell("mv '%s.away' '%s'", dir, dir);
    expect_news(&seen, MMOEC_TAKEN, 20);
    expect_step("model.ckpt-20");
    finish(w);
}

static void exports_are_followed(void **state)
{
    (void)state;
    int seen = 0;
    char export[8192], prefix[2 * 8192];
    fresh_directory();
    shell("rm '%s/pipeline.config'", dir);
    struct mmoec_watch *w = begin((struct mmoec_watch_options){.interval_ms = 100});
    for (int i = 1; i <= 2; i++) {
        snprintf(export, sizeof export, "%s/temp-170000000%d", dir, i);
        shell("mkdir -p '%s/variables' '%s/assets' && cp '%s/pipeline.config' '%s/assets' && touch '%s/saved_model.pb'",
              export, export, model, export, export);
        snprintf(prefix, sizeof prefix, "%s/variables", export);
        retrain(prefix, "variables", i);
        shell("mv '%s' '%s/170000000%d'", export, dir, i);
        expect_news(&seen, MMOEC_TAKEN, (uint64_t)1700000000 + (uint64_t)i);
        snprintf(prefix, sizeof prefix, "%s/170000000%d", dir, i);
        expect_scores_of(prefix, NULL);
    }
    finish(w);
}

/* A model that can be made, but has other inputs than what serves. */
static void a_model_of_another_shape_is_refused_unless_asked_for(void **state)
{
    (void)state;
    for (unsigned flags = 0; flags <= MMOE_ANY_SHAPE; flags += MMOE_ANY_SHAPE) {
        int seen = 0;
        snprintf(dir, sizeof dir, "%s/models", work);
        shell("rm -rf '%s' && mkdir -p '%s' && cp '%s'/pipeline.config '%s'/model.ckpt-* '%s'", dir, dir, other, other, dir);
        struct mmoec_watch *w = begin((struct mmoec_watch_options){.interval_ms = 30, .swap_flags = flags});
        expect_news(&seen, flags ? MMOEC_TAKEN : MMOEC_REFUSED, 0);
        if (!flags)
            assert_string_equal(served.news[0].tag, "swap");
        expect_quiet(seen, 200);
        finish(w);
    }
}

static void wrong_options_are_refused(void **state)
{
    (void)state;
    struct mmoec_watch *w = (struct mmoec_watch *)&served;
    struct mmoec_options with_weights = {.size = sizeof with_weights, .weights = "x"};
    struct mmoec_watch_options o = {.size = sizeof o};
    assert_int_equal(mmoec_watch(work, &o, &w, NULL), MMOEC_BAD_USAGE);
    assert_null(w);
    assert_int_equal(mmoec_watch(work, NULL, &w, NULL), MMOEC_BAD_USAGE);
    o.serve = (struct mmoe *)&served;       /* not looked at */
    o.model = &with_weights;
    assert_int_equal(mmoec_watch(work, &o, &w, NULL), MMOEC_BAD_USAGE);
    mmoec_unwatch(NULL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_there_is_taken_and_what_comes),
        cmocka_unit_test(a_smaller_step_is_taken_only_when_asked),
        cmocka_unit_test(what_serves_already_is_not_taken_again),
        cmocka_unit_test(polling_is_enough),
        cmocka_unit_test(a_growing_checkpoint_is_waited_for),
        cmocka_unit_test(a_bad_checkpoint_leaves_the_old_one_serving),
        cmocka_unit_test(a_directory_may_vanish_and_come_back),
        cmocka_unit_test(exports_are_followed),
        cmocka_unit_test(a_model_of_another_shape_is_refused_unless_asked_for),
        cmocka_unit_test(wrong_options_are_refused),
    };
    if (argc != 4)
        return 2;
    model = argv[1], other = argv[2], work = argv[3];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
