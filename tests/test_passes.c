// SPDX-License-Identifier: Apache-2.0
/* test_passes.c: laws of the passes, the plan and the walk, on the model directories named on the command line.
 *
 * For each: fold changes eval by at most 1e-12 (1 + |z|), fuse and tidy not at all; the walk with plain kernels stays
 * within the bound that eval carries; every instruction set of this machine gives the plain walk's bits; rows do not
 * depend on the rows around them. Then what the passes are for is asserted of the structure. With user columns,
 * wherever they end, values do not change either, and requests have the bits of rows.
 */
#include "../compiler/mmoec.h"
#include "../runtime/kernels.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROWS 40

static char **dirs;
static int n_dirs;

struct setting {
    struct job job;
    struct options options;
    jmp_buf no_memory;
    struct network *n;
    const struct model *folded, *fused, *tidied;
    float *x;
    int outputs;
};

static void show_all(const struct job *job)
{
    for (const struct message *m = job->messages; m; m = m->next)
        show_message(m, false, stderr);
}

static void begin(struct setting *s, const char *dir)
{
    memset(s, 0, sizeof *s);
    s->options = (struct options){.model = dir, .outputs = "all"};
    begin_job(&s->job, &s->options);
    if (setjmp(s->no_memory))
        fail_msg("out of memory");
    s->job.arena.no_memory = &s->no_memory;
    s->n = read_network(&s->job, true);
    if (!s->n) {
        show_all(&s->job);
        fail_msg("cannot read %s", dir);
    }
    s->folded = fold(&s->job, s->n->original);
    s->fused = fuse(&s->job, s->folded);
    s->tidied = tidy(&s->job, s->fused);
    check_model(s->folded);
    check_model(s->fused);
    check_model(s->tidied);
    int inputs = 0;
    for (int i = 0; i < s->tidied->n_inputs; i++)
        inputs += s->tidied->values[s->tidied->inputs[i]].width;
    for (int i = 0; i < s->tidied->n_outputs; i++)
        s->outputs += s->tidied->outputs[i].width;
    s->x = NEW_ARRAY(&s->job, (size_t)(ROWS * inputs), float);
    random_rows(s->x, (size_t)(ROWS * inputs));
}

static double *evaluate(struct setting *s, const struct model *m, double *bound)
{
    double *y = NEW_ARRAY(&s->job, (size_t)(ROWS * s->outputs), double);
    assert_true(eval(&s->job, m, s->x, ROWS, y, bound));
    return y;
}

static void passes_keep_values(void **state)
{
    (void)state;
    for (int d = 0; d < n_dirs; d++) {
        struct setting s;
        begin(&s, dirs[d]);
        const double *z = evaluate(&s, s.n->original, NULL), *folded = evaluate(&s, s.folded, NULL);
        const double *fused = evaluate(&s, s.fused, NULL), *tidied = evaluate(&s, s.tidied, NULL);
        for (int i = 0; i < ROWS * s.outputs; i++) {
            if (!(fabs(folded[i] - z[i]) <= 1e-12 * (1 + fabs(z[i]))))
                fail_msg("%s: fold moves %.17g to %.17g", dirs[d], z[i], folded[i]);
            if (fused[i] != folded[i] || tidied[i] != folded[i])
                fail_msg("%s: fuse or tidy moves %.17g to %.17g, %.17g", dirs[d], folded[i], fused[i], tidied[i]);
        }
        end_job(&s.job);
    }
}

/* All kernels of the plan's class of arithmetic: the same bits, within the bound, in any batch. `want`: bits that another
   target gave, or NULL. */
static const float *walk_target(struct setting *s, const char *dir, const char *target, const float *want)
{
    static const char *const isas[] = {"plain", "avx2", "avx512", "neon", "muladd"};
    size_t n = (size_t)(ROWS * s->outputs);
    s->options.target = target;
    struct plan *p = make_plan(&s->job, s->tidied);
    struct weights *w = pack(&s->job, p);
    float *y = NEW_ARRAY(&s->job, n, float), *other = NEW_ARRAY(&s->job, n, float);
    void *scratch = new_scratch(&s->job, p);
    walk(p, w, mmoe_kernels_named(p->numerics->kernels), s->x, ROWS, y, scratch);
    for (size_t k = 0; k < COUNT(isas); k++) {
        const struct mmoe_kernels *kernels = mmoe_kernels_named(isas[k]);
        if (!kernels || kernels->numerics != p->numerics->number)
            continue;
        walk(p, w, kernels, s->x, ROWS, other, scratch);
        if (memcmp(y, other, n * sizeof *y) != 0)
            fail_msg("%s for %s: %s and plain kernels give other bits", dir, target, isas[k]);
    }
    if (want && memcmp(y, want, n * sizeof *y) != 0)
        fail_msg("%s: %s gives other bits", dir, target);
    double *bound = NEW_ARRAY(&s->job, n, double);
    const double *z = evaluate(s, s->tidied, bound);
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)y[i] - z[i]) <= bound[i]))
            fail_msg("%s for %s: score %zu is %.9g, eval says %.17g +- %.3g", dir, target, i, (double)y[i], z[i], bound[i]);
    for (int r = 0; r < ROWS; r++) {
        walk(p, w, mmoe_kernels_named(p->numerics->kernels), s->x + r * p->inputs, 1, other, scratch);
        assert_memory_equal(other, y + r * s->outputs, (size_t)s->outputs * sizeof *y);
    }
    return y;
}

