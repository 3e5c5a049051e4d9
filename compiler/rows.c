// SPDX-License-Identifier: Apache-2.0
/* rows.c: rows of columns -> rows of the experts' input, by the functions that generated files have.
 *
 * templates/rows.c computes, this file calls it: feature after feature for a block of rows. Nothing is allocated.
 */
#include "mmoec.h"
#include "../runtime/kernels.h"

#include <string.h>

#include "../templates/rows.c"

const struct row_functions row_functions = {
#define ROW_FUNCTION(type, name) .name = name,
#include "../templates/rows.def"
#undef ROW_FUNCTION
};

static const struct {
    const char *name;
    row_float_function *function;
} float_functions[] = {
    {"fn_abs", fn_abs}, {"fn_ceil", fn_ceil}, {"fn_cos", fn_cos}, {"fn_exp", fn_exp}, {"fn_expm1", fn_expm1},
    {"fn_floor", fn_floor}, {"fn_identity", fn_identity}, {"fn_log", fn_log}, {"fn_log1p", fn_log1p}, {"fn_relu", fn_relu},
    {"fn_round", fn_round}, {"fn_sigmoid", fn_sigmoid}, {"fn_sin", fn_sin}, {"fn_sqrt", fn_sqrt}, {"fn_square", fn_square},
    {"fn_tanh", fn_tanh},
};

row_float_function *row_function_named(const char *name)
{
    for (size_t i = 0; i < COUNT(float_functions); i++)
        if (strcmp(float_functions[i].name + strlen("fn_"), name) == 0)
            return float_functions[i].function;
    return NULL;
}

const char *row_function_name(row_any_function *function)
{
    static const struct {
        const char *name;
        row_any_function *function;
    } others[] = {
#define ROW_FUNCTION(type, name) {#name, (row_any_function *)name},
#include "../templates/rows.def"
#undef ROW_FUNCTION
    };
    for (size_t i = 0; i < COUNT(float_functions); i++)
        if ((row_any_function *)float_functions[i].function == function)
            return float_functions[i].name;
    for (size_t i = 0; i < COUNT(others); i++)
        if (others[i].function == function)
            return others[i].name;
    return NULL;
}

static void run_feature(struct rows *r, const struct row_feature *f)
{
    switch (f->kind) {
#define ROW_FEATURE(name, type) case ROW_KIND_##name: name##_feature(r, f->constants); return;
#include "../templates/rows.def"
#undef ROW_FEATURE
    case N_ROW_KINDS: break;
    }
    bug("no such kind of feature");
}

void run_row_network(const struct rows *r, const void *self, const float *u, size_t steps, float *a)
{
    const struct row_network *w = self;
    const struct mmoe_kernels *k = mmoe_kernels_best();
    if (k->numerics != w->plan->numerics->number)
        k = mmoe_kernels_named(w->plan->numerics->kernels);
    walk_rows(w->plan, k, r->table[w->table], u, (size_t)w->plan->inputs, steps, a, r->scratch);
}

/* ---- scratch: each part aligned to 64 ---------------------------------------------------------- */

static size_t aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }

static size_t network_scratch(const struct row_program *p)
{
    size_t most = 0;
    for (int i = 0; i < p->n_networks; i++) {
        size_t n = p->networks[i].plan->scratch_floats * sizeof(float);
        most = n > most ? n : most;
    }
    return most;
}

struct row_layout lay_out_rows(const struct row_program *p)
{
    struct row_layout l = {.width = (size_t)(p->width + p->more_columns), .n_tables = p->n_tables ? (size_t)p->n_tables : 1};
    l.x = aligned(l.n_tables * sizeof(float *));
    l.user = l.x + aligned(ROWS_AT_ONCE * l.width * sizeof(float));
    l.texts = l.user + aligned(l.width * sizeof(float));
    l.floats = l.texts + aligned(p->texts * ROW_TEXT_ROOM);
    l.doubles = l.floats + aligned(p->floats * sizeof(float));
    l.networks = l.doubles + aligned(p->doubles * sizeof(double));
    l.bytes = l.networks + aligned(network_scratch(p));
    return l;
}

size_t rows_scratch(const struct row_program *p) { return lay_out_rows(p).bytes; }

