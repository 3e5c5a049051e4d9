// SPDX-License-Identifier: Apache-2.0
/* walk.c: the plan over a table of kernels.
 *
 * The same calls in the same order as generated code makes them, from a table of function pointers. With the plain
 * kernels of its class of arithmetic, over rows alone, this is the reference for bits: what it gives, every build of every generated file must give.
 * With an instruction set's kernels it serves where no code may be made.
 */
#include "mmoec.h"
#include "../runtime/kernels.h"

#include <string.h>

struct walker {
    const struct plan *p;
    const struct mmoe_kernels *k;
    const float *w;
    const float *x;         /* of the block */
    size_t xs;
    float *y, *s;
    size_t rows;
    size_t lanes;           /* rows, rounded up to vectors */
};

static const float *source_of(const struct walker *k, const struct place *at, size_t *stride)
{
    *stride = at->region == IN_X ? k->xs : at->stride;
    return (at->region == IN_X ? k->x : k->s) + at->at;
}

static float *target_of(const struct walker *k, const struct place *at) { return (at->region == IN_Y ? k->y : k->s) + at->at; }

static void run_mix(const struct walker *k, const struct step *st)
{
    size_t at[st->experts][2], stride;
    for (int e = 0; e < st->experts; e++) {
        at[e][0] = st->expert[e].at;
        at[e][1] = st->expert[e].stride;
    }
    const float *g = source_of(k, &st->g, &stride);
    k->k->mix(g, stride, k->s, (const size_t(*)[2])at, k->rows, target_of(k, &st->y), st->y.stride, (size_t)st->experts,
              (size_t)st->out);
}

static void run_dense(const struct walker *k, const struct step *st)
{
    size_t xs;
    const float *x = source_of(k, &st->x, &xs);
    k->k->dense(x, xs, k->rows, k->w + st->w, target_of(k, &st->y), st->y.stride, (size_t)st->in, (size_t)st->all,
                (size_t)st->out, (size_t)st->room, (size_t)st->panel, (size_t)st->relu, k->p->ahead);
}

static void run_onto(const struct walker *k, const struct step *st)
{
    size_t xs, fs;
    const float *x = source_of(k, &st->x, &xs), *from = source_of(k, &st->from, &fs);
    k->k->onto(x, xs, k->rows, k->w + st->w, from, fs, target_of(k, &st->y), st->y.stride, (size_t)st->in,
               (size_t)st->all, (size_t)st->out, (size_t)st->room, (size_t)st->panel, (size_t)st->relu, k->p->ahead);
}

static void run_step(const struct walker *k, const struct step *st)
{
    size_t xs, ys = st->y.stride, rows = k->rows, n = (size_t)st->out;
    const float *x = source_of(k, &st->x, &xs), *w = k->w + st->w;
    float *y = target_of(k, &st->y);
    switch (st->kernel) {
    case KERNEL_dense: run_dense(k, st); return;
    case KERNEL_onto: run_onto(k, st); return;
    case KERNEL_narrow: k->k->narrow(x, xs, rows, w, y, ys, (size_t)st->in, n, st->relu); return;
    case KERNEL_act: k->k->act[st->act](x, xs, rows, y, ys, n); return;
    case KERNEL_dice: k->k->dice(x, xs, rows, w, y, ys, n); return;
    case KERNEL_softmax: k->k->softmax(x, xs, rows, y, ys, n); return;
    case KERNEL_mix: run_mix(k, st); return;
    case KERNEL_copy: k->k->copy(x, xs, rows, y, ys, n); return;
    case KERNEL_store: k->k->store(x, xs, rows, y, ys, n); return;
    case KERNEL_max: k->k->max(x, xs, rows, y, ys, n); return;
    case KERNEL_argmax: k->k->argmax(x, xs, rows, y, ys, n); return;
    case KERNEL_ziln: k->k->ziln(x, xs, rows, y, ys); return;
    case KERNEL_load: case KERNEL_spread: case N_KERNELS: break;
    }
    bug("a step of no kernel");
}

/* ---- rows in lanes ------------------------------------------------------------------------------------------- */

static void run_lanes_mix(const struct walker *k, const struct step *st)
{
    size_t at[st->experts];
    for (int e = 0; e < st->experts; e++)
        at[e] = st->expert[e].at;
    k->k->lanes.mix(k->s + st->g.at, k->s, at, k->lanes, target_of(k, &st->y), (size_t)st->experts, (size_t)st->out);
}