static void walk_stays_within_the_bound(void **state)
{
    (void)state;
    for (int d = 0; d < n_dirs; d++) {
        struct setting s;
        begin(&s, dirs[d]);
        const float *y = walk_target(&s, dirs[d], "x86-64", NULL);
        walk_target(&s, dirs[d], "generic-c", y);
        walk_target(&s, dirs[d], "cortex-m0", NULL);
        end_job(&s.job);
    }
}

/* After the passes nothing is left to fold. One dense layer at most reads each value; or, of layers that are wide
   together, one that is narrow. */
static void passes_do_their_work(void **state)
{
    (void)state;
    for (int d = 0; d < n_dirs; d++) {
        struct setting s;
        begin(&s, dirs[d]);
        const struct model *m = s.tidied;
        int *readers = NEW_ARRAY(&s.job, (size_t)m->n_values, int), *narrow = NEW_ARRAY(&s.job, (size_t)m->n_values, int);
        int *columns = NEW_ARRAY(&s.job, (size_t)m->n_values, int);
        for (int i = 0; i < m->n_ops; i++) {
            assert_int_not_equal(m->ops[i].kind, OP_batch_norm);
            if (m->ops[i].kind == OP_dense && m->ops[i].parts == 1) {
                const int in = m->ops[i].in[0], width = m->values[m->ops[i].out].width;
                readers[in]++;
                narrow[in] += width <= 48;
                columns[in] += width;
            }
        }
        for (int v = 0; v < m->n_values; v++)
            assert_true(readers[v] < 2 || (columns[v] > 2048 && narrow[v] < 2));
        end_job(&s.job);
    }
}

/* Of the plan for a target. */
static void digest_of(struct setting *s, const char *target, const struct model *m, unsigned char digest[32])
{
    s->options.target = target;
    structure_digest(make_plan(&s->job, m), &s->job, digest);
}

/* Servers' targets share their weights, and small cores of a class of arithmetic theirs. */
static void targets_share_weights(void **state)
{
    (void)state;
    struct setting s;
    begin(&s, dirs[0]);
    unsigned char a[32], b[32], c[32];
    digest_of(&s, "x86-64", s.tidied, a);
    digest_of(&s, "aarch64", s.tidied, b);
    assert_memory_equal(a, b, sizeof a);
    struct model *fewer = copy_model(&s.job, s.n->original);
    fewer->n_outputs = 1;
    digest_of(&s, "x86-64", tidy(&s.job, fuse(&s.job, fold(&s.job, fewer))), b);
    assert_memory_not_equal(a, b, sizeof a);
    digest_of(&s, "generic-c", s.tidied, b);
    assert_memory_not_equal(a, b, sizeof a);
    digest_of(&s, "cortex-m4f", s.tidied, c);
    assert_memory_equal(b, c, sizeof b);
    digest_of(&s, "cortex-m0", s.tidied, c);
    assert_memory_not_equal(b, c, sizeof b);
    end_job(&s.job);
}

/* ---- user columns ---- */

/* The model whose first `users` columns are the user's, in an order that is not the kernels' own. */
static const struct model *with_users(struct setting *s, int users)
{
    struct model *m = copy_model(&s->job, s->tidied);
    int in = m->values[m->inputs[0]].width;
    uint32_t *order = NEW_ARRAY(&s->job, (size_t)in, uint32_t);
    for (int i = 0; i < in; i++)
        order[i] = (uint32_t)((i + users) % in);
    m->user_inputs = users;
    m->input_order = order;
    for (int i = 0; i < m->n_ops; i++)
        for (int k = 0; m->ops[i].in[0] == m->inputs[0] && k < m->ops[i].n_blocks; k++)
            m->wants[m->ops[i].blocks[k].kernel].order = order;
    check_model(m);
    return m;
}

