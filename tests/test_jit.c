// SPDX-License-Identifier: Apache-2.0
/* Models made in memory: that libtcc's code is what runs, where it lies, that it is shared, what happens where none may
 * be made, and that its scores are those of walk. Arguments: model directories.
 */
#include "../runtime/mmoe.h"        /* before one_job.h, whose end() a parameter there would hide */

#include "one_job.h"

#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "../runtime/kernels.h"

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif

#define ROWS 40

static const char *const *models;
static const char *const isas[] = {"plain", "neon", "avx2", "avx512"};

static struct network *network_of(const char *dir)
{
    options.model = dir;
    options.outputs = "all";
    struct network *n = read_network(&job, true);
    assert_non_null(n);
    return n;
}

static struct live *live_of(const char *dir, const char *engine)
{
    struct live *l = open_live(&job, network_of(dir), engine);
    assert_non_null(l);
    take_live(&job, l);
    return l;
}

static float *scores_of(const struct live *l)
{
    const struct mmoe_model *r = live_record(l);
    float *x = NEW_ARRAY(&job, ROWS * r->inputs, float), *y = NEW_ARRAY(&job, ROWS * r->outputs, float);
    char *room = arena_alloc(&job.arena, r->scratch_bytes + 64);
    for (size_t i = 0; i < ROWS * r->inputs; i++)
        x[i] = (float)(i * 7919 % 2003) / 1000 - 1;
    r->score(r->weights, x, r->inputs, ROWS, y, room + (64 - (uintptr_t)room % 64) % 64);
    return y;
}

static void jit_gives_the_bits_of_walk(void **state)
{
    (void)state;
    for (const char *const *dir = models; *dir; dir++) {
        struct live *plain = live_of(*dir, "walk-plain");
        size_t bytes = ROWS * live_record(plain)->outputs * sizeof(float);
        float *want = scores_of(plain);
        for (size_t i = 0; i < COUNT(isas); i++) {
            if (!mmoe_kernels_named(isas[i]))
                continue;
            struct live *l = live_of(*dir, arena_print(&job.arena, "jit-%s", isas[i]));
            assert_string_equal(live_record(l)->chosen_isa(), isas[i]);
            assert_memory_equal(scores_of(l), want, bytes);
            close_live(l);
        }
        close_live(plain);
        end(NULL);
        begin(NULL);
    }
}

/* A model whose first columns, some of them, are the user's. */
static const struct network *with_users(const char *dir)
{
    struct network *n = network_of(dir);
    struct model *m = copy_model(&job, n->model);
    m->user_inputs = (m->values[m->inputs[0]].width + 1) / 2;
    n->model = m;
    return n;
}

/* Rows, as users of 0, 1, 2, ... items. */
static float *scores_of_users(const struct mmoe_model *r)
{
    size_t n = r->user_inputs, own = r->inputs - n, offsets[ROWS] = {0}, users = 0;
    float *u = NEW_ARRAY(&job, ROWS * n, float), *x = NEW_ARRAY(&job, ROWS * own, float);
    float *y = NEW_ARRAY(&job, ROWS * r->outputs, float);
    char *room = arena_alloc(&job.arena, r->scratch_bytes + 64);
    for (size_t i = 0; i < ROWS * n; i++)
        u[i] = (float)(i * 7919 % 2003) / 1000 - 1;
    for (size_t i = 0; i < ROWS * own; i++)
        x[i] = (float)(i * 6113 % 1999) / 1000 - 1;
    for (; offsets[users] < ROWS; users++)
        offsets[users + 1] = offsets[users] + users < ROWS ? offsets[users] + users : ROWS;
    r->score_users(r->weights, u, n, x, own, offsets, users, y, room + (64 - (uintptr_t)room % 64) % 64);
    return y;
}

static struct live *live_with_users(const char *dir, const char *engine)
{
    struct live *l = open_live(&job, with_users(dir), engine);
    assert_non_null(l);
    take_live(&job, l);
    return l;
}

static void jit_gives_requests_the_bits_of_walk(void **state)
{
    (void)state;
    for (const char *const *dir = models; *dir; dir++) {
        if (network_of(*dir)->features->width < 2)
            continue;
        struct live *plain = live_with_users(*dir, "walk-plain");
        const struct mmoe_model *r = live_record(plain);
        size_t bytes = ROWS * r->outputs * sizeof(float);
        float *want = scores_of_users(r);
        for (size_t i = 0; i < COUNT(isas); i++) {
            if (!mmoe_kernels_named(isas[i]))
                continue;
            struct live *l = live_with_users(*dir, arena_print(&job.arena, "jit-%s", isas[i]));
            assert_int_equal(live_record(l)->user_inputs, r->user_inputs);
            assert_non_null(live_record(l)->input_order);
            assert_memory_equal(scores_of_users(live_record(l)), want, bytes);
            close_live(l);
        }
        close_live(plain);
        end(NULL);
        begin(NULL);
    }
}

/* ---- who calls the kernels, and where that lies ---- */

static const void *caller;

static void store_and_tell(const float *x, size_t xs, size_t rows, float *y, size_t ys, size_t n)
{
    caller = __builtin_return_address(0);
    mmoe_kernels_named("plain")->store(x, xs, rows, y, ys, n);
}