static void begin_rows(const struct row_program *p, const struct row_layout *l, const struct mmoe_values *values,
                       char *scratch, struct rows *r)
{
    const float **table = (const float **)(void *)scratch;
    for (int i = 0; i < p->n_tables; i++)
        table[i] = p->tables[i].numbers;
    r->column = p->columns;
    r->values = values;
    r->table = table;
    r->shared = 0;
    r->stride = l->width;
    r->x = (void *)(scratch + l->x);
    r->texts = scratch + l->texts;
    r->floats = (void *)(scratch + l->floats);
    r->doubles = (void *)(scratch + l->doubles);
    r->scratch = scratch + l->networks;
}

/* ---- blocks of rows ------------------------------------------------------------------------------ */

enum share { EVERYTHING, OF_USER, OF_ITEM };

static void run_features(const struct row_program *p, struct rows *r, enum share share)
{
    for (int i = 0; i < p->n_features; i++)
        if (share == EVERYTHING || p->features[i].user == (share == OF_USER))
            run_feature(r, &p->features[i]);
}

/* The rows at .. at + n as they enter the experts, in r->x; at most ROWS_AT_ONCE. */
static void run_block_of_rows(const struct row_program *p, struct rows *r, size_t at, size_t n,
                              struct mmoe_row_status *status)
{
    begin_block(r, at, n, status);
    run_features(p, r, EVERYTHING);
    clear_bad_rows(r, (size_t)p->width);
}

static size_t block_at(size_t at, size_t n) { return n - at < ROWS_AT_ONCE ? n - at : ROWS_AT_ONCE; }

void run_rows(const struct row_program *p, const struct mmoe_values *values, size_t n, float *x,
              struct mmoe_row_status *status, void *scratch)
{
    const struct row_layout l = lay_out_rows(p);
    struct rows r;
    begin_rows(p, &l, values, scratch, &r);
    for (size_t at = 0; at < n; at += r.n) {
        run_block_of_rows(p, &r, at, block_at(at, n), status + at);
        for (size_t i = 0; i < r.n; i++, x += p->width)
            memcpy(x, r.x + i * r.stride, (size_t)p->width * sizeof *x);
    }
}

void score_rows_by(const struct row_program *p, const struct mmoe_model *m, const struct mmoe_values *values, size_t n,
                   float *y, struct mmoe_row_status *status, void *scratch)
{
    const struct row_layout l = lay_out_rows(p);
    struct rows r;
    begin_rows(p, &l, values, scratch, &r);
    for (size_t at = 0; at < n; at += r.n, y += r.n * m->outputs) {
        run_block_of_rows(p, &r, at, block_at(at, n), status + at);
        m->score(m->weights, r.x, r.stride, r.n, y, (char *)scratch + l.bytes);
        spoil_bad_scores(&r, y, m->outputs);
    }
}

/* A user's features once, then the user's rows, which begin with them. */
void score_requests_by(const struct row_program *p, const struct mmoe_model *m, const struct mmoe_values *values,
                       const size_t *offsets, size_t n_users, float *y, struct mmoe_row_status *status, void *scratch)
{
    const struct row_layout l = lay_out_rows(p);
    const size_t users = (size_t)p->user_width;
    float *const user = (void *)((char *)scratch + l.user), *const rows = (void *)((char *)scratch + l.x);
    struct mmoe_row_status user_status;
    struct rows r;
    begin_rows(p, &l, values, scratch, &r);
    for (r.user = 0; r.user < n_users; r.user++) {
        if (offsets[r.user] == offsets[r.user + 1])
            continue;
        r.shared = 0;
        r.x = user;
        begin_block(&r, r.user, 1, &user_status);
        run_features(p, &r, OF_USER);
        r.shared = 1;
        r.x = rows;
        for (size_t at = offsets[r.user], end = offsets[r.user + 1]; at < end; at += r.n) {
            begin_user_block(&r, at, block_at(at, end), status + at, user, user_status, users);
            run_features(p, &r, OF_ITEM);
            clear_bad_rows(&r, (size_t)p->width);
            const size_t one[2] = {0, r.n};
            m->score_users(m->weights, r.x, r.stride, r.x + users, r.stride, one, 1, y + at * m->outputs,
                           (char *)scratch + l.bytes);
            spoil_bad_scores(&r, y + at * m->outputs, m->outputs);
        }
    }
}