/* Users of 0, 1, 2, ... items, whose columns are those of their first item; x in two parts. */
struct requests {
    float *x, *items;
    const float *users[ROWS];
    size_t offsets[ROWS + 1];
    size_t n;
};

static struct requests make_requests(struct setting *s, size_t in, size_t n)
{
    struct requests q = {.x = NEW_ARRAY(&s->job, ROWS * in, float), .items = NEW_ARRAY(&s->job, ROWS * in, float)};
    memcpy(q.x, s->x, ROWS * in * sizeof *q.x);
    for (; q.offsets[q.n] < ROWS; q.n++) {
        size_t first = q.offsets[q.n], end = first + q.n < ROWS ? first + q.n : ROWS;
        q.users[q.n] = s->x + first * in;
        q.offsets[q.n + 1] = end;
        for (size_t r = first; r < end; r++) {
            memcpy(q.x + r * in, q.users[q.n], n * sizeof *q.x);
            memcpy(q.items + r * (in - n), s->x + r * in + n, (in - n) * sizeof *q.x);
        }
    }
    return q;
}

static void walk_requests(struct setting *s, const char *dir, const struct model *m)
{
    static const char *const isas[] = {"plain", "avx2", "avx512", "neon"};
    struct plan *p = make_plan(&s->job, m);
    const struct weights *w = pack(&s->job, p);
    size_t in = (size_t)p->inputs, n = (size_t)p->user_inputs, scores = (size_t)(ROWS * s->outputs);
    const struct requests q = make_requests(s, in, n);
    float *y = NEW_ARRAY(&s->job, scores, float), *shared = NEW_ARRAY(&s->job, scores, float);
    float *users = NEW_ARRAY(&s->job, q.n * n, float);
    void *scratch = new_scratch(&s->job, p);
    for (size_t u = 0; u < q.n; u++)
        memcpy(users + u * n, q.users[u], n * sizeof *users);
    walk(p, w, mmoe_kernels_named("plain"), q.x, ROWS, y, scratch);
    for (size_t k = 0; k < COUNT(isas); k++) {
        if (!mmoe_kernels_named(isas[k]))
            continue;
        memset(shared, 0, scores * sizeof *shared);
        walk_users(p, mmoe_kernels_named(isas[k]), w->numbers, users, n, q.items, in - n, q.offsets, q.n, shared,
                   scratch);
        if (memcmp(y, shared, scores * sizeof *y) != 0)
            fail_msg("%s, %zu of %zu columns the user's, form %s: %s gives requests other bits", dir, n, in,
                     s->options.form ? s->options.form : "of its size", isas[k]);
    }
}

/* Every form that a plan may have. */
static void requests_have_the_bits_of_rows(void **state)
{
    (void)state;
    for (int d = 0; d < n_dirs; d++) {
        struct setting s;
        begin(&s, dirs[d]);
        const int in = s.tidied->values[s.tidied->inputs[0]].width, ends[] = {1, in / 2, in - 1};
        for (int i = 0; in > 1 && i < 3; i++) {
            const struct model *m = with_users(&s, ends[i] > 0 ? ends[i] : 1), *split = split_users(&s.job, m);
            check_model(split);
            assert_memory_equal(evaluate(&s, m, NULL), evaluate(&s, split, NULL),
                                (size_t)(ROWS * s.outputs) * sizeof(double));
            for (size_t f = 0; f == 0 || plan_forms[f - 1]; f++) {
                s.options.form = f ? plan_forms[f - 1] : NULL;
                walk_requests(&s, dirs[d], m);
            }
        }
        end_job(&s.job);
    }
}

/* Weights that are in another order, or shared in other parts, must not be taken for each other's. */
static void user_columns_are_of_the_structure(void **state)
{
    (void)state;
    struct setting s;
    begin(&s, dirs[0]);
    unsigned char none[32], some[32], more[32];
    digest_of(&s, "x86-64", s.tidied, none);
    digest_of(&s, "x86-64", with_users(&s, 3), some);
    digest_of(&s, "x86-64", with_users(&s, 4), more);
    assert_memory_not_equal(none, some, sizeof none);
    assert_memory_not_equal(some, more, sizeof some);
    end_job(&s.job);
}

int main(int argc, char **argv)
{
    dirs = argv + 1;
    n_dirs = argc - 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes_keep_values),
        cmocka_unit_test(walk_stays_within_the_bound),
        cmocka_unit_test(passes_do_their_work),
        cmocka_unit_test(targets_share_weights),
        cmocka_unit_test(requests_have_the_bits_of_rows),
        cmocka_unit_test(user_columns_are_of_the_structure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