static void memory_that_libtcc_wrote_calls_the_kernels(void **state)
{
    (void)state;
    const struct plan *p = make_plan(&job, network_of(models[0])->model);
    const struct weights *w = pack(&job, p);
    struct mmoe_kernels kernels = *mmoe_kernels_named("plain");
        kernels.store = store_and_tell;
    const char *trouble = NULL;
    bool made;
    const struct code *c = make_code(&job, p, &kernels, &made, &trouble);
    assert_non_null(c);
    float *x = NEW_ARRAY(&job, (size_t)p->inputs, float), *y = NEW_ARRAY(&job, (size_t)p->outputs, float);
    c->score(w->numbers, x, (size_t)p->inputs, 1, y, new_scratch(&job, p));
    assert_non_null(caller);
    assert_true(in_code(c, caller));
    assert_false(in_code(c, (const void *)(uintptr_t)store_and_tell));
    drop_code(c);
}

/* What /proc/self/maps says of an address: "r-xp"; of NULL: whether any memory is writable and executable. */
static void protection_of(const void *address, char protection[5])
{
    FILE *maps = fopen("/proc/self/maps", "r");
    assert_non_null(maps);
    char line[512];
    strcpy(protection, "none");
    while (fgets(line, sizeof line, maps)) {
        unsigned long from, to;
        char p[5];
        assert_int_equal(sscanf(line, "%lx-%lx %4s", &from, &to, p), 3);
        if (address ? (uintptr_t)address >= from && (uintptr_t)address < to : p[1] == 'w' && p[2] == 'x')
            strcpy(protection, p);
    }
    fclose(maps);
}

static void code_is_executable_and_nothing_is_writable_too(void **state)
{
    (void)state;
    char p[5];
    struct live *l = live_of(models[0], "jit");
    assert_string_equal(live_engine(l), "jit");
    score_function *score = live_record(l)->score;
    void *at;
    memcpy(&at, &score, sizeof at);
    assert_true(in_code(live_code(l), at));
    protection_of(at, p);
    assert_string_equal(p, "r-xp");
    protection_of(NULL, p);
    assert_string_equal(p, "none");
    close_live(l);
    protection_of(at, p);
    assert_string_equal(p, "none");
}

static void equal_models_share_code(void **state)
{
    (void)state;
    struct live *a = live_of(models[0], "jit"), *b = live_of(models[0], "jit");
    struct live *other = live_of(models[0], "jit-plain");
    assert_ptr_equal(live_code(a), live_code(b));
    assert_ptr_not_equal(live_code(a), live_code(other));
    assert_ptr_not_equal(live_record(a)->weights, live_record(b)->weights);
    float *want = scores_of(a);
    close_live(a);
    assert_memory_equal(scores_of(b), want, ROWS * live_record(b)->outputs * sizeof *want);
    close_live(b);
    close_live(other);
}

static void a_job_that_fails_closes_its_models(void **state)
{
    (void)state;
    struct live *l = open_live(&job, network_of(models[0]), "jit");
    void *at;
    memcpy(&at, &live_record(l)->score, sizeof at);
    end_job(&job);
    char p[5];
    protection_of(at, p);
    assert_string_equal(p, "none");
    begin(NULL);
}

/* ---- files that change while they are read ---- */

static void a_checkpoint_cut_off_while_it_is_read_is_refused(void **state)
{
    (void)state;
    char dir[] = "/tmp/test_jit.XXXXXX", command[8192];
    assert_non_null(mkdtemp(dir));
    snprintf(command, sizeof command, "cp '%s'/pipeline.config '%s'/model.ckpt-* %s", models[0], models[0], dir);
    assert_int_equal(system(command), 0);
    options.model = dir;
    struct network *n = read_for_serving(&job);
    assert_non_null(n);
    assert_int_equal(truncate(n->tensors->data[0].path, 3000), 0);
    assert_null(open_live(&job, n, NULL));
    assert_int_equal(job.result, BAD_INPUT);
    assert_string_equal(job.last_message->tag, "truncated");
    snprintf(command, sizeof command, "rm -r %s", dir);
    assert_int_equal(system(command), 0);
}

/* ---- where no memory may become executable ---- */

static int without_executable_memory(void)
{
    if (prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) != 0)
        return 77;                  /* Linux before 6.3 */
    struct network *n = network_of(models[0]);
    if (!jit_trouble())
        return 1;
    struct live *l = open_live(&job, n, NULL);
    if (!l || strcmp(live_engine(l), "walk") != 0 || job.errors)
        return 2;
    scores_of(l);
    if (open_live(&job, n, "jit") || job.result != SYSTEM_FAILED ||
        !strstr(job.last_message->text, "lets no memory become executable"))
        return 3;
    return 0;
}

static void walk_serves_where_no_memory_may_become_executable(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(without_executable_memory());
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- libtcc's own failures ---- */

static void what_libtcc_says_is_told(void **state)
{
    (void)state;
    struct plan p = *make_plan(&job, network_of(models[0])->model);
    struct step wrong = p.rows.steps[0];
    wrong.kernel = KERNEL_mix;
    wrong.list = 7;                 /* a list that is not declared */
    p.rows.steps = &wrong;
    p.rows.n_steps = 1;
    const char *trouble = NULL;
    bool made;
    assert_null(make_code(&job, &p, mmoe_kernels_best(), &made, &trouble));
    assert_non_null(strstr(trouble, "experts_7"));
    struct live *l = live_of(models[0], "jit");         /* and it can be used again */
    close_live(l);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(jit_gives_the_bits_of_walk),
        TEST(jit_gives_requests_the_bits_of_walk),
        TEST(memory_that_libtcc_wrote_calls_the_kernels),
        TEST(code_is_executable_and_nothing_is_writable_too),
        TEST(equal_models_share_code),
        TEST(a_job_that_fails_closes_its_models),
        TEST(a_checkpoint_cut_off_while_it_is_read_is_refused),
        TEST(walk_serves_where_no_memory_may_become_executable),
        TEST(what_libtcc_says_is_told),
    };
    if (argc < 2)
        return 2;
    models = (const char *const *)argv + 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