static void run_lanes_step(const struct walker *k, const struct step *st)
{
    const struct mmoe_lanes *l = &k->k->lanes;
    size_t xs, ys = st->y.stride, rows = k->rows, lanes = k->lanes, n = (size_t)st->out;
    const float *x = source_of(k, &st->x, &xs), *w = k->w + st->w;
    float *y = target_of(k, &st->y);
    switch (st->kernel) {
    case KERNEL_load: l->load(x, xs, rows, y, n); return;
    case KERNEL_dense: l->dense(x, lanes, w, y, (size_t)st->in, n, (size_t)st->relu); return;
    case KERNEL_onto: l->onto(x, lanes, w, k->s + st->from.at, y, (size_t)st->in, n, (size_t)st->relu); return;
    case KERNEL_spread: l->spread(x, lanes, y, n); return;
    case KERNEL_act: l->act[st->act](x, lanes, y, n); return;
    case KERNEL_dice: l->dice(x, lanes, w, y, n); return;
    case KERNEL_softmax: l->softmax(x, lanes, y, n); return;
    case KERNEL_mix: run_lanes_mix(k, st); return;
    case KERNEL_copy: l->copy(x, lanes, y, n); return;
    case KERNEL_store: l->store(x, rows, y, ys, n); return;
    case KERNEL_max: l->max(x, lanes, y, n); return;
    case KERNEL_argmax: l->argmax(x, lanes, y, n); return;
    case KERNEL_ziln: l->ziln(x, lanes, y); return;
    case KERNEL_narrow: case N_KERNELS: break;
    }
    bug("a step of no kernel");
}

/* ---- blocks: the same as in templates/frame.c ------------------------------------------------------------------ */

static void run_form(struct walker *k, const struct form *f, size_t rows, bool in_lanes)
{
    const size_t multiple = k->k->lanes.multiple;
    k->rows = rows;
    k->lanes = (rows + multiple - 1) / multiple * multiple;
    for (int i = 0; i < f->n_steps; i++)
        (in_lanes ? run_lanes_step : run_step)(k, &f->steps[i]);
}

static void run_block(struct walker *k, const struct form *f, size_t rows, bool in_lanes)
{
    run_form(k, f, rows, in_lanes);
    k->x += rows * k->xs;
    k->y += rows * (size_t)k->p->outputs;
}

static void run_in_lanes(struct walker *k, const struct form *f, size_t rows)
{
    run_block(k, f, rows < LANES ? rows : LANES, true);
}

/* As equal as can be. */
static void run_form_rows(struct walker *k, const struct form *f, size_t rows)
{
    const size_t most = (size_t)f->block;
    for (size_t blocks = (rows + most - 1) / most; blocks > 0; blocks--, rows -= k->rows)
        run_block(k, f, (rows + blocks - 1) / blocks, false);
}

void walk_rows(const struct plan *p, const struct mmoe_kernels *kernels, const float *w, const float *x, size_t xs,
               size_t rows, float *y, void *scratch)
{
    struct walker k = {p, kernels, w, x, xs, y, scratch, 0, 0};
    const size_t from = (size_t)lanes_from(p, kernels->isa);
    for (; rows >= from; rows -= k.rows)
        run_in_lanes(&k, &p->lanes, rows);
    run_form_rows(&k, &p->rows, rows);
}

void walk_users(const struct plan *p, const struct mmoe_kernels *kernels, const float *w, const float *users, size_t us,
                const float *items, size_t is, const size_t *offsets, size_t n_users, float *y, void *scratch)
{
    const bool in_lanes = lanes_from(p, kernels->isa) < INT_MAX;
    for (size_t u = 0; u < n_users; u++, users += us) {
        size_t first = offsets[u], rows = offsets[u + 1] - first;
        if (rows == 0)
            continue;
        struct walker k = {p, kernels, w, users, us, NULL, scratch, 0, 0};
        run_form(&k, &p->user, 1, false);
        k.x = items + first * is;
        k.xs = is;
        k.y = y + first * (size_t)p->outputs;
        for (; in_lanes && rows > 0; rows -= k.rows)
            run_in_lanes(&k, &p->items_lanes, rows);
        run_form_rows(&k, &p->items, rows);
    }
}

void walk(const struct plan *p, const struct weights *w, const struct mmoe_kernels *kernels, const float *x, size_t rows,
          float *y, void *scratch)
{
    walk_rows(p, kernels, w->numbers, x, (size_t)p->inputs, rows, y, scratch);
}

/* ---- the self test: ORDER with templates/frame.c --------------------------------------------------------------- */

static void make_rows(float *x, size_t inputs)
{
    uint32_t seed = 1;
    for (size_t i = 0; i < TEST_ROWS * inputs; i++) {
        seed = seed * UINT32_C(1664525) + UINT32_C(1013904223);
        x[i] = (float)((int32_t)(seed >> 8) - (INT32_C(1) << 23)) * 0x1p-22f;
    }
}

void test_rows(const struct plan *p, float *x) { make_rows(x, (size_t)p->inputs); }

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static uint64_t checksum(const float *w, size_t floats)
{
    const uint64_t prime = UINT64_C(0x100000001b3);
    uint64_t a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0, sum = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < floats; i += 8, w += 8) {
        a = (a ^ bits_of(w[0])) * prime, b = (b ^ bits_of(w[1])) * prime;
        c = (c ^ bits_of(w[2])) * prime, d = (d ^ bits_of(w[3])) * prime;
        e = (e ^ bits_of(w[4])) * prime, f = (f ^ bits_of(w[5])) * prime;
        g = (g ^ bits_of(w[6])) * prime, h = (h ^ bits_of(w[7])) * prime;
    }
    const uint64_t chain[8] = {a, b, c, d, e, f, g, h};
    for (size_t k = 0; k < 8; k++)
        sum = (sum ^ chain[k]) * prime;
    return sum;
}

int expected_words(const struct plan *p) { return 2 + TEST_ROWS * p->outputs; }

void expect_by(struct job *job, const struct plan *p, const struct mmoe_kernels *kernels, const float *w, uint32_t *to)
{
    size_t scores = (size_t)TEST_ROWS * (size_t)p->outputs;
    float *x = NEW_ARRAY(job, (size_t)TEST_ROWS * (size_t)p->inputs, float);
    float *y = NEW_ARRAY(job, scores, float);
    test_rows(p, x);
    walk_rows(p, kernels, w, x, (size_t)p->inputs, TEST_ROWS, y, new_scratch(job, p));
    uint64_t sum = checksum(w, p->weight_floats);
    to[0] = (uint32_t)sum;
    to[1] = (uint32_t)(sum >> 32);
    memcpy(to + 2, y, scores * sizeof *y);
}

struct expected *expect(struct job *job, const struct plan *p, const struct weights *w)
{
    struct expected *e = NEW(job, struct expected);
    uint32_t *words = NEW_ARRAY(job, (size_t)expected_words(p), uint32_t);
    expect_by(job, p, mmoe_kernels_named(p->numerics->kernels), w->numbers, words);
    e->words = words;
    e->n_words = expected_words(p);
    return e;
}

bool wrong_environment(void)
{
    volatile float one = 1, half = 0x1p-24f, more = 0x1.8p-24f, least = 0x1p-126f;
    const volatile float up = one + half, near = one + more, down = -one - half, far = -one - more;
    const volatile float small = least * 0.5f, back = small * 2;
    return up != 1 || near != 0x1.000002p0f || down != -1 || far != -0x1.000002p0f || bits_of(small) != 0x400000 ||
           back != least;
}

bool check_once(score_function *score, const void *weights, const uint32_t *expected, void *scratch, size_t inputs,
               size_t outputs, size_t score_floats)
{
    float *x = (float *)scratch + score_floats, *y = x + TEST_ROWS * inputs;
    make_rows(x, inputs);
    score(weights, x, inputs, TEST_ROWS, y, scratch);
    return memcmp(y, expected + 2, TEST_ROWS * outputs * sizeof *y) == 0;
}

int check_users(users_function *score_users, const void *weights, const uint32_t *expected, void *scratch,
                size_t inputs, size_t user_inputs, size_t outputs, size_t score_floats)
{
    float *x = (float *)scratch + score_floats, *y = x + TEST_ROWS * inputs;
    size_t offsets[TEST_ROWS + 1];
    for (size_t i = 0; i <= TEST_ROWS; i++)
        offsets[i] = i;
    memset(y, 0, TEST_ROWS * outputs * sizeof *y);
    score_users(weights, x, inputs, x + user_inputs, inputs, offsets, TEST_ROWS, y, scratch);
    return memcmp(y, expected + 2, TEST_ROWS * outputs * sizeof *y) == 0 ? 0 : 3;
}

int check_scores(score_function *score, const void *weights, const uint32_t *expected, void *scratch, size_t inputs,
                 size_t outputs, size_t weight_floats, size_t score_floats)
{
    float *x = (float *)scratch + score_floats, *y = x + TEST_ROWS * inputs;
    if (wrong_environment())
        return 1;
    uint64_t sum = checksum(weights, weight_floats);
    if (expected[0] != (uint32_t)sum || expected[1] != (uint32_t)(sum >> 32))
        return 2;
    if (!check_once(score, weights, expected, scratch, inputs, outputs, score_floats))
        return 3;
    for (size_t n = 1, row = 0; row < TEST_ROWS; row += n++)
        score(weights, x + row * inputs, inputs, n, y + row * outputs, scratch);
    return memcmp(y, expected + 2, TEST_ROWS * outputs * sizeof *y) == 0 ? 0 : 3;
}

void *new_scratch(struct job *job, const struct plan *p)
{
    return arena_aligned(&job->arena, (p->scratch_floats + p->test_floats) * sizeof(float));
}
